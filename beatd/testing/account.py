"""Which fires there were: an account that does not ask the planner.

The rules of all versions are walked fire by fire; calendars, pauses and fixed delays are applied in the
plainest way. It is slow, and it is what the planner is held against.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from beatd.planning.definition import Definition
from beatd.planning.world import Entry, Run, Version, World
from beatd.schedules import Calendared, IntervalSchedule, Limited, Schedule

#: A fire that nothing keeps from becoming a run but misfire, overlap and expiry.
PLAIN = "plain"

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire of one version. `fate` is PLAIN, or why it can be no run: paused, all paused, calendar.

    One that is not `certain` may be accounted for: it was not due when the node looked last, or the clock was
    set back over the edit at its side.
    """

    version: int
    fire_time: datetime
    fate: str
    certain: bool


def fires(world: World, entry: Entry) -> list[Fire]:
    """All fires of an entry, of every version in its validity, in order."""
    scheduled = sorted((run for run in entry.runs if run.scheduled), key=lambda run: run.fire_time)
    run_times = [run.fire_time for run in scheduled]
    found: list[Fire] = []
    for number, version in enumerate(entry.versions):
        definition, later = version.definition, entry.versions[number + 1 :]
        if definition is None:
            continue
        until = later[0].latest if later else world.clock.latest
        walked = [
            (instant, fate)
            for instant, dropped in _walk(definition, version.since, until, scheduled)
            if (fate := _fate(world, definition, instant, dropped=dropped)) is not None
            and not _is_over(definition, bisect_left(run_times, instant))
        ]
        settled = _settled(world, version, later)
        found += _certain(world, definition, walked, settled, version)
    return found


def _walk(
    definition: Definition, after: datetime, until: datetime, scheduled: list[Run]
) -> Iterator[tuple[datetime, bool]]:
    """The fires in (after, until], and whether the calendar drops them."""
    if not definition.timing.fixed_delay:
        yield from _rule_fires(definition.schedule, after, until, None)
        return
    # A delay counts from the end of the newest run; from a run's fire to the ends of all there are no fires.
    anchor, idle_from = None, after
    for run in scheduled:
        if run.fire_time > until:
            break
        yield from _rule_fires(definition.schedule, idle_from, run.fire_time, anchor)
        if run.finished_at is None:
            return
        anchor, idle_from = run.finished_at, max(idle_from, run.finished_at - _TICK)
    yield from _rule_fires(definition.schedule, idle_from, until, anchor)


def _rule_fires(
    schedule: Schedule, after: datetime, until: datetime, anchor: datetime | None
) -> Iterator[tuple[datetime, bool]]:
    """Fires in (after, until]; `anchor` is that of an interval, if not its own."""
    start_at, end_at, calendar = None, None, None
    if isinstance(schedule, Limited):
        start_at, end_at, schedule = schedule.start_at, schedule.end_at, schedule.schedule
    if isinstance(schedule, Calendared):
        calendar, schedule = schedule, schedule.schedule
    if start_at is not None:
        after = max(after, start_at - _TICK)
    if end_at is not None:
        until = min(until, end_at)
    if until <= after:
        return
    if anchor is not None and isinstance(schedule, IntervalSchedule):
        schedule = IntervalSchedule(schedule.every, anchor)
    if calendar is not None and calendar.action != "drop":
        # where a fire moves to is the calendar's own matter
        yield from ((fire_time, False) for fire_time in calendar.fire_times(after, until))
        return
    for fire_time in schedule.fire_times(after, until):
        yield fire_time, calendar is not None and calendar.dates.has(_day(calendar, fire_time))


def _day(calendar: Calendared, fire_time: datetime) -> date:
    return fire_time.astimezone(calendar.timezone).date()


def _fate(world: World, definition: Definition, instant: datetime, *, dropped: bool) -> str:
    if dropped:
        return "calendar"
    paused_until = definition.paused_until
    if not definition.enabled or (paused_until is not None and instant < paused_until):
        return "paused"
    return "all paused" if any(pause.covers(instant) for pause in world.pauses) else PLAIN


def _is_over(definition: Definition, runs_before: int) -> bool:
    return definition.timing.max_runs is not None and runs_before >= definition.timing.max_runs


def _settled(world: World, version: Version, later: list[Version]) -> datetime | None:
    """The end of what the node has settled of a version by looking at its successor; None: it has not."""
    if not later or later[0].real > world.looked_real:
        return None
    return min(successor.since for successor in later)


def _certain(
    world: World,
    definition: Definition,
    walked: list[tuple[datetime, str]],
    settled: datetime | None,
    version: Version,
) -> list[Fire]:
    """Without a successor the node has settled what was due, and what lies before that; all of it where no
    fire is left but such that a calendar drops."""
    if settled is None:
        due = [
            instant
            for instant, fate in walked
            if fate == PLAIN and definition.timing.due_time(instant) <= world.took_at
        ]
        settled = due[-1] if due else version.since
        if _only_drops_are_left(definition, settled):
            settled = world.took_at
    begin = max(version.since, version.latest)
    return [Fire(version.version, instant, fate, begin < instant <= settled) for instant, fate in walked]


def _only_drops_are_left(definition: Definition, after: datetime) -> bool:
    if not definition.enabled or definition.paused_until is not None or definition.timing.fixed_delay:
        return False
    return definition.schedule.next_fire_time(after) is None
