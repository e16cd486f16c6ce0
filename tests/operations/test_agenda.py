"""The load of entries as they are stored: which count, how often, from when to when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from beatd.errors import FieldError
from beatd.operations import calendars, entries, pausing
from beatd.operations.agenda import agenda, listing
from beatd.operations.context import Context
from beatd.operations.upcoming import upcoming
from beatd.store.models import entries as table
from beatd.store.models import timers

FAR = "2098-03-29T00:00Z"


def add(context: Context, name: str, **options: Any) -> None:
    entries.add(context, name, {"shell": "x", **options})


def test_who_counts_and_who_does_not(context: Context) -> None:
    add(context, "hourly", cron="0 * * * *")
    add(context, "hourly-2", cron="@hourly")
    add(context, "tokyo", cron="0 3 * * *", timezone="Asia/Tokyo")
    add(context, "five", every="5m", start_at="2098-03-28T23:00Z")
    add(context, "poll", every="6h", fixed_delay=True, start_at="2098-03-28T23:30Z")
    add(context, "hashed", cron="H H * * *")
    add(context, "boot", cron="@reboot")
    add(context, "paused", cron="* * * * *", enabled=False)
    add(context, "until", cron="0 * * * *", paused_until="2098-03-29T12:00Z")
    add(context, "few", cron="0 * * * *", max_runs=3)
    add(context, "broken", cron="0 * * * *")
    calendars.add(context, "off", {"dates": "2098-03-29"})
    add(context, "dropped", cron="0 * * * *", calendar="off")
    with context.database.write() as connection:
        connection.execute(update(table).where(table.c.name == "broken").values(cron="61 * * * *"))
    found = agenda(context, FAR)
    assert (found.start, found.end) == (
        datetime(2098, 3, 29, tzinfo=UTC),
        datetime(2098, 3, 30, tzinfo=UTC),
    )
    assert found.left_out == {"at boot": 1, "paused": 1, "broken": 1}
    assert found.entries == 9
    # of `few` the three runs are long past by then
    assert found.fires == 24 + 24 + 1 + 24 * 12 + 4 + 1 + 12
    assert [bucket.fires for bucket in found.buckets[:2]] == [14, 14]
    assert sum(bucket.fires for bucket in found.buckets) == found.fires
    assert found.buckets[12].fires in (15, 16, 17)  # and `until`


def test_max_runs_counts_what_was_made(embedded: Context) -> None:
    add(embedded, "few", cron="* * * * *", max_runs=10)
    assert agenda(embedded, None, "2h", "minute").fires == 10
    with embedded.database.write() as connection:
        row = {"planned_from": datetime.now(UTC), "planned_version": 1, "planner": 2, "state": "active"}
        row |= {"entry_id": entries.show(embedded, "few").id, "runs_made": 7}
        connection.execute(insert(timers).values(**row))
    assert agenda(embedded, None, "2h", "minute").fires == 3
    with embedded.database.write() as connection:
        connection.execute(update(timers).values(runs_made=10))
    assert agenda(embedded, None, "2h").left_out == {"completed": 1}


def test_everything_paused_is_told_and_changes_nothing(embedded: Context) -> None:
    add(embedded, "hourly", cron="0 * * * *")
    assert agenda(embedded).everything_paused is None
    pausing.pause_all(embedded)
    found = agenda(embedded)
    assert (found.everything_paused is not None, found.fires) == (True, 24)


RANGES: list[tuple[Any, Any, str, str, str]] = [
    # in whole hours of the zone's clock, or whole minutes
    ("2098-03-29T00:30:20Z", "2098-03-29T02:10Z", "hour", "2098-03-29T00:00", "2098-03-29T03:00"),
    ("2098-03-29T00:30:20Z", "2098-03-29T02:10:01Z", "minute", "2098-03-29T00:30", "2098-03-29T02:11"),
    ("2098-03-29T00:30:20Z", None, "hour", "2098-03-29T00:00", "2098-03-30T00:00"),
    ("2098-03-29T10:20", None, "hour", "2098-03-29T04:30", "2098-03-30T04:30"),  # in Calcutta
    (datetime(2098, 3, 29, 1, tzinfo=UTC), None, "minute", "2098-03-29T01:00", "2098-03-30T01:00"),
]


@pytest.mark.parametrize(("start", "end", "by", "first", "last"), RANGES)
def test_from_when_to_when(embedded: Context, start: Any, end: Any, by: str, first: str, last: str) -> None:
    zone = "Asia/Kolkata" if start == "2098-03-29T10:20" else "UTC"
    found = agenda(replace(embedded, timezone=zone), start, end, by)
    assert [f"{at:%Y-%m-%dT%H:%M}" for at in (found.start, found.end)] == [first, last]
    step = timedelta(hours=1) if by == "hour" else timedelta(minutes=1)
    assert len(found.buckets) == (found.end - found.start) / step


def test_from_now_and_for_a_length_of_time(embedded: Context) -> None:
    now = datetime.now(UTC)
    found = agenda(embedded, "2h", "3h", "minute")
    assert timedelta(0) <= now + timedelta(hours=2, minutes=1) - found.start < timedelta(minutes=2)
    assert found.end - found.start == timedelta(hours=1)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"by": "day"}, "by: 'day': one of minute, hour"),
    ({"start": "soon"}, "from: 'soon': is not a date"),
    ({"start": "2h", "end": "1h"}, "to: '1h': does not come after 'from'"),
    ({"end": "40d"}, "to: '40d': is more than 31 days after 'from'"),
]


@pytest.mark.parametrize(("asked", "text"), BAD)
def test_what_cannot_be_asked(embedded: Context, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(FieldError, match=text):
        agenda(embedded, **asked)
    with pytest.raises(FieldError, match="limit: 0"):
        listing(embedded, limit=0)


def test_intervals_are_one_rule_however_they_began(embedded: Context) -> None:
    """Begun at whatever millisecond, they fire in the same minutes; and their listing is exact."""
    for number in range(30):
        add(embedded, f"e{number}", every="5m")
    found = agenda(embedded, FAR, "2098-03-29T01:00Z", "minute")
    assert found.fires == 30 * 12
    first = listing(embedded, FAR, limit=30)
    assert not first.complete
    for fire in first.fires:
        own = upcoming(embedded, fire.entry, 1, FAR)
        assert own.fire_times == (fire.fire_time,)


def test_the_listing_has_due_times_and_an_end(embedded: Context) -> None:
    add(embedded, "nightly", cron="0 3 * * *", jitter="10m")
    add(embedded, "once", at="2098-03-29T03:00Z")
    listed = listing(embedded, FAR)
    assert [fire.entry for fire in listed.fires] == ["nightly", "once"]
    assert listed.complete
    [coming] = upcoming(embedded, "nightly", 1, FAR).coming
    assert listed.fires[0].due_time == getattr(coming, "due_time", None) > listed.fires[0].fire_time
    assert listing(embedded, FAR, limit=1).fires == listed.fires[:1]
