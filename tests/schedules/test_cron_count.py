"""How many fires a time holds: counted by days and stretches, not one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from beatd.schedules import Count, Limited, parse_cron, parse_zone
from tests.schedules.model import utc

YEAR = ("2026-01-01", "2027-01-01")


@pytest.mark.parametrize(
    ("zone", "expression", "policies", "after", "until", "number"),
    [
        # After is outside, until is inside.
        ("UTC", "0 3 * * *", {}, "2026-01-01T03:00Z", "2026-01-02T03:00Z", 1),
        ("UTC", "0 3 * * *", {}, "2026-01-01T02:59:59.999999Z", "2026-01-02T02:59:59.999999Z", 1),
        ("UTC", "0 3 * * *", {}, "2026-01-01T02:59:59.999999Z", "2026-01-02T03:00Z", 2),
        ("UTC", "0 3 * * *", {}, "2026-01-02T03:00Z", "2026-01-02T03:00Z", 0),
        ("UTC", "0 3 * * *", {}, "2026-01-05T03:00Z", "2026-01-01T03:00Z", 0),
        # Within a day, an hour, a minute.
        ("UTC", "*/20 9-17 * * *", {}, "2026-01-01T08:00Z", "2026-01-01T20:00Z", 27),
        ("UTC", "*/20 9-17 * * *", {}, "2026-01-01T09:20Z", "2026-01-01T11:10Z", 5),
        ("UTC", "*/20 9,11 * * *", {}, "2026-01-01T09:50Z", "2026-01-01T10:50Z", 0),
        ("UTC", "*/20 9,11 * * *", {}, "2026-01-01T10:00Z", "2026-01-01T11:00Z", 1),
        ("UTC", "*/10 30 9 * * *", {}, "2026-01-01T09:30:10Z", "2026-01-01T09:30:45Z", 3),
        ("UTC", "*/10 30 9 * * *", {}, "2026-01-01T09:30:09.5Z", "2026-01-01T09:31Z", 5),
        ("UTC", "*/10 30,40 9,11 * * *", {}, "2026-01-01", "2026-01-01T11:40:20Z", 12 + 6 + 3),
        ("UTC", "* * * * * *", {}, "2026-01-01", "2026-01-02", 86_400),
        # Days and years.
        ("UTC", "0 0 * * 1-5", {}, "2026-01-31T12:00Z", "2026-02-28T12:00Z", 20),
        ("UTC", "0 0 L * *", {}, *YEAR, 12),
        ("UTC", "0 0 * * 5#5", {}, *YEAR, 4),
        ("UTC", "0 0 13 * 5", {}, *YEAR, 53 + 12 - 3),  # Fridays, 13ths, and those that are both
        ("UTC", "0 0 13 * */5", {}, *YEAR, 3 + 2),  # Fridays the 13th, and Sundays
        ("UTC", "0 0 29 2 *", {}, "1970-01-01", "2099-12-31", 32),
        ("UTC", "0 0 29 2 *", {}, "2096-02-29", "2104-02-29", 1),
        ("UTC", "* * * * * *", {}, "1999-12-31T23:59:59Z", "2099-12-31T23:59:59Z", 36_525 * 86_400),
        ("UTC", "*/5 * * * *", {}, "2026-07-01", "2026-07-01T00:04Z", 0),
        # A year with its gap and its fold.
        ("Europe/Berlin", "0 12 * * *", {}, *YEAR, 365),
        ("Europe/Berlin", "30 2 * * *", {}, *YEAR, 365),
        ("Europe/Berlin", "30 2 * * *", {"dst_gap": "skip"}, *YEAR, 364),
        ("Europe/Berlin", "30 2 * * *", {"dst_fold": "both"}, *YEAR, 366),
        ("Europe/Berlin", "30 2 * * *", {"dst_fold": "second"}, *YEAR, 365),
        ("Europe/Berlin", "*/15 * * * *", {}, *YEAR, 365 * 96),
        ("Europe/Berlin", "*/15 2 * * *", {}, *YEAR, 365 * 4),
        ("Europe/Berlin", "*/15 2 * * *", {"dst_gap": "run_after"}, *YEAR, 365 * 4 + 1),
        ("Europe/Berlin", "*/15 2 * * *", {"dst_fold": "first"}, *YEAR, 364 * 4),
        ("Europe/Berlin", "30 2 * * *", {}, "1980-01-01", "2080-01-01", 36_525),
        # Gap and fold, cut in two.
        ("Europe/Berlin", "30 2 * * *", {}, "2026-03-29T00:59Z", "2026-03-29T00:59:59Z", 0),
        ("Europe/Berlin", "30 2 * * *", {}, "2026-03-29T00:59Z", "2026-03-29T01:00Z", 1),
        ("Europe/Berlin", "30 2 * * *", {}, "2026-03-29T01:00Z", "2026-03-29T12:00Z", 0),
        ("Europe/Berlin", "0,30 2,3 * * *", {}, "2026-03-29T00:00Z", "2026-03-29T12:00Z", 2),
        ("Europe/Berlin", "59 2 * * *", {}, "2026-03-29T00:00Z", "2026-03-29T12:00Z", 1),
        ("Europe/Berlin", "0 3 * * *", {}, "2026-03-29T00:00Z", "2026-03-29T12:00Z", 1),
        ("Europe/Berlin", "0 2 * * *", {}, "2026-03-29T00:00Z", "2026-03-29T12:00Z", 1),
        ("Europe/Berlin", "59 1 * * *", {}, "2026-03-29T01:00Z", "2026-03-29T12:00Z", 0),
        ("Europe/Berlin", "30 2 * * *", {}, "2026-10-25T00:00Z", "2026-10-25T00:29Z", 0),
        ("Europe/Berlin", "30 2 * * *", {}, "2026-10-25T00:30Z", "2026-10-25T12:00Z", 0),
        (
            "Europe/Berlin",
            "0,59 2 * * *",
            {"dst_fold": "second"},
            "2026-10-25T00:00Z",
            "2026-10-25T01:00Z",
            1,
        ),
        ("Europe/Berlin", "*/20 2 * * *", {}, "2026-10-25T00:30Z", "2026-10-25T01:30Z", 3),
        # Days skipped and repeated, and an odd shift.
        ("Pacific/Apia", "0 12 * * *", {}, "2011-12-01T10:00Z", "2011-12-31T10:00Z", 30),
        ("Pacific/Kwajalein", "0 12 * * *", {}, "1969-08-31T13:00Z", "1969-10-01T12:00Z", 31),
        ("Antarctica/Vostok", "0 20 * * *", {}, "1994-01-31T00:00Z", "1994-02-01T00:00Z", 2),
        ("Africa/Monrovia", "*/15 * * * *", {}, "1972-01-07T00:00Z", "1972-01-07T01:00Z", 2 + 2),
    ],
)
def test_count(
    zone: str, expression: str, policies: dict[str, str], after: str, until: str, number: int
) -> None:
    schedule = parse_cron(expression, parse_zone(zone), **policies)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (after, until))
    assert schedule.count(first, last) == Count(number, exact=True)
    if number < 500:
        assert len(list(schedule.fire_times(first, last))) == number


def test_limits_bound_what_is_counted() -> None:
    schedule = Limited(
        parse_cron("30 2 * * *", parse_zone("Europe/Berlin")),
        start_at=utc("2026-03-29T01:00Z"),
        end_at=utc("2026-03-31T00:30Z"),
    )
    century = (utc("1990-01-01T00:00Z"), utc("2090-01-01T00:00Z"))
    assert schedule.count(*century) == Count(3, exact=True)
    assert list(schedule.dropped(*century)) == []


def test_the_last_days_of_time_are_not_counted_because_they_do_not_fire() -> None:
    schedule = parse_cron("0 0 * * *", parse_zone("UTC"))
    december = utc("9999-12-01T00:00Z")
    fires = list(schedule.fire_times(december))
    assert schedule.count(december, datetime.max.replace(tzinfo=UTC)).number == len(fires)
    assert timedelta(days=20) < fires[-1] - december < timedelta(days=30)
