"""Cron rules in plain English: from their values, so that what was hashed is told as it comes out."""

from __future__ import annotations

from collections.abc import Sequence

from beatd.schedules import english
from beatd.schedules.cron import CronSchedule
from beatd.schedules.cron_days import DayRule

_MOST_TIMES_LISTED = 6
_MOST_WINDOWS = 3
#: So many values at least make 'every n-th from a to b' shorter than their list.
_LEAST_STEPS = 4

_ALL_DAYS, _ALL_MONTHS, _ALL_WEEKDAYS, _ALL_HOURS = 31, 12, 7, 24


def describe_cron(schedule: CronSchedule) -> str:
    """'at 03:00 on Monday to Friday, Europe/Berlin'."""
    times = _times(schedule.seconds, schedule.minutes, schedule.hours)
    days = _days(schedule.days)
    if not _restricts(schedule.days) and len(schedule.hours) < _ALL_HOURS:
        days = f" every day{days}"
    return f"{times}{days}, {schedule.timezone.key}"


def _times(seconds: Sequence[int], minutes: Sequence[int], hours: Sequence[int]) -> str:
    whole_day = len(hours) == _ALL_HOURS
    if not whole_day and len(seconds) * len(minutes) * len(hours) <= _MOST_TIMES_LISTED:
        plain = tuple(seconds) == (0,)
        clocks = [_clock(h, m, None if plain else s) for h in hours for m in minutes for s in seconds]
        return f"at {english.listed(clocks)}"
    if len(seconds) > 1:
        return _seconds(seconds, minutes, hours)
    windows = "" if whole_day else _windows(minutes, hours, seconds)
    if windows:
        return windows
    if seconds == (0,):
        return _minutes(minutes, hours)
    if whole_day and len(minutes) == 1:
        return f"at minute {minutes[0]}, second {seconds[0]} of every hour"
    return f"{_minutes(minutes, hours)} at second {seconds[0]}"


def _windows(minutes: Sequence[int], hours: Sequence[int], seconds: Sequence[int]) -> str:
    """'every 5 minutes from 09:00 to 17:55 and from 20:00 to 20:55', if it goes on so in between.

    Of times at one second.
    """
    windows = english.runs(hours)
    hour_step, step = _step(hours), _step(minutes, least=2)
    if len(minutes) == 1 and hour_step:
        unit, step, windows = "hour", hour_step, [(0, len(hours))]
    elif len(minutes) == 1 and all(end - first > 1 for first, end in windows):
        unit, step = "hour", 1
    elif step and (_goes_on(minutes, step) or (len(windows) == len(hours) and len(minutes) >= _LEAST_STEPS)):
        unit = "minute"
    else:
        return ""
    if len(windows) > _MOST_WINDOWS:
        return ""
    second = seconds[0] or None
    spans = [
        (_clock(hours[first], minutes[0], second), _clock(hours[end - 1], minutes[-1], second))
        for first, end in windows
    ]
    return f"every {english.counted(step, unit)} {_from_to(spans)}"


def _minutes(minutes: Sequence[int], hours: Sequence[int]) -> str:
    """'every hour', 'at minutes 5 and 35 of every hour', 'every 5 minutes in hours 1, 3 and 6'."""
    at, goes_on = _at("minute", minutes), _is_continual(minutes)
    if len(hours) < _ALL_HOURS:
        return f"{at} {'in' if goes_on else 'of'} {_each('hour', hours, _ALL_HOURS)}"
    if tuple(minutes) == (0,):
        return "every hour"
    return at if goes_on else f"{at} of every hour"


def _seconds(seconds: Sequence[int], minutes: Sequence[int], hours: Sequence[int]) -> str:
    """Of two seconds or more in each minute."""
    at = _at("second", seconds)
    if len(minutes) == 60 and len(hours) == _ALL_HOURS:
        return at if _is_continual(seconds) else f"{at} of every minute"
    of_minutes, of_hours = _each("minute", minutes, 60), _each("hour", hours, _ALL_HOURS)
    return _second_windows(seconds, minutes, hours) or f"{at} of {of_minutes} of {of_hours}"


def _second_windows(seconds: Sequence[int], minutes: Sequence[int], hours: Sequence[int]) -> str:
    """'every 10 seconds from 09:00:00 to 17:59:50', if it goes on so in between."""
    step = _step(seconds, least=2)
    if not step or not _goes_on(seconds, step):
        return ""
    if len(minutes) == 60:
        windows = [(hours[first], 0, hours[end - 1], 59) for first, end in english.runs(hours)]
    elif len(hours) == 1:
        runs = english.runs(minutes)
        windows = [(hours[0], minutes[first], hours[0], minutes[end - 1]) for first, end in runs]
    else:
        return ""
    if len(windows) > _MOST_WINDOWS:
        return ""
    spans = [
        (_clock(hour, minute, seconds[0]), _clock(last_hour, last_minute, seconds[-1]))
        for hour, minute, last_hour, last_minute in windows
    ]
    return f"every {english.counted(step, 'second')} {_from_to(spans)}"


