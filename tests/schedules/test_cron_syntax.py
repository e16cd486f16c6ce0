"""What cron's fields may hold, and what is said about everything else."""

from __future__ import annotations

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
        (
            "0 22-6 * * *",
            "hour '22-6': the range runs backwards; allowed are 0-23; did you mean '22-23,0-6'?",
        ),
        ("0 23-0 * * *", "did you mean '23,0'?"),
        ("0 0 25-5 * *", "did you mean '25-31,1-5'?"),
        ("0 0 * 11-2 *", "did you mean '11-12,1-2'?"),
        ("0 0 * * 6-0", "allowed are 0-7 or SUN-SAT; did you mean '6-7'?"),
        ("0 0 * * FRI-MON", "did you mean '5-6,0-1'?"),
        ("0 0 * * 7-1", "did you mean '0-1'?"),
        ("60 * * * *", "minute '60': 60 is not in 0-59"),
        ("0 24 * * *", "hour '24': 24 is not in 0-23"),
        ("0 0 0 * *", "day-of-month '0': 0 is not in 1-31"),
        ("0 0 * 13 *", "month '13': 13 is not in 1-12"),
        ("0 0 * * 8", "day-of-week '8': 8 is not in 0-7"),
        ("*/0 * * * *", "minute '*/0': a step is at least 1"),
        ("*/ * * * *", "a step is one whole number"),
        ("/5 * * * *", "minute '/5': a step follows '*', a number or a range, such as '*/2'"),
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
        ("R * * * *", "random values are not cron; write 'H'"),
        ("0 0 15W * *", "Quartz's"),
        ("0 0 W15 * *", "Quartz's"),
        ("0 0 L-3 * *", "Quartz's"),
        ("", "has 0 fields; five are needed: minute, hour, day-of-month, month, day-of-week"),
        ("* * * *", "has 4 fields; five are needed"),
        ("0\xa00\xa0*\xa0*\xa0*", "has 1 field; five are needed"),
        ("0 0 * *", "day-of-week (or six, with the second first)"),
        ("* * * * * * * *", "has 8 fields; five are needed"),
        (
            "0 0 12 * * ? 2030",
            "seven fields look like Quartz's second '0', then '0 12 * * ?', then year '2030'; cron has no",
        ),
        ("0, 30 * * * *", "lists and ranges have no blanks in them"),
        ("0 0 1- 5 * *", "lists and ranges have no blanks in them"),
        ("CRON_TZ=Europe/Berlin 0 0 * * *", "the zone is a field of its own: timezone"),
        ("rate(5 minutes)", "given as every"),
        ("5 minutes", "given as every"),
        ("@Daily", "@-names are written in small letters: '@daily'"),
        ("@reboot", "@reboot is a boot schedule, it has no fire times ahead"),
        ("@Reboot", "@-names are written in small letters: '@reboot'"),
        ("@every 5m", "that looks like an interval, which is given as every, such as '5m'"),
        (
            "@dayly",
            "unknown; the @-names are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually ",
        ),
        ("@dayly", "and @reboot; did you mean '@daily'?"),
        ("@", "unknown; the @-names are @hourly"),
        ("@daily 5", "unknown; the @-names are @hourly"),
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


