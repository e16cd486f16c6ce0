"""One pass of the dispatcher: changes, ends, due timers, plan, record. What it records the outbox publishes.

1. Changed entries are planned: fires up to the edit under the old version, then the new one.
2. Entries of which a run has ended are looked at: what waited for the end goes on.
3. Due timers are claimed, at most one batch; timers are locked first, everything else is read after that.
4. In the same transaction runs are recorded, leased to this node, and timers advanced.

Cost follows the number of entries that are due or changed, never the number of entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from beatd import clock
from beatd.dispatch import events
from beatd.dispatch.events import Tell
from beatd.dispatch.planner import NewRun, Planned, Planner
from beatd.dispatch.timeguard import TimeGuard
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.planning.plan import PLANNER
from beatd.planning.policies import CANCEL_PATIENCE
from beatd.planning.task import TaskSpec, run_id
from beatd.planning.timing import Surroundings
from beatd.store import ends, failures, overlaps, pauses, runs, timers
from beatd.store.definitions import Definitions
from beatd.store.engine import Database
from beatd.store.failures import Watched
from beatd.store.overlaps import Cancelled
from beatd.store.runs import OutboxRun
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
    """Recorded together, leased until `lease_ends` on this machine's monotonic clock (seconds); and the runs
    `to_end`, which workers are to be asked to end.
    """

    publications: tuple[Publication, ...]
    lease_ends: float
    to_end: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did. `wait` is the time in seconds until there is something to do, None for never.

    `released` counts runs that were held back and are in the outbox now, to be taken over by any node.
    """

    changed: int = 0
    ended: int = 0
    due: int = 0
    recorded: int = 0
    suppressed: int = 0
    released: int = 0
    taken_over: int = 0
    batches: tuple[Batch, ...] = ()
    wait: float | None = None


