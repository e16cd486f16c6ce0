"""Pure rules: which instants an entry is due at. Nothing here reads a clock, environment or network."""

from beatd.schedules.base import Count, Limited, Schedule
from beatd.schedules.boot import BootSchedule
from beatd.schedules.calendar_interval import CalendarIntervalSchedule, parse_calendar_interval
from beatd.schedules.calendars import Calendared, DateSet, parse_date_set
from beatd.schedules.cron import CronSchedule, parse_cron
from beatd.schedules.custom import CustomFactory, CustomSchedule, load_factories, make_custom
from beatd.schedules.describe import describe
from beatd.schedules.interval import IntervalSchedule
from beatd.schedules.jitter import jitter_of
from beatd.schedules.once import OnceSchedule
from beatd.schedules.solar import SolarSchedule, parse_solar
from beatd.schedules.text import format_duration, format_instant, parse_duration, parse_instant, parse_zone

__all__ = [
    "BootSchedule",
    "CalendarIntervalSchedule",
    "Calendared",
    "Count",
    "CronSchedule",
    "CustomFactory",
    "CustomSchedule",
    "DateSet",
    "IntervalSchedule",
    "Limited",
    "OnceSchedule",
    "Schedule",
    "SolarSchedule",
    "describe",
    "format_duration",
    "format_instant",
    "jitter_of",
    "load_factories",
    "make_custom",
    "parse_calendar_interval",
    "parse_cron",
    "parse_date_set",
    "parse_duration",
    "parse_instant",
    "parse_solar",
    "parse_zone",
]
