from __future__ import annotations

from collections.abc import Iterator

import pytest

from beatd.operations.context import Context
from beatd.store import schema
from beatd.store.engine import Database
from tests.store.conftest import database as database
from tests.store.conftest import kept_databases as kept_databases


@pytest.fixture
def context(database: Database) -> Context:
    """What `alice` at the command line is given, on each of the databases."""
    return Context(database, "alice", "cli")


@pytest.fixture
def embedded(sqlite_url: str) -> Iterator[Context]:
    """The same on SQLite alone."""
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    yield Context(database, "alice", "cli")
    database.close()
