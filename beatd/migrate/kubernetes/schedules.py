"""Schedules of CronJobs as Kubernetes reads them (robfig/cron 3, ParseStandard), as schedules of entries.

What differs from Debian's cron, and so from beatd's:

- `?` is `*`, `N/step` goes to the end of the field, Sunday is 0 and never 7, a range never runs backwards;
- the fields of days are joined by *and* where one of them has a `*` (or `*/1`), not where one begins with it:
  `*/2` counts as a restriction;
- a wall time that daylight saving skips is left out, one that comes twice fires twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from beatd.errors import FieldError, did_you_mean, nearest
from beatd.schedules import format_duration, parse_zone

_EXAMPLE = "30 6 * * 1-5"
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SECONDS = {
    "ns": Fraction(1, 1_000_000_000),
    "us": Fraction(1, 1_000_000),
    "µs": Fraction(1, 1_000_000),
    "μs": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Read:
    """The options of the entry; `timezone` is that which stands in the schedule itself."""

    options: Mapping[str, Any]
    timezone: str | None = None
    warnings: tuple[str, ...] = ()


def read_schedule(text: str) -> Read:
    """Raises FieldError of `schedule`."""
    try:
        return _read(text)
    except _ProblemError as problem:
        raise FieldError("schedule", text, str(problem), example=_EXAMPLE) from None


class _ProblemError(Exception):
    """Goes on from the schedule."""


def _read(text: str) -> Read:
    rule, timezone = text, None
    zoned = re.match(r"(?:CRON_)?TZ=(\S*)(.*)", text, re.DOTALL)
    if zoned:
        try:
            timezone = parse_zone(zoned[1]).key
        except FieldError as error:
            raise _ProblemError(f"{zoned[1]!r} {error.problem}") from None
        rule = zoned[2].strip()
    if rule.startswith("@"):
        return _named(rule, timezone)
    texts = rule.split()
    if len(texts) != 5:
        more = ": one with seconds is none of Kubernetes" if len(texts) in (6, 7) else ""
        counted = "1 field" if len(texts) == 1 else f"{len(texts)} fields"
        raise _ProblemError(f"has {counted}, and five are needed{more}")
    fields = [kind.parse(text) for kind, text in zip(_KINDS, texts, strict=True)]
    return Read({"cron": _cron(fields)}, timezone, tuple(_doubts(fields)))


def _named(rule: str, timezone: str | None) -> Read:
    if rule in _NICKNAMES:
        return Read({"cron": _NICKNAMES[rule]}, timezone)
    if not rule.startswith("@every "):
        meant = did_you_mean(nearest(rule, (*_NICKNAMES, "@every 1h")))
        raise _ProblemError(f"is none of {', '.join(_NICKNAMES)} and @every{meant}")
    # parts of a second are cut off, and less than one is one
    span = max(int(_duration(rule.removeprefix("@every "))), 1)
    every = format_duration(timedelta(seconds=span))
    warning = "Kubernetes counts from the CronJob's creation; beatd counts from the entry's, or from start_at"
    return Read({"every": every}, timezone, (warning,))


def _duration(text: str) -> Fraction:
    """Go's durations: 1h30m, 90s, 1.5h."""
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise _ProblemError(f"{text!r} is no duration: '1h30m', with a unit for each number")
    return sum((Fraction(number.rstrip(".")) * _SECONDS[unit] for number, unit in parts), Fraction(0))


@dataclass(frozen=True, slots=True)
class _Field:
    """`star`: one of its items is `*` or `?`, so that it holds everything."""

    kind: _Kind
    text: str
    values: tuple[int, ...]
    star: bool

    @property
    def plain(self) -> str:
        """The same for beatd, beginning with `*` only where everything is meant by it."""
        if self.star:
            return "*"
        if self.kind.name in ("minute", "hour", "month"):
            # no rule hangs on a star here but daylight saving's, which is given
            return self.kind.written(self.text)
        return self.kind.listed(self.values)


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> _Field:
        """Raises _ProblemError."""
        values: set[int] = set()
        star = False
        for item in filter(None, text.split(",")):
            these, all_of_them = self._item(item)
            values.update(these)
            star = star or all_of_them
        if not values:
            raise _ProblemError(f"{self.name} {text!r}: holds no value")
        return _Field(self, text, tuple(sorted(values)), star)

    def written(self, text: str) -> str:
        items = [item.replace("?", "*") for item in text.split(",") if item]
        return ",".join(re.sub(r"^(\w+)/", rf"\1-{self.high}/", item) for item in items)

    def listed(self, values: Sequence[int]) -> str:
        step = values[1] - values[0] if len(values) > 2 else 0
        if step and list(values) == list(range(values[0], values[-1] + 1, step)):
            return f"{values[0]}-{values[-1]}" + (f"/{step}" if step > 1 else "")
        return ",".join(map(str, values))

    def _item(self, item: str) -> tuple[range, bool]:
        parts = item.split("/")
        if len(parts) > 2:
            raise self._problem(item, "has more than one '/'")
        ends = parts[0].split("-")
        if len(ends) > 2:
            raise self._problem(item, "has more than one '-'")
        star = ends[0] in ("*", "?")
        if star:
            low, high = self.low, self.high
        else:
            low = self._value(ends[0], item)
            high = self._value(ends[1], item) if len(ends) == 2 else self.high if len(parts) == 2 else low
        step = self._number(parts[1], item) if len(parts) == 2 else 1
        if step == 0:
            raise self._problem(item, "a step is at least 1")
        if low > high:
            raise self._problem(item, "the range runs backwards")
        return range(low, high + 1, step), star and step == 1

    def _value(self, text: str, item: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.low
        value = self._number(text, item)
        if not self.low <= value <= self.high:
            sunday = "; Sunday is 0" if (self.name, value) == ("day-of-week", 7) else ""
            raise self._problem(item, f"{text} is not in {self.low}-{self.high}{sunday}")
        return value

    def _number(self, text: str, item: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            foreign = ": L, W and # are Quartz's" if re.search("[LW#]", text) else ""
            raise self._problem(item, f"{text!r} is no number{foreign}")
        return int(text)

    def _problem(self, item: str, problem: str) -> _ProblemError:
        return _ProblemError(f"{self.name} {item!r}: {problem}")


_KINDS = (
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day-of-month", 1, 31),
    _Kind("month", 1, 12, _MONTHS),
    _Kind("day-of-week", 0, 6, _WEEKDAYS),
)


def _cron(fields: Sequence[_Field]) -> str:
    return " ".join(field.plain for field in fields)


def _doubts(fields: Sequence[_Field]) -> list[str]:
    """What Kubernetes obeys and people seldom mean."""
    minute, hour, day, _, weekday = fields
    doubts = []
    if len(minute.values) == 60 and len(hour.values) < 24:
        doubts.append(
            f"{minute.text} {hour.text} runs every minute of {len(hour.values)} hours a day, "
            f"{60 * len(hour.values)} times; once an hour is 0 {hour.text}"
        )
    for field, size in ((minute, 60), (hour, 24)):
        step = re.fullmatch(r"[*?]/([0-9]+)", field.text)
        if step and int(step[1]) > 1 and size % int(step[1]):
            doubts.append(f"{field.kind.name} {field.text} does not divide {size}: it starts anew at 0")
    if not day.star and not weekday.star:
        doubts.append(
            f"day-of-month {day.text} and day-of-week {weekday.text} are both given: a day that matches one "
            "of them is enough"
        )
    return doubts
