"""Schedules of CronJobs, beside an evaluation of their own of what robfig/cron makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.migrate.kubernetes.schedules import read_schedule
from beatd.schedules import Schedule, parse_cron, parse_zone

SCHEDULES = [
    ("0 5 * * *", {"cron": "0 5 * * *"}),
    ("*/15 * * * *", {"cron": "*/15 * * * *"}),
    ("30 */1 * * *", {"cron": "30 * * * *"}),
    ("0 0 ? * ?", {"cron": "0 0 * * *"}),
    ("5/20 * * * *", {"cron": "5-59/20 * * * *"}),
    ("0 8-18/2 * * MON-FRI", {"cron": "0 8-18/2 * * 1-5"}),
    ("0 0 1,15 JAN-MAR *", {"cron": "0 0 1,15 JAN-MAR *"}),
    ("0 0,,4 * * *", {"cron": "0 0,4 * * *"}),
    # a step over everything is a restriction, so that either day is enough
    ("0 0 */2 * 1", {"cron": "0 0 1-31/2 * 1"}),
    ("0 0 13 * */2", {"cron": "0 0 13 * 0-6/2"}),
    ("0 0 */1 * 1", {"cron": "0 0 * * 1"}),
    ("0 0 1,* * 1", {"cron": "0 0 * * 1"}),
    ("@hourly", {"cron": "0 * * * *"}),
    ("@weekly", {"cron": "0 0 * * 0"}),
    ("@every 1h30m", {"every": "1h30m"}),
    ("@every 1.5h", {"every": "1h30m"}),
    ("@every 90s500ms", {"every": "1m30s"}),
    ("@every 10ms", {"every": "1s"}),
]


@pytest.mark.parametrize(("text", "options"), SCHEDULES, ids=[text for text, _ in SCHEDULES])
def test_a_schedule_as_options(text: str, options: dict[str, str]) -> None:
    assert read_schedule(text).options == options


@pytest.mark.parametrize("prefix", ["TZ=Europe/Berlin ", "CRON_TZ=Europe/Berlin  "])
def test_a_zone_may_stand_before_it(prefix: str) -> None:
    read = read_schedule(f"{prefix}0 5 * * *")
    assert (read.options, read.timezone) == ({"cron": "0 5 * * *"}, "Europe/Berlin")


REFUSED = [
    ("0 0 * * 7", "day-of-week '7': 7 is not in 0-6; Sunday is 0"),
    ("0 0 * * SUN-7", "Sunday is 0"),
    ("0 22-6 * * *", "hour '22-6': the range runs backwards"),
    ("0 0 L * *", "'L' is no number: L, W and # are Quartz's"),
    ("0 0 * * 5#2", "L, W and # are Quartz's"),
    ("0 0 0 * * *", "has 6 fields, and five are needed: one with seconds is none of Kubernetes"),
    ("0 0 * *", "has 4 fields"),
    ("*/0 * * * *", "a step is at least 1"),
    ("1-2-3 * * * *", "more than one '-'"),
    ("*/2/2 * * * *", "more than one '/'"),
    (", * * * *", "holds no value"),
    ("60 * * * *", "60 is not in 0-59"),
    ("@Daily", "did you mean '@daily'"),
    ("@reboot", "is none of"),
    ("@every 5", "is no duration"),
    ("TZ=Mars/Base 0 0 * * *", "is not an IANA time zone"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_kubernetes_refuses(text: str, problem: str) -> None:
    with pytest.raises(FieldError) as raised:
        read_schedule(text)
    assert raised.value.field == "schedule"
    assert problem in raised.value.problem


TOLD = [
    ("* */3 * * *", "runs every minute of 8 hours a day, 480 times; once an hour is 0 */3"),
    ("*/7 * * * *", "does not divide 60"),
    ("0 0 13 * 5", "a day that matches one of them is enough"),
    ("@every 1h", "counts from the CronJob's creation"),
]


@pytest.mark.parametrize(("text", "warning"), TOLD, ids=[text for text, _ in TOLD])
def test_what_is_obeyed_and_seldom_meant(text: str, warning: str) -> None:
    (told,) = read_schedule(text).warnings
    assert warning in told


# robfig's way: a set of values a field, and whether a `*` is in it

BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def robfig_fields(text: str) -> list[tuple[set[int], bool]]:
    return [robfig_field(field, *bounds) for field, bounds in zip(text.split(), BOUNDS, strict=True)]


def robfig_matches(fields: list[tuple[set[int], bool]], wall: datetime) -> bool:
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = fields
    in_month, in_week = wall.day in days, wall.isoweekday() % 7 in weekdays
    day = (in_month and in_week) if any_day or any_weekday else (in_month or in_week)
    return wall.minute in minutes and wall.hour in hours and wall.month in months and day


def robfig_field(text: str, low: int, high: int) -> tuple[set[int], bool]:
    found: set[int] = set()
    star = False
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        start = low if first in "*?" else int(first)
        end = int(last) if dash else high if first in "*?" or step else start
        found.update(range(start, end + 1, int(step or 1)))
        star = star or (first in "*?" and step in ("", "1"))
    return found, star


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    step = st.integers(1, high).map(lambda number: f"/{number}")
    span = st.tuples(value, value).map(lambda pair: f"{min(pair)}-{max(pair)}")
    star = st.sampled_from(["*", "?"])
    item = st.one_of(
        star,
        star,
        value.map(str),
        span,
        st.tuples(star, step).map("".join),
        st.tuples(value.map(str), step).map("".join),
        st.tuples(span, step).map("".join),
    )
    return st.one_of(star, st.lists(item, min_size=1, max_size=3).map(",".join))


def cron_schedule(text: str) -> Schedule | None:
    """None for one that never fires."""
    try:
        return parse_cron(text, parse_zone("UTC"))
    except FieldError as problem:
        if "never fires" in problem.problem:
            return None
        raise


@given(st.tuples(*(fields(*bounds) for bounds in BOUNDS)).map(" ".join), st.integers(0, 700))
@settings(max_examples=40, deadline=None)
def test_any_schedule_fires_as_robfig_has_it(text: str, day: int) -> None:
    """Every 13th hour of a month: all of them would take long."""
    options: dict[str, Any] = dict(read_schedule(text).options)
    schedule = cron_schedule(options["cron"])
    hour = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)
    robfig = robfig_fields(text)
    for _ in range(60):
        expected = [hour + timedelta(minutes=minute) for minute in range(60)]
        expected = [wall for wall in expected if robfig_matches(robfig, wall)]
        found, last = [], hour - timedelta(microseconds=1)
        while (
            schedule
            and (following := schedule.next_fire_time(last))
            and following < hour + timedelta(hours=1)
        ):
            found.append(following)
            last = following
        assert found == expected, (options, hour)
        hour += timedelta(hours=13)
