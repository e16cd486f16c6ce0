"""Which days a cron expression matches (SEMANTICS: Schedules, day rule).

Which days of a month match depends on nothing but the month's number, its length and the weekday that it
begins with: 28 kinds of month, and all of them come again and again, a February of either length that begins
on any weekday too. So a rule's days are worked out once for each kind of month, and looking at all kinds
tells whether it ever fires.

croniter matches the plain values of each of the two fields by itself, given naive dates and explicit values,
so that none of its own readings of `*`, ranges and the day rule come in; it takes up to a millisecond for a
month, which is why its answers are kept. The forms that it has not, or reads otherwise, are ours.
"""

# ruff: noqa: DTZ001 - wall times have no zone

from __future__ import annotations

from calendar import isleap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, timedelta
from functools import lru_cache

from croniter import CroniterBadDateError, croniter

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
    def has_days(self) -> bool:
        """Whether the day-of-month field, for itself, names a day that one of the months has."""
        longest = max(LENGTHS[month - 1][-1] for month in self.months)
        return self.last_day or self.last_working_day or self.days[0] <= longest

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
        in_month = _matched(_of_month(self.days), (kind[0], 0)) | self._ours_in_month(kind)
        in_week = _matched(_of_week(self.weekdays), kind) | self._ours_in_week(kind)
        return in_month & in_week if self.both_must_match else in_month | in_week

    def _ours_in_month(self, kind: _Kind) -> int:
        length, _ = kind
        days = 1 << length if self.last_day else 0
        if self.last_working_day:
            # The last day itself, or the Friday before a weekend that ends the month.
            days |= max(1 << day for day in range(length - 2, length + 1) if 1 <= _weekday(kind, day) <= 5)
        return days

    def _ours_in_week(self, kind: _Kind) -> int:
        days = 0
        for day in range(1, kind[0] + 1):
            weekday = _weekday(kind, day)
            is_last = weekday in self.last_weekdays and day > kind[0] - 7
            if is_last or (weekday, (day + 6) // 7) in self.nth_weekdays:
                days |= 1 << day
        return days


#: How long a month is, and the weekday of its first day.
_Kind = tuple[int, int]


def _weekday(kind: _Kind, day: int) -> int:
    return (kind[1] + day - 1) % 7


@lru_cache(maxsize=16384)
def _kind_of(year: int, month: int) -> _Kind:
    length = 29 if month == 2 and isleap(year) else LENGTHS[month - 1][0]
    return length, date(year, month, 1).isoweekday() % 7


#: A month of each kind: the calendar repeats after 28 years.
_EXAMPLES = {_kind_of(year, month): (year, month) for year in range(2000, 2028) for month in range(1, 13)}


def _of_month(days: Sequence[int]) -> str:
    return f"0 0 {','.join(map(str, days))} * *" if days else ""


def _of_week(weekdays: Sequence[int]) -> str:
    return f"0 0 * * {','.join(map(str, weekdays))}" if weekdays else ""


@lru_cache(maxsize=16384)
def _matched(expression: str, kind: _Kind) -> int:
    """The days of a month of this kind that croniter matches: bit n stands for day n.

    Few fields are distinct, so that rules share this.
    """
    if not expression:
        return 0
    year, month = _EXAMPLES[kind]
    before = datetime(year, month, 1) - timedelta(microseconds=1)
    matches = croniter(expression, before, max_years_between_matches=1)
    days = 0
    try:
        while (match := matches.get_next(datetime)).month == month and match.year == year:
            days |= 1 << match.day
    except CroniterBadDateError:  # such a day comes in no month of the year that follows
        pass
    return days


def _lowest(days: int) -> int:
    return (days & -days).bit_length() - 1


def _below(day: int) -> int:
    """All days before a day."""
    return (1 << day) - 1
