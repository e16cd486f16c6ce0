"""What the lines of a crontab become: an entry for each line that runs something, which does what cron does.

- It fires when cron would start it, in the zone that is in force for the line, else the machine's, never
  beatd's default.
- What passed while no scheduler ran is not made up (`misfire` is `skip`): cron does not either. Runs may
  overlap, which is the default. A run that no worker has begun when the next one is due is dropped, as by
  default.
- Its command is the line's, byte for byte, with its input, in cron's environment and what the file sets.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from beatd import clock
from beatd.errors import FieldError
from beatd.migrate.command_names import command_name
from beatd.migrate.crontab.cron_tz import changes_of, dropped
from beatd.migrate.crontab.crons import Cron
from beatd.migrate.crontab.installed import anacron_is_installed
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.run_parts import RunParts, run_parts_of, scripts_of
from beatd.migrate.crontab.users import is_this_machines, owner_of, queue_of
from beatd.migrate.found import Found, Origin, Reading
from beatd.migrate.machine import has_user

KIND = "crontab"
#: How a file that came by standard input is called.
STDIN = "stdin"

#: Said in the place of a machine's name: every machine's boots.
ANY_HOST = "any"

_REBOOT = "@reboot"
_EVERY = "@every "
_RUN_PARTS = re.compile(r"(?:^|[\s/;&|({])run-parts\s")


@dataclass(frozen=True, slots=True)
class Taking:
    """How lines are to be taken: the zone of those for which none is in force, the queue of those that name
    no user, and whether a folder of scripts is one entry or one for each of them. `dialect` is that of the
    scheduler that they were written for, if it is none of the crons. `accept_cron_tz` takes lines that cronie
    drops in the hour that the machine's clock repeats. `host` is the machine at whose boots lines run, `any`
    for every one's; None: this one's where the file is its own.
    """

    timezone: str
    queue: str | None = None
    run_parts: Literal["folder", "scripts"] = "folder"
    dialect: str | None = None
    accept_cron_tz: bool = False
    host: str | None = None


def read_entries(crontab: Crontab, taking: Taking) -> Reading:
    """The entries of a file, and its lines that cannot be carried over."""
    reading = Reading(notes=crontab.notes)
    for line in crontab.lines:
        if line.reason is not None:
            reading += Reading(refused=(line.reason,))
        elif line.kind == "entry":
            reading += _of_line(crontab, line, taking)
    if any("queue" not in found.options for found in reading.found):
        told = "they run as the user of the worker that takes the default queue"
        note = f"{crontab.path}: whose commands these are is not known: {told}; --queue user.NAME for another"
        reading += Reading(notes=(note,))
    if not reading.refused and (never_ran := _ignored(crontab)):
        reading += Reading(refused=(FieldError("file", crontab.path, never_ran),))
    return reading


def _ignored(crontab: Crontab) -> str | None:
    """Why cron takes nothing of the whole file; if it is for one bad line, that is what is refused."""
    return next((line.never_ran for line in crontab.lines if line.kind == "entry" and line.never_ran), None)


def source_of(path: str) -> str:
    """How the origin of an entry calls this file, wherever one stands: a whole path."""
    return path if path == STDIN else os.path.abspath(path)  # noqa: PTH100 (Path leaves `..`, or follows links)


def where(crontab: Crontab, line: Line) -> str:
    return f"{crontab.path}:{line.number}"


def queue(crontab: Crontab, line: Line, taking: Taking) -> str | None:
    """A line that names its user goes to this user's worker, whatever was asked for."""
    if line.user is not None:
        return queue_of(line.user)
    owner = owner_of(source_of(crontab.path))
    return taking.queue or (queue_of(owner) if owner else None)


def readable(text: str) -> str:
    """A text for people: bytes that are not UTF-8, and what cannot be printed, as escapes."""
    escaped = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in escaped
    ).strip()


