"""Named calendars: sets of dates on which fires are dropped, or moved to a working day.

Days are those of the entry's zone. The public holidays are those of the `holidays` library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.errors import FieldError, did_you_mean
from beatd.schedules import wallclock
from beatd.schedules.base import MICROSECOND, Count, Schedule, as_utc
from beatd.schedules.calendar_interval import CalendarIntervalSchedule
from beatd.schedules.cron import CronSchedule
from beatd.schedules.public_holidays import (
    HOLIDAYS_END,
    days_of,
    holidays_of,
    parse_country,
    parse_region,
    weekends_of,
)
from beatd.schedules.text import parse_choice, parse_date

ACTIONS = ("drop", "next", "previous")

#: Outside of these nothing fires under a calendar, and every search ends.
FIRST, HORIZON = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_WEEKEND = frozenset({0, 6})
_DAY = timedelta(days=1)
#: No country's holidays and weekends make more days in a row than this.
_LONGEST_HOLIDAY = 100
#: After so many days in vain a search asks whether it can have an end.
_PATIENCE = 60


def parse_date_set(
    dates: str | None, weekdays: str | None = None, country: str | None = None, region: str | None = None
) -> DateSet:
    """The set of `dates` (ISO, separated by blanks, commas or lines), of `weekdays` (`sat,sun`) and of the
    public holidays of a `country` (ISO 3166, `DE`), or of its `region` (`BY`).

    Raises FieldError of the field `dates`, `weekdays`, `country` or `region`.
    """
    code = None if country is None else parse_country(country)
    if region is not None and code is None:
        raise FieldError("region", region, "is of no use without country", example="BY")
    parsed = DateSet(
        dates=frozenset(parse_date(text, "dates") for text in _words(dates)),
        weekdays=frozenset(_weekday(text) for text in _words(weekdays)),
        country=code,
        region=None if region is None or code is None else parse_region(code, region),
    )
    if not (parsed.dates or parsed.weekdays or parsed.country):
        raise FieldError("dates", dates, "give dates, weekdays or country", example="2026-12-24 2026-12-31")
    return parsed


@dataclass(frozen=True, slots=True)
class DateSet:
    """Made by `parse_date_set`. Sunday is weekday 0."""

    dates: frozenset[date] = frozenset()
    weekdays: frozenset[int] = frozenset()
    country: str | None = None
    region: str | None = None

    def has(self, day: date) -> bool:
        if day.isoweekday() % 7 in self.weekdays or day in self.dates:
            return True
        return self.country is not None and day in holidays_of(self.country, self.region, day.year)

    def why(self, day: date) -> str | None:
        """What the day is in the set for: 'Christmas Day', 'a listed date', 'Sunday'; None if it is not."""
        if self.country is not None:
            holidays = holidays_of(self.country, self.region, day.year)
            if day in holidays:
                return holidays[day]
        if day in self.dates:
            return "a listed date"
        weekday = day.isoweekday() % 7
        return _WEEKDAY_NAMES[weekday] if weekday in self.weekdays else None

    def is_working_day(self, day: date) -> bool:
        """Neither in the set nor on a weekend: the country's own, or Saturday and Sunday."""
        if self.has(day):
            return False
        if self.country is None:
            return day.isoweekday() % 7 not in _WEEKEND
        return day not in weekends_of(self.country, self.region, day.year)

    def working_day_beside(self, day: date, step: int) -> date | None:
        """The next (step 1) or previous (step -1) working day; None where there is none."""
        return _working_day_beside(self, day, step)

    @property
    def is_everything(self) -> bool:
        return len(self.weekdays) == 7

    @property
    def horizon(self) -> datetime:
        """What comes at this instant or later does not fire under this set."""
        return HORIZON if self.country is None else HOLIDAYS_END

    def has_working_days(self, year: int) -> bool:
        return _has_working_days(self, year)


