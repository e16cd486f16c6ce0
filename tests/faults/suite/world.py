"""The installation that is hurt: private servers, three nodes, workers, each behind proxies of its own."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from tests.faults.injectors import clock as clocks
from tests.faults.injectors.clock import Clock
from tests.faults.injectors.proxy import Proxies, Proxy
from tests.processes import ROOT, Installation, Process
from tests.services.keeper import Keeper
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.services.redis import Redis
from tests.services.replicated import Replicated

PAIRS = ("servers", "replicated", "mariadb-redis", "embedded")

#: Short enough that minutes show what happens, long enough for a machine that is shared.
TIMES = {
    "BEATD_SCHEDULER_LEASE": "5s",
    "BEATD_SCHEDULER_HEARTBEAT": "1s",
    "BEATD_SCHEDULER_NODE_TIMEOUT": "5s",
    "BEATD_DATABASE_CONNECT_TIMEOUT": "3s",
    "BEATD_DATABASE_STATEMENT_TIMEOUT": "5s",
    "BEATD_BROKER_CONNECT_TIMEOUT": "3s",
    "BEATD_BROKER_CONFIRM_TIMEOUT": "4s",
    "BEATD_BROKER_HEARTBEAT": "6s",
    "BEATD_WORKER_CLAIM_LEASE": "10s",
}
LEASE = 5.0
#: A port on which nothing listens.
_NOBODY = 9
APP = "tests.faults.suite.project:app"


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without being told to."""

    name: str
    status: int
    log: Path


class Member:
    """One node or worker, through all its restarts: what the injectors call a handle."""

    def __init__(self, name: str, start: Callable[[Member], Process]) -> None:
        self.name = name
        self.database_proxies: list[Proxy] = []
        self.broker_proxy: Proxy | None = None
        self.clock: Clock | None = None
        self.package: Path | None = None
        #: whether it is down because a fault wants it so
        self.put_down = False
        self.starts = 0
        self._start = start
        self._lock = threading.RLock()
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def kill9(self) -> None:
        with self._lock:
            self.put_down = True
            self.process.kill9()

    def signal(self, number: signal.Signals) -> None:
        self.process.signal(number)

    def stop(self, timeout: float = 30) -> int:
        with self._lock:
            self.put_down = True
            return self.process.stop(timeout)

    def restart(self) -> None:
        with self._lock:
            if not self.running:
                self._process = self._start(self)
                self.starts += 1
            self.put_down = False

    def ended_by_itself(self) -> Ended | None:
        """None while it runs, or is down on purpose."""
        with self._lock:
            if self._process is None or self.put_down or self.running:
                return None
            return Ended(self.name, self._process.wait(), self._process.log)


