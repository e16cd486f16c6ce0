"""What a clock shows: gaps, what comes twice, the instants that belong to a date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from beatd.schedules import parse_cron
from beatd.schedules.wallclock import gaps, passes, time_round
from tests.schedules.model import utc

HOUR = timedelta(hours=1)

GAPS = [
    # zone, after, until, the shifts in between and how much they skip
    ("UTC", "2000-01-01T00:00Z", "2030-01-01T00:00Z", []),
    (
        "Europe/Berlin",
        "2025-01-01T00:00Z",
        "2027-01-01T00:00Z",
        [("2025-03-30T01:00Z", HOUR), ("2026-03-29T01:00Z", HOUR)],
    ),
    ("Australia/Lord_Howe", "2026-04-10T00:00Z", "2026-12-31T00:00Z", [("2026-10-03T15:30Z", HOUR / 2)]),
    # 30 December 2011 did not come to be in Samoa: that is not daylight saving
    ("Pacific/Apia", "2011-12-01T00:00Z", "2012-02-01T00:00Z", []),
    # to the very instant: after the first, up to and with the last
    ("Europe/Berlin", "2026-03-29T00:59:59.999999Z", "2026-03-29T01:00Z", [("2026-03-29T01:00Z", HOUR)]),
    ("Europe/Berlin", "2026-03-29T01:00Z", "2026-04-01T00:00Z", []),
    ("Europe/Berlin", "2026-03-28T01:00Z", "2026-03-29T00:59:59.999999Z", []),
    ("Europe/Berlin", "2026-03-29T01:00Z", "2026-03-29T01:00Z", []),
    # the ends of time
    ("Europe/Berlin", "0001-01-01T00:00Z", "0001-01-02T00:00Z", []),
    ("Europe/Berlin", "9999-03-01T00:00Z", "9999-12-31T23:59Z", [("9999-03-28T01:00Z", HOUR)]),
]


@pytest.mark.parametrize(("zone", "after", "until", "expected"), GAPS)
def test_gaps(zone: str, after: str, until: str, expected: list[tuple[str, timedelta]]) -> None:
    found = [*gaps(ZoneInfo(zone), utc(after), utc(until))]
    assert found == [(utc(shift), skipped) for shift, skipped in expected]
    assert all(shift.tzinfo is UTC for shift, _ in found)


ROUNDS = [
    # an instant, and whether its wall time is there for the first time, again, or once
    ("Europe/Berlin", "2026-10-24T23:59:59Z", None),
    ("Europe/Berlin", "2026-10-25T00:00:00Z", 1),
    ("Europe/Berlin", "2026-10-25T00:59:59Z", 1),
    ("Europe/Berlin", "2026-10-25T01:00:00Z", 2),
    ("Europe/Berlin", "2026-10-25T01:59:59Z", 2),
    ("Europe/Berlin", "2026-10-25T02:00:00Z", None),
    ("Europe/Berlin", "2026-03-29T00:30:00Z", None),
    ("Europe/Berlin", "2026-03-29T01:30:00Z", None),
    ("Australia/Lord_Howe", "2026-04-04T14:45:00Z", 1),
    ("Australia/Lord_Howe", "2026-04-04T15:15:00Z", 2),
    ("UTC", "2026-10-25T00:30:00Z", None),
    # Kwajalein skipped a day, Juneau had one twice: no daylight saving
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z", None),
    ("America/Juneau", "1867-10-18T12:00:00Z", None),
]


@pytest.mark.parametrize(("zone", "instant", "expected"), ROUNDS)
def test_what_comes_twice(zone: str, instant: str, expected: int | None) -> None:
    assert time_round(utc(instant), ZoneInfo(zone)) == expected


PASSES = [
    # zone, date, from when until when it is that date there
    ("UTC", date(2026, 3, 29), [("2026-03-29T00:00Z", "2026-03-30T00:00Z")]),
    (
        "Europe/Berlin",
        date(2026, 3, 29),
        [("2026-03-28T23:00Z", "2026-03-29T01:00Z"), ("2026-03-29T01:00Z", "2026-03-29T22:00Z")],
    ),
    # Tehran's day began at one, and nothing of it was before the shift
    ("Asia/Tehran", date(2021, 3, 22), [("2021-03-21T20:30Z", "2021-03-22T19:30Z")]),
    ("Asia/Tehran", date(2021, 3, 21), [("2021-03-20T20:30Z", "2021-03-21T20:30Z")]),
    # Havana's clocks go back from one to midnight
    (
        "America/Havana",
        date(2025, 11, 2),
        [("2025-11-02T04:00Z", "2025-11-02T05:00Z"), ("2025-11-02T05:00Z", "2025-11-03T05:00Z")],
    ),
    ("America/Havana", date(2025, 11, 1), [("2025-11-01T04:00Z", "2025-11-02T04:00Z")]),
    # clocks that go back at midnight show the end of the day before again
    (
        "America/Asuncion",
        date(2023, 3, 25),
        [("2023-03-25T03:00Z", "2023-03-26T03:00Z"), ("2023-03-26T03:00Z", "2023-03-26T04:00Z")],
    ),
    ("Pacific/Apia", date(2011, 12, 30), []),
]


@pytest.mark.parametrize(("zone", "day", "expected"), PASSES)
def test_when_it_is_a_date(zone: str, day: date, expected: list[tuple[str, str]]) -> None:
    assert passes(day, ZoneInfo(zone)) == tuple((utc(start), utc(end)) for start, end in expected)


def test_a_yearly_time_that_comes_twice_is_found_from_far_away() -> None:
    yearly = parse_cron("30 2 25 10 *", ZoneInfo("Europe/Berlin"), dst_fold="second")
    assert yearly.next_fire_time(utc("2026-01-01T00:00Z")) == utc("2026-10-25T01:30Z")


def test_a_shift_in_the_first_days_of_a_year() -> None:
    """Volgograd left its local mean time on 3 January 1920, local: the only shift so near to a new year."""
    zone = ZoneInfo("Europe/Volgograd")
    noon = parse_cron("0 12 * * *", zone)
    found = [*noon.fire_times(utc("1919-12-30T00:00Z"), utc("1920-01-06T00:00Z"))]
    days = [date(1919, 12, 30) + timedelta(days=number) for number in range(7)]
    assert found == [datetime(day.year, day.month, day.day, 12, tzinfo=zone) for day in days]
