"""A scheduler in shadow mode, as a process: it needs no broker, and asks for none."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.processes import Installation
from tests.waiting import eventually


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    """Where the broker would be: whoever came there would be in its backlog."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def installation(
    install: Callable[..., Installation], sqlite_url: str, broker: socket.socket
) -> Installation:
    made = install(sqlite_url, f"amqp://guest:guest@127.0.0.1:{broker.getsockname()[1]}//")
    made.upgrade()
    made.add("often", every="1s", **made.shell())
    return made


def test_nothing_but_the_record(installation: Installation, broker: socket.socket) -> None:
    shadow = installation.start("scheduler", "--shadow")
    shadow.tells("daemon.ready")
    installation.await_runs(2)
    assert set(installation.states()) == {"shadow"}
    ordinary = installation.start("scheduler")
    assert ordinary.wait() == 2
    assert "scheduler.shadow: False: node " in ordinary.text()
    assert "works on this database and is in shadow mode" in ordinary.text()
    eventually(lambda: "published nothing" in installation.rows("SELECT status FROM nodes")[0].status)
    assert shadow.stop() == 0
    assert "broker.unavailable" not in shadow.text()
    with pytest.raises(BlockingIOError):
        broker.accept()
    assert installation.ledger() == []


def test_up_starts_no_worker(installation: Installation, broker: socket.socket) -> None:
    up = installation.start("up", "--shadow")
    up.tells("Shadow mode: nothing is run")
    up.tells("often")
    up.signal(signal.SIGINT)
    assert up.wait() == 0
    assert "shadow in " in up.text()
    with pytest.raises(BlockingIOError):
        broker.accept()
    assert installation.rows("SELECT id FROM nodes") == []


def test_up_beside_the_other_mode_is_refused_before_it_says_anything_else(
    installation: Installation,
) -> None:
    shadow = installation.start("scheduler", "--shadow")
    shadow.tells("daemon.ready")
    up = installation.start("up", "--demo")
    assert up.wait() == 2
    (line,) = up.text().splitlines()
    assert "scheduler.shadow: False: node " in line
    assert {entry.name for entry in installation.rows("SELECT name FROM entries")} == {"often"}
    assert shadow.stop() == 0