class World:
    """`open` starts the servers, `start` the processes. Nothing outlives `close`, or this process."""

    def __init__(
        self, pair: str, folder: Path, *, nodes: int = 3, workers: int = 2, log_level: str = "info"
    ) -> None:
        self.pair = pair
        self.folder = folder
        self.lease = LEASE
        self.nodes = [Member(f"node{number}", self._start_node) for number in range(1, nodes + 1)]
        self.workers = [Member(f"worker{number}", self._start_worker) for number in range(1, workers + 1)]
        self.ended: list[Ended] = []
        self.database: Any = None
        self.database_name = ""
        self.broker: Any = None
        self._log_level = log_level
        self._stop = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    @property
    def members(self) -> list[Member]:
        return [*self.nodes, *self.workers]

    @property
    def env(self) -> dict[str, str]:
        return self.installation.env

    @property
    def ledgers(self) -> list[Path]:
        return sorted(self.folder.glob("*.ledger"))

    @property
    def versions(self) -> str:
        served = [f"{server.name} {server.version}" for server in (self.database, self.broker) if server]
        return " + ".join(served) or "SQLite + embedded"

    def open(self) -> None:
        # In /tmp, not in $TMPDIR: socket paths must stay short, and the user postgres must get there.
        self._run = Path(tempfile.mkdtemp(prefix="beatd-faults-", dir="/tmp"))
        self._run.chmod(0o755)
        self.keeper = Keeper(self._run)
        database_url, self.broker_url = self._served()
        env = {**TIMES, "BEATD_CELERY_APP": APP, "BEATD_LOG_LEVEL": self._log_level}
        self.installation = Installation(database_url, self.broker_url, self.folder, self.keeper, **env)
        self.installation.upgrade()
        self.proxies = Proxies()
        self._clocks = self._run / "clocks"
        self._clocks.mkdir()
        self._library = clocks.build(self._clocks)
        for member in self.members:
            self._equip(member)

    def start(self) -> None:
        """Returns when all are ready."""
        for member in self.members:
            member.restart()
        for member in self.nodes:
            member.process.tells("daemon.ready", 60)
        for member in self.workers:
            member.process.tells("worker.ready", 60)
        self._supervisor.start()

    def revive(self) -> None:
        """Everything runs again, whatever a fault left."""
        for server in (self.database, self.broker):
            if server is not None:
                server.start()
        for member in self.members:
            for proxy in (*member.database_proxies, member.broker_proxy):
                if proxy is not None:
                    proxy.set()
            if member.clock is not None:
                member.clock.set(0)
            member.restart()

    def end(self) -> dict[str, int]:
        """An orderly end of all processes; their exit statuses."""
        self._stop.set()
        self._supervisor.join(timeout=10)
        statuses = {}
        for member in self.members:
            if member.running:
                member.signal(signal.SIGTERM)
        for member in self.members:
            try:
                statuses[member.name] = member.process.wait(40)
            except Exception:
                statuses[member.name] = 1000  # it does not end
                member.kill9()
        return statuses

    def close(self) -> None:
        self._stop.set()
        for member in self.members:
            if member.running:
                member.kill9()
        self.installation.database.close()
        self.proxies.close()
        self.keeper.finish()
        shutil.rmtree(self._run, ignore_errors=True)

    # Servers

    @property
    def _nowhere(self) -> str:
        head, _, tail = self.broker_url.rpartition(":")
        return f";{head}:{_NOBODY}/{tail.partition('/')[2]}"

    def _served(self) -> tuple[str, str]:
        if self.pair in ("servers", "replicated"):
            kind = Replicated if self.pair == "replicated" else Postgres
            self.database = kind(self._run / "postgres", self.keeper)
            self.broker = RabbitMQ(self._run / "rabbit", self.keeper)
            self.database.start()
            self.broker.start()
            self.database_name = self.database.create_database()
            return self.database.url(self.database_name), self.broker.url(self.broker.create_vhost())
        if self.pair == "mariadb-redis":
            self.database = MariaDB(self._run / "mariadb", self.keeper)
            self.broker = Redis(self._run / "redis", self.keeper)
            self.database.start()
            self.broker.start()
            self.database_name = self.database.create_database()
            return self.database.url(self.database_name), self.broker.url(self.broker.empty_database())
        self.database_name = str(self.folder / "beatd.sqlite")
        return f"sqlite:///{self.database_name}", f"beatd://{self.folder}/broker"

    # Processes

    def _equip(self, member: Member) -> None:
        if self.database is not None:
            ports = self.database.ports if self.pair == "replicated" else [self.database.port]
            member.database_proxies = [self.proxies.open(port) for port in ports]
        if self.broker is not None:
            member.broker_proxy = self.proxies.open(self.broker.port)
        if member in self.nodes:
            member.clock = Clock(self._library, self._clocks / member.name)

    def _environment(self, member: Member) -> dict[str, str]:
        env = {}
        if self.pair == "replicated":
            ports = [proxy.port for proxy in member.database_proxies]
            env["BEATD_DATABASE_URL"] = self.database.url(self.database_name, ports)
        elif self.database is not None:
            env["BEATD_DATABASE_URL"] = _through(self.env["BEATD_DATABASE_URL"], member.database_proxies[0])
        if member.broker_proxy is not None:
            # Nodes that publish to different brokers refuse each other, and a proxy each looks like that: so
            # all have one more address, of a host that is never there.
            env["BEATD_BROKER_URL"] = _through(self.broker_url, member.broker_proxy, also=self._nowhere)
        if member.clock is not None:
            env |= member.clock.environment()
        env["PYTHONPATH"] = str(ROOT)  # for the suite's app, wherever the package is
        return env

    def _start_node(self, member: Member) -> Process:
        return self._begin(member, ["scheduler"], {"BEATD_SCHEDULER_NODE": member.name})

    def _start_worker(self, member: Member) -> Process:
        command = ["worker", "--concurrency", "1", "--name", member.name]
        return self._begin(member, command, {"FAULTS_LEDGER": str(self.folder / f"{member.name}.ledger")})

    def _begin(self, member: Member, command: list[str], env: dict[str, str]) -> Process:
        # the package of the folder that a module is started in comes before all others
        folder = member.package or ROOT
        env = {**self.env, **env, **self._environment(member)}
        name = f"{member.name}-{member.starts + 1}"
        return Process(name, command, env, self.folder, self.keeper, cwd=folder)

    def _supervise(self) -> None:
        """As systemd does with Restart=always."""
        while not self._stop.wait(1):
            for member in self.members:
                if ended := member.ended_by_itself():
                    self.ended.append(ended)
                    self._stop.wait(1)
                    member.restart()


def _through(url: str, proxy: Proxy, *, also: str = "") -> str:
    """The URL with the proxy's port. `also`: a second address, as nodes that share a broker have it."""
    if url.startswith(("amqp", "redis")):
        head, _, tail = url.rpartition(":")
        return f"{head}:{proxy.port}/{tail.partition('/')[2]}{also}"
    return make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
