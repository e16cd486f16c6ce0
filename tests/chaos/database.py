"""The simulated database: SQLite in memory with the real schema and triggers, its time the world's.

What the nodes' statements do is SQLite's, real. Simulated is what lies between them and the server: when a
transaction begins, whether its commit takes effect, whether its answer arrives, who waits for whom. Writers
come one after the other, as in SQLite; what two open transactions of PostgreSQL or MariaDB see of each
other, and the locks of single rows, is the matter of the fault suite on real servers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import StaticPool

from beatd.errors import DatabaseUnavailable
from beatd.store import schema
from beatd.store.dialects import LOCK_TIMEOUT, SQLite
from beatd.store.engine import Database
from tests.chaos.faults import ANY_STEP, Faults
from tests.chaos.world import START, Process, World

#: Seconds after which a server ends a transaction in which nothing happens. Those who wait for it wait less.
_IDLE_TRANSACTION = 12.0

#: Always the same, for run ids are made with it.
INSTALLATION = "5eed5eed-5eed-45ee-8eed-5eed5eed5eed"

_PLAIN = sqlite3.connect(":memory:", check_same_thread=False)


class Server:
    """One SQLite connection and the engine around it, used for one history after the other."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.engine = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"isolation_level": None, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", self._connect)
        event.listen(self.engine, "begin", _begin)
        self.connection = self.engine.connect()
        self.raw: sqlite3.Connection = self.connection.connection.driver_connection  # type: ignore[assignment]
        self.begin_history(None)
        self._set_up()

    def begin_history(self, world: World | None, image: bytes | None = None) -> None:
        self.world = world
        self.away_until = 0.0
        #: who is in the middle of a transaction
        self.holder: Process | None = None
        if image is not None:
            self.raw.deserialize(image)

    def image(self) -> bytes:
        return self.raw.serialize()

    def _set_up(self) -> None:
        schema.upgrade(Plain(self))
        self.raw.execute("UPDATE installation SET id = ?", (INSTALLATION,))
        self.empty = self.image()

    def _connect(self, connection: sqlite3.Connection, record: object) -> None:
        connection.create_function("strftime", -1, self._strftime)

    def _strftime(self, form: str, *given: Any) -> Any:
        """SQLite's, but for what `now` is."""
        if given and given[0] == "now":
            now = START if self.world is None else self.world.now
            if len(given) == 2 and given[1].endswith(" seconds"):
                now, given = now + timedelta(seconds=float(given[1][:-8])), given[:1]
            if len(given) == 1 and form in _KNOWN_FORMS:
                # SQLite's clock has milliseconds
                return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}{_KNOWN_FORMS[form]}"
            given = (now.strftime("%Y-%m-%d %H:%M:%S.%f"), *given[1:])
        marks = ", ".join("?" * (1 + len(given)))
        return _PLAIN.execute(f"SELECT strftime({marks})", (form, *given)).fetchone()[0]


_KNOWN_FORMS = {"%Y-%m-%dT%H:%M:%f": "", "%Y-%m-%dT%H:%M:%f000Z": "000Z"}


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class Plain(Database):
    """As operators and workers use it: nothing comes in between, they come back where it is away."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.engine, SQLite())
        self._server = server

    def now(self, connection: Connection) -> datetime:
        return START if self._server.world is None else self._server.world.now

    @property
    def there(self) -> bool:
        """Whether a transaction could begin at this moment."""
        server = self._server
        return server.holder is None and (server.world is None or server.world.real >= server.away_until)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._translated():
            if not self.there:
                raise DatabaseUnavailable("away")
            transaction = self._server.connection.begin()
            try:
                yield self._server.connection
            finally:
                transaction.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._translated():
            if not self.there:
                raise DatabaseUnavailable("away")
            with self._server.connection.begin():
                yield self._server.connection


class Faulty(Plain):
    """As a node sees it, from one of its loops: every step may be the last, or be heard of wrongly."""

    def __init__(self, server: Server, process: Process, faults: Faults) -> None:
        super().__init__(server)
        self._process = process
        self._faults = faults

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self._reach()
        with super().read() as connection:
            yield connection
        self._reach()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._reach()
        with super().write() as connection:
            yield connection
            fault = self._faults.strikes("commit failed", "deadlock", "commit slow", *ANY_STEP)
            if fault is not None:
                self._disturb(fault)
        fault = self._faults.strikes("commit's answer lost")
        self._reach()
        if fault is not None:
            self._tell("commit's answer is lost")
            raise DatabaseUnavailable("server closed the connection unexpectedly")

    def _disturb(self, fault: str) -> None:
        """Within the transaction, before its commit."""
        process, server, random = self._process, self._server, self._process.world.random
        self._tell(f"before commit: {fault}")
        if fault == "commit failed":
            raise DatabaseUnavailable("commit failed")
        if fault == "deadlock":
            raise DatabaseUnavailable("deadlock detected")
        held, frozen = random.uniform(0.5, 8.0), 0.0
        server.holder = process
        try:
            if fault == "node killed":
                process.crash()
            if fault == "node paused":
                frozen = random.uniform(1.0, 30.0)
                process.freeze(frozen)
                held = min(frozen, _IDLE_TRANSACTION)
            process.sleep(held, even_frozen=True)
        finally:
            server.holder = None
        # the server ends what it waits for in vain
        if server.away_until > process.world.real or held < frozen:
            raise DatabaseUnavailable("terminating connection due to idle-in-transaction timeout")

    def _reach(self) -> None:
        """A step between two of this process; others go on meanwhile."""
        process, world = self._process, self._process.world
        fault = self._faults.strikes(*ANY_STEP)
        if fault is not None:
            self._tell(fault)
            if fault == "node killed":
                process.crash()
            process.freeze(world.random.uniform(1.0, 30.0))
        process.sleep(world.random.random() * 0.004)
        patience = world.real + LOCK_TIMEOUT
        while self._server.holder is not None:
            if world.real > patience:
                raise DatabaseUnavailable("database is locked")
            process.sleep(0.1 + world.random.random() * 0.1)
        if world.real < self._server.away_until:
            raise DatabaseUnavailable("connection refused")

    def _tell(self, text: str) -> None:
        self._process.world.tell(self._process.name, text)
