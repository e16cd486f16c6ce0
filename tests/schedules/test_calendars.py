"""Named calendars: what is in them, and what becomes of the fires on their days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice, product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import (
    Calendared,
    CronSchedule,
    DateSet,
    IntervalSchedule,
    Limited,
    OnceSchedule,
    Schedule,
    SolarSchedule,
    parse_calendar_interval,
    parse_cron,
    parse_date_set,
    parse_zone,
    wallclock,
)
from beatd.schedules.base import Count
from beatd.schedules.wallclock import instant_of
from tests.schedules.model import utc

BERLIN = parse_zone("Europe/Berlin")
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def shown(fire_times: Iterator[datetime], number: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """Wall times: `Mon 2026-03-30 09:00`."""
    return [
        fire_time.astimezone(zone).strftime("%a %Y-%m-%d %H:%M") for fire_time in islice(fire_times, number)
    ]


# What is in a set


@pytest.mark.parametrize(
    ("country", "region", "day", "name"),
    [
        ("DE", None, "2026-12-25", "Christmas Day"),
        ("DE", None, "2026-04-06", "Easter Monday"),
        ("DE", None, "2027-03-29", "Easter Monday"),
        ("DE", None, "2026-04-05", None),  # Easter Sunday is none in Germany …
        ("DE", "BB", "2026-04-05", "Easter Sunday"),  # … but in Brandenburg
        ("DE", None, "2026-01-06", None),
        ("DE", "BY", "2026-01-06", "Epiphany"),
        ("DE", "Bayern", "2026-01-06", "Epiphany"),
        ("de", "by", "2026-01-06", "Epiphany"),
        ("DE", "BE", "2026-01-06", None),
        ("DE", None, "1988-06-17", None),
        ("DE", None, "1991-10-03", "German Unity Day"),
        ("US", None, "2026-11-26", "Thanksgiving Day"),
        ("US", None, "2026-07-03", "Independence Day (observed)"),
        ("US", None, "2027-12-31", "New Year's Day (observed)"),
        ("GB", "SCT", "2026-11-30", "Saint Andrew's Day"),
        ("GB", "ENG", "2026-11-30", None),
        ("FR", None, "2026-07-14", "National Day"),
        ("JP", None, "2026-05-05", "Children's Day"),
        ("IT", None, "2024-04-25", "Liberation Day"),
        ("DE", None, "2099-12-25", "Christmas Day"),
    ],
)
def test_public_holidays(country: str, region: str | None, day: str, name: str | None) -> None:
    dates = parse_date_set(None, None, country, region)
    assert dates.why(date.fromisoformat(day)) == name
    assert dates.has(date.fromisoformat(day)) == (name is not None)


def test_names_are_english_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(variable, "de")
    # A region that no other test asks about: years are kept.
    assert parse_date_set(None, None, "DE", "HB").why(date(2026, 4, 6)) == "Easter Monday"
    # of several kinds of English the same everywhere
    assert parse_date_set(None, None, "AI").why(date(2026, 5, 1)) == "Labor Day"


def test_the_library_is_silent(recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]) -> None:
    """Of India it knows the years 2001 to 2035, and of others says so aloud."""
    republic_day = date(2050, 1, 26)
    assert parse_date_set(None, None, "IN", "GA").why(republic_day) == "Republic Day"
    assert not list(recwarn)
    assert capfd.readouterr() == ("", "")


def test_lists_and_weekdays() -> None:
    dates = parse_date_set(" 2026-12-24, 2026-12-31\n2027-02-08,,2026-12-24 ", "Sat sun", None, None)
    assert dates == DateSet(
        frozenset({date(2026, 12, 24), date(2026, 12, 31), date(2027, 2, 8)}), frozenset({0, 6})
    )
    days = [date(2026, 12, 23) + number * DAY for number in range(6)]
    assert [dates.why(day) for day in days] == [
        None,
        "a listed date",
        None,
        "Saturday",
        "Sunday",
        None,
    ]
    assert [dates.has(day) for day in days] == [False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("country", "day", "works"),
    [
        (None, "2026-03-06", True),  # Friday
        (None, "2026-03-07", False),
        (None, "2026-03-08", False),
        ("DE", "2026-03-06", True),
        ("DE", "2026-03-07", False),
        ("EG", "2026-03-06", False),  # Friday and Saturday
        ("EG", "2026-03-07", False),
        ("EG", "2026-03-08", True),
        ("DE", "2026-12-25", False),
        ("CN", "2026-02-14", True),  # a Saturday on which China works, for the new year's holidays
        ("CN", "2026-02-21", False),
        # the first and the last day of a year
        ("EG", "2027-01-01", False),
        ("DE", "2027-12-31", True),
        ("DE", "2028-12-31", False),
    ],
)
def test_working_days(country: str | None, day: str, works: bool) -> None:
    dates = parse_date_set("2026-01-01", None, country, None)
    assert dates.is_working_day(date.fromisoformat(day)) == works


def test_a_day_of_the_set_is_no_working_day() -> None:
    dates = parse_date_set("2026-03-04", "mon", None, None)
    week = [date(2026, 3, 2) + number * DAY for number in range(7)]
    assert [dates.is_working_day(day) for day in week] == [False, True, False, True, True, False, False]
    assert dates.working_day_beside(date(2026, 3, 6), 1) == date(2026, 3, 10)
    assert dates.working_day_beside(date(2026, 3, 5), -1) == date(2026, 3, 3)


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        ({"dates": "2026-02-30"}, "dates", "YYYY-MM-DD"),
        ({"dates": "2026-12-24 24.12.2026"}, "dates", "'24.12.2026': is not a date"),
        ({"dates": "2026-12-24..2026-12-31"}, "dates", "YYYY-MM-DD"),
        ({"weekdays": "saturday"}, "weekdays", "sun, mon, tue, wed, thu, fri, sat; did you mean 'sat'?"),
        ({"weekdays": "6"}, "weekdays", "weekdays are sun, mon, tue"),
        ({"weekdays": "sat-sun"}, "weekdays", "weekdays are sun, mon, tue"),
        ({"country": "Germany"}, "country", "did you mean 'DE'?"),
        ({"country": "Deutschland"}, "country", "two letters of a country"),
        ({"country": "DEU"}, "country", "did you mean 'DE'"),
        ({"country": "UK"}, "country", "did you mean 'GB'"),
        ({"country": "united states"}, "country", "did you mean 'US'"),
        ({"country": "XX"}, "country", "two letters of a country"),
        ({"country": ""}, "country", "two letters of a country"),
        ({"country": "NYSE"}, "country", "two letters of a country"),
        ({"country": "DE", "region": "Bavaria"}, "region", "is not a region of DE"),
        ({"country": "DE", "region": "Bayerm"}, "region", "did you mean 'BY'?"),
        ({"country": "DE", "region": "XX"}, "region", "there are: BB, BE, BW, BY"),
        ({"country": "DE", "region": ""}, "region", "is not a region of DE"),
        ({"country": "VA", "region": "BY"}, "region", "no regions of VA are known"),
        ({"dates": "2026-12-24", "region": "BY"}, "region", "of no use without country"),
        ({}, "dates", "give dates, weekdays or country"),
        ({"dates": " , "}, "dates", "give dates, weekdays or country"),
    ],
)
def test_refused(given: dict[str, str], field: str, problem: str) -> None:
    columns = {"dates": None, "weekdays": None, "country": None, "region": None} | given
    with pytest.raises(FieldError) as refusal:
        parse_date_set(**columns)
    assert refusal.value.field == field
    assert problem in str(refusal.value)


# What becomes of fires: Christmas 2026 is a Friday, and so is New Year 2027.

HOLIDAYS = parse_date_set(None, None, "DE", "BY")
BANKING = parse_date_set("2026-12-24 2026-12-31", "sat,sun", "DE", None)


@pytest.mark.parametrize(
    ("expression", "dates", "action", "after", "expected"),
    [
        (
            "0 9 * * *",
            HOLIDAYS,
            "drop",
            "2026-12-24",
            ["Thu 2026-12-24 09:00", "Sun 2026-12-27 09:00", "Mon 2026-12-28 09:00"],
        ),
        (
            "0 9 * * *",
            BANKING,
            "drop",
            "2026-12-23",
            ["Wed 2026-12-23 09:00", "Mon 2026-12-28 09:00", "Tue 2026-12-29 09:00"],
        ),
        # A fire that moves to a day with one of its own at the same time is one with it.
        ("0 9 * * *", BANKING, "next", "2026-12-23", ["Wed 2026-12-23 09:00", "Mon 2026-12-28 09:00"]),
        ("0 9 * * *", BANKING, "previous", "2026-12-23", ["Wed 2026-12-23 09:00", "Mon 2026-12-28 09:00"]),
        # From Friday over the weekend, which is not in the set, to Monday; or to the day before.
        ("0 9 * * fri", HOLIDAYS, "drop", "2026-12-20", ["Fri 2027-01-08 09:00", "Fri 2027-01-15 09:00"]),
        (
            "0 9 * * fri",
            HOLIDAYS,
            "next",
            "2026-12-20",
            ["Mon 2026-12-28 09:00", "Mon 2027-01-04 09:00", "Fri 2027-01-08 09:00"],
        ),
        (
            "0 9 * * fri",
            HOLIDAYS,
            "previous",
            "2026-12-20",
            ["Thu 2026-12-24 09:00", "Thu 2026-12-31 09:00", "Fri 2027-01-08 09:00"],
        ),
        # The last of the month, for a bank: before the weekend, before New Year's Eve.
        (
            "0 6 L * *",
            BANKING,
            "previous",
            "2026-10-01",
            ["Fri 2026-10-30 06:00", "Mon 2026-11-30 06:00", "Wed 2026-12-30 06:00", "Fri 2027-01-29 06:00"],
        ),
        (
            "0 6 L * *",
            BANKING,
            "next",
            "2026-10-01",
            ["Mon 2026-11-02 06:00", "Mon 2026-11-30 06:00", "Mon 2027-01-04 06:00", "Mon 2027-02-01 06:00"],
        ),
        # Fires of several days meet in the order of their wall times.
        (
            "0 8 * * thu,fri",
            BANKING,
            "next",
            "2026-12-20",
            ["Mon 2026-12-28 08:00", "Mon 2027-01-04 08:00", "Thu 2027-01-07 08:00"],
        ),
        (
            "0 0,12 25,26 12 *",
            HOLIDAYS,
            "next",
            "2026-12-20",
            ["Mon 2026-12-28 00:00", "Mon 2026-12-28 12:00", "Mon 2027-12-27 00:00"],
        ),
        # A Saturday that is not in the set stays where it is.
        ("0 9 * * sat", HOLIDAYS, "next", "2026-12-20", ["Mon 2026-12-28 09:00", "Sat 2027-01-02 09:00"]),
        # Moving over the clock's change keeps the wall time.
        ("0 9 * * sun", BANKING, "next", "2026-03-26", ["Mon 2026-03-30 09:00"]),
        # A time that the day itself skips is moved as what it says, not as the end of the gap.
        ("30 2 * * *", BANKING, "next", "2026-03-28", ["Mon 2026-03-30 02:30", "Tue 2026-03-31 02:30"]),
        ("30 2 * * *", BANKING, "drop", "2026-03-28", ["Mon 2026-03-30 02:30", "Tue 2026-03-31 02:30"]),
    ],
)
def test_fires_on_its_days(
    expression: str, dates: DateSet, action: str, after: str, expected: list[str]
) -> None:
    schedule = Calendared(parse_cron(expression, BERLIN), dates, action, BERLIN)
    fire_times = schedule.fire_times(datetime.fromisoformat(after).replace(tzinfo=BERLIN))
    assert shown(fire_times, len(expected)) == expected


def test_a_fire_moved_into_a_gap_comes_at_its_end_and_into_a_fold_the_first_time() -> None:
    """Clocks change on Sundays: these work on Sundays, and Saturday is off."""
    friday_and_saturday = parse_date_set("2026-03-28 2026-10-24", None, "EG", None)
    schedule = Calendared(parse_cron("30 2 28 3 *", BERLIN), friday_and_saturday, "next", BERLIN)
    assert schedule.next_fire_time(utc("2026-03-01T00:00Z")) == utc("2026-03-29T01:00Z")
    schedule = Calendared(parse_cron("30 2 24 10 *", BERLIN), friday_and_saturday, "next", BERLIN)
    assert schedule.next_fire_time(utc("2026-10-01T00:00Z")) == utc("2026-10-25T00:30Z")


@pytest.mark.parametrize(("gap", "expected"), [("run_after", "02:30"), ("skip", "09:30")])
def test_a_time_that_is_skipped_and_not_made_up_for_is_not_moved_either(gap: str, expected: str) -> None:
    rule = parse_cron("30 2,9 29 3 *", BERLIN, dst_gap=gap)
    schedule = Calendared(rule, parse_date_set(None, "sun"), "next", BERLIN)
    assert shown(schedule.fire_times(utc("2026-01-01T00:00Z")), 1) == [f"Mon 2026-03-30 {expected}"]


def test_of_a_night_with_two_passes_the_earlier_wall_time_moves_first() -> None:
    """On Sunday 02:50 in the first pass, 02:20 in the second."""
    twice = Limited(
        IntervalSchedule(timedelta(minutes=30), utc("2026-10-25T00:50Z"), include_anchor=True),
        end_at=utc("2026-10-25T01:20Z"),
    )
    schedule = Calendared(twice, parse_date_set(None, "sun"), "next", BERLIN)
    assert shown(schedule.fire_times(utc("2026-10-24T00:00Z")), 3) == [
        "Mon 2026-10-26 02:20",
        "Mon 2026-10-26 02:50",
    ]


def test_midnight_is_the_days_own_and_the_next_midnight_is_not() -> None:
    sundays = parse_date_set(None, "sun")
    weekly = IntervalSchedule(timedelta(days=7), utc("2026-01-03T23:00Z"), include_anchor=True)
    moved = Calendared(weekly, sundays, "next", BERLIN)
    assert shown(moved.fire_times(utc("2026-01-01T00:00Z")), 2) == [
        "Mon 2026-01-05 00:00",
        "Mon 2026-01-12 00:00",
    ]
    assert moved.next_fire_time(utc("2026-01-04T22:59:59Z")) == utc("2026-01-04T23:00Z")
    sunday_noon_and_midnight = Limited(
        IntervalSchedule(timedelta(hours=12), utc("2026-01-04T11:00Z"), include_anchor=True),
        end_at=utc("2026-01-04T23:00Z"),
    )
    moved = Calendared(sunday_noon_and_midnight, sundays, "previous", BERLIN)
    assert shown(moved.fire_times(utc("2026-01-01T00:00Z")), 3) == [
        "Fri 2026-01-02 12:00",
        "Mon 2026-01-05 00:00",
    ]


def test_a_fire_of_monday_moves_before_one_of_friday() -> None:
    friday_night_and_monday = Limited(
        IntervalSchedule(timedelta(hours=58), utc("2026-03-06T22:00Z"), include_anchor=True),
        end_at=utc("2026-03-09T08:00Z"),
    )
    schedule = Calendared(friday_night_and_monday, parse_date_set("2026-03-09"), "previous", BERLIN)
    assert shown(schedule.fire_times(utc("2026-03-01T00:00Z")), 3) == [
        "Fri 2026-03-06 09:00",
        "Fri 2026-03-06 23:00",
    ]


def test_what_moves_does_not_hide_what_fires_before_it_on_that_day() -> None:
    """Every ten hours: Saturday's at 23:00 moves to Monday, which has one of its own at 15:00."""
    ten_hours = IntervalSchedule(timedelta(hours=10), utc("2026-03-28T22:00Z"), include_anchor=True)
    schedule = Calendared(ten_hours, parse_date_set(None, "sat"), "next", parse_zone("UTC"))
    fire_times = schedule.fire_times(utc("2026-03-30T01:00Z"))
    assert shown(fire_times, 3, parse_zone("UTC")) == [
        "Mon 2026-03-30 04:00",
        "Mon 2026-03-30 14:00",
        "Mon 2026-03-30 22:00",
    ]


