"""When a line of a crontab is started by its cron: worked out minute by minute from what cron does.

This is a second opinion on beatd's own schedules, so it shares nothing with them, nor with the reader of
crontabs. It follows cron's main loop: cron wakes at every minute, counts minutes of local time, and compares
them with those that it has dealt with. What it finds when the two part company:

- a few minutes, up to five, are made up for, all jobs of each;
- more, up to three hours, are a clock put forward: jobs with a `*` in front of minute or hour run as the
  clock now says, of the others all that were passed over are started at once;
- back by up to three hours is a clock put back: only the former run until the clock shows new times;
- anything beyond that is a correction, and the new time is all that counts.

cronie's CRON_TZ reads the clock of another zone at each of these minutes; there nothing is made up for, and
nothing held back, for that zone's sake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

_SMALL, _MEDIUM = 5, 3 * 60
_DAY = 24 * 60
#: Minutes between looks at a zone's offset; no zone changes it twice within this.
_LOOK = 6 * 60
_EPOCH = date(1970, 1, 1).toordinal()

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NICKNAMES = {
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
    "monthly": "0 0 1 * *",
    "weekly": "0 0 * * 0",
    "daily": "0 0 * * *",
    "midnight": "0 0 * * *",
    "hourly": "0 * * * *",
}


_BLANKS = re.compile(r"[ \t]+")

#: One value or range of a field.
_ITEM = re.compile(
    r"(?:(?P<star>\*)|(?P<first>[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?)(?:/(?P<step>[0-9A-Za-z]+))?",
    re.ASCII,
)


class NotEvaluated(Exception):
    """What this cannot say of a line; the text says why. `expected`: nobody could."""

    def __init__(self, why: str, *, expected: bool = False) -> None:
        super().__init__(why)
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Times:
    """What the five fields of a line match. `wild`: minute or hour begins with a star."""

    minutes_of_day: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool
    wild: bool

    def match_day(self, number: int) -> bool:
        """Whether they match the day with this number, counted from 1970-01-01."""
        day = date.fromordinal(number + _EPOCH)
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (of_month and of_week) if self.both_days else (of_month or of_week)

    def match(self, minute: int) -> bool:
        """Whether they match a minute of local time, counted from 1970-01-01 00:00."""
        number, of_day = divmod(minute, _DAY)
        return of_day in self.minutes_of_day and self.match_day(number)


def read_times(line: str, cron: Literal["debian", "cronie"] = "debian") -> Times:
    """The times of a crontab's line as it stands there. Raises NotEvaluated."""
    text = line.lstrip(" \t")
    text = text.removeprefix("-") if cron == "cronie" else text
    if text.startswith("@"):
        name = _BLANKS.split(text[1:])[0]
        if name == "reboot":
            raise NotEvaluated("it runs at boots, at no time of day", expected=True)
        if name not in _NICKNAMES:
            raise NotEvaluated(f"@{name} is no time of day")
        text = _NICKNAMES[name]
    fields = _BLANKS.split(text, maxsplit=5)[:5]
    if len(fields) < 5 or not fields[4]:
        raise NotEvaluated("there are no five fields")
    if any("~" in field for field in fields):
        raise NotEvaluated("cron draws its time whenever it reads the file (~)", expected=True)
    minutes, hours, days, months, weekdays = (
        _values(field, *limits, strict=cron == "cronie")
        for field, limits in zip(
            fields,
            ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _DAYS)),
            strict=True,
        )
    )
    return Times(
        minutes_of_day=tuple(sorted(60 * hour + minute for hour in hours for minute in minutes)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        both_days=fields[2].startswith("*") or fields[4].startswith("*"),
        wild=fields[0].startswith("*") or fields[1].startswith("*"),
    )


def _values(field: str, low: int, high: int, names: Sequence[str], *, strict: bool) -> frozenset[int]:
    """`strict`: cronie refuses what Debian's cron passes over, whatever follows a value or a range; and takes
    a Sunday that ends a range for the 7th day, not for the 0th.
    """
    values: set[int] = set()
    position = 0
    while True:
        item = _ITEM.match(field, position)
        if item is None:
            raise NotEvaluated(f"{field[position:]!r} cannot be read")
        if item["star"]:
            begin, end = low, high
        else:
            begin = end = _number(item["first"], low, names)
            if item["last"]:
                end = _number(item["last"], low, names)
                end = 7 if strict and end == 0 < begin and not item["step"] else end
            elif item["step"]:
                raise NotEvaluated(f"a step after one number, {item[0]!r}, cannot be read")
        # a step, or the end of a range, of which there is no number
        missing = () if item["step"] else ("/",) if item["star"] or item["last"] else ("/", "-")
        if field.startswith(missing, item.end()):
            raise NotEvaluated(f"what follows {item[0]!r} cannot be read")
        step = _number(item["step"], 0, ()) if item["step"] else 1
        if step == 0:
            raise NotEvaluated(f"the step of {item[0]!r} cannot be read")
        # one that runs backwards matches nothing
        found = range(begin, end + 1, step)
        if found and not low <= found[0] <= found[-1] <= high:
            raise NotEvaluated(f"{item[0]!r} is not within {low}-{high}")
        values.update(found)
        position = item.end() + 1
        if field[item.end() : position] != ",":
            break
    if strict and item.end() < len(field):
        raise NotEvaluated(f"{field!r} cannot be read")
    return frozenset(values)


def _number(text: str, low: int, names: Sequence[str]) -> int:
    if text.isdecimal():
        return int(text)
    if text.lower() in names:
        return names.index(text.lower()) + low
    raise NotEvaluated(f"{text!r} cannot be read")


# The clock as cron sees it


@dataclass(frozen=True, slots=True)
class _Run:
    """Minutes start <= t < end (UTC, from 1970) at which the clock is `ahead` minutes of UTC."""

    start: int
    end: int
    ahead: int


@dataclass(frozen=True, slots=True)
class _Tick:
    """At a minute of UTC the jobs of a local minute are looked for: the wild, the fixed ones, or both."""

    at: int
    local: int
    wild: bool
    fixed: bool


def starts(
    times: Times, machine: ZoneInfo, start: datetime, end: datetime, zone: ZoneInfo | None = None
) -> Iterator[tuple[int, int]]:
    """When cron starts it, start <= t < end: seconds since 1970, and how many processes at that instant.

    `machine` is the zone of cron's own clock, `zone` the one that cronie's CRON_TZ has in force.
    """
    first, last = _minute(start), _minute(end)
    if zone is not None:
        yield from _in_other_zone(times, machine, zone, first, last)
        return
    for part in _timeline(machine, first, last):
        if isinstance(part, _Run):
            for minute in _of_run(times, part):
                yield 60 * minute, 1
        elif count := sum(_runs(times, tick) for tick in part):
            yield 60 * part[0].at, count


def _in_other_zone(
    times: Times, machine: ZoneInfo, zone: ZoneInfo, first: int, last: int
) -> Iterator[tuple[int, int]]:
    held = set()
    if not times.wild:
        parts = (part for part in _timeline(machine, first, last) if not isinstance(part, _Run))
        held = {tick.at for part in parts for tick in part if len(part) == 1 and not tick.fixed}
    for run in _runs_of(zone, first, last):
        for minute in _of_run(times, run):
            if minute not in held:
                yield 60 * minute, 1


def _runs(times: Times, tick: _Tick) -> bool:
    return (tick.wild if times.wild else tick.fixed) and times.match(tick.local)


def _of_run(times: Times, run: _Run) -> Iterator[int]:
    """The minutes of UTC at which the local clock shows a time that matches."""
    first, last = run.start + run.ahead, run.end + run.ahead
    for number in range(first // _DAY, (last - 1) // _DAY + 1):
        if not times.match_day(number):
            continue
        midnight = number * _DAY
        whole = first <= midnight and midnight + _DAY <= last
        for of_day in times.minutes_of_day:
            if whole or first <= midnight + of_day < last:
                yield midnight + of_day - run.ahead


@lru_cache(maxsize=64)
def _timeline(zone: ZoneInfo, first: int, last: int) -> tuple[_Run | tuple[_Tick, ...], ...]:
    """The minutes of a range in order: stretches on which cron's clock goes as ever, and single minutes at
    which it does not, each with what cron looks for at it.
    """
    parts: list[_Run | tuple[_Tick, ...]] = []
    # what was dealt with when the range begins: a clock put back within the last hours still counts
    done: int | None = None
    for run in _runs_of(zone, first - _DAY, last):
        at = run.start
        while at < run.end:
            local = at + run.ahead
            gone = 1 if done is None else local - done
            if gone == 1:
                parts.append(_Run(at, run.end, run.ahead))
                done = run.end - 1 + run.ahead
                break
            parts.append(tuple(_ticks(at, local, gone)))
            done = done if -_MEDIUM < gone <= 0 else local
            at += 1
    return tuple(cut for part in parts if (cut := _cut(part, first, last)))


def _ticks(at: int, local: int, gone: int) -> Iterator[_Tick]:
    """`gone`: by how many minutes the local clock is ahead of what was dealt with last."""
    if 0 < gone <= _SMALL:
        for missed in range(local - gone + 1, local + 1):
            yield _Tick(at, missed, wild=True, fixed=True)
    elif _SMALL < gone <= _MEDIUM + 1:
        yield _Tick(at, local, wild=True, fixed=False)
        for missed in range(local - gone + 1, local + 1):
            yield _Tick(at, missed, wild=False, fixed=True)
    elif -_MEDIUM < gone <= 0:
        yield _Tick(at, local, wild=True, fixed=False)
    else:
        yield _Tick(at, local, wild=True, fixed=True)


def _cut(part: _Run | tuple[_Tick, ...], first: int, last: int) -> _Run | tuple[_Tick, ...] | None:
    if not isinstance(part, _Run):
        return part if first <= part[0].at < last else None
    cut = _Run(max(part.start, first), min(part.end, last), part.ahead)
    return cut if cut.start < cut.end else None


def _runs_of(zone: ZoneInfo, first: int, last: int) -> Iterator[_Run]:
    """The range in stretches of one offset."""
    start, ahead = first, _ahead(zone, first)
    looked_at = first
    while looked_at < last:
        following = min(looked_at + _LOOK, last)
        if _ahead(zone, following) != ahead:
            change = _change(zone, looked_at, following)
            yield _Run(start, change, ahead)
            start, ahead = change, _ahead(zone, change)
        looked_at = following
    if start < last:
        yield _Run(start, last, ahead)


def _change(zone: ZoneInfo, before: int, after: int) -> int:
    """The first minute with another offset."""
    old = _ahead(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _ahead(zone, middle) == old else (before, middle)
    return after


def _ahead(zone: ZoneInfo, minute: int) -> int:
    offset = datetime.fromtimestamp(60 * minute, UTC).astimezone(zone).utcoffset() or timedelta()
    return int(offset.total_seconds() // 60)


def _minute(instant: datetime) -> int:
    """The first whole minute that is not before."""
    return -int(-instant.timestamp() // 60)
