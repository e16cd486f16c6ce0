"""Pure rules: which instants an entry is due at. Nothing here reads a clock, environment or network."""

from beatd.schedules.base import Count, Limited, Schedule
from beatd.schedules.cron import CronSchedule, parse_cron
from beatd.schedules.describe import describe
from beatd.schedules.interval import IntervalSchedule
from beatd.schedules.once import OnceSchedule
from beatd.schedules.text import format_duration, format_instant, parse_duration, parse_instant, parse_zone

__all__ = [
    "Count",
    "CronSchedule",
    "IntervalSchedule",
    "Limited",
    "OnceSchedule",
    "Schedule",
    "describe",
    "format_duration",
    "format_instant",
    "parse_cron",
    "parse_duration",
    "parse_instant",
    "parse_zone",
]
