"""Every rule in plain English: the table is the specification."""

from __future__ import annotations

from datetime import timedelta

import pytest

from beatd.schedules import (
    BootSchedule,
    Calendared,
    CustomSchedule,
    IntervalSchedule,
    Limited,
    OnceSchedule,
    Schedule,
    SolarSchedule,
    describe,
    parse_calendar_interval,
    parse_cron,
    parse_date_set,
    parse_zone,
)
from tests.schedules.model import utc

BERLIN = parse_zone("Europe/Berlin")
ANCHOR = utc("2026-01-31T12:00Z")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Minutes of the whole day
        ("* * * * *", "every minute"),
        ("*/1 * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/30 * * * *", "every 30 minutes"),
        ("0 * * * *", "every hour"),
        ("17 * * * *", "at minute 17 of every hour"),
        ("5,35 * * * *", "at minutes 5 and 35 of every hour"),
        ("23-59/20 * * * *", "at minutes 23 and 43 of every hour"),
        ("*/7 * * * *", "every 7 minutes from minute 0 to 56 of every hour"),
        ("5/15 * * * *", "every 15 minutes from minute 5 to 50 of every hour"),
        ("0-10 * * * *", "every minute from minute 0 to 10 of every hour"),
        ("0,10,11,12,40 * * * *", "at minutes 0, 10 to 12 and 40 of every hour"),
        # Times of day
        ("@daily", "at 00:00 every day"),
        ("0 3,15 * * *", "at 03:00 and 15:00 every day"),
        ("0,30 1-3 * * *", "at 01:00, 01:30, 02:00, 02:30, 03:00 and 03:30 every day"),
        ("0 */4 * * *", "at 00:00, 04:00, 08:00, 12:00, 16:00 and 20:00 every day"),
        ("0 */2 * * *", "every 2 hours from 00:00 to 22:00 every day"),
        ("30 1/2 * * *", "every 2 hours from 01:30 to 23:30 every day"),
        ("30 9-17 * * *", "every hour from 09:30 to 17:30 every day"),
        ("0 1-5,10-14 * * *", "every hour from 01:00 to 05:00 and from 10:00 to 14:00 every day"),
        ("30 0,1,3,4,6,8,11 * * *", "at minute 30 of hours 0, 1, 3, 4, 6, 8 and 11 every day"),
        ("* 3 * * *", "every minute from 03:00 to 03:59 every day"),
        ("*/5 9-17 * * *", "every 5 minutes from 09:00 to 17:55 every day"),
        ("15,45 9-17 * * *", "every 30 minutes from 09:15 to 17:45 every day"),
        ("*/15 8-11,14-17 * * *", "every 15 minutes from 08:00 to 11:45 and from 14:00 to 17:45 every day"),
        ("0-30/5 3 * * *", "every 5 minutes from 03:00 to 03:30 every day"),
        ("0-30/5 3-4 * * *", "every 5 minutes from minute 0 to 30 of hours 3 and 4 every day"),
        ("*/5 */2 * * *", "every 5 minutes in every 2nd hour from 0 to 22 every day"),
        ("*/20 1,3,5,7,10 * * *", "every 20 minutes in hours 1, 3, 5, 7 and 10 every day"),
        ("5,25 9-17 * * *", "at minutes 5 and 25 of hours 9 to 17 every day"),
        ("0 1-5,10-11 * * *", "every hour from 01:00 to 05:00 and from 10:00 to 11:00 every day"),
        ("0 1-5,10,20-21 * * *", "at minute 0 of hours 1 to 5, 10, 20 and 21 every day"),
        ("0-30/10 3,5 * * *", "every 10 minutes from 03:00 to 03:30 and from 05:00 to 05:30 every day"),
        (
            "*/15 1,5,9 * * *",
            "every 15 minutes from 01:00 to 01:45, from 05:00 to 05:45 and from 09:00 to 09:45 every day",
        ),
        ("*/15 1,5,9,14 * * *", "every 15 minutes in hours 1, 5, 9 and 14 every day"),
        # Seconds
        ("* * * * * *", "every second"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("5,35 * * * * *", "at seconds 5 and 35 of every minute"),
        ("*/7 * * * * *", "every 7 seconds from second 0 to 56 of every minute"),
        ("30 * * * * *", "every minute at second 30"),
        ("30 */5 * * * *", "every 5 minutes at second 30"),
        ("15 0 * * * *", "at minute 0, second 15 of every hour"),
        ("15 30 6 * * *", "at 06:30:15 every day"),
        ("0 30 6 * * *", "at 06:30 every day"),
        ("0,30 30 6 * * *", "at 06:30:00 and 06:30:30 every day"),
        ("15 30 9-17 * * *", "every hour from 09:30:15 to 17:30:15 every day"),
        ("15 5,25 9-17 * * *", "at minutes 5 and 25 of hours 9 to 17 at second 15 every day"),
        ("*/10 * 9-17 * * *", "every 10 seconds from 09:00:00 to 17:59:50 every day"),
        ("* 0-4 3 * * *", "every second from 03:00:00 to 03:04:59 every day"),
        ("0,30 * 9 * * *", "every 30 seconds from 09:00:00 to 09:59:30 every day"),
        (
            "*/20 * 1,5,9 * * *",
            "every 20 seconds from 01:00:00 to 01:59:40, from 05:00:00 to 05:59:40 "
            "and from 09:00:00 to 09:59:40 every day",
        ),
        ("*/20 * 1,5,9,14 * * *", "every 20 seconds of every minute of hours 1, 5, 9 and 14 every day"),
        ("*/7 * 3 * * *", "every 7 seconds from second 0 to 56 of every minute of hour 3 every day"),
        ("* */13 * * * *", "every second of every 13th minute from 0 to 52 of every hour"),
        ("* 30 * * * *", "every second of minute 30 of every hour"),
        ("*/10 */5 * * * *", "every 10 seconds of every 5th minute from 0 to 55 of every hour"),
        ("5,35 1,2 9-17 * * *", "at seconds 5 and 35 of minutes 1 and 2 of hours 9 to 17 every day"),
        # One day field
        ("0 0 1 * *", "at 00:00 on day 1 of the month"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
        ("0 0 1-3,10 * *", "at 00:00 on days 1 to 3 and 10 of the month"),
        ("0 0 */2 * *", "at 00:00 on every 2nd day from day 1 to 31 of the month"),
        ("0 0 */3 * *", "at 00:00 on every 3rd day from day 1 to 31 of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 15,L * *", "at 00:00 on day 15 and the last day of the month"),
        ("0 0 LW * *", "at 00:00 on the last weekday (Monday to Friday) of the month"),
        ("0 0 * * 1", "at 00:00 on Monday"),
        ("0 0 * * 1-5", "at 00:00 on Monday to Friday"),
        ("0 0 * * sat,sun", "at 00:00 on Saturday and Sunday"),
        ("0 0 * * 0-4", "at 00:00 on Sunday to Thursday"),
        ("0 0 * * 5,6,7,1", "at 00:00 on Friday to Monday"),
        ("0 0 * * */2", "at 00:00 on Tuesday, Thursday, Saturday and Sunday"),
        ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
        ("0 0 * * 5#2", "at 00:00 on the second Friday of the month"),
        ("0 0 * * 1#1,3#3", "at 00:00 on the first Monday and the third Wednesday of the month"),
        ("* * 1 * *", "every minute on day 1 of the month"),
        ("*/5 9-17 * * 1-5", "every 5 minutes from 09:00 to 17:55 on Monday to Friday"),
        # Either day field
        ("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
        ("0 0 13 3,4 5", "at 00:00 on day 13 of the month or on Friday, in March and April"),
        ("0 0 L * 5L", "at 00:00 on the last day of the month or on the last Friday of the month"),
        ("0 0 1-31 * 1", "at 00:00 every day"),
        ("0 0 13 * 0-6", "at 00:00 every day"),
        # Both day fields
        ("0 0 1-7 * */7", "at 00:00 on days 1 to 7 of the month, if it is Sunday"),
        (
            "0 0 */2 * 1,3",
            "at 00:00 on every 2nd day from day 1 to 31 of the month, if it is Monday or Wednesday",
        ),
        ("0 0 8-14 6 */7", "at 00:00 on 8 to 14 June, if it is Sunday"),
        (
            "0 0 */2 6 5#2",
            "at 00:00 on every 2nd day from day 1 to 31 of June, if it is the second Friday of the month",
        ),
        (
            "0 0 */2 6 1,5#2",
            "at 00:00 on every 2nd day from day 1 to 31 of June, if it is Monday or the second Friday of "
            "the month",
        ),
        # Months
        ("0 0 1 1 *", "at 00:00 on 1 January"),
        ("0 0 24-26 12 *", "at 00:00 on 24 to 26 December"),
        ("0 0 L 2 *", "at 00:00 on the last day of February"),
        ("30 6 1,15 1,7 *", "at 06:30 on days 1 and 15 of January and July"),
        ("0 0 * 3-5 *", "at 00:00 every day from March to May"),
        ("0 0 * 1,7 *", "at 00:00 every day in January and July"),
        ("0 0 * 1,3-5 1", "at 00:00 on Monday in January and March to May"),
        ("*/5 * * 7 *", "every 5 minutes in July"),
    ],
)
def test_cron(expression: str, expected: str) -> None:
    assert describe(parse_cron(expression, BERLIN)) == f"{expected}, Europe/Berlin"


def test_what_was_hashed_is_told_as_it_came_out() -> None:
    rule = parse_cron("H H(0-7) * * 1~5", BERLIN, name="backup")
    minute, hour, weekday = rule.minutes[0], rule.hours[0], rule.days.weekdays[0]
    name = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")[weekday - 1]
    assert describe(rule) == f"at {hour:02}:{minute:02} on {name}, Europe/Berlin"


@pytest.mark.parametrize(
    ("every", "day", "expected"),
    [
        ("1d", None, "every day at 09:00"),
        ("10d", None, "every 10 days at 09:00, counted from 2026-01-31"),
        ("1w", None, "every week on Saturday at 09:00"),
        ("2w", None, "every 2 weeks on Saturday at 09:00, counted from 2026-01-31"),
        ("14d", None, "every 2 weeks on Saturday at 09:00, counted from 2026-01-31"),
        ("1mo", None, "every month on the last day at 09:00"),
        ("1mo", "15", "every month on day 15 at 09:00"),
        ("1mo", "28", "every month on day 28 at 09:00"),
        ("1mo", "29", "every month on day 29 (or the last) at 09:00"),
        ("1mo", "30", "every month on day 30 (or the last) at 09:00"),
        ("3mo", "last", "every 3 months on the last day at 09:00, counted from January 2026"),
        ("12mo", "1", "every year on 1 January at 09:00"),
        ("2y", "30", "every 2 years on 30 January at 09:00, counted from 2026"),
        ("1y", "31", "every year on the last day of January at 09:00"),
    ],
)
def test_calendar_interval(every: str, day: str | None, expected: str) -> None:
    schedule = parse_calendar_interval(every, BERLIN, time="09:00", day=day, anchor=ANCHOR)
    assert describe(schedule) == f"{expected}, Europe/Berlin"


def test_a_year_from_a_leap_day() -> None:
    schedule = parse_calendar_interval(
        "1y", BERLIN, time="09:00:30", day=None, anchor=utc("2028-02-29T12:00Z")
    )
    assert describe(schedule) == "every year on 29 February (or the last day) at 09:00:30, Europe/Berlin"


def test_a_week_from_a_sunday() -> None:
    schedule = parse_calendar_interval("1w", BERLIN, time=None, day=None, anchor=utc("2026-02-01T12:00Z"))
    assert describe(schedule) == "every week on Sunday at 00:00, Europe/Berlin"


DAILY = parse_cron("0 9 * * *", BERLIN)
WEEKENDS = parse_date_set(None, "sat,sun")


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (IntervalSchedule(timedelta(minutes=5), ANCHOR), "every 5 minutes"),
        (IntervalSchedule(timedelta(days=7), ANCHOR), "every week"),
        (IntervalSchedule(timedelta(days=1), ANCHOR), "every day"),
        (IntervalSchedule(timedelta(hours=36), ANCHOR), "every 36 hours"),
        (IntervalSchedule(timedelta(seconds=90), ANCHOR), "every 90 seconds"),
        (IntervalSchedule(timedelta(seconds=1.5), ANCHOR), "every 1.5 seconds"),
        (IntervalSchedule(timedelta(hours=1), ANCHOR, True), "every hour, from 2026-01-31 12:00 UTC"),
        (OnceSchedule(ANCHOR), "once at 2026-01-31 12:00 UTC"),
        (BootSchedule(), "once after each boot of each machine"),
        (BootSchedule("db1"), "once after each boot of 'db1'"),
        (SolarSchedule("sunrise", 52.52, 13.405), "at sunrise every day, at 52.52° N 13.405° E"),
        (SolarSchedule("dawn", 0.0, 0.0), "at dawn every day, at 0° N 0° E"),
        (SolarSchedule("dusk", -0.5, -0.5), "at dusk every day, at 0.5° S 0.5° W"),
        (SolarSchedule("noon", -33.5, -70.0), "at solar noon every day, at 33.5° S 70° W"),
        (
            CustomSchedule("tides", "{}", BERLIN, DAILY),
            "as custom schedule 'tides' says, Europe/Berlin",
        ),
        (
            CustomSchedule("tides", '{"harbour": "Husum"}', BERLIN, DAILY),
            'as custom schedule \'tides\' says with {"harbour": "Husum"}, Europe/Berlin',
        ),
        (
            Limited(IntervalSchedule(timedelta(hours=1), ANCHOR), ANCHOR, ANCHOR + timedelta(days=1)),
            "every hour, from 2026-01-31 12:00 UTC, until 2026-02-01 12:00 UTC",
        ),
        (
            Calendared(DAILY, WEEKENDS, "drop", BERLIN),
            "at 09:00 every day, Europe/Berlin, except on the days of its calendar",
        ),
        (
            Calendared(DAILY, WEEKENDS, "drop", BERLIN, "weekends"),
            "at 09:00 every day, Europe/Berlin, except on the days of calendar 'weekends'",
        ),
        (
            Calendared(DAILY, WEEKENDS, "next", BERLIN, "weekends"),
            "at 09:00 every day, Europe/Berlin, moved to the next working day from the days of calendar "
            "'weekends'",
        ),
        (
            Limited(Calendared(DAILY, WEEKENDS, "previous", BERLIN, "weekends"), None, ANCHOR),
            "at 09:00 every day, Europe/Berlin, moved to the previous working day from the days of calendar "
            "'weekends', until 2026-01-31 12:00 UTC",
        ),
    ],
)
def test_the_others(schedule: Schedule, expected: str) -> None:
    assert describe(schedule) == expected


