"""Which days a cron expression matches (SEMANTICS: Schedules, day rule).

Which days of a month match depends on nothing but the month's number, its length and the weekday that it
begins with: 28 kinds of month, and all of them come again and again, a February of either length that begins
on any weekday too. So a rule's days are worked out once for each kind of month, and looking at all kinds
tells whether it ever fires.

croniter matches the plain values, one at a time and given naive dates, so that none of its own readings of
`*`, ranges and the day rule come in. It takes a third of a millisecond for an answer, but there are only 320
of them (31 days in months of four lengths, 7 weekdays in all kinds), which all rules share. The forms that it
has not, or reads otherwise, are ours.
"""

# ruff: noqa: DTZ001 - wall times have no zone

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache

from croniter import croniter

#: The lengths that each month can have, January first.
LENGTHS = ((31,), (28, 29), (31,), (30,), (31,), (30,), (31,), (31,), (30,), (31,), (30,), (31,))


@dataclass(frozen=True, slots=True)
class DayRule:
    """The three day fields; Sunday is weekday 0.

    The day-of-month field is `days`, `last_day` (`L`) and `last_working_day` (`LW`, the last Monday to Friday
    of the month); the day-of-week field is `weekdays`, `last_weekdays` (`5L`) and `nth_weekdays` (`5#2` is
    (5, 2)). A day matches when both fields match it or, without `both_must_match`, when one does.
    """

    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    both_must_match: bool
    last_day: bool = False
    last_working_day: bool = False
    last_weekdays: tuple[int, ...] = ()
    nth_weekdays: tuple[tuple[int, int], ...] = ()
    #: What `_matching` found, by kind of month.
    _found: dict[_Kind, int] = field(init=False, compare=False, repr=False, default_factory=dict)

    @property
    def ever_matches(self) -> bool:
        """False for 30 February, and for a second Friday that must be the 1st as well."""
        kinds = (
            (length, first) for month in self.months for length in LENGTHS[month - 1] for first in range(7)
        )
        return any(self._matching(kind) for kind in kinds)

    @property
    def weekdays_that_match(self) -> frozenset[int]:
        """The weekdays on which a day that matches can fall."""
        kinds = {
            (length, first) for month in self.months for length in LENGTHS[month - 1] for first in range(7)
        }
        return frozenset(
            weekday
            for kind in kinds
            for weekday in range(7)
            if any(self._matching(kind) >> day & 1 for day in _dates_of(weekday, kind))
        )

    @property
    def has_days(self) -> bool:
        """Whether the day-of-month field, for itself, names a day that one of the months has."""
        return self.last_day or self.last_working_day or self.days[0] <= self.longest_month

    @property
    def longest_month(self) -> int:
        """The number of its days."""
        return max(LENGTHS[month - 1][-1] for month in self.months)

    def matches(self, day: date) -> bool:
        return bool(self._days_of(day.year, day.month) >> day.day & 1)

    def next_after(self, day: date) -> date | None:
        """The first matching day after a day; None when there is none up to the year 9999."""
        year, month = day.year, day.month
        later = self._days_of(year, month) >> day.day + 1 << day.day + 1
        while not later:
            year, month = self._next_month(year, month)
            if year > MAXYEAR:
                return None
            later = self._days_of(year, month)
        return date(year, month, _lowest(later))

    def count(self, first: date, end: date) -> int:
        """How many days match from `first` on and before `end`."""
        before = (self._days_of(first.year, first.month) & _below(first.day)).bit_count()
        within = (self._days_of(end.year, end.month) & _below(end.day)).bit_count()
        year, month = first.year, first.month
        number = 0
        while (year, month) < (end.year, end.month):
            number += self._days_of(year, month).bit_count()
            year, month = self._next_month(year, month)
        return number - before + within

    def _next_month(self, year: int, month: int) -> tuple[int, int]:
        """The first month of the rule after a month."""
        for later in self.months:
            if later > month:
                return year, later
        return year + 1, self.months[0]

    def _days_of(self, year: int, month: int) -> int:
        """The matching days of a month: bit n stands for day n."""
        if month not in self.months:
            return 0
        kind = _kind_of(year, month)
        found = self._found.get(kind)
        if found is None:
            found = self._found[kind] = self._matching(kind)
        return found

    def _matching(self, kind: _Kind) -> int:
        in_month = self._in_month(kind)
        if self.both_must_match:
            return in_month & self._in_week(kind) if in_month else 0
        return in_month | self._in_week(kind)

    def _in_month(self, kind: _Kind) -> int:
        length, _ = kind
        days = 1 << length if self.last_day else 0
        for day in self.days:
            days |= _matched(f"0 0 {day} * *", (length, 0))
        if self.last_working_day:
            days |= 1 << max(_dates_of(weekday, kind)[-1] for weekday in range(1, 6))
        return days

    def _in_week(self, kind: _Kind) -> int:
        days = 0
        for weekday in self.weekdays:
            days |= _matched(f"0 0 * * {weekday}", kind)
        for weekday in self.last_weekdays:
            days |= 1 << _dates_of(weekday, kind)[-1]
        for weekday, nth in self.nth_weekdays:
            # Nothing, where the month has no fifth.
            for day in _dates_of(weekday, kind)[nth - 1 : nth]:
                days |= 1 << day
        return days


#: How long a month is, and the weekday of its first day.
_Kind = tuple[int, int]


def _dates_of(weekday: int, kind: _Kind) -> range:
    length, first_weekday = kind
    return range(1 + (weekday - first_weekday) % 7, length + 1, 7)


@lru_cache(maxsize=16384)
def _kind_of(year: int, month: int) -> _Kind:
    length = 29 if month == 2 and isleap(year) else LENGTHS[month - 1][0]
    return length, date(year, month, 1).isoweekday() % 7


#: A month of each kind: the calendar repeats after 28 years.
_EXAMPLES = {_kind_of(year, month): (year, month) for year in range(2000, 2028) for month in range(1, 13)}


@lru_cache(maxsize=512)
def _matched(expression: str, kind: _Kind) -> int:
    """The days of a month of this kind that croniter matches: bit n stands for day n."""
    year, month = _EXAMPLES[kind]
    matches = croniter(expression, datetime(year, month, 1) - timedelta(microseconds=1))
    days = 0
    while (match := matches.get_next(datetime)).month == month:
        days |= 1 << match.day
    return days


def _lowest(days: int) -> int:
    return (days & -days).bit_length() - 1


def _below(day: int) -> int:
    """All days before a day."""
    return (1 << day) - 1
