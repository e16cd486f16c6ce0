"""H and ~: values by the entry's name, the same everywhere and for ever."""

from __future__ import annotations

from collections import Counter

import pytest

from beatd.errors import FieldError
from beatd.schedules import CronSchedule, parse_cron, parse_zone
from beatd.schedules.hashed import hashed

ZONE = parse_zone("Europe/Berlin")
FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")


def parse(expression: str, name: str = "backup") -> CronSchedule:
    return parse_cron(expression, ZONE, name=name)


def read(expression: str, name: str = "backup") -> dict[str, tuple[int, ...]]:
    schedule = parse(expression, name)
    rule = schedule.days
    values = (
        schedule.seconds,
        schedule.minutes,
        schedule.hours,
        rule.days,
        rule.months,
        rule.weekdays,
    )
    return dict(zip(FIELDS, values, strict=True))


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        (("cron", "backup", "minute"), 4980653660420904549),
        (("",), 16476032584258269876),
        (("a", "b"), 18429100309458631331),
        (("ab",), 1032087313592488072),
        (("größe",), 17652106498042665705),
        (("\ud800",), 4758185216457903464),
    ],
)
def test_the_hash_never_changes(parts: tuple[str, ...], number: int) -> None:
    assert hashed(*parts) == number


#: The numbers of `backup`: what each field's choices follow.
NUMBERS = {
    "second": 7928376114008319324,
    "minute": 4980653660420904549,
    "hour": 6557379216353543467,
    "day-of-month": 18020669093178797939,
    "month": 17208701230022766347,
    "day-of-week": 8118251779317813029,
}


@pytest.mark.parametrize(
    ("field", "expression", "expected"),
    [
        # One value: low + number % size.
        ("second", "H 0 0 * * *", "24"),  # N % 60
        ("minute", "H * * * *", "9"),  # N % 60
        ("hour", "0 H * * *", "19"),  # N % 24
        ("day-of-month", "0 0 H * *", "20"),  # 1 + N % 28
        ("month", "0 0 1 H *", "12"),  # 1 + N % 12
        ("day-of-week", "0 0 * * H", "1"),  # N % 7
        ("minute", "H(30-40) * * * *", "36"),  # 30 + N % 11
        ("minute", "H(7-7) * * * *", "7"),
        ("hour", "0 H(22-23) * * *", "23"),
        ("day-of-month", "0 0 H(29-31) * *", "31"),
        ("month", "0 0 1 H(jan-MAR) *", "3"),
        ("day-of-week", "0 0 * * H(mon-5)", "5"),
        ("day-of-week", "0 0 * * H(7-7)", "0"),
        # Every n-th: low + number % n, and on.
        ("minute", "H/15 * * * *", "9 24 39 54"),
        ("minute", "H/25 * * * *", "24 49"),
        ("minute", "H(5-54)/10 * * * *", "14 24 34 44 54"),
        ("minute", "H/60 * * * *", "9"),
        ("minute", "H(0-2)/3 * * * *", "0"),
        ("day-of-month", "0 0 H/7 * *", "6 13 20 27"),
        ("day-of-month", "0 0 H(1-31)/10 * *", "10 20 30"),
        ("month", "0 0 1 H/3 *", "3 6 9 12"),
        ("day-of-week", "0 0 * * H(MON-FRI)/2", "2 4"),
        ("hour", "0 H/1 * * *", " ".join(map(str, range(24)))),
        # cronie's one of a range.
        ("minute", "0~30 * * * *", "20"),  # N % 31
        ("minute", "~ * * * *", "9"),
        ("minute", "50~ * * * *", "59"),
        ("minute", "~9 * * * *", "9"),
        ("minute", "7~7 * * * *", "7"),
        ("day-of-month", "0 0 ~ * *", "3"),  # 1 + N % 31
        ("day-of-week", "0 0 * * ~", "5"),  # N % 8
        ("day-of-week", "0 0 * * 3~", "0"),  # 3 + N % 5, a 7
        ("day-of-week", "0 0 * * mon~FRI", "5"),
        # In lists; within one field the choices keep their distance.
        ("minute", "H(0-29),H(30-59) * * * *", "9 39"),
        ("minute", "0,H,30-31 * * * *", "0 9 30 31"),
        ("minute", "0~30,H * * * *", "9 20"),
        ("day-of-month", "0 0 H,L * *", "20"),
    ],
)
def test_values(field: str, expression: str, expected: str) -> None:
    assert hashed("cron", "backup", field) == NUMBERS[field]
    assert " ".join(map(str, read(expression)[field])) == expected


def test_each_name_has_its_own() -> None:
    assert read("H H * * *", "nightly report")["minute"] == (51,)
    assert read("H H * * *", "größe")["minute"] == (47,)
    assert read("H H * * *", "")["minute"] == (46,)


def test_a_day_of_the_month_comes_in_every_month() -> None:
    days = {read("0 0 H * *", f"entry {number}")["day-of-month"] for number in range(1000)}
    assert days == {(day,) for day in range(1, 29)}
    weekdays = {read("0 0 * * H", f"entry {number}")["day-of-week"] for number in range(1000)}
    assert weekdays == {(weekday,) for weekday in range(7)}


