"""Where a storm takes place: a database and a broker, private ones of this run or the caller's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beatd.broker.configured import configured_app
from beatd.config import Settings
from tests.services.keeper import Keeper
from tests.services.mariadb import MariaDB
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.services.redis import Redis
from tests.services.server import Server

PAIRS = {
    "postgresql-rabbitmq": (Postgres, RabbitMQ),
    "postgresql-redis": (Postgres, Redis),
    "mariadb-redis": (MariaDB, Redis),
    "sqlite-embedded": (None, None),
}
#: The queue of everything that is measured; beatd's default.
QUEUE = "beatd"


@dataclass
class Place:
    """Everything in `folder` goes when the run ends; so do processes given to `keeper`."""

    name: str
    folder: Path
    keeper: Keeper
    database: Server | None = None
    broker: Server | None = None
    given: dict[str, str] = field(default_factory=dict)

    def corner(self) -> Corner:
        """A fresh database and an empty queue."""
        folder = Path(tempfile.mkdtemp(prefix="corner-", dir=self.folder))
        return Corner(self, folder, self._database_url(folder), self._broker_url())

    def servers(self) -> dict[str, str]:
        return {server.name: server.version for server in (self.database, self.broker) if server is not None}

    def _database_url(self, folder: Path) -> str:
        if isinstance(self.database, Postgres | MariaDB):
            return self.database.url(self.database.create_database())
        return self.given.get("database", f"sqlite:///{folder}/beatd.db")

    def _broker_url(self) -> str:
        if isinstance(self.broker, RabbitMQ):
            return self.broker.url(self.broker.create_vhost())
        if isinstance(self.broker, Redis):
            return self.broker.url(self.broker.empty_database())
        return self.given.get("broker", "")


@dataclass(frozen=True)
class Corner:
    place: Place
    folder: Path
    database_url: str
    broker_url: str

    def settings(self) -> Settings:
        return Settings(
            state_dir=self.folder, database={"url": self.database_url}, broker={"url": self.broker_url}
        )

    def app(self) -> Any:
        """beatd's own Celery app on this broker."""
        return configured_app(self.settings())


@contextmanager
def private_place(pair: str) -> Iterator[Place]:
    """Starts the servers of a pair; ends them whatever happens."""
    with _kept_folder() as (folder, keeper):
        started = []
        for kind in PAIRS[pair]:
            server = kind(folder / kind.name.lower(), keeper) if kind else None
            if server is not None:
                server.start()
            started.append(server)
        yield Place(pair, folder, keeper, *started)


@contextmanager
def given_place(database_url: str, broker_url: str) -> Iterator[Place]:
    """The caller's own, which must be empty."""
    with _kept_folder() as (folder, keeper):
        names = [url.partition("://")[0].partition("+")[0] for url in (database_url, broker_url)]
        given = {"database": database_url, "broker": broker_url}
        yield Place("-".join(names), folder, keeper, given=given)


@contextmanager
def _kept_folder() -> Iterator[tuple[Path, Keeper]]:
    # In /tmp, not in $TMPDIR: socket paths must stay short, and the user postgres must get there.
    folder = Path(tempfile.mkdtemp(prefix="beatd-bench-", dir="/tmp"))
    folder.chmod(0o755)
    keeper = Keeper(folder)
    try:
        yield folder, keeper
    finally:
        keeper.finish()
        shutil.rmtree(folder, ignore_errors=True)
