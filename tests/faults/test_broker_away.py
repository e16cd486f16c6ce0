"""RabbitMQ is down when the daemon starts, or dies while runs are on their way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.processes import Installation
from tests.services.rabbit import RabbitMQ
from tests.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def installation(sqlite_url: str, rabbit_url: str, install: Callable[..., Installation]) -> Installation:
    installation = install(sqlite_url, rabbit_url)
    installation.upgrade()
    return installation


def test_down_at_start(installation: Installation, rabbit: RabbitMQ) -> None:
    """The daemon records what is due, says what it waits for, and publishes when the broker is there."""
    rabbit.stop()
    installation.scheduler()
    at = installation.now() + SECOND
    for number in range(3):
        installation.add(f"e{number}", at=at.isoformat(), **installation.shell())
    eventually(lambda: installation.states() == {"pending": 3})
    status = eventually(lambda: _status_with("waiting: broker amqp://", installation))
    assert "guest:guest" not in status, "a password in the status"

    rabbit.start()
    eventually(lambda: installation.states() == {"published": 3})
    eventually(lambda: "waiting" not in _status(installation))
    installation.worker()
    installation.await_runs(3)
    assert installation.states() == {"succeeded": 3}
    assert len(installation.ledger()) == 3


def test_killed_and_started_again(installation: Installation, rabbit: RabbitMQ) -> None:
    """Each fire has its run, and each run took place exactly once or is recorded as expired."""
    scheduler, worker = installation.scheduler(), installation.worker()
    start = installation.now().replace(microsecond=0) + 2 * SECOND
    for number in range(5):
        rule = {"every": "1s", "start_at": start.isoformat(), "expires": "10m"}
        installation.add(f"e{number}", **rule, **installation.shell())
    eventually(lambda: len(installation.ledger()) >= 10)
    rabbit.kill9()
    away = installation.now()
    eventually(lambda: _status_with("waiting: broker", installation))
    eventually(lambda: installation.now() > away + 3 * SECOND)
    rabbit.start()
    back = installation.now()
    eventually(lambda: any(note.fire_time > back for note in installation.ledger()))
    installation.sql("UPDATE entries SET enabled = false")
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'active'") == [])
    installation.await_runs(len(installation.runs()), 30)

    assert scheduler.running
    assert worker.running
    history = installation.runs()
    last = max(run.fire_time for run in history)
    fires = {(f"e{n}", start + k * SECOND) for n in range(5) for k in range((last - start) // SECOND)}
    assert fires <= {(run.name, run.fire_time) for run in history}, "a fire has no run"
    ran = Counter(note.run_id for note in installation.ledger())
    assert set(ran.values()) == {1}
    assert {run.state for run in history} <= {"succeeded", "expired"}
    assert ran.keys() == {run.id for run in history if run.state == "succeeded"}


def test_away_for_longer_than_a_worker_waits_with_its_report(
    installation: Installation, rabbit: RabbitMQ
) -> None:
    """What became of the run is not known to the history; the run does not stay open for ever."""
    installation.scheduler()
    installation.worker()
    at = installation.now() + SECOND
    done = installation.folder / "done"
    command = f'echo "$BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID" >> {{ledger}}; sleep 2; touch {done}'
    installation.add("job", at=at.isoformat(), **installation.shell(command))
    eventually(lambda: installation.states() == {"started": 1})
    rabbit.kill9()
    eventually(done.exists)
    ended = installation.now()
    eventually(lambda: installation.now() > ended + 6 * SECOND)
    rabbit.start()
    installation.add("next", every="1s", **installation.shell())
    eventually(lambda: any(note.entry == "next" for note in installation.ledger()))
    installation.sql("UPDATE entries SET enabled = false")
    assert len([note for note in installation.ledger() if note.entry == "job"]) == 1
    long_ago = "2026-01-01T00:00:00.000000Z"  # a minute is what it waits
    installation.sql("UPDATE claims SET ended_at = :at WHERE ended_at IS NOT NULL", at=long_ago)
    installation.await_runs(len(installation.runs()))
    [job] = [run for run in installation.runs() if run.name == "job"]
    assert (job.state, job.reason) == ("lost", "it has ended, but its worker could not report how")


def test_one_of_two_nodes_cannot_reach_it(
    postgres_url: str, rabbit_url: str, install: Callable[..., Installation]
) -> None:
    """What that node recorded is published by the other when its leases lapse."""
    installation = install(
        postgres_url, rabbit_url, BEATD_SCHEDULER_LEASE="8s", BEATD_BROKER_CONFIRM_TIMEOUT="2s"
    )
    installation.upgrade()
    installation.broker().declare("counted")
    let_in, shut_out = "guest:guest@", "guest:wrong@"
    assert let_in in rabbit_url
    cut_off = installation.scheduler(BEATD_BROKER_URL=rabbit_url.replace(let_in, shut_out))
    start = installation.now().replace(microsecond=0) + SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "expires": "10m", "queue": "counted"}
    for number in range(10):
        installation.add(f"e{number}", task="x", **rule)
    eventually(lambda: installation.states()["pending"] >= 10)
    installation.scheduler()
    eventually(lambda: installation.now() > start + 4 * SECOND)
    installation.sql("UPDATE entries SET enabled = false")
    eventually(lambda: installation.states().keys() == {"published"})
    assert cut_off.running
    assert {m.run_id for m in installation.broker().take("counted")} == {r.id for r in installation.runs()}


def _status(installation: Installation) -> str:
    [(status,)] = installation.rows("SELECT status FROM nodes")
    return str(status)


def _status_with(words: str, installation: Installation) -> str:
    status = _status(installation)
    return status if words in status else ""
