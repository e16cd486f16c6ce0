"""What of an entry a crontab can say, and why it cannot say the rest."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from beatd.errors import BeatdError
from beatd.migrate.crontab.cron_tz import changes_of
from beatd.migrate.crontab.crons import Cron, Form
from beatd.operations.views import Entry
from beatd.schedules import parse_duration, parse_instant, parse_zone
from beatd.schedules.cron_fields import NICKNAMES, Field, parse_fields

_REBOOT = "@reboot"
_CHOSEN_BY_NAME = re.compile(r"(?<![A-Za-z])H(?![A-Za-z])|~")
_OPEN_STEP = re.compile(r"(?:^|,)[A-Za-z0-9]+/")

#: What is not lost by much: it changes neither when a command is started nor which.
_NO_MATTER = frozenset(
    {
        *("args", "kwargs", "headers", "priority", "serializer", "compression", "ignore_result", "on_lost"),
        *("lost_after", "misfire_grace", "misfire_limit", "failure_limit", "expected_exit_status"),
    }
)
_SAID = frozenset(
    {
        *("description", "cron", "every", "start_at", "timezone", "dst_gap", "dst_fold", "host", "jitter"),
        *("shell", "environment", "env", "stdin", "cwd", "queue", "mailto", "misfire", "expires"),
        *("enabled", "paused_until", "pause_note"),
    }
)


_DEFAULTS = (("overlap", "allow"), ("on_failure", "continue"))


class UnsayableError(BeatdError):
    """A crontab cannot say what this entry does; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """For which cron, in which form, on a machine of which zone; `default_zone` is beatd's own."""

    cron: Cron
    form: Form
    timezone: str
    default_zone: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Sayable:
    """An entry as a line of a crontab. `timezone` and `random_delay` are set by assignments of cronie's;
    `remarks` are what differs a little, `paused` lines are written as comments.
    """

    name: str
    schedule: str
    command: str
    stdin: str | None
    user: str | None
    environment: Mapping[str, str]
    timezone: str | None = None
    random_delay: int = 0
    description: str | None = None
    remarks: tuple[str, ...] = ()
    paused: bool = False

    @property
    def has_times(self) -> bool:
        """Whether it matters in which zone."""
        return self.schedule != _REBOOT


def sayable(entry: Entry, target: Target) -> Sayable:
    """Raises UnsayableError."""
    options = entry.options
    if "shell" not in options:
        raise UnsayableError(f"cron runs commands alone, and it is {_task(options)}")
    for option in options:
        if option not in _NO_MATTER | _SAID and (option, options[option]) not in _DEFAULTS:
            raise UnsayableError(f"cron knows nothing like {option} = {options[option]!r}")
    remarks: list[str] = []
    schedule, fixed_zone = _schedule(entry, target, remarks)
    zone = parse_zone(options.get("timezone") or target.default_zone).key
    command = str(options["shell"])
    if "\n" in command:
        raise UnsayableError("its command has several lines")
    if options.get("cwd"):
        command = f"cd {shlex.quote(options['cwd'])} || exit; {command}"
    if options.get("environment") != "cron":
        remarks.append("runs in cron's environment, not in the worker's")
    if options.get("misfire") != "skip" and schedule != _REBOOT:
        remarks.append("cron makes up nothing that it missed")
    if options.get("expires") not in (None, "next"):
        remarks.append(f"cron knows nothing like expires = {options['expires']!r}")
    left_out = sorted(_NO_MATTER & options.keys())
    if left_out:
        remarks.append(f"without {', '.join(left_out)}")
    return Sayable(
        name=entry.name,
        schedule=schedule,
        command=command,
        stdin=options.get("stdin"),
        user=_user(options) if target.form == "system" else None,
        environment=_environment(options),
        timezone=_timezone(zone, target) if fixed_zone else None,
        random_delay=_random_delay(options, target),
        description=options.get("description"),
        remarks=tuple(remarks),
        paused=entry.state == "paused",
    )


def _task(options: Mapping[str, Any]) -> str:
    if "http" in options:
        return f"a request of {options['http']}"
    return f"the Celery task {options.get('task')}"


def _user(options: Mapping[str, Any]) -> str:
    queue = str(options.get("queue") or "")
    if not queue.startswith("user.") or queue == "user.":
        raise UnsayableError("a system crontab names a user, and its queue is no user's")
    return queue.removeprefix("user.")


def _environment(options: Mapping[str, Any]) -> dict[str, str]:
    environment = dict(options.get("env") or {})
    if options.get("mailto") is not None:
        environment["MAILTO"] = options["mailto"]
    return environment


def _timezone(zone: str, target: Target) -> str | None:
    if zone == target.timezone:
        return None
    if target.cron == "debian":
        raise UnsayableError(f"its times are those of {zone}, and Debian's cron has the machine's zone alone")
    return zone


