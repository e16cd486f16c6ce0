"""Runs migrations on the connection that beatd.store.schema hands over; new ones are written by hand."""

from alembic import context
from beatd.store.models import metadata
from beatd.store.schema import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
