"""Nights on which the clock is set forward or back: as Celery, or told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab

from beatd.schedules import parse_cron, parse_zone
from tests.migrate.celery_beat.reading import app_of, celery_runs, read_app

DAYS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(365)]

DAY = timedelta(days=1)

BERLIN, HAVANA, LORD_HOWE, CAIRO = "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo"

#: Zone, crontab, then dst_gap and dst_fold.
SAME = [
    ("UTC", {}, None, None),
    (BERLIN, {}, None, "first"),
    (BERLIN, {"minute": "*/20"}, None, "first"),
    (BERLIN, {"minute": 0, "hour": 2}, None, None),
    (BERLIN, {"minute": "0,30", "hour": 2}, None, None),
    (BERLIN, {"minute": 15, "hour": "1-4"}, "skip", None),
    (BERLIN, {"minute": 0, "hour": "*/2"}, "run_after", "first"),
    (BERLIN, {"minute": 30, "hour": 2, "day_of_week": "mon-fri"}, None, None),
    (BERLIN, {"minute": "*/5", "hour": "9-17"}, None, None),
    (HAVANA, {"minute": 0, "hour": 0}, None, None),
    (HAVANA, {"minute": "*/30"}, None, "first"),
    (CAIRO, {"minute": 0, "hour": "*/6"}, "run_after", None),
    (LORD_HOWE, {"minute": "*/20"}, "run_after", "first"),
]


@pytest.mark.parametrize(("zone", "given", "dst_gap", "dst_fold"), SAME)
def test_as_celery_does_it(zone: str, given: dict[str, Any], dst_gap: str, dst_fold: str) -> None:
    options, warnings, ours, theirs = _both(zone, given)
    assert (options.get("dst_gap"), options.get("dst_fold")) == (dst_gap, dst_fold)
    assert ours == theirs
    assert not [warning for warning in warnings if "set forward" in warning]


def test_a_skipped_time_that_celery_runs_late_runs_at_the_end_of_the_gap_and_is_told() -> None:
    options, warnings, ours, theirs = _both(BERLIN, {"minute": 30, "hour": 2})
    assert "dst_gap" not in options
    assert sorted(ours ^ theirs) == [
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # 03:00, here
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # 03:30, Celery
    ]
    assert warnings == (
        "where the clock is set forward Celery runs it late (2027-03-28: 03:30), "
        "beatd at the first instant after the gap (03:00)",
    )


def test_a_wildcard_of_which_celery_makes_up_what_is_skipped() -> None:
    options, warnings, ours, theirs = _both(BERLIN, {"minute": 15, "hour": "*/2"})
    assert options["dst_gap"] == "run_after"
    assert len(ours) == len(theirs)
    assert len(ours ^ theirs) == 2
    assert "(2027-03-28: 03:15)" in warnings[0]


def test_only_nights_to_come_are_told() -> None:
    app = app_of({"one": {"task": "t", "schedule": crontab(minute=30, hour=2)}}, timezone=BERLIN)
    [earlier, later] = (read_app(app, datetime(year, 3, 1, tzinfo=UTC)).found[0] for year in (2026, 2040))
    assert "(2026-03-29: 03:30)" in earlier.warnings[0]
    assert later.warnings == ()
    assert later.options == earlier.options


def test_a_silent_hour_is_told_once_for_all() -> None:
    entries = {name: {"task": "t", "schedule": crontab(minute=name)} for name in ("*/5", "*/10")}
    reading = read_app(app_of(entries, timezone=BERLIN))
    assert [note[:35] for note in reading.notes] == ["2 of them have dst_fold = first: wh"]
    assert read_app(app_of(entries)).notes == ()


def _both(zone: str, given: dict[str, Any]) -> tuple[Any, ...]:
    rule = crontab(**given)
    app = app_of({"one": {"task": "t", "schedule": rule}}, timezone=zone)
    found = read_app(app).found[0]
    rule.app = app
    options = found.options
    ours = parse_cron(
        options["cron"],
        parse_zone(options["timezone"]),
        dst_gap=options.get("dst_gap"),
        dst_fold=options.get("dst_fold"),
    )
    spans = [(day - DAY, day + 2 * DAY) for day in DAYS if _shifts(day, zone) or day == DAYS[90]]
    return (
        options,
        found.warnings,
        {fire for span in spans for fire in ours.fire_times(*span)},
        {run for span in spans for run in celery_runs(rule, *span)},
    )


def _shifts(day: datetime, zone: str) -> bool:
    before, after = ((day + days * DAY).astimezone(parse_zone(zone)).utcoffset() for days in (0, 1))
    return before != after
