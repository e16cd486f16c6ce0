"""How an edit changes the coming fires, before it is made: each story with its before and after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from beatd.errors import InvalidInput, NotFound
from beatd.operations import calendars, entries, previews
from beatd.operations.context import Context
from beatd.operations.previews import Fire, FiresChange, fires_change
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import Surroundings
from beatd.schedules import parse_date_set
from beatd.store.entries import StoredEntry, Timer
from beatd.store.models import audit, timers
from beatd.store.models import entries as table

#: A Wednesday, noon in Berlin.
NOW = datetime(2026, 11, 25, 11, tzinfo=UTC)
CREATED = datetime(2026, 11, 1, tzinfo=UTC)
CLOSED = Surroundings(
    "Europe/Berlin", {"closed": parse_date_set("2026-12-24"), "weekend": parse_date_set(None, "sat,sun")}
)
DAILY = {"cron": "0 9 * * *"}


def defined(columns: dict[str, Any]) -> Definition:
    return parse_definition({"name": "e", "task": "t", **columns}, created_at=CREATED, surroundings=CLOSED)


def change(before: dict[str, Any], after: dict[str, Any], runs_made: int = 0) -> FiresChange | None:
    timer = Timer(1, "active", None, None, None, runs_made)
    entry = StoredEntry(1, 1, CREATED, CREATED, {"name": "e"}, timer)
    return fires_change(entry, defined(before), defined(after), NOW)


def told(fires: tuple[Fire, ...]) -> list[str]:
    """`26 09:00 gone`: day and time in Berlin, and the mark."""
    zone = defined(DAILY).timezone
    return [
        f"{fire.fire_time.astimezone(zone):%d %H:%M}{'' if fire.mark == 'same' else f' {fire.mark}'}"
        for fire in fires
    ]


# before, after; the next fires of each, and where those are the same the first that are not
CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str], list[str], list[str]]] = [
    (
        DAILY,
        {"cron": "30 10 * * *"},
        ["26 09:00 gone", "27 09:00 gone", "28 09:00 gone"],
        ["26 10:30 new", "27 10:30 new", "28 10:30 new"],
        [],
    ),
    # every second one goes
    (
        {"cron": "0 */6 * * *"},
        {"cron": "0 */12 * * *"},
        ["25 18:00 gone", "26 00:00", "26 06:00 gone"],
        ["26 00:00", "26 12:00", "27 00:00"],
        [],
    ),
    # nothing changes at once
    (
        DAILY,
        {"cron": "0 9 * * 1-5"},
        ["26 09:00", "27 09:00", "28 09:00 gone"],
        ["26 09:00", "27 09:00", "30 09:00"],
        [],
    ),
    (
        DAILY,
        {**DAILY, "calendar": "closed"},
        ["26 09:00", "27 09:00", "28 09:00"],
        ["26 09:00", "27 09:00", "28 09:00"],
        ["24 09:00 gone"],
    ),
    (
        {"cron": "0 9 * * 4", "calendar": "closed"},
        {"cron": "0 9 * * 4", "calendar": "closed", "calendar_action": "next"},
        ["26 09:00", "03 09:00", "10 09:00"],
        ["26 09:00", "03 09:00", "10 09:00"],
        ["25 09:00 new"],
    ),
    # other zones have other instants
    (
        DAILY,
        {**DAILY, "timezone": "Europe/London"},
        ["26 09:00 gone", "27 09:00 gone", "28 09:00 gone"],
        ["26 10:00 new", "27 10:00 new", "28 10:00 new"],
        [],
    ),
    # an end, and a number of runs
    (
        DAILY,
        {**DAILY, "end_at": "2026-11-27"},
        ["26 09:00", "27 09:00 gone", "28 09:00 gone"],
        ["26 09:00"],
        [],
    ),
    (DAILY, {**DAILY, "max_runs": 6}, ["26 09:00", "27 09:00 gone", "28 09:00 gone"], ["26 09:00"], []),
    (
        {**DAILY, "max_runs": 6},
        {**DAILY, "max_runs": 7},
        ["26 09:00"],
        ["26 09:00", "27 09:00 new"],
        [],
    ),
    (
        {**DAILY, "max_runs": 8},
        {**DAILY, "max_runs": 10},
        ["26 09:00", "27 09:00", "28 09:00"],
        ["26 09:00", "27 09:00", "28 09:00"],
        ["29 09:00 new", "30 09:00 new"],
    ),
    # a pause until a time takes fires away, too
    (
        DAILY,
        {**DAILY, "paused_until": "2026-11-27T12:00"},
        ["26 09:00 gone", "27 09:00 gone", "28 09:00"],
        ["28 09:00", "29 09:00", "30 09:00"],
        [],
    ),
    # nobody knows when
    (DAILY, {"cron": "@reboot"}, ["26 09:00 gone", "27 09:00 gone", "28 09:00 gone"], [], []),
    (
        {"every": "1h", "fixed_delay": True},
        {"every": "1h"},
        [],
        ["25 13:00 new", "25 14:00 new", "25 15:00 new"],
        [],
    ),
]


@pytest.mark.parametrize(("before", "after", "gone", "new", "later"), CHANGES)
def test_the_next_fires_before_and_after(
    before: dict[str, Any], after: dict[str, Any], gone: list[str], new: list[str], later: list[str]
) -> None:
    found = change(before, after, runs_made=5)
    assert found is not None
    assert found.before is not None
    assert (told(found.before.fires), told(found.after.fires)) == (gone, new)
    assert told(found.later) == later


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DAILY, {**DAILY, "queue": "slow"}),
        (DAILY, {**DAILY, "enabled": False}),
        # another way to say the same
        (DAILY, {"cron": "00 09 * * *"}),
        (DAILY, {**DAILY, "timezone": "Europe/Berlin"}),
        ({"cron": "@reboot"}, {"cron": "@reboot", "timezone": "Asia/Tokyo"}),
    ],
)
def test_what_has_nothing_to_do_with_fires(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert change(before, after) is None


def test_a_rule_that_differs_beyond_what_is_looked_at_is_told_by_its_sentence() -> None:
    found = change(DAILY, {**DAILY, "end_at": "2029-01-01"})
    assert found is not None
    assert found.before is not None
    assert found.before.sentence != found.after.sentence
    assert found.later == ()


def test_jitter_moves_runs_and_no_fires() -> None:
    found = change(DAILY, {**DAILY, "jitter": "10m"})
    assert found is not None
    assert found.before is not None
    assert [fire.mark for fire in (*found.before.fires, *found.after.fires)] == ["same"] * 6
    delays = [fire.due_time - fire.fire_time for fire in found.after.fires]
    assert all(timedelta(0) <= delay < timedelta(minutes=10) for delay in delays)
    assert any(delays)
    # it hangs on the name
    found = change({**DAILY, "jitter": "10m"}, {**DAILY, "jitter": "10m", "name": "other"})
    assert found is not None


def test_of_a_rule_that_could_not_be_read_there_is_no_before() -> None:
    entry = StoredEntry(1, 1, CREATED, CREATED, {"name": "e"}, None)
    found = fires_change(entry, None, defined(DAILY), NOW)
    assert found is not None
    assert found.before is None
    assert told(found.after.fires) == ["26 09:00", "27 09:00", "28 09:00"]


# Asked of an installation


def test_a_preview_changes_nothing_and_says_what_the_change_does(context: Context) -> None:
    entries.add(context, "tick", {"cron": "0 9 * * *", "shell": "x"})
    told = previews.preview(context, "tick", {"cron": "30 10 * * *", "queue": "q"})
    assert told.changes == {"cron": ("0 9 * * *", "30 10 * * *"), "queue": (None, "q")}
    assert told.fires is not None
    assert entries.show(context, "tick").version == 1
    after = entries.change(context, "tick", {"cron": "30 10 * * *", "queue": "q"})
    assert after.next_fire_time == told.fires.after.fires[0].fire_time
    with context.database.read() as connection:
        assert [row.action for row in connection.execute(select(audit).order_by(audit.c.id))] == [
            "add",
            "change",
        ]


def test_an_edit_as_a_whole(context: Context) -> None:
    entries.add(context, "tick", {"every": "5m", "shell": "x", "queue": "q"})
    told = previews.preview(context, "tick", {"every": "5m", "shell": "x"}, replace=True)
    assert told == previews.Preview({"queue": ("q", None)}, None)


def test_what_the_change_would_refuse_the_preview_refuses(context: Context) -> None:
    entry = entries.add(context, "tick", {"every": "5m", "shell": "x"})
    with context.database.write() as connection:
        timer = {"entry_id": entry.id, "planned_version": 1, "planned_from": entry.created_at, "planner": 2}
        connection.execute(insert(timers).values(**timer, state="active", runs_made=3))
    for options in ({"every": "5"}, {"max_runs": 3}, {"end_at": "2020-01-01"}, {"calendar": "none"}):
        errors = []
        for ask in (previews.preview, entries.change):
            with pytest.raises(InvalidInput) as refused:
                ask(context, "tick", options)  # type: ignore[operator]
            errors.append(str(refused.value))
        assert errors[0] == errors[1]
    with pytest.raises(NotFound):
        previews.preview(context, "tock", {"every": "1h"})


def test_a_broken_entry_that_is_put_right(context: Context) -> None:
    entries.add(context, "tick", {"every": "5m", "shell": "x"})
    with context.database.write() as connection:
        connection.execute(update(table).values(every="nonsense"))
    told = previews.preview(context, "tick", {"every": "1h"})
    assert told.fires is not None
    assert told.fires.before is None
    assert told.fires.after.sentence == "every hour"


def test_an_outlook(context: Context) -> None:
    calendars.add(context, "weekends", {"weekdays": "sat,sun"})
    entries.add(context, "tick", {"cron": "0 9 * * *", "calendar": "weekends", "shell": "x"})
    outlook = previews.outlook(context, "tick")
    assert outlook.sentence == "at 09:00 every day, UTC, except on the days of calendar 'weekends'"
    assert len(outlook.fires) == 3
    assert all(fire.fire_time.isoweekday() < 6 for fire in outlook.fires)
