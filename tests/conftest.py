"""Fixtures for every test: real servers, started when first asked for, a fresh corner of them per test."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from sqlalchemy import delete

from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.models import entries, metadata
from tests.processes import MEASURED
from tests.services.binaries import NotInstalled
from tests.services.keeper import Keeper
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.services.redis import Redis
from tests.services.server import Server

# In CI a change is judged, not the draw of the day; elsewhere every run looks at other examples. There is no
# deadline: machines are shared, and no test measures time.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("elsewhere", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "elsewhere")

S = TypeVar("S", bound=Server)
USED = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--acceptance", action="store_true", help="acceptance tests in their long form; they print lateness"
    )
    parser.addoption("--cron", action="store_true", help="compare commands with the machine's own cron")
    parser.addoption("--points", action="store_true", help="every fault point, on every pair of servers")
    parser.addoption("--simulation", action="store_true", help="simulated worlds in their long form")


@pytest.fixture(scope="session")
def acceptance_seconds(pytestconfig: pytest.Config) -> int:
    """Over how many seconds of real time an acceptance test spreads its fires."""
    return 120 if pytestconfig.getoption("--acceptance") else 20


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    """Ends what is given to `keeper.watch(pid)` when the session ends, even if pytest is killed."""
    # In /tmp, not in $TMPDIR: socket paths must stay short, and the user postgres must get there.
    folder = Path(tempfile.mkdtemp(prefix="beatd-tests-", dir="/tmp"))
    folder.chmod(0o755)
    keeper = Keeper(folder)
    yield keeper
    keeper.finish()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(keeper: Keeper, pytestconfig: pytest.Config) -> Postgres:
    return _started(Postgres, keeper, pytestconfig)


@pytest.fixture(scope="session")
def mariadb(keeper: Keeper, pytestconfig: pytest.Config) -> MariaDB:
    return _started(MariaDB, keeper, pytestconfig)


@pytest.fixture(scope="session")
def rabbit(keeper: Keeper, pytestconfig: pytest.Config) -> RabbitMQ:
    return _started(RabbitMQ, keeper, pytestconfig)


@pytest.fixture(scope="session")
def redis_server(keeper: Keeper, pytestconfig: pytest.Config) -> Redis:
    return _started(Redis, keeper, pytestconfig)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    postgres.start()  # an earlier test may have left it down
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """A fresh database on MariaDB."""
    mariadb.start()
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.start()
    mariadb.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/beatd.sqlite"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database on each of the three."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    return request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def kept_urls() -> dict[str, str]:
    """Of each kind, where its database with the schema is that `database` empties for every test."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest,
    kept_urls: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Database]:
    """beatd's own database with its schema and no rows, on each of the three.

    One of each kind for the whole session: to make one costs half a second, to empty it nearly nothing.
    """
    kind = request.param
    if kind != "sqlite":
        server = request.getfixturevalue({"postgresql": "postgres"}.get(kind, kind))
        server.start()  # an earlier test may have left it down
    if kind not in kept_urls:
        file = tmp_path_factory.mktemp("kept") / "beatd.sqlite"
        url = f"sqlite:///{file}" if kind == "sqlite" else server.url(server.create_database())
        made = Database.open(url)
        schema.upgrade(made)
        made.close()
        kept_urls[kind] = url
    database = Database.open(kept_urls[kind], pool_size=10)
    _empty(database)
    yield database
    database.close()


def _empty(database: Database) -> None:
    with database.write() as connection:
        connection.execute(delete(entries))  # first, for its triggers write into other tables
        for table in metadata.sorted_tables:
            if table.name != "installation":
                connection.execute(delete(table))


@pytest.fixture
def rabbit_url(rabbit: RabbitMQ) -> Iterator[str]:
    """A fresh vhost on RabbitMQ."""
    rabbit.start()
    name = rabbit.create_vhost()
    yield rabbit.url(name)
    rabbit.start()
    rabbit.delete_vhost(name)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """An empty database on Redis."""
    redis_server.start()
    return redis_server.url(redis_server.empty_database())


def _started(kind: type[S], keeper: Keeper, config: pytest.Config) -> S:
    try:
        server = kind(keeper.folder / kind.name.lower(), keeper)
    except NotInstalled as error:
        pytest.fail(str(error), pytrace=False)
    server.start()
    config.stash.setdefault(USED, []).append(f"{server.name} {server.version}")
    return server


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes (pytest-xdist) hands over what it has to say at the end."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["used"] = session.config.stash.get(USED, [])
        output["measured"] = session.config.stash.get(MEASURED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {})
    node.config.stash.setdefault(USED, []).extend(told.get("used", []))
    node.config.stash.setdefault(MEASURED, []).extend(told.get("measured", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)
    used = sorted({*config.stash.get(USED, []), f"SQLite {sqlite3.sqlite_version}"})
    terminalreporter.write_line(f"real servers used: {', '.join(used)}")