def _of_line(crontab: Crontab, line: Line, taking: Taking) -> Reading:
    differs = _dropped(crontab, line, taking)
    if differs and not taking.accept_cron_tz:
        return Reading(refused=(differs,))
    command = line.command or ""
    parts = run_parts_of(command)
    warnings = (
        *_never_ran(line),
        *line.warnings,
        *_zone_warnings(line, taking, differs),
        *_drawn_warnings(line, taking),
        *_host_warnings(crontab, line, taking),
        *_user_warnings(line),
    )
    found = partial(_found, crontab, line, taking)
    if parts is None and taking.run_parts == "scripts" and _RUN_PARTS.search(command):
        warnings += ("it does more than to run a folder's scripts, and so stays one entry",)
    if parts is None:
        return Reading((found(command_name(command), command, warnings),))
    name = _folder_name(parts)
    warnings += _run_parts_warnings(parts)
    if taking.run_parts == "folder":
        return Reading((found(name, command, warnings, named_by_comment=False),))
    try:
        scripts = scripts_of(parts, crontab.cron, where(crontab, line))
    except FieldError as finding:
        return Reading(refused=(finding,))
    entries = tuple(
        found(
            f"{name} {script.name}",
            parts.command(script),
            warnings,
            place=f"{line.number} {script.name}",
            named_by_comment=False,
        )
        for script in scripts.taken
    )
    notes = [f"{where(crontab, line)}: {text}" for text in scripts.left_out]
    notes.append(f"{where(crontab, line)}: {_scripts_told(len(entries), parts.folder)}")
    return Reading(entries, notes=tuple(notes))


def _found(
    crontab: Crontab,
    line: Line,
    taking: Taking,
    name: str,
    command: str,
    warnings: tuple[str, ...],
    *,
    place: str | None = None,
    named_by_comment: bool = True,
) -> Found:
    comment = readable(line.comment) if line.comment else None
    return Found(
        origin=Origin(KIND, source_of(crontab.path), place or str(line.number), line.source),
        where=where(crontab, line),
        names=tuple(filter(None, (comment if named_by_comment else None, readable(name)))),
        options=_options(crontab, line, taking, command, comment),
        warnings=warnings,
    )


def _options(
    crontab: Crontab, line: Line, taking: Taking, command: str, comment: str | None
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "description": comment,
        **_schedule(crontab, line, taking),
        "shell": command,
        "environment": "cron",
        "env": environment(crontab.cron, line) or None,
        "stdin": line.stdin,
        "queue": queue(crontab, line, taking),
        "mailto": mailto(line),
    }
    return {key: value for key, value in options.items() if value is not None}


def _schedule(crontab: Crontab, line: Line, taking: Taking) -> dict[str, Any]:
    """With what becomes of fires that are missed; a boot is never missed, and no time of day in any zone."""
    schedule = line.schedule or ""
    if schedule == _REBOOT:
        return {"cron": schedule, "host": _host(crontab, taking)}
    jitter = f"{line.random_delay}m" if line.random_delay else None
    policies = {"jitter": jitter, "misfire": "skip"}
    if schedule.startswith(_EVERY):
        return {"every": schedule.removeprefix(_EVERY), **policies}
    changes = _changes_of(line, taking)
    return {"cron": schedule, "timezone": line.timezone or taking.timezone, **changes, **policies}


def _host(crontab: Crontab, taking: Taking) -> str | None:
    """A crontab is one machine's: where it is this one's, so are the boots."""
    if taking.host is not None:
        return None if taking.host == ANY_HOST else taking.host
    return socket.gethostname() if is_this_machines(source_of(crontab.path)) else None


def _changes_of(line: Line, taking: Taking) -> dict[str, str]:
    """How a time that a clock's change skips or repeats is taken, where cronie's CRON_TZ is in force."""
    schedule = line.schedule or ""
    if line.timezone is None or taking.dialect or schedule.startswith((_REBOOT, _EVERY)):
        return {}
    return changes_of(schedule, line.timezone, taking.timezone)


