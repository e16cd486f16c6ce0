"""Where the databases differ: one small class each, nothing else of the store asks which one it is."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, Engine, Insert, Select, Table, event, text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL

from beatd import clock
from beatd.errors import DatabaseUnavailable

#: Seconds that a statement waits for another's lock before it gives up and is tried again later.
LOCK_TIMEOUT = 10

#: Seconds between two tries of what SQLite does not wait for by itself.
_LOOK_AGAIN = 0.02

#: Key of the lock that lets one process at a time change the schema.
SCHEMA_LOCK = 0x62656174


class Dialect(Protocol):
    name: ClassVar[str]
    #: whether an edit wakes the dispatcher by itself; if not, it polls
    notifies: ClassVar[bool]

    def engine_options(self, connect_timeout: float, statement_timeout: float) -> dict[str, Any]: ...
    def prepare(self, engine: Engine) -> None: ...
    def now(self, connection: Connection) -> datetime: ...
    def skip_locked(self, query: Select[Any]) -> Select[Any]: ...
    def locked(self, query: Select[Any]) -> Select[Any]:
        """Locks what it finds, and waits for those who have locked some of it."""
        ...

    def insert_new(self, table: Table) -> Insert:
        """An insert that passes over rows whose key exists."""
        ...

    def upsert(self, table: Table, key: str, columns: Iterable[str]) -> Insert: ...
    def integrity(self, connection: Connection) -> str | None:
        """`ok`, or what is wrong with the data, in a line; None where the server itself looks after it."""
        ...

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        """The next id that `table` gives out is `number`, which no row has reached; commits on some."""
        ...

    def schema_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Within it no other process changes this database's schema. Raises DatabaseUnavailable."""
        ...


class SQLite:
    name: ClassVar[str] = "sqlite"
    notifies: ClassVar[bool] = False

    def engine_options(self, connect_timeout: float, statement_timeout: float) -> dict[str, Any]:
        return {
            "connect_args": {"timeout": LOCK_TIMEOUT, "isolation_level": None, "check_same_thread": False}
        }

    def prepare(self, engine: Engine) -> None:
        @event.listens_for(engine, "connect")
        def set_pragmas(connection: Any, record: Any) -> None:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A transaction that starts by reading and then writes fails at once if another wrote
            # in between; one that will write therefore takes the write lock first.
            write = connection.get_execution_options().get("beatd_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def now(self, connection: Connection) -> datetime:
        # SQLite has no server: its time is this machine's, which it gives in milliseconds only.
        return clock.wall()

    def skip_locked(self, query: Select[Any]) -> Select[Any]:
        return query

    def locked(self, query: Select[Any]) -> Select[Any]:
        return query

    def insert_new(self, table: Table) -> Insert:
        return sqlite.insert(table).on_conflict_do_nothing()

    def upsert(self, table: Table, key: str, columns: Iterable[str]) -> Insert:
        statement = sqlite.insert(table)
        return statement.on_conflict_do_update(
            index_elements=[key], set_={name: statement.excluded[name] for name in columns}
        )

    def integrity(self, connection: Connection) -> str | None:
        found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
        return " ".join(found.split())

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        # there is no unique key on the name, and no row before the first entry
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        row = {"name": table.name, "last": number - 1}
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), row)

    @contextmanager
    def schema_lock(self, connection: Connection) -> Iterator[None]:
        yield  # the write transaction is the lock


def _write_ahead(connection: Any) -> None:
    """Turns the write-ahead log on, if it is not: the one statement that does not wait for a lock."""
    deadline = clock.monotonic() + LOCK_TIMEOUT
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if clock.monotonic() > deadline:
                raise
            time.sleep(_LOOK_AGAIN)


