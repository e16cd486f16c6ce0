"""What there is to say of a fire time besides the instant: daylight saving, its calendar, its jitter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from beatd.durations import span_text
from beatd.planning.timing import Timing
from beatd.planning.wording import clock_time, listed, that_day
from beatd.schedules import Calendared, CalendarIntervalSchedule, CronSchedule, Limited, Schedule
from beatd.schedules.wallclock import gaps, instant_of, time_round

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_NOTHING = timedelta(0)

_WallRule = CronSchedule | CalendarIntervalSchedule


@dataclass(frozen=True, slots=True)
class Skipped:
    """Wall times of a rule, naive, that daylight saving skipped just before `instant`."""

    instant: datetime
    walls: tuple[datetime, ...]

    def __str__(self) -> str:
        """`02:30 is skipped that night`."""
        walls = [clock_time(wall) for wall in self.walls]
        return f"{listed(walls)} {'is' if len(walls) == 1 else 'are'} skipped {that_day(self.walls[0])}"


def remarks(timing: Timing, fire_time: datetime) -> tuple[str, ...]:
    """Why this fire is at this instant and not at another, where that is not plain; when its run is due."""
    clock, calendar = _of_the_clock(timing, fire_time), _of_the_calendar(timing, fire_time)
    return (*clock, *calendar, *_of_jitter(timing, fire_time))


def skipped_for_good(timing: Timing, after: datetime, until: datetime) -> Iterator[Skipped]:
    """What daylight saving skips in (after, until] and nothing makes up (`dst_gap: skip`)."""
    rule = rule_of(timing.schedule)
    if not isinstance(rule, _WallRule) or rule.dst_gap != "skip":
        return
    for instant, length in gaps(rule.timezone, after, until):
        walls = _walls_in_gap(rule, instant, length)
        if walls and _is_within_limits(timing.schedule, instant):
            yield Skipped(instant, walls)


def rule_of(schedule: Schedule) -> Schedule:
    """The rule itself, without limits and calendar."""
    while isinstance(schedule, Limited | Calendared):
        schedule = schedule.schedule
    return schedule


def calendar_of(schedule: Schedule) -> Calendared | None:
    while isinstance(schedule, Limited):
        schedule = schedule.schedule
    return schedule if isinstance(schedule, Calendared) else None


def holiday(calendared: Calendared, instant: datetime) -> str | None:
    """What the calendar has this instant's day for: `Christmas Day`; None if it does not have it."""
    return calendared.dates.why(instant.astimezone(calendared.timezone).date())


# The clock


def _of_the_clock(timing: Timing, fire_time: datetime) -> Iterator[str]:
    rule = rule_of(timing.schedule)
    if not isinstance(rule, _WallRule):
        return
    local = fire_time.astimezone(rule.timezone).replace(tzinfo=None)
    for instant, length in gaps(rule.timezone, fire_time - _TICK, fire_time):
        walls = _walls_in_gap(rule, instant, length) if rule.dst_gap == "run_after" else ()
        if walls:
            yield f"{Skipped(instant, walls)}: {_made_up(len(walls), _names(rule, local))}"
    round_ = time_round(fire_time, rule.timezone)
    if round_ is not None and _names(rule, local):
        both = " and fires both times" if rule.dst_fold == "both" else ""
        which = "the first" if round_ == 1 else "the second"
        yield f"{clock_time(local)} comes twice {that_day(local)}{both}: {which}"


def _made_up(walls: int, and_own: bool) -> str:
    if walls == 1 and not and_own:
        return "fires at the first instant after the gap"
    return "one fire, at the first instant after the gap"


def _names(rule: _WallRule, wall: datetime) -> bool:
    return rule.next_wall(wall - _TICK) == wall


def _walls_in_gap(rule: _WallRule, instant: datetime, length: timedelta) -> tuple[datetime, ...]:
    end = instant.astimezone(rule.timezone).replace(tzinfo=None)
    return tuple(_walls(rule, end - length - _TICK, end))


def _walls(rule: _WallRule, after: datetime, before: datetime) -> Iterator[datetime]:
    wall = rule.next_wall(after)
    while wall is not None and wall < before:
        yield wall
        wall = rule.next_wall(wall)


def _is_within_limits(schedule: Schedule, instant: datetime) -> bool:
    if not isinstance(schedule, Limited):
        return True
    started = schedule.start_at is None or schedule.start_at <= instant
    return started and (schedule.end_at is None or instant <= schedule.end_at)


# The calendar


def _of_the_calendar(timing: Timing, fire_time: datetime) -> Iterator[str]:
    calendared = calendar_of(timing.schedule)
    if calendared is None or calendared.action == "drop":
        return
    local = fire_time.astimezone(calendared.timezone)
    sources = [
        f"{day:%a %Y-%m-%d} ({calendared.dates.why(day)})"
        for day in _days_moved_to(calendared, local.date())
        if _has_fire_at(calendared, day, local.time(), fire_time)
    ]
    if sources:
        own = calendared.schedule.next_fire_time(fire_time - _TICK) == fire_time
        yield f"{'one fire with that ' if own else ''}moved from {listed(sources, most=5)}"


def _days_moved_to(calendared: Calendared, target: date) -> list[date]:
    """The days of the set whose fires move to this day, in order."""
    step = -1 if calendared.action == "next" else 1
    beside = calendared.dates.working_day_beside(target, step)
    if beside is None or not calendared.dates.is_working_day(target):
        return []
    days = [target + step * number * _DAY for number in range(1, abs((target - beside).days))]
    return sorted(day for day in days if calendared.dates.has(day))


def _has_fire_at(calendared: Calendared, day: date, at: time, moved: datetime) -> bool:
    """Whether the rule alone would fire on that day, at the wall time that now stands on another."""
    wall = datetime.combine(day, at.replace(fold=0))
    rule = calendared.schedule
    if isinstance(rule, _WallRule):
        # what moved into a gap stands at its end
        skipped = next((length for _, length in gaps(calendared.timezone, moved - _TICK, moved)), _NOTHING)
        found = rule.next_wall(wall - skipped - _TICK)
        return found is not None and found <= wall
    instant = instant_of(wall, calendared.timezone)
    return rule.next_fire_time(instant - _TICK) == instant


# Jitter


def _of_jitter(timing: Timing, fire_time: datetime) -> Iterator[str]:
    if timing.jitter is None:
        return
    due = timing.due_time(fire_time)
    local = due.astimezone(timing.timezone)
    yield f"due {local:%H:%M:%S}.{local.microsecond // 1000:03} (+{span_text(due - fire_time)})"