def test_what_moves_to_today_is_told_by_the_zones_clock() -> None:
    new_york = parse_zone("America/New_York")
    rule = parse_cron("0 12 * * sat", new_york)
    schedule = Calendared(rule, parse_date_set(None, "sat"), "next", new_york)
    monday = datetime(2026, 3, 30, 10, tzinfo=new_york)
    assert shown(schedule.fire_times(monday), 1, new_york) == ["Mon 2026-03-30 12:00"]


def test_the_midnight_after_a_day_of_the_set_does_not_move_with_it() -> None:
    """Friday is in the set, Saturday is not, and on neither does anybody work."""
    sixteen_hours = IntervalSchedule(timedelta(hours=16), utc("2026-03-27T08:00Z"), include_anchor=True)
    schedule = Calendared(sixteen_hours, parse_date_set(None, "fri"), "next", parse_zone("UTC"))
    fire_times = schedule.fire_times(utc("2026-03-27T00:00Z"))
    assert shown(fire_times, 5, parse_zone("UTC")) == [
        "Sat 2026-03-28 00:00",
        "Sat 2026-03-28 16:00",
        "Sun 2026-03-29 08:00",
        "Mon 2026-03-30 00:00",
        "Mon 2026-03-30 08:00",
    ]


def test_a_clock_that_is_set_back_over_midnight() -> None:
    """In St John's it was Sunday for a minute, then 23:01 on Saturday again."""
    st_johns, saturday_again = parse_zone("America/St_Johns"), utc("2005-10-30T02:31Z")
    schedule = Calendared(parse_cron("* * * * *", st_johns), parse_date_set("2005-10-30"), "drop", st_johns)
    assert schedule.next_fire_time(saturday_again - timedelta(minutes=2)) == saturday_again
    assert list(schedule.dropped(saturday_again - timedelta(minutes=2), saturday_again)) == [
        saturday_again - timedelta(minutes=1)
    ]
    ten_minutes = (saturday_again - timedelta(minutes=5), saturday_again + timedelta(minutes=5))
    assert schedule.count(*ten_minutes) == Count(9, exact=True)


