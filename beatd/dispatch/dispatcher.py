"""One pass of the dispatcher: changes, due timers, plan, record. What it records, the outbox publishes.

1. Changed entries are planned: fires up to the edit under the old version, then the new one.
2. Due timers are claimed, at most one batch; timers are locked first, entries read after that.
3. In the same transaction runs are recorded, leased to this node, and timers advanced.

Cost follows the number of entries that are due or changed, never the number of entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from beatd import clock
from beatd.dispatch.faultpoints import reach
from beatd.dispatch.timeguard import TimeGuard
from beatd.logs import get_logger
from beatd.planning.plan import PLANNER, Period, Plan, plan
from beatd.planning.task import TaskSpec, run_id
from beatd.store import runs, timers
from beatd.store.definitions import Definitions, Key, Version
from beatd.store.engine import Database
from beatd.store.runs import OutboxRun
from beatd.store.timers import Timer

log = get_logger()

#: Seconds to wait when the timer that is due next is held by another node.
_HELD_ELSEWHERE = 0.05


@dataclass(frozen=True, slots=True)
class Publication:
    """A run that this node is to publish, and what to publish."""

    run: OutboxRun
    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class Batch:
    """Recorded together, leased until `lease_ends` on this machine's monotonic clock (seconds)."""

    publications: tuple[Publication, ...]
    lease_ends: float


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did. `wait` is the time in seconds until the next timer is due, None for never."""

    changed: int = 0
    due: int = 0
    recorded: int = 0
    suppressed: int = 0
    taken_over: int = 0
    batch: Batch | None = None
    wait: float | None = None


@dataclass(slots=True)
class _Planned:
    """What the timers of one pass became; written in sets."""

    timers: list[Timer]
    gone: list[int]
    runs: list[dict[str, Any]]
    suppressions: list[dict[str, object]]


class Dispatcher:
    """Plans and records for one node. Used by one thread; other nodes do the same on the same tables."""

    def __init__(
        self,
        database: Database,
        node: str,
        installation: str,
        *,
        batch: int = 500,
        lease: timedelta = timedelta(seconds=30),
        default_timezone: str = "UTC",
        zone_data: str | None = None,
    ) -> None:
        self._database = database
        self._node = node
        self._installation = installation
        self._batch = batch
        self._lease = lease
        self._zone_data = zone_data
        self._definitions = Definitions(default_timezone)
        self._guard = TimeGuard()

    def run_once(self) -> Pass:
        """One pass, in one transaction. Raises DatabaseUnavailable, and then nothing has happened."""
        started = clock.monotonic()
        with self._database.write() as connection:
            dialect = self._database.dialect
            now = self._database.now(connection)
            if not self._guard.trusts(now):
                return Pass(wait=0.0)
            changed = timers.take_changes(connection, dialect, self._batch)
            locked = timers.lock(connection, dialect, changed, now)
            due = timers.take_due(connection, dialect, now, self._batch, PLANNER)
            known = {timer.entry_id for timer in locked}
            planned = self._plan(connection, [*locked, *(t for t in due if t.entry_id not in known)])
            recorded = self._record(connection, planned)
            publications = self._publications(connection, recorded)
            next_due = timers.next_due(connection)
            reach("before-record")
        reach("after-record")
        batch = Batch(publications, started + self._lease.total_seconds()) if publications else None
        return Pass(
            changed=len(changed),
            due=len(due),
            recorded=len(recorded),
            suppressed=sum(int(str(row["count"])) for row in planned.suppressions),
            batch=batch,
            wait=self._wait(next_due, now, full=len(due) == self._batch or len(changed) == self._batch),
        )

    def take_over(self) -> Pass:
        """Takes runs out of the outbox whose lease has lapsed: triggered, released, or a dead node's."""
        started = clock.monotonic()
        with self._database.write() as connection:
            dialect = self._database.dialect
            runs.take_nudges(connection, dialect, self._batch)
            now = self._database.now(connection)
            taken = runs.take_lapsed(connection, dialect, self._node, now, now + self._lease, self._batch)
            publications = self._publications(connection, taken)
            readable = {publication.run.id for publication in publications}
            for run in taken:
                if run.id not in readable:
                    error = "its version of the entry cannot be read"
                    runs.mark_refused(connection, self._node, run, now, error)
        batch = Batch(publications, started + self._lease.total_seconds()) if publications else None
        return Pass(taken_over=len(taken), batch=batch)

    def _wait(self, next_due: datetime | None, now: datetime, *, full: bool) -> float | None:
        if full:
            return 0.0
        if next_due is None:
            return None
        seconds = (next_due - now).total_seconds()
        return seconds if seconds > 0 else _HELD_ELSEWHERE

    def _publications(self, connection: Any, recorded: Sequence[OutboxRun]) -> tuple[Publication, ...]:
        found = self._definitions.get(connection, {(run.entry_id, run.version) for run in recorded})
        publications = []
        for run in recorded:
            version = found.get((run.entry_id, run.version))
            if version is not None and version.definition is not None:
                publications.append(Publication(run, version.definition.task))
        return tuple(publications)

    def _plan(self, connection: Any, locked: Sequence[Timer]) -> _Planned:
        planned = _Planned([], [], [], [])
        if not locked:
            return planned
        ids = [timer.entry_id for timer in locked]
        current = timers.current_versions(connection, ids)
        moved = [timer for timer in locked if current.get(timer.entry_id) != timer.planned_version]
        since = timers.versions_since(connection, moved)
        wanted: dict[int, list[int]] = {
            timer.entry_id: since.get(timer.entry_id) or [timer.planned_version] for timer in locked
        }
        found = self._definitions.get(connection, {(id_, v) for id_, row in wanted.items() for v in row})
        # The time is read after the versions: an edit that is seen must not lie ahead of it, or the old
        # version's fires between the two would be settled by neither.
        now = self._database.now(connection)
        unfinished = timers.with_open_run(connection, _that_skip(found), now)
        for timer in locked:
            versions = [
                found[timer.entry_id, v] for v in wanted[timer.entry_id] if (timer.entry_id, v) in found
            ]
            if not versions or (timer.entry_id not in current and not versions[-1].deleted):
                planned.gone.append(timer.entry_id)  # removed behind the triggers' back
                continue
            self._plan_one(planned, timer, versions, now, open_run=timer.entry_id in unfinished)
        return planned

    def _plan_one(
        self, planned: _Planned, timer: Timer, versions: Sequence[Version], now: datetime, *, open_run: bool
    ) -> None:
        latest = versions[-1]
        planned_from = timer.planned_from if timer.planned_version else versions[0].changed_at
        periods = [Period(version.version, version.changed_at, version.definition) for version in versions]
        error = latest.error
        try:
            decided = plan(periods, planned_from, now, open_run=open_run)
        except Exception as exception:  # one bad entry must not stop the others
            error = f"{type(exception).__name__}: {exception}"
            decided = Plan((), (), planned_from, None)
        by_version = {version.version: version for version in versions}
        planned.runs += [self._run_row(timer.entry_id, run, by_version, now) for run in decided.runs]
        planned.suppressions += [
            {
                "entry_id": timer.entry_id,
                "version": suppressed.version,
                "reason": suppressed.reason,
                "count": suppressed.count,
                "exact": suppressed.exact,
                "first_fire_at": suppressed.first,
                "last_fire_at": suppressed.last,
                "recorded_at": now,
            }
            for suppressed in decided.suppressions
        ]
        if latest.deleted:
            planned.gone.append(timer.entry_id)
            return
        state = _state(latest, decided, error)
        if state == "broken" and (timer.state, timer.planned_version) != ("broken", latest.version):
            log.error("entry.broken", entry_id=timer.entry_id, version=latest.version, error=error)
        planned.timers.append(
            replace(
                timer,
                next_fire_at=decided.next_fire,
                next_due_at=decided.next_fire,
                last_fire_at=decided.last_fire or timer.last_fire_at,
                planned_from=decided.planned_from,
                planned_version=latest.version,
                planner=PLANNER,
                zone_data=self._zone_data,
                state=state,
                error=error,
            )
        )

    def _run_row(
        self, entry_id: int, run: Any, versions: Mapping[int, Version], now: datetime
    ) -> dict[str, Any]:
        definition = versions[run.version].definition
        assert definition is not None  # noqa: S101 (only readable versions have fires)
        return {
            "id": run_id(self._installation, entry_id, run.fire_time, "schedule"),
            "entry_id": entry_id,
            "version": run.version,
            "origin": "schedule",
            "fire_time": run.fire_time,
            "due_time": run.due_time,
            "expires_at": run.expires_at,
            "state": "pending",
            "recorded_at": now,
            "owner": self._node,
            "lease_until": now + self._lease,
            "attempt": 1,
            "run_once": definition.run_once,
            "lost_after": int(definition.policies.lost_after.total_seconds()),
        }

    def _record(self, connection: Any, planned: _Planned) -> list[OutboxRun]:
        dialect = self._database.dialect
        recorded = runs.record(connection, dialect, planned.runs)
        timers.record_suppressions(connection, planned.suppressions)
        timers.save(connection, dialect, planned.timers)
        timers.remove(connection, planned.gone)
        return recorded


def _that_skip(found: Mapping[Key, Version]) -> list[int]:
    """Entries that do not start a run beside an unfinished one."""
    return [
        entry_id
        for (entry_id, _), version in found.items()
        if version.definition is not None and version.definition.policies.overlap == "skip"
    ]


def _state(latest: Version, decided: Plan, error: str | None) -> str:
    if error is not None:
        return "broken"
    if latest.definition is not None and not latest.definition.enabled:
        return "paused"
    return "active" if decided.next_fire is not None else "completed"
