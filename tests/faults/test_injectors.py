"""Every fault of the suite does what it says, one by one: what hurts nothing proves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg
import pytest
from kombu import Connection
from sqlalchemy.exc import OperationalError

from beatd.config import DatabaseSettings
from beatd.store import schema
from beatd.store.engine import Database
from tests.faults.injectors import INJECTORS, clock, versions
from tests.faults.injectors.clock import Clock
from tests.faults.injectors.clocks import ClockStep
from tests.faults.injectors.disks import FullDisk
from tests.faults.injectors.failover import Failover
from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.injectors.network import BlackHole, LostCommit, LostCommitAnswer, LostConfirm
from tests.faults.injectors.processes import KillNode, KillPoolChild, PauseNode, RestartNode
from tests.faults.injectors.proxy import Proxies, Proxy
from tests.faults.injectors.servers import DiskAlarm, KillBroker, MemoryAlarm
from tests.faults.injectors.sessions import (
    Blocker,
    ConnectionLimit,
    Deadlocks,
    KillSessions,
    Refusals,
    StatementTimeout,
)
from tests.faults.injectors.versions import Deploy
from tests.services.disk import Disk
from tests.services.keeper import Keeper, is_alive, kill_tree
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.services.replicated import Replicated
from tests.waiting import eventually

#: Has a child, says what time it is, and ends in good order.
PROGRAM = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child = subprocess.Popen(["sleep", "300"])
while True:
    open(sys.argv[1], "w").write(str(time.time()))
    time.sleep(0.02)
"""


class Dummy:
    """A process with the shape of a handle."""

    def __init__(self, name: str, folder: Path, keeper: Keeper) -> None:
        self.name = name
        self.database_proxies: list[Proxy] = []
        self.broker_proxy: Proxy | None = None
        self.clock: Clock | None = None
        self.package: Path | None = None
        self.started_from: list[Path | None] = []
        self._file = folder / name
        self._keeper = keeper
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def kill9(self) -> None:
        kill_tree(psutil.Process(self.pid))
        assert self._popen is not None
        self._popen.wait()

    def signal(self, number: signal.Signals) -> None:
        psutil.Process(self.pid).send_signal(number)

    def stop(self, timeout: float = 30) -> int:
        assert self._popen is not None
        self._popen.terminate()
        return self._popen.wait(timeout)

    def restart(self) -> None:
        if not self.running:
            self._file.unlink(missing_ok=True)
            env = self.clock.environment() if self.clock is not None else None
            command = [sys.executable, "-c", PROGRAM, str(self._file)]
            self._popen = subprocess.Popen(command, env=env, start_new_session=True)
            self._keeper.watch(self.pid)
            self.started_from.append(self.package)
            eventually(self.time)

    def time(self) -> float | None:
        """What it last took for the time."""
        return float(self._file.read_text() or 0) if self._file.exists() else None


@dataclass
class Small:
    """A world of a test: what the fault needs, and no more."""

    folder: Path
    database: Any = None
    database_name: str = ""
    broker: Any = None
    nodes: list[Dummy] = field(default_factory=list)
    workers: list[Dummy] = field(default_factory=list)
    lease: float = 5.0
    env: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def world(tmp_path: Path, keeper: Keeper) -> Iterator[Small]:
    world = Small(tmp_path, nodes=[Dummy("n1", tmp_path, keeper)], workers=[Dummy("w1", tmp_path, keeper)])
    yield world
    for handle in (*world.nodes, *world.workers):
        if handle.running:
            handle.kill9()


@pytest.fixture
def node(world: Small) -> Dummy:
    world.nodes[0].restart()
    return world.nodes[0]


def made(kind: type[Injector], world: Small, seed: int = 1, **chosen: Any) -> Any:
    """With what it would have chosen by the seed, where the test does not choose."""
    assert kind.applies(world)
    fault = kind(world, Random(seed))
    for name, value in chosen.items():
        assert hasattr(fault, name)
        setattr(fault, name, value)
    return fault


def test_each_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in INJECTORS}) == len(INJECTORS)


# Processes


def test_killed_and_started_again(world: Small, node: Dummy) -> None:
    [child] = psutil.Process(node.pid).children()
    fault = made(KillNode, world)
    assert fault.lasts == made(KillNode, world).lasts != made(KillNode, world, seed=2).lasts
    fault.inject()
    assert not node.running
    assert not is_alive(child)
    with pytest.raises(NothingToHurt):
        KillNode(world, Random(1))
    fault.heal()
    assert node.running


def test_a_pool_process_is_killed_alone(world: Small) -> None:
    [worker] = world.workers
    worker.restart()
    [child] = psutil.Process(worker.pid).children()
    assert str(child.pid) in made(KillPoolChild, world).inject()
    eventually(lambda: not is_alive(child))
    assert worker.running


def test_paused_with_its_children(world: Small, node: Dummy) -> None:
    family = [psutil.Process(node.pid), *psutil.Process(node.pid).children()]
    fault = made(PauseNode, world)
    fault.inject()
    eventually(lambda: all(one.status() == psutil.STATUS_STOPPED for one in family))
    fault.heal()
    eventually(lambda: all(one.status() != psutil.STATUS_STOPPED for one in family))


