"""What one look at an entry decides: fires to run, fires suppressed and why, the next fire.

Pure: the same rules, cursor and instant give the same plan on every node, for ever.

An entry's history is a row of *periods*, one for each version since the entry was last planned. Fires
are settled under the version that was valid at their instant, even if no daemon ran in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from beatd.planning.definition import Definition
from beatd.planning.policies import LONGEST_EXPIRY, MISFIRE_AFTER, SHORTEST_EXPIRY
from beatd.schedules import Schedule

#: Raised when a change of this module makes other plans from the same input.
PLANNER = 1

#: Most fires of one entry that one look settles singly; the entry stays due and the next look goes on.
FIRES_A_LOOK = 500

#: Counting a long row of fires stops here; the record then says "at least".
COUNT_LIMIT = 1000

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, this version held. `definition` is None where the version could not be read, or
    where the entry was deleted.
    """

    version: int
    since: datetime
    definition: Definition | None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    version: int
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None


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
    `next_fire` is None where no more will come (completed, paused, broken, deleted).
    """

    runs: tuple[PlannedRun, ...]
    suppressions: tuple[Suppression, ...]
    planned_from: datetime
    version: int
    next_fire: datetime | None

    @property
    def last_fire(self) -> datetime | None:
        return self.runs[-1].fire_time if self.runs else None


def plan(periods: Sequence[Period], planned_from: datetime, now: datetime, *, open_run: bool = False) -> Plan:
    """Settles every fire in (planned_from, now] and finds the next.

    `periods` are in order, the last one is valid now. `open_run` tells whether an earlier run of the
    entry is unfinished. A clock behind `planned_from` settles nothing, so no fire comes twice. Where
    more than `FIRES_A_LOOK` fires are to be settled the plan ends early, and its next fire is due.
    """
    runs: list[PlannedRun] = []
    suppressions: list[Suppression] = []
    cursor = planned_from
    for period, following in zip(periods, [*periods[1:], None], strict=True):
        after = max(cursor, period.since)
        until = now if following is None else min(now, following.since)
        if period.definition is None or until <= after:
            continue
        settled = _settle(
            period, after, until, now, open_run=open_run or bool(runs), most=FIRES_A_LOOK - len(runs)
        )
        runs += settled.runs
        suppressions += settled.suppressions
        cursor = settled.until
        if cursor < until:
            return _plan(periods, runs, suppressions, cursor, now, period)
    latest = periods[-1]
    return _plan(periods, runs, suppressions, max(cursor, min(now, latest.since)), now, latest)


def _plan(
    periods: Sequence[Period],
    runs: list[PlannedRun],
    suppressions: list[Suppression],
    cursor: datetime,
    now: datetime,
    period: Period,
) -> Plan:
    runs, superseded = _one_latest(periods, runs, now)
    next_fire = _next_of(period, max(cursor, period.since))
    return Plan(tuple(runs), (*suppressions, *superseded), cursor, period.version, next_fire)


def _one_latest(
    periods: Sequence[Period], runs: list[PlannedRun], now: datetime
) -> tuple[list[PlannedRun], list[Suppression]]:
    """Under `latest` all missed fires become one run, also where an edit lies between them."""
    if len(periods) == 1:
        return runs, []
    latest = {
        period.version
        for period in periods
        if period.definition is not None and period.definition.policies.misfire == "latest"
    }
    missed = [run for run in runs if run.version in latest and now - run.fire_time > MISFIRE_AFTER]
    dropped = missed[:-1]
    records = [Suppression(run.version, "misfire", 1, True, run.fire_time, run.fire_time) for run in dropped]
    return [run for run in runs if run not in dropped], records


def expires_at(definition: Definition, fire_time: datetime) -> datetime | None:
    """The instant after which a run of this fire must not start; None means never."""
    expires = definition.policies.expires
    if expires == "never":
        return None
    if isinstance(expires, timedelta):
        return fire_time + expires
    following = next_fire_time(definition.schedule, fire_time)
    if following is None:
        return fire_time + LONGEST_EXPIRY
    return fire_time + min(max(following - fire_time, SHORTEST_EXPIRY), LONGEST_EXPIRY)


@lru_cache(maxsize=50_000)
def next_fire_time(schedule: Schedule, after: datetime) -> datetime | None:
    """Equal rules share one computation: many entries have few distinct rules, due at the same instants."""
    return schedule.next_fire_time(after)


def forget() -> None:
    """Forgets computed fire times: the zone data that they came from is another now."""
    next_fire_time.cache_clear()


def _fire_times(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """As the schedule's own, but shared by equal rules: entries due together have few distinct ones."""
    fire_time = next_fire_time(schedule, after)
    while fire_time is not None and fire_time <= until:
        yield fire_time
        fire_time = next_fire_time(schedule, fire_time)