def test_what_an_entry_adds() -> None:
    hourly = IntervalSchedule(timedelta(hours=1), ANCHOR)
    assert describe(hourly, jitter=timedelta(minutes=1)) == "every hour, plus up to 1 minute of jitter"
    assert describe(hourly, jitter=timedelta(0), max_runs=1) == "every hour, once only"
    assert describe(hourly, max_runs=10) == "every hour, 10 times at most"
    assert describe(hourly, fixed_delay=True) == "1 hour after the end of the run before"
    assert describe(Limited(hourly, None, ANCHOR), fixed_delay=True, max_runs=3) == (
        "1 hour after the end of the run before, until 2026-01-31 12:00 UTC, 3 times at most"
    )
    started = IntervalSchedule(timedelta(hours=1), ANCHOR, include_anchor=True)
    assert describe(started, fixed_delay=True) == (
        "1 hour after the end of the run before, from 2026-01-31 12:00 UTC"
    )


def test_a_delay_under_a_calendar_and_a_start_without_an_end() -> None:
    hourly = IntervalSchedule(timedelta(hours=1), ANCHOR)
    calendared = Calendared(hourly, WEEKENDS, "drop", BERLIN)
    assert describe(calendared, fixed_delay=True) == (
        "1 hour after the end of the run before, except on the days of its calendar"
    )
    assert describe(Limited(DAILY, ANCHOR)) == f"{describe(DAILY)}, from 2026-01-31 12:00 UTC"
    assert describe(Limited(DAILY, None, ANCHOR)) == f"{describe(DAILY)}, until 2026-01-31 12:00 UTC"