def test_restarted_in_good_order(world: Small, node: Dummy) -> None:
    before = node.pid
    assert "ended with 0" in made(RestartNode, world).inject()
    assert node.running
    assert node.pid != before


def test_the_clock_of_one_process_steps(world: Small) -> None:
    [node] = world.nodes
    node.clock = Clock(clock.build(world.folder), world.folder / "clock")
    world.database = object()
    node.restart()
    fault = made(ClockStep, world, by=-86400)
    fault.inject()
    eventually(lambda: abs((node.time() or 0) - time.time() + 86400) < 60)
    fault.heal()
    eventually(lambda: abs((node.time() or 0) - time.time()) < 60)


def test_another_version_and_back(world: Small, node: Dummy) -> None:
    fault = made(Deploy, world, handle=node)
    fault.inject()
    fault.heal()
    other = world.folder / "deployed"
    assert node.started_from == [None, other, None]
    told = subprocess.run(
        [sys.executable, "-m", "beatd", "--version"], cwd=other, capture_output=True, text=True
    )
    assert versions.version(other) in told.stdout
    assert versions.version(other) != versions.version(versions.ROOT)


# The broker


def test_alarms_block_who_publishes(world: Small, rabbit: RabbitMQ, rabbit_url: str) -> None:
    world.broker = rabbit
    for kind in (MemoryAlarm, DiskAlarm):
        with Connection(rabbit_url, transport_options={"confirm_publish": True}) as connection:
            queue = connection.SimpleQueue("q")
            queue.put("before", timeout=5)
            fault = made(kind, world)
            fault.inject()
            with pytest.raises(TimeoutError):
                queue.put("during", timeout=0.3)
            fault.heal()
        with Connection(rabbit_url) as connection:
            connection.SimpleQueue("q").put("after", timeout=5)
    assert rabbit.eval("rabbit_alarm:get_alarms().") == "[]"


def test_a_confirm_is_lost(world: Small, node: Dummy, rabbit: RabbitMQ, rabbit_url: str) -> None:
    proxies = Proxies()
    try:
        node.broker_proxy = proxies.open(rabbit.port)
        node.database_proxies = [proxies.open(1)]
        world.workers = []
        world.broker = rabbit
        fault = made(LostConfirm, world)
        url = rabbit_url.replace(f":{rabbit.port}/", f":{node.broker_proxy.port}/")
        with Connection(url, transport_options={"confirm_publish": True}) as connection:
            queue = connection.SimpleQueue("q")
            queue.put("heard", timeout=5)
            fault.inject()
            with pytest.raises(ConnectionResetError):
                queue.put("not heard", timeout=5)
        assert " lost" in fault.heal()
        with Connection(rabbit_url) as connection:  # the broker has it all the same
            assert connection.default_channel.queue_declare("q", passive=True).message_count == 2
    finally:
        proxies.close()


def test_the_broker_dies_and_is_back(world: Small, rabbit: RabbitMQ) -> None:
    world.broker = rabbit
    fault = made(KillBroker, world)
    fault.inject()
    assert not rabbit.running
    fault.heal()
    assert rabbit.running


# The database


@pytest.fixture(params=["postgres", "mariadb"])
def hurt(request: pytest.FixtureRequest, world: Small) -> Iterator[Database]:
    """A database with the schema, which is the world's; as beatd's own user."""
    server: Postgres | MariaDB = request.getfixturevalue(request.param)
    url = request.getfixturevalue(f"{request.param}_url")
    world.database, world.database_name = server, url.rpartition("/")[2]
    database = Database.open(url)
    schema.upgrade(database)
    rows = ", ".join(f"('e{number}', 'beatd.shell', '1h')" for number in range(3))
    with database.write() as connection:
        connection.exec_driver_sql(f"INSERT INTO entries (name, task, every) VALUES {rows}")
        connection.exec_driver_sql(
            "INSERT INTO timers (entry_id, planned_version, planned_from, planner, state)"
            " SELECT id, 1, CURRENT_TIMESTAMP, 1, 'active' FROM entries"
        )
    yield database
    database.close()


def changed(database: Database, table: str = "timers") -> int:
    """How many rows can be changed now, without a wait for others' locks."""
    key = "entry_id" if table == "timers" else "id"
    with database.write() as connection:
        wait = "SET lock_timeout = '300ms'"
        if database.dialect.name == "mariadb":
            wait = "SET innodb_lock_wait_timeout = 0, lock_wait_timeout = 1"
        connection.exec_driver_sql(wait)
        return connection.exec_driver_sql(f"UPDATE {table} SET {key} = {key}").rowcount or 3


def test_what_others_do_in_the_database(hurt: Database, world: Small) -> None:
    assert changed(hurt) == 3
    for kind, chosen in (
        (Blocker, {"tables": ["timers"], "rows": 10}),
        (StatementTimeout, {"table": "timers"}),
        (Refusals, {"table": "timers", "one_in": 1}),
    ):
        fault = made(kind, world, **chosen)
        fault.inject()
        with pytest.raises(Exception, match=r"(?i)lock|serialize"):
            changed(hurt)
        fault.heal()
        fault.heal()
        assert changed(hurt) == 3, kind


