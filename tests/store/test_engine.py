"""Connections: what goes wrong is told in one line without a password, and everything has its limit."""

from __future__ import annotations

import builtins
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc, insert, text

from beatd.errors import BeatdError, DatabaseUnavailable, FieldError, SchemaMismatch
from beatd.store import dialects, schema
from beatd.store.engine import Database
from beatd.store.models import calendars
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.server import free_port

SECRET = "hunter2"


def failure(url: str, **options: Any) -> BeatdError:
    """What asking the database ends with."""
    database = Database.open(url, **options)
    try:
        with pytest.raises(BeatdError) as raised, database.read() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        database.close()
    return raised.value


def assert_one_line(error: BeatdError, *parts: str) -> None:
    said = str(error)
    assert "\n" not in said
    assert SECRET not in said
    for part in parts:
        assert re.search(part, said), said


SERVERS = {
    "postgresql": f"postgresql+psycopg://beatd:{SECRET}@127.0.0.1:PORT/",
    "mariadb": f"mariadb+pymysql://beatd:{SECRET}@127.0.0.1:PORT/",
}


def url_of(kind: str, port: int, database: str) -> str:
    return SERVERS[kind].replace("PORT", str(port)) + database


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_listens(kind: str) -> None:
    error = failure(url_of(kind, free_port(), "beatd"))
    assert isinstance(error, DatabaseUnavailable)
    assert not error.permanent
    assert_one_line(error, "^database .*beatd:\\*\\*\\*@127.0.0.1", "(?i)refused")


@pytest.mark.parametrize("kind", SERVERS)
def test_somebody_listens_and_never_answers(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(
            url_of(kind, silent.getsockname()[1], "beatd"), connect_timeout=1, statement_timeout=1
        )
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, "(?i)timed? ?out")


def test_a_role_that_does_not_exist(postgres: Postgres, mariadb: MariaDB) -> None:
    """Not to be taken for a table that does not exist."""
    postgres.start()
    error = failure(f"postgresql+psycopg://nobody:{SECRET}@127.0.0.1:{postgres.port}/postgres")
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, 'role "nobody" does not exist')
    mariadb.start()
    error = failure(f"mariadb+pymysql://nobody:{SECRET}@127.0.0.1:{mariadb.port}/test")
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, ": Access denied for user 'nobody'")


def test_a_password_in_the_query_is_none_the_less_one() -> None:
    error = failure(f"postgresql+psycopg://beatd@127.0.0.1:{free_port()}/beatd?password={SECRET}")
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, "^database postgresql.*beatd@127.0.0.1")


def test_a_wrong_password(mariadb: MariaDB) -> None:
    mariadb.start()
    error = failure(url_of("mariadb", mariadb.port, "beatd"))
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, r"Access denied for user 'beatd'@'127.0.0.1' \(using password: YES\)")


def test_a_database_that_is_missing(postgres: Postgres, mariadb: MariaDB, tmp_path: Path) -> None:
    postgres.start()
    error = failure(url_of("postgresql", postgres.port, "elsewhere"))
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, 'database "elsewhere" does not exist')
    mariadb.start()
    error = failure(mariadb.url("t_elsewhere"))
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, "Unknown database 't_elsewhere'")


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_server_that_is_killed_and_comes_back(request: pytest.FixtureRequest, kind: str) -> None:
    database = Database.open(request.getfixturevalue(f"{kind}_url"))
    server = request.getfixturevalue(kind)
    with pytest.raises(DatabaseUnavailable) as raised:  # noqa: PT012, SIM117 (the server dies within)
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
            server.kill9()
            connection.execute(text("SELECT 1"))
    assert_one_line(raised.value)
    with pytest.raises(DatabaseUnavailable), database.write():
        pass
    server.start()
    with database.write() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    database.close()


def test_a_table_or_column_that_is_missing(database: Database) -> None:
    for sql in (
        "SELECT id FROM nowhere",
        "SELECT nosuch FROM runs",
        "UPDATE runs SET nosuch = 1",
        "INSERT INTO calendars (nosuch) VALUES (1)",
    ):
        with pytest.raises(SchemaMismatch) as raised, database.write() as connection:
            connection.execute(text(sql))
        assert raised.value.permanent
        assert_one_line(raised.value, "nowhere|nosuch", "; run 'beatd db upgrade'$")


def test_other_errors_are_the_caller_s(database: Database) -> None:
    row = {"name": "holidays"}
    with pytest.raises(exc.IntegrityError) as raised, database.write() as connection:
        connection.execute(insert(calendars), [row, row])
    assert raised.value.__cause__ is not raised.value, "a traceback that is printed would never end"
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM calendars")).scalar_one() == 0