@pytest.mark.parametrize(("day", "told"), [("28", "28 February"), ("29", "29 February (or the last day)")])
def test_a_day_that_a_february_may_lack(day: str, told: str) -> None:
    february = utc("2026-02-10T00:00Z")
    yearly = parse_calendar_interval("1y", BERLIN, time="09:00", day=day, anchor=february)
    assert describe(yearly) == f"every year on {told} at 09:00, Europe/Berlin"


def test_instants_are_told_in_the_zone() -> None:
    summer = utc("2026-07-01T07:30:15Z")
    hourly = IntervalSchedule(timedelta(hours=1), ANCHOR, include_anchor=True)
    for schedule, expected in (
        (OnceSchedule(ANCHOR), "once at 2026-01-31 13:00 CET, Europe/Berlin"),
        (OnceSchedule(summer), "once at 2026-07-01 09:30:15 CEST, Europe/Berlin"),
        (OnceSchedule(ANCHOR + timedelta(milliseconds=1)), "once at 2026-01-31 13:00:00 CET, Europe/Berlin"),
        (OnceSchedule(utc("2026-10-25T01:30Z")), "once at 2026-10-25 02:30 CET, Europe/Berlin"),
        (hourly, "every hour, from 2026-01-31 13:00 CET"),
        (
            Limited(DAILY, ANCHOR, summer),
            f"{describe(DAILY)}, from 2026-01-31 13:00 CET, until 2026-07-01 09:30:15 CEST",
        ),
        (
            Calendared(OnceSchedule(ANCHOR), WEEKENDS, "next", BERLIN),
            "once at 2026-01-31 13:00 CET, Europe/Berlin, moved to the next working day from the days of "
            "its calendar",
        ),
    ):
        assert describe(schedule, timezone=BERLIN) == expected