@pytest.mark.parametrize(
    ("expression", "weekdays", "action", "expected"),
    [
        ("30 23 * * sat", "sat", "drop", ["Sun 2026-03-29 00:00"]),
        ("30 23 * * sat", "sat", "next", ["Sun 2026-03-29 00:00", "Mon 2026-04-06 23:30"]),
        ("30 23 * * sat", "sun", "drop", ["Sat 2026-04-04 23:30"]),
        ("30 23 * * sat", "sun", "next", ["Mon 2026-03-30 00:00", "Sat 2026-04-04 23:30"]),
        ("30 23 * * sat", "sun", "previous", ["Sat 2026-04-04 23:30"]),
        (
            "30 22,23 * * sat",
            "sat",
            "next",
            ["Sun 2026-03-29 00:00", "Mon 2026-03-30 22:30", "Mon 2026-04-06 22:30"],
        ),
        ("0 0 * * sun", "sun", "next", ["Mon 2026-03-30 00:00", "Mon 2026-04-06 00:00"]),
        (
            "30 23 * * *",
            "sat,sun",
            "next",
            ["Mon 2026-03-30 00:00", "Mon 2026-03-30 23:30", "Tue 2026-03-31 23:30"],
        ),
    ],
)
def test_what_a_gap_pushes_over_midnight_belongs_to_the_day_on_which_it_fires(
    expression: str, weekdays: str, action: str, expected: list[str]
) -> None:
    """In Nuuk the last hour of Saturday, 28 March 2026, is skipped: 23:30 runs on Sunday at 00:00."""
    nuuk = parse_zone("America/Nuuk")
    schedule = Calendared(parse_cron(expression, nuuk), parse_date_set(None, weekdays), action, nuuk)
    fire_times = schedule.fire_times(datetime(2026, 3, 28, 22, 45, tzinfo=nuuk))
    assert shown(fire_times, len(expected), nuuk) == expected