def _next_of(period: Period, after: datetime) -> datetime | None:
    if period.definition is None or not period.definition.enabled:
        return None
    return next_fire_time(period.definition.schedule, after)


@dataclass(frozen=True, slots=True)
class _Settled:
    runs: list[PlannedRun]
    suppressions: list[Suppression]
    until: datetime


def _settle(
    period: Period, after: datetime, until: datetime, now: datetime, *, open_run: bool, most: int
) -> _Settled:
    """The fires of one period, in (after, until]; those up to the plan's `until` if they are too many."""
    definition = period.definition
    first = next_fire_time(definition.schedule, after) if definition else None
    if definition is None or first is None or first > until:
        return _Settled([], [], until)
    if not definition.enabled:
        return _Settled([], _counted(period, "paused", definition.schedule, after, until), until)
    if most <= 0:
        return _Settled([], [], after)

    missed_until = min(until, now - MISFIRE_AFTER - _JUST_BEFORE)
    suppressions: list[Suppression] = []
    chosen: list[datetime] = []
    if first <= missed_until:
        chosen = _chosen_misfires(definition, after, missed_until)
        passed_over = chosen[0] - _JUST_BEFORE if chosen else missed_until
        suppressions += _counted(period, "misfire", definition.schedule, after, passed_over)
        after = missed_until
    fires = [*chosen, *_fire_times(definition.schedule, after, until)]
    if len(fires) > most:
        fires = fires[:most]
        until = fires[-1]

    usable: list[PlannedRun] = []
    reasons: list[tuple[str, datetime]] = []
    for fire_time in fires:
        reason = _unusable(definition, fire_time, now)
        if reason is None and definition.policies.overlap == "skip" and (open_run or usable):
            reason = "overlap"
        if reason is None:
            usable.append(PlannedRun(period.version, fire_time, fire_time, expires_at(definition, fire_time)))
        else:
            reasons.append((reason, fire_time))
    return _Settled(usable, suppressions + _grouped(period, reasons), until)


def _chosen_misfires(definition: Definition, after: datetime, until: datetime) -> list[datetime]:
    """The missed fires that the misfire policy would still run, oldest first."""
    policies = definition.policies
    wanted = {"skip": 0, "latest": 1, "all": policies.misfire_limit}[policies.misfire]
    return _newest(definition.schedule, after, until, wanted)


def _unusable(definition: Definition, fire_time: datetime, now: datetime) -> str | None:
    expiry = expires_at(definition, fire_time)
    if expiry is not None and expiry <= now:
        return "expired"
    grace = definition.policies.misfire_grace
    late = now - fire_time
    return "misfire" if grace is not None and late > max(grace, MISFIRE_AFTER) else None


def _newest(schedule: Schedule, after: datetime, until: datetime, wanted: int) -> list[datetime]:
    """The newest `wanted` fires in (after, until], oldest first.

    Rules only look forward, so windows that double in length are searched until one holds enough:
    the cost follows `wanted`, not the length of the past.
    """
    if wanted == 0:
        return []
    window = MISFIRE_AFTER
    while True:
        start = max(after, until - window)
        found = list(schedule.fire_times(start, until))
        if len(found) >= wanted or start == after:
            return found[-wanted:]
        window *= 2


def _counted(
    period: Period, reason: str, schedule: Schedule, after: datetime, until: datetime
) -> list[Suppression]:
    first = next_fire_time(schedule, after)
    if first is None or first > until:
        return []
    count = schedule.count(after, until, COUNT_LIMIT)
    last = _newest(schedule, after, until, 1)[0]
    return [Suppression(period.version, reason, count, count < COUNT_LIMIT, first, last)]


def _grouped(period: Period, reasons: Iterable[tuple[str, datetime]]) -> list[Suppression]:
    by_reason: dict[str, list[datetime]] = {}
    for reason, fire_time in reasons:
        by_reason.setdefault(reason, []).append(fire_time)
    return [
        Suppression(period.version, reason, len(fires), True, fires[0], fires[-1])
        for reason, fires in by_reason.items()
    ]
