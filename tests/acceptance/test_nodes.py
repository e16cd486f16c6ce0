"""Two schedulers on one PostgreSQL, a hundred fires a second: no run missing, none doubled.

What was published is counted by a consumer of the test's own, from a queue that no worker reads.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from beatd.planning.task import run_id
from tests.processes import Installation, Message
from tests.waiting import eventually

RATE = 100
SECOND = timedelta(seconds=1)


@pytest.fixture
def installation(postgres_url: str, rabbit_url: str, install: Callable[..., Installation]) -> Installation:
    installation = install(postgres_url, rabbit_url)
    installation.upgrade()
    installation.broker().declare("counted")
    return installation


@pytest.fixture
def seconds(acceptance_seconds: int) -> int:
    """A minute in the long form."""
    return 60 if acceptance_seconds > 20 else 12


@pytest.mark.timeout(200)
def test_none_is_missing_and_none_doubled_in_a_minute(
    installation: Installation, acceptance_seconds: int, measured: Callable[[str], None]
) -> None:
    """A third of a minute in the short form."""
    nodes = [installation.scheduler(), installation.scheduler()]
    expected, end = _write_entries(installation, min(acceptance_seconds, 60))
    messages = _published(installation, len(expected), end)

    assert Counter(message.run_id for message in messages) == dict.fromkeys(expected, 1)
    assert {message.run_id: (message.entry, message.fire_time) for message in messages} == expected
    assert {run.id for run in installation.runs()} == expected.keys()
    assert installation.states() == {"published": len(expected)}
    assert {run.attempt for run in installation.runs()} == {1}

    assert [node.stop() for node in nodes] == [0, 0]
    shares = [int(re.findall(r"daemon.stopped published=(\d+)", node.text())[0]) for node in nodes]
    assert sum(shares) == len(expected)
    assert min(shares) > len(expected) // 20, "one node did all the work"
    late = sorted((run.published_at - run.due_time).total_seconds() * 1000 for run in installation.runs())
    p99, most = late[len(late) * 99 // 100], late[-1]
    measured(
        f"two nodes, {len(late)} runs at {RATE} a second, shares {shares[0]} and {shares[1]}: published late"
        f" by median {late[len(late) // 2]:.0f} ms, p99 {p99:.0f} ms, max {most:.0f} ms"
    )


@pytest.mark.timeout(200)
def test_one_is_killed_in_the_middle(installation: Installation, seconds: int) -> None:
    """None is missing; what comes twice has the same id, and was on its way when the node died."""
    seconds = seconds // 2
    installation.scheduler()
    victim = installation.scheduler()
    expected, end = _write_entries(installation, seconds)
    middle = end - seconds * SECOND / 2
    eventually(lambda: installation.now() > middle, seconds + 60, interval=0.001)
    victim.kill9()
    messages = _published(installation, len(expected), end)

    counted = Counter(message.run_id for message in messages)
    assert counted.keys() == expected.keys() == {run.id for run in installation.runs()}
    again = {run.id for run in installation.runs() if run.attempt > 1}
    assert {id_ for id_, count in counted.items() if count > 1} <= again
    assert max(counted.values()) <= 2
    assert all(abs(expected[id_][1] - middle) < 5 * SECOND for id_ in again)
    eventually(
        lambda: len(installation.rows("SELECT id FROM nodes")) == 1, message="the dead node's row is gone"
    )


@pytest.mark.timeout(200)
def test_one_stands_still_for_a_while(installation: Installation, seconds: int) -> None:
    """Stopped at any point, with leases, rows locked, messages on the wire. It wakes up into a world that
    went on, and does no harm there."""
    seconds = seconds // 2
    limits = {
        "BEATD_SCHEDULER_LEASE": "3s",
        "BEATD_BROKER_CONFIRM_TIMEOUT": "1s",
        "BEATD_DATABASE_STATEMENT_TIMEOUT": "2s",
    }
    nodes = [installation.scheduler(**limits), installation.scheduler(**limits)]
    expected, end = _write_entries(installation, seconds)
    middle = end - seconds * SECOND * 0.8
    eventually(lambda: installation.now() > middle, seconds + 60, interval=0.001)
    nodes[0].signal(signal.SIGSTOP)
    eventually(lambda: installation.now() > middle + 4.5 * SECOND)
    nodes[0].signal(signal.SIGCONT)
    messages = _published(installation, len(expected), end)

    counted = Counter(message.run_id for message in messages)
    assert counted.keys() == expected.keys() == {run.id for run in installation.runs()}
    again = {run.id for run in installation.runs() if run.attempt > 1}
    assert {id_ for id_, count in counted.items() if count > 1} <= again
    assert [node.stop() for node in nodes] == [0, 0]


def _write_entries(
    installation: Installation, seconds: int
) -> tuple[dict[str, tuple[str, datetime]], datetime]:
    """The ids of all runs that must be, computed from the rules: half of the entries fire at full seconds,
    the others spread over them."""
    start = installation.now().replace(microsecond=0) + 6 * SECOND
    end = start + (seconds - 1) * SECOND
    rows, fires = [], {}
    for number in range(RATE):
        anchor = start + max(0, number - RATE // 2) * SECOND / 60
        limits = {"start_at": anchor.isoformat(), "end_at": (end + SECOND * 0.99).isoformat()}
        rows.append({"name": f"n{number}", "every": "1s", "task": "x", "queue": "counted", **limits})
        rows[-1]["expires"] = "never"
        fires[f"n{number}"] = [anchor + k * SECOND for k in range(seconds)]
    installation.add_all(rows)
    assert installation.now() < start, "this machine is too slow: written after the window began"
    [(id_,)] = installation.rows("SELECT CAST(id AS text) FROM installation")
    ids = dict(row for row in map(tuple, installation.rows("SELECT name, id FROM entries")))
    expected = {
        run_id(id_, ids[name], at, "schedule"): (name, at)
        for name, instants in fires.items()
        for at in instants
    }
    assert len(expected) == RATE * seconds
    return expected, end + SECOND


def _published(installation: Installation, count: int, end: datetime) -> list[Message]:
    """Everything in the queue once the window is over and the outbox empty."""
    left = (end - installation.now()).total_seconds()

    def done() -> bool:
        return installation.now() > end + SECOND and installation.states().keys() == {"published"}

    eventually(done, max(0, left) + 60, interval=0.2)
    eventually(lambda: installation.broker().count("counted") >= count)
    return installation.broker().take("counted")