_ALONE = Surroundings()


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
        surroundings: Surroundings = _ALONE,
        zone_data: str | None = None,
        shadow: bool = False,
        tell: Tell = events.nobody,
    ) -> None:
        """`shadow`: runs are recorded as what would have been, and nothing that is there is touched.
        `tell` is told of fires that were missed.
        """
        self._database = database
        self._node = node
        self._installation = installation
        self._batch = batch
        self._lease = lease
        self._definitions = Definitions(surroundings, arguments.check)
        self._shadow = shadow
        self._tell_of = tell
        self._planner = Planner(
            database, self._definitions, zone_data, _BATCHES_A_PASS * batch, shadow=shadow
        )
        self._guard = TimeGuard()
        #: what a pass was about to commit when it failed: perhaps it is recorded, and leased to this node
        self.unsure: Batch | None = None
        #: since other zone data came: timers planned from it, and those of them that got another next fire
        self._afresh = self._moved = 0

    def run_once(self) -> Pass:
        """One pass, in one transaction.

        Raises DatabaseUnavailable: then nothing has happened, or all of it, where the connection broke off in
        the commit; what is `unsure` since is to be handed to `take_back`.
        """
        started = clock.monotonic()
        self.unsure = None
        with self._database.write() as connection:
            dialect = self._database.dialect
            now = self._database.now(connection)
            if not self._guard.trusts(now):
                return Pass(wait=0.0)
            reach("before-changes")
            changed = timers.take_changes(connection, dialect, self._batch)
            nudges = ends.take_nudges(connection, dialect, self._batch)
            reach("after-changes")
            locked = timers.lock(connection, dialect, changed, now, nudges.ended)
            paused = pauses.open_pause(connection, now)
            due = [] if paused else timers.take_due(connection, dialect, now, self._batch, PLANNER)
            reach("after-timers")
            known = {timer.entry_id for timer in locked}
            both = [*locked, *(timer for timer in due if timer.entry_id not in known)]
            planned = self._planner.plan(connection, both, now)
            reach("after-plan")
            timers.queue_changes(connection, [id_ for id_ in changed if id_ in planned.left])
            ends.nudge_entries(connection, [id_ for id_ in nudges.ended if id_ in planned.left])
            recorded, cancelled, awaited = self._record(connection, planned)
            released = 0 if self._shadow else self._follow(connection, nudges.ended, planned)
            publications = self._publications(connection, recorded)
            next_due = paused.until if paused else timers.next_due(connection, PLANNER)
            reach("before-commit")
            self._about_to_commit(publications, started, cancelled.asked)
        reach("after-commit")
        self.unsure = None
        self._tell(planned, recorded)
        return Pass(
            changed=len(changed),
            ended=len(nudges.ended),
            due=len(due),
            recorded=len(planned.runs),
            suppressed=sum(suppressed.count for _, suppressed in planned.suppressions),
            released=released,
            batches=self._batches(publications, started, cancelled.asked),
            wait=self._wait(next_due, now, full=bool(awaited) or self._batch in (len(changed), nudges.taken)),
        )

    def take_over(self) -> Pass:
        """Takes runs out of the outbox whose lease has lapsed: triggered, released, or a dead node's.

        Raises DatabaseUnavailable as `run_once` does.
        """
        started = clock.monotonic()
        self.unsure = None
        with self._database.write() as connection:
            dialect = self._database.dialect
            now = self._database.now(connection)
            if not self._guard.trusts(now):
                return Pass()
            taken = runs.take_lapsed(connection, dialect, self._node, now, now + self._lease, self._batch)
            publications = self._publications(connection, taken)
            readable = {publication.run.id for publication in publications}
            for run in taken:
                if run.id not in readable:
                    error = "its version of the entry cannot be read"
                    runs.mark_refused(connection, self._node, run, now, error)
            next_lapse = runs.next_lapse(connection)
            reach("before-take-over")
            self._about_to_commit(publications, started)
        reach("after-take-over")
        self.unsure = None
        if taken:
            log.info("outbox.taken_over", count=len(taken))
        return Pass(
            taken_over=len(taken),
            batches=self._batches(publications, started),
            wait=self._wait(next_lapse, now, full=len(taken) == self._batch),
        )

    def take_back(self, unsure: Batch) -> Pass:
        """Finds out what became of a pass that failed. What it recorded or took is leased to this node, which
        has it in hand from now on; what it did not, or another has taken since, is not there to be found.

        Raises DatabaseUnavailable; to be repeated.
        """
        started = clock.monotonic()
        with self._database.write() as connection:
            lease_until = self._database.now(connection) + self._lease
            reach("before-take-back")
            ours = runs.renew(connection, self._node, [p.run for p in unsure.publications], lease_until)
            to_end = tuple(overlaps.asked_to_end(connection, unsure.to_end))
        reach("after-take-back")
        publications = tuple(p for p in unsure.publications if p.run.id in ours)
        if publications:
            log.info("outbox.taken_back", count=len(publications))
        return Pass(batches=self._batches(publications, started, to_end), wait=0.0)

    def _about_to_commit(
        self, publications: tuple[Publication, ...], started: float, to_end: tuple[str, ...] = ()
    ) -> None:
        if publications or to_end:
            self.unsure = Batch(publications, started + self._lease.total_seconds(), to_end)

    def _batches(
        self, publications: tuple[Publication, ...], started: float, to_end: tuple[str, ...] = ()
    ) -> tuple[Batch, ...]:
        """The lease began no earlier than the pass did: counted from there, it ends here first."""
        lease_ends = started + self._lease.total_seconds()
        starts = range(0, len(publications), self._batch)
        batches = tuple(Batch(publications[start : start + self._batch], lease_ends) for start in starts)
        return (*batches, Batch((), lease_ends, to_end)) if to_end else batches

    def _wait(self, until: datetime | None, now: datetime, *, full: bool) -> float | None:
        if full:
            return 0.0
        if until is None:
            return None
        seconds = (until - now).total_seconds()
        return seconds if seconds > 0 else _STILL_DUE

    def _publications(self, connection: Any, recorded: Sequence[OutboxRun]) -> tuple[Publication, ...]:
        found = self._definitions.get(connection, {(run.entry_id, run.version) for run in recorded})
        publications = []
        for run in recorded:
            version = found.get((run.entry_id, run.version))
            if version is not None and version.definition is not None:
                publications.append(Publication(run, version.definition.task))
        return tuple(publications)

    # Recording

    def _record(self, connection: Any, planned: Planned) -> tuple[list[OutboxRun], Cancelled, int]:
        """Returns what this node is to publish, what is to be ended for it, and how many runs have ended
        already that something waits for.
        """
        dialect, now = self._database.dialect, planned.now
        cancelled = Cancelled() if self._shadow else self._make_room(connection, planned)
        rows = [self._row(new, now, cancelled) for new in planned.runs]
        recorded = runs.record(connection, dialect, rows)
        awaited = ends.nudge(connection, [row["id"] for row in rows]) if self._shadow else 0
        timers.record_suppressions(connection, planned.suppressions, now)
        timers.save(connection, dialect, planned.timers)
        return recorded, cancelled, awaited

    def _make_room(self, connection: Any, planned: Planned) -> Cancelled:
        cancelling = [new.entry_id for new in planned.runs if new.run.cancels]
        cancelled = overlaps.cancel(connection, self._database.dialect, cancelling, planned.now)
        held = [new.entry_id for new in planned.runs if new.run.held]
        overlaps.supersede(connection, held, planned.now)
        return cancelled

    def _row(self, new: NewRun, now: datetime, cancelled: Cancelled) -> dict[str, Any]:
        run = new.run
        return {
            "id": run_id(self._installation, new.entry_id, run.fire_time, "schedule"),
            "entry_id": new.entry_id,
            "version": run.version,
            "origin": "schedule",
            "fire_time": run.fire_time,
            "due_time": run.due_time,
            "expires_at": run.expires_at,
            "recorded_at": now,
            **runs.of_definition(new.definition),
            **self._place(new, now, cancelled),
        }

    def _place(self, new: NewRun, now: datetime, cancelled: Cancelled) -> dict[str, Any]:
        """Where a run waits: with this node, which publishes it at once, or with nobody until its time."""
        if self._shadow:
            return runs.shadowed(now)
        if new.run.held:
            return {"state": "held", "owner": None, "lease_until": None, "attempt": 0}
        taken_from = new.run.due_time
        if new.run.cancels and new.entry_id in cancelled.running:
            taken_from = max(taken_from, now + CANCEL_PATIENCE)
        if taken_from > now:
            return {"state": "pending", "owner": None, "lease_until": taken_from, "attempt": 0}
        return {"state": "pending", "owner": self._node, "lease_until": now + self._lease, "attempt": 1}

    # What follows from the end of a run

    def _follow(self, connection: Any, ended: Sequence[int], planned: Planned) -> int:
        """Lets go what waited for it, and pauses what failed too often; returns how many were let go."""
        looked_at = [entry_id for entry_id in ended if entry_id not in planned.left]
        if not looked_at:
            return 0
        watched = []
        for entry_id in looked_at:
            version = planned.latest.get(entry_id)
            definition = version and version.definition
            if version and definition and definition.enabled and definition.policies.on_failure == "pause":
                limit = definition.policies.failure_limit
                watched.append(Watched(entry_id, version.version, version.changed_at, limit))
        failing = failures.in_a_row(connection, watched)
        paused = failures.pause(connection, self._database.dialect, planned.now, failing)
        for name, note in paused.items():
            log.warning("entry.paused", entry=name, reason=note)
        return overlaps.release(connection, looked_at, planned.now)

    def _tell(self, planned: Planned, recorded: Sequence[OutboxRun]) -> None:
        for entry_id, suppressed in planned.suppressions:
            log.info(
                "fires.suppressed",
                entry_id=entry_id,
                reason=suppressed.reason,
                count=suppressed.count,
                first=suppressed.first,
                last=suppressed.last,
            )
        if planned.suppressions and not self._shadow:
            self._tell_of(events.of_suppressions(planned.suppressions))
        if planned.timers:
            log.debug("dispatch.pass", timers=len(planned.timers), recorded=len(recorded))
        self._afresh += planned.afresh
        self._moved += planned.moved
        if self._afresh and not planned.afresh:
            log.info("zones.replanned", entries=self._afresh, moved=self._moved)
            self._afresh = self._moved = 0