@dataclass(frozen=True, slots=True)
class Calendared(Schedule):
    """The fires of `schedule` under a calendar; days are those of the zone.

    `drop`: a fire on a day of the set does not happen. `next`, `previous`: it moves to the same wall time of
    the next or previous working day; a wall time that this day skips is the first instant after the gap, of
    one that comes twice it is the first. Fires that come to one instant are one. A fire that has no working
    day to move to is dropped. `name` is the calendar's, for people.
    """

    schedule: Schedule
    dates: DateSet
    action: str
    timezone: ZoneInfo
    name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        parse_choice(self.action, ACTIONS, "calendar_action")

    def next_fire_time(self, after: datetime) -> datetime | None:
        if self.dates.is_everything:
            return None
        after = max(as_utc(after), FIRST)
        return self._next_kept(after) if self.action == "drop" else self._next_moved(after)

    def count(self, after: datetime, until: datetime) -> Count:
        """Exact where fires are dropped and the rule's own count is exact."""
        after, until = max(as_utc(after), FIRST), min(as_utc(until), self.dates.horizon - MICROSECOND)
        total = self.schedule.count(after, until)
        if self.action != "drop" or not total.exact:
            return Schedule.count(self, after, until)
        number, day = total.number, self._day(after) - _DAY
        while day <= self._day(until) + _DAY:
            if self.dates.has(day):
                for start, end in wallclock.passes(day, self.timezone):
                    first, last = max(start - MICROSECOND, after), min(end - MICROSECOND, until)
                    number -= self.schedule.count(first, last).number if first < last else 0
            day += _DAY
        return Count(number, exact=True)

    def dropped(self, after: datetime, until: datetime) -> Iterator[datetime]:
        until = min(as_utc(until), self.dates.horizon - MICROSECOND)
        fire_time = self.schedule.next_fire_time(max(as_utc(after), FIRST))
        while fire_time is not None and fire_time <= until:
            day = self._day(fire_time)
            if self.dates.has(day) and self._moved_to(day) is None:
                yield fire_time
                fire_time = self.schedule.next_fire_time(fire_time)
            else:
                fire_time = self._next_after_pass(day, fire_time)

    def _next_kept(self, after: datetime) -> datetime | None:
        fire_time = self.schedule.next_fire_time(after)
        days = 0
        while fire_time is not None and fire_time < self.dates.horizon:
            day = self._day(fire_time)
            if not self.dates.has(day):
                return fire_time
            days += 1
            if days == _PATIENCE and self._only_gaps_fire:
                return self._next_at_a_gap(fire_time)
            fire_time = self._next_after_pass(day, fire_time)
        return None

    @property
    def _only_gaps_fire(self) -> bool:
        """Whether all weekdays of the rule are in the set: all that it names is dropped, but for what a gap
        pushes over midnight.
        """
        rule = self.schedule
        if not isinstance(rule, CronSchedule | CalendarIntervalSchedule) or rule.timezone != self.timezone:
            return False
        return rule.weekdays <= self.dates.weekdays

    def _next_at_a_gap(self, after: datetime) -> datetime | None:
        for end, _ in wallclock.gaps(self.timezone, after, self.dates.horizon - MICROSECOND):
            fires = self.schedule.next_fire_time(end - MICROSECOND) == end
            if fires and not self.dates.has(self._day(end)):
                return end
        return None

    def _next_moved(self, after: datetime) -> datetime | None:
        """Looks at the days in order from the first whose fires can come to be after `after`, until no later
        day's fires can come to be before the best one found. A day either way allows for clocks that are
        set back over midnight."""
        yesterday = self._day(after) - _DAY
        before = self.dates.working_day_beside(yesterday, -1) if self.action == "next" else yesterday
        best: datetime | None = None
        fire_time = self.schedule.next_fire_time(
            self._instant_of(before or yesterday, time.min) - MICROSECOND
        )
        days = 0
        while fire_time is not None and fire_time < self.dates.horizon:
            day = self._day(fire_time)
            days += 1
            if days == _PATIENCE and best is None and self._nobody_works_from(day):
                return self._next_kept(max(after, fire_time - MICROSECOND))
            if best is not None and best <= self._earliest_from(day):
                break
            candidate = fire_time if fire_time > after else None
            look_after = None
            if self.dates.has(day):
                candidate = self._first_moved(day, after)
            elif fire_time <= after:
                look_after = after
            if candidate is not None and (best is None or candidate < best):
                best = candidate
            fire_time = self._next_after_pass(day, fire_time, look_after)
        return best

    def _nobody_works_from(self, day: date) -> bool:
        """Whether no fire of this day or a later one can move."""
        years = range(day.year - 1, self.dates.horizon.year + 1)
        return not any(self.dates.has_working_days(year) for year in years)

    def _earliest_from(self, day: date) -> datetime:
        """No fire of this day or a later one comes to be before this."""
        day -= _DAY
        if self.action == "previous":
            day = self.dates.working_day_beside(day, -1) or day
        return self._instant_of(day, time.min)

    def _first_moved(self, day: date, after: datetime) -> datetime | None:
        """The first instant after `after` that a fire of this day of the set moves to."""
        target = self._moved_to(day)
        if target is None or self._instant_of(target, time.max) <= after:
            return None
        # What comes earlier on the clock moves to an instant that is not after `after`.
        shown = after.astimezone(self.timezone)
        earliest = shown.time() if target == shown.date() else time.min
        found = []
        for walls in self._walls_on(day, earliest):
            moved = (self._instant_of(target, wall) for wall in walls)
            found.append(next((instant for instant in moved if instant > after), None))
        return min((instant for instant in found if instant is not None), default=None)

    def _walls_on(self, day: date, earliest: time) -> Iterator[Iterator[time]]:
        """The times of day of a day's fires, from `earliest` on, in rows that each run forward.

        Of a rule on the wall clock they are its own, so that a time that this day skips is not moved as the
        end of the gap.
        """
        from_wall = datetime.combine(day, earliest)
        if isinstance(self.schedule, CronSchedule | CalendarIntervalSchedule):
            yield self._own_walls(self.schedule, from_wall)
            yield from self._left_by_yesterday(self.schedule, from_wall)
            return
        for start, end in wallclock.passes(day, self.timezone):
            into = from_wall - self._wall(start)
            yield self._shown_walls(start + max(into, timedelta(0)), end)

    def _own_walls(
        self, rule: CronSchedule | CalendarIntervalSchedule, from_wall: datetime
    ) -> Iterator[time]:
        wall = rule.next_wall(from_wall - MICROSECOND)
        while wall is not None and wall.date() == from_wall.date():
            shown = self._wall(self._instant_of(wall.date(), wall.time()))
            if shown == wall or (rule.dst_gap == "run_after" and shown.date() == wall.date()):
                yield wall.time()
            wall = rule.next_wall(wall)

    def _left_by_yesterday(
        self, rule: CronSchedule | CalendarIntervalSchedule, from_wall: datetime
    ) -> Iterator[Iterator[time]]:
        """The fire of times of the day before, where a gap that skips them ends with this day's beginning."""
        midnight = datetime.combine(from_wall.date(), time.min)
        start = self._instant_of(midnight.date(), time.min)
        begins_with_fire = self._wall(start) == midnight and rule.next_fire_time(start - MICROSECOND) == start
        if from_wall == midnight and begins_with_fire and rule.next_wall(midnight - MICROSECOND) != midnight:
            yield iter([time.min])

    def _shown_walls(self, start: datetime, end: datetime) -> Iterator[time]:
        for fire_time in self.schedule.fire_times(start - MICROSECOND, end - MICROSECOND):
            yield fire_time.astimezone(self.timezone).time()

    def _wall(self, instant: datetime) -> datetime:
        return instant.astimezone(self.timezone).replace(tzinfo=None, fold=0)

    def _next_after_pass(
        self, day: date, fire_time: datetime, at_most: datetime | None = None
    ) -> datetime | None:
        """The rule's next fire after this one and after the rest of its day's pass, or after `at_most`."""
        passes = wallclock.passes(day, self.timezone)
        end = next((end for start, end in passes if start <= fire_time < end), fire_time)
        rest = end - MICROSECOND if at_most is None else min(end - MICROSECOND, at_most)
        return self.schedule.next_fire_time(max(fire_time, rest))

    def _moved_to(self, day: date) -> date | None:
        """The working day that fires of a day of the set move to, if any."""
        if self.action == "drop":
            return None
        return self.dates.working_day_beside(day, 1 if self.action == "next" else -1)

    def _instant_of(self, day: date, wall: time) -> datetime:
        return wallclock.instant_of(datetime.combine(day, wall), self.timezone)

    def _day(self, instant: datetime) -> date:
        return instant.astimezone(self.timezone).date()


@lru_cache(maxsize=16384)
def _has_working_days(dates: DateSet, year: int) -> bool:
    return any(dates.is_working_day(day) for day in days_of(year))


@lru_cache(maxsize=16384)
def _working_day_beside(dates: DateSet, day: date, step: int) -> date | None:
    for _ in range(len(dates.dates) + _LONGEST_HOLIDAY):
        day += step * _DAY
        if dates.is_working_day(day):
            return day
    return None


def _words(text: str | None) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text or "") if word]


def _weekday(text: str) -> int:
    if text.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(text.lower())
    meant = [name for name in _WEEKDAYS if text.lower().startswith(name)]
    problem = f"weekdays are {', '.join(_WEEKDAYS)}{did_you_mean(meant)}"
    raise FieldError("weekdays", text, problem, example="sat,sun")
