"""Schedules in plain English."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from beatd.schedules.base import Limited, Schedule
from beatd.schedules.cron import CronSchedule, DayRule
from beatd.schedules.interval import IntervalSchedule
from beatd.schedules.once import OnceSchedule
from beatd.schedules.text import format_instant

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_UNITS = (
    ("week", timedelta(weeks=1)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)
_MOST_TIMES_LISTED = 6


def describe(schedule: Schedule) -> str:
    """One line: 'every 5 minutes', 'at 03:00 on Monday to Friday, Europe/Berlin'."""
    match schedule:
        case CronSchedule():
            return _cron(schedule)
        case IntervalSchedule():
            return f"every {_elapsed(schedule.every)}"
        case OnceSchedule():
            return f"once at {format_instant(schedule.at)}"
        case Limited():
            return describe(schedule.schedule) + _limits(schedule)
    return repr(schedule)


def _cron(schedule: CronSchedule) -> str:
    times, days = _times(schedule.minutes, schedule.hours), _days(schedule.days)
    if not days and times.startswith("at ") and len(schedule.hours) < 24:
        days = " every day"
    return f"{times}{days}, {schedule.timezone.key}"


def _limits(limited: Limited) -> str:
    start = f", from {format_instant(limited.start_at)}" if limited.start_at else ""
    end = f", until {format_instant(limited.end_at)}" if limited.end_at else ""
    return start + end


def _elapsed(every: timedelta) -> str:
    """`every` in the largest unit that divides it."""
    for unit, length in _UNITS:
        if every % length == timedelta(0):
            return _counted(every // length, unit)
    return f"{every.total_seconds():f}".rstrip("0") + " seconds"


def _counted(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def _times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    whole_day = len(hours) == 24
    if whole_day and minutes == (0,):
        return "every hour"
    if not whole_day and len(minutes) * len(hours) <= _MOST_TIMES_LISTED:
        return f"at {_listed([f'{hour:02}:{minute:02}' for hour in hours for minute in minutes])}"
    step = _step(minutes)
    text = f"every {_counted(step, 'minute')}" if step else f"at minute {_spans(minutes)}"
    if not whole_day:
        return f"{text} during hour {_spans(hours)}"
    return text if step else f"{text} of every hour"


def _step(minutes: Sequence[int]) -> int | None:
    """n, if the minutes are every n-th of the hour without a break."""
    if len(minutes) == 1:
        return None
    step = minutes[1] - minutes[0]
    return step if tuple(minutes) == tuple(range(0, 60, step)) and 60 % step == 0 else None


def _days(rule: DayRule) -> str:
    """With a blank before it; nothing where every day matches."""
    every_day, every_weekday = len(rule.days) == 31, len(rule.weekdays) == 7
    in_month = f"on day {_spans(rule.days)} of the month"
    in_week = f"on {_spans(rule.weekdays, _WEEKDAYS)}"
    if not rule.both_must_match:
        text = "" if every_day or every_weekday else f" {in_month} or {in_week}"
    elif every_day:
        text = "" if every_weekday else f" {in_week}"
    else:
        text = f" {in_month}" + (
            "" if every_weekday else f", if it is {_spans(rule.weekdays, _WEEKDAYS, 'or')}"
        )
    if len(rule.months) < 12:
        text += f" in {_spans([month - 1 for month in rule.months], _MONTHS)}"
    return text


def _spans(values: Sequence[int], names: Sequence[str] | None = None, last: str = "and") -> str:
    """Values in order, three or more neighbours as 'a to b'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts: list[str] = []
    for run in runs:
        named = [names[value] if names else str(value) for value in run]
        texts += [f"{named[0]} to {named[-1]}"] if len(run) > 2 else named
    return _listed(texts, last)


def _listed(texts: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