def test_days_are_those_of_the_zone() -> None:
    """Christmas in Auckland begins when it is 11 o'clock on the 24th in London."""
    auckland = parse_zone("Pacific/Auckland")
    hourly = IntervalSchedule(timedelta(hours=1), utc("2026-01-01T00:00Z"))
    schedule = Calendared(hourly, parse_date_set("2026-12-25"), "drop", auckland)
    fire_times = list(schedule.fire_times(utc("2026-12-24T09:30Z"), utc("2026-12-25T12:00Z")))
    assert fire_times == [utc("2026-12-24T10:00Z"), utc("2026-12-25T11:00Z"), utc("2026-12-25T12:00Z")]


def test_what_is_dropped_is_told() -> None:
    rule = parse_cron("0 9 * * *", BERLIN)
    dropped = Calendared(rule, HOLIDAYS, "drop", BERLIN).dropped(
        utc("2026-12-01T00:00Z"), utc("2027-01-06T08:00Z")
    )
    assert shown(dropped, 10) == [
        "Fri 2026-12-25 09:00",
        "Sat 2026-12-26 09:00",
        "Fri 2027-01-01 09:00",
        "Wed 2027-01-06 09:00",
    ]
    moved = Calendared(rule, HOLIDAYS, "next", BERLIN)
    assert not list(moved.dropped(utc("2026-12-01T00:00Z"), utc("2027-02-01T00:00Z")))


