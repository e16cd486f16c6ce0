"""kill -9 of a worker: the run that it had begun is lost, those that it had only taken are not."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest

from tests.processes import Installation, Process
from tests.services.keeper import signal_each
from tests.waiting import eventually


@pytest.mark.parametrize("broker", ["rabbit_url", None, "redis_url"], ids=["RabbitMQ", "embedded", "Redis"])
def test_the_begun_run_is_lost_the_others_are_executed(
    broker: str | None, sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    broker_url = request.getfixturevalue(broker) if broker else ""
    installation: Installation = request.getfixturevalue("install")(
        sqlite_url, broker_url, BEATD_WORKER_CLAIM_LEASE="2s"
    )
    installation.upgrade()
    installation.scheduler()
    worker = installation.worker(concurrency=1)
    at = installation.now() + timedelta(seconds=1)
    note = 'echo "$BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID" >> {ledger}'
    installation.add("long", at=at.isoformat(), **installation.shell(f"{note}; sleep 300"))
    eventually(lambda: installation.states() == {"started": 1})
    later = (installation.now() + timedelta(seconds=0.5)).isoformat()
    for number in range(4):
        installation.add(f"short{number}", at=later, **installation.shell())
    eventually(lambda: installation.states() == {"started": 1, "published": 4})
    worker.kill9()

    installation.worker(concurrency=1)
    installation.await_runs(5, 60)
    states = {run.name: run.state for run in installation.runs()}
    assert states == {"long": "lost", **{f"short{n}": "succeeded" for n in range(4)}}
    [lost] = [run for run in installation.runs() if run.name == "long"]
    assert "vanished" in lost.reason
    assert Counter(note.entry for note in installation.ledger()) == dict.fromkeys(states, 1)


def test_a_message_that_died_with_its_reader_is_published_again(
    sqlite_url: str, redis_url: str, install: Callable[..., Installation]
) -> None:
    """Redis forgets for long what a killed worker had taken; nobody claimed the run, so it is not lost."""
    installation = install(sqlite_url, redis_url)
    installation.upgrade()
    installation.broker().declare("beatd")
    installation.scheduler()
    at = (installation.now() + timedelta(seconds=1)).isoformat()
    installation.add("job", at=at, **installation.shell())
    [taken] = eventually(lambda: installation.broker().take("beatd"))
    eventually(lambda: installation.states() == {"published": 1})
    assert installation.broker().count("beatd") == 0
    long_ago = "2026-01-01T00:00:00.000000Z"  # half a minute is what it waits
    installation.sql("UPDATE runs SET published_at = :at", at=long_ago)
    installation.worker()
    installation.await_runs(1)
    [note] = installation.ledger()
    assert note.run_id == taken.run_id
    assert installation.states() == {"succeeded": 1}


@pytest.mark.parametrize("broker", ["rabbit_url", None, "redis_url"], ids=["RabbitMQ", "embedded", "Redis"])
def test_under_on_lost_rerun_the_begun_run_starts_again(
    broker: str | None, sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    """Three times at the most; a worker that was only paused does not spoil what the next one makes of it."""
    broker_url = request.getfixturevalue(broker) if broker else ""
    installation: Installation = request.getfixturevalue("install")(
        sqlite_url, broker_url, BEATD_WORKER_CLAIM_LEASE="2s"
    )
    installation.upgrade()
    installation.scheduler()
    go_on = installation.folder / "go-on"
    note = 'echo "$BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID" >> {ledger}'
    command = f"{note}; until test -e {go_on}; do sleep 0.1; done; echo $(cat {go_on})"
    at = (installation.now() + timedelta(seconds=1)).isoformat()
    installation.add("job", at=at, expires="1h", on_lost="rerun", **installation.shell(command))

    def begun(times: int) -> None:
        eventually(lambda: len(installation.ledger()) == times and installation.states() == {"started": 1})

    killed = installation.worker(concurrency=1)
    begun(1)
    killed.kill9()
    sleeper = installation.worker(concurrency=1)
    begun(2)
    _signal_all(sleeper, signal.SIGSTOP)
    installation.worker(concurrency=1)
    begun(3)
    go_on.write_text("whoever")
    installation.await_runs(1)
    [run] = installation.runs()
    assert (run.state, run.reason) == ("succeeded", "started again: its worker vanished")
    assert run.worker.startswith("w3@")
    _signal_all(sleeper, signal.SIGCONT)
    sleeper.tells("run.succeeded")
    at = (installation.now() + timedelta(seconds=1)).isoformat()
    installation.add("later", at=at, **installation.shell())
    installation.await_runs(2)  # whose report comes after the one of the sleeper
    assert next(one for one in installation.runs() if one.name == "job") == run


def _signal_all(process: Process, number: signal.Signals) -> None:
    """To it and what it started."""
    family = psutil.Process(process.pid)
    signal_each([family, *family.children(recursive=True)], number)