class PostgreSQL:
    name: ClassVar[str] = "postgresql"
    notifies: ClassVar[bool] = True

    def engine_options(self, connect_timeout: float, statement_timeout: float) -> dict[str, Any]:
        # A stopped node or a half-open connection must not keep rows locked: the server ends both.
        limits = {
            "statement_timeout": int(statement_timeout * 1000),
            "lock_timeout": LOCK_TIMEOUT * 1000,
            "idle_in_transaction_session_timeout": int(statement_timeout * 1000),
        }
        options = " ".join(f"-c {name}={value}" for name, value in limits.items())
        return {
            "connect_args": {
                "connect_timeout": max(2, int(connect_timeout)),
                "application_name": "beatd",
                "options": f"-c timezone=UTC {options}",
                "keepalives": 1,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": int((statement_timeout + connect_timeout) * 1000),
            },
            "isolation_level": "READ COMMITTED",
            "pool_pre_ping": True,
        }

    def prepare(self, engine: Engine) -> None:
        """Bounds every wait for an answer: a server that is stopped, but whose machine goes on to acknowledge
        what it gets, is waited for without an end by the driver itself.
        """
        if engine.dialect.driver != "psycopg":
            return
        from beatd.store.patience import patient  # psycopg need not be installed

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
            longest = options["tcp_user_timeout"] / 1000
            return patient(longest).connect(*arguments, **options)

    def now(self, connection: Connection) -> datetime:
        return connection.execute(text("SELECT clock_timestamp()")).scalar_one().astimezone(UTC)  # type: ignore[no-any-return]

    def skip_locked(self, query: Select[Any]) -> Select[Any]:
        return query.with_for_update(skip_locked=True)

    def locked(self, query: Select[Any]) -> Select[Any]:
        return query.with_for_update()

    def insert_new(self, table: Table) -> Insert:
        return postgresql.insert(table).on_conflict_do_nothing()

    def upsert(self, table: Table, key: str, columns: Iterable[str]) -> Insert:
        statement = postgresql.insert(table)
        return statement.on_conflict_do_update(
            index_elements=[key], set_={name: statement.excluded[name] for name in columns}
        )

    def integrity(self, connection: Connection) -> str | None:
        return None

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        row = {"name": table.name, "number": number}
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :number, false)"), row)

    @contextmanager
    def schema_lock(self, connection: Connection) -> Iterator[None]:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
        yield


class MariaDB:
    name: ClassVar[str] = "mariadb"
    notifies: ClassVar[bool] = False

    def engine_options(self, connect_timeout: float, statement_timeout: float) -> dict[str, Any]:
        limits = {
            "time_zone": "'+00:00'",
            "max_statement_time": statement_timeout,
            "innodb_lock_wait_timeout": LOCK_TIMEOUT,
            "idle_transaction_timeout": math.ceil(statement_timeout),  # 0 would be none
        }
        settings = ", ".join(f"SESSION {name}={value}" for name, value in limits.items())
        return {
            "connect_args": {
                "connect_timeout": max(1, int(connect_timeout)),
                "read_timeout": statement_timeout + connect_timeout,
                "write_timeout": statement_timeout + connect_timeout,
                "charset": "utf8mb4",
                "init_command": f"SET {settings}",
            },
            "isolation_level": "READ COMMITTED",
            "pool_pre_ping": True,
        }

    def prepare(self, engine: Engine) -> None:
        """Everything is set in the connection's options."""

    def now(self, connection: Connection) -> datetime:
        return connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one().replace(tzinfo=UTC)  # type: ignore[no-any-return]

    def skip_locked(self, query: Select[Any]) -> Select[Any]:
        return query.with_for_update(skip_locked=True)

    def locked(self, query: Select[Any]) -> Select[Any]:
        return query.with_for_update()

    def insert_new(self, table: Table) -> Insert:
        return mysql.insert(table).prefix_with("IGNORE")

    def upsert(self, table: Table, key: str, columns: Iterable[str]) -> Insert:
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update({name: statement.inserted[name] for name in columns})

    def integrity(self, connection: Connection) -> str | None:
        return None

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        connection.execute(text(f"ALTER TABLE {table.name} AUTO_INCREMENT = {number:d}"))

    @contextmanager
    def schema_lock(self, connection: Connection) -> Iterator[None]:
        # DDL commits by itself here, so no transaction can hold it. It belongs to the session, which the
        # pool keeps open, and its name to the whole server.
        name = "CONCAT('beatd-schema-', MD5(DATABASE()))"
        taken = connection.execute(text(f"SELECT GET_LOCK({name}, :seconds)"), {"seconds": LOCK_TIMEOUT})
        if taken.scalar_one() != 1:
            raise DatabaseUnavailable("another process is changing the database's schema")
        try:
            yield
        finally:
            connection.execute(text(f"SELECT RELEASE_LOCK({name})"))


_BY_NAME: dict[str, Dialect] = {
    "sqlite": SQLite(),
    "postgresql": PostgreSQL(),
    "mariadb": MariaDB(),
    "mysql": MariaDB(),
}


def dialect_of(url: URL) -> Dialect:
    """Raises KeyError for a database that beatd does not work with."""
    return _BY_NAME[url.get_backend_name()]
