"""The schema's version: upgrade, check, and the range that this version of beatd works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from beatd.config import shipped
from beatd.errors import SchemaMismatch
from beatd.store.engine import Database
from beatd.store.models import installation

if TYPE_CHECKING:
    # Imported where the schema is changed: every command and process asks which it is, hardly any changes it.
    from alembic.config import Config

#: A table of our own: the operator's application may keep its own Alembic state in the same database.
VERSION_TABLE = "beatd_schema_version"

#: Revisions this version works with, oldest first; the last is the one it upgrades to.
SUPPORTED = ("0004",)


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`current` is None for a database that beatd has not set up yet."""

    current: str | None
    supported: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return self.current in self.supported

    @property
    def newest(self) -> bool:
        return self.current == self.supported[-1]


def state(database: Database) -> SchemaState:
    """Raises DatabaseUnavailable."""
    with database.read() as connection:
        return SchemaState(_current(connection), SUPPORTED)


def require(database: Database) -> None:
    """Raises SchemaMismatch unless this version can work with the database as it is."""
    found = state(database)
    if found.usable:
        return
    if found.current is None:
        raise SchemaMismatch(f"database {database.name} is not set up: run 'beatd db upgrade'")
    known = " to ".join(dict.fromkeys((found.supported[0], found.supported[-1])))
    hint = "run 'beatd db upgrade'" if found.current < found.supported[0] else "upgrade beatd on this machine"
    raise SchemaMismatch(
        f"database {database.name} has schema {found.current}, this version works with {known}: {hint}"
    )


def too_new(database: Database) -> bool:
    """Whether a newer version of beatd set the database up. Raises DatabaseUnavailable."""
    current = state(database).current
    return current is not None and current > SUPPORTED[-1]


def upgrade(database: Database, revision: str = "head") -> SchemaState:
    """Brings the schema up to `revision`; one process at a time, repeating it does nothing.

    Raises DatabaseUnavailable, and SchemaMismatch where a newer version of beatd was here.
    """
    from alembic import command

    with database.write() as connection, database.dialect.schema_lock(connection):
        current = _current(connection)
        if current is not None and current > SUPPORTED[-1]:
            raise SchemaMismatch(
                f"database {database.name} has schema {current}, newer than {SUPPORTED[-1]}: "
                "upgrade beatd on this machine"
            )
        command.upgrade(_config(connection), revision)
    return state(database)


def downgrade(database: Database, revision: str) -> None:
    """Takes the schema back; `base` removes everything."""
    from alembic import command

    with database.write() as connection, database.dialect.schema_lock(connection):
        command.downgrade(_config(connection), revision)


def installation_id(connection: Connection) -> str:
    """The id made when the schema was first set up; the reports queue is named after it."""
    return str(connection.execute(select(installation.c.id)).scalar_one())


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    versions = table(VERSION_TABLE, column("version_num"))
    return connection.execute(select(versions.c.version_num)).scalar_one_or_none()


def _config(connection: Connection) -> Config:
    config = _scripts()
    config.attributes["connection"] = connection
    return config


def _scripts() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")).replace("%", "%%"))
    return config


def head() -> str:
    """The newest revision among the shipped migrations."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_scripts()).get_current_head())
