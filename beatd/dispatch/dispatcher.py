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
from beatd.planning.plan import PLANNER, Period, Plan, Suppression, plan
from beatd.planning.task import TaskSpec, run_id
from beatd.store import runs, timers
from beatd.store.definitions import Definitions, Key, Version
from beatd.store.engine import Database
from beatd.store.runs import OutboxRun
from beatd.store.timers import Timer
from beatd.worker import arguments

log = get_logger()

#: Seconds to wait where something is due still: there was more than a pass takes, or another node has it.
_STILL_DUE = 0.01

#: A pass records no more runs than so many batches: one transaction, and what a node has in hand, stay small
#: even after a long outage under `misfire = all`.
_BATCHES_A_PASS = 10


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
    batches: tuple[Batch, ...] = ()
    wait: float | None = None


@dataclass(slots=True)
class _Planned:
    """What the timers of one pass became; written in sets."""

    timers: list[Timer]
    #: entries that this pass had no room for
    left: list[int]
    runs: list[dict[str, Any]]
    suppressions: list[tuple[int, Suppression]]


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
        self._definitions = Definitions(default_timezone, arguments.check)
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
            timers.queue_changes(connection, [id_ for id_ in planned.left if id_ in known])
            recorded = self._record(connection, planned, now)
            publications = self._publications(connection, recorded)
            next_due = timers.next_due(connection, PLANNER)
            reach("before-record")
        reach("after-record")
        self._tell(planned, recorded)
        return Pass(
            changed=len(changed),
            due=len(due),
            recorded=len(recorded),
            suppressed=sum(suppressed.count for _, suppressed in planned.suppressions),
            batches=self._batches(publications, started),
            wait=self._wait(next_due, now, full=len(changed) == self._batch),
        )

    def take_over(self) -> Pass:
        """Takes runs out of the outbox whose lease has lapsed: triggered, released, or a dead node's."""
        started = clock.monotonic()
        with self._database.write() as connection:
            dialect = self._database.dialect
            now = self._database.now(connection)
            if not self._guard.trusts(now):
                return Pass()
            runs.take_nudges(connection, dialect, self._batch)
            taken = runs.take_lapsed(connection, dialect, self._node, now, now + self._lease, self._batch)
            publications = self._publications(connection, taken)
            readable = {publication.run.id for publication in publications}
            for run in taken:
                if run.id not in readable:
                    error = "its version of the entry cannot be read"
                    runs.mark_refused(connection, self._node, run, now, error)
        if taken:
            log.info("outbox.taken_over", count=len(taken))
        return Pass(taken_over=len(taken), batches=self._batches(publications, started))

    def _batches(self, publications: tuple[Publication, ...], started: float) -> tuple[Batch, ...]:
        """The lease began no earlier than the pass did: counted from there, it ends here first."""
        lease_ends = started + self._lease.total_seconds()
        starts = range(0, len(publications), self._batch)
        return tuple(Batch(publications[start : start + self._batch], lease_ends) for start in starts)

    def _wait(self, next_due: datetime | None, now: datetime, *, full: bool) -> float | None:
        if full:
            return 0.0
        if next_due is None:
            return None
        seconds = (next_due - now).total_seconds()
        return seconds if seconds > 0 else _STILL_DUE

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
            if len(planned.runs) >= _BATCHES_A_PASS * self._batch:
                planned.left.append(timer.entry_id)
                continue
            if not versions or (timer.entry_id not in current and not versions[-1].deleted):
                planned.timers.append(_ended(timer))  # removed behind the triggers' back
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
            decided = Plan((), (), planned_from, latest.version, None)
        by_version = {version.version: version for version in versions}
        planned.runs += [self._run_row(timer.entry_id, run, by_version, now) for run in decided.runs]
        planned.suppressions += [(timer.entry_id, suppressed) for suppressed in decided.suppressions]
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
                planned_version=decided.version,
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

    def _record(self, connection: Any, planned: _Planned, now: datetime) -> list[OutboxRun]:
        dialect = self._database.dialect
        recorded = runs.record(connection, dialect, planned.runs)
        timers.record_suppressions(connection, planned.suppressions, now)
        timers.save(connection, dialect, planned.timers)
        return recorded

    def _tell(self, planned: _Planned, recorded: Sequence[OutboxRun]) -> None:
        for entry_id, suppressed in planned.suppressions:
            log.info(
                "fires.suppressed",
                entry_id=entry_id,
                reason=suppressed.reason,
                count=suppressed.count,
                first=suppressed.first,
                last=suppressed.last,
            )
        if planned.timers:
            log.debug("dispatch.pass", timers=len(planned.timers), recorded=len(recorded))


def _that_skip(found: Mapping[Key, Version]) -> list[int]:
    """Entries that do not start a run beside an unfinished one."""
    return [
        entry_id
        for (entry_id, _), version in found.items()
        if version.definition is not None and version.definition.policies.overlap == "skip"
    ]


def _ended(timer: Timer) -> Timer:
    """Of an entry that is gone. It is kept for a while: without it, a change of the entry that is still
    queued would plan it again from its creation.
    """
    return replace(timer, state="completed", next_due_at=None, next_fire_at=None, error=None)


def _state(latest: Version, decided: Plan, error: str | None) -> str:
    if error is not None:
        return "broken"
    if latest.definition is not None and not latest.definition.enabled and decided.next_fire is None:
        return "paused"
    return "active" if decided.next_fire is not None else "completed"
