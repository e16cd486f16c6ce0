"""Interval, once and limits: literal cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import IntervalSchedule, Limited, OnceSchedule, format_instant, parse_cron, parse_zone
from beatd.schedules.base import STEPS, Count, Schedule
from tests.schedules.model import utc

ANCHOR = utc("2026-01-01T00:00:10Z")


def next_of(schedule: IntervalSchedule | OnceSchedule | Limited, after: str) -> str | None:
    time = schedule.next_fire_time(utc(after))
    return time and format_instant(time)


@pytest.mark.parametrize(
    ("every", "include_anchor", "after", "expected"),
    [
        (60, False, "2025-12-31T00:00:00Z", "2026-01-01T00:01:10Z"),
        (60, False, "2026-01-01T00:00:10Z", "2026-01-01T00:01:10Z"),
        (60, True, "2025-12-31T00:00:00Z", "2026-01-01T00:00:10Z"),
        (60, True, "2026-01-01T00:00:10Z", "2026-01-01T00:01:10Z"),
        (60, True, "2026-01-01T00:01:09.999999Z", "2026-01-01T00:01:10Z"),
        (60, True, "2026-01-01T00:01:10Z", "2026-01-01T00:02:10Z"),
        (0.1, False, "2026-01-01T00:00:10Z", "2026-01-01T00:00:10.100000Z"),
        (7, False, "2126-01-01T00:00:00Z", "2126-01-01T00:00:01Z"),
    ],
)
def test_interval(every: float, include_anchor: bool, after: str, expected: str) -> None:
    assert next_of(IntervalSchedule(timedelta(seconds=every), ANCHOR, include_anchor), after) == expected


def test_an_interval_does_not_drift() -> None:
    every = timedelta(seconds=1) / 3
    schedule = IntervalSchedule(every, ANCHOR)
    far = ANCHOR + 10_000_000_000 * every
    assert schedule.next_fire_time(far) == ANCHOR + 10_000_000_001 * every
    assert schedule.count(ANCHOR, far) == Count(10_000_000_000, exact=True)


def test_an_interval_counts_by_arithmetic() -> None:
    schedule = IntervalSchedule(timedelta(seconds=1), ANCHOR, include_anchor=True)
    century = ANCHOR + timedelta(days=36_500)
    assert schedule.count(ANCHOR - timedelta(days=1), century) == Count(3_153_600_001, exact=True)
    assert schedule.count(ANCHOR, ANCHOR - timedelta(days=1)) == Count(0, exact=True)


def test_an_interval_ends_with_time_itself() -> None:
    schedule = IntervalSchedule(timedelta(days=1_000_000), ANCHOR)
    assert schedule.next_fire_time(utc("2027-01-01T00:00:00Z")) is not None
    assert schedule.next_fire_time(utc("9000-01-01T00:00:00Z")) is None


@pytest.mark.parametrize("every", [timedelta(0), timedelta(seconds=-1)])
def test_an_interval_has_a_length(every: timedelta) -> None:
    with pytest.raises(FieldError, match=r"every: .* longer than nothing"):
        IntervalSchedule(every, ANCHOR)


def test_once() -> None:
    schedule = OnceSchedule(datetime(2026, 3, 1, 1, tzinfo=parse_zone("Europe/Berlin")))
    assert next_of(schedule, "2026-02-28T23:59:59.999999Z") == "2026-03-01T00:00:00Z"
    assert next_of(schedule, "2026-03-01T00:00:00Z") is None
    assert schedule == OnceSchedule(utc("2026-03-01T00:00:00Z"))
    assert schedule.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("start", "end", "after", "expected"),
    [
        ("2026-01-05T03:00Z", None, "2020-01-01T00:00:00Z", "2026-01-05T03:00:00Z"),
        ("2026-01-05T03:00:01Z", None, "2020-01-01T00:00:00Z", "2026-01-06T03:00:00Z"),
        ("2026-01-05T03:00Z", None, "2026-01-05T03:00:00Z", "2026-01-06T03:00:00Z"),
        (None, "2026-01-05T03:00Z", "2026-01-05T02:00:00Z", "2026-01-05T03:00:00Z"),
        (None, "2026-01-05T02:59:59Z", "2026-01-05T02:00:00Z", None),
        (None, "2026-01-05T03:00Z", "2026-01-05T03:00:00Z", None),
        ("2026-02-01T00:00Z", "2026-01-01T00:00Z", "2020-01-01T00:00:00Z", None),
        (None, None, "2020-01-01T00:00:00Z", "2020-01-01T03:00:00Z"),
    ],
)
def test_limits(start: str | None, end: str | None, after: str, expected: str | None) -> None:
    daily = parse_cron("0 3 * * *", parse_zone("UTC"))
    assert next_of(Limited(daily, start and utc(start), end and utc(end)), after) == expected


def test_limits_count_within() -> None:
    limited = Limited(
        IntervalSchedule(timedelta(seconds=1), ANCHOR, include_anchor=True),
        ANCHOR + timedelta(seconds=10),
        ANCHOR + timedelta(seconds=19),
    )
    assert limited.count(ANCHOR, ANCHOR + timedelta(days=1)).number == 10
    assert limited.count(ANCHOR + timedelta(seconds=15), ANCHOR + timedelta(days=1)).number == 4


def test_equal_ones_share_a_hash() -> None:
    def build() -> Limited:
        return Limited(IntervalSchedule(timedelta(seconds=60), ANCHOR), ANCHOR, None)

    assert build() == build()
    assert hash(build()) == hash(build())


@given(
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
    st.booleans(),
    st.timedeltas(timedelta(days=-500), timedelta(days=40_000)),
)
def test_an_interval_fires_at_whole_multiples_wherever_the_search_starts(
    every: timedelta, include_anchor: bool, distance: timedelta
) -> None:
    schedule = IntervalSchedule(every, ANCHOR, include_anchor)
    after = ANCHOR + distance
    first, second, third = islice(schedule.fire_times(after), 3)
    assert after < first
    assert (first - ANCHOR) % every == timedelta(0)
    assert second - first == third - second == every
    assert first == ANCHOR + (timedelta(0) if include_anchor else every) or first - every <= after
    assert schedule.next_fire_time(first - timedelta(microseconds=1)) == first
    assert schedule.count(after, third) == Count(3, exact=True)


class _Hourly(Schedule):
    """A rule that can only be stepped."""

    def next_fire_time(self, after: datetime) -> datetime | None:
        return after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("hours", "count"),
    [
        (0, Count(0, exact=True)),
        (STEPS, Count(STEPS, exact=True)),
        (STEPS + 1, Count(STEPS, exact=False)),
    ],
)
def test_a_rule_that_can_only_be_stepped_is_counted_to_a_bound(hours: int, count: Count) -> None:
    begin = utc("2026-01-01T00:00Z")
    assert _Hourly().count(begin, begin + timedelta(hours=hours)) == count


def test_limits_and_anchors_are_kept_in_utc() -> None:
    berlin = datetime(2026, 3, 1, 1, tzinfo=parse_zone("Europe/Berlin"))
    limited = Limited(OnceSchedule(ANCHOR), start_at=berlin, end_at=berlin)
    anchored = IntervalSchedule(timedelta(hours=1), berlin)
    for kept in (limited.start_at, limited.end_at, anchored.anchor):
        assert kept is not None
        assert (kept.tzinfo, kept) == (UTC, berlin)


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(FieldError, match="every: '0:00:00': must be longer than nothing; for example '5m'"):
        IntervalSchedule(timedelta(0), ANCHOR)
