"""The database: connections with limits on everything, transactions, and errors in one line."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, exc
from sqlalchemy.engine import Engine, make_url

from beatd.config import DatabaseSettings
from beatd.errors import (
    BeatdError,
    DatabaseDamaged,
    DatabaseUnavailable,
    FieldError,
    SchemaMismatch,
    TransactionConflict,
)
from beatd.redaction import redact
from beatd.store import sqlite_file
from beatd.store.dialects import Dialect, dialect_of

#: What is said of a SQLite database that nobody has set up.
NO_FILE = "there is no such file"

_URL_EXAMPLE = "postgresql://beatd@localhost/beatd"

#: How PostgreSQL and MariaDB say that a table or a column is not there, and how SQLite says it.
_MISSING_CODES = {"42P01", "42703", 1146, 1054}
#: Deadlocks, failed serializations and locks that were not to be had in time: PostgreSQL, then MariaDB.
_CONFLICT_CODES = {"40P01", "40001", "55P03", 1213, 1205, 1020}

_MISSING_TEXT = re.compile("no such table|no such column|has no column")


class Database:
    """One database. Threads may share it; processes must each open their own."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self.engine = engine
        self.dialect = dialect

    @classmethod
    def open(
        cls,
        url: str,
        *,
        connect_timeout: float = 5.0,
        statement_timeout: float = 30.0,
        pool_size: int = 5,
        create: bool = True,
    ) -> Database:
        """Prepares an engine; connects at first use.

        Timeouts are in seconds. A SQLite file that does not exist is made, with its folder, only with
        `create`; else it counts as a database that is not there. Raises FieldError for a URL that cannot
        be one, or whose driver is not installed.
        """
        try:
            parsed = make_url(url)
            dialect = dialect_of(parsed)
            if dialect.name == "sqlite" and create:
                _make_folder(str(parsed.database))
            engine = create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_timeout=statement_timeout,
                pool_recycle=1800,
                **dialect.engine_options(connect_timeout, statement_timeout),
            )
        except (exc.ArgumentError, exc.NoSuchModuleError, KeyError, ValueError) as error:
            raise FieldError(
                "database.url",
                url.partition(":")[0] + ":…",
                "not the URL of a SQLite, PostgreSQL or MariaDB database",
                example=_URL_EXAMPLE,
            ) from error
        except ModuleNotFoundError as error:
            raise FieldError(
                "database.url",
                parsed.drivername + "://…",
                f"the driver {error.name!r} is not installed: pip install 'beatd[{dialect.name}]'",
            ) from error
        dialect.prepare(engine)
        database = cls(engine, dialect)
        if dialect.name == "sqlite":
            sqlite_file.require_same(engine, database.name)
            if not create:
                _require_file(database)
        return database

    @classmethod
    def configured(
        cls, settings: DatabaseSettings, *, pool_size: int | None = None, create: bool = False
    ) -> Database:
        """As `open`, with what the configuration says; `pool_size` replaces its own.

        Only who sets a database up creates a file: a wrong path is not to become an empty database.
        """
        return cls.open(
            settings.url,
            connect_timeout=settings.connect_timeout.total_seconds(),
            statement_timeout=settings.statement_timeout.total_seconds(),
            pool_size=pool_size or settings.pool_size,
            create=create,
        )

    def close(self) -> None:
        self.engine.dispose()

    @property
    def name(self) -> str:
        """What to call it in messages; never holds a password."""
        return redact(self.engine.url.render_as_string(hide_password=True))  # some put it into the query

    def now(self, connection: Connection) -> datetime:
        """The database server's time, aware UTC: it alone decides what is due."""
        return self.dialect.now(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads. Raises DatabaseUnavailable, SchemaMismatch."""
        with self._translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end, rolled back by an exception.

        Raises DatabaseUnavailable, SchemaMismatch. Where a connection breaks off in the commit itself nobody
        can tell whether it was done: a caller must be right either way. After TransactionConflict it was not.
        """
        with self._translated(), self.engine.connect() as plain:
            connection = plain.execution_options(beatd_write=True)
            with connection.begin():
                yield connection

    def require_sound(self) -> None:
        """Raises DatabaseDamaged where a look at all of the file finds damage. May take a second a 200 MB."""
        with self.read() as connection:
            found = self.dialect.integrity(connection)
        if found not in (None, "ok"):
            raise DatabaseDamaged(f"database {self.name}: {found}: {sqlite_file.RESTORE}")

    def dedicated(self) -> Any:
        """A driver's own connection for the caller to keep and close. Raises DatabaseUnavailable."""
        with self._translated():
            try:
                pooled = self.engine.raw_connection()
            except self.engine.dialect.loaded_dbapi.Error as error:  # below what SQLAlchemy wraps
                raise DatabaseUnavailable(f"database {self.name}: {_first_line(error)}") from error
            connection = pooled.driver_connection
            pooled.detach()
            return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:
            raise DatabaseUnavailable(f"database {self.name}: all connections are in use") from error
        except exc.DBAPIError as error:
            explained = self._explained(error)
            if explained is None:
                raise
            raise explained from error
        except sqlite3.Error as error:
            # SQLAlchemy does not wrap what its own event handlers raise (BEGIN IMMEDIATE on a locked file).
            if _is_conflict(error):
                raise TransactionConflict(f"database {self.name}: {error}") from error
            raise sqlite_file.trouble(self.name, error) from error

    def _explained(self, error: exc.DBAPIError) -> BeatdError | None:
        """What it means to an operator; None for an error that is the caller's matter."""
        text = f"database {self.name}: {_first_line(error.orig)}"
        if _is_missing(error.orig):
            return SchemaMismatch(f"{text}; run 'beatd db upgrade'")
        if _is_conflict(error.orig):
            return TransactionConflict(text)
        operational = isinstance(error, exc.OperationalError | exc.InterfaceError)
        if isinstance(error.orig, sqlite3.Error) and (operational or type(error) is exc.DatabaseError):
            return sqlite_file.trouble(self.name, error.orig)
        if operational or error.connection_invalidated:
            return DatabaseUnavailable(text)
        return None


def _make_folder(file: str) -> None:
    """The folder that a SQLite file is to be in; a new one is for its owner alone."""
    folder = Path(file).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {str(folder)!r} cannot be made: {error.strerror}"
        raise FieldError("database.url", f"sqlite:///{file}", problem) from error


def _require_file(database: Database) -> None:
    """SQLite makes a file that is not there when it connects."""
    file = Path(str(database.engine.url.database))

    @event.listens_for(database.engine, "do_connect")
    def look(*_: Any) -> None:
        if not file.exists():
            raise DatabaseUnavailable(f"database {database.name}: {NO_FILE}: run 'beatd init'")


def _first_line(error: Any) -> str:
    """PyMySQL's errors are a number and a text, the others' a text that may go on for lines."""
    said = error.args[1] if len(error.args) == 2 and isinstance(error.args[0], int) else error
    return (str(said).strip().splitlines() or [type(error).__name__])[0]


def _is_missing(error: Any) -> bool:
    if isinstance(error, sqlite3.Error):
        return _MISSING_TEXT.search(str(error)) is not None
    return not _MISSING_CODES.isdisjoint((getattr(error, "sqlstate", None), *error.args[:1]))


def _is_conflict(error: Any) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return not _CONFLICT_CODES.isdisjoint((getattr(error, "sqlstate", None), *error.args[:1]))
