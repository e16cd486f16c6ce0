"""What the faults need to know of the installation that they hurt. The suite's world has this shape."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.faults.injectors.clock import Clock
from tests.faults.injectors.proxy import Proxy


class Handle(Protocol):
    """One node or worker: a process that keeps its name, address and folder through every restart."""

    name: str
    #: What it talks through; empty and None where it goes straight to the servers. One proxy per host of the
    #: database's URL, in their order.
    database_proxies: Sequence[Proxy]
    broker_proxy: Proxy | None
    #: What shifts its wall clock, if it was started with `clock.environment()`.
    clock: Clock | None
    #: The folder with the package that `restart` starts (as the working folder of `python -m beatd`) or None:
    #: the repository's own.
    package: Path | None

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool: ...

    def kill9(self) -> None:
        """SIGKILL to it and everything below it; returns when they are gone."""

    def signal(self, number: signal.Signals) -> None:
        """To the process itself."""

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, and wait; the exit status."""

    def restart(self) -> None:
        """Start it again, if it does not run; does not wait until it is ready."""


class World(Protocol):
    nodes: Sequence[Handle]
    workers: Sequence[Handle]
    #: `tests.services`: Postgres, Replicated, MariaDB; None for SQLite.
    database: Any
    #: The name of beatd's database in that server; for SQLite the file's path.
    database_name: str
    #: `tests.services`: RabbitMQ, Redis; None for the embedded broker.
    broker: Any
    #: After how many seconds of silence the others take a node's work over (the greater of
    #: `scheduler.lease` and `scheduler.node_timeout`).
    lease: float
    #: A folder that the faults may write to, readable by every user.
    folder: Path
    #: The variables of an installation's processes (BEATD_…), for commands that a fault runs.
    env: dict[str, str]
