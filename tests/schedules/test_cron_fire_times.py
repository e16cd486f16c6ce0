"""Cron's fire times as literal tables: (expression, zone, after, what fires next)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

import pytest

from beatd.schedules import format_instant, parse_cron, parse_zone


def fires(expression: str, zone: str, after: str, count: int, **policies: str) -> list[str]:
    schedule = parse_cron(expression, parse_zone(zone), **policies)
    times = schedule.fire_times(datetime.fromisoformat(after))
    return [format_instant(time).removesuffix(":00Z") for time in islice(times, count)]


def check(expression: str, zone: str, after: str, expected: str, **policies: str) -> None:
    times = expected.split()
    assert fires(expression, zone, after, len(times), **policies) == times


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-02-28T23:58:30Z", "2026-02-28T23:59 2026-03-01T00:00"),
        ("*/15 9 * * *", "2026-01-01T09:30:00Z", "2026-01-01T09:45 2026-01-02T09:00"),
        ("*/7 * * * *", "2026-01-01T00:49:00Z", "2026-01-01T00:56 2026-01-01T01:00"),
        ("5/20 8 * * *", "2026-01-01T00:00:00Z", "2026-01-01T08:05 2026-01-01T08:25 2026-01-01T08:45"),
        ("2-2 4-4 * * *", "2026-01-01T00:00:00Z", "2026-01-01T04:02 2026-01-02T04:02"),
        ("0 9-17/4,20 * * *", "2026-01-01T00:00:00Z", "2026-01-01T09:00 2026-01-01T13:00 2026-01-01T17:00"),
        ("*/90 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T01:00 2026-01-01T02:00"),
        ("15 10 * * 1-5", "2026-11-20T10:15:00Z", "2026-11-23T10:15 2026-11-24T10:15"),
        ("0 0 * * 7", "2026-11-24T00:00:00Z", "2026-11-29T00:00 2026-12-06T00:00"),
        ("0 0 * * 5-7", "2026-11-24T00:00:00Z", "2026-11-27T00:00 2026-11-28T00:00 2026-11-29T00:00"),
        ("0 0 * * Fri-SAT", "2026-11-24T00:00:00Z", "2026-11-27T00:00 2026-11-28T00:00 2026-12-04T00:00"),
        ("0 0 1 jan,JUL *", "2026-01-01T00:00:00Z", "2026-07-01T00:00 2027-01-01T00:00"),
        ("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00 2026-05-31T00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00 2032-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00"),
        ("0 0 29 2 */6", "2026-01-01T00:00:00Z", "2032-02-29T00:00 2048-02-29T00:00"),
        ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00"),
        ("@daily", "2026-01-01T00:00:00Z", "2026-01-02T00:00"),
        ("@midnight", "2026-01-01T00:00:00Z", "2026-01-02T00:00"),
        ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00"),
        ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00"),
        ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00"),
        ("@annually", "2026-01-01T00:00:00Z", "2027-01-01T00:00"),
        ("0 12 L * *", "2026-01-31T12:00:00Z", "2026-02-28T12:00 2026-03-31T12:00"),
        ("0 12 LW * *", "2026-01-31T12:00:00Z", "2026-02-27T12:00 2026-03-31T12:00"),
        ("0 12 * * 5L", "2026-01-31T12:00:00Z", "2026-02-27T12:00 2026-03-27T12:00"),
        ("0 12 * * TUE#2", "2026-01-31T12:00:00Z", "2026-02-10T12:00 2026-03-10T12:00"),
        ("0 0 * 2 7#5", "2026-01-01T00:00:00Z", "2032-02-29T00:00 2060-02-29T00:00 2088-02-29T00:00"),
        ("0 0 29 2 */7", "2088-03-01T00:00:00Z", "2128-02-29T00:00"),
        # Strictly after, to the microsecond.
        ("0 3 * * *", "2026-01-01T02:59:59.999999Z", "2026-01-01T03:00"),
        ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00"),
        ("0 3 * * *", "2026-01-01T03:00:00.000001Z", "2026-01-02T03:00"),
    ],
)
def test_fields(expression: str, after: str, expected: str) -> None:
    check(expression, "UTC", after, expected)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * * *", "2026-12-31T23:59:58Z", "2026-12-31T23:59:59Z 2027-01-01T00:00"),
        ("* * * * * *", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z 2026-01-01T00:00:02Z"),
        ("7 * * * * *", "2026-01-01T00:00:07Z", "2026-01-01T00:01:07Z"),
        ("*/40 5,7 9 * * *", "2026-01-01T09:05:00Z", "2026-01-01T09:05:40Z 2026-01-01T09:07"),
        ("*/40 5,7 9,11 * * *", "2026-01-01T09:07:40Z", "2026-01-01T11:05 2026-01-01T11:05:40Z"),
        ("15 59 23 L * *", "2026-01-31T23:59:14.9Z", "2026-01-31T23:59:15Z 2026-02-28T23:59:15Z"),
        ("30 30 12 * * 5#1", "2026-01-01T00:00:00Z", "2026-01-02T12:30:30Z 2026-02-06T12:30:30Z"),
    ],
)
def test_seconds(expression: str, after: str, expected: str) -> None:
    check(expression, "UTC", after, expected)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # Berlin's gap: one fire of all that is skipped. Seconds that begin with `*` make no wildcard.
        ("30 30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:00 2026-03-30T00:30:30Z"),
        ("* 30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:00 2026-03-30T00:30 2026-03-30T00:30:01Z"),
        ("0,20 0 3 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:00 2026-03-29T01:00:20Z"),
        ("20 */30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-30T00:00:20Z"),
        # And its fold.
        (
            "15,45 30 2 * * *",
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:15Z 2026-10-25T00:30:45Z 2026-10-26T01:30:15Z",
        ),
        ("59 59 2 * * *", "2026-10-25T00:59:58.9Z", "2026-10-25T00:59:59Z 2026-10-26T01:59:59Z"),
        ("20 59 * * * *", "2026-10-25T00:00:00Z", "2026-10-25T00:59:20Z 2026-10-25T01:59:20Z"),
    ],
)
def test_seconds_at_shifts(expression: str, after: str, expected: str) -> None:
    check(expression, "Europe/Berlin", after, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Neither day field begins with `*`: either is enough.
        ("0 0 13 * 5", "2026-01-02 2026-01-09 2026-01-13 2026-01-16"),
        ("0 0 1-31 * 1", "2026-01-02 2026-01-03 2026-01-04"),
        ("0 0 13 * 0-6", "2026-01-02 2026-01-03 2026-01-04"),
        ("0 0 30 2 1", "2026-02-02 2026-02-09 2026-02-16"),
        # One begins with `*`, if only as `*/2` or in a list: both must match.
        ("0 0 */2 * 1", "2026-01-05 2026-01-19 2026-02-09"),
        ("0 0 1-7 * */7", "2026-01-04 2026-02-01 2026-03-01"),
        ("0 0 *,13 * 1", "2026-01-05 2026-01-12"),
        ("0 0 13 * *", "2026-01-13 2026-02-13"),
        ("0 0 * * 1", "2026-01-05 2026-01-12"),
    ],
)
def test_day_rule(expression: str, expected: str) -> None:
    check(expression, "UTC", "2026-01-01T00:00:00Z", expected.replace(" ", "T00:00 ") + "T00:00")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC. What Debian 12's cron was seen to do.
        ("30 2 * * *", "2026-03-29T01:00 2026-03-30T00:30"),
        ("0 3 * * *", "2026-03-29T01:00 2026-03-30T01:00"),
        ("0,30 1-3 * * *", "2026-03-29T00:00 2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30"),
        ("30 0-23 * * *", "2026-03-28T23:30 2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30"),
        ("*/30 2 * * *", "2026-03-30T00:00 2026-03-30T00:30"),
        ("* 2 * * *", "2026-03-30T00:00 2026-03-30T00:01"),
        ("5 */2 * * *", "2026-03-28T23:05 2026-03-29T02:05"),
        ("0 * * * *", "2026-03-29T00:00 2026-03-29T01:00 2026-03-29T02:00"),
        ("59 1 * * *", "2026-03-29T00:59 2026-03-29T23:59"),
        # The skipped wall time must be on a matching day itself.
        ("30 2 29 3 *", "2026-03-29T01:00 2027-03-29T00:30"),
        ("30 2 30 3 *", "2026-03-30T00:30 2027-03-30T00:30"),
    ],
)
def test_gap(expression: str, expected: str) -> None:
    check(expression, "Europe/Berlin", "2026-03-28T23:00:00Z", expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Berlin, 2026-10-25: 03:00 becomes 02:00 again at 01:00 UTC. What Debian 12's cron was seen to do.
        ("30 2 * * *", "2026-10-25T00:30 2026-10-26T01:30"),
        ("0 3 * * *", "2026-10-25T02:00 2026-10-26T02:00"),
        (
            "0,30 1-3 * * *",
            "2026-10-24T23:00 2026-10-24T23:30 2026-10-25T00:00 2026-10-25T00:30 2026-10-25T02:00",
        ),
        (
            "*/30 2 * * *",
            "2026-10-25T00:00 2026-10-25T00:30 2026-10-25T01:00 2026-10-25T01:30 2026-10-26T01:00",
        ),
        ("5 */2 * * *", "2026-10-24T22:05 2026-10-25T00:05 2026-10-25T01:05 2026-10-25T03:05"),
        ("0 * * * *", "2026-10-24T23:00 2026-10-25T00:00 2026-10-25T01:00 2026-10-25T02:00"),
    ],
)
def test_fold(expression: str, expected: str) -> None:
    check(expression, "Europe/Berlin", "2026-10-24T22:00:00Z", expected)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("45 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T00:45 2026-10-26T01:45"),
        ("45 2 * * *", "2026-10-25T00:45:00Z", "2026-10-26T01:45"),
        ("45 2 * * *", "2026-10-25T01:10:00Z", "2026-10-26T01:45"),
        ("*/15 2 * * *", "2026-10-25T00:45:00Z", "2026-10-25T01:00 2026-10-25T01:15"),
        ("30 2 * * *", "2026-03-29T00:59:59.999999Z", "2026-03-29T01:00 2026-03-30T00:30"),
        ("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30"),
    ],
)
def test_asked_in_the_middle_of_the_night(expression: str, after: str, expected: str) -> None:
    check(expression, "Europe/Berlin", after, expected)


SPRING, AUTUMN = "2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"


@pytest.mark.parametrize(
    ("expression", "after", "policies", "expected"),
    [
        ("30 2 * * *", SPRING, {"dst_gap": "skip"}, "2026-03-30T00:30"),
        ("*/20 2 * * *", SPRING, {"dst_gap": "run_after"}, "2026-03-29T01:00 2026-03-30T00:00"),
        ("30 2 * * *", AUTUMN, {"dst_fold": "second"}, "2026-10-25T01:30 2026-10-26T01:30"),
        ("30 2 * * *", AUTUMN, {"dst_fold": "both"}, "2026-10-25T00:30 2026-10-25T01:30 2026-10-26T01:30"),
        ("*/30 2 * * *", AUTUMN, {"dst_fold": "first"}, "2026-10-25T00:30 2026-10-26T01:00"),
        (
            "*/30 2 * * *",
            AUTUMN,
            {"dst_fold": "second"},
            "2026-10-25T01:00 2026-10-25T01:30 2026-10-26T01:00",
        ),
    ],
)
def test_chosen_policy(expression: str, after: str, policies: dict[str, str], expected: str) -> None:
    check(expression, "Europe/Berlin", after, expected, **policies)


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        # Midnight itself is skipped, and comes twice.
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", "2018-11-04T03:00 2018-11-05T02:00"),
        ("America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00:00Z", "2018-02-18T01:30 2018-02-19T02:30"),
        ("America/Sao_Paulo", "*/30 23 * * *", "2018-02-18T01:00:00Z", "2018-02-18T01:30 2018-02-18T02:00"),
        ("America/Havana", "0 0 * * *", "2026-03-07T12:00:00Z", "2026-03-08T05:00 2026-03-09T04:00"),
        # Half an hour of shift, and offsets of odd minutes.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-02T20:00:00Z", "2026-10-03T15:30 2026-10-04T15:15"),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00Z", "2026-04-04T14:45 2026-04-05T15:15"),
        ("Australia/Lord_Howe", "35 * * * *", "2026-04-04T14:00:00Z", "2026-04-04T14:35 2026-04-04T15:05"),
        ("Asia/Kathmandu", "0 6 * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:15 2026-01-02T00:15"),
        # Two hours of shift are still daylight saving.
        ("Antarctica/Troll", "30 1 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00 2026-03-29T23:30"),
        # Wintertime as the negative kind (Dublin), Ramadan without summertime (Casablanca).
        ("Europe/Dublin", "30 1 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00 2026-03-30T00:30"),
        ("Africa/Casablanca", "30 2 * * *", "2026-02-14T12:00:00Z", "2026-02-15T01:30 2026-02-16T02:30"),
        # Beyond the zone file's table: its rule goes on.
        ("Europe/Berlin", "30 2 * * *", "2299-03-25T12:00:00Z", "2299-03-26T01:00 2299-03-27T00:30"),
        ("Africa/Casablanca", "30 2 * * *", "2026-03-21T12:00:00Z", "2026-03-22T02:00 2026-03-23T01:30"),
        # Spring begins at midnight, autumn ends a day again.
        ("Asia/Beirut", "30 0 * * *", "2026-03-28T12:00:00Z", "2026-03-28T22:00 2026-03-29T21:30"),
        ("Asia/Beirut", "0 1 * * *", "2026-03-28T12:00:00Z", "2026-03-28T22:00 2026-03-29T22:00"),
        ("Asia/Beirut", "*/30 0 * * *", "2026-03-28T12:00:00Z", "2026-03-29T21:00 2026-03-29T21:30"),
        ("Asia/Beirut", "0 0 29 3 *", "2026-03-28T12:00:00Z", "2026-03-28T22:00 2027-03-28T21:00"),
        ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00:00Z", "2026-10-24T20:30 2026-10-25T21:30"),
        ("Asia/Beirut", "0 0 * * *", "2026-10-24T12:00:00Z", "2026-10-24T22:00 2026-10-25T22:00"),
        (
            "Asia/Beirut",
            "*/40 23 * * *",
            "2026-10-24T12:00:00Z",
            "2026-10-24T20:00 2026-10-24T20:40 2026-10-24T21:00",
        ),
        ("Africa/Cairo", "15 0 24 4 *", "2026-01-01T00:00:00Z", "2026-04-23T22:00 2027-04-23T22:15"),
        ("America/Santiago", "30 23 * * *", "2026-04-04T12:00:00Z", "2026-04-05T02:30 2026-04-06T03:30"),
        ("America/Santiago", "0 0 * * *", "2026-09-05T12:00:00Z", "2026-09-06T04:00 2026-09-07T03:00"),
        ("America/Asuncion", "0 0 * * 0", "2024-10-05T12:00:00Z", "2024-10-06T04:00 2024-10-13T03:00"),
        ("America/Nuuk", "30 22 * * 6", "2023-03-25T12:00:00Z", "2023-03-26T01:00 2023-04-02T00:30"),
        ("Asia/Gaza", "30 2 * * SAT", "2026-03-27T12:00:00Z", "2026-03-28T00:00 2026-04-03T23:30"),
        ("Asia/Gaza", "30 1 * * *", "2026-10-23T12:00:00Z", "2026-10-23T22:30 2026-10-24T23:30"),
        # The last evening of a month and of a year.
        ("Asia/Dhaka", "30 23 19 6 *", "2009-06-01T00:00:00Z", "2009-06-19T17:00 2010-06-19T17:30"),
        ("Asia/Dhaka", "30 23 31 12 *", "2009-06-01T00:00:00Z", "2009-12-31T16:30 2010-12-31T17:30"),
        ("Asia/Amman", "30 23 L * *", "2026-10-01T00:00:00Z", "2026-10-31T20:30 2026-11-30T20:30"),
        # For good: eastwards, westwards, by half an hour and by a quarter.
        ("Europe/Istanbul", "0 3 * * *", "2016-10-29T12:00:00Z", "2016-10-30T00:00 2016-10-31T00:00"),
        ("Europe/Moscow", "30 1 * * *", "2014-10-25T12:00:00Z", "2014-10-25T21:30 2014-10-26T22:30"),
        ("Asia/Pyongyang", "45 23 * * *", "2015-08-14T12:00:00Z", "2015-08-14T14:45 2015-08-15T15:15"),
        ("Asia/Pyongyang", "0 0 * * *", "2015-08-14T12:00:00Z", "2015-08-14T15:30 2015-08-15T15:30"),
        ("Asia/Pyongyang", "45 23 * * *", "2018-05-04T12:00:00Z", "2018-05-04T15:00 2018-05-05T14:45"),
        ("America/Caracas", "45 2 * * *", "2007-12-09T00:00:00Z", "2007-12-09T06:45 2007-12-10T07:15"),
        ("America/Caracas", "45 2 * * *", "2016-05-01T00:00:00Z", "2016-05-01T07:00 2016-05-02T06:45"),
        ("Asia/Kathmandu", "10 0 * * *", "1985-12-31T12:00:00Z", "1985-12-31T18:30 1986-01-01T18:25"),
        ("Asia/Kathmandu", "0 0 1 1 *", "1985-06-01T00:00:00Z", "1985-12-31T18:30 1986-12-31T18:15"),
        ("Africa/Juba", "30 23 31 1 *", "2021-01-01T00:00:00Z", "2021-01-31T20:30 2022-01-31T21:30"),
        # Monrovia was 44 minutes and 30 seconds behind UTC until 1972.
        ("Africa/Monrovia", "0 23 * * *", "1972-01-06T12:00:00Z", "1972-01-06T23:44:30Z 1972-01-07T23:00"),
        ("Africa/Monrovia", "30 0 * * *", "1972-01-06T12:00:00Z", "1972-01-07T00:44:30Z 1972-01-08T00:30"),
        ("Africa/Monrovia", "45 * * * *", "1972-01-07T00:00:00Z", "1972-01-07T00:29:30Z 1972-01-07T00:45"),
        # Days that a country skipped: nothing is caught up; and the day that Kwajalein skipped.
        ("Pacific/Apia", "0 12 * * *", "2011-12-29T20:00:00Z", "2011-12-29T22:00 2011-12-30T22:00"),
        ("Pacific/Apia", "0 12 30 12 *", "2011-01-01T00:00:00Z", "2012-12-29T22:00"),
        ("Pacific/Apia", "0 0 * * *", "2011-12-29T20:00:00Z", "2011-12-30T10:00 2011-12-31T10:00"),
        ("Pacific/Kwajalein", "0 12 * * *", "1993-08-20T20:00:00Z", "1993-08-21T00:00 1993-08-22T00:00"),
        # The day that Kwajalein had twice: nothing is held back.
        ("Pacific/Kwajalein", "0 12 30 9 *", "1969-09-01T00:00:00Z", "1969-09-30T01:00 1969-10-01T00:00"),
        ("Pacific/Fakaofo", "0 12 30 12 *", "2011-01-01T00:00:00Z", "2012-12-29T23:00"),
        ("Antarctica/Vostok", "0 20 * * *", "1994-01-31T00:00:00Z", "1994-01-31T13:00 1994-01-31T20:00"),
        ("Antarctica/Vostok", "0 3 1 11 *", "1994-06-01T00:00:00Z", "1995-10-31T20:00"),
        # Far ahead: the years between are passed over, but not what is skipped or repeated then.
        ("Europe/Berlin", "30 2 29 3 */7", "2026-04-01T00:00:00Z", "2037-03-29T01:00 2043-03-29T01:00"),
        ("Europe/Berlin", "30 2 25 10 */7", "2026-11-01T00:00:00Z", "2037-10-25T00:30 2043-10-25T00:30"),
        (
            "Europe/Berlin",
            "*/30 2 25 10 */7",
            "2026-11-01T00:00:00Z",
            "2037-10-25T00:00 2037-10-25T00:30 2037-10-25T01:00",
        ),
        ("Pacific/Kwajalein", "0 12 30 9 *", "1968-10-01T00:00:00Z", "1969-09-30T01:00 1969-10-01T00:00"),
        ("Pacific/Kwajalein", "0 12 21 8 *", "1992-09-01T00:00:00Z", "1994-08-21T00:00"),
        # Three hours are the most that is caught up.
        ("Antarctica/Casey", "0 3 * * *", "2009-10-17T00:00:00Z", "2009-10-17T18:00 2009-10-18T16:00"),
    ],
)
def test_zones(zone: str, expression: str, after: str, expected: str) -> None:
    check(expression, zone, after, expected)


def test_the_end_of_time_is_an_end() -> None:
    schedule = parse_cron("0 0 1 1 *", parse_zone("Pacific/Kiritimati"))
    assert schedule.next_fire_time(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert schedule.next_fire_time(datetime.max.replace(tzinfo=UTC)) is None
    last_evening = parse_cron("0 23 31 12 *", parse_zone("America/New_York"))
    assert last_evening.next_fire_time(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert schedule.next_fire_time(datetime.min.replace(tzinfo=UTC)) is not None


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_instants_that_utc_has_not_are_the_ends_of_it(zone: str) -> None:
    schedule = parse_cron("0 0 1 1 *", parse_zone(zone))
    east, west = (timezone(timedelta(hours=hours)) for hours in (14, -12))
    first = schedule.next_fire_time(datetime.min.replace(tzinfo=UTC))
    assert schedule.next_fire_time(datetime.min.replace(tzinfo=east)) == first
    assert schedule.next_fire_time(datetime.max.replace(tzinfo=west)) is None
    years = 9998
    assert (
        schedule.count(datetime.min.replace(tzinfo=east), datetime.max.replace(tzinfo=west)).number == years
    )


def test_an_aware_instant_of_another_zone_is_taken_and_utc_given() -> None:
    berlin = parse_zone("Europe/Berlin")
    schedule = parse_cron("0 3 * * *", berlin)
    time = schedule.next_fire_time(datetime(2026, 1, 1, 2, 59, tzinfo=berlin))
    assert time == datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert time.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        parse_cron("0 3 * * *", parse_zone("UTC")).next_fire_time(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("@daily", "0 0 * * *", True),
        ("0 0 * * sun", "0 0 * * 7", True),
        ("0,30 0 * * *", "0-59/30 0 * * *", True),
        # The same fields, but of the other kind at daylight saving, or by the other day rule.
        ("*/30 0 * * *", "0,30 0 * * *", False),
        ("0 0 */2 * 1", "0 0 1-31/2 * 1", False),
    ],
)
def test_equal_rules_are_equal(one: str, other: str, equal: bool) -> None:
    zone = parse_zone("Europe/Berlin")
    left, right = parse_cron(one, zone), parse_cron(other, zone)
    assert (left == right) is equal
    assert (hash(left) == hash(right)) is equal
    assert left != parse_cron(one, parse_zone("Europe/Paris"))


def test_many_threads_may_ask_one_schedule() -> None:
    schedule = parse_cron("*/20 1-3 13 * 5", parse_zone("America/New_York"))
    after, until = datetime(2031, 1, 1, tzinfo=UTC), datetime(2033, 1, 1, tzinfo=UTC)
    answers: list[list[datetime]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(list(schedule.fire_times(after, until))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) > 1000
    assert answers[0][0] - after < timedelta(days=7)
