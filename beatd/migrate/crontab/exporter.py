"""Entries as a crontab. What cron cannot say is a comment with the reason.

Every line is read back as the cron reads it that it is written for; one that would not come back as it was is
a comment, too. Reading the whole again gives the entries that can be said, as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from beatd.errors import FieldError
from beatd.migrate.crontab import lines
from beatd.migrate.crontab.crons import CALLED
from beatd.migrate.crontab.entries import KIND, environment, readable
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.sayable import Sayable, Target, UnsayableError, sayable
from beatd.migrate.crontab.writing import assignment, command_text
from beatd.migrate.found import Origin
from beatd.operations.views import Entry

#: How an export begins: it tells one when it is read again.
_HEADING = "# the entries of beatd as a "

_ZONE, _DELAY = "CRON_TZ", "RANDOM_DELAY"


@dataclass(frozen=True, slots=True)
class Exported:
    """The text of a crontab, how many entries it says, and what it cannot say: names and reasons."""

    text: str
    said: int
    unsaid: Mapping[str, str]


def export(entries: Sequence[Entry], target: Target) -> Exported:
    """A line that was imported and still says what its entry does is written as it was.

    Raises FieldError where one user's crontab is wanted of the entries of several.
    """
    queue = _one_queue(entries) if target.form == "user" else None
    said: list[tuple[Sayable, Origin | None]] = []
    unsaid: dict[str, str] = {}
    for entry in entries:
        try:
            said.append(
                (sayable(entry, target), entry.origin if entry.origin and entry.origin.kind == KIND else None)
            )
        except UnsayableError as reason:
            unsaid[entry.name] = str(reason)
    writer = _Writer(target)
    for one, origin in sorted(said, key=lambda pair: _order(*pair)):
        try:
            writer.write(one, origin.text if origin else None)
        except UnsayableError as reason:
            unsaid[one.name] = str(reason)
    whose = "system" if target.form == "system" else queue.removeprefix("user.") if queue else "user"
    head = [f"{_HEADING}{readable(whose)} crontab for {CALLED[target.cron]}", ""]
    tail = [f"# {readable(name)} is not in here: {readable(why)}" for name, why in unsaid.items()]
    text = "\n".join([*head, *writer.lines, *([""] if tail else []), *tail, ""])
    return Exported(text, len(entries) - len(unsaid), unsaid)


def is_export(crontab: Crontab) -> bool:
    """Whether beatd wrote it."""
    return any(line.source.startswith(_HEADING) for line in crontab.lines[:1])


def _one_queue(entries: Iterable[Entry]) -> str | None:
    """Where all of them are run. Raises FieldError."""
    queues = {str(entry.options.get("queue") or "") for entry in entries if "shell" in entry.options}
    if len(queues) > 1:
        named = " and ".join(sorted(queue or "the default queue" for queue in queues))
        problem = "a user's crontab is of one; name those of one, or write a system crontab with --system"
        raise FieldError("queue", named, problem)
    return queues.pop() or None if queues else None


def _order(one: Sayable, origin: Origin | None) -> tuple[object, ...]:
    """Cron can set variables and never unset one: those that want few come first. Else as they once stood."""
    number = re.match(r"\d+", origin.place) if origin else None
    stood = (origin.source, int(number[0])) if origin and number else ("", 0)
    return (len(one.environment), one.timezone or "", one.random_delay, *stood, one.name)


class _Writer:
    """A crontab in the making."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._environment: dict[str, str] = {}
        self.lines: list[str] = []

    def write(self, one: Sayable, as_it_was: str | None) -> None:
        """Raises UnsayableError."""
        wanted = self._wanted(one)
        text = self._line(one, wanted, as_it_was)
        block = []
        if one.remarks:
            block += [f"# {readable(one.name)}: {'; '.join(map(readable, one.remarks))}", ""]
        if one.description:
            comment = f"# {one.description}"
            told = _read(self._target, [*_assignments(wanted), comment, text])[-1].comment == one.description
            block += [comment] if told else [f"# {readable(one.description)}", ""]
        if one.paused:
            self.lines += [f"# {readable(one.name)} is paused", f"#{text}", ""]
            return
        self.lines += [*_assignments(wanted, self._environment), *block, text]
        self._environment = wanted

    def _wanted(self, one: Sayable) -> dict[str, str]:
        """What has to be set at this line, for the command and for cronie. Raises UnsayableError."""
        wanted, now = dict(one.environment), self._environment
        if self._target.cron == "cronie":
            zone = wanted.get(_ZONE, now.get(_ZONE))
            if one.has_times and (one.timezone or "") != (zone or ""):
                zone = one.timezone or self._target.timezone
            if zone is not None:
                wanted[_ZONE] = zone
            delay = wanted.get(_DELAY, now.get(_DELAY))
            if delay is not None or one.random_delay:
                wanted[_DELAY] = _delay(delay, one.random_delay)
        if stays := now.keys() - wanted.keys():
            several = ", ".join(sorted(map(readable, stays)))
            problem = "is set for lines above, and cron cannot unset it; export this one by its name"
            raise UnsayableError(f"{several} {problem}")
        return wanted

    def _line(self, one: Sayable, wanted: Mapping[str, str], as_it_was: str | None) -> str:
        """Raises UnsayableError."""
        command = command_text(one.command, one.stdin, self._target.cron)
        made = " ".join(part for part in (one.schedule, one.user, command) if part is not None)
        for text in filter(None, (as_it_was, made)):
            read = _read(self._target, [*_assignments(wanted), text])
            if len(read) == len(wanted) + 1 and self._says(one, wanted, read[-1]):
                return text
        reason = read[-1].reason
        raise UnsayableError(reason.problem if reason else "no line is read by cron as what it does")

    def _says(self, one: Sayable, wanted: Mapping[str, str], line: Line) -> bool:
        zone = self._target.timezone if one.has_times else line.timezone
        return (
            line.kind == "entry"
            and line.never_ran is None
            and (line.schedule, line.command, line.stdin, line.user)
            == (one.schedule, one.command, one.stdin, one.user)
            and (line.timezone or zone, line.random_delay or 0) == (one.timezone or zone, one.random_delay)
            and environment(self._target.cron, line) == wanted
        )


def _delay(there: str | None, minutes: int) -> str:
    """As it stands where that means as much."""
    if there is not None and (
        (there.isdigit() and int(there) == minutes) or not (minutes or there.isdigit())
    ):
        return there
    return str(minutes)


def _read(target: Target, texts: Sequence[str]) -> tuple[Line, ...]:
    data = "\n".join([*texts, ""]).encode("utf-8", "surrogateescape")
    return lines.read(data, "export", form=target.form, cron=target.cron).lines


def _assignments(wanted: Mapping[str, str], there: Mapping[str, str] | None = None) -> list[str]:
    """Those that are not in force."""
    there = there or {}
    return [assignment(name, value) for name, value in wanted.items() if there.get(name) != value]
