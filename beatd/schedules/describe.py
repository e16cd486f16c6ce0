"""Schedules in plain English."""

from __future__ import annotations

from beatd.schedules.base import Limited, Schedule
from beatd.schedules.cron import CronSchedule
from beatd.schedules.interval import IntervalSchedule
from beatd.schedules.once import OnceSchedule
from beatd.schedules.text import format_duration, format_instant


def describe(schedule: Schedule) -> str:
    """One line, without a full stop: 'every 5m', 'once at 2026-03-29T01:00:00Z'."""
    match schedule:
        case CronSchedule():
            return f"cron {schedule.expression!r} in {schedule.timezone.key}"
        case IntervalSchedule():
            return f"every {format_duration(schedule.every)}"
        case OnceSchedule():
            return f"once at {format_instant(schedule.at)}"
        case Limited():
            return describe(schedule.schedule)
    return repr(schedule)