def connected(database: Database) -> Any:
    with suppress(OperationalError):
        return database.engine.connect()
    return None


def test_sessions_are_killed_and_limited(hurt: Database, world: Small) -> None:
    with hurt.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert "1 sessions killed: 1" in made(KillSessions, world, which="all").inject()
        with pytest.raises(Exception, match=r"(?i)terminat|lost|gone|closed|reset|killed"):
            connection.exec_driver_sql("SELECT 1")
    if isinstance(world.database, Postgres):
        # the limit is the role's: what other tests keep open counts, and connects again when it is wanted
        with world.database.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'beatd'")
    fault = made(ConnectionLimit, world, limit=1)
    fault.inject()
    try:
        hurt.engine.dispose()
        # the sessions that were killed count until they have ended
        with (
            eventually(lambda: connected(hurt)),
            pytest.raises(Exception, match=r"(?i)too many connections|max_user_conn"),
        ):
            hurt.engine.connect()
    finally:
        fault.heal()  # it is the server's that other tests use
    with hurt.engine.connect(), hurt.engine.connect():
        pass


def test_deadlocks_come_about(hurt: Database, world: Small) -> None:
    fault = made(Deadlocks, world)
    fault.inject()
    eventually(lambda: fault._counts["refused"] > 0, 30)
    fault.heal()
    assert changed(hurt) == 3


@pytest.mark.parametrize(("kind", "there"), [(LostCommitAnswer, 1), (LostCommit, 0)])
def test_commit_whose_answer_is_lost(
    kind: type[Injector], there: int, world: Small, node: Dummy, hurt: Database
) -> None:
    """With SQLAlchemy's own COMMIT, as beatd says it."""
    proxies = Proxies()
    try:
        node.database_proxies = [proxies.open(world.database.port)]
        world.workers = []
        fault = made(kind, world, times=1)
        [proxy] = node.database_proxies
        database = Database.open(world.database.url(world.database_name).replace(
            f":{world.database.port}/", f":{proxy.port}/"
        ))  # fmt: skip
        insert = "INSERT INTO entries (name, task, every) VALUES ('new', 'beatd.shell', '1h')"
        with database.read():  # on MariaDB, SQLAlchemy also says COMMIT when it has connected
            pass
        fault.inject()
        with pytest.raises(Exception, match="database "), database.write() as connection:
            connection.exec_driver_sql(insert)
        assert "1 lost" in fault.heal()
        database.close()
        query = "SELECT count(*) FROM entries WHERE name = 'new'"
        with hurt.read() as connection:
            assert connection.exec_driver_sql(query).scalar() == there
    finally:
        proxies.close()


def test_a_black_hole_before_the_database(world: Small, node: Dummy, postgres: Postgres) -> None:
    proxies = Proxies()
    try:
        node.database_proxies = [proxies.open(postgres.port)]
        world.workers = []
        fault = made(BlackHole, world, forgets=False)
        fault.inject()
        where = f"host=127.0.0.1 port={node.database_proxies[0].port} user=postgres connect_timeout=2"
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(where)
        fault.heal()
        psycopg.connect(where).close()
    finally:
        proxies.close()


def test_the_standby_takes_over_again_and_again(world: Small, keeper: Keeper) -> None:
    server = Replicated(keeper.folder / "replicated", keeper)
    server.start()
    try:
        world.database, world.database_name = server, server.create_database()
        # the URL is one that beatd's configuration takes as it is
        database = Database.configured(DatabaseSettings(url=server.url(world.database_name)), create=True)
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE seen (port int)")
        for orderly in (False, True):
            fault = made(Failover, world, orderly=orderly)
            old = server.port
            fault.inject()
            database.engine.dispose()
            with database.write() as connection:
                connection.exec_driver_sql("INSERT INTO seen SELECT inet_server_port()")
                ports = [row[0] for row in connection.exec_driver_sql("SELECT port FROM seen")]
            assert ports[-1] == server.port != old
            fault.heal()
        assert len(ports) == 2
        database.close()
    finally:
        server.stop()


def test_no_room_for_the_database(world: Small, keeper: Keeper) -> None:
    folder = keeper.folder / "small"
    disk = Disk(folder, 512)

    class OnDisk(Postgres):
        def prepare(self) -> None:
            self.folder = folder
            super().prepare()

    server = OnDisk(keeper.folder / "smaller", keeper)
    server.disk = disk  # type: ignore[attr-defined]
    server.start()
    try:
        world.database = server
        fault = made(FullDisk, world, leave=0)
        with server.admin() as connection:
            connection.execute("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 10)")
        fault.inject()
        with pytest.raises(psycopg.Error), server.admin() as connection:
            connection.execute("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 99999)")
        fault.heal()
        with server.admin() as connection:
            assert connection.execute("SELECT count(*) FROM filler").fetchone() == (10,)
    finally:
        server.kill9()
        disk.unmount()
