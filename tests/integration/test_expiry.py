"""The worker is away while fires go on: what went stale meanwhile is never executed, what is current is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.processes import Installation
from tests.waiting import eventually

PAIRS = {
    "PostgreSQL + RabbitMQ": ("postgres_url", "rabbit_url"),
    "SQLite + embedded": ("sqlite_url", None),
    "MariaDB + Redis": ("mariadb_url", "redis_url"),
}
EXPIRES = timedelta(seconds=2)
#: How long the worker is away.
AWAY = timedelta(seconds=5)
UNFINISHED = {"pending", "published", "started"}


@pytest.fixture
def installed(request: pytest.FixtureRequest) -> list[Installation]:
    """All three, side by side: the test is about time that passes."""
    urls = [[name and request.getfixturevalue(name) for name in pair] for pair in PAIRS.values()]
    install = request.getfixturevalue("install")
    return [install(database, broker or "") for database, broker in urls]


def test_stale_runs_are_expired_and_the_current_one_runs(
    installed: list[Installation], acceptance_seconds: int
) -> None:
    workers = []
    for installation in installed:
        installation.upgrade()
        installation.scheduler(ready=False)
        workers.append(installation.worker())
        installation.add("tick", every="1s", expires="2s", **installation.shell())
    for installation, worker in zip(installed, workers, strict=True):
        eventually(lambda i=installation: len(i.ledger()) >= 2)  # type: ignore[misc]
        assert worker.stop() == 0

    left = installed[-1].now()
    eventually(lambda: installed[-1].now() > left + AWAY)
    for installation in installed:
        eventually(lambda i=installation: _fired_since(i, left) >= 4)  # type: ignore[misc]
        _await_what_such_a_broker_keeps(installation, _fired_since(installation, left))

    back = installed[0].now()
    for installation in installed:
        installation.worker(ready=False)
    for installation in installed:
        current = installation.now()
        _await_a_run_since(installation, current)
        installation.sql("UPDATE entries SET enabled = false")
        if _drops_by_itself(installation):
            _let_a_minute_pass(installation, really=acceptance_seconds > 20)
        eventually(lambda i=installation: not UNFINISHED & i.states().keys())  # type: ignore[misc]
        _assert_only_fresh_runs_were_executed(installation, left, back, current)


def _drops_by_itself(installation: Installation) -> bool:
    return installation.env["BEATD_BROKER_URL"].startswith("amqp")


def _await_what_such_a_broker_keeps(installation: Installation, fired: int) -> None:
    def waiting() -> int:
        return installation.broker().count("beatd")

    if _drops_by_itself(installation):
        eventually(lambda: waiting() <= 3, message="messages whose time to live has passed are gone")
    else:
        eventually(lambda: waiting() >= fired, message="messages are there for the worker to drop")


def _fired_since(installation: Installation, instant: datetime) -> int:
    return sum(run.fire_time > instant for run in installation.runs())


def _await_a_run_since(installation: Installation, instant: datetime) -> None:
    eventually(lambda: any(note.fire_time > instant for note in installation.ledger()))


def _assert_only_fresh_runs_were_executed(
    installation: Installation, left: datetime, back: datetime, current: datetime
) -> None:
    executed = {note.run_id for note in installation.ledger()}
    history = installation.runs()
    stale = [run for run in history if left < run.fire_time < back - EXPIRES]
    assert len(stale) >= 2
    assert {run.state for run in stale} == {"expired"}
    assert not executed & {run.id for run in stale}
    assert executed == {run.id for run in history if run.state == "succeeded"}
    by_worker = {bool(run.worker) for run in stale}
    assert by_worker == {not _drops_by_itself(installation)}, "who says that they expired"
    # On a machine that is busy some of the later ones may expire too; they must say so.
    later = [run for run in history if run.fire_time >= current]
    assert "succeeded" in {run.state for run in later} <= {"succeeded", "expired"}
    # nothing was dropped in silence: a run for each second
    fire_times = [run.fire_time for run in history]
    assert len(fire_times) == (fire_times[-1] - fire_times[0]) / timedelta(seconds=1) + 1


def _let_a_minute_pass(installation: Installation, *, really: bool) -> None:
    """No report tells of what the broker dropped: it counts as expired a minute after its expiry."""
    if really:
        now = installation.now()
        eventually(lambda: installation.now() > now + timedelta(seconds=65), 80)
    else:
        aged = "UPDATE runs SET expires_at = expires_at - interval '1 minute' WHERE expires_at < now()"
        installation.sql(aged)


def test_a_message_carries_the_rest_of_its_time_to_live(
    rabbit_url: str, sqlite_url: str, install: Callable[..., Installation]
) -> None:
    installation = install(sqlite_url, rabbit_url)
    installation.upgrade()
    installation.broker().declare("nobody")
    installation.scheduler()
    installation.add("tick", every="1s", expires="20s", queue="nobody", **installation.shell())
    installation.add("long", every="1s", expires="never", queue="nobody", **installation.shell())
    eventually(lambda: installation.broker().count("nobody") >= 4)
    for message in installation.broker().take("nobody"):
        left = message.properties.get("expiration")
        assert left is None if message.entry == "long" else 10_000 < int(left) <= 20_000
