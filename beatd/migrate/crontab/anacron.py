"""Anacrontabs: `period delay job-id command`, jobs that are due once in so many days.

What anacron does (of its own source, Debian's and cronie's):

- Something starts it, at boot and then in each hour (cronie: at its first minute; Debian: at half past, from
  seven on). It starts each job that has not run for its period, counted in days, after the job's delay and a
  random one of up to RANDOM_DELAY minutes, if that is within START_HOURS_RANGE.
- So a job has no time of day. On a machine that is always up it runs at the first start that fits, and that
  is the time which its entry gets; what the machine missed is made up once.
- The command goes to /bin/sh in `/`, whatever SHELL and HOME say, with the environment that anacron has and
  what the file sets above the job, quotes and all. `%` is nothing special.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.command_names import command_name
from beatd.migrate.crontab.crons import Cron
from beatd.migrate.crontab.entries import KIND, Taking, mailto, readable, source_of, where
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.users import queue_of
from beatd.migrate.found import Found, Origin, Reading

_BLANK = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"[ \t]*#.*")
_ASSIGNMENT = re.compile(r"[ \t]*([^ \t=]+)[ \t]*=(.*)")
_JOB = re.compile(r"[ \t]*([0-9]+|@[^ \t]+)[ \t]+([0-9]+)[ \t]+([^ \t/]+)[ \t]+([^ \t].*)")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
#: A job's id that could as well be a field of cron's.
_FIELD = re.compile(r"[0-9*,/~-]+")

_BOM = "\ufeff"

_EXAMPLE = "1 5 cron.daily nice run-parts /etc/cron.daily"
_DAY = 24 * 60
_MOST_DAYS = 1000

#: The minutes of a day at which anacron is started on a machine that is always up.
_STARTS = {
    "cronie": tuple(60 * hour + 1 for hour in range(24)),
    "debian": tuple(60 * hour + 30 for hour in range(7, 24)),
}

_NAMED = {"@daily": "1", "@weekly": "7", "@monthly": "@monthly", "@yearly": "@yearly", "@annualy": "@yearly"}


@dataclass(frozen=True, slots=True)
class _Period:
    """The schedule at a time of day, how long a missed run is worth making up, and what is to be told."""

    options: dict[str, Any]
    expires: str | None = None
    warning: str | None = None


def is_called_anacrontab(path: str) -> bool:
    return "anacrontab" in Path(path).name


def looks_like_anacrontab(data: bytes) -> bool:
    """By its lines, of which none is cron's."""
    jobs = 0
    for line in _physical(data):
        if _BLANK.fullmatch(line) or _COMMENT.fullmatch(line) or _ASSIGNMENT.fullmatch(line):
            continue
        job = _JOB.fullmatch(line)
        if job is None or _FIELD.fullmatch(job[3]):
            return False
        jobs += 1
    return jobs > 0


def read_anacrontab(data: bytes, path: str, *, cron: Cron = "debian") -> Crontab:
    """The lines of an anacrontab; a job's `schedule` is its period, delay and id, as they stand."""
    reader = _Reader(path, cron)
    lines = tuple(reader.line(number, text) for number, text in enumerate(_physical(data), 1))
    return Crontab(path, "system", cron, lines)


def read_anacron_entries(crontab: Crontab, taking: Taking) -> Reading:
    """The entries of an anacrontab."""
    reading = Reading(notes=crontab.notes)
    hours = _hours(crontab)
    for line in crontab.lines:
        if line.reason is not None:
            reading += Reading(refused=(line.reason,))
        elif line.kind == "entry":
            try:
                reading += Reading((_found(crontab, line, taking, hours),))
            except FieldError as finding:
                reading += Reading(refused=(finding.at(where(crontab, line)),))
    return reading


def _physical(data: bytes) -> list[str]:
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


class _Reader:
    """Goes through a file, with what it has set so far."""

    def __init__(self, path: str, cron: Cron) -> None:
        self._path = path
        self._cron = cron
        self._environment: dict[str, str] = {}
        self._random_delay: int | None = None
        self._continues = False

    def line(self, number: int, source: str) -> Line:
        self._where = f"{self._path}:{number}"
        belongs_above, self._continues = self._continues, self._cron == "cronie" and source.endswith("\\")
        if belongs_above or self._continues:
            problem = "a line that goes on in the next one is not read; write it as one line"
            return self._refused(number, source, FieldError("line", source, problem, example=_EXAMPLE))
        text = source
        warnings: tuple[str, ...] = ()
        if self._cron == "cronie" and "\\" in source:
            text = source.replace("\\", "")
            warnings = (r"cronie's anacron takes every \ out of a line, and so the command is without",)
        if _BLANK.fullmatch(text.removeprefix(_BOM)):
            return Line(number, "blank", source)
        if _COMMENT.fullmatch(text.removeprefix(_BOM)):
            return Line(number, "comment", source)
        if text.startswith(_BOM):
            problem = "begins with a byte order mark (BOM), which anacron takes for part of it: remove it"
            return self._refused(number, source, FieldError("line", source, problem, example=text[1:]))
        try:
            if found := _ASSIGNMENT.fullmatch(text):
                self._set(found[1], found[2])
                return Line(number, "environment", source, assignment=(found[1], found[2]))
            return self._job(number, source, text, warnings)
        except FieldError as finding:
            return self._refused(number, source, finding)

    def _refused(self, number: int, source: str, finding: FieldError) -> Line:
        return Line(number, "refused", source, reason=finding.at(self._where))

    def _set(self, name: str, value: str) -> None:
        if name == "START_HOURS_RANGE" and not _is_range(value):
            raise FieldError(
                name, value, "two hours, the earlier one first; anacron passes over it", example="3-22"
            )
        if name == "RANDOM_DELAY":
            if not value.isascii() or not value.isdigit():
                raise FieldError(name, value, "a number of minutes; anacron passes over it", example="45")
            self._random_delay = int(value)
        self._environment[name] = value

    def _job(self, number: int, source: str, text: str, warnings: tuple[str, ...]) -> Line:
        found = _JOB.fullmatch(text)
        if found is None:
            problem = "neither a setting nor period, delay, id and command of a job; anacron passes over it"
            raise FieldError("line", source, problem, example=_EXAMPLE)
        if found[4].endswith("\r"):
            warnings += ("the line ends in CR LF, and the shell takes the CR for part of the command",)
        return Line(
            number,
            "entry",
            source,
            schedule=" ".join(found.group(1, 2, 3)),
            command=found[4],
            environment=dict(self._environment),
            random_delay=self._random_delay,
            warnings=warnings,
        )


