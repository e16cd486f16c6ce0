"""What will come of an entry: fires with their remarks, and those that become no runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import insert, update

from beatd.errors import FieldError, InvalidInput, NotFound
from beatd.operations import entries, pausing
from beatd.operations.context import Context
from beatd.operations.upcoming import upcoming
from beatd.planning.preview import Coming, Withheld
from beatd.store.models import entries as table
from beatd.store.models import timers


def test_coming_fire_times_are_strictly_after(embedded: Context) -> None:
    entries.add(embedded, "night", {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "shell": "x"})
    coming = upcoming(embedded, "night", 3, "2026-03-27T02:30:00")
    assert coming.fire_times == (
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # 02:30 is skipped: the first instant after the gap
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    )
    assert coming.timezone == "Europe/Berlin"
    instant = datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    assert upcoming(embedded, "night", 1, instant).fire_times[0] > instant
    now = datetime.now(UTC)
    times = upcoming(embedded, "night", 50).fire_times
    assert times[0] > now
    assert all(one < other for one, other in pairwise(times))
    for bad in (0, 10_001):
        with pytest.raises(FieldError, match="count"):
            upcoming(embedded, "night", bad)
    with pytest.raises(FieldError, match="after: 'soon'"):
        upcoming(embedded, "night", 1, "soon")


def timer(context: Context, name: str, **values: Any) -> None:
    """As a node would have written it."""
    entry_id = entries.show(context, name).id
    now = datetime.now(UTC)
    row = {"planned_from": now, "planned_version": 1, "planner": 2, "state": "active", **values}
    with context.database.write() as connection:
        connection.execute(insert(timers).values(entry_id=entry_id, **row))


def test_a_pause_that_ends_is_shown_and_one_by_hand_is_not_heeded(embedded: Context) -> None:
    entries.add(embedded, "night", {"cron": "30 2 * * *", "shell": "x"})
    free = upcoming(embedded, "night", 2)
    pausing.pause(embedded, ["night"])
    paused = upcoming(embedded, "night", 2)
    assert (paused.state, paused.fire_times) == ("paused", free.fire_times)
    pausing.pause(embedded, ["night"], until=free.fire_times[1] - timedelta(hours=1))
    withheld, coming = upcoming(embedded, "night", 1).coming
    assert isinstance(withheld, Withheld)
    assert (withheld.reason, withheld.first, withheld.count) == ("paused", free.fire_times[0], 1)
    assert isinstance(coming, Coming)
    assert coming.fire_time == free.fire_times[1]
    pausing.resume(embedded, ["night"])
    pausing.pause_all(embedded, until=free.fire_times[1] - timedelta(hours=1))
    withheld, coming = upcoming(embedded, "night", 1).coming
    assert isinstance(withheld, Withheld)
    assert withheld.reason == "all paused"
    assert withheld.why.startswith("everything is paused until ")


def test_what_max_runs_still_allows(embedded: Context) -> None:
    entries.add(embedded, "few", {"cron": "* * * * *", "shell": "x", "max_runs": 3})
    assert upcoming(embedded, "few").runs_left == 3
    assert len(upcoming(embedded, "few").fire_times) == 3
    timer(embedded, "few", runs_made=2)
    assert len(upcoming(embedded, "few").fire_times) == 1
    with embedded.database.write() as connection:
        connection.execute(update(timers).values(runs_made=3))
    done = upcoming(embedded, "few")
    assert (done.runs_left, done.coming, done.note) == (
        0,
        (),
        "it has made the 3 runs that max_runs allows",
    )


def test_a_fixed_delay_counts_from_the_end_that_a_node_knows(embedded: Context) -> None:
    entries.add(embedded, "poll", {"every": "1h", "fixed_delay": True, "shell": "x"})
    unplanned = upcoming(embedded, "poll", 2)
    assert unplanned.note == "as if each run took no time"
    assert unplanned.fire_times[1] - unplanned.fire_times[0] == timedelta(hours=1)
    coming = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=20)
    timer(embedded, "poll", next_fire_at=coming, next_due_at=coming)
    planned = upcoming(embedded, "poll", 2)
    assert planned.fire_times == (coming, coming + timedelta(hours=1))
    with embedded.database.write() as connection:
        connection.execute(update(timers).values(next_fire_at=None, next_due_at=None))
    waiting = upcoming(embedded, "poll", 2)
    assert waiting.coming == ()
    assert waiting.note == "the next fire is counted from the end of the run that is under way"


def test_a_boot_is_not_known_beforehand(embedded: Context) -> None:
    entries.add(embedded, "boot", {"cron": "@reboot", "shell": "x"})
    assert upcoming(embedded, "boot").coming == ()
    assert upcoming(embedded, "boot").note == "nobody knows a boot beforehand"


def test_an_entry_that_is_not_there_or_broken(embedded: Context) -> None:
    entries.add(embedded, "night", {"cron": "30 2 * * *", "shell": "x"})
    with pytest.raises(NotFound, match="did you mean 'night'"):
        upcoming(embedded, "nigt")
    with embedded.database.write() as connection:
        connection.execute(update(table).values(cron="61 * * * *"))
    with pytest.raises(InvalidInput, match="entry night: cron: '61 "):
        upcoming(embedded, "night")
