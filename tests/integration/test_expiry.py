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
EXPIRES = timedelta(seconds=3)
#: How long the worker is away.
AWAY = timedelta(seconds=7)


@pytest.mark.parametrize("pair", PAIRS)
def test_stale_runs_are_expired_and_the_current_one_runs(
    pair: str, request: pytest.FixtureRequest, acceptance_seconds: int
) -> None:
    database, broker = (name and request.getfixturevalue(name) for name in PAIRS[pair])
    installation: Installation = request.getfixturevalue("install")(database, broker or "")
    installation.upgrade()
    installation.scheduler()
    worker = installation.worker()
    installation.add("tick", every="1s", expires="3s", **installation.shell())
    eventually(lambda: len(installation.ledger()) >= 2)
    assert worker.stop() == 0

    left = installation.now()
    eventually(lambda: installation.now() > left + AWAY, 20)
    waiting = installation.broker().count("beatd")
    fired_away = sum(run.fire_time > left for run in installation.runs())
    assert fired_away >= 6
    if broker and broker.startswith("amqp"):
        assert waiting <= 4, "the broker kept messages whose time to live had passed"
    else:
        assert waiting >= fired_away - 1, "such a broker keeps them: the worker has to drop them"

    back = installation.now()
    installation.worker()
    eventually(lambda: any(note.fire_time > back for note in installation.ledger()))
    installation.sql("UPDATE entries SET enabled = false")
    if broker and broker.startswith("amqp"):
        _let_a_minute_pass(installation, really=acceptance_seconds > 20)
    eventually(lambda: not {"published", "started", "pending"} & installation.states().keys(), 30)

    _assert_only_fresh_runs_were_executed(installation, left, back)
    if not broker:  # the embedded broker: the worker that dropped them says so
        assert all(run.worker for run in installation.runs() if run.state == "expired")


def _assert_only_fresh_runs_were_executed(installation: Installation, left: datetime, back: datetime) -> None:
    executed = {note.run_id for note in installation.ledger()}
    history = installation.runs()
    stale = [run for run in history if run.fire_time > left and run.expires_at < back]
    assert len(stale) >= 3
    assert {run.state for run in stale} == {"expired"}
    assert not executed & {run.id for run in stale}
    assert executed == {run.id for run in history if run.state == "succeeded"}
    fresh = [run for run in history if run.fire_time >= back]
    assert {run.state for run in fresh} == {"succeeded"}
    # nothing was dropped in silence: a run for each second
    fire_times = [run.fire_time for run in history]
    assert len(fire_times) == (fire_times[-1] - fire_times[0]) / timedelta(seconds=1) + 1


def _let_a_minute_pass(installation: Installation, *, really: bool) -> None:
    """No report tells of what the broker dropped: it counts as expired a minute after its expiry."""
    if really:
        now = installation.now()
        eventually(lambda: installation.now() > now + timedelta(seconds=65), 80)
    else:
        installation.sql(
            "UPDATE runs SET expires_at = expires_at - interval '1 minute' WHERE state = 'published'"
        )


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
