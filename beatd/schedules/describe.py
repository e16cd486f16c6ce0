"""Schedules in plain English."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from beatd.schedules import english
from beatd.schedules.base import Limited, Schedule
from beatd.schedules.boot import BootSchedule
from beatd.schedules.calendar_interval import LAST_DAY, CalendarIntervalSchedule
from beatd.schedules.calendars import Calendared
from beatd.schedules.cron import CronSchedule
from beatd.schedules.custom import CustomSchedule
from beatd.schedules.describe_cron import describe_cron
from beatd.schedules.interval import IntervalSchedule
from beatd.schedules.once import OnceSchedule
from beatd.schedules.solar import SolarSchedule
from beatd.schedules.text import format_time

_UNITS = (
    ("week", timedelta(weeks=1)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)
_FEBRUARY = 2
_UTC = ZoneInfo("UTC")


def describe(
    schedule: Schedule,
    *,
    jitter: timedelta | None = None,
    max_runs: int | None = None,
    fixed_delay: bool = False,
    timezone: ZoneInfo = _UTC,
) -> str:
    """One line: 'every 5 minutes', 'at 03:00 on Monday to Friday, Europe/Berlin'.

    What an entry adds to its schedule is told if it is given: jitter, max_runs, that an interval counts
    from the end of the run before, and the zone in which instants are told.
    """
    text = _rule(schedule, fixed_delay, timezone)
    if jitter:
        text += f", plus up to {_elapsed(jitter, least=1)} of jitter"
    if max_runs is not None:
        text += ", once only" if max_runs == 1 else f", {max_runs} times at most"
    return text


def _rule(schedule: Schedule, fixed_delay: bool, timezone: ZoneInfo) -> str:
    match schedule:
        case CronSchedule():
            return describe_cron(schedule)
        case IntervalSchedule():
            start = f", from {_instant(schedule.anchor, timezone)}" if schedule.include_anchor else ""
            if fixed_delay:
                return f"{_elapsed(schedule.every, least=1)} after the end of the run before{start}"
            return f"every {_elapsed(schedule.every)}{start}"
        case OnceSchedule():
            zone = "" if timezone == _UTC else f", {timezone.key}"
            return f"once at {_instant(schedule.at, timezone)}{zone}"
        case BootSchedule():
            machine = "each machine" if schedule.host is None else repr(schedule.host)
            return f"once after each boot of {machine}"
        case CalendarIntervalSchedule():
            return _calendar_interval(schedule)
        case SolarSchedule():
            return _solar(schedule)
        case CustomSchedule():
            arguments = "" if schedule.arguments == "{}" else f" with {schedule.arguments}"
            return f"as custom schedule {schedule.name!r} says{arguments}, {schedule.timezone.key}"
        case Calendared():
            return f"{_rule(schedule.schedule, fixed_delay, timezone)}, {_under_calendar(schedule)}"
        case Limited():
            return _rule(schedule.schedule, fixed_delay, timezone) + _limits(schedule, timezone)
    return repr(schedule)


def _calendar_interval(schedule: CalendarIntervalSchedule) -> str:
    """'every 3 months on the last day at 09:00, counted from January 2026'."""
    anchor, months, days = schedule.anchor, schedule.months, schedule.days
    month = english.MONTHS[anchor.month - 1]
    if months and months % 12 == 0:
        number, unit, counted_from = months // 12, "year", f"{anchor.year}"
        on = f" on {_day_of(schedule, month)}"
    elif months:
        number, unit, counted_from = months, "month", f"{month} {anchor.year}"
        on = f" on {_day_of(schedule)}"
    elif days % 7 == 0:
        number, unit, counted_from = days // 7, "week", anchor.isoformat()
        on = f" on {english.WEEKDAYS[anchor.isoweekday() % 7]}"
    else:
        number, unit, counted_from, on = days, "day", anchor.isoformat(), ""
    counted = "" if number == 1 else f", counted from {counted_from}"
    every = english.counted(number, unit)
    return f"every {every}{on} at {format_time(schedule.at)}{counted}, {schedule.timezone.key}"


def _day_of(schedule: CalendarIntervalSchedule, month: str | None = None) -> str:
    """'day 15', 'the last day', 'day 30 (or the last)', '1 March', '29 February (or the last day)'."""
    if schedule.day == LAST_DAY:
        return f"the last day of {month}" if month else "the last day"
    if month is None:
        return f"day {schedule.day}" + (" (or the last)" if schedule.day > 28 else "")
    is_missing = schedule.day > 28 and schedule.anchor.month == _FEBRUARY
    return f"{schedule.day} {month}" + (" (or the last day)" if is_missing else "")


def _solar(schedule: SolarSchedule) -> str:
    """'at sunrise every day, at 52.52° N 13.405° E'."""
    event = "solar noon" if schedule.event == "noon" else schedule.event
    latitude = f"{abs(schedule.latitude):g}° {'S' if schedule.latitude < 0 else 'N'}"
    longitude = f"{abs(schedule.longitude):g}° {'W' if schedule.longitude < 0 else 'E'}"
    return f"at {event} every day, at {latitude} {longitude}"


def _under_calendar(calendared: Calendared) -> str:
    calendar = "its calendar" if calendared.name is None else f"calendar {calendared.name!r}"
    if calendared.action == "drop":
        return f"except on the days of {calendar}"
    return f"moved to the {calendared.action} working day from the days of {calendar}"


def _limits(limited: Limited, timezone: ZoneInfo) -> str:
    start = f", from {_instant(limited.start_at, timezone)}" if limited.start_at else ""
    end = f", until {_instant(limited.end_at, timezone)}" if limited.end_at else ""
    return start + end


def _instant(instant: datetime, timezone: ZoneInfo) -> str:
    """'2026-03-29 03:00 CEST', with seconds where there are any."""
    local = instant.astimezone(timezone)
    seconds = ":%S" if local.second or local.microsecond else ""
    return local.strftime(f"%Y-%m-%d %H:%M{seconds} %Z")


def _elapsed(length: timedelta, least: int = 2) -> str:
    """In the largest unit that divides it; of one unit the number is told if `least` is 1."""
    for unit, one in _UNITS:
        if length % one == timedelta(0):
            number = length // one
            return f"1 {unit}" if number == least == 1 else english.counted(number, unit)
    return f"{length.total_seconds():f}".rstrip("0") + " seconds"
