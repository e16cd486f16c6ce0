"""What crons obey and people seldom mean: told, and carried over as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from beatd.migrate.crontab.fields import Field
from beatd.schedules.cron_days import LENGTHS

_SHORTEST_FEBRUARY = 28


def of_schedule(fields: Sequence[Field]) -> list[str]:
    """What is odd about five fields that the cron takes."""
    minute, hour, day, month, weekday = fields
    return [
        *_every_minute(minute, hour),
        *_uneven(minute, 60, "hour"),
        *_uneven(hour, 24, "day"),
        *_days(day, weekday),
        *_short_months(day, month, weekday),
    ]


def of_command(command: str, stdin: str | None) -> list[str]:
    """What is odd about a command that was split at its first `%`."""
    warnings = []
    if stdin is not None:
        warnings.append(
            "the command ends at the first %, and what follows is its input; a percent sign is written \\%"
        )
    if command.endswith("\r") or (stdin or "").endswith("\r\n"):
        warnings.append(
            "the line ends with a carriage return (as files from Windows do), which the shell gets as part "
            "of the command; save the file with Unix line ends"
        )
    if re.search(r"(^|[^\\])(\\\\)*\\$", command):
        warnings.append("the \\ at the end continues nothing: to cron, the next line is one of its own")
    if re.match(r"[\u2010-\u2015\u2212]", command):
        warnings.append(f"the command begins with {command[0]!r}: is it part of the schedule?")
    if re.search(r"<%|\{%|\$\{\{", command + "%" if stdin else command):
        warnings.append("the command looks like a template that has not been filled in")
    return warnings


def _every_minute(minute: Field, hour: Field) -> list[str]:
    if len(minute.values) < 60 or len(hour.values) == 24 or re.fullmatch(r"\d+-\d+", hour.text):
        return []
    hours = "that hour" if len(hour.values) == 1 else f"each of {len(hour.values)} hours a day"
    return [
        f"{minute.text} {hour.text} runs every minute of {hours}, {60 * len(hour.values)} times a day; "
        f"once an hour is 0 {hour.text}"
    ]


def _uneven(field: Field, size: int, whole: str) -> list[str]:
    match = re.fullmatch(r"\*/(\d{1,9})", field.meant)
    if match is None or size % (step := int(match[1])) == 0:
        return []
    if step > size:
        return [f"{field.kind.name} {field.text!r} is 0 alone: a step starts anew with each {whole}"]
    left = size - max(field.values)
    return [f"{field.kind.name} {field.text!r} does not divide the {whole}: its last step is {left} long"]


def _days(day: Field, weekday: Field) -> list[str]:
    restricted = len(day.values) < 31 and len({value % 7 for value in weekday.values}) < 7
    if not restricted or not day.values or not weekday.values:
        return []
    if day.starts_with_star or weekday.starts_with_star:
        star = day if day.starts_with_star else weekday
        return [f"{star.text!r} begins with *, so day-of-month and day-of-week must both match"]
    return [
        f"day-of-month {day.text} and day-of-week {weekday.text} are both given: a day that matches one of "
        "them is enough"
    ]


def _short_months(day: Field, month: Field, weekday: Field) -> list[str]:
    if not day.values or min(day.values) <= _SHORTEST_FEBRUARY or len(weekday.values) < 8:
        return []
    if month.values == {2}:
        return ["29 February is in leap years only"]
    first = min(day.values)
    if all(LENGTHS[number - 1][0] >= first for number in month.values):
        return []
    return [f"not every month has a day {first}: nothing runs in the others"]