def environment(cron: Cron, line: Line) -> dict[str, str]:
    """What the file sets for the command. Cron lets nobody set who the user is."""
    never = ("LOGNAME", "USER") if cron == "cronie" else ("LOGNAME",)
    return {name: value for name, value in line.environment.items() if name not in never}


def _dropped(crontab: Crontab, line: Line, taking: Taking) -> FieldError | None:
    """What is refused of a line that would run here at a time at which cronie drops it."""
    if line.timezone is None or taking.dialect or (line.schedule or _REBOOT).startswith((_REBOOT, _EVERY)):
        return None
    changes = _changes_of(line, taking)
    at = dropped(line.schedule or "", line.timezone, taking.timezone, changes, clock.wall())
    if at is None:
        return None
    local = at.astimezone(ZoneInfo(line.timezone))
    problem = (
        f"in the hour that the machine's clock ({taking.timezone}) repeats, cronie starts nothing that has a "
        f"fixed time in another zone, and here it runs: first on {local:%Y-%m-%d} at {local:%H:%M}; "
        "take another time, or accept it with --accept-cron-tz"
    )
    column = len(line.source) - len(line.source.lstrip(" \t")) + 1
    return FieldError("CRON_TZ", line.timezone, problem, where=f"{where(crontab, line)}:{column}")


def _zone_warnings(line: Line, taking: Taking, differs: FieldError | None) -> tuple[str, ...]:
    warnings = (f"accepted: {differs.problem.rpartition('; ')[0]}",) if differs else ()
    said = _changes_of(line, taking)
    if "dst_gap" not in said:
        return warnings
    twice = "runs twice what comes twice" if said["dst_fold"] == "both" else "runs once what comes twice"
    return (
        *warnings,
        f"when the clock of CRON_TZ={line.timezone} changes, cronie makes up for nothing that is skipped, "
        f"and {twice}; so it is here (dst_gap, dst_fold)",
    )


def _drawn_warnings(line: Line, taking: Taking) -> tuple[str, ...]:
    if "~" not in (line.schedule or "") or taking.dialect:
        return ()
    return (
        "~ is one time for good here, by the entry's name; cronie draws another whenever it reads the file",
    )


def _host_warnings(crontab: Crontab, line: Line, taking: Taking) -> tuple[str, ...]:
    if line.schedule != _REBOOT or taking.host is not None:
        return ()
    host = _host(crontab, taking)
    if host is None:
        return ("at the boots of every machine with a scheduler; --host NAME for those of one",)
    return (f"at the boots of this machine, {host}; --host any for every machine's",)


def mailto(line: Line) -> str | None:
    """Whom the file has output mailed to. An empty one is nobody, as is none."""
    addresses = line.environment.get("MAILTO", "")
    return addresses if addresses.strip() else None


def _never_ran(line: Line) -> tuple[str, ...]:
    """Of a line that is carried over it is the whole file that cron ignores; a note says why."""
    return (
        ("cron has never run it, for it ignores the whole file; here it will run",) if line.never_ran else ()
    )


def _user_warnings(line: Line) -> tuple[str, ...]:
    if line.user is None or has_user(line.user):
        return ()
    return (f"there is no user {readable(line.user)} on this machine",)


def _folder_name(parts: RunParts) -> str:
    """`cron.daily`, `periodic daily`."""
    folder = Path(parts.folder)
    return folder.name if folder.name.startswith("cron") else f"{folder.parent.name} {folder.name}".strip()


def _scripts_told(count: int, folder: str) -> str:
    added = "what is added there later wants another import"
    if count == 0:
        return f"there is no script in {folder}; {added}"
    if count == 1:
        return f"the only script of {folder} is an entry; {added}"
    return f"the {count} scripts of {folder} run side by side, not in turn; {added}"


def _run_parts_warnings(parts: RunParts) -> tuple[str, ...]:
    if parts.unless is None or Path(parts.unless).name != "anacron":
        return ()
    if anacron_is_installed():
        return ("does nothing here: anacron is installed and runs this folder; import /etc/anacrontab, too",)
    return ("does nothing once anacron is installed, which runs this folder then",)
