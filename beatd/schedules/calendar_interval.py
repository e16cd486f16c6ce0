"""Every so many days, weeks, months or years, at a time of day on the wall clock.

Dates are stepped by APScheduler's CalendarIntervalTrigger, `wallclock` maps them to UTC. Of the trigger only
the stepping is used:

- Asked as if just started, it says its first date whatever the time is. So it is asked from a date of the row
  next to the one that is looked for, which costs one step however far that is.
- It passes over months that lack the day: 31 January and a month would be 31 March. So with months it steps
  from first to first of the month, and the day is set here.
- It leaves out a date whose time daylight saving skips. So it counts in UTC, which skips nothing.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.schedules import wallclock
from beatd.schedules.base import MICROSECOND, Count, Schedule, as_utc
from beatd.schedules.text import parse_choice, parse_time

if TYPE_CHECKING:
    from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger

LAST_DAY = 31

_TIME, _GAP, _FOLD = "00:00", "run_after", "first"
_EXAMPLE = "3mo"
_MOST = 1000
_EVERY = re.compile(r"([0-9]+) ?([A-Za-z]+)")
#: How many months and days a unit has.
_UNITS = {"d": (0, 1), "w": (0, 7), "mo": (1, 0), "y": (12, 0)}
_LONG_UNITS = {"day": "d", "week": "w", "month": "mo", "year": "y"}


def parse_calendar_interval(
    every: str,
    timezone: ZoneInfo,
    *,
    time: str | None,
    day: str | None,
    anchor: datetime,
    dst_gap: str | None = None,
    dst_fold: str | None = None,
) -> CalendarIntervalSchedule:
    """The schedule of `3mo`, `2w`, `1y` or `10d` (or `3 months`), anchored at the local date of `anchor`.

    `time` (00:00 if not given) is on the zone's wall clock; `day`, of months and years alone, is 1 to 31 or
    `last`, and the anchor's day of the month if not given. `dst_gap` (run_after, skip) and `dst_fold` (first,
    second, both) are run_after and first if not given, as for a cron entry of a fixed time.
    Raises FieldError of the field `calendar_every`, `time`, `day`, `dst_gap` or `dst_fold`.
    """
    months, days = _parse_every(every)
    first_date = anchor.astimezone(timezone).date()
    if day is not None and not months:
        problem = "only months and years have a day of the month; leave it out"
        raise FieldError("day", day, problem, example="calendar_every = '1mo'")
    return CalendarIntervalSchedule(
        months=months,
        days=days,
        anchor=first_date,
        day=first_date.day if day is None else _parse_day(day),
        at=parse_time(_TIME if time is None else time, "time"),
        timezone=timezone,
        dst_gap=parse_choice(_GAP if dst_gap is None else dst_gap, wallclock.GAP_POLICIES, "dst_gap"),
        dst_fold=parse_choice(_FOLD if dst_fold is None else dst_fold, wallclock.FOLD_POLICIES, "dst_fold"),
    )


@dataclass(frozen=True, slots=True)
class CalendarIntervalSchedule(Schedule):
    """Made by `parse_calendar_interval`. Either `months` or `days` is nothing.

    With days, the row of dates is anchor + k * days. With months it is the `day` of the anchor's month and of
    every `months`-th month after it, a day that a month lacks being its last. The first fire is the row's
    first at or after the anchor's date.
    """

    months: int
    days: int
    anchor: date
    day: int
    at: time
    timezone: ZoneInfo
    dst_gap: str = _GAP
    dst_fold: str = _FOLD
    _trigger: CalendarIntervalTrigger = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger

        trigger = CalendarIntervalTrigger(
            months=self.months, days=self.days, start_date=self.anchor, timezone=UTC
        )
        object.__setattr__(self, "_trigger", trigger)

    @property
    def weekdays(self) -> frozenset[int]:
        """The weekdays that its wall times can fall on; Sunday is 0."""
        if self.days and not self.days % 7:
            return frozenset({self.anchor.isoweekday() % 7})
        return frozenset(range(7))

    def next_fire_time(self, after: datetime) -> datetime | None:
        return wallclock.next_instant(
            self, self.timezone, as_utc(after), gap=self.dst_gap, fold=self.dst_fold
        )

    def count(self, after: datetime, until: datetime) -> Count:
        number = wallclock.count_instants(
            self, self.timezone, as_utc(after), as_utc(until), gap=self.dst_gap, fold=self.dst_fold
        )
        return Count(number, exact=True)

    def next_wall(self, after: datetime) -> datetime | None:
        """The first wall time (naive) of the row strictly after a wall time (naive)."""
        after = max(after, datetime.combine(self.anchor, time.min) - MICROSECOND)
        step = self._step(self._steps_until(after.date()))
        wall = self._wall_of(step)
        if wall > after:
            return wall
        following = self._step_after(step)
        return None if following is None else self._wall_of(following)

    def count_walls(self, after: datetime, until: datetime) -> int:
        """How many of its wall times lie in (after, until], all naive."""
        return max(0, self._walls_until(until) - self._walls_until(after))

    def _walls_until(self, wall: datetime) -> int:
        if wall.date() < self.anchor:
            return 0
        steps = self._steps_until(wall.date())
        is_ahead = self._wall_of(self._step(steps)) > wall
        first_is_early = self._wall_of(self._step(0)).date() < self.anchor
        return max(0, steps + 1 - is_ahead - first_is_early)

    def _steps_until(self, day: date) -> int:
        """The number of the last step up to a day, the first being 0; 0 for a day before it."""
        if self.days:
            return max(0, (day - self.anchor).days // self.days)
        return max(0, (_month_number(day) - _month_number(self.anchor)) // self.months)

    def _step(self, number: int) -> date:
        """A date that the trigger steps on."""
        if self.days:
            return self.anchor + number * timedelta(self.days)
        return _first_of_month(_month_number(self.anchor) + number * self.months)

    def _step_after(self, step: date) -> date | None:
        """None beyond the year 9999, where the trigger would look for a valid date for ever."""
        if _month_number(step) + self.months > _LAST_MONTH:
            return None
        previous = datetime.combine(step, time.min, UTC)
        try:
            following: datetime = self._trigger.get_next_fire_time(previous, previous)
        except OverflowError:
            return None
        return following.date()

    def _wall_of(self, step: date) -> datetime:
        if self.months:
            step = step.replace(day=min(self.day, monthrange(step.year, step.month)[1]))
        return datetime.combine(step, self.at)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first_of_month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


_LAST_MONTH = _month_number(date.max)


def _parse_every(text: str) -> tuple[int, int]:
    """Months and days, one of them 0."""
    match = _EVERY.fullmatch(text.strip())
    if match is None:
        raise FieldError("calendar_every", text, _PROBLEM, example=_EXAMPLE)
    number, unit = match.groups()
    if unit.lower() in ("s", "m", "min", "h") or unit.lower().rstrip("s") in ("second", "minute", "hour"):
        hint = f"; months are {number + 'mo'!r}" if unit.lower() == "m" else ""
        raise FieldError("calendar_every", text, f"elapsed time is given as every{hint}", example=_EXAMPLE)
    known = unit if unit in _UNITS else _LONG_UNITS.get(unit.removesuffix("s"))
    if known is None:
        raise FieldError("calendar_every", text, _PROBLEM, example=_EXAMPLE)
    if len(number) > 9 or not 1 <= int(number) <= _MOST:
        raise FieldError("calendar_every", text, f"the number is 1 to {_MOST}", example=_EXAMPLE)
    months, days = _UNITS[known]
    return int(number) * months, int(number) * days


_PROBLEM = "is not one number with one of d, w, mo, y (or days, weeks, months, years)"


def _parse_day(text: str) -> int:
    stripped = text.strip()
    if stripped.lower() == "last":
        return LAST_DAY
    if stripped.isascii() and stripped.isdigit() and len(stripped) <= 2 and 1 <= int(stripped) <= LAST_DAY:
        return int(stripped)
    raise FieldError("day", text, f"is not a day of the month, 1 to {LAST_DAY} or 'last'", example="last")
