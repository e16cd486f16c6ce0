"""The private servers: really there, really apart, really gone after a kill, and back with their data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import kombu
import psutil
import psycopg
import pymysql
import pytest
import redis
import sqlalchemy as sa

from tests.services.binaries import NotInstalled, missing
from tests.services.keeper import Keeper, is_alive
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.services.redis import Redis
from tests.services.server import Server
from tests.waiting import eventually


def test_each_test_has_a_database_it_can_change(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE only_mine (x integer)"))
        connection.execute(sa.text("INSERT INTO only_mine VALUES (7)"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT x FROM only_mine")).scalar() == 7
    # Not disposed on purpose: a connection left open must not keep the database from being dropped.


def test_another_test_does_not_see_it(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []


def test_postgresql_url_is_of_an_ordinary_role(postgres_url: str) -> None:
    with sa.create_engine(postgres_url).connect() as connection:
        assert connection.execute(sa.text("SHOW is_superuser")).scalar() == "off"


def test_postgresql_database_copied_from_another(postgres: Postgres, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE copied (x integer)"))
    engine.dispose()
    copy = postgres.create_database(template=engine.url.database)
    assert sa.inspect(sa.create_engine(postgres.url(copy))).get_table_names() == ["copied"]
    postgres.drop_database(copy)


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_a_vhost(rabbit_url: str, time: int) -> None:
    with kombu.Connection(rabbit_url) as connection:
        queue = connection.SimpleQueue("only_mine")
        assert queue.qsize() == 0
        queue.put("x")
        assert queue.get(timeout=60).payload == "x"
        queue.put("left behind")
        queue.close()


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_an_empty_redis_database(redis_url: str, time: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("x", 1)


def test_rabbitmq_evaluates_erlang_and_reports_errors(rabbit: RabbitMQ) -> None:
    rabbit.start()
    assert rabbit.eval("1 + 1.") == "2"
    with pytest.raises(RuntimeError, match="badarith"):
        rabbit.eval("1 / 0.")
    assert rabbit.eval("node().") == f"{rabbit.node}"


def server_of(request: pytest.FixtureRequest, name: str) -> Server:
    server: Server = request.getfixturevalue(name)
    server.start()
    return server


REFUSED = (
    OSError,
    psycopg.OperationalError,
    pymysql.OperationalError,
    redis.ConnectionError,
)


@pytest.mark.parametrize("name", ["postgres", "mariadb", "rabbit", "redis_server"])
def test_kill9_and_restart(request: pytest.FixtureRequest, name: str) -> None:
    server = server_of(request, name)
    port, before = server.port, psutil.Process(server.pid)
    family = [before, *before.children(recursive=True)]
    server.kill9()
    assert not server.running
    assert not [process for process in family if is_alive(process)]
    with pytest.raises(REFUSED):
        connect(server)
    server.start()
    assert server.port == port
    connect(server)
    server.restart()
    connect(server)
    server.start()
    assert server.running


def connect(server: Server) -> None:
    match server:
        case Postgres():
            server.admin().close()
        case MariaDB():
            server.admin().close()
        case Redis():
            server.client(0).ping()
        case RabbitMQ():
            kombu.Connection(server.url("/"), transport_options={"max_retries": 0}).connect()


def test_data_survives_kill9(
    postgres_url: str,
    mariadb_url: str,
    redis_url: str,
    postgres: Postgres,
    mariadb: MariaDB,
    redis_server: Redis,
) -> None:
    for url in (postgres_url, mariadb_url):
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            connection.execute(sa.text("CREATE TABLE kept (x integer)"))
    for server in (postgres, mariadb):
        server.kill9()
        server.start()
    for url in (postgres_url, mariadb_url):
        assert sa.inspect(sa.create_engine(url)).get_table_names() == ["kept"]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_pytest_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    """A second pytest starts servers, and is ended in the middle of its test."""
    (tmp_path / "test_inner.py").write_text(
        textwrap.dedent(
            """
            import signal
            def test_inner(redis_server, postgres, keeper):
                print("READY", redis_server.pid, postgres.pid, keeper.process.pid, keeper.folder, flush=True)
                signal.pause()
            """
        )
    )
    root = Path(__file__).parent.parent
    inner = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", "-p", "tests.conftest", f"--rootdir={root}", str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert inner.stdout is not None
    ready = next(line for line in inner.stdout if "READY" in line)
    *pids, folder = ready.split("READY", 1)[1].split()
    processes = [psutil.Process(int(pid)) for pid in pids]
    inner.send_signal(ending)
    inner.communicate(timeout=60)
    eventually(lambda: not any(is_alive(process) for process in processes), message="servers gone")
    eventually(lambda: not Path(folder).exists(), message="folder removed")


def test_a_missing_server_fails_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.services.binaries.find", lambda name: None)
    assert missing() == {
        "PostgreSQL": "postgresql",
        "RabbitMQ": "rabbitmq-server",
        "Redis": "redis-server",
        "MariaDB": "mariadb-server",
        "systemd-analyze": "systemd",
    }
    keeper = Keeper(tmp_path)
    with pytest.raises(NotInstalled, match="initdb is not installed"):
        Postgres(tmp_path / "pg", keeper)
    keeper.finish()