def _from_to(spans: Sequence[tuple[str, str]]) -> str:
    return english.listed([f"from {first} to {last}" for first, last in spans])


def _at(unit: str, values: Sequence[int]) -> str:
    """'every 5 minutes', 'every 7 minutes from minute 0 to 56', 'at minutes 5 and 35'."""
    if _is_continual(values):
        return f"every {english.counted(values[1], unit)}"
    step = _step(values)
    if step:
        return f"every {english.counted(step, unit)} from {unit} {values[0]} to {values[-1]}"
    return f"at {english.numbered(unit, values)}"


def _each(unit: str, values: Sequence[int], number: int) -> str:
    """'every hour', 'every 2nd hour from 0 to 22', 'hours 9 to 17'."""
    if len(values) == number:
        return f"every {unit}"
    step = _step(values)
    if step and step > 1:
        return f"every {english.ordinal(step)} {unit} from {values[0]} to {values[-1]}"
    return english.numbered(unit, values)


def _step(values: Sequence[int], least: int = _LEAST_STEPS) -> int | None:
    """n, if there are so many values at least and each is n more than the one before."""
    if len(values) < least:
        return None
    step = values[1] - values[0]
    return step if tuple(values) == tuple(range(values[0], values[-1] + 1, step)) else None


def _is_continual(values: Sequence[int]) -> bool:
    """Whether these minutes (or seconds) are every n-th from 0 on, from one hour to the next as well."""
    step = _step(values, least=2)
    return step is not None and values[0] == 0 and _goes_on(values, step)


def _goes_on(values: Sequence[int], step: int) -> bool:
    """Whether the last of one hour (or minute) and the first of the next are as far apart as the others."""
    return values[0] + 60 - values[-1] == step


def _clock(hour: int, minute: int, second: int | None) -> str:
    return f"{hour:02}:{minute:02}" + ("" if second is None else f":{second:02}")


def _restricts(rule: DayRule) -> bool:
    """Whether there is a day in the months that does not match."""
    every_day, every_weekday = len(rule.days) == _ALL_DAYS, len(rule.weekdays) == _ALL_WEEKDAYS
    return not ((every_day and every_weekday) if rule.both_must_match else (every_day or every_weekday))


def _days(rule: DayRule) -> str:
    """With a blank before it; nothing where every day of the year matches."""
    if not _restricts(rule):
        return _in_months(rule)
    if not rule.both_must_match:
        days = f" {_in_month(rule, 'of the month')} or on {_in_week(rule)}"
        return days + (f",{_in_months(rule)}" if len(rule.months) < _ALL_MONTHS else "")
    if len(rule.days) == _ALL_DAYS:
        return f" on {_in_week(rule)}{_in_months(rule)}"
    days = f" {_in_month(rule, _of_months(rule))}"
    if len(rule.weekdays) == _ALL_WEEKDAYS:
        return days
    return f"{days}, if it is {_in_week(rule, 'or')}"


def _in_month(rule: DayRule, of_months: str) -> str:
    """'on day 1 and the last day of the month', 'on 24 December'."""
    texts = []
    if rule.days:
        step = _step(rule.days)
        if step and step > 1:
            texts.append(f"every {english.ordinal(step)} day from day {rule.days[0]} to {rule.days[-1]}")
        else:
            texts.append(english.numbered("day", rule.days))
    if rule.last_day:
        texts.append("the last day")
    if rule.last_working_day:
        texts.append("the last weekday (Monday to Friday)")
    if len(rule.months) == 1 and len(texts) == 1 and texts[0].startswith("day") and rule.both_must_match:
        return f"on {english.spans(rule.days)} {english.MONTHS[rule.months[0] - 1]}"
    return f"on {english.listed(texts)} {of_months}"


def _in_week(rule: DayRule, last: str = "and") -> str:
    """'Monday to Friday', 'the second Friday of the month'."""
    texts = [english.weekdays(rule.weekdays, last)] if rule.weekdays else []
    texts += [f"the {english.NTH[nth]} {english.WEEKDAYS[weekday]}" for weekday, nth in rule.nth_weekdays]
    texts += [f"the last {english.WEEKDAYS[weekday]}" for weekday in rule.last_weekdays]
    of_month = " of the month" if rule.nth_weekdays or rule.last_weekdays else ""
    return english.listed(texts, last) + of_month


def _in_months(rule: DayRule) -> str:
    """' in January and March to May', ' from March to May'; nothing of all twelve."""
    if len(rule.months) == _ALL_MONTHS:
        return ""
    one_run = len(rule.months) > 2 and len(english.runs(rule.months)) == 1
    return f" {'from' if one_run else 'in'} {_month_names(rule)}"


def _of_months(rule: DayRule) -> str:
    return "of the month" if len(rule.months) == _ALL_MONTHS else f"of {_month_names(rule)}"


def _month_names(rule: DayRule) -> str:
    return english.spans([month - 1 for month in rule.months], english.MONTHS)
