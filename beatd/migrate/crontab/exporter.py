"""Entries as a crontab. What cron cannot say is a comment with the reason.

Every line is read back as the cron reads it that it is written for; one that would not come back as it was is
a comment, too. Reading the whole again gives the entries that can be said, as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from beatd.errors import FieldError
from beatd.migrate.crontab import lines
from beatd.migrate.crontab.crons import CALLED
from beatd.migrate.crontab.entries import environment, readable
from beatd.migrate.crontab.sayable import Sayable, Target, UnsayableError, sayable
from beatd.migrate.crontab.writing import assignment, command_text
from beatd.operations.views import Entry

_ZONE, _DELAY = "CRON_TZ", "RANDOM_DELAY"


@dataclass(frozen=True, slots=True)
class Exported:
    """The text of a crontab, how many entries it says, and what it cannot say: names and reasons."""

    text: str
    said: int
    unsaid: Mapping[str, str]


def export(entries: Sequence[Entry], target: Target) -> Exported:
    """Raises FieldError where one user's crontab is wanted of the entries of several."""
    queue = _one_queue(entries) if target.form == "user" else None
    said: list[Sayable] = []
    unsaid: dict[str, str] = {}
    for entry in entries:
        try:
            said.append(sayable(entry, target))
        except UnsayableError as reason:
            unsaid[entry.name] = str(reason)
    writer = _Writer(target)
    for one in sorted(said, key=_order):
        try:
            writer.write(one)
        except UnsayableError as reason:
            unsaid[one.name] = str(reason)
    whose = "system" if target.form == "system" else queue.removeprefix("user.") if queue else "user"
    head = [f"# the entries of beatd as a {whose} crontab for {CALLED[target.cron]}", ""]
    tail = [f"# {readable(name)} is not in here: {readable(why)}" for name, why in unsaid.items()]
    text = "\n".join([*head, *writer.lines, *([""] if tail else []), *tail, ""])
    return Exported(text, len(entries) - len(unsaid), unsaid)


def _one_queue(entries: Iterable[Entry]) -> str | None:
    """Where all of them are run. Raises FieldError."""
    queues = {str(entry.options.get("queue") or "") for entry in entries if "shell" in entry.options}
    if len(queues) > 1:
        named = " and ".join(sorted(queue or "the default queue" for queue in queues))
        problem = "a user's crontab is of one; name those of one, or write a system crontab with --system"
        raise FieldError("queue", named, problem)
    return queues.pop() or None if queues else None


def _order(one: Sayable) -> tuple[object, ...]:
    """Cron can set variables and never unset one: those that want few come first."""
    zone, delay = one.timezone is not None, one.random_delay > 0
    return (len(one.environment), zone, delay, sorted(one.environment.items()), one.timezone or "", one.name)


class _Writer:
    """A crontab in the making."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._environment: dict[str, str] = {}
        self._zone: str | None = None
        self._delay = 0
        self.lines: list[str] = []

    def write(self, one: Sayable) -> None:
        """Raises UnsayableError."""
        block = self._anew(one)
        text = self._text(one)
        if not self._reads_back(one, self._everything(one), described=False):
            raise UnsayableError("no line is read by cron as what it says")
        if one.remarks:
            block += [f"# {readable(one.name)}: {'; '.join(map(readable, one.remarks))}", ""]
        if one.description:
            comment = f"# {one.description}"
            belongs = self._reads_back(one, [*self._everything(one), comment], described=True)
            block += [f"# {readable(one.description)}", ""] if not belongs else [comment]
        if one.paused:
            block = [f"# {readable(one.name)} is paused", f"#{text}", ""]
        else:
            block.append(text)
            self._environment = dict(one.environment)
            self._zone, self._delay = one.timezone, one.random_delay
        self.lines += block

    def _text(self, one: Sayable) -> str:
        command = command_text(one.command, one.stdin, self._target.cron)
        return " ".join(part for part in (one.schedule, one.user, command) if part is not None)

    def _anew(self, one: Sayable) -> list[str]:
        """What has to be set anew for this line. Raises UnsayableError."""
        if stays := self._environment.keys() - one.environment.keys():
            several = ", ".join(sorted(map(readable, stays)))
            raise UnsayableError(
                f"{several} is set for others, and cron cannot unset it; export it by its name"
            )
        changed = {
            name: value for name, value in one.environment.items() if self._environment.get(name) != value
        }
        texts = [assignment(name, value) for name, value in changed.items()]
        if one.timezone != self._zone:
            texts.append(assignment(_ZONE, one.timezone or self._target.timezone))
        if one.random_delay != self._delay:
            texts.append(assignment(_DELAY, str(one.random_delay)))
        return texts

    def _everything(self, one: Sayable) -> list[str]:
        """All that is in force for this line."""
        texts = [assignment(name, value) for name, value in one.environment.items()]
        if one.timezone:
            texts.append(assignment(_ZONE, one.timezone))
        return texts

    def _reads_back(self, one: Sayable, above: Sequence[str], *, described: bool) -> bool:
        data = "\n".join([*above, self._text(one), ""]).encode("utf-8", "surrogateescape")
        target = self._target
        crontab = lines.read(data, "export", form=target.form, cron=target.cron)
        line = crontab.lines[-1]
        read = (line.kind, line.schedule, line.command, line.stdin, line.user)
        wanted = ("entry", one.schedule, one.command, one.stdin, one.user)
        in_force = {name: value for name, value in environment(crontab, line).items() if name != _ZONE}
        if described and line.comment != one.description:
            return False
        return len(crontab.lines) == len(above) + 1 and read == wanted and in_force == dict(one.environment)