@pytest.mark.parametrize(
    ("expression", "second"),
    [
        ("0 0 * * *", "0"),
        ("30 0 0 * * *", "30"),
        ("*/20 0 0 * * *", "0 20 40"),
        ("7,3-5 0 0 * * *", "3 4 5 7"),
        ("50/4 0 0 * * *", "50 54 58"),
        ("@daily", "0"),
    ],
)
def test_a_sixth_field_in_front_is_the_second(expression: str, second: str) -> None:
    schedule = parse_cron(expression, UTC_ZONE)
    assert " ".join(map(str, schedule.seconds)) == second
    assert (schedule.minutes, schedule.hours) == ((0,), (0,))
    assert schedule.expression == expression


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("60 * * * * *", "second '60': 60 is not in 0-59 (of six fields the first is the second)"),
        ("* * * * * 2026", "day-of-week '2026': 2026 is not in 0-7 (of six fields the first is the second)"),
        ("*/5 * * * * true", "day-of-week 'true': 'true' is not 0-7 or SUN-SAT (of six fields the first"),
        (
            "0 0 12 * * ?",
            "Quartz's '?' is not cron; write '*'; allowed are 0-7 or SUN-SAT (of six fields the",
        ),
        ("0 0 0 30 2 *", "never fires: there is no day 30 in Feb"),
    ],
)
def test_six_fields_refused(expression: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron(expression, UTC_ZONE)
    assert problem in refusal.value.problem


@pytest.mark.parametrize(
    ("days", "weekdays", "last_day", "last_working_day", "last_weekdays", "nth_weekdays"),
    [
        ("L", "*", True, False, (), ()),
        ("LW", "*", False, True, (), ()),
        ("1,L,15,LW", "*", True, True, (), ()),
        ("*", "5L", False, False, (5,), ()),
        ("*", "friL,7L,Sun#1", False, False, (0, 5), ((0, 1),)),
        ("*", "FRI#2,1,5#1,5#2", False, False, (), ((5, 1), (5, 2))),
        ("*", "7#5", False, False, (), ((0, 5),)),
    ],
)
def test_forms_that_depend_on_the_month(
    days: str,
    weekdays: str,
    last_day: bool,
    last_working_day: bool,
    last_weekdays: tuple[int, ...],
    nth_weekdays: tuple[tuple[int, int], ...],
) -> None:
    rule = parse_cron(f"0 0 {days} * {weekdays}", UTC_ZONE).days
    assert (rule.last_day, rule.last_working_day) == (last_day, last_working_day)
    assert (rule.last_weekdays, rule.nth_weekdays) == (last_weekdays, nth_weekdays)
    plain_days = [item for item in days.split(",") if item.isdigit()]
    plain_weekdays = [item for item in weekdays.split(",") if item.isdigit()]
    assert rule.days == (tuple(range(1, 32)) if days == "*" else tuple(map(int, plain_days)))
    assert rule.weekdays == (tuple(range(7)) if weekdays == "*" else tuple(map(int, plain_weekdays)))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        (
            "0 0 l * *",
            "day-of-month 'l': the last day is 'L' and the last Monday to Friday 'LW', in day-of-month",
        ),
        ("0 0 WL * *", "the last day is 'L' and the last Monday to Friday 'LW'"),
        ("0 0 * * L", "day-of-week 'L': the last day is 'L'"),
        (
            "0 0 * * LW",
            "day-of-week 'LW': the last day is 'L' and the last Monday to Friday 'LW', in day",
        ),
        ("L * * * *", "minute 'L': the last day is 'L'"),
        ("0 0 * L *", "month 'L': the last day is 'L'"),
        ("0 0 5L * *", "day-of-month '5L': the month's last such weekday is '5L' or 'FRIL', in day-of-week"),
        ("0 0 * * 5l", "day-of-week '5l': the month's last such weekday is '5L'"),
        ("0 0 * * L5", "day-of-week 'L5': the month's last such weekday is '5L'"),
        ("0 0 * * LSUN", "day-of-week 'LSUN': the month's last such weekday is '5L'"),
        ("0 0 * * 8L", "day-of-week '8L': 8 is not in 0-7"),
        ("0 0 * * *L", "day-of-week '*L': '*' stands alone or before a step"),
        ("0 0 * * 1-5L", "day-of-week '1-5L': '1-5' is not 0-7 or SUN-SAT"),
        ("0 0 * * 5L/2", "day-of-week '5L/2': '5L' is not 0-7"),
        ("0 0 1-L * *", "day-of-month '1-L': 'L' is not 1-31"),
        ("0 0 * * 5#6", "day-of-week '5#6': after '#' comes 1-5, the how-manieth in the month"),
        ("0 0 * * 5#0", "day-of-week '5#0': after '#' comes 1-5"),
        ("0 0 * * 5#", "day-of-week '5#': after '#' comes 1-5"),
        ("0 0 * * 5#1-2", "day-of-week '5#1-2': after '#' comes 1-5"),
        ("0 0 * * 5#2#3", "day-of-week '5#2#3': after '#' comes 1-5"),
        ("0 0 * * #2", "day-of-week '#2': a number is missing"),
        ("0 0 * * 8#2", "day-of-week '8#2': 8 is not in 0-7"),
        ("0 0 * * 1-5#2", "day-of-week '1-5#2': '1-5' is not 0-7"),
        ("0 0 * * friday#2", "names have three letters: 'FRI'"),
        ("0 0 * * 5#L", "day-of-week '5#L': the last one is written '5L'"),
        (
            "0 0 1#2 * *",
            "day-of-month '1#2': the month's second such weekday is '5#2' or 'FRI#2', in day-of-week",
        ),
    ],
)
def test_forms_that_depend_on_the_month_refused(expression: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron(expression, UTC_ZONE)
    assert problem in refusal.value.problem


def test_a_monstrous_expression_is_refused_in_a_short_line() -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron("1" * 100_000 + " * * * *", UTC_ZONE)
    assert len(str(refusal.value)) < 200
    assert refusal.value.problem == "has 100008 characters; at most 1000 are read"
    longest = ",".join(["10"] * 331) + " * * * *"
    assert len(longest) == 1000
    assert parse_cron(longest, UTC_ZONE).minutes == (10,)
    with pytest.raises(FieldError, match="has 1001 characters"):
        parse_cron(longest.rjust(1001), UTC_ZONE)


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
        ({"dst_gap": "before"}, "dst_gap: 'before': must be one of run_after, skip; for example 'run_after'"),
        ({"dst_fold": "third"}, "dst_fold: 'third': must be one of first, second, both; for example 'first'"),
    ],
)
def test_unknown_policy(policy: dict[str, str], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        parse_cron("@daily", UTC_ZONE, **policy)
