"""What cron's fields may hold, and what is said about everything else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from beatd.errors import FieldError
from beatd.schedules import parse_cron, parse_zone

UTC_ZONE = parse_zone("UTC")


@pytest.mark.parametrize(
    ("expression", "minutes", "hours", "days", "months", "weekdays"),
    [
        ("1,2,2 3 4 5 6", "1 2", "3", "4", "5", "6"),
        ("00-09/3 05 01 01 07", "0 3 6 9", "5", "1", "1", "0"),
        ("50/4 20/3 28/2 9/2 4/2", "50 54 58", "20 23", "28 30", "9 11", "4 6"),
        ("0-59/25 */9 */15 */5 */3", "0 25 50", "0 9 18", "1 16 31", "1 6 11", "0 3 6"),
        ("3-3 4-4/2 5-5 6-6 7-7", "3", "4", "5", "6", "0"),
        ("1 1 1 JAN,mar-May Mon-WED,sun", "1", "1", "1", "1 3 4 5", "0 1 2 3"),
        ("1 1 1 JUL sat", "1", "1", "1", "7", "6"),
        ("\t1  1 1\t1 0-1,6-7 \r\n", "1", "1", "1", "1", "0 1 6"),
        ("*/90 */24 1 */13 */8", "0", "0", "1", "1", "0"),
    ],
)
def test_fields(expression: str, minutes: str, hours: str, days: str, months: str, weekdays: str) -> None:
    schedule = parse_cron(expression, UTC_ZONE)
    rule = schedule.days
    read = [schedule.minutes, schedule.hours, rule.days, rule.months, rule.weekdays]
    assert [" ".join(map(str, values)) for values in read] == [minutes, hours, days, months, weekdays]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 22-6 * * *", "hour '22-6': the range runs backwards; did you mean '22-23,0-6'?"),
        ("0 23-0 * * *", "did you mean '23,0'?"),
        ("0 0 25-5 * *", "did you mean '25-31,1-5'?"),
        ("0 0 * 11-2 *", "did you mean '11-12,1-2'?"),
        ("0 0 * * 6-0", "day-of-week '6-0': the range runs backwards; did you mean '6-7'?"),
        ("0 0 * * FRI-MON", "did you mean '5-6,0-1'?"),
        ("0 0 * * 7-1", "did you mean '0-1'?"),
        ("60 * * * *", "minute '60': 60 is not in 0-59"),
        ("0 24 * * *", "hour '24': 24 is not in 0-23"),
        ("0 0 0 * *", "day-of-month '0': 0 is not in 1-31"),
        ("0 0 * 13 *", "month '13': 13 is not in 1-12"),
        ("0 0 * * 8", "day-of-week '8': 8 is not in 0-7"),
        ("*/0 * * * *", "minute '*/0': a step is at least 1"),
        ("*/ * * * *", "a step is one whole number"),
        ("*/5/2 * * * *", "a step is one whole number"),
        ("*/-5 * * * *", "a step is one whole number"),
        ("1- * * * *", "minute '1-': a number is missing"),
        ("-1 * * * *", "minute '-1': a number is missing"),
        ("1,,2 * * * *", "a list has no empty item"),
        ("*-5 * * * *", "'*' stands alone or before a step"),
        ("1-* * * * *", "'*' stands alone or before a step"),
        ("1.5 * * * *", "'1.5' is not 0-59"),
        ("0:30 * * * *", "'0:30' is not 0-59"),
        ("+5 * * * *", "'+5' is not 0-59"),
        ("1–5 * * * *", "that dash is not '-'"),
        ("٣ * * * *", "'٣' is not 0-59"),
        ("0 0 * foo *", "month 'foo': 'foo' is not 1-12 or JAN-DEC"),
        ("0 0 * April *", "month 'April': names have three letters: 'APR'"),
        ("0 0 * * MONDAY", "names have three letters: 'MON'"),
        ("0 0 ? * *", "day-of-month '?': Quartz's '?' is not cron; write '*'"),
        ("R * * * *", "random values are not cron"),
        ("0 0 15W * *", "Quartz's"),
        ("0 0 L-3 * *", "Quartz's"),
        ("0 0 L * *", "'L' is the last day; this version does not have it yet"),
        ("0 0 1,L * *", "'L' is the last day; this version does not have it yet"),
        ("0 0 LW * *", "'LW' is the last weekday of the month; this version does not have it yet"),
        ("0 0 * * 5L", "'L' after a weekday is its last in the month; this version does not have it yet"),
        ("0 0 * * fri#2", "'#' is the n-th such weekday of the month; this version does not have it yet"),
        ("H H(0-5) * * *", "'H' is a hashed value; this version does not have it yet"),
        ("0~30 * * * *", "'~' is one value of a range; this version does not have it yet"),
        ("", "has 0 fields; five are needed: minute, hour, day-of-month, month, day-of-week"),
        ("* * * *", "has 4 fields; five are needed"),
        ("0\xa00\xa0*\xa0*\xa0*", "has 1 field; five are needed"),
        ("30 0 0 * * *", "six fields are read as second '30' before the usual five '0 0 * * *'"),
        (
            "0 0 12 * * ? 2030",
            "seven fields look like Quartz's second '0', then '0 12 * * ?', then year '2030'",
        ),
        ("0, 30 * * * *", "lists and ranges have no blanks in them"),
        ("0 0 1- 5 * *", "lists and ranges have no blanks in them"),
        ("CRON_TZ=Europe/Berlin 0 0 * * *", "the zone is a field of its own: timezone"),
        ("rate(5 minutes)", "given as every"),
        ("5 minutes", "given as every"),
        ("@Daily", "@-names are written in small letters: '@daily'"),
        ("@reboot", "a boot schedule, which this version does not have yet"),
        ("@every 5m", "unknown; the @-names are @hourly"),
        ("0 0 30 2 *", "never fires: there is no day 30 in Feb"),
        ("0 0 31 4,6,9,11 */2", "never fires: there is no day 31 in Apr, Jun, Sep, Nov"),
    ],
)
def test_refused(expression: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron(expression, UTC_ZONE)
    assert problem in refusal.value.problem
    assert (refusal.value.field, refusal.value.value) == ("cron", expression)
    assert refusal.value.example is not None
    assert "\n" not in str(refusal.value)
    parse_cron(refusal.value.example, UTC_ZONE)


def test_a_monstrous_expression_is_refused_in_a_short_line() -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron("1" * 100_000 + " * * * *", UTC_ZONE)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 30 2 1", "0 0 31 2,3 *", "0 0 30 2 0-7"])
def test_what_fires_seldom_is_taken(expression: str) -> None:
    assert parse_cron(expression, UTC_ZONE).next_fire_time(datetime(2097, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("30 2 * * *", ("run_after", "first")),
        ("0-59 0-23 * * *", ("run_after", "first")),
        ("* 2 * * *", ("skip", "both")),
        ("30 * * * *", ("skip", "both")),
        ("30 */2 * * *", ("skip", "both")),
        ("*,5 2 * * *", ("skip", "both")),
        ("@hourly", ("skip", "both")),
        ("@daily", ("run_after", "first")),
    ],
)
def test_fixed_time_or_wildcard(expression: str, kind: tuple[str, str]) -> None:
    schedule = parse_cron(expression, UTC_ZONE)
    assert (schedule.dst_gap, schedule.dst_fold) == kind


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"dst_gap": "before"}, "dst_gap: 'before': must be one of run_after, skip"),
        ({"dst_fold": "third"}, "dst_fold: 'third': must be one of first, second, both"),
    ],
)
def test_unknown_policy(policy: dict[str, str], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        parse_cron("@daily", UTC_ZONE, **policy)
