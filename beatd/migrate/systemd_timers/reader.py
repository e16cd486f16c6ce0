"""Timers and what they start, read as entries: files and folders in, a `Reading` out."""

from __future__ import annotations

import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.migrate.found import Found, Origin, Reading
from beatd.migrate.systemd_timers.environment_files import parse_environment
from beatd.migrate.systemd_timers.services import Task, command_task, unit_task
from beatd.migrate.systemd_timers.specifiers import UnitName, expand
from beatd.migrate.systemd_timers.timers import Timed, timed_of
from beatd.migrate.systemd_timers.unit_files import Assignment, UnitFile
from beatd.migrate.systemd_timers.unit_folders import UnitFolders, is_masked, unit_name
from beatd.schedules import format_duration, parse_duration

KIND = "systemd"

#: How an entry does what its service does: by its commands, by starting the unit itself, or by its commands
#: where these are all there is to it.
Run = Literal["auto", "command", "unit"]
RUNS: tuple[Run, ...] = ("auto", "command", "unit")

_NAMED = 5


def read(paths: Sequence[Path], *, timezone: str, run: Run = "auto") -> Reading:
    """Each path is a timer's file, or a folder of which all timers are read. `timezone` is the machine's, in
    which calendar events without a zone are."""
    seen: set[tuple[str, str]] = set()
    reading = Reading()
    for path in paths:
        reading += _read_path(path, timezone, run, seen)
    for manager in ("", " --user"):
        names = [
            one.origin.place.partition("#")[0]
            for one in reading.found
            if one.options.get("enabled", True) and ("/systemd/user/" in one.origin.source) == bool(manager)
        ]
        if names:
            off = f"systemctl{manager} disable --now {' '.join(dict.fromkeys(names))}"
            reading += Reading(notes=(f"once beatd runs them: {off} (the services stay as they are)",))
    return reading


def _read_path(path: Path, timezone: str, run: Run, seen: set[tuple[str, str]]) -> Reading:
    if path.is_dir():
        folders = UnitFolders.around(path)
        names = list(folders.timers(path))
        if not names:
            return Reading(notes=(f"{path}: no timer in it",))
        readings = [_read_timer(folders, name, timezone, run, seen, asked_for=False) for name in names]
        return sum(readings, Reading())
    folders, name = UnitFolders.around(path.parent), unit_name(path)
    if name is None or name.suffix != "timer":
        problem = "is no timer: a file whose name ends in .timer, or a folder of such"
        return _refused(FieldError("FILE", str(path), problem, example="/etc/systemd/system/backup.timer"))
    folders = replace(folders, folders=tuple(dict.fromkeys((path.absolute().parent, *folders.folders))))
    return _read_timer(folders, name, timezone, run, seen, asked_for=True)


def _read_timer(
    folders: UnitFolders,
    name: UnitName,
    timezone: str,
    run: Run,
    seen: set[tuple[str, str]],
    *,
    asked_for: bool,
) -> Reading:
    key = (str(folders.home or folders.manager if folders.installed else folders.folders[0]), name.text)
    if key in seen:
        return Reading()
    seen.add(key)
    fragment = folders.find(name)
    if fragment is None:
        return _refused(FieldError("FILE", name.text, f"is not in {folders.folders[0]}"))
    if is_masked(fragment):
        return Reading(notes=(f"{fragment}: masked, systemd never starts it",))
    if name.is_template:
        return _template(name, fragment, refuse=asked_for or not folders.installed)
    try:
        timer = folders.read(name, fragment)
    except OSError as error:
        return _refused(_unreadable(str(fragment), error))
    if timer.broken or timer.unfilled:
        return Reading(refused=timer.broken or timer.unfilled)
    return _Timer(folders, name, timer, timezone, run).reading()


def _template(name: UnitName, fragment: Path, *, refuse: bool) -> Reading:
    instance = f"{name.prefix}@daily.timer"
    problem = f"is a template, of which only instances run: name one, such as {instance}"
    if refuse:
        example = str(fragment.with_name(instance))
        return _refused(FieldError("FILE", name.text, problem, example=example, where=str(fragment)))
    return Reading(notes=(f"{fragment}: a template of which no instance is started",))


