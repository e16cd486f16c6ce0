"""kill -9 of a worker: the run that it had begun is lost, those that it had only taken are not."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tests.processes import Installation
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
