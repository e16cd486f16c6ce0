"""Durations, instants and zones as people write them; schedules as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd import durations
from beatd.errors import FieldError
from beatd.schedules import (
    IntervalSchedule,
    Limited,
    OnceSchedule,
    describe,
    format_duration,
    format_instant,
    parse_cron,
    parse_duration,
    parse_instant,
    parse_zone,
)
from tests.schedules.model import utc

BERLIN = parse_zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "seconds", "formatted"),
    [
        ("30s", 30, "30s"),
        ("5m", 300, "5m"),
        ("2h", 7200, "2h"),
        ("1d", 86_400, "1d"),
        ("1w", 604_800, "1w"),
        ("1h30m", 5400, "1h30m"),
        ("90m", 5400, "1h30m"),
        ("14d", 1_209_600, "2w"),
        ("8d", 691_200, "8d"),
        ("1w1d1h1m1s", 694_861, "8d1h1m1s"),
        (" 010s ", 10, "10s"),
    ],
)
def test_durations(text: str, seconds: int, formatted: str) -> None:
    assert parse_duration(text, "every") == timedelta(seconds=seconds)
    assert format_duration(timedelta(seconds=seconds)) == formatted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("30", "has no unit; did you mean '30s'?"),
        ("1.5h", "fractions are not allowed"),
        ("0s", "must be longer than nothing"),
        ("-5m", "is not a duration"),
        ("5 m", "is not a duration"),
        ("5M", "is not a duration"),
        ("30m1h", "largest unit first"),
        ("", "is not a duration"),
        ("٣s", "is not a duration"),
        ("999999999w", "is longer than can be counted"),
        ("forever", "is not a duration"),
    ],
)
def test_bad_durations(text: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_duration(text, "misfire_grace")
    assert problem in refusal.value.problem
    assert refusal.value.field == "misfire_grace"
    assert parse_duration(refusal.value.example or "", "x")


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back(seconds: int) -> None:
    assert durations.parse(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_durations_that_nobody_can_write_are_shown() -> None:
    assert format_duration(timedelta(0)) == "0s"
    assert format_duration(timedelta(seconds=61, microseconds=500_000)) == "1m1.5s"
    assert format_duration(timedelta(seconds=-90)) == "-1m30s"
    assert format_duration(timedelta(microseconds=1)) == "0.000001s"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("2026-03-01T09:30:00+05:45", "2026-03-01T03:45:00Z"),
        ("2026-03-01T09:30", "2026-03-01T08:30:00Z"),
        ("2026-07-01 09:30", "2026-07-01T07:30:00Z"),
        ("2026-03-01", "2026-02-28T23:00:00Z"),
        ("2026-03-01T09:30:00.25Z", "2026-03-01T09:30:00.250000Z"),
        # In a gap: the first instant after it. In a fold: the first pass.
        ("2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        ("2026-03-29T03:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25T03:00", "2026-10-25T02:00:00Z"),
    ],
)
def test_instants(text: str, expected: str) -> None:
    instant = parse_instant(text, BERLIN, "at")
    assert format_instant(instant) == expected
    assert instant.tzinfo is UTC
    assert parse_instant(expected, BERLIN, "at") == instant


def test_a_wall_time_on_a_skipped_day() -> None:
    apia = parse_zone("Pacific/Apia")
    assert parse_instant("2011-12-30T15:00", apia, "at") == utc("2011-12-30T10:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "2026-02-30",
        "2026-01-01T25:00",
        "",
        "1767225600",
        "0001-01-01T00:00",
        "9999-12-31T23:00-05:00",
    ],
)
def test_bad_instants(text: str) -> None:
    with pytest.raises(FieldError, match=r"^start_at: ") as refusal:
        parse_instant(text, BERLIN, "start_at")
    assert parse_instant(refusal.value.example or "", BERLIN, "x")


def test_an_instant_of_another_zone_is_shown_in_utc() -> None:
    assert format_instant(datetime(2026, 3, 1, 9, tzinfo=BERLIN)) == "2026-03-01T08:00:00Z"
    with pytest.raises(ValueError, match="no zone"):
        format_instant(datetime(2026, 3, 1, 9))


def test_every_zone_of_the_zone_data_is_known() -> None:
    names = available_timezones() - {"localtime", "Factory", "posixrules"}
    assert len(names) > 400
    assert {parse_zone(name).key for name in names} == names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Berlin", "did you mean 'Europe/Berlin'"),
        ("Europe/Berln", "did you mean 'Europe/Berlin'"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("new york", "did you mean 'America/New_York'"),
        ("Atlantis", "is not an IANA time zone"),
        ("../../etc/passwd", "is not an IANA time zone"),
        ("/etc/localtime", "is not an IANA time zone"),
        ("localtime", "is not an IANA time zone"),
        ("posix/Europe/Berlin", "is not an IANA time zone"),
        ("Europe", "is not an IANA time zone"),
        ("tzdata.zi", "is not an IANA time zone"),
        ("a\0b", "is not an IANA time zone"),
        ("", "is not an IANA time zone"),
    ],
)
def test_unknown_zones(name: str, hint: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_zone(name)
    assert hint in refusal.value.problem
    assert refusal.value.field == "timezone"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/7 * * * *", "at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
        ("0 * * * *", "every hour"),
        ("5,35 * * * *", "at minute 5 and 35 of every hour"),
        ("@daily", "at 00:00 every day"),
        ("0 3,15 * * 1-5", "at 03:00 and 15:00 on Monday to Friday"),
        ("*/5 9-17 * * sat,sun", "every 5 minutes during hour 9 to 17 on Sunday and Saturday"),
        ("0 0 1 * 1", "at 00:00 on day 1 of the month or on Monday"),
        ("0 0 1-7 * */7", "at 00:00 on day 1 to 7 of the month, if it is Sunday"),
        ("0 0 1-31 * 1", "at 00:00 every day"),
        ("30 6 1,15 1,7 *", "at 06:30 on day 1 and 15 of the month in January and July"),
        ("0 0 * 3-5 *", "at 00:00 in March to May"),
    ],
)
def test_cron_in_english(expression: str, expected: str) -> None:
    assert describe(parse_cron(expression, BERLIN)) == f"{expected}, Europe/Berlin"


def test_the_others_in_english() -> None:
    anchor = utc("2026-01-01T00:00Z")
    assert describe(IntervalSchedule(timedelta(minutes=5), anchor)) == "every 5 minutes"
    assert describe(IntervalSchedule(timedelta(days=7), anchor)) == "every week"
    assert describe(IntervalSchedule(timedelta(seconds=90), anchor)) == "every 90 seconds"
    assert describe(IntervalSchedule(timedelta(seconds=1.5), anchor)) == "every 1.5 seconds"
    assert describe(OnceSchedule(anchor)) == "once at 2026-01-01T00:00:00Z"
    limited = Limited(IntervalSchedule(timedelta(hours=1), anchor), anchor, anchor + timedelta(days=1))
    assert describe(limited) == "every hour, from 2026-01-01T00:00:00Z, until 2026-01-02T00:00:00Z"
