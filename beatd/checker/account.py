"""Which fires there had to be: the rules walked fire by fire, limits and calendars applied the plainest way.

Nothing here asks the planner. It is slow where the planner is quick, and is what that is held against.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from beatd.planning.definition import Definition
from beatd.schedules import Calendared, IntervalSchedule, Limited, Schedule

#: A fire that nothing keeps from becoming a run but misfire, overlap and expiry.
PLAIN = "plain"

#: Reasons for which such a fire becomes no run.
JUDGED = frozenset({"misfire", "expired", "overlap"})

TICK = timedelta(microseconds=1)


class Ended(Protocol):
    """A run, as far as a fixed delay looks at it."""

    @property
    def fire_time(self) -> datetime: ...
    @property
    def finished_at(self) -> datetime | None: ...


class Pausing(Protocol):
    """A pause of everything; `reason` is that of the fires that it keeps back."""

    @property
    def reason(self) -> str: ...
    def covers(self, instant: datetime) -> bool: ...


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire of one version. `fate` is PLAIN, or why it can be no run: paused, all paused, calendar.

    One that is not `certain` may be accounted for, and need not be.
    """

    version: int
    fire_time: datetime
    fate: str
    certain: bool


def walk(
    definition: Definition, after: datetime, until: datetime, scheduled: Sequence[Ended]
) -> Iterator[tuple[datetime, bool]]:
    """The fires in (after, until], and whether the calendar drops them. `scheduled` are the entry's scheduled
    runs by fire time, which a fixed delay counts from.
    """
    if not definition.timing.fixed_delay:
        yield from rule_fires(definition.schedule, after, until, None)
        return
    # A delay counts from the end of the newest run; from a run's fire to the ends of all there are no fires.
    anchor, idle_from = None, after
    for run in scheduled:
        if run.fire_time > until:
            break
        yield from rule_fires(definition.schedule, idle_from, run.fire_time, anchor)
        if run.finished_at is None:
            return
        anchor, idle_from = run.finished_at, max(idle_from, run.finished_at - TICK)
    yield from rule_fires(definition.schedule, idle_from, until, anchor)


def rule_fires(
    schedule: Schedule, after: datetime, until: datetime, anchor: datetime | None
) -> Iterator[tuple[datetime, bool]]:
    """Fires in (after, until], and whether the calendar drops them; `anchor` is that of an interval, if not
    its own.
    """
    start_at, end_at, calendar = None, None, None
    if isinstance(schedule, Limited):
        start_at, end_at, schedule = schedule.start_at, schedule.end_at, schedule.schedule
    if isinstance(schedule, Calendared):
        calendar, schedule = schedule, schedule.schedule
    if start_at is not None:
        after = max(after, start_at - TICK)
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


def fate_of(definition: Definition, instant: datetime, pauses: Sequence[Pausing], *, dropped: bool) -> str:
    """What becomes of a fire at this instant."""
    if dropped:
        return "calendar"
    paused_until = definition.paused_until
    if not definition.enabled or (paused_until is not None and instant < paused_until):
        return "paused"
    return next((pause.reason for pause in pauses if pause.covers(instant)), PLAIN)


def is_over(definition: Definition, runs_before: int) -> bool:
    """Whether there are no fires any more after so many scheduled runs."""
    return definition.timing.max_runs is not None and runs_before >= definition.timing.max_runs


def _day(calendar: Calendared, fire_time: datetime) -> date:
    return fire_time.astimezone(calendar.timezone).date()
