"""What one look at an entry is given, and what it decides (see `plan`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from beatd.planning.definition import Definition


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, this version held. `definition` is None where the version could not be read, or
    where the entry was deleted.
    """

    version: int
    since: datetime
    definition: Definition | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing fires from `since` until just before `until`; None: for the time being. `reason` is that of the
    fires in between.
    """

    since: datetime
    until: datetime | None = None
    reason: str = "all paused"

    def covers(self, instant: datetime) -> bool:
        return self.since <= instant and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True)
class Facts:
    """What planning asks of the runs so far.

    `open_run`: an earlier run of the entry is unfinished, whatever its origin. `open_scheduled`: one of its
    schedule is, from whose end a fixed delay counts. `runs_made`: scheduled runs since the entry's creation.
    `last_end`: when the last scheduled run ended; asked for where the delay is fixed.
    """

    open_run: bool = False
    open_scheduled: bool = False
    runs_made: int = 0
    last_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """`held`: kept back until the unfinished run ends. `cancels`: the unfinished runs are to be ended for it.

    A `due_time` ahead of the plan's instant is that of a fire which an edit overtook.
    """

    version: int
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None
    held: bool = False
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Suppression:
    """Fires that did not become runs, counted. `exact` is False where `count` is a lower bound."""

    version: int
    reason: str
    count: int
    exact: bool
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """`planned_from` is the new cursor: every fire up to it is settled, and `version` held there.

    `next_fire` is None where no more will come (completed, paused, broken, deleted), and while `waiting`:
    for the end of a run, or for a boot. `next_due` is when to look again: when the next fire is due, or where
    none comes, when a calendar drops one.
    """

    runs: tuple[PlannedRun, ...]
    suppressions: tuple[Suppression, ...]
    planned_from: datetime
    version: int
    next_fire: datetime | None
    next_due: datetime | None = None
    runs_made: int = 0
    waiting: bool = False

    @property
    def last_fire(self) -> datetime | None:
        return self.runs[-1].fire_time if self.runs else None
