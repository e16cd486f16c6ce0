"""What is laid before the checker: the rules of a window, and what is known to have come of them.

All instants are aware UTC and the database's time, but those of messages and executions, which are those of
whoever saw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from beatd.planning.definition import Definition


@dataclass(frozen=True, slots=True)
class Version:
    """What an entry was from `since` on; `definition` None: it was deleted, or could not be read."""

    number: int
    since: datetime
    definition: Definition | None


@dataclass(frozen=True, slots=True)
class Timer:
    """`planned_from`: every fire up to this instant is settled. `state`: active, paused, completed or
    broken.
    """

    planned_from: datetime
    planned_version: int
    next_due_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the versions that were valid in the window, the first of them from before it on, if
    there was one. An entry that is gone has no timer, or none any more.

    `made_before` is the number of its scheduled runs that fired at the window's `since` or before, which
    `max_runs` counts; None: not known. `judged_from`: of what fired until then some history was cut.
    """

    id: int
    name: str
    versions: tuple[Version, ...]
    timer: Timer | None
    made_before: int | None = 0
    judged_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A row of `runs`; `run_once`: its task claims it before it starts."""

    id: str
    entry_id: int
    version: int
    origin: str
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None
    state: str
    recorded_at: datetime
    published_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 1
    retries: int = 0
    run_once: bool = False
    reason: str | None = None
    owner: str | None = None
    lease_until: datetime | None = None

    @property
    def scheduled(self) -> bool:
        return self.origin == "schedule"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A counted record of fires that became no runs, from the first of them to the last. `exact` is False
    where `count` is a lower bound.
    """

    entry_id: int
    version: int
    reason: str
    count: int
    exact: bool
    first: datetime
    last: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing fired from `since` until just before `until`; None: it goes on. `reason` is that of the records
    of the fires in between.
    """

    since: datetime
    until: datetime | None = None
    reason: str = "all paused"

    def covers(self, instant: datetime) -> bool:
        return self.since <= instant and (self.until is None or instant < self.until)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's mark that it has begun a run-once run; of a run that started again the last one. `by_hand`:
    a person took it, so that no worker does.
    """

    run_id: str
    worker: str
    claimed_at: datetime
    ended_at: datetime | None = None
    retries: int = 0
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message that reached the broker, as a consumer of its own saw it."""

    run_id: str
    entry: str
    fire_time: datetime
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """A start of a task, from the log that the workers keep for themselves."""

    run_id: str
    entry: str
    fire_time: datetime
    started_at: datetime
    worker: str
    run_once: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything with a fire time in (since, until]. `now` is when it was gathered: what then had not
    happened, may have happened since.

    Runs, records and pauses are complete for the window, runs of any origin. `messages` and `executions`
    None: nobody looked there. `installation` is the UUID that run ids are made with.
    `until` must be settled: what is due then has had the time to be recorded.
    """

    since: datetime
    until: datetime
    now: datetime
    entries: Sequence[Entry]
    runs: Sequence[Run]
    suppressions: Sequence[Suppressed]
    pauses: Sequence[Pause]
    claims: Sequence[Claim] = ()
    messages: Sequence[Message] | None = None
    executions: Sequence[Execution] | None = None
    installation: str = ""
