"""Calendar intervals: tables that a reader can check with a calendar in hand, and a slow second opinion."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import CalendarIntervalSchedule, parse_calendar_interval, parse_zone
from beatd.schedules.base import Count
from tests.schedules.model import utc

BERLIN = parse_zone("Europe/Berlin")


def schedule_of(
    every: str,
    anchor: str,
    at: str | None = None,
    day: str | None = None,
    zone: ZoneInfo = BERLIN,
    **dst: str,
) -> CalendarIntervalSchedule:
    """`anchor` is a wall time of the zone."""
    start = datetime.fromisoformat(anchor).replace(tzinfo=zone)
    return parse_calendar_interval(every, zone, time=at, day=day, anchor=start, **dst)


def walls(schedule: CalendarIntervalSchedule, number: int, after: str = "1970-01-01T00:00Z") -> list[str]:
    fire_times = islice(schedule.fire_times(utc(after)), number)
    return [fire_time.astimezone(schedule.timezone).strftime("%Y-%m-%d %H:%M") for fire_time in fire_times]


@pytest.mark.parametrize(
    ("every", "anchor", "day", "expected"),
    [
        # Days and weeks keep their distance, and weeks their weekday, over the end of months and years.
        ("1d", "2026-02-27", None, "2026-02-27 2026-02-28 2026-03-01 2026-03-02"),
        ("10d", "2026-12-20", None, "2026-12-20 2026-12-30 2027-01-09 2027-01-19"),
        ("2w", "2026-03-19", None, "2026-03-19 2026-04-02 2026-04-16 2026-04-30"),
        ("2 weeks", "2026-12-24", None, "2026-12-24 2027-01-07 2027-01-21 2027-02-04"),
        # Months keep the anchor's day; one that a month lacks is its last, and comes back.
        ("1mo", "2026-01-15", None, "2026-01-15 2026-02-15 2026-03-15 2026-04-15"),
        ("1mo", "2026-01-31", None, "2026-01-31 2026-02-28 2026-03-31 2026-04-30"),
        ("1mo", "2027-12-30", None, "2027-12-30 2028-01-30 2028-02-29 2028-03-30"),
        ("3mo", "2025-11-30", None, "2025-11-30 2026-02-28 2026-05-30 2026-08-30"),
        ("3 months", "2026-01-31", "last", "2026-01-31 2026-04-30 2026-07-31 2026-10-31"),
        # `last` and 31 are one; from a short month, too.
        ("1mo", "2026-02-10", "last", "2026-02-28 2026-03-31 2026-04-30 2026-05-31"),
        ("1mo", "2026-02-10", "31", "2026-02-28 2026-03-31 2026-04-30 2026-05-31"),
        ("1mo", "2026-02-10", "30", "2026-02-28 2026-03-30 2026-04-30 2026-05-30"),
        # A day that has passed in the anchor's month: the next month of the row.
        ("1mo", "2026-01-15", "1", "2026-02-01 2026-03-01 2026-04-01 2026-05-01"),
        ("3mo", "2026-01-15", "1", "2026-04-01 2026-07-01 2026-10-01 2027-01-01"),
        ("3mo", "2026-01-15", "15", "2026-01-15 2026-04-15 2026-07-15 2026-10-15"),
        ("3mo", "2026-01-15", "16", "2026-01-16 2026-04-16 2026-07-16 2026-10-16"),
        # Years
        ("1y", "2026-03-01", None, "2026-03-01 2027-03-01 2028-03-01 2029-03-01"),
        ("1y", "2028-02-29", None, "2028-02-29 2029-02-28 2030-02-28 2031-02-28 2032-02-29"),
        ("4y", "2096-02-29", None, "2096-02-29 2100-02-28 2104-02-29 2108-02-29"),
        ("1y", "2026-02-10", "last", "2026-02-28 2027-02-28 2028-02-29 2029-02-28"),
        ("18mo", "2026-08-31", None, "2026-08-31 2028-02-29 2029-08-31 2031-02-28"),
    ],
)
def test_dates(every: str, anchor: str, day: str | None, expected: str) -> None:
    dates = expected.split()
    assert walls(schedule_of(every, anchor, day=day), len(dates)) == [f"{day} 00:00" for day in dates]


@pytest.mark.parametrize(
    ("every", "anchor", "at", "dst", "after", "expected"),
    [
        # 02:30 is skipped in Berlin on 29 March 2026 and comes twice on 25 October.
        ("1d", "2026-03-27", "02:30", {}, "2026-03-28T00:00Z", "28T01:30 29T01:00 30T00:30"),
        ("1d", "2026-03-27", "02:30", {"dst_gap": "skip"}, "2026-03-28T00:00Z", "28T01:30 30T00:30"),
        ("1d", "2026-10-01", "02:30", {}, "2026-10-24T00:00Z", "24T00:30 25T00:30 26T01:30"),
        ("1d", "2026-10-01", "02:30", {"dst_fold": "second"}, "2026-10-24T00:00Z", "24T00:30 25T01:30"),
        (
            "1d",
            "2026-10-01",
            "02:30",
            {"dst_fold": "both"},
            "2026-10-24T00:00Z",
            "24T00:30 25T00:30 25T01:30",
        ),
        # Weeks over the change keep the wall time, not the distance.
        ("1w", "2026-03-22", "09:00", {}, "2026-03-22T00:00Z", "22T08:00 29T07:00"),
        ("1w", "2026-03-22", "02:30", {}, "2026-03-22T00:00Z", "22T01:30 29T01:00"),
        # A year after a gap the time is there again.
        ("1y", "2026-03-29", "02:30", {}, "2026-01-01T00:00Z", "29T01:00 29T00:30"),
    ],
)
def test_daylight_saving(
    every: str, anchor: str, at: str, dst: dict[str, str], after: str, expected: str
) -> None:
    fire_times = schedule_of(every, anchor, at, **dst).fire_times(utc(after))
    wanted = expected.split()
    assert [f"{fire_time:%dT%H:%M}" for fire_time in islice(fire_times, len(wanted))] == wanted


def test_a_day_that_the_zone_skipped() -> None:
    """Samoa had no 30 December 2011: nothing is caught up."""
    daily = schedule_of("1d", "2011-12-01", "12:00", zone=parse_zone("Pacific/Apia"))
    assert walls(daily, 2, "2011-12-29T00:00Z") == ["2011-12-29 12:00", "2011-12-31 12:00"]


def test_the_anchor_is_a_date_of_the_zone() -> None:
    anchor = utc("2026-01-31T23:30Z")  # in Berlin it is February
    schedule = parse_calendar_interval("1mo", BERLIN, time="06:00", day=None, anchor=anchor)
    assert walls(schedule, 2) == ["2026-02-01 06:00", "2026-03-01 06:00"]


def test_nothing_comes_before_the_anchors_date_but_on_it() -> None:
    schedule = schedule_of("1d", "2026-01-15T18:00", "09:00")
    assert walls(schedule, 1) == ["2026-01-15 09:00"]


def test_equal_rules_are_equal() -> None:
    assert schedule_of("12mo", "2026-01-15") == schedule_of("1y", "2026-01-15", "00:00", "15")
    assert schedule_of("1w", "2026-01-15T01:00") == schedule_of("7d", "2026-01-15T02:00")
    assert hash(schedule_of("1w", "2026-01-15")) == hash(schedule_of("7d", "2026-01-15"))
    assert schedule_of("1w", "2026-01-15") != schedule_of("1w", "2026-01-16")
    assert schedule_of("1d", "2026-01-15") != schedule_of("1d", "2026-01-15", dst_gap="skip")


@pytest.mark.parametrize("every", ["1d", "3w", "1000d", "1mo", "7mo", "1000mo", "1y", "1000y"])
def test_it_ends_with_time_itself(every: str) -> None:
    schedule = schedule_of(every, "2026-01-31", "23:59:59")
    assert schedule.next_fire_time(utc("8000-01-01T00:00Z")) is not None
    assert schedule.next_fire_time(utc("9999-12-30T00:00Z")) is None


def test_the_last_month_of_the_year_9999_is_the_last() -> None:
    monthly = schedule_of("1mo", "2026-01-01", day="5")
    assert walls(monthly, 2, "9999-11-20T00:00Z") == ["9999-12-05 00:00"]
    assert monthly.next_fire_time(utc("9999-12-20T00:00Z")) is None


@pytest.mark.parametrize(
    ("after", "until", "number"),
    [
        ("2026-01-30T23:00Z", "2026-03-30T22:00Z", 2),  # from the first, not counted, to the third, counted
        ("2026-01-30T22:59:59Z", "2026-03-30T21:59:59Z", 2),
        ("2026-01-30T22:59:59Z", "2026-03-30T22:00Z", 3),
        ("2020-01-01T00:00Z", "2026-01-30T22:59:59Z", 0),
        ("2026-01-30T23:00Z", "2026-01-30T23:00Z", 0),
        ("2026-03-30T22:00Z", "2026-01-30T23:00Z", 0),
        ("2026-01-30T23:00Z", "3026-01-30T23:00Z", 12_000),
    ],
)
def test_counting(after: str, until: str, number: int) -> None:
    assert schedule_of("1mo", "2026-01-31").count(utc(after), utc(until)) == Count(number, exact=True)


def test_a_far_instant_costs_nothing() -> None:
    """Without the jump the trigger would step three million days for each question."""
    daily = schedule_of("1d", "1970-01-01", "12:00", zone=parse_zone("UTC"))
    for year in range(2000, 9990, 5):
        assert daily.next_fire_time(datetime(year, 6, 1, 12, tzinfo=UTC)) == datetime(
            year, 6, 2, 12, tzinfo=UTC
        )


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        ({"every": "3m"}, "calendar_every", "elapsed time is given as every; months are '3mo'"),
        ({"every": "12h"}, "calendar_every", "elapsed time is given as every"),
        ({"every": "5 minutes"}, "calendar_every", "elapsed time is given as every"),
        ({"every": "3"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "mo"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "1y6mo"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "1.5mo"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "-1mo"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "3MO"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "3 fortnights"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "monthly"}, "calendar_every", "one of d, w, mo, y"),
        ({"every": ""}, "calendar_every", "one of d, w, mo, y"),
        ({"every": "0mo"}, "calendar_every", "the number is 1 to 1000"),
        ({"every": "1001d"}, "calendar_every", "the number is 1 to 1000"),
        ({"every": "9" * 5000 + "d"}, "calendar_every", "the number is 1 to 1000"),
        ({"at": "9:00"}, "time", "HH:MM"),
        ({"at": ""}, "time", "HH:MM"),
        ({"day": "0"}, "day", "1 to 31 or 'last'"),
        ({"day": "32"}, "day", "1 to 31 or 'last'"),
        ({"day": "-1"}, "day", "1 to 31 or 'last'"),
        ({"day": "monday"}, "day", "1 to 31 or 'last'"),
        ({"every": "2w", "day": "5"}, "day", "only months and years have a day of the month"),
        ({"every": "10d", "day": "last"}, "day", "only months and years have a day of the month"),
        ({"dst_gap": "later"}, "dst_gap", "one of run_after, skip"),
        ({"dst_fold": ""}, "dst_fold", "one of first, second, both"),
    ],
)
def test_refused(given: dict[str, str], field: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        schedule_of(given.pop("every", "1mo"), "2026-01-15", **given)
    assert refusal.value.field == field
    assert problem in refusal.value.problem


@pytest.mark.parametrize("every", ["1d", "1day", "1 days", " 1D ".lower(), "001d"])
def test_ways_to_write_a_day(every: str) -> None:
    assert schedule_of(every, "2026-01-15") == schedule_of("1d", "2026-01-15")


@pytest.mark.parametrize(("gap", "number"), [("run_after", 4), ("skip", 3)])
def test_times_that_are_skipped_are_counted_as_they_fire(gap: str, number: int) -> None:
    schedule = parse_calendar_interval(
        "1d",
        parse_zone("Europe/Berlin"),
        time="02:30",
        day=None,
        anchor=utc("2026-03-01T00:00Z"),
        dst_gap=gap,
    )
    begin, end = utc("2026-03-27T12:00Z"), utc("2026-03-31T12:00Z")
    assert schedule.count(begin, end) == Count(number, exact=True)
    assert len([*schedule.fire_times(begin, end)]) == number


# The model: every date from the anchor on is asked whether it is one of the row.

ZONES = [parse_zone(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe")]


def is_in_row(day: date, months: int, days: int, anchor: date, day_of_month: int) -> bool:
    if day < anchor:
        return False
    if days:
        return (day - anchor).days % days == 0
    distance = (day.year - anchor.year) * 12 + day.month - anchor.month
    return distance % months == 0 and day.day == min(day_of_month, monthrange(day.year, day.month)[1])


@given(
    st.sampled_from(["1d", "3d", "10d", "1w", "2w", "1mo", "2mo", "3mo", "5mo", "1y"]),
    st.dates(date(1999, 1, 1), date(2030, 12, 31)),
    st.one_of(st.none(), st.integers(1, 31)),
    st.times(),
    st.sampled_from(ZONES),
    st.integers(-400, 3000),
)
def test_against_the_model(
    every: str, anchor: date, day: int | None, at: time, zone: ZoneInfo, days_after: int
) -> None:
    at = at.replace(microsecond=0, fold=0)  # text has no fold
    months, days = {"d": (0, 1), "w": (0, 7), "o": (1, 0), "y": (12, 0)}[every[-1]]
    number = int(every.rstrip("dwmoy"))
    given_day = None if day is None or days else str(day)
    schedule = parse_calendar_interval(
        every, zone, time=at.isoformat(), day=given_day, anchor=datetime.combine(anchor, time(12), zone)
    )
    first = anchor + timedelta(days=days_after)
    year = [first + timedelta(days=number) for number in range(400)]
    row = [
        one
        for one in year
        if is_in_row(one, number * months, number * days, anchor, int(given_day or anchor.day))
    ]
    start, end = (
        datetime.combine(one, time.min, zone) - timedelta(microseconds=1) for one in (first, year[-1])
    )
    fire_times = list(schedule.fire_times(start, end))
    wanted = [datetime.combine(one, at, zone) for one in row]
    assert [one.astimezone(zone).date() for one in fire_times] == [one.date() for one in wanted if one <= end]
    for fire_time, wall in zip(fire_times, wanted, strict=False):
        if fire_time != wall.astimezone(UTC):
            # Skipped: the first instant after the gap.
            assert wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None)
            assert (
                fire_time.astimezone(zone).utcoffset()
                != (fire_time - timedelta(seconds=1)).astimezone(zone).utcoffset()
            )
    assert schedule.count(start, end) == Count(len(fire_times), exact=True)
    assert fire_times == sorted(set(fire_times))
    for before, fire_time in zip([start, *fire_times], fire_times, strict=False):
        # It does not matter from where in between the search starts.
        assert schedule.next_fire_time(before + (fire_time - before) / 2) == fire_time
