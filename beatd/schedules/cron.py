"""Cron expressions as Debian's cron reads them (SEMANTICS: Schedules).

`cron_fields` reads the text and `cron_days` knows the days; here they become a schedule on the wall clock.
What daylight saving makes of its wall times is in `wallclock`.
"""

# ruff: noqa: DTZ001 - wall times have no zone

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.schedules import wallclock
from beatd.schedules.base import Count, Schedule, as_utc
from beatd.schedules.cron_days import DayRule
from beatd.schedules.cron_fields import EXAMPLE, MONTHS, Field, parse_fields
from beatd.schedules.text import parse_choice
from beatd.schedules.wallclock import FOLD_POLICIES, GAP_POLICIES


def parse_cron(
    expression: str,
    timezone: ZoneInfo,
    *,
    name: str | None = None,
    dst_gap: str | None = None,
    dst_fold: str | None = None,
) -> CronSchedule:
    """The schedule of an expression of five or six fields or of an @-name, on the wall clock of the zone.

    `name` is the entry's: `H` and `~` choose by it. `dst_gap` (run_after, skip) and `dst_fold` (first,
    second, both) override what the expression's own form implies: run_after and first for a fixed-time one,
    skip and both for a wildcard one. Raises FieldError of the field `cron`, `dst_gap` or `dst_fold`.
    """
    hashed_by = name if {"H", "~"} & set(expression) else None
    try:
        return _parse(expression, timezone, hashed_by, dst_gap, dst_fold)
    except FieldError as error:
        if error.field != "cron" or _ever_fires(error.example, name):
            raise
        raise FieldError("cron", error.value, error.problem, example=EXAMPLE) from None


@lru_cache(maxsize=8192)
def _parse(
    expression: str, timezone: ZoneInfo, name: str | None, dst_gap: str | None, dst_fold: str | None
) -> CronSchedule:
    """Entries are many and expressions few: equal ones are one object."""
    second, minute, hour, *of_days = parse_fields(expression, name)
    days = _day_rule(*of_days)
    if not days.ever_matches:
        raise FieldError("cron", expression, _never(days), example=_with_a_day(expression, days))
    wildcard = minute.starts_with_star or hour.starts_with_star
    gap, fold = ("skip", "both") if wildcard else ("run_after", "first")
    return CronSchedule(
        expression=" ".join(expression.split()),
        timezone=timezone,
        minutes=minute.values,
        hours=hour.values,
        days=days,
        dst_gap=parse_choice(gap if dst_gap is None else dst_gap, GAP_POLICIES, "dst_gap"),
        dst_fold=parse_choice(fold if dst_fold is None else dst_fold, FOLD_POLICIES, "dst_fold"),
        seconds=second.values,
    )


@dataclass(frozen=True, slots=True)
class CronSchedule(Schedule):
    """Made by `parse_cron`. Two expressions that mean the same (`@daily`, `0 0 * * *`) are equal."""

    expression: str = field(compare=False)
    timezone: ZoneInfo
    minutes: tuple[int, ...] = field(compare=False)
    hours: tuple[int, ...] = field(compare=False)
    days: DayRule = field(compare=False)
    dst_gap: str = field(compare=False)
    dst_fold: str = field(compare=False)
    seconds: tuple[int, ...] = field(default=(0,), compare=False)
    #: The whole rule but the zone, as one text: hashed once, compared fast.
    rule: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rule = (self.seconds, self.minutes, self.hours, self.days, self.dst_gap, self.dst_fold)
        object.__setattr__(self, "rule", repr(rule))

    def next_fire_time(self, after: datetime) -> datetime | None:
        return wallclock.next_instant(
            self, self.timezone, as_utc(after), gap=self.dst_gap, fold=self.dst_fold
        )

    def count(self, after: datetime, until: datetime) -> Count:
        number = wallclock.count_instants(
            self, self.timezone, as_utc(after), as_utc(until), gap=self.dst_gap, fold=self.dst_fold
        )
        return Count(number, exact=True)

    @property
    def weekdays(self) -> frozenset[int]:
        """The weekdays that its wall times can fall on; Sunday is 0."""
        return self.days.weekdays_that_match

    def next_wall(self, after: datetime) -> datetime | None:
        """The first matching wall time (naive) strictly after a wall time (naive)."""
        day = after.date()
        if self.days.matches(day):
            wall = self._next_in_day(after)
            if wall is not None:
                return wall
        later = self.days.next_after(day)
        if later is None:
            return None
        return datetime(later.year, later.month, later.day, self.hours[0], self.minutes[0], self.seconds[0])

    def count_walls(self, after: datetime, until: datetime) -> int:
        """How many matching wall times lie in (after, until], all naive."""
        if until <= after:
            return 0
        whole_days = self.days.count(after.date(), until.date())
        times_a_day = len(self.hours) * len(self.minutes) * len(self.seconds)
        return whole_days * times_a_day + self._times_until(until) - self._times_until(after)

    def _next_in_day(self, after: datetime) -> datetime | None:
        hours, minutes, seconds = self.hours, self.minutes, self.seconds
        hour, minute, second = bisect_left(hours, after.hour), 0, 0
        if hour < len(hours) and hours[hour] == after.hour:
            minute = bisect_left(minutes, after.minute)
            if minute < len(minutes) and minutes[minute] == after.minute:
                second = bisect_right(seconds, after.second)
        if second == len(seconds):
            minute, second = minute + 1, 0
        if minute == len(minutes):
            hour, minute = hour + 1, 0
        if hour == len(hours):
            return None
        return datetime(after.year, after.month, after.day, hours[hour], minutes[minute], seconds[second])

    def _times_until(self, wall: datetime) -> int:
        """How many times of the wall time's own day match, up to itself."""
        if not self.days.matches(wall.date()):
            return 0
        hours, minutes, seconds = self.hours, self.minutes, self.seconds
        hour = bisect_left(hours, wall.hour)
        times = hour * len(minutes) * len(seconds)
        if hour < len(hours) and hours[hour] == wall.hour:
            minute = bisect_left(minutes, wall.minute)
            times += minute * len(seconds)
            if minute < len(minutes) and minutes[minute] == wall.minute:
                times += bisect_right(seconds, wall.second)
        return times


def _day_rule(day: Field, month: Field, weekday: Field) -> DayRule:
    return DayRule(
        days=day.values,
        months=month.values,
        weekdays=weekday.values,
        both_must_match=day.starts_with_star or weekday.starts_with_star,
        last_day=day.last_day,
        last_working_day=day.last_working_day,
        last_weekdays=weekday.last_weekdays,
        nth_weekdays=weekday.nth_weekdays,
    )


def _ever_fires(expression: str | None, name: str | None) -> bool:
    try:
        return _day_rule(*parse_fields(expression or "", name)[3:]).ever_matches
    except FieldError:
        return False


def _never(days: DayRule) -> str:
    months = ", ".join(MONTHS[month - 1].capitalize() for month in days.months)
    if days.has_days:
        return f"never fires: no such weekday falls on such a day of the month in {months}"
    return f"never fires: there is no day {days.days[0]} in {months}; allowed are 1-{days.longest_month}"


def _with_a_day(expression: str, days: DayRule) -> str:
    """The expression with a day of the month that there is; with any, where no weekday falls on it."""
    texts = expression.split()
    texts[-3] = "*" if days.has_days else str(days.longest_month)
    return " ".join(texts)
