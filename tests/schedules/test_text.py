"""Durations, instants, times of day, dates and zones as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd import durations
from beatd.errors import FieldError
from beatd.schedules import format_duration, format_instant, parse_duration, parse_instant, parse_zone
from beatd.schedules.text import format_time, parse_choice, parse_date, parse_time
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
    ("text", "expected"),
    [
        ("00:00", time(0, 0)),
        ("09:00", time(9, 0)),
        (" 09:00:30 ", time(9, 0, 30)),
        ("23:59:59", time(23, 59, 59)),
    ],
)
def test_times_of_day(text: str, expected: time) -> None:
    assert parse_time(text, "time") == expected
    assert parse_time(format_time(expected), "time") == expected


@pytest.mark.parametrize("text", ["9:00", "24:00", "09:60", "09:00:60", "0900", "9am", "", "09:00Z", "٠٩:٠٠"])
def test_bad_times_of_day(text: str) -> None:
    with pytest.raises(FieldError, match=r"^time: .*HH:MM") as refusal:
        parse_time(text, "time")
    assert parse_time(refusal.value.example or "", "x")


@pytest.mark.parametrize("text", ["2026-02-29", "20260228", "2026-W01-1", "24.12.2026", "2026-2-3", ""])
def test_bad_dates(text: str) -> None:
    assert parse_date("2024-02-29", "dates") == date(2024, 2, 29)
    with pytest.raises(FieldError, match=r"^dates: .*YYYY-MM-DD") as refusal:
        parse_date(text, "dates")
    assert parse_date(refusal.value.example or "", "x")


def test_a_word_is_one_of_those_allowed() -> None:
    assert parse_choice("skip", ("run_after", "skip"), "dst_gap") == "skip"
    with pytest.raises(FieldError, match=r"^dst_gap: 'Skip': must be one of run_after, skip; for example"):
        parse_choice("Skip", ("run_after", "skip"), "dst_gap")
