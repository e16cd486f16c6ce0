"""Cron expressions as Debian's cron reads them (SEMANTICS: Schedules).

The syntax is checked here, field by field, into sets of values. croniter then says which days match, given
naive dates and explicit values; the time within a day is looked up. `wallclock` maps to UTC.
"""

# ruff: noqa: DTZ001 - wall times have no zone

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from beatd.errors import FieldError
from beatd.schedules import wallclock
from beatd.schedules.base import Schedule, as_utc

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_EXAMPLE = "30 6 * * 1-5"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_EXPRESSION = 1000
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_cron(
    expression: str,
    timezone: ZoneInfo,
    *,
    name: str | None = None,
    dst_gap: str | None = None,
    dst_fold: str | None = None,
) -> CronSchedule:
    """The schedule of a five-field expression or an @-name, on the wall clock of the zone.

    `dst_gap` (run_after, skip) and `dst_fold` (first, second, both) override what the expression's own
    form implies: run_after and first for a fixed-time one, skip and both for a wildcard one.
    Raises FieldError of the field `cron`, `dst_gap` or `dst_fold`.
    """
    minute, hour, day, month, weekday = _parse_fields(expression)
    days = DayRule(
        days=day.values,
        months=month.values,
        weekdays=tuple(sorted({value % 7 for value in weekday.values})),
        both_must_match=day.starts_with_star or weekday.starts_with_star,
    )
    if not days.ever_matches:
        raise FieldError("cron", expression, _never(days), example="0 0 28 2 *")
    wildcard = minute.starts_with_star or hour.starts_with_star
    return CronSchedule(
        expression=" ".join(expression.split()),
        timezone=timezone,
        minutes=minute.values,
        hours=hour.values,
        days=days,
        dst_gap=_policy("dst_gap", dst_gap, wallclock.GAP_POLICIES) or ("skip" if wildcard else "run_after"),
        dst_fold=_policy("dst_fold", dst_fold, wallclock.FOLD_POLICIES) or ("both" if wildcard else "first"),
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

    def next_wall(self, after: datetime) -> datetime | None:
        """The first matching wall time (naive) strictly after a wall time (naive)."""
        today = after.date()
        if self.days.matches(today):
            wall = self._next_in_day(after)
            if wall is not None:
                return wall
        day = self.days.next_after(today)
        if day is None:
            return None
        return datetime(day.year, day.month, day.day, self.hours[0], self.minutes[0])

    def _next_in_day(self, after: datetime) -> datetime | None:
        hour = after.hour
        index = bisect_left(self.hours, hour)
        if index == len(self.hours):
            return None
        if self.hours[index] == hour:
            minute_index = bisect_right(self.minutes, after.minute)
            if minute_index < len(self.minutes):
                return after.replace(minute=self.minutes[minute_index], second=0, microsecond=0)
            index += 1
            if index == len(self.hours):
                return None
        return after.replace(hour=self.hours[index], minute=self.minutes[0], second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class DayRule:
    """Which days match: the three day fields (Sunday is 0), and whether day and weekday must both match."""

    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    both_must_match: bool
    last_day: bool = False
    last_working_day: bool = False
    last_weekdays: tuple[int, ...] = ()
    nth_weekdays: tuple[tuple[int, int], ...] = ()
    #: The same for croniter: values only, so that none of its own readings of `*` and ranges come in.
    expression: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fields = (",".join(map(str, values)) for values in (self.days, self.months, self.weekdays))
        object.__setattr__(self, "expression", "0 0 " + " ".join(fields))

    @property
    def ever_matches(self) -> bool:
        """False for 30 February and its like. Every weekday comes on every date, sooner or later."""
        if not self.both_must_match:
            return True
        return any(self.days[0] <= _LONGEST_MONTHS[month - 1] for month in self.months)

    def matches(self, day: date) -> bool:
        return day.day in self._days_in(day.year, day.month)

    def next_after(self, day: date) -> date | None:
        """The first matching day after a day; None when there is none up to the year 9999."""
        year, month = day.year, day.month
        days = self._days_in(year, month)
        index = bisect_right(days, day.day)
        while index == len(days):
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year > 9999:
                return None
            days, index = self._days_in(year, month), 0
        return date(year, month, days[index])

    def _days_in(self, year: int, month: int) -> tuple[int, ...]:
        if month not in self.months:
            return ()
        # The calendar repeats after 400 years; croniter is not asked about the ends of datetime's range.
        return _matching_days(self.expression, self.both_must_match, 2000 + year % 400, month)


@lru_cache(maxsize=16384)
def _matching_days(expression: str, both_must_match: bool, year: int, month: int) -> tuple[int, ...]:
    """The days of a month that croniter finds. Few day rules are distinct, so that entries share this."""
    before = datetime(year, month, 1) - timedelta(microseconds=1)
    matches = croniter(expression, before, day_or=not both_must_match, max_years_between_matches=1)
    days = []
    try:
        while (match := matches.get_next(datetime)).month == month and match.year == year:
            days.append(match.day)
    except CroniterBadDateError:
        pass
    return tuple(days)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field as read: its values in order, and whether its text begins with `*` (cron's two quirks)."""

    values: tuple[int, ...]
    starts_with_star: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    """What may stand in one field."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0

    def parse(self, text: str) -> _Field:
        """Raises _FieldProblemError."""
        values: set[int] = set()
        for item in text.split(","):
            values.update(self._item(item, text))
        return _Field(tuple(sorted(values)), text.startswith("*"))

    def _item(self, item: str, text: str) -> range:
        if not item:
            raise self._problem(text, "a list has no empty item")
        self._refuse_foreign_forms(item)
        span, slash, step_text = item.partition("/")
        step = self._step(item, step_text) if slash else 1
        if span == "*":
            return range(self.low, self.high + 1, step)
        first_text, dash, last_text = span.partition("-")
        first = self._value(first_text, item)
        open_end = self.high if slash else first
        last = self._value(last_text, item) if dash else open_end
        if first > last:
            hint = "" if slash else f"; did you mean {self._turned(first, last)!r}?"
            raise self._problem(item, f"the range runs backwards{hint}")
        return range(first, last + 1, step)

    def _value(self, text: str, item: str) -> int:
        lowered = text.lower()
        if lowered in self.names:
            return self.names.index(lowered) + self.first_name
        if not (text.isascii() and text.isdigit()):
            raise self._problem(item, self._not_a_value(text))
        value = int(text)
        if not self.low <= value <= self.high:
            raise self._problem(item, f"{text} is not in {self.low}-{self.high}")
        return value

    def _step(self, item: str, text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise self._problem(item, "a step is one whole number after one '/'")
        if int(text) == 0:
            raise self._problem(item, "a step is at least 1")
        return int(text)

    def _turned(self, first: int, last: int) -> str:
        """What a backward range probably means, in a form that cron has."""
        if self.high == 7 and last == 0:
            return f"{first}-7"
        if self.high == 7 and first == 7:
            return f"0-{last}"
        end = 6 if self.high == 7 else self.high
        head = f"{first}-{end}" if first < end else f"{first}"
        tail = f"{self.low}-{last}" if last > self.low else f"{last}"
        return f"{head},{tail}"

    def _not_a_value(self, text: str) -> str:
        allowed = f"{self.low}-{self.high}"
        if self.names:
            allowed += f" or {self.names[0].upper()}-{self.names[-1].upper()}"
        if not text:
            return f"a number is missing; allowed are {allowed}"
        if text == "*":
            return "'*' stands alone or before a step"
        if set(text) & set("\u2010\u2011\u2012\u2013\u2014\u2212"):
            return "that dash is not '-'"
        for name in self.names:
            if text.isalpha() and text.lower().startswith(name):
                return f"names have three letters: {name.upper()!r}"
        return f"{text!r} is not {allowed}"

    def _refuse_foreign_forms(self, item: str) -> None:
        """Forms of other schedulers, and those of ours that this version does not have yet."""
        for pattern, problem in _FOREIGN_FORMS:
            if re.fullmatch(pattern, item, re.IGNORECASE):
                raise self._problem(item, problem)

    def _problem(self, item: str, problem: str) -> _FieldProblemError:
        return _FieldProblemError(f"{self.name} {item!r}: {problem}")


class _FieldProblemError(Exception):
    """What is wrong with one field."""


_LATER = "this version does not have it yet"
_FOREIGN_FORMS = (
    (r"\?", "Quartz's '?' is not cron; write '*'"),
    (r"R(\(.*\))?(/\d+)?", "random values are not cron; write a number"),
    (r"H(\(.*\))?(/\d+)?", f"'H' is a hashed value; {_LATER}"),
    (r".*~.*", f"'~' is one value of a range; {_LATER}"),
    (r"LW|WL", f"'LW' is the last weekday of the month; {_LATER}"),
    (r"L", f"'L' is the last day; {_LATER}"),
    (rf"([0-7]|{'|'.join(_WEEKDAYS)})L", f"'L' after a weekday is its last in the month; {_LATER}"),
    (r".*#.*", f"'#' is the n-th such weekday of the month; {_LATER}"),
    (r"W\d+|\d+W|L-?\d+", "that form is Quartz's, not cron's"),
)

_FIELDS = (
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day-of-month", 1, 31),
    _Kind("month", 1, 12, _MONTHS, first_name=1),
    _Kind("day-of-week", 0, 7, _WEEKDAYS),
)


def _parse_fields(expression: str) -> list[_Field]:
    texts = _split(expression)
    try:
        return [kind.parse(text) for kind, text in zip(_FIELDS, texts, strict=True)]
    except _FieldProblemError as problem:
        raise FieldError("cron", expression, str(problem), example=_EXAMPLE) from None


def _split(expression: str) -> Sequence[str]:
    """The five texts. Only blanks and tabs part fields, as in cron: not what merely looks like a blank."""
    if len(expression) > _LONGEST_EXPRESSION:
        excerpt = expression[:40] + "..."
        problem = f"has {len(expression)} characters; at most {_LONGEST_EXPRESSION} are read"
        raise FieldError("cron", excerpt, problem, example=_EXAMPLE)
    stripped = expression.strip(" \t\r\n")
    if stripped.startswith("@"):
        return _nickname(expression, stripped).split()
    texts = [text for text in re.split(r"[ \t]+", stripped) if text]
    if len(texts) != len(_FIELDS):
        raise FieldError("cron", expression, _wrong_count(texts), example=_EXAMPLE)
    return texts


def _nickname(expression: str, name: str) -> str:
    if name in NICKNAMES:
        return NICKNAMES[name]
    if name == "@reboot":
        problem = "that is a boot schedule, which this version does not have yet"
    elif name.lower() in NICKNAMES:
        problem = f"@-names are written in small letters: {name.lower()!r}"
    else:
        problem = f"unknown; the @-names are {', '.join(NICKNAMES)}"
    raise FieldError("cron", expression, problem, example="@daily")


def _wrong_count(texts: Sequence[str]) -> str:
    """What was probably meant by too few or too many fields."""
    first = texts[0] if texts else ""
    if re.match(r"(CRON_)?TZ=", first):
        return "the zone is a field of its own: timezone"
    if re.match(r"rate\(|every$", first, re.IGNORECASE) or (len(texts) == 2 and texts[1].isalpha()):
        return "that looks like an interval, which is given as every, such as '5m'"
    if any(text.endswith((",", "-")) or text.startswith((",", "-")) for text in texts):
        return "lists and ranges have no blanks in them"
    if len(texts) == 6:
        return (
            f"six fields are read as second {first!r} before the usual five {' '.join(texts[1:])!r}; "
            f"seconds: {_LATER}, leave them out"
        )
    if len(texts) == 7:
        return (
            f"seven fields look like Quartz's second {first!r}, then {' '.join(texts[1:6])!r}, "
            f"then year {texts[6]!r}; cron has only the five in between"
        )
    fields = "1 field" if len(texts) == 1 else f"{len(texts)} fields"
    return f"has {fields}; five are needed: minute, hour, day-of-month, month, day-of-week"


def _never(days: DayRule) -> str:
    months = ", ".join(_MONTHS[month - 1].capitalize() for month in days.months)
    return f"never fires: there is no day {days.days[0]} in {months}"


def _policy(name: str, value: str | None, allowed: Sequence[str]) -> str | None:
    if value is not None and value not in allowed:
        raise FieldError(name, value, f"must be one of {', '.join(allowed)}", example=allowed[0])
    return value