@dataclass(frozen=True, slots=True)
class _Timer:
    """One timer that is to be read, with the folders in which its service is."""

    folders: UnitFolders
    name: UnitName
    timer: UnitFile
    timezone: str
    run: Run

    def reading(self) -> Reading:
        timed, problems = timed_of(
            self.timer,
            self.timezone,
            _abbreviations(self.timezone),
            partial(self._expand, self.name, self.timer),
        )
        try:
            task = self._task()
        except FieldError as problem:
            return Reading(refused=(*problems, problem))
        if problems or task.problems:
            return Reading(refused=(*problems, *task.problems))
        places: set[str] = set()
        return Reading(tuple(self._found(one, task, places) for one in timed))

    def _found(self, timed: Timed, task: Task, places: set[str]) -> Found:
        suffix = timed.suffix
        number = 2
        while suffix in places:
            suffix = f"{timed.suffix}-{number}"
            number += 1
        places.add(suffix)
        place = f"{self.name.text}#{suffix}" if suffix else self.name.text
        options = {**timed.options, **_waiting(task.options, timed.wait)}
        description = self.timer.last("Unit", "Description")
        if description is not None:
            options["description"] = description.value
        warnings = [*(str(one) for one in self.timer.ignored), *timed.warnings, *task.warnings]
        if self.folders.installed and not self.folders.is_wanted(self.name):
            options["enabled"] = False
            warnings.append("the timer is not enabled, so the entry is not either")
        names = [self.name.stem, *([description.value] if description else [])]
        return Found(
            Origin(KIND, self.timer.path, place, "\n".join(timed.lines)),
            self.timer.path,
            tuple(f"{name}-{suffix}" if suffix else name for name in names),
            options,
            tuple(warnings),
        )

    # What it starts

    def _task(self) -> Task:
        """Raises FieldError."""
        unit = self._unit()
        service = self._service(unit)
        if service is None:
            return self._without_service(unit)
        starting = unit_task(unit.text, service, self.folders.manager, self._owner())
        if self.run == "unit":
            return starting
        carried = command_task(
            service,
            self.folders.manager,
            self._owner(),
            partial(self._expand, unit, service),
            _read_environment,
        )
        if self.run == "command":
            hint = "--run unit starts the service itself, with all of it"
            problems = tuple(
                FieldError(
                    one.field, one.value, f"{one.problem} ({hint})", example=one.example, where=one.where
                )
                for one in carried.problems
            )
            lost = (f"not carried over: {', '.join(carried.lost)}",) if carried.lost else ()
            return replace(carried, problems=problems, warnings=(*carried.warnings, *lost))
        reasons = [one.field for one in carried.problems] + [one.partition("=")[0] for one in carried.lost]
        if not reasons:
            return carried
        why = f"starts {unit.text} itself, which as a command would lose {_some(reasons)}"
        return replace(starting, warnings=(*starting.warnings, why))

    def _without_service(self, unit: UnitName) -> Task:
        if self.run == "command":
            where = self.timer.path
            problem = (
                f"its unit {unit.text} is not there, whose commands are wanted (--run unit starts it by name)"
            )
            raise FieldError("Unit", unit.text, problem, where=where)
        task = unit_task(unit.text, None, self.folders.manager, self._owner())
        kind = "is no service" if unit.suffix != "service" else "was not found"
        return replace(task, warnings=(*task.warnings, f"{unit.text} {kind}: the entry starts it by name"))

    def _unit(self) -> UnitName:
        given = self.timer.last("Timer", "Unit")
        if given is None:
            return self.name.of("service")
        try:
            text = self._expand(self.name, self.timer, given.value)
        except ValueError as problem:
            raise given.refused(str(problem), example="backup.service") from None
        name = UnitName.parse(text)
        if not name.prefix or name.suffix in ("", "timer") or "/" in text or name.is_template:
            raise given.refused("is no unit that a timer can start", example="backup.service")
        return name

    def _service(self, unit: UnitName) -> UnitFile | None:
        """Raises FieldError."""
        fragment = self.folders.find(unit) if unit.suffix == "service" else None
        if fragment is None:
            return None
        if is_masked(fragment):
            raise FieldError("Unit", unit.text, "is masked: systemd never starts it", where=self.timer.path)
        try:
            service = self.folders.read(unit, fragment)
        except OSError as error:
            raise _unreadable(str(fragment), error) from None
        for problem in service.unfilled:
            raise problem
        return service

    def _owner(self) -> tuple[str, int] | None:
        """Whose manager it is, where it is a user's."""
        if self.folders.home is None:
            return None
        uid = Path(self.timer.path).stat().st_uid
        try:
            return pwd.getpwuid(uid).pw_name, uid
        except KeyError:
            return str(uid), uid

    def _expand(self, name: UnitName, file: UnitFile, text: str) -> str:
        """Raises ValueError."""
        return expand(text, name, file.path, self.folders.manager)


def _some(names: Sequence[str]) -> str:
    some = list(dict.fromkeys(names))
    more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
    return ", ".join(some[:_NAMED]) + more


def _waiting(options: Mapping[str, object], wait: timedelta) -> dict[str, object]:
    """The command of a `@reboot` entry that is to wait first."""
    if not wait:
        return dict(options)
    waiting = {**options, "shell": f"sleep {int(wait.total_seconds())}; {options['shell']}"}
    if isinstance(timeout := options.get("timeout"), str):
        waiting["timeout"] = format_duration(parse_duration(timeout, "timeout") + wait)
    elif isinstance(timeout, float):
        waiting["timeout"] = timeout + wait.total_seconds()
    return waiting


def _read_environment(one: Assignment, value: str) -> Mapping[str, str]:
    """Raises FieldError."""
    path = value.removeprefix("-")
    if not path.startswith("/") or any(sign in path for sign in "*?["):
        raise one.refused("is read as one file with its whole path", example="/etc/default/backup")
    try:
        return parse_environment(Path(path).read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:
        if value.startswith("-"):
            return {}
        raise one.refused("is not there") from None
    except OSError as error:
        raise one.refused(f"cannot be read: {error.strerror}") from None


def _abbreviations(timezone: str) -> tuple[str, ...]:
    """What the machine's zone calls its times, in winter and summer of a year."""
    zone = ZoneInfo(timezone)
    names = {datetime(2024, month, 1, tzinfo=zone).tzname() or "" for month in range(1, 13)}
    return tuple(name for name in sorted(names) if name.isalpha() and name != "UTC")


def _unreadable(path: str, error: OSError) -> FieldError:
    return FieldError("FILE", path, f"cannot be read: {error.strerror or error}")


def _refused(problem: FieldError) -> Reading:
    return Reading(refused=(problem,))