def test_limits_hold_for_what_is_dropped_too() -> None:
    calendared = Calendared(parse_cron("0 9 * * *", BERLIN), HOLIDAYS, "drop", BERLIN)
    limited = Limited(calendared, utc("2026-12-26T00:00Z"), utc("2026-12-31T00:00Z"))
    dropped = limited.dropped(utc("2026-12-01T00:00Z"), utc("2027-02-01T00:00Z"))
    assert shown(dropped, 10) == ["Sat 2026-12-26 09:00"]


# Every search ends


@pytest.mark.parametrize("action", ["drop", "next", "previous"])
@pytest.mark.parametrize("expression", ["* * * * * *", "0 9 * * *", "0 0 29 2 *"])
def test_a_calendar_of_all_days_leaves_nothing(action: str, expression: str) -> None:
    every_day = parse_date_set(None, "sun,mon,tue,wed,thu,fri,sat")
    schedule = Calendared(parse_cron(expression, BERLIN), every_day, action, BERLIN)
    assert schedule.next_fire_time(utc("2026-01-01T00:00Z")) is None
    assert schedule.count(utc("2026-01-01T00:00Z"), utc("2026-01-03T00:00Z")) == Count(0, exact=True)


@pytest.mark.parametrize("action", ["next", "previous"])
def test_without_a_working_day_there_is_nowhere_to_move_to(action: str) -> None:
    """Nobody works on a weekend, so that only fires on the weekend are left."""
    weekdays = parse_date_set(None, "mon,tue,wed,thu,fri")
    schedule = Calendared(parse_cron("0 9 * * *", BERLIN), weekdays, action, BERLIN)
    monday = utc("2026-03-02T00:00Z")
    assert shown(schedule.fire_times(monday), 3) == [
        "Sat 2026-03-07 09:00",
        "Sun 2026-03-08 09:00",
        "Sat 2026-03-14 09:00",
    ]
    assert shown(schedule.dropped(monday, monday + 2 * DAY), 5) == [
        "Mon 2026-03-02 09:00",
        "Tue 2026-03-03 09:00",
    ]


def test_a_rule_that_fires_on_days_of_the_set_alone() -> None:
    mondays = parse_date_set(None, "mon")
    rule = parse_cron("0 9 * * mon", BERLIN)
    assert Calendared(rule, mondays, "drop", BERLIN).next_fire_time(utc("2026-01-01T00:00Z")) is None
    moved = Calendared(rule, mondays, "next", BERLIN)
    assert shown(moved.fire_times(utc("2026-03-01T00:00Z")), 2) == [
        "Tue 2026-03-03 09:00",
        "Tue 2026-03-10 09:00",
    ]


