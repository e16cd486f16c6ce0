"""Celery's crontab as a cron expression: the text, and two years of fire times against Celery's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab
from hypothesis import example, given, settings
from hypothesis import strategies as st

from beatd.broker.periodic import CRONTAB_FIELDS, Crontab
from beatd.errors import FieldError
from beatd.migrate.celery_beat.crontab import expression
from beatd.migrate.found import Found
from beatd.schedules import parse_cron, parse_zone
from tests.migrate.celery_beat.reading import app_of, celery_runs, options_of, read_app, refused

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=731)
SPRING = START + timedelta(days=60)

TEXTS = {
    # what was written stays, where cron reads it as Celery does
    "30 2 * * *": {"minute": 30, "hour": 2},
    "*/40 8-18/2 * jan,jul mon-fri": {
        "minute": "*/40",
        "hour": "8-18/2",
        "month_of_year": "jan,jul",
        "day_of_week": "mon-fri",
    },
    "0,30 1,13,20-23 1 * *": {"minute": "0,30", "hour": "1,13,20-23", "day_of_month": "1"},
    # and what it does not read, or otherwise, is written from what Celery made of it
    "5 0-4,22,23 * * *": {"minute": 5, "hour": "22-4"},
    "0 0 * * 0,1,5,6": {"minute": 0, "hour": 0, "day_of_week": "fri-mon"},
    "0 7 * * 1-3": {"minute": 0, "hour": 7, "day_of_week": "monday-wednesday"},
    "*/15 * * * *": {"minute": {0, 15, 30, 45}},
    "10-50/10 6,7 * * *": {"minute": [10, 20, 30, 40, 50], "hour": (6, 7)},
    "3 4 2-31 * *": {"minute": 3, "hour": 4, "day_of_month": range(2, 32)},
    "1-3,5,6,59 0 * 3-11/4 *": {
        "minute": {1, 2, 3, 5, 6, 59},
        "hour": 0,
        "month_of_year": "march,7,november",
    },
    "0 * * * *": {"minute": 0, "hour": "0-23", "day_of_month": "1-31", "day_of_week": "0-6"},
    # both days must match: one of the fields begins with a star
    "0 9 * * 1#1": {"minute": 0, "hour": 9, "day_of_month": "1-7", "day_of_week": "mon"},
    "0 9 * * 1#1,1#3,3#1,3#3": {
        "minute": 0,
        "hour": 9,
        "day_of_month": "1-7,15-21",
        "day_of_week": "mon,wed",
    },
    "0 9 * * 5#5": {"minute": 0, "hour": 9, "day_of_month": "29-31", "day_of_week": "fri"},
    "0 9 */31,15 * 1": {"minute": 0, "hour": 9, "day_of_month": "1,15", "day_of_week": 1},
    "0 9 13 * */7,6": {"minute": 0, "hour": 9, "day_of_month": "13", "day_of_week": "sat,sun"},
    "0 9 */10 * 2": {"minute": 0, "hour": 9, "day_of_month": "*/10", "day_of_week": 2},
    "0 9 2,9 * */2": {"minute": 0, "hour": 9, "day_of_month": "2,9", "day_of_week": "*/2"},
    "0 9 * 6 mon": {
        "minute": 0,
        "hour": 9,
        "day_of_month": "1-31",
        "month_of_year": 6,
        "day_of_week": "mon",
    },
    "0 0 29 2 *": {"minute": 0, "hour": 0, "day_of_month": 29, "month_of_year": 2},
}

ZONES = ["UTC", "Europe/Berlin", "America/Havana"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_expression(text: str) -> None:
    assert options_of({"schedule": crontab(**TEXTS[text])})["cron"] == text


@pytest.mark.parametrize("zone", ZONES)
def test_two_years_of_runs_are_those_of_celery(zone: str) -> None:
    """Of rules that name times a clock skips, more is in `test_daylight`."""
    schedule = {text: {"task": "t", "schedule": crontab(**given)} for text, given in TEXTS.items()}
    app = app_of(schedule, timezone=zone)
    for found in read_app(app).found:
        rule = app.conf.beat_schedule[found.origin.place]["schedule"]
        rule.app = app
        dense = len(rule.minute) * len(rule.hour) > 12
        start, end = (SPRING, SPRING + timedelta(days=40)) if dense else (START, END)
        theirs = set(celery_runs(rule, start, end))
        ours = set(_schedule(found).fire_times(start, end))
        assert ours == theirs or _late_at_a_gap(found, ours ^ theirs), found.origin.place


def test_days_that_cron_has_no_form_for_are_refused_with_what_does_the_same() -> None:
    [told] = refused({"schedule": crontab(minute=0, hour=6, day_of_month="13", day_of_week="fri")})
    assert "both '13' of the month and 'fri' of the week" in told
    assert "beatd calendar add other-days --weekdays sun,mon,tue,wed,thu,sat" in told
    assert "--cron '0 6 13 * *' --calendar other-days" in told


@given(
    days=st.sets(st.integers(1, 31), min_size=1),
    months=st.sets(st.integers(1, 12), min_size=1),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
)
@example(days=set(range(1, 8)) | set(range(22, 29)), months={2}, weekdays={0, 6})
@example(days={1}, months={1}, weekdays={0})
@example(days=set(range(29, 32)), months={4}, weekdays={1, 2, 3, 4, 5, 6})
@settings(max_examples=80, deadline=None)
def test_any_days(days: set[int], months: set[int], weekdays: set[int]) -> None:
    """Either a day matches when all three have it, or it is refused: that both are needed is not given up."""
    try:
        rule = crontab(0, 0, weekdays, days, months)
    except ValueError:  # 31 April
        return
    read = Crontab(
        tuple(frozenset(getattr(rule, name)) for name in CRONTAB_FIELDS),
        (0, 0, days, months, weekdays),
        "UTC",
    )
    try:
        ours = parse_cron(expression(read), parse_zone("UTC"))
    except FieldError:
        assert 1 not in days
        assert 0 not in weekdays
        return
    for day in (START.date() + timedelta(days=number) for number in range(800)):
        wanted = day.day in days and day.month in months and day.isoweekday() % 7 in weekdays
        assert ours.days.matches(day) == wanted


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"hour": "*/12"}, "every minute of hour 0, 12, 120 times a day; was minute=0 meant?"),
        ({"hour": 7, "day_of_week": "mon"}, "every minute of hour 7, 60 times a day; was minute=0 meant?"),
        ({"day_of_week": "mon"}, "every minute of these days, 1440 times a day; was minute=0, hour=0 meant?"),
        ({}, None),
        ({"minute": "*/1", "hour": 7}, None),
        ({"minute": 0, "hour": 7}, None),
    ],
)
def test_a_minute_that_was_left_out(fields: dict[str, Any], told: str | None) -> None:
    reading = read_app(app_of({"one": {"task": "t", "schedule": crontab(**fields)}}))
    assert [warning for warning in reading.found[0].warnings if told and told in warning] == [
        *reading.found[0].warnings
    ]
    assert bool(reading.found[0].warnings) == (told is not None)


def _schedule(found: Found) -> Any:
    options = found.options
    zone = parse_zone(options["timezone"])
    return parse_cron(options["cron"], zone, dst_gap=options.get("dst_gap"), dst_fold=options.get("dst_fold"))


def _late_at_a_gap(found: Found, differing: set[datetime]) -> bool:
    """A time that is skipped: told of, and no more than once in two springs."""
    return len(differing) <= 4 and any("set forward" in warning for warning in found.warnings)