def test_what_an_exception_breaks_off_is_undone(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117 (it wrote before)
        with database.write() as connection:
            connection.execute(insert(calendars), {"name": "holidays"})
            _ = 1 / 0
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM calendars")).scalar_one() == 0


def test_no_connection_is_free(database_url: str) -> None:
    database = Database.open(database_url, pool_size=1, statement_timeout=1)
    in_use = pytest.raises(DatabaseUnavailable, match="all connections are in use")
    with database.read(), database.read(), in_use, database.read():
        pass
    with database.read():
        pass
    database.close()


# Limits


@pytest.mark.parametrize(("given", "pg", "maria"), [(7, "7s", (7, 7)), (0.2, "200ms", (0.2, 1))])
def test_limits_are_in_force_on_the_server(
    database: Database, given: float, pg: str, maria: tuple[float, int]
) -> None:
    limited = Database.open(
        database.engine.url.render_as_string(hide_password=False), statement_timeout=given
    )
    expected: dict[str, Any] = {
        "postgresql": {
            "SHOW statement_timeout": pg,
            "SHOW lock_timeout": "10s",
            "SHOW idle_in_transaction_session_timeout": pg,
            "SHOW timezone": "UTC",
            "SHOW transaction_isolation": "read committed",
            "SHOW application_name": "beatd",
        },
        "mariadb": {
            "SELECT @@session.max_statement_time": maria[0],
            "SELECT @@session.innodb_lock_wait_timeout": 10,
            "SELECT @@session.idle_transaction_timeout": maria[1],
            "SELECT @@session.time_zone": "+00:00",
            "SELECT @@session.tx_isolation": "READ-COMMITTED",
            "SELECT @@session.character_set_client": "utf8mb4",
        },
        "sqlite": {
            "PRAGMA journal_mode": "wal",
            "PRAGMA synchronous": 2,
            "PRAGMA busy_timeout": 10_000,
        },
    }[database.dialect.name]
    with limited.write() as connection:
        assert {query: connection.execute(text(query)).scalar_one() for query in expected} == expected
    limited.close()


SLOW = {
    "postgresql": "SELECT pg_sleep(20)",
    "mariadb": "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_statement_that_takes_too_long_is_ended(request: pytest.FixtureRequest, kind: str) -> None:
    url = request.getfixturevalue({"postgresql": "postgres_url", "mariadb": "mariadb_url"}[kind])
    database = Database.open(url, statement_timeout=1)
    ended = pytest.raises(DatabaseUnavailable, match=r"statement timeout|max_statement_time")
    with ended, database.read() as connection:
        connection.execute(text(SLOW[kind]))
    database.close()


def test_a_row_that_another_keeps_locked(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "LOCK_TIMEOUT", 1)
    waiting = Database.open(database.engine.url.render_as_string(hide_password=False))
    with database.write() as connection:
        connection.execute(insert(calendars), {"name": "holidays"})
    with database.write() as connection:
        connection.execute(text("UPDATE calendars SET country = 'DE'"))
        with pytest.raises(DatabaseUnavailable, match=r"(?i)lock"), waiting.write() as late:
            late.execute(text("UPDATE calendars SET country = 'FR'"))
    waiting.close()


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked_file(tmp_path: Path) -> Iterator[Path]:
    """A SQLite file that another process writes, as long as the test goes on."""
    file = tmp_path / "beatd.sqlite"
    database = Database.open(f"sqlite:///{file}")
    schema.upgrade(database)
    database.close()
    pipe = subprocess.PIPE
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdin=pipe, stdout=pipe)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield file


def test_a_sqlite_file_that_is_locked(locked_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "LOCK_TIMEOUT", 0.1)
    database = Database.open(f"sqlite:///{locked_file}")
    with pytest.raises(DatabaseUnavailable) as raised, database.write():
        pass
    assert_one_line(raised.value, "database is locked")
    with database.read() as connection:  # reading goes on
        assert connection.execute(text("SELECT count(*) FROM runs")).scalar_one() == 0
    database.close()


def test_a_sqlite_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "beatd.sqlite"
    file.write_text("nothing of the kind\n" * 1000)
    error = failure(f"sqlite:///{file}")
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, "file is not a database")
    error = failure(f"sqlite:///{tmp_path}")
    assert isinstance(error, DatabaseUnavailable)
    assert_one_line(error, "unable to open database file")


def test_many_that_open_a_new_sqlite_file_at_once(sqlite_url: str) -> None:
    """Going over to WAL needs the file alone, and SQLite does not wait for that as it does for a lock."""
    barrier, found = threading.Barrier(8), []

    def upgrade() -> None:
        database = Database.open(sqlite_url)
        barrier.wait()
        found.append(schema.upgrade(database).newest)
        database.close()

    threads = [threading.Thread(target=upgrade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


# URLs


def test_a_new_data_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    existing = tmp_path / "open"
    existing.mkdir(mode=0o755)
    Database.open(f"sqlite:///{existing}/beatd.sqlite").close()
    Database.open(f"sqlite:///{existing}/a/b/beatd.sqlite").close()
    assert stat.S_IMODE(existing.stat().st_mode) == 0o755
    assert stat.S_IMODE((existing / "a" / "b").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "not the URL of a SQLite, PostgreSQL or MariaDB database"),
        ("beatd", "not the URL of a"),
        ("oracle://scott:hunter2@db/beatd", "not the URL of a"),
        ("postgresql+nothing://beatd:hunter2@db/beatd", "not the URL of a"),
        ("postgresql://beatd:hunter2@db:port/beatd", "not the URL of a"),
        ("sqlite:////proc/beatd/beatd.sqlite", "the folder '/proc/beatd' cannot be made: "),
        ("sqlite:////etc/passwd/beatd.sqlite", "the folder '/etc/passwd' cannot be made: "),
    ],
)
def test_urls_that_cannot_be_one(url: str, expected: str) -> None:
    with pytest.raises(FieldError) as raised:
        Database.open(url)
    assert_one_line(raised.value, f"^database.url: .*{re.escape(expected)}")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql+psycopg://beatd:hunter2@db/beatd", "psycopg", "postgresql"),
        ("mariadb+pymysql://beatd:hunter2@db/beatd", "pymysql", "mariadb"),
    ],
)
def test_a_driver_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    import_ = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return import_(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FieldError) as raised:
        Database.open(url)
    assert_one_line(raised.value, f"the driver '{module}' is not installed", re.escape(f"'beatd[{extra}]'"))


def test_the_database_s_time(database: Database) -> None:
    with database.read() as connection:
        first, second = database.now(connection), database.now(connection)
    assert first <= second
    assert first.utcoffset() is not None
    assert not first.utcoffset()