@pytest.mark.parametrize(
    ("dates", "year"), [(parse_date_set(None, "sun"), 2199), (parse_date_set(None, "sun", "DE"), 2100)]
)
@pytest.mark.parametrize("action", ["drop", "next"])
def test_the_calendar_ends_with_a_century(dates: DateSet, year: int, action: str) -> None:
    """The holidays of a country are not known for longer than the 21st."""
    utc_zone = parse_zone("UTC")
    at_its_end = Calendared(parse_cron("0 0 * * mon-sat", utc_zone), dates, action, utc_zone)
    assert at_its_end.next_fire_time(utc(f"{year}-12-31T12:00Z")) is None
    new_year = utc(f"{year + 1}-01-01T00:00Z")
    assert at_its_end.count(new_year - DAY / 2, new_year) == Count(0, exact=True)
    hourly = Calendared(
        parse_cron("0 * * * *", utc_zone), parse_date_set(None, "sun,mon,tue,wed,thu,fri"), action, utc_zone
    )
    assert all(
        dropped < utc("2200-01-01T00:00Z")
        for dropped in hourly.dropped(utc("2199-12-31T22:00Z"), utc("2200-01-02T00:00Z"))
    )
    schedule = Calendared(parse_cron("0 9 * * *", BERLIN), dates, action, BERLIN)
    eve, last = utc(f"{year}-12-30T12:00Z"), utc(f"{year}-12-31T08:00Z")
    assert schedule.next_fire_time(eve) == last
    assert schedule.next_fire_time(last) is None
    assert schedule.next_fire_time(datetime.min.replace(tzinfo=BERLIN)) is not None
    assert schedule.count(last - 10 * DAY, last + 10 * DAY) == schedule.count(last - 10 * DAY, last)
    sundays = list(schedule.dropped(last - 30 * DAY, last + 30 * DAY))
    assert all(sunday <= last for sunday in sundays)
    assert bool(sundays) is (action == "drop")


def weekly(day: str) -> Schedule:
    return parse_calendar_interval("2w", BERLIN, time="09:00", day=None, anchor=utc(f"{day}T00:00Z"))


WORKDAYS, WEEKEND = "mon,tue,wed,thu,fri", "sat,sun"
IN_VAIN = [
    (parse_cron("0 9 * * mon-fri", BERLIN), parse_date_set(None, WORKDAYS), "drop"),
    (parse_cron("*/5 * * * mon-fri", BERLIN), parse_date_set("2026-01-03", f"{WORKDAYS},sat"), "drop"),
    (parse_cron("0 9 * * fri#2", BERLIN), parse_date_set(None, "fri"), "drop"),
    (parse_cron("0 9 25 12 *", BERLIN), parse_date_set(None, None, "DE"), "drop"),
    (parse_cron("0 9 * * mon-fri", BERLIN), parse_date_set(None, WORKDAYS, "DE"), "drop"),
    (weekly("2026-03-02"), parse_date_set(None, "mon"), "drop"),
    *(
        (rule, dates, action)
        for rule in (parse_cron("0 9 * * mon-fri", BERLIN), weekly("2026-03-05"))
        for dates in (parse_date_set(None, WORKDAYS), parse_date_set(None, WORKDAYS, "DE"))
        for action in ("next", "previous")
    ),
]


