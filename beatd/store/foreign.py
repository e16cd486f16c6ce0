"""Tables of other schedulers, in databases of theirs: looked at, and never written to."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, column, create_engine, exc, inspect, select, table
from sqlalchemy import text as sql
from sqlalchemy.engine import URL, make_url

from beatd.errors import FieldError
from beatd.store.dialects import dialect_of
from beatd.store.engine import Database

#: The drivers that beatd brings, by what a URL begins with. PyMySQL talks to MySQL, too.
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_EXAMPLE = "postgresql://shop@db.example.com/shop"

#: Seconds.
_CONNECT, _STATEMENT = 5, 60

#: By schema (None: the connection's own), the rows of each table that was found.
Found = Mapping[str | None, Mapping[str, Sequence[Mapping[str, Any]]]]


def open_foreign(url: str) -> Database:
    """Prepares to look into a database; connects at first use. Raises FieldError for what can be none."""
    try:
        given = make_url(url)
        parsed = given.set(drivername=_DRIVERS[given.get_backend_name()])
        if parsed.drivername == "sqlite":
            file = _existing_file(parsed)
            engine = create_engine(parsed, creator=lambda: _read_only(file))
        else:
            engine = create_engine(parsed, connect_args=_limits(parsed))
    except (exc.ArgumentError, exc.NoSuchModuleError, KeyError, ValueError) as error:
        # the URL itself may hold a password
        shown, problem = (
            url.partition(":")[0] + ":…",
            "not the URL of a SQLite, PostgreSQL, MySQL or MariaDB database",
        )
        raise FieldError("database", shown, problem, example=_EXAMPLE) from error
    except ModuleNotFoundError as error:
        problem = f"the driver {error.name!r} is not installed"
        raise FieldError("database", f"{parsed.drivername}://…", problem) from error
    return Database(engine, dialect_of(parsed))


def read_tables(database: Database, wanted: Collection[str]) -> Found:
    """All rows of those tables that there are, in the schema that is the connection's own or, if none is
    there, in every other. Values are as the driver gives them.

    Raises DatabaseUnavailable.
    """
    with database.read() as connection:
        found: dict[str | None, Any] = {None: _read(connection, None, wanted)}
        if not found[None]:
            for schema in inspect(connection).get_schema_names():
                found[schema] = _read(connection, schema, wanted)
    return {schema: tables for schema, tables in found.items() if tables}


def _read(
    connection: Connection, schema: str | None, wanted: Collection[str]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    there = set(inspect(connection).get_table_names(schema)) & set(wanted)
    return {name: _rows(connection, schema, name) for name in sorted(there)}


def _rows(connection: Connection, schema: str | None, name: str) -> Sequence[Mapping[str, Any]]:
    query = select(sql("*")).select_from(table(name, schema=schema)).order_by(column("id"))
    return [dict(row._mapping) for row in connection.execute(query)]


def _existing_file(url: URL) -> Path:
    file = Path(str(url.database))
    if not file.is_file():
        raise FieldError(
            "database", f"sqlite:///{file}", "there is no such file", example="sqlite:////srv/shop/db.sqlite3"
        )
    return file


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)


def _limits(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "postgresql":
        options = f"-c default_transaction_read_only=on -c statement_timeout={_STATEMENT * 1000}"
        return {"connect_timeout": _CONNECT, "application_name": "beatd", "options": options}
    return {"connect_timeout": _CONNECT, "read_timeout": _STATEMENT, "charset": "utf8mb4"}
