"""Plain SQL on `entries` while the daemon runs: it takes effect at once, as of the instant of the edit."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from beatd.store.models import entry_versions, timers
from tests.processes import Installation, Process
from tests.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def scheduler(installation: Installation) -> Process:
    return installation.scheduler()


@pytest.fixture
def installation(database_url: str, request: pytest.FixtureRequest) -> Installation:
    """On each of the three databases, with the embedded broker and a queue that nobody reads."""
    made: Installation = request.getfixturevalue("install")(database_url, "")
    made.upgrade()
    made.broker().declare("nobody")
    return made


def test_every_kind_of_edit_takes_effect(
    installation: Installation, scheduler: Process, measured: Callable[[str], None]
) -> None:
    took: dict[str, float] = {}
    where = "WHERE name = 'job'"

    def edit(what: str, statement: str, effect: Callable[[], Any], **parameters: Any) -> None:
        installation.sql(statement, **parameters)
        began = time.monotonic()
        eventually(effect, interval=0.002, message=f"effect of: {what}")
        took[what] = time.monotonic() - began

    insert = (
        "INSERT INTO entries (name, cron, timezone, task, args, queue)"
        " VALUES ('job', '0 3 1 1 *', 'Europe/Berlin', 'record', '[\"old\"]', 'nobody')"
    )
    edit("insert", insert, lambda: getattr(_timer(installation), "next_fire_at", None))
    planned = _timer(installation)
    local = planned.next_fire_at.isoformat()
    assert local.endswith("-01-01T02:00:00+00:00")

    edit(
        "arguments",
        f"UPDATE entries SET args = '[\"new\"]' {where}",
        lambda: _timer(installation).planned_version == 2,
    )
    assert _timer(installation).next_fire_at == planned.next_fire_at, "what it runs, not when"

    edit("pause", f"UPDATE entries SET enabled = false {where}", lambda: _state(installation) == "paused")
    assert _timer(installation).next_fire_at is None
    edit("resume", f"UPDATE entries SET enabled = true {where}", lambda: _state(installation) == "active")
    assert _timer(installation).next_fire_at == planned.next_fire_at

    edit("nonsense", f"UPDATE entries SET cron = '61 * * * *' {where}", lambda: _is_broken(installation))
    assert "61" in _timer(installation).error

    mended = f"UPDATE entries SET cron = NULL, every = '1s' {where}"
    edit("schedule", mended, lambda: _state(installation) == "active")
    [message, *_] = eventually(lambda: installation.broker().peek("nobody"))
    assert (message.entry, message.args) == ("job", ["new"])

    edit("delete", f"DELETE FROM entries {where}", lambda: _timer(installation).state == "completed")
    count = len(installation.runs())
    eventually(lambda: "published" in installation.states())
    now = installation.now()
    eventually(lambda: installation.now() > now + timedelta(seconds=2))
    assert len(installation.runs()) == count, "a deleted entry fired"

    name = installation.database.dialect.name
    figures = ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in took.items())
    measured(f"edits by SQL on {name} took effect after: {figures}")


def test_fires_go_by_the_version_that_was_valid_at_their_instant(
    sqlite_url: str, postgres_url: str, mariadb_url: str, install: Callable[..., Installation]
) -> None:
    """Edits at any moment, beside an entry that is broken. All databases side by side."""
    everywhere = [install(url, "") for url in (sqlite_url, postgres_url, mariadb_url)]
    for installation in everywhere:
        installation.upgrade()
        installation.broker().declare("nobody")
        installation.scheduler()
        installation.add("bad", every="1 fortnight", task="record", queue="nobody")
    start = everywhere[-1].now().replace(microsecond=0) + 2 * SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "expires": "10m"}
    for installation in everywhere:
        installation.add("job", task="record", args="[0]", queue="nobody", **rule)
    for number in range(1, 5):
        at = start + 0.83 * number * SECOND
        eventually(lambda at=at: everywhere[0].now() >= at, interval=0.001)  # type: ignore[misc]
        for installation in everywhere:
            installation.sql("UPDATE entries SET args = :args WHERE name = 'job'", args=f"[{number}]")
    eventually(lambda: everywhere[0].now() > start + 5.5 * SECOND)
    for installation in everywhere:
        installation.sql("UPDATE entries SET enabled = false WHERE name = 'job'")
    for installation in everywhere:
        _assert_fires_go_by_their_versions(installation, start)
        [broken] = installation.rows("SELECT error FROM timers WHERE state = 'broken'")
        assert "1 fortnight" in broken.error


def _assert_fires_go_by_their_versions(installation: Installation, start: datetime) -> None:
    versions = _versions(installation, "job")
    paused = versions[-1][1]
    expected = [start + k * SECOND for k in range((paused - start) // SECOND + 1)]
    eventually(lambda: installation.states() == {"published": len(expected)})
    messages = installation.broker().take("nobody")
    assert sorted(message.fire_time for message in messages) == expected
    for message in messages:
        valid = max(version for version, since in versions if since < message.fire_time)
        assert message.args == [valid - 1], message


def test_edits_while_no_daemon_ran_are_settled_as_of_their_instants(installation: Installation) -> None:
    start = installation.now().replace(microsecond=0) + SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "expires": "10m"}
    installation.add("job", task="record", args="[0]", queue="nobody", **rule)
    installation.add("gone", task="record", args="[0]", queue="nobody", **rule)
    edits = ["args = '[1]'", "enabled = false", "enabled = true"]
    at = start + SECOND / 2
    for change in edits:
        eventually(lambda at=at: installation.now() >= at)  # type: ignore[misc]
        installation.sql(f"UPDATE entries SET {change} WHERE name = 'job'")
        at = installation.now() + SECOND  # a fire lies between each two, however slow this machine is
    installation.sql("DELETE FROM entries WHERE name = 'gone'")
    installation.scheduler()
    eventually(lambda: installation.rows("SELECT * FROM suppressions"))
    installation.sql("UPDATE entries SET enabled = false")
    (_, _), (_, changed), (_, paused), (_, resumed), *_ = _versions(installation, "job")
    deleted = _versions(installation, "gone")[-1][1]
    gone = {("gone", k): [0] for k in range((deleted - start) // SECOND + 1)}
    eventually(lambda: len(installation.runs()) >= len(gone) + 2)
    eventually(lambda: installation.states().keys() == {"published"})

    messages = installation.broker().take("nobody")
    ran = {(message.entry, (message.fire_time - start).total_seconds()): message.args for message in messages}
    assert {key: args for key, args in ran.items() if key[0] == "gone"} == gone
    valid = [k for k in range((resumed - start) // SECOND + 1) if start + k * SECOND <= resumed]
    before = {k: [0] if start + k * SECOND <= changed else [1] for k in valid if start + k * SECOND <= paused}
    assert list(before.values()).count([0]) > 0 < list(before.values()).count([1])
    assert {k: ran.get(("job", k)) for k in valid} == {k: before.get(k) for k in valid}, "none while paused"
    query = "SELECT reason, count FROM suppressions ORDER BY id"
    assert tuple(installation.rows(query)[0]) == ("paused", len(valid) - len(before))


def _timer(installation: Installation) -> Any:
    query = select(timers).where(
        timers.c.entry_id.in_(select(entry_versions.c.entry_id).where(entry_versions.c.name == "job"))
    )
    with installation.database.read() as connection:
        return connection.execute(query).one_or_none()


def _state(installation: Installation) -> str:
    return str(getattr(_timer(installation), "state", None))


def _is_broken(installation: Installation) -> bool:
    return _state(installation) == "broken"


def _versions(installation: Installation, name: str) -> list[tuple[int, datetime]]:
    table = entry_versions
    query = select(table.c.version, table.c.changed_at).where(table.c.name == name).order_by(table.c.version)
    with installation.database.read() as connection:
        return [(row.version, row.changed_at) for row in connection.execute(query)]