@pytest.mark.parametrize(("rule", "dates", "action"), IN_VAIN)
def test_a_rule_whose_days_the_calendar_covers_is_found_out_at_once(
    rule: Schedule, dates: DateSet, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    really = wallclock.next_instant

    def next_instant(*arguments: Any, **options: Any) -> datetime | None:
        nonlocal looked
        looked += 1
        return really(*arguments, **options)

    monkeypatch.setattr(wallclock, "next_instant", next_instant)
    schedule = Calendared(rule, dates, action, BERLIN)
    assert schedule.next_fire_time(utc("2026-03-01T00:00Z")) is None
    assert looked < 1000, "it walked day by day to the horizon"


@pytest.mark.parametrize(
    ("expression", "zone", "weekdays"),
    [
        ("30 23 * * sat", "America/Nuuk", "sat"),  # its last hour is skipped once a year
        ("0 0 * * fri", "Africa/Cairo", "fri"),  # its first one, but for a few years: the gap ends on it
        ("30 0 * * sun", "America/Havana", "sun"),
    ],
)
def test_of_days_that_the_calendar_covers_is_left_what_a_gap_pushes_to_the_next(
    expression: str, zone: str, weekdays: str
) -> None:
    here = parse_zone(zone)
    rule = parse_cron(expression, here)
    schedule = Calendared(rule, parse_date_set(None, weekdays), "drop", here)
    start, end = utc("2000-01-01T00:00Z"), utc("2040-01-01T00:00Z")
    kept = [
        fire_time
        for fire_time in rule.fire_times(start, end)
        if fire_time.astimezone(here).strftime("%a").lower() != weekdays
    ]
    assert list(schedule.fire_times(start, end)) == kept
    assert bool(kept) is (zone == "America/Nuuk")


def test_a_rule_of_another_zone_is_looked_at_day_by_day() -> None:
    """It is Sunday in Auckland when it is Saturday in Honolulu."""
    honolulu, auckland = parse_zone("Pacific/Honolulu"), parse_zone("Pacific/Auckland")
    rule = parse_cron("0 9 * * sat", honolulu)
    there = Calendared(rule, parse_date_set(None, "sat"), "drop", auckland)
    assert shown(there.fire_times(utc("2026-03-02T00:00Z")), 1, auckland) == ["Sun 2026-03-08 08:00"]
    sundays = Calendared(rule, parse_date_set("2026-03-22", "sun"), "drop", auckland)
    assert sundays.next_fire_time(utc("2026-03-02T00:00Z")) is None


def test_a_long_row_of_days_of_the_set_has_an_end() -> None:
    row = " ".join((date(2026, 3, 1) + number * DAY).isoformat() for number in range(300))
    dates = parse_date_set(row, "sat,sun")
    daily, mondays = (parse_cron(f"0 9 * * {weekday}", BERLIN) for weekday in ("*", "mon"))
    for rule, expected in ((daily, "Mon 2026-12-28 09:00"), (mondays, "Mon 2026-12-28 09:00")):
        schedule = Calendared(rule, dates, "drop", BERLIN)
        assert shown(schedule.fire_times(utc("2026-03-01T00:00Z")), 1) == [expected]
    moved = Calendared(daily, dates, "previous", BERLIN)
    assert shown(moved.fire_times(utc("2026-03-01T00:00Z")), 1) == ["Mon 2026-12-28 09:00"]


@pytest.mark.parametrize(
    ("expression", "weekdays"),
    [
        ("0 9 * * *", {0, 1, 2, 3, 4, 5, 6}),
        ("0 9 * * mon-fri", {1, 2, 3, 4, 5}),
        ("0 9 * * sun#5", {0}),
        ("0 9 * * 6L", {6}),
        ("0 9 LW * *", {1, 2, 3, 4, 5}),
        ("0 9 1 * *", {0, 1, 2, 3, 4, 5, 6}),
        ("0 9 1-6/2,6 * mon", {0, 1, 2, 3, 4, 5, 6}),
        ("0 9 */31 2 sat", {6}),
        ("0 9 29 2 */4", {0, 4}),
    ],
)
def test_the_weekdays_of_a_rule(expression: str, weekdays: set[int]) -> None:
    assert parse_cron(expression, BERLIN).weekdays == weekdays


@pytest.mark.parametrize(
    ("every", "weekdays"),
    [
        ("1w", {3}),
        ("14d", {3}),
        ("8d", set(range(7))),
        ("1d", set(range(7))),
        ("1mo", set(range(7))),
        ("1y", set(range(7))),
    ],
)
def test_the_weekdays_of_a_calendar_interval(every: str, weekdays: set[int]) -> None:
    wednesday = utc("2026-03-04T00:00Z")
    schedule = parse_calendar_interval(every, BERLIN, time=None, day=None, anchor=wednesday)
    assert schedule.weekdays == weekdays


def test_seconds_dropped_over_months_are_passed_over_by_days() -> None:
    months = " ".join((date(2026, 3, 1) + number * DAY).isoformat() for number in range(200))
    schedule = Calendared(parse_cron("* * * * * *", BERLIN), parse_date_set(months), "drop", BERLIN)
    assert schedule.next_fire_time(utc("2026-02-28T22:59:59Z")) == utc("2026-09-16T22:00:00Z")
    century = schedule.count(utc("2000-01-01T00:00Z"), utc("2100-01-01T00:00Z"))
    # 200 days of March to September have 24 hours but one, on which daylight saving begins.
    assert century == Count(36_525 * 86_400 - (200 * 86_400 - 3600), exact=True)


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^calendar_action: 'later': must be one of drop, next, previous"):
        Calendared(parse_cron("0 9 * * *", BERLIN), HOLIDAYS, "later", BERLIN)


def test_equal_ones_are_equal_whatever_they_are_called() -> None:
    def build(name: str | None) -> Calendared:
        dates = parse_date_set("2026-12-24", "sat,sun", "DE", "by")
        return Calendared(parse_cron("0 9 * * *", BERLIN), dates, "drop", BERLIN, name)

    assert build("a") == build(None)
    assert len({build("a"), build("b")}) == 1
    assert build("a") != Calendared(parse_cron("0 9 * * *", BERLIN), HOLIDAYS, "drop", BERLIN)


# The model: all fires of a few months, each dropped or moved by itself, then sorted.


class Model:
    def __init__(self, calendared: Calendared) -> None:
        self.rule = calendared.schedule
        self.dates = calendared.dates
        self.step = {"drop": 0, "next": 1, "previous": -1}[calendared.action]
        self.zone = calendared.timezone

    def fire_times(self, after: datetime, until: datetime) -> list[datetime]:
        margin = 30 * DAY
        kept = {
            fire_time
            for fire_time in self.rule.fire_times(after - margin, until + margin)
            if not self.dates.has(fire_time.astimezone(self.zone).date())
        }
        if self.step:
            kept |= set(self.moved((after - margin).date(), (until + margin).date()))
        return sorted(fire_time for fire_time in kept if after < fire_time <= until)

    def moved(self, first: date, last: date) -> Iterator[datetime]:
        day = first
        while day <= last:
            if self.dates.has(day):
                target = day + self.step * DAY
                while not self.dates.is_working_day(target):
                    target += self.step * DAY
                for wall in self.walls(day):
                    yield instant_of(datetime.combine(target, wall), self.zone)
            day += DAY

    def walls(self, day: date) -> set[time]:
        rule = self.rule
        if isinstance(rule, CronSchedule):
            times = product(rule.hours, rule.minutes) if rule.days.matches(day) else ()
            walls = {time(hour, minute) for hour, minute in times}
            return {wall for wall in walls if rule.dst_gap == "run_after" or self.is_shown(day, wall)}
        noon = datetime.combine(day, time(12), self.zone)
        fires = rule.fire_times(noon - 2 * DAY, noon + 2 * DAY)
        shown = (fire_time.astimezone(self.zone) for fire_time in fires)
        return {wall.time() for wall in shown if wall.date() == day}

    def is_shown(self, day: date, wall: time) -> bool:
        instant = instant_of(datetime.combine(day, wall), self.zone)
        return instant.astimezone(self.zone).time() == wall


#: Clocks change at 2:00, over half an hour, at one minute past midnight, and at midnight.
ZONES = [
    parse_zone(name)
    for name in ("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "America/Sao_Paulo", "UTC")
]
EXPRESSIONS = (
    "0 9 * * *",
    "30 2 * * *",
    "30 0 * * *",
    "0 0 * * *",
    "59 23 * * *",
    "15,45 * * * *",
    "*/30 0-3 * * *",
    "0 6 1 * *",
    "30 23 * * sat,sun",
    "0,30 0-2 * * 0",
)


def rules(zone: ZoneInfo) -> st.SearchStrategy[Schedule]:
    start = utc("1999-03-01T00:00Z")
    return st.one_of(
        st.builds(
            lambda expression, gap, fold: parse_cron(expression, zone, dst_gap=gap, dst_fold=fold),
            st.sampled_from(EXPRESSIONS),
            st.sampled_from([None, "skip"]),
            st.sampled_from([None, "second", "both"]),
        ),
        st.builds(
            lambda minutes, shift: IntervalSchedule(minutes * timedelta(minutes=1), start + shift),
            st.sampled_from([45, 60, 1440, 10_000]),
            st.timedeltas(timedelta(0), timedelta(days=1)),
        ),
        st.just(SolarSchedule("sunset", 52.52, 13.405)),
        st.builds(
            OnceSchedule,
            st.datetimes(
                timezones=st.just(zone), min_value=datetime(2005, 1, 1), max_value=datetime(2005, 12, 31)
            ),
        ),
    )


date_sets = st.builds(
    DateSet,
    dates=st.frozensets(st.dates(date(2005, 1, 1), date(2005, 12, 31)), max_size=40),
    weekdays=st.frozensets(st.sampled_from([0, 1, 3, 6]), max_size=3),
    country=st.sampled_from([None, "DE", "EG", "JP"]),
)


@settings(deadline=None, max_examples=60)
@given(st.data(), date_sets, st.sampled_from(["drop", "next", "previous"]), st.sampled_from(ZONES))
def test_against_the_model(data: st.DataObject, dates: DateSet, action: str, zone: ZoneInfo) -> None:
    calendared = Calendared(data.draw(rules(zone)), dates, action, zone)
    # Mostly near the weeks in which clocks change.
    near = st.sampled_from([date(2005, 4, 1), date(2005, 10, 29), date(2005, 10, 15), date(2005, 2, 18)])
    first = data.draw(st.one_of(near, st.dates(date(2005, 1, 10), date(2005, 12, 1))))
    after = datetime.combine(first, data.draw(st.times()), zone).astimezone(parse_zone("UTC"))
    until = after + 5 * DAY
    expected = Model(calendared).fire_times(after, until)
    assert list(calendared.fire_times(after, until)) == expected
    assert calendared.count(after, until) == Count(len(expected), exact=True)
    if action == "drop":
        every_one = sorted([*expected, *calendared.dropped(after, until)])
        assert every_one == list(calendared.schedule.fire_times(after, until))
    if expected:
        start = data.draw(st.datetimes(after.replace(tzinfo=None), expected[0].replace(tzinfo=None) - TICK))
        assert calendared.next_fire_time(start.replace(tzinfo=after.tzinfo)) == expected[0]


def test_under_a_calendar_interval() -> None:
    quarterly = parse_calendar_interval(
        "3mo", BERLIN, time="18:00", day="last", anchor=utc("2026-01-01T12:00Z")
    )
    schedule = Calendared(quarterly, BANKING, "previous", BERLIN)
    assert shown(schedule.fire_times(utc("2026-01-01T00:00Z")), 4) == [
        "Fri 2026-01-30 18:00",
        "Thu 2026-04-30 18:00",
        "Fri 2026-07-31 18:00",
        "Fri 2026-10-30 18:00",
    ]