def test_load_is_spread_evenly_and_each_field_by_itself() -> None:
    read_all = [read("H H * * *", f"entry {number}") for number in range(14_400)]
    minutes = Counter(fields["minute"] for fields in read_all)
    hours = Counter(fields["hour"] for fields in read_all)
    assert len(minutes) == 60
    assert max(minutes.values()) < 1.3 * 240
    assert len(hours) == 24
    assert max(hours.values()) < 1.3 * 600
    # Ten for each of the day's 1440 minutes: if the fields went together, most minutes had none.
    assert len({(fields["hour"], fields["minute"]) for fields in read_all}) > 1430


def test_hashed_values_are_fixed_times_without_a_star() -> None:
    kinds = {
        expression: (parse(expression).dst_gap, parse(expression).days.both_must_match)
        for expression in ("H H * * *", "H * * * *", "H/5 H/2 * * 1", "0 0 H * 1", "0 0 1~5 * 1", "0 0 1 * H")
    }
    assert kinds == {
        "H H * * *": ("run_after", True),
        "H * * * *": ("skip", True),
        "H/5 H/2 * * 1": ("run_after", True),
        "0 0 H * 1": ("run_after", False),
        "0 0 1~5 * 1": ("run_after", False),
        "0 0 1 * H": ("run_after", False),
    }


def test_the_expression_stays_as_written_and_equal_values_are_equal_rules() -> None:
    hashed_rule, plain_rule = parse("H  H * * *"), parse("9 19 * * *")
    assert hashed_rule.expression == "H H * * *"
    assert hashed_rule == plain_rule
    assert hash(hashed_rule) == hash(plain_rule)
    assert hashed_rule != parse("H H * * *", "another")


def test_a_name_changes_nothing_else() -> None:
    assert parse("*/5 3 L * THU", "one") == parse("*/5 3 L * THU", "other") == parse_cron("*/5 3 L * 4", ZONE)
    # Entries are many and rules are few: what names do not change is kept once.
    assert parse("*/5 3 L * *", "one") is parse("*/5 3 L * *", "other")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("H 0 * * *", "minute 'H': H is hashed by the entry's name: give name"),
        ("0 0 * * H/2", "day-of-week 'H/2': H is hashed by the entry's name: give name"),
        ("0 0~5 * * *", "hour '0~5': ~ is hashed by the entry's name: give name"),
    ],
)
def test_without_a_name_refused(expression: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_cron(expression, ZONE)
    assert refusal.value.problem == problem


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("H(0-60) * * * *", "minute 'H(0-60)': 60 is not in 0-59"),
        ("H(50-10) * * * *", "minute 'H(50-10)': the range runs backwards"),
        ("H(-5) * * * *", "a number is missing"),
        ("H(5-) * * * *", "a number is missing"),
        ("H(5) * * * *", "the forms of 'H' are 'H', 'H(1-5)', 'H/2' and 'H(1-5)/2'"),
        ("H() * * * *", "the forms of 'H' are"),
        ("H5 * * * *", "the forms of 'H' are"),
        ("H-5 * * * *", "the forms of 'H' are"),
        ("H(1-5)x * * * *", "the forms of 'H' are"),
        ("H(1-2-3) * * * *", "the forms of 'H' are"),
        ("H/0 * * * *", "a step is at least 1"),
        ("H/ * * * *", "a step is one whole number"),
        ("H/2/2 * * * *", "a step is one whole number"),
        ("H/x * * * *", "a step is one whole number"),
        ("H/61 * * * *", "minute 'H/61': the step is longer than 0-59; at most 60"),
        ("H(10-14)/6 * * * *", "minute 'H(10-14)/6': the step is longer than 10-14; at most 5"),
        ("0 0 H/29 * *", "day-of-month 'H/29': the step is longer than 1-28; at most 28"),
        ("0 0 * * H/8", "day-of-week 'H/8': the step is longer than 0-6; at most 7"),
        ("1-H * * * *", "minute '1-H': 'H' is not 0-59"),
        ("*/H * * * *", "a step is one whole number"),
        ("h * * * *", "minute 'h': a hashed value is written with a capital 'H'"),
        ("h(1-5)/2 * * * *", "a hashed value is written with a capital 'H'"),
        ("0 0 * * HL", "day-of-week 'HL': 'H' is not 0-7"),
        ("0 0 * * H#2", "day-of-week 'H#2': 'H' is not 0-7"),
        ("30~10 * * * *", "minute '30~10': the range runs backwards"),
        ("0~60 * * * *", "minute '0~60': 60 is not in 0-59"),
        ("0~59/2 * * * *", "minute '0~59/2': '~' chooses one value and takes no step"),
        ("~/2 * * * *", "'~' chooses one value and takes no step"),
        ("*~5 * * * *", "'*' stands alone or before a step"),
        ("1-5~9 * * * *", "'1-5' is not 0-59"),
        ("1~5~9 * * * *", "'5~9' is not 0-59"),
        ("~x * * * *", "'x' is not 0-59"),
        ("0 0 30~30 2 *", "never fires: there is no day 30 in Feb"),
    ],
)
def test_refused(expression: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse(expression)
    assert problem in refusal.value.problem
    assert refusal.value.field == "cron"
