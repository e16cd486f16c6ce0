"""What a world remembers: entries with their versions and timers, runs, and fires that became none."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from beatd.planning.definition import Definition
from beatd.planning.look import Period

FINAL_STATES = frozenset({"succeeded", "failed", "revoked", "expired", "lost"})


@dataclass(frozen=True, slots=True)
class Task:
    """What becomes of a run that a worker starts: it ends after `duration` as `outcome` says (succeeded,
    failed, lost), or `stops_in` after it was told to end.
    """

    duration: timedelta
    outcome: str
    stops_in: timedelta


@dataclass(slots=True, eq=False)
class Run:
    """A run as the history has it, its instants being the database's time.

    The `real` ones are on the line of time that no setting of the database's clock touches. `starts` counts
    how often a worker has begun it.
    """

    id: str
    entry: str
    entry_id: int
    version: int
    origin: str
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None
    state: str
    recorded_at: datetime
    recorded_real: datetime
    definition: Definition = field(repr=False)
    published_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    started_real: datetime | None = None
    finished_real: datetime | None = None
    reason: str | None = None
    #: when it counted as lost because no worker had begun it
    given_up_real: datetime | None = None
    starts: int = 0
    reruns_left: int = 0
    #: of a pending run that nobody publishes yet: when it is taken
    lease_until: datetime | None = None
    #: whether a worker is at it
    working: bool = False

    @property
    def scheduled(self) -> bool:
        return self.origin == "schedule"

    @property
    def ended(self) -> bool:
        return self.state in FINAL_STATES

    def may_run(self, now: datetime) -> bool:
        """Whether it runs, or can still start."""
        if self.state in ("started", "retrying"):
            return True
        return not self.ended and (self.expires_at is None or self.expires_at > now)

    def waits(self, now: datetime) -> bool:
        """Whether it is kept back until others have ended."""
        if self.state == "held":
            return True
        return (
            self.state == "pending"
            and self.lease_until is not None
            and self.lease_until > max(now, self.due_time)
        )


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A counted record of fires that became no runs. `exact` is False where `count` is a lower bound."""

    entry: str
    version: int
    reason: str
    count: int
    exact: bool
    first: datetime
    last: datetime
    recorded_at: datetime
    recorded_real: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """What an entry was from `since` on; `definition` None: it was removed.

    `real` is when that was on the line of real time, `latest` the latest that the database's clock had shown.
    """

    version: int
    since: datetime
    real: datetime
    latest: datetime
    definition: Definition | None
    columns: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Entry:
    """An entry with its timer and its history."""

    id: int
    name: str
    created_at: datetime
    planned_from: datetime
    versions: list[Version] = field(default_factory=list)
    planned_version: int = 0
    next_fire: datetime | None = None
    next_due: datetime | None = None
    state: str = "active"
    error: str | None = None
    runs_made: int = 0
    runs: list[Run] = field(default_factory=list)
    unfinished: list[Run] = field(default_factory=list)
    #: those that succeeded, failed or were lost, by fire time
    told: list[Run] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)

    @property
    def current(self) -> Version:
        return self.versions[-1]

    @property
    def definition(self) -> Definition | None:
        return self.versions[-1].definition

    def periods(self) -> list[Period]:
        """The versions that are not settled yet."""
        unsettled = [version for version in self.versions if version.version >= self.planned_version]
        return [Period(version.version, version.since, version.definition) for version in unsettled]

    def last_end(self) -> datetime | None:
        """When the newest ended run of the schedule ended."""
        ends = (run.finished_at for run in reversed(self.runs) if run.scheduled and run.ended)
        return next(ends, None)

    def fails(self) -> bool:
        """Whether the newest runs of this version all failed or were lost, as many as its limit says."""
        assert self.definition is not None  # noqa: S101 (asked of those that are there)
        of_version = (run for run in reversed(self.told) if run.version == self.current.version)
        newest = list(islice(of_version, self.definition.policies.failure_limit))
        failed = [run for run in newest if run.state != "succeeded"]
        return len(failed) == self.definition.policies.failure_limit

    def reopen(self, run: Run) -> None:
        """A worker has begun a run that was given up."""
        self.told.remove(run)
        self.unfinished.append(run)

    def close(self, run: Run) -> None:
        """Keeps the books of a run that has ended, or whose inferred end was overruled."""
        if run in self.unfinished:
            self.unfinished.remove(run)
        elif run in self.told:
            return
        if run.state in _TOLD:
            insort(self.told, run, key=lambda told: told.fire_time)


_TOLD = frozenset({"succeeded", "failed", "lost"})
