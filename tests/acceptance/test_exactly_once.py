"""A thousand entries over a window of real time: each fire runs exactly once, and is in the history.

The short form has the three installations side by side in one window, which holds a full minute for the
sake of cron; the long form has each by itself, and so its figures of lateness mean something.
"""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from beatd.store.models import entries
from tests.acceptance.workload import MINUTE, Planned, boundaries, workload
from tests.processes import Installation
from tests.waiting import eventually

ENTRIES = 1000
#: Seconds from now until the window may begin: the entries are written meanwhile.
LEAD = timedelta(seconds=5)

PAIRS = {
    "PostgreSQL + RabbitMQ": ("postgres_url", "rabbit_url"),
    "SQLite + embedded": ("sqlite_url", None),
    "MariaDB + Redis": ("mariadb_url", "redis_url"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Side by side, or in the long form one after the other."""
    long = metafunc.config.getoption("--acceptance")
    metafunc.parametrize("pairs", [[pair] for pair in PAIRS] if long else [list(PAIRS)], ids=" / ".join)


@pytest.fixture
def installed(pairs: list[str], request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Installation]:
    # the embedded broker by its URL: without one an app of the operator's brings its own
    embedded = f"beatd://{tmp_path}/broker"
    servers = [[name and request.getfixturevalue(name) for name in PAIRS[pair]] for pair in pairs]
    install = request.getfixturevalue("install")  # after the servers, to end before them
    app = "tests.acceptance.project:app"
    return {
        pair: install(database, broker or embedded, BEATD_CELERY_APP=app)
        for pair, (database, broker) in zip(pairs, servers, strict=True)
    }


@pytest.mark.timeout(400)
def test_each_fire_runs_exactly_once_and_is_in_the_history(
    installed: dict[str, Installation],
    acceptance_seconds: int,
    note_taker: Callable[[Installation], str],
    measured: Callable[[str], None],
) -> None:
    for installation in installed.values():
        installation.upgrade()
        installation.scheduler(ready=False)
        installation.worker(ready=False)
    for installation in installed.values():
        for process, words in zip(installation.processes, ("daemon.ready", "worker.ready"), strict=True):
            process.tells(words)
    start, end = _window(next(iter(installed.values())).now(), timedelta(seconds=acceptance_seconds))

    planned = {}
    for pair, installation in installed.items():
        url = note_taker(installation)
        planned[pair] = workload(ENTRIES, start, end, installation.shell, url)
        installation.add_all([entry.columns for entry in planned[pair]])

    for pair, installation in installed.items():
        expected = _expected(installation, planned[pair])
        left = (end - installation.now()).total_seconds()
        installation.await_runs(len(expected), max(left, 0) + 120)
        eventually(lambda: installation.now() > end, max(left, 0) + 60)  # noqa: B023
        _compare(installation, expected)
        for line in _lateness(pair, installation):
            measured(line)


def _window(now: datetime, length: timedelta) -> tuple[datetime, datetime]:
    start = now.replace(microsecond=0) + LEAD
    if not boundaries(start + timedelta(seconds=1), start + length):
        start = start.replace(second=0) + MINUTE - length / 2
    return start, start + length


def _expected(installation: Installation, planned: list[Planned]) -> set[tuple[str, datetime]]:
    with installation.database.read() as connection:
        created = {
            row.name: row.created_at
            for row in connection.execute(select(entries.c.name, entries.c.created_at))
        }
    return {(entry.name, fire) for entry in planned for fire in entry.fires_since(created[entry.name])}


def _compare(installation: Installation, expected: set[tuple[str, datetime]]) -> None:
    notes = installation.ledger()
    ran = Counter((note.entry, note.fire_time) for note in notes)
    history = installation.runs()
    assert Counter(ran.values()).keys() <= {1}, f"ran twice: {[key for key, n in ran.items() if n > 1][:5]}"
    assert sorted(expected - ran.keys())[:5] == [], "expected, but not in the ledger"
    assert sorted(ran.keys() - expected)[:5] == [], "in the ledger, but not expected"
    assert {(run.name, run.fire_time) for run in history} == expected
    assert len(history) == len(expected)
    assert [run for run in history if run.state != "succeeded"][:5] == []
    assert [run for run in history if run.published_at is None][:5] == []
    assert {run.id for run in history} == {note.run_id for note in notes}
    assert installation.rows("SELECT * FROM suppressions") == []
    broken = installation.rows("SELECT error FROM timers WHERE state = 'broken'")
    assert broken == []


def _lateness(pair: str, installation: Installation) -> Iterator[str]:
    runs = installation.runs()
    for what, instants in (
        ("published", [(run.published_at, run.due_time) for run in runs]),
        ("started", [(run.started_at, run.due_time) for run in runs]),
    ):
        late = sorted((at - due).total_seconds() * 1000 for at, due in instants)
        figures = {"median": statistics.median(late), "p99": late[len(late) * 99 // 100], "max": late[-1]}
        told = ", ".join(f"{name} {value:.0f} ms" for name, value in figures.items())
        yield f"{pair}: {len(late)} runs {what} late by {told}"


@pytest.fixture
def note_taker() -> Iterator[Callable[[Installation], str]]:
    """Starts a web server that writes its visitors into the ledger of an installation; its URL."""
    servers = []

    def start(installation: Installation) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                run = f"{self.headers['Beatd-Fire-Time']} {self.headers['Idempotency-Key']}"
                with installation.ledger_file.open("a") as ledger:
                    ledger.write(f"{self.path.strip('/')} {run}\n")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
