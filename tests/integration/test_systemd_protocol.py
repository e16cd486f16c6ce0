"""What the daemon tells its service manager, read from the socket as systemd would."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import Installation
from tests.waiting import eventually


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        self.told: list[str] = []

    def has(self, assignment: str) -> bool:
        self._read()
        return any(assignment in told.splitlines() for told in self.told)

    def count(self, message: str) -> int:
        self._read()
        return self.told.count(message)

    def has_line_with(self, words: str) -> bool:
        self._read()
        return any(words in told for told in self.told)

    def clear(self) -> None:
        self._read()
        self.told.clear()

    def _read(self) -> None:
        while True:
            try:
                self.told.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def test_ready_watchdog_reload_stop(
    manager: Manager, sqlite_url: str, install: Callable[..., Installation]
) -> None:
    installation = install(sqlite_url, "", NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="400000")
    scheduler = installation.scheduler(ready=False)
    eventually(lambda: manager.has_line_with("STATUS=waiting: database sqlite:"))
    assert not manager.has("READY=1"), "ready before the first pass"
    assert not manager.has("WATCHDOG=1")
    installation.upgrade()
    eventually(lambda: manager.has("READY=1"))
    assert "daemon.ready" in scheduler.text()

    def fed_quickly() -> bool:
        manager.clear()
        began = time.monotonic()
        eventually(lambda: manager.count("WATCHDOG=1") >= 10)
        return time.monotonic() - began < 8

    eventually(fed_quickly, message="fed more than once a second, as was asked for")
    eventually(lambda: manager.has_line_with("STATUS=published 0"))

    manager.clear()
    scheduler.signal(signal.SIGHUP)
    eventually(lambda: manager.has("READY=1"))
    [reloading] = [told for told in manager.told if told.startswith("RELOADING=1")]
    microseconds = int(reloading.partition("MONOTONIC_USEC=")[2])
    assert 0 <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - microseconds < 10_000_000
    order = [told.splitlines()[0] for told in manager.told if not told.startswith(("STATUS", "WATCHDOG"))]
    assert order == ["RELOADING=1", "READY=1"]

    manager.clear()
    assert scheduler.stop() == 0
    assert manager.has("STOPPING=1")


def test_trouble_is_in_the_status_line(
    manager: Manager, sqlite_url: str, install: Callable[..., Installation]
) -> None:
    """A broker that is away does not keep the daemon from being ready: it records."""
    url = "amqp://user:secret@127.0.0.1:9//"
    installation = install(sqlite_url, url, NOTIFY_SOCKET=str(manager.path))
    installation.upgrade()
    scheduler = installation.scheduler()
    eventually(lambda: manager.has("READY=1"))
    eventually(lambda: manager.has_line_with("STATUS=waiting: broker amqp://user:**@127.0.0.1:9"))
    assert not manager.has_line_with("secret")
    assert "secret" not in scheduler.text()


def test_not_ready_before_the_first_pass_is_done(
    manager: Manager, postgres_url: str, install: Callable[..., Installation]
) -> None:
    """It hangs in the database: neither READY nor WATCHDOG is told meanwhile."""
    installation = install(postgres_url, "", NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="400000")
    installation.upgrade()
    with installation.database.write() as connection:
        connection.exec_driver_sql("LOCK TABLE entry_changes IN ACCESS EXCLUSIVE MODE")
        installation.scheduler(ready=False)
        eventually(lambda: installation.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))
        assert not manager.has("READY=1")
    eventually(lambda: manager.has("READY=1"))


def test_the_watchdog_is_not_fed_while_a_loop_stalls(
    manager: Manager, sqlite_url: str, install: Callable[..., Installation]
) -> None:
    """The embedded broker's lock is held by another: the publishing loop waits for it, with no end."""
    timeouts = {"BEATD_DATABASE_STATEMENT_TIMEOUT": "1s", "BEATD_BROKER_CONFIRM_TIMEOUT": "1s"}
    watched = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    installation = install(sqlite_url, "", **timeouts, **watched)
    installation.upgrade()
    scheduler = installation.scheduler()
    eventually(lambda: manager.has("WATCHDOG=1"))
    with locked(installation.folder / "state" / "broker" / "exchanges" / ".lock"):
        installation.add("tick", every="1s", **installation.shell())
        scheduler.tells("loop.stalled loops=")
        assert 'loops="[\\"publish\\"]"' in scheduler.text()
        manager.clear()
        told = scheduler.text().count("loop.stalled")
        eventually(lambda: scheduler.text().count("loop.stalled") >= told + 5)
        assert manager.count("WATCHDOG=1") == 0
    eventually(lambda: manager.has("WATCHDOG=1"))


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