def _random_delay(options: Mapping[str, Any], target: Target) -> int:
    if "jitter" not in options:
        return 0
    minutes, rest = divmod(parse_duration(options["jitter"], "jitter"), timedelta(minutes=1))
    if target.cron == "debian" or rest:
        raise UnsayableError(f"cron knows nothing like jitter = {options['jitter']!r}")
    return minutes


# When


def _schedule(entry: Entry, target: Target, remarks: list[str]) -> tuple[str, bool]:
    """The fields, and whether they are wall time of the entry's zone."""
    options = entry.options
    if "every" in options:
        return _interval(entry, target, remarks), False
    if "cron" not in options:
        raise UnsayableError(f"cron knows no such schedule ({entry.schedule})")
    if "start_at" in options:
        raise UnsayableError(f"cron knows nothing like start_at = {options['start_at']!r}")
    expression = str(options["cron"]).strip()
    if expression == _REBOOT:
        if options.get("host", socket.gethostname()) != socket.gethostname():
            remarks.append(f"it is for the machine {options['host']}")
        return expression, False
    return _fields(entry, expression, target, remarks), True


def _fields(entry: Entry, expression: str, target: Target, remarks: list[str]) -> str:
    if expression in NICKNAMES:
        texts, given = NICKNAMES[expression].split(), expression
    else:
        texts = expression.split()
        if len(texts) == 6:
            if texts[0].strip("0"):
                raise UnsayableError("cron knows no seconds")
            del texts[0]
        given = " ".join(texts)
    parsed = parse_fields(" ".join(texts), entry.name)[1:]
    _require_changes(entry, given, parsed, target, remarks)
    if expression in NICKNAMES:
        return given
    said = []
    for text, meaning in zip(texts, parsed, strict=True):
        if meaning.last_day or meaning.last_working_day or meaning.last_weekdays or meaning.nth_weekdays:
            raise UnsayableError(f"cron knows nothing like {text!r}")
        chosen = _CHOSEN_BY_NAME.search(text) and not (target.cron == "cronie" and "H" not in text)
        by_value = chosen or _OPEN_STEP.search(text)
        said.append(",".join(map(str, meaning.values)) if by_value else text)
    return " ".join(said)


def _require_changes(
    entry: Entry, schedule: str, parsed: Sequence[Field], target: Target, remarks: list[str]
) -> None:
    """Whether cron does as the entry when a clock changes. Raises UnsayableError."""
    by_star = parsed[0].starts_with_star or parsed[1].starts_with_star
    own = (
        {"dst_gap": "skip", "dst_fold": "both"} if by_star else {"dst_gap": "run_after", "dst_fold": "first"}
    )
    cron, zone = own, parse_zone(entry.options.get("timezone") or target.default_zone).key
    set_by_file = zone != target.timezone or "CRON_TZ" in entry.options.get("env", {})
    if target.cron == "cronie" and set_by_file:
        cron = own | changes_of(schedule, zone, target.timezone)
    for option, implied in own.items():
        wanted = entry.options.get(option, implied)
        if wanted != cron[option] and option in entry.options:
            raise UnsayableError(f"cron knows nothing like {option} = {wanted!r}")
    if any(entry.options.get(option, own[option]) != cron[option] for option in own):
        remarks.append("with CRON_TZ, cronie skips or repeats it where that zone's clock changes")


def _interval(entry: Entry, target: Target, remarks: list[str]) -> str:
    """Intervals that divide an hour or a day, from the minute at which they are anchored."""
    zone = parse_zone(entry.options.get("timezone") or target.default_zone)
    anchor = entry.created_at
    if "start_at" in entry.options:
        anchor = parse_instant(entry.options["start_at"], zone, "start_at")
        if anchor > target.now:
            raise UnsayableError(f"cron knows nothing like start_at = {entry.options['start_at']!r}")
    every = parse_duration(str(entry.options["every"]), "every")
    minutes, rest = divmod(every, timedelta(minutes=1))
    wall = anchor.astimezone(ZoneInfo(target.timezone))
    if rest or (60 % minutes if minutes < 60 else (minutes % 60 or 24 % (minutes // 60))):
        raise UnsayableError(f"{entry.options['every']} divide neither an hour nor a day into equal parts")
    remarks.append(f"every {entry.options['every']} by the clock, not from {anchor:%Y-%m-%d %H:%M:%S} UTC")
    if minutes < 60:
        return f"{_stepped(wall.minute, minutes, 60)} * * * *"
    return f"{wall.minute} {_stepped(wall.hour, minutes // 60, 24)} * * *"


def _stepped(value: int, step: int, size: int) -> str:
    if step == 1:
        return "*"
    if value % step == 0:
        return f"*/{step}" if step < size else str(value)
    return ",".join(str(number) for number in range(value % step, size, step))
