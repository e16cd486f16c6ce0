from tests.operations.conftest import context as context
from tests.store.conftest import database as database
from tests.store.conftest import kept_databases as kept_databases
