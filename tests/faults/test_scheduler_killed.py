"""kill -9 of the scheduler at the points between deciding, recording, publishing and marking.

After a restart every run is published under the same id, and a run-once task executes once, however
often its message came.
"""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta

import pytest

from tests.processes import Installation
from tests.waiting import eventually

RUNS = 25


SERVERS = "PostgreSQL + RabbitMQ"
EMBEDDED = "SQLite + embedded"


@pytest.fixture(params=[SERVERS, EMBEDDED])
def installation(request: pytest.FixtureRequest) -> Installation:
    names = ("postgres_url", "rabbit_url") if request.param == SERVERS else ("sqlite_url",)
    database, broker = [*map(request.getfixturevalue, names), ""][:2]
    made: Installation = request.getfixturevalue("install")(database, broker)
    made.upgrade()
    return made


@pytest.mark.parametrize(
    ("installation", "point", "recorded", "deliveries"),
    [
        (SERVERS, "before-commit", 0, {1: RUNS}),
        (SERVERS, "after-commit", RUNS, {1: RUNS}),
        (SERVERS, "before-publish", RUNS, {1: RUNS}),
        (SERVERS, "after-confirm", RUNS, {2: RUNS}),
        (SERVERS, "after-mark", RUNS, {1: RUNS}),
        (EMBEDDED, "after-commit", RUNS, {1: RUNS}),
        (EMBEDDED, "after-confirm", RUNS, {2: RUNS}),
    ],
    indirect=["installation"],
)
def test_killed_at(installation: Installation, point: str, recorded: int, deliveries: dict[int, int]) -> None:
    _write_entries_that_are_due(installation)
    killed = installation.scheduler(ready=False, BEATD_SCHEDULER_FAULT_POINT=point)
    assert killed.wait() == -signal.SIGKILL
    before = {run.id for run in installation.runs()}
    assert len(before) == recorded

    installation.scheduler()
    _await_all_published(installation)
    counted = Counter(message.run_id for message in installation.broker().peek("beatd"))
    assert Counter(counted.values()) == deliveries
    assert before <= counted.keys() == {run.id for run in installation.runs()}

    installation.worker()
    installation.await_runs(RUNS)
    eventually(lambda: installation.broker().count("beatd") == 0)
    assert installation.states() == {"succeeded": RUNS}
    assert Counter(note.run_id for note in installation.ledger()) == dict.fromkeys(counted, 1)


@pytest.mark.parametrize("installation", [SERVERS], indirect=True)
def test_killed_in_the_second_of_three_batches(installation: Installation) -> None:
    """Only what was published and not yet marked comes twice."""
    _write_entries_that_are_due(installation)
    killed = installation.scheduler(
        ready=False, BEATD_SCHEDULER_FAULT_POINT="after-confirm:2", BEATD_SCHEDULER_BATCH="10"
    )
    assert killed.wait() == -signal.SIGKILL
    installation.scheduler()
    _await_all_published(installation)
    counted = Counter(message.run_id for message in installation.broker().peek("beatd"))
    assert counted.keys() == {run.id for run in installation.runs()}
    assert Counter(counted.values()) == {1: RUNS - 10, 2: 10}
    installation.worker()
    installation.await_runs(RUNS)
    assert Counter(note.run_id for note in installation.ledger()) == dict.fromkeys(counted, 1)


@pytest.mark.parametrize("installation", [SERVERS], indirect=True)
def test_killed_between_the_commit_of_reports_and_their_acknowledgement(installation: Installation) -> None:
    """They come again, and change nothing."""
    _write_entries_that_are_due(installation)
    killed = installation.scheduler(ready=False, BEATD_SCHEDULER_FAULT_POINT="after-report")
    installation.worker()
    assert killed.wait() == -signal.SIGKILL
    installation.scheduler()
    installation.await_runs(RUNS)
    assert installation.states() == {"succeeded": RUNS}
    assert len(installation.ledger()) == RUNS


@pytest.mark.parametrize("installation", [SERVERS], indirect=True)
def test_killed_again_and_again(installation: Installation) -> None:
    """At the n-th pass each time, with fires going on: nothing is missing in the end."""
    start = installation.now() + timedelta(seconds=3)
    end = start + timedelta(seconds=20)
    limits = {"start_at": start.isoformat(), "end_at": end.isoformat(), "expires": "10m"}
    names = [f"e{number}" for number in range(5)]
    installation.add_all([{"name": name, "every": "1s", **limits, **installation.shell()} for name in names])
    assert installation.now() < start, "this machine is too slow: written after they were due"
    installation.worker()
    for point in ("after-confirm:2", "after-commit:3", "after-confirm:1", "before-publish:2"):
        killed = installation.scheduler(ready=False, BEATD_SCHEDULER_FAULT_POINT=point)
        assert killed.wait() == -signal.SIGKILL
    installation.scheduler()
    installation.await_runs(105, 90)
    expected = {(name, start + timedelta(seconds=k)) for name in names for k in range(21)}
    assert Counter((note.entry, note.fire_time) for note in installation.ledger()) == dict.fromkeys(
        expected, 1
    )
    assert installation.states() == {"succeeded": 105}


def _write_entries_that_are_due(installation: Installation) -> None:
    """They fire after they were written and before the scheduler starts: one pass records them all."""
    at = installation.now() + timedelta(seconds=0.5)
    installation.add_all(
        [{"name": f"e{n}", "at": at.isoformat(), **installation.shell()} for n in range(RUNS)]
    )
    assert installation.now() < at, "this machine is too slow: written after they were due"
    eventually(lambda: installation.now() > at)


def _await_all_published(installation: Installation) -> None:
    eventually(lambda: installation.states() == {"published": RUNS})
