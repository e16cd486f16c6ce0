"""Plans locked timers in sets: what they need is read once for all of them, and only where it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from beatd.logs import get_logger
from beatd.planning.definition import Definition
from beatd.planning.look import Facts, Pause, Period, Plan, PlannedRun, Suppression
from beatd.planning.plan import PLANNER, plan
from beatd.store import ends, overlaps, pauses, timers
from beatd.store.definitions import Definitions, Key, Version
from beatd.store.engine import Database
from beatd.store.timers import Timer

log = get_logger()


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to record, and the definition that it keeps."""

    entry_id: int
    run: PlannedRun
    definition: Definition


@dataclass(slots=True)
class Planned:
    """What the timers of one pass became; `now` is what they were planned by."""

    now: datetime
    timers: list[Timer] = field(default_factory=list)
    runs: list[NewRun] = field(default_factory=list)
    suppressions: list[tuple[int, Suppression]] = field(default_factory=list)
    #: entries that this pass had no room for
    left: set[int] = field(default_factory=set)
    #: the version that holds now, of those there was room for
    latest: dict[int, Version] = field(default_factory=dict)
    #: timers that other zone data made, and that are not due; those of them that got another next fire
    afresh: int = 0
    moved: int = 0


class Planner:
    """For one thread."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        zone_data: str | None,
        most_runs: int,
        *,
        shadow: bool = False,
    ) -> None:
        """`most_runs`: beyond so many runs the other timers are left for the next pass. `shadow`: runs end as
        they are recorded, so that none is in the way of another.
        """
        self._database = database
        self._definitions = definitions
        self._zone_data = zone_data
        self._most_runs = most_runs
        self._shadow = shadow

    def plan(self, connection: Any, locked: Sequence[Timer], now: datetime) -> Planned:
        if not locked:
            return Planned(now)
        ids = [timer.entry_id for timer in locked]
        current = timers.current_versions(connection, ids)
        moved = [timer for timer in locked if current.get(timer.entry_id) != timer.planned_version]
        since = timers.versions_since(connection, moved)
        wanted: dict[int, list[int]] = {
            timer.entry_id: since.get(timer.entry_id) or [timer.planned_version] for timer in locked
        }
        found = self._definitions.get(connection, {(id_, v) for id_, row in wanted.items() for v in row})
        ends.await_open(connection, _await_from_now(moved, current, found))
        all_paused = pauses.pauses_since(connection, min(timer.planned_from for timer in locked))
        # The time is read after the versions: an edit that is seen must not lie ahead of it, or the old
        # version's fires between the two would be settled by neither.
        planned = Planned(self._database.now(connection))
        facts = self._facts(connection, locked, found, planned.now)
        for timer in locked:
            versions = [
                found[timer.entry_id, v] for v in wanted[timer.entry_id] if (timer.entry_id, v) in found
            ]
            if len(planned.runs) >= self._most_runs:
                planned.left.add(timer.entry_id)
                continue
            if not versions or (timer.entry_id not in current and not versions[-1].deleted):
                planned.timers.append(_ended(timer))  # removed behind the triggers' back
                continue
            self._plan_one(planned, timer, versions, facts[timer.entry_id], all_paused)
        return planned

    def _facts(
        self, connection: Any, locked: Sequence[Timer], found: Mapping[Key, Version], now: datetime
    ) -> dict[int, Facts]:
        overlapping: set[int] = set()
        delayed: set[int] = set()
        for (entry_id, _), version in found.items():
            if version.definition is not None:
                if not self._shadow and version.definition.policies.overlap != "allow":
                    overlapping.add(entry_id)
                if version.definition.timing.fixed_delay:
                    delayed.add(entry_id)
        unfinished = overlaps.with_open_run(connection, list(overlapping), now)
        # beside another's run it may start, but it counts from the end of its own
        awaited = [] if self._shadow else list(delayed)
        own_unfinished = overlaps.with_open_run(connection, awaited, now, "schedule")
        last_ends = ends.last_ends(connection, list(delayed))
        return {
            timer.entry_id: Facts(
                open_run=timer.entry_id in unfinished,
                open_scheduled=timer.entry_id in own_unfinished,
                runs_made=timer.runs_made,
                last_end=last_ends.get(timer.entry_id),
            )
            for timer in locked
        }

    def _plan_one(
        self,
        planned: Planned,
        timer: Timer,
        versions: Sequence[Version],
        facts: Facts,
        all_paused: Sequence[Pause],
    ) -> None:
        latest = versions[-1]
        planned_from = timer.planned_from if timer.planned_version else versions[0].changed_at
        periods = [Period(version.version, version.changed_at, version.definition) for version in versions]
        error = latest.error
        try:
            decided = plan(periods, planned_from, planned.now, facts, all_paused)
        except Exception as exception:  # one bad entry must not stop the others
            error = f"{type(exception).__name__}: {exception}"
            decided = Plan((), (), planned_from, latest.version, None, runs_made=timer.runs_made)
        by_version = {version.version: version for version in versions}
        for run in decided.runs:
            definition = by_version[run.version].definition
            assert definition is not None  # noqa: S101 (only readable versions have fires)
            planned.runs.append(NewRun(timer.entry_id, run, definition))
        planned.suppressions += [(timer.entry_id, suppressed) for suppressed in decided.suppressions]
        planned.latest[timer.entry_id] = latest
        was_due = timer.next_due_at is not None and timer.next_due_at <= planned.now
        same = timer.planned_version == latest.version
        if same and not was_due and timer.zone_data not in (None, self._zone_data):
            planned.afresh += 1
            planned.moved += decided.next_fire != timer.next_fire_at
        state = _state(latest, decided, error)
        if state == "broken" and (timer.state, timer.planned_version) != ("broken", latest.version):
            log.error("entry.broken", entry_id=timer.entry_id, version=latest.version, error=error)
        planned.timers.append(
            replace(
                timer,
                next_fire_at=decided.next_fire,
                next_due_at=decided.next_due,
                last_fire_at=decided.last_fire or timer.last_fire_at,
                planned_from=decided.planned_from,
                planned_version=decided.version,
                planner=PLANNER,
                zone_data=self._zone_data,
                state=state,
                error=error,
                runs_made=decided.runs_made,
            )
        )


def _await_from_now(
    moved: Sequence[Timer], current: Mapping[int, int], found: Mapping[Key, Version]
) -> list[int]:
    """Entries that came to wait for the end of runs by an edit."""
    waiting = []
    for timer in moved:
        version = found.get((timer.entry_id, current.get(timer.entry_id, 0)))
        if version is not None and version.definition is not None and version.definition.awaits_end:
            waiting.append(timer.entry_id)
    return waiting


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
    return "active" if decided.waiting or decided.next_fire is not None else "completed"
