"""Runs for fires of a past range, on each database: which, how fast, marked by what; and taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from beatd.errors import FieldError, InvalidInput, NotFound
from beatd.operations import backfill, calendars, entries, pausing
from beatd.operations.backfill import Backfill
from beatd.operations.context import Context
from beatd.planning.task import run_id
from beatd.store import overlaps, schema
from beatd.store.ends import ENDED
from beatd.store.models import audit, nudges
from beatd.store.models import entries as entries_table
from beatd.store.models import runs as table

#: Daily at 02:30 in Berlin: over the night in March in which that time is skipped.
NIGHTLY = {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "shell": "x"}
FIRES = (
    datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
)
RANGE = ("2026-03-28T02:30", "2026-03-30T02:30")
SECOND = timedelta(seconds=1)


def rows(context: Context, source: Any) -> list[Any]:
    with context.database.read() as connection:
        order = [audit.c.id] if source is audit else []
        return list(connection.execute(select(source).order_by(*order)))


def recorded(context: Context) -> list[Any]:
    """Oldest fire first."""
    return sorted(rows(context, table), key=lambda row: row.fire_time)


def execute(context: Context, statement: Any) -> None:
    with context.database.write() as connection:
        connection.execute(statement)


def entry(context: Context, name: str = "nightly", **options: Any) -> int:
    return entries.add(context, name, NIGHTLY | options).id


def record(
    context: Context, entry_id: int, fire_time: datetime, state: str, origin: str = "schedule"
) -> None:
    values = {
        "id": str(uuid4()),
        "entry_id": entry_id,
        "version": 1,
        "origin": origin,
        "fire_time": fire_time,
        "due_time": fire_time,
        "recorded_at": fire_time,
        "state": state,
        "lost_after": 86400,
    }
    execute(context, insert(table).values(**values))


def test_the_runs_of_a_range_go_into_the_outbox_one_after_the_other(context: Context) -> None:
    entry_id = entry(context, time_limit="2d", on_lost="rerun")
    made = backfill.backfill(context, "nightly", *RANGE, rate="2/s")
    # both bounds are in it, and daylight saving is what it was
    assert made.fire_times == FIRES
    kind, _, number = made.origin.partition(":")
    assert (kind, str(UUID(number))) == ("backfill", number)
    found = recorded(context)
    with context.database.read() as connection:
        installation = schema.installation_id(connection)
    for row, fire_time in zip(found, FIRES, strict=True):
        assert row.id == run_id(installation, entry_id, fire_time, made.origin)
        assert (row.fire_time, row.origin, row.version) == (fire_time, made.origin, 1)
        assert (row.state, row.owner, row.attempt, row.run_once) == ("pending", None, 0, True)
        # nobody waits for what is long over, but no run of it is too late
        assert row.expires_at is None
        assert row.due_time == row.lease_until
        assert (row.lost_after, row.reruns_left) == (4 * 86400, 3)
    assert [row.due_time - found[0].recorded_at for row in found] == [0 * SECOND, SECOND / 2, SECOND]
    assert [nudge.kind for nudge in rows(context, nudges)] == ["outbox"]
    [*_, last] = rows(context, audit)
    assert (last.action, last.who, last.entry_name) == ("backfill", "alice", "nightly")
    assert json.loads(last.detail) == {
        "origin": made.origin,
        "from": "2026-03-28T01:30:00Z",
        "to": "2026-03-30T00:30:00Z",
        "runs": 3,
        "overlap": "allow",
        "rate": "2/s",
        "missing": False,
    }


def test_in_a_queue_they_wait_for_each_other(context: Context) -> None:
    entry_id = entry(context)
    made = backfill.backfill(context, "nightly", *RANGE, overlap="queue")
    assert made.rate is None
    assert [(row.state, row.lease_until, row.awaited) for row in recorded(context)] == [
        ("held", None, True)
    ] * 3
    assert ENDED in [nudge.kind for nudge in rows(context, nudges)]
    # what the dispatcher then does: one, the oldest, and no other before it has ended
    for _ in range(2):
        with context.database.write() as connection:
            overlaps.release(connection, [entry_id], context.database.now(connection))
        assert [row.state for row in recorded(context)] == ["pending", "held", "held"]


def test_what_runs_already_is_waited_for(context: Context) -> None:
    entry_id = entry(context)
    record(context, entry_id, datetime.now(UTC), "started", "trigger:1")
    backfill.backfill(context, "nightly", *RANGE, overlap="queue")
    with context.database.write() as connection:
        overlaps.release(connection, [entry_id], context.database.now(connection))
    *held, running = recorded(context)
    assert [row.state for row in held] == ["held"] * 3
    assert running.awaited


@pytest.mark.parametrize(
    ("options", "asked", "overlap", "rate"),
    [
        ({}, {}, "allow", "10/s"),
        ({}, {"rate": "30/m"}, "allow", "30/m"),
        ({}, {"overlap": "queue"}, "queue", None),
        ({"overlap": "skip"}, {}, "queue", None),
        ({"overlap": "cancel"}, {}, "queue", None),
        ({"overlap": "queue"}, {"overlap": "allow", "rate": "1/h"}, "allow", "1/h"),
    ],
)
def test_how_they_follow_each_other(
    embedded: Context, options: dict[str, Any], asked: dict[str, Any], overlap: str, rate: str | None
) -> None:
    entry(embedded, **options)
    made = backfill.backfill(embedded, "nightly", *RANGE, **asked)
    assert (made.overlap, made.rate) == (overlap, rate)
    spans = {"10/s": SECOND / 10, "30/m": 2 * SECOND, "1/h": 3600 * SECOND}
    if rate is not None:
        first, second, _ = recorded(embedded)
        assert second.due_time - first.due_time == spans[rate]


def test_looking_makes_nothing(context: Context) -> None:
    entry(context)
    told = backfill.backfill(context, "nightly", *RANGE, dry_run=True)
    assert told.fire_times == FIRES
    assert rows(context, table) == rows(context, nudges) == []
    assert [row.action for row in rows(context, audit)] == ["add"]


def test_a_range_without_fires_makes_nothing(context: Context) -> None:
    entry(context)
    assert backfill.backfill(context, "nightly", "2026-03-28T03:00", "2026-03-28T23:00").fire_times == ()
    # an interval begins at its creation
    entries.add(context, "tick", {"every": "5m", "shell": "x"})
    assert backfill.backfill(context, "tick", "30d").fire_times == ()
    assert [row.action for row in rows(context, audit)] == ["add", "add"]


@pytest.mark.parametrize(
    ("state", "made_up"),
    [
        ("held", False),
        ("pending", False),
        ("published", False),
        ("started", False),
        ("retrying", False),
        ("succeeded", False),
        ("failed", True),
        ("revoked", True),
        ("expired", True),
        ("lost", True),
    ],
)
def test_only_what_is_missing(embedded: Context, state: str, made_up: bool) -> None:
    entry_id = entry(embedded)
    record(embedded, entry_id, FIRES[1], state)
    # a run at another time is none of these fires, nor is one of another entry
    record(embedded, entry_id, FIRES[1] + SECOND, "succeeded")
    record(embedded, entry(embedded, "other"), FIRES[0], "succeeded")
    made = backfill.backfill(embedded, "nightly", *RANGE, missing=True)
    assert (FIRES[1] in made.fire_times, made.left_out) == (made_up, 0 if made_up else 1)
    assert {FIRES[0], FIRES[2]} <= set(made.fire_times)


def test_twice_makes_them_twice_unless_told_otherwise(context: Context) -> None:
    entry(context)
    first, second = (backfill.backfill(context, "nightly", *RANGE) for _ in range(2))
    assert first.origin != second.origin
    assert len(recorded(context)) == 6
    third = backfill.backfill(context, "nightly", *RANGE, missing=True)
    assert (third.fire_times, third.left_out) == ((), 3)


def test_a_failed_run_is_missing_until_one_succeeds(context: Context) -> None:
    entry_id = entry(context)
    record(context, entry_id, FIRES[0], "failed")
    record(context, entry_id, FIRES[0], "succeeded", "backfill:1")
    record(context, entry_id, FIRES[1], "failed")
    made = backfill.backfill(context, "nightly", *RANGE, missing=True)
    assert (made.fire_times, made.left_out) == (FIRES[1:], 1)


def test_a_calendar_holds_of_the_past_too(embedded: Context) -> None:
    calendars.add(embedded, "closed", {"dates": "2026-03-29"})
    entry(embedded, calendar="closed")
    assert backfill.backfill(embedded, "nightly", *RANGE).fire_times == (FIRES[0], FIRES[2])


def test_what_is_paused_is_made_up_as_well(embedded: Context) -> None:
    entry(embedded)
    pausing.pause(embedded, ["nightly"])
    assert backfill.backfill(embedded, "nightly", *RANGE).fire_times == FIRES


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (FIRES[0], FIRES[2]),
        ("2026-03-28T01:30Z", "2026-03-30T00:30Z"),
        (datetime(2026, 3, 28, 2, 30), datetime(2026, 3, 30, 2, 30)),
    ],
)
def test_instants_are_given_as_elsewhere(embedded: Context, start: Any, end: Any) -> None:
    entry(embedded)
    assert backfill.backfill(embedded, "nightly", start, end).fire_times == FIRES


def test_how_long_ago(embedded: Context) -> None:
    entries.add(embedded, "hourly", {"cron": "@hourly", "shell": "x"})
    for start, end in (("5h", None), (timedelta(hours=5), timedelta(0)), ("5h", "0s")):
        if end == "0s":
            with pytest.raises(FieldError, match="longer than nothing"):
                backfill.backfill(embedded, "hourly", start, end, dry_run=True)
            continue
        assert len(backfill.backfill(embedded, "hourly", start, end, dry_run=True).fire_times) == 5


# options, what is asked for, what is said
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"start": "2026-03-30", "end": "2026-03-29"}, "from: '2026-03-30': is after the end of the range"),
    ({}, {"start": "2026-03-30", "end": "2999-01-01"}, "to: '2999-01-01': is in the future"),
    ({}, {"start": "2999-01-01"}, "from: '2999-01-01': is after the end of the range"),
    ({}, {"start": "soon"}, "from: 'soon': is not a date and time"),
    ({}, {"start": "1d", "rate": "10"}, "rate: '10': so many runs a second, minute or hour"),
    ({}, {"start": "1d", "rate": "0/s"}, "rate: '0/s'"),
    ({}, {"start": "1d", "rate": "10/d"}, "rate: '10/d'"),
    ({}, {"start": "1d", "rate": "10/s", "overlap": "queue"}, "rate: '10/s': is for overlap allow"),
    ({}, {"start": "1d", "overlap": "skip"}, "overlap: 'skip': one of allow, queue"),
    (
        {"cron": "@reboot", "timezone": None},
        {"start": "1d"},
        "cron: '@reboot': a boot entry has no fire times",
    ),
    (
        {"cron": None, "every": "1h", "fixed_delay": True},
        {"start": "1d"},
        "fixed_delay: True: its fires hang on the ends of its runs",
    ),
]


@pytest.mark.parametrize(("options", "asked", "said"), REFUSED)
def test_what_cannot_be_made_up(
    embedded: Context, options: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    entry(embedded, **options)
    with pytest.raises(FieldError) as refused:
        backfill.backfill(embedded, "nightly", **asked)
    assert str(refused.value).startswith(said)
    assert refused.value.example is not None
    field = {"from": "start", "to": "end"}.get(refused.value.field, refused.value.field)
    if field in asked and refused.value.example != "overlap = 'allow'":
        backfill.backfill(embedded, "nightly", **{**asked, field: refused.value.example}, dry_run=True)
    assert rows(embedded, table) == []


def test_a_queue_needs_reports(embedded: Context) -> None:
    entry(embedded)
    silent = replace(embedded, reports=False)
    with pytest.raises(FieldError, match="overlap: 'queue': needs workers that report"):
        backfill.backfill(silent, "nightly", *RANGE, overlap="queue")
    assert backfill.backfill(silent, "nightly", *RANGE).overlap == "allow"


def test_of_what_there_is_not(embedded: Context) -> None:
    entry(embedded)
    with pytest.raises(NotFound, match="did you mean 'nightly'"):
        backfill.backfill(embedded, "nightl", "1d")
    execute(embedded, update(entries_table).values(cron="nonsense"))
    with pytest.raises(InvalidInput, match="entry nightly: cron: 'nonsense'"):
        backfill.backfill(embedded, "nightly", "1d")


def test_ten_thousand_at_the_most(context: Context) -> None:
    entries.add(context, "often", {"cron": "* * * * *", "shell": "x"})
    start = datetime(2026, 3, 1, tzinfo=UTC)
    last = start + timedelta(minutes=9_999)
    said = f"more than 10,000 fires came by then, the most of one call; they fit up to {last:%FT%TZ}"
    with pytest.raises(FieldError) as refused:
        backfill.backfill(context, "often", start, last + timedelta(minutes=1))
    assert refused.value.field == "to"
    assert refused.value.problem == said
    fitting = backfill.backfill(context, "often", start, refused.value.example, dry_run=True)
    assert len(fitting.fire_times) == 10_000
    assert rows(context, table) == []
    assert len(backfill.backfill(context, "often", start, last).fire_times) == 10_000
    assert len(rows(context, table)) == 10_000


# Taken back


def made(context: Context, **how: Any) -> Backfill:
    entry(context)
    return backfill.backfill(context, "nightly", *RANGE, **how)


@pytest.mark.parametrize("overlap", ["allow", "queue"])
def test_what_has_not_begun_is_revoked_at_once(context: Context, overlap: str) -> None:
    one = made(context, overlap=overlap)
    other = backfill.backfill(context, "nightly", *RANGE)
    taken, *_ = [row for row in recorded(context) if row.origin == one.origin]
    execute(context, update(table).where(table.c.id == taken.id).values(state="started"))
    assert backfill.revoke(context, one.origin) == (one.origin, 2)
    states = {(row.origin, row.state) for row in recorded(context)}
    assert states == {(one.origin, "started"), (one.origin, "revoked"), (other.origin, "pending")}
    ended = [row for row in recorded(context) if row.state == "revoked"]
    assert {(row.reason, row.lease_until) for row in ended} == {("revoked by alice", None)}
    assert all(row.finished_at is not None for row in ended)
    last = rows(context, audit)[-1]
    assert (last.action, json.loads(last.detail)) == ("revoke backfill", {"origin": one.origin, "runs": 2})
    # whatever waited for one of them is looked at
    assert ENDED in [nudge.kind for nudge in rows(context, nudges)]
    with pytest.raises(NotFound):
        backfill.revoke(context, one.origin)


def test_a_run_that_is_being_published_is_left_alone(context: Context) -> None:
    one = made(context)
    first, *_ = recorded(context)
    owned = {"owner": str(uuid4()), "lease_until": datetime.now(UTC) + timedelta(minutes=1)}
    execute(context, update(table).where(table.c.id == first.id).values(**owned))
    assert backfill.revoke(context, one.origin)[1] == 2
    assert [row.state for row in recorded(context)] == ["pending", "revoked", "revoked"]


def test_the_beginning_of_the_mark_is_enough(embedded: Context) -> None:
    one = made(embedded)
    backfill.backfill(embedded, "nightly", *RANGE)
    with pytest.raises(FieldError, match="several begin so; give more of it; for example 'backfill:"):
        backfill.revoke(embedded, "backfill:")
    for bad in ("backfill:%", "backfill:x_", "schedule"):
        with pytest.raises(FieldError, match="not the mark of a backfill"):
            backfill.revoke(embedded, bad)
    assert backfill.revoke(embedded, one.origin[:17]) == (one.origin, 3)
