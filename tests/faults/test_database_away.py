"""PostgreSQL is down when the daemon starts, or dies while fires go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from beatd.clock import wall
from tests.processes import Installation
from tests.services.postgres import Postgres
from tests.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def installation(postgres_url: str, rabbit_url: str, install: Callable[..., Installation]) -> Installation:
    installation = install(postgres_url, rabbit_url, BEATD_CELERY_APP="tests.acceptance.project:app")
    installation.upgrade()
    return installation


def test_down_at_start(installation: Installation, postgres: Postgres) -> None:
    installation.add("job", every="1s", **installation.shell())
    installation.database.close()
    postgres.stop()
    scheduler = installation.scheduler(ready=False)
    worker = installation.worker()
    scheduler.tells("daemon.waiting")
    postgres.start()
    scheduler.tells("daemon.ready")
    eventually(lambda: installation.states()["succeeded"] >= 2)
    assert scheduler.text().count("daemon.waiting") <= 2, "says so once, not at every attempt"
    assert worker.running


def test_not_set_up_at_start(sqlite_url: str, install: Callable[..., Installation]) -> None:
    """It waits for `beatd init`, and says that this is what it waits for."""
    installation = install(sqlite_url, "")
    scheduler = installation.scheduler(ready=False)
    scheduler.tells("run 'beatd init'")
    installation.upgrade()
    scheduler.tells("daemon.ready")


def test_killed_and_started_again(installation: Installation, postgres: Postgres) -> None:
    """Fires of the time in between are made up for; each runs once."""
    scheduler, worker = installation.scheduler(), installation.worker()
    start = installation.now().replace(microsecond=0) + 2 * SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "expires": "10m"}
    for number in range(3):
        installation.add(f"shell{number}", **rule, **installation.shell())
        installation.add(f"task{number}", **rule, task="record")
    eventually(lambda: len(installation.ledger()) >= 12)
    postgres.kill9()
    scheduler.tells("database.unavailable")
    count, last_ran = len(installation.ledger()), max(note.fire_time for note in installation.ledger())
    eventually(lambda: wall() > last_ran + 4 * SECOND, message="fires that pass while it is away")
    postgres.start()
    eventually(lambda: len(installation.ledger()) >= count + 24)
    installation.sql("UPDATE entries SET enabled = false")
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'active'") == [])
    installation.await_runs(len(installation.runs()), 40)

    assert scheduler.running
    assert worker.running
    history = installation.runs()
    last = max(run.fire_time for run in history)
    names = [f"{kind}{n}" for kind in ("shell", "task") for n in range(3)]
    fires = {(name, start + k * SECOND) for name in names for k in range((last - start) // SECOND)}
    assert fires <= {(run.name, run.fire_time) for run in history}, "a fire has no run"
    assert {run.state for run in history} == {"succeeded"}
    ran = Counter(note.run_id for note in installation.ledger())
    assert ran.keys() == {run.id for run in history}
    once = {run.id for run in history if run.name.startswith("shell")}
    assert {ran[id_] for id_ in once} == {1}
    # a plain task may come twice: where the outcome of a publication could not be marked
    assert sum(ran.values()) - len(ran) <= 3