def _is_range(value: str) -> bool:
    found = _RANGE.fullmatch(value)
    return found is not None and int(found[1]) <= int(found[2])


def _hours(crontab: Crontab) -> tuple[int, int]:
    """The hours in which jobs start: of the whole file, whose last word on it counts."""
    hours = (0, 24)
    for line in crontab.lines:
        if line.assignment and line.assignment[0] == "START_HOURS_RANGE":
            first, _, end = line.assignment[1].partition("-")
            hours = (int(first), int(end))
    return hours


def _found(crontab: Crontab, line: Line, taking: Taking, hours: tuple[int, int]) -> Found:
    period, delay, ident = (line.schedule or "").split(" ")
    command = line.command or ""
    at = _time(crontab.cron, int(delay), hours)
    rule = _period(period, at)
    told = (
        f"anacron keeps no time of day: {at} is when it comes to this job on a machine that is always up; "
        "what is missed is made up once, when the scheduler is back"
    )
    warnings = (*line.warnings, told, *_shell_warnings(line), *([rule.warning] if rule.warning else []))
    return Found(
        origin=Origin(KIND, source_of(crontab.path), str(line.number), line.source),
        where=where(crontab, line),
        names=(f"anacron {readable(ident)}", command_name(command)),
        options=_options(line, taking, rule, command),
        warnings=warnings,
    )


def _options(line: Line, taking: Taking, rule: _Period, command: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        **rule.options,
        "timezone": taking.timezone,
        "jitter": f"{line.random_delay}m" if line.random_delay else None,
        "misfire": "latest",
        "overlap": "skip",
        "expires": rule.expires,
        "shell": command,
        "cwd": "/",
        "environment": "cron",
        "env": {name: value for name, value in line.environment.items() if name != "SHELL"} or None,
        "queue": taking.queue or queue_of("root"),
        "mailto": mailto(line),
    }
    return {key: value for key, value in options.items() if value is not None}


def _shell_warnings(line: Line) -> tuple[str, ...]:
    shell = line.environment.get("SHELL")
    if shell in (None, "/bin/sh"):
        return ()
    return (f"SHELL={readable(shell)} is left out: anacron gives every command to /bin/sh",)


def _time(cron: Cron, delay: int, hours: tuple[int, int]) -> str:
    """When a day's first start of anacron begins this job. Raises FieldError."""
    first, end = hours
    for start in _STARTS[cron]:
        minute = (start + delay) % _DAY
        if first <= minute // 60 < end:
            return f"{minute // 60:02}:{minute % 60:02}"
    problem = "after this delay no start of anacron is within START_HOURS_RANGE: the job never ran"
    raise FieldError("START_HOURS_RANGE", f"{first}-{end}", problem, example="3-22")


def _period(text: str, at: str) -> _Period:
    """Raises FieldError."""
    period = next((days for name, days in _NAMED.items() if text.startswith(name)), text)
    hour, minute = (int(part) for part in at.split(":"))
    if period == "@monthly":
        told = "it comes on the first of a month; anacron goes by the day on which it last ran"
        return _Period({"cron": f"{minute} {hour} 1 * *"}, "28d", told)
    if period == "@yearly":
        told = "it comes on the first of January; anacron goes by the day on which it last ran"
        return _Period({"cron": f"{minute} {hour} 1 1 *"}, "365d", told)
    if not period.isdigit():
        known = ", ".join(name for name in _NAMED if name != "@annualy")
        raise FieldError("period", text, f"anacron knows a number of days, {known}", example="7")
    if not 1 <= int(period) <= _MOST_DAYS:
        problem = f"1 to {_MOST_DAYS} days; what is to run whenever anacron starts is an entry of cron's"
        raise FieldError("period", text, problem, example="30 7-23 * * *")
    if int(period) == 1:
        return _Period({"cron": f"{minute} {hour} * * *"})
    told = f"the {int(period)} days are counted from the day of the import; anacron counts from its last run"
    return _Period({"calendar_every": f"{int(period)}d", "time": at}, f"{int(period)}d", told)
