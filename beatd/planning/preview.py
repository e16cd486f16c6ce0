"""What will come of a rule, as far as the rule, pauses and `max_runs` tell: fires, and what becomes none.

Whether a run is missed, overlaps or expires only its time will show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, islice

from beatd.planning.remarks import calendar_of, holiday, remarks, skipped_for_good
from beatd.planning.timing import Timing, next_fire_time
from beatd.schedules import Schedule, describe

_TICK = timedelta(microseconds=1)

#: Fires that a calendar drops between two others are counted up to here.
_MOST_DROPPED = 10_000

#: Days in a row that a calendar drops and that get a record each.
_MOST_DAYS = 14

#: How far to look for dropped fires where no other ever comes.
_WITHOUT_END = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Coming:
    """A fire, and when its run is due; `remarks` say why it is then, where that is not plain."""

    fire_time: datetime
    due_time: datetime
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """Fires that become no run, counted; `exact` is False where there are more.

    `reason` is that of a suppression (`calendar`, `paused`, `all paused`), or `skipped`: then they are wall
    times that daylight saving skips, which are no fires, and `first` and `last` are the instant of the shift.
    """

    reason: str
    why: str
    count: int
    exact: bool
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Closed:
    """Fires f with since <= f < until become no runs."""

    since: datetime
    until: datetime
    reason: str
    why: str


def sentence(timing: Timing) -> str:
    """When an entry fires, in plain English."""
    return describe(
        timing.schedule,
        jitter=timing.jitter,
        max_runs=timing.max_runs,
        fixed_delay=timing.fixed_delay,
        timezone=timing.timezone,
    )


def preview(
    timing: Timing,
    after: datetime,
    count: int,
    *,
    closed: Sequence[Closed] = (),
    runs_left: int | None = None,
) -> list[Coming | Withheld]:
    """The first `count` fires after `after` that become runs, and what becomes none before the last of them.

    `runs_left` is how many runs `max_runs` still allows. Raises FieldError where a custom trigger breaks
    off.
    """
    wanted = count if runs_left is None else min(count, runs_left)
    found: list[Coming | Withheld] = []
    if wanted <= 0:
        return found
    for item in _row(timing, after, closed):
        found.append(item)
        if isinstance(item, Coming):
            wanted -= 1
            if wanted == 0 and runs_left is not None and runs_left <= count:
                last = "the last run that max_runs allows"
                found[-1] = replace(item, remarks=(*item.remarks, last))
            if wanted == 0:
                break
    return found


def last_fire_time(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """The last fire time in (after, until]; None if there is none."""
    last = None
    low, high = after, until
    while low < high:
        # Rules only look forward: what they find after the middle tells in which half the last one is.
        middle = low + (high - low) // 2
        found = schedule.next_fire_time(middle)
        if found is not None and found <= until:
            last = low = found
        else:
            high = middle
    return last


def _row(timing: Timing, after: datetime, closed: Sequence[Closed]) -> Iterator[Coming | Withheld]:
    schedule = timing.schedule
    while True:
        fire_time = next_fire_time(schedule, after)
        if fire_time is None:
            yield from _dropped(schedule, after, after + _WITHOUT_END)
            return
        shut = next((span for span in closed if span.since <= fire_time < span.until), None)
        until = fire_time if shut is None else max(after, shut.since - _TICK)
        yield from sorted(_without_run(timing, after, until), key=lambda withheld: withheld.first)
        if shut is None:
            yield Coming(fire_time, timing.due_time(fire_time), remarks(timing, fire_time))
            after = fire_time
        else:
            yield _withheld(schedule, shut, fire_time)
            after = shut.until - _TICK


def _without_run(timing: Timing, after: datetime, until: datetime) -> Iterator[Withheld]:
    yield from _dropped(timing.schedule, after, until)
    for skipped in skipped_for_good(timing, after, until):
        count = len(skipped.walls)
        yield Withheld("skipped", str(skipped), count, True, skipped.instant, skipped.instant)


def _dropped(schedule: Schedule, after: datetime, until: datetime) -> Iterator[Withheld]:
    """One record a day, or one for all where they are many."""
    calendared = calendar_of(schedule)
    if calendared is None:
        return
    fires = islice(schedule.dropped(after, until), _MOST_DROPPED)

    def day_and_why(fire_time: datetime) -> tuple[date, str]:
        return fire_time.astimezone(calendared.timezone).date(), holiday(
            calendared, fire_time
        ) or "no working day"

    by_day = []
    for (_, why), of_day in groupby(fires, day_and_why):
        times = list(of_day)
        by_day.append(Withheld("calendar", why, len(times), True, times[0], times[-1]))
    number = sum(withheld.count for withheld in by_day)
    exact = number < _MOST_DROPPED
    if len(by_day) <= _MOST_DAYS:
        yield from by_day[:-1]
        yield from (replace(withheld, exact=exact) for withheld in by_day[-1:])
        return
    why = f"{len(by_day)} days of the calendar"
    yield Withheld("calendar", why, number, exact, by_day[0].first, by_day[-1].last)


def _withheld(schedule: Schedule, shut: Closed, first: datetime) -> Withheld:
    until = shut.until - _TICK
    count = schedule.count(first - _TICK, until)
    last = last_fire_time(schedule, first, until) or first
    return Withheld(shut.reason, shut.why, count.number, count.exact, first, last)
