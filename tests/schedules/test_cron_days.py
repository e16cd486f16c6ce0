"""Which days match: last, n-th and working days, the day rule, and what never comes."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import parse_cron, parse_zone
from beatd.schedules.cron_days import DayRule
from tests.schedules.model import DAY, Model, day_fields, ever_fires, examples

ZONE = parse_zone("UTC")

#: A month of each kind: (length, weekday of the first), February of both lengths included.
KINDS = {
    (monthrange(year, month)[1], date(year, month, 1).isoweekday() % 7): (year, month)
    for year in range(2000, 2028)
    for month in range(1, 13)
}


def days(fields: str) -> DayRule:
    return parse_cron(f"0 0 {fields}", ZONE).days


def matching(fields: str, first: str, last: str) -> str:
    rule, day = days(fields), date.fromisoformat(first)
    matches = []
    while day <= date.fromisoformat(last):
        if rule.matches(day):
            matches.append(f"{day:%m-%d}")
        day += DAY
    return " ".join(matches)


@pytest.mark.parametrize(
    ("fields", "months", "expected"),
    [
        ("L * *", "2026-01-01 2026-06-30", "01-31 02-28 03-31 04-30 05-31 06-30"),
        ("L 2 *", "2028-01-01 2028-12-31", "02-29"),
        ("L 2 *", "2100-01-01 2100-12-31", "02-28"),
        ("1,L 2,3 *", "2026-01-01 2026-12-31", "02-01 02-28 03-01 03-31"),
        ("28,L 2 *", "2026-01-01 2026-12-31", "02-28"),
        # 2026: January ends on a Saturday, May on a Sunday, February on a Saturday, July on a Friday.
        ("LW 1-7 *", "2026-01-01 2026-12-31", "01-30 02-27 03-31 04-30 05-29 06-30 07-31"),
        ("LW 2 *", "2032-02-01 2032-02-29", "02-27"),  # the 29th is a Sunday
        ("LW 2 *", "2036-02-01 2036-02-29", "02-29"),  # a Friday
        ("L,LW 5 *", "2026-01-01 2026-12-31", "05-29 05-31"),
        ("* * 5L", "2026-01-01 2026-05-31", "01-30 02-27 03-27 04-24 05-29"),
        ("* * FRIL", "2026-01-01 2026-02-28", "01-30 02-27"),
        ("* * 0L", "2026-05-01 2026-06-30", "05-31 06-28"),
        ("* * 7L", "2026-05-01 2026-06-30", "05-31 06-28"),
        ("* 2 0L", "2032-01-01 2032-12-31", "02-29"),
        ("* * 5#2", "2026-01-01 2026-05-31", "01-09 02-13 03-13 04-10 05-08"),
        ("* * 5#1", "2026-05-01 2026-05-31", "05-01"),
        ("* * SUN#5", "2026-01-01 2026-06-30", "03-29 05-31"),
        ("* * 4#5", "2026-01-01 2026-06-30", "01-29 04-30"),
        ("* 2 7#5", "2032-01-01 2032-12-31", "02-29"),
        ("* * 1#1,1#3", "2026-01-01 2026-02-28", "01-05 01-19 02-02 02-16"),
        ("* * 3,5L", "2026-01-01 2026-01-31", "01-07 01-14 01-21 01-28 01-30"),
        ("* * 5L,5#1,5#4", "2026-01-01 2026-01-31", "01-02 01-23 01-30"),
    ],
)
def test_last_and_nth(fields: str, months: str, expected: str) -> None:
    assert matching(fields, *months.split()) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # January 2026 begins on a Thursday. Neither field begins with `*`: one is enough.
        ("13 1 5", "01-02 01-09 01-13 01-16 01-23 01-30"),
        ("L 1 1", "01-05 01-12 01-19 01-26 01-31"),
        ("LW 1 6L", "01-30 01-31"),
        ("1 1 5#2", "01-01 01-09"),
        ("L 1 5L", "01-30 01-31"),
        ("1,15 1 5#1,5L", "01-01 01-02 01-15 01-30"),
        # One begins with `*`: both must match, and `*/2` or a list begins with it, too.
        ("L 1 *", "01-31"),
        ("* 1 5#2", "01-09"),
        ("*/2 1 5", "01-09 01-23"),
        ("*/2 1 5#2", "01-09"),
        ("*/2 1 5#1", ""),
        ("*,L 1 6L", "01-31"),
        ("L 1 */6", "01-31"),
        ("L,1-5 1 */7", "01-04"),
        ("LW 1 */5", "01-30"),
        ("1-10 1 */5,6#2", "01-02 01-04 01-09 01-10"),
    ],
)
def test_day_rule(fields: str, expected: str) -> None:
    # Some match in other months only, so the rule is asked for more of them than January.
    rule = fields.replace(" 1 ", " 1-12 ")
    assert matching(rule, "2026-01-01", "2026-01-31") == expected


@pytest.mark.parametrize(
    "fields",
    [
        "29 2 *",
        "31 2,3 *",
        "30 2 1",
        "30 2 0-7",
        "30 2 5#5",
        "L 2 *",
        "LW 2 *",
        "* 2 5#5",
        "29 2 */7",
        "*/28 2 5#5",
        "31,L 2 *",
        "30,LW 2 *",
        "*/30 2 *",
        "*/14 2 6L",
        "31 */2 *",
        "L 2 */5",
        "*/31 * 5#1",
    ],
)
def test_what_fires_seldom_is_taken_and_comes(fields: str) -> None:
    first = days(fields).next_after(date(2097, 1, 1))
    assert first is not None
    assert first.year < 2140


@pytest.mark.parametrize(
    ("fields", "problem", "example"),
    [
        ("30 2 *", "never fires: there is no day 30 in Feb; allowed are 1-29", "29 2 *"),
        ("30,31 2 */2", "never fires: there is no day 30 in Feb; allowed are 1-29", "29 2 */2"),
        ("31 4,6 *", "never fires: there is no day 31 in Apr, Jun; allowed are 1-30", "30 4,6 *"),
        ("31 2,4,6,9,11 *", "there is no day 31 in Feb, Apr, Jun, Sep, Nov", "30 2,4,6,9,11 *"),
        ("*/31 * 5#2", "no such weekday falls on such a day of the month in Jan, Feb, Mar", "* * 5#2"),
        ("*/31 3 5L", "no such weekday falls on such a day of the month in Mar", "* 3 5L"),
        ("*/30 2 5#5", "no such weekday falls on such a day of the month in Feb", "* 2 5#5"),
    ],
)
def test_what_never_fires_is_refused(fields: str, problem: str, example: str) -> None:
    with pytest.raises(FieldError) as refusal:
        days(fields)
    assert problem in refusal.value.problem
    assert refusal.value.example == f"0 0 {example}"


def taken(fields: str) -> bool:
    try:
        days(fields)
    except FieldError as refusal:
        return "never fires" not in refusal.problem
    return True


@examples(150)
@given(fields=day_fields())
def test_exactly_what_never_fires_is_refused(fields: str) -> None:
    assert taken(fields) == ever_fires(f"0 0 {fields}")


@pytest.mark.parametrize("month", ["2", "4"])
def test_exactly_the_sparsest_never_fire(month: str) -> None:
    for day in ("*/31", "*/30", "*/29", "*/15", "L", "LW", "29", "30", "31"):
        for weekday in ("*", "*/7", "5#1", "5#2", "5#4", "5#5", "5L", "*/7,1#5"):
            fields = f"{day} {month} {weekday}"
            assert taken(fields) == ever_fires(f"0 0 {fields}"), fields


@examples(100)
@given(fields=day_fields(), kind=st.sampled_from(sorted(KINDS)))
def test_a_model_agrees_in_every_kind_of_month(fields: str, kind: tuple[int, int]) -> None:
    assume(ever_fires(f"0 0 {fields}"))
    rule, model = days(fields), Model(f"0 0 {fields}", ZONE)
    year, month = KINDS[kind]
    for number in range(1, kind[0] + 1):
        day = date(year, month, number)
        assert rule.matches(day) == model.is_day(day), day


numbers = st.lists(st.integers(1, 31), min_size=1, max_size=4, unique=True).map(sorted)
weekday_numbers = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(sorted)


@examples(60)
@given(plain=numbers, weekdays=weekday_numbers, both=st.booleans(), kind=st.sampled_from(sorted(KINDS)))
def test_croniter_agrees_on_plain_values(
    plain: list[int], weekdays: list[int], both: bool, kind: tuple[int, int]
) -> None:
    """It is given values only, so that none of its own readings come in, and told how they go together."""
    year, month = KINDS[kind]
    rule = DayRule(tuple(plain), (month,), tuple(weekdays), both)
    expression = f"0 0 {','.join(map(str, plain))} {month} {','.join(map(str, weekdays))}"
    for number in range(1, kind[0] + 1):
        day = datetime(year, month, number)
        assert rule.matches(day.date()) == croniter.match(expression, day, day_or=not both), day


@examples(60)
@given(
    day=st.sampled_from(("*", "L", "LW", "1,L", "*/2", "13", "1-7")),
    weekday=st.sampled_from(("*", "5L", "0L,3", "5#2", "7#1", "1#1,1#5", "1-5", "*/2", "FRI#4")),
    month=st.sampled_from(("*", "2", "4,6", "*/5")),
    start=st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)),
)
def test_cronsim_agrees_on_last_and_nth(day: str, weekday: str, month: str, start: datetime) -> None:
    theirs = CronSim(f"0 0 {day} {month} {weekday}", start.replace(tzinfo=UTC))
    expected = [next(theirs) for _ in range(6)]
    rule, found = days(f"{day} {month} {weekday}"), start.date()
    for instant in expected:
        following = rule.next_after(found)
        assert following == instant.date()
        found = following


@examples(60)
@given(
    fields=day_fields(),
    first=st.dates(date(1970, 1, 1), date(2099, 1, 1)),
    length=st.integers(0, 800),
)
def test_next_and_count_agree_with_asking_every_day(fields: str, first: date, length: int) -> None:
    assume(ever_fires(f"0 0 {fields}"))
    rule = days(fields)
    matches = [day for day in (first + timedelta(days=n) for n in range(length)) if rule.matches(day)]
    assert rule.count(first, first + timedelta(days=length)) == len(matches)
    following = rule.next_after(first - DAY)
    if matches:
        assert following == matches[0]
    else:
        assert following is not None
        assert following >= first + timedelta(days=length)


def test_the_last_day_of_time() -> None:
    rule = days("L 12 *")
    assert rule.next_after(date(9999, 12, 30)) == date.max
    assert rule.next_after(date.max) is None
    assert days("1 1 *").next_after(date(9998, 12, 31)) == date(9999, 1, 1)
    assert days("28 2 *").next_after(date(9999, 3, 1)) is None
    assert days("* * *").count(date.min, date.max) == (date.max - date.min).days


def test_a_rule_is_a_value() -> None:
    asked, fresh = DayRule((1,), (1,), (0,), True), DayRule((1,), (1,), (0,), True)
    asked.next_after(date(2026, 1, 1))
    assert asked == fresh
    assert hash(asked) == hash(fresh)
    assert repr(asked) == repr(fresh)
    different = [
        days(fields)
        for fields in (
            "1 * *",
            "L * *",
            "LW * *",
            "* * 5L",
            "* * 5#1",
            "* * 5#2",
            "* * 5",
            "1 * 0-6",
            "1 2 *",
        )
    ]
    assert len(set(different)) == len(different)
