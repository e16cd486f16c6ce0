"""What one look at an entry decides: fires to run, fires suppressed and why, the next fire.

Pure: the same rules, cursor, facts and instant give the same plan on every node, for ever.

An entry's history is a row of *periods*, one for each version since the entry was last planned. Fires
are settled under the version that was valid at their instant, even if no daemon ran in between. A period
is cut into *spans* where pausing begins or ends. A fire is settled once it is due, that is, with its
jitter; one that an edit overtakes in between becomes a run all the same, to be published when it is due.

In each span misfire, expiry and calendar decide, fire by fire; overlap and `max_runs` decide at the end,
over the whole row of runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, pairwise

from beatd.planning.definition import Definition
from beatd.planning.look import Facts, Pause, Period, Plan, PlannedRun, Suppression
from beatd.planning.policies import LONGEST_EXPIRY, MISFIRE_AFTER, SHORTEST_EXPIRY
from beatd.planning.timing import Timing, next_fire_time
from beatd.schedules import Schedule

#: Raised when a change of this module makes other plans from the same input.
PLANNER = 3

#: Most fires of one entry that one look settles singly; the entry stays due and the next look goes on.
FIRES_A_LOOK = 500

#: Fires that a calendar drops are counted up to here; the record then says "at least".
DROPPED_COUNTED = 10_000

_TICK = timedelta(microseconds=1)
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


_NO_FACTS = Facts()


def plan(
    periods: Sequence[Period],
    planned_from: datetime,
    now: datetime,
    facts: Facts = _NO_FACTS,
    pauses: Sequence[Pause] = (),
) -> Plan:
    """Settles every fire in (planned_from, now] that is due and finds the next.

    `periods` are in order, the last one is valid now; `pauses` are those of everything. A clock behind
    `planned_from` settles nothing, so no fire comes twice. Where more than `FIRES_A_LOOK` fires are to be
    settled the plan ends early, and its next fire is due.
    """
    settling = _Settling(now, facts, pauses)
    cursor = planned_from
    for period, following in zip(periods, [*periods[1:], None], strict=True):
        after = max(cursor, period.since)
        until = now if following is None else min(now, following.since)
        if period.definition is None or until <= after:
            continue
        cursor = settling.settle(period, period.definition, after, until, overtaken=following is not None)
        if cursor < until:
            return settling.conclude(period, cursor)
    latest = periods[-1]
    return settling.conclude(latest, max(cursor, min(now, latest.since)))


def expires_at(
    definition: Definition, fire_time: datetime, due_time: datetime | None = None
) -> datetime | None:
    """The instant after which a run of this fire must not start; None means never.

    `due_time` is its fire time if not given. Where the next fire sets the expiry it is never so close to the
    due time that jitter leaves the run no time to start.
    """
    expires = definition.policies.expires
    if expires == "never":
        return None
    if isinstance(expires, timedelta):
        return fire_time + expires
    latest = fire_time + LONGEST_EXPIRY
    following = definition.timing.following(fire_time) or latest
    return max(min(following, latest), (due_time or fire_time) + SHORTEST_EXPIRY)


@dataclass(slots=True)
class _Fire:
    """A fire that may become a run; `reason` says why it does not."""

    run: PlannedRun
    definition: Definition
    reason: str | None

    def late(self, now: datetime) -> timedelta:
        return now - self.run.due_time


class _Settling:
    """One plan in the making."""

    def __init__(self, now: datetime, facts: Facts, pauses: Sequence[Pause]) -> None:
        self._now = now
        self._facts = facts
        self._pauses = pauses
        #: the fires that are looked at one by one, in order
        self._fires: list[_Fire] = []
        self._suppressions: list[Suppression] = []
        #: where a calendar may have dropped fires: version, schedule, after and until
        self._under_calendar: list[tuple[int, Schedule, datetime, datetime]] = []
        self._definitions: dict[int, Definition] = {}

    def settle(
        self, period: Period, definition: Definition, after: datetime, until: datetime, *, overtaken: bool
    ) -> datetime:
        """The fires of one period in (after, until]; returns the instant up to which they are settled."""
        if _is_complete(definition, self._facts.runs_made):
            return until
        if definition.timing.fixed_delay and self._facts.open_scheduled:
            return until  # there is no next fire before the run that is under way has ended
        self._definitions[period.version] = definition
        schedule = self._schedule(definition)
        cursor = after
        for start, end, reason in self._spans(definition, after, until):
            if reason is None:
                limit = end
                if not overtaken and end == until:
                    limit = max(start, _due_until(definition.timing, schedule, start, end, self._now))
                cursor = self._settle_span(period, definition, schedule, start, limit)
                if cursor < end:
                    break
            else:
                self._suppress(period, reason, schedule, start, end)
                cursor = end
        self._under_calendar.append((period.version, schedule, after, cursor))
        return cursor

    def conclude(self, period: Period, cursor: datetime) -> Plan:
        self._supersede_missed()
        runs = self._start()
        made = self._facts.runs_made + len(runs)
        waiting = self._is_waiting(period.definition, runs)
        next_fire = next_due = None
        if not waiting and period.definition is not None:
            after = max(cursor, period.since)
            next_fire, next_due = self._next(period.definition, after, made)
        return Plan(
            tuple(runs),
            (*self._unlooked(runs), *self._records()),
            cursor,
            period.version,
            next_fire,
            next_due,
            made,
            waiting,
        )

    # Spans

    def _spans(
        self, definition: Definition, after: datetime, until: datetime
    ) -> Iterator[tuple[datetime, datetime, str | None]]:
        """(after, until] cut where pausing begins or ends; with the reason why nothing fires in each."""
        cuts = {until}
        if definition.paused_until is not None:
            cuts.add(definition.paused_until - _TICK)
        for pause in self._pauses:
            cuts.add(pause.since - _TICK)
            if pause.until is not None:
                cuts.add(pause.until - _TICK)
        ends = sorted(cut for cut in cuts if after < cut <= until)
        start, reason = after, self._paused(definition, ends[0])
        for end, following in pairwise(ends):
            next_reason = self._paused(definition, following)
            if next_reason != reason:
                yield start, end, reason
                start, reason = end, next_reason
        yield start, until, reason

    def _paused(self, definition: Definition, instant: datetime) -> str | None:
        """Why nothing fires at this instant."""
        if not definition.enabled:
            return "paused"
        if definition.paused_until is not None and instant < definition.paused_until:
            return "paused"
        return next((pause.reason for pause in self._pauses if pause.covers(instant)), None)

    def _settle_span(
        self, period: Period, definition: Definition, schedule: Schedule, after: datetime, until: datetime
    ) -> datetime:
        first = next_fire_time(schedule, after)
        if first is None or first > until:
            return until
        room = FIRES_A_LOOK - len(self._fires)
        if room <= 0:
            return after
        fires: list[datetime] = []
        late_from = self._now - MISFIRE_AFTER - _TICK
        missed_until = min(until, late_from)
        if first <= missed_until:
            missed_until = _due_until(definition.timing, schedule, after, missed_until, late_from)
        if first <= missed_until:
            fires = _chosen_misfires(definition, schedule, after, missed_until)
            self._suppress(period, "misfire", schedule, after, fires[0] - _TICK if fires else missed_until)
            after = missed_until
        fires += _fire_times(schedule, after, until)
        if len(fires) > room:
            fires = fires[:room]
            until = fires[-1]
        self._fires += [self._judged(period, definition, fire_time) for fire_time in fires]
        return until

    def _judged(self, period: Period, definition: Definition, fire_time: datetime) -> _Fire:
        due_time = definition.timing.due_time(fire_time)
        expiry = expires_at(definition, fire_time, due_time)
        run = PlannedRun(period.version, fire_time, due_time, expiry)
        return _Fire(run, definition, _unusable(definition, run, self._now))

    # The row of fires as a whole

    def _supersede_missed(self) -> None:
        """Under `latest` all missed fires become one run, also where an edit or a pause lies between them."""
        missed = [
            fire
            for fire in self._fires
            if fire.definition.policies.misfire == "latest" and fire.late(self._now) > MISFIRE_AFTER
        ]
        for fire in missed[:-1]:
            fire.reason = "misfire"

    def _start(self) -> list[PlannedRun]:
        """The runs that start, beside an unfinished one and beside each other; the others get their reason.

        After the last run that `max_runs` allows, and after a run from whose end the next fire is counted,
        there are no more fires.
        """
        started: list[_Fire] = []
        fires: list[_Fire] = []
        for fire in self._fires:
            made = self._facts.runs_made + len(started)
            if _is_complete(fire.definition, made) or (fire.definition.timing.fixed_delay and started):
                continue
            fires.append(fire)
            if fire.reason is None:
                self._overlap(started, fire)
        self._fires = fires
        return [fire.run for fire in started]

    def _last_fire(self, version: int, runs: Sequence[PlannedRun]) -> datetime:
        """The last fire that a version has beside these runs, for now or for ever."""
        timing = self._definitions[version].timing
        left = len(runs) if timing.max_runs is None else timing.max_runs - self._facts.runs_made - 1
        if timing.fixed_delay:
            left = 0
        return runs[left].fire_time if left < len(runs) else _END_OF_TIME

    def _overlap(self, started: list[_Fire], fire: _Fire) -> None:
        overlap = fire.definition.policies.overlap
        unfinished = self._facts.open_run or bool(started)
        if overlap == "skip" and unfinished:
            fire.reason = "overlap"
            return
        if overlap == "queue" and unfinished:
            if started and started[-1].run.held:
                started.pop().reason = "overlap"  # of those held back the newest wins
            fire.run = replace(fire.run, held=True)
        elif overlap == "cancel":
            for earlier in started:
                earlier.reason = "overlap"  # it would be started only to be ended
            started.clear()
            fire.run = replace(fire.run, cancels=self._facts.open_run)
        started.append(fire)

    # What comes

    def _is_waiting(self, definition: Definition | None, runs: Sequence[PlannedRun]) -> bool:
        if definition is None or _is_complete(definition, self._facts.runs_made + len(runs)):
            return False
        if definition.timing.fixed_delay:
            return self._facts.open_scheduled or bool(runs)
        return definition.timing.at_boot

    def _next(
        self, definition: Definition, after: datetime, made: int
    ) -> tuple[datetime | None, datetime | None]:
        """The next fire, and when to look at the entry again."""
        if not definition.enabled or _is_complete(definition, made):
            return None, None
        schedule = self._schedule(definition)
        if definition.paused_until is not None:
            after = max(after, definition.paused_until - _TICK)
        fire_time = next_fire_time(schedule, after)
        if fire_time is None:
            # what a calendar drops is put on record though no fire follows it
            return None, next(schedule.dropped(after, _END_OF_TIME), None)
        return fire_time, definition.timing.due_time(fire_time)

    def _schedule(self, definition: Definition) -> Schedule:
        if definition.timing.fixed_delay:
            return definition.timing.delayed_from(self._facts.last_end)
        return definition.schedule

    # Records

    def _unlooked(self, runs: Sequence[PlannedRun]) -> Iterator[Suppression]:
        """Of the fires that were not looked at one by one. Behind the last fire there is nothing to record: a
        record of misfires or of a pause cannot span that one, but the days of a calendar can.
        """
        for record in self._suppressions:
            if record.first <= self._last_fire(record.version, runs):
                yield record
        for version, schedule, after, until in self._under_calendar:
            yield from _dropped(version, schedule, after, min(until, self._last_fire(version, runs)))

    def _records(self) -> Iterator[Suppression]:
        """Of the fires that were looked at one by one: neighbours with one reason in one record."""
        for (version, reason), fires in groupby(
            (fire for fire in self._fires if fire.reason), key=lambda fire: (fire.run.version, fire.reason)
        ):
            times = [fire.run.fire_time for fire in fires]
            yield Suppression(version, str(reason), len(times), True, times[0], times[-1])

    def _suppress(
        self, period: Period, reason: str, schedule: Schedule, after: datetime, until: datetime
    ) -> None:
        """Counts the fires in (after, until], if there are any."""
        first = next_fire_time(schedule, after)
        if first is None or first > until:
            return
        count = schedule.count(after, until)
        last = _newest(schedule, after, until, 1)[0]
        self._suppressions.append(Suppression(period.version, reason, count.number, count.exact, first, last))


def _dropped(version: int, schedule: Schedule, after: datetime, until: datetime) -> Iterator[Suppression]:
    """What a calendar drops in (after, until], if it does."""
    dropped = list(islice(schedule.dropped(after, until), DROPPED_COUNTED + 1))
    if dropped:
        exact = len(dropped) <= DROPPED_COUNTED
        yield Suppression(version, "calendar", len(dropped), exact, dropped[0], dropped[-1])


def _is_complete(definition: Definition, made: int) -> bool:
    return definition.timing.max_runs is not None and made >= definition.timing.max_runs


def _chosen_misfires(
    definition: Definition, schedule: Schedule, after: datetime, until: datetime
) -> list[datetime]:
    """The missed fires that the misfire policy would still run, oldest first."""
    policies = definition.policies
    wanted = {"skip": 0, "latest": 1, "all": policies.misfire_limit}[policies.misfire]
    return _newest(schedule, after, until, wanted)


def _unusable(definition: Definition, run: PlannedRun, now: datetime) -> str | None:
    if run.expires_at is not None and run.expires_at <= now:
        return "expired"
    grace = definition.policies.misfire_grace
    return "misfire" if grace is not None and now - run.due_time > grace else None


def _due_until(
    timing: Timing, schedule: Schedule, after: datetime, until: datetime, due_by: datetime
) -> datetime:
    """Up to where in (after, until] every fire is due by `due_by`, which is `until` or later.

    Only the last of them can be due later: jitter stays below the distance to the next.
    """
    if timing.jitter is None:
        return until
    for fire_time in _newest(schedule, after, until, 1):
        if timing.due_time(fire_time) > due_by:
            return fire_time - _TICK
    return until


def _fire_times(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """As the schedule's own, but shared by equal rules: entries due together have few distinct ones."""
    fire_time = next_fire_time(schedule, after)
    while fire_time is not None and fire_time <= until:
        yield fire_time
        fire_time = next_fire_time(schedule, fire_time)


def _newest(schedule: Schedule, after: datetime, until: datetime, wanted: int) -> list[datetime]:
    """The newest `wanted` fires in (after, until], oldest first.

    Rules only look forward, so windows that double in length are searched until one holds enough; one that
    holds far too many is halved. The cost follows `wanted`, not the length of the past.
    """
    if wanted == 0:
        return []
    most = 2 * wanted + 64
    window = MISFIRE_AFTER
    too_late = until
    while True:
        start = max(after, until - window)
        found = list(islice(schedule.fire_times(start, until), most))
        while len(found) == most:
            middle = start + (too_late - start) / 2
            some = list(islice(schedule.fire_times(middle, until), most))
            if len(some) < wanted:
                too_late = middle
            else:
                start, found = middle, some
        if len(found) >= wanted or start == after:
            return found[-wanted:]
        too_late = start
        window *= 2
