"""Calendar events as schedules of entries: what fires at the same instants, or a refusal.

An event is a *box*: a set of years, of months, of days and so on, all of which must match. Boxes of several
`OnCalendar=` lines become one where that is a box again, and are cut so that no two have an instant in
common, for systemd starts a service once at an instant, however many lines name it. A cron expression is a
box too, but for its two fields of days.

systemd leaves out what daylight saving skips, and of what it repeats takes the first pass; whence `dst_gap`
and `dst_fold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

from beatd.errors import FieldError
from beatd.migrate.systemd_timers.calendar_events import (
    DAYS,
    FIRST_YEAR,
    HOURS,
    LAST_YEAR,
    MINUTES,
    MONTHS,
    SECONDS,
    WEEKDAYS,
    YEARS,
    CalendarEvent,
)
from beatd.migrate.systemd_timers.cron_days import LAST_DAY, LAST_WEEK, CannotSayError, day_fields, field_text

_MOST_ENTRIES = 10
_LONG_MONTHS = frozenset({1, 3, 5, 7, 8, 10, 12})
_SHORT_MONTHS = frozenset({4, 6, 9, 11})
_COMPONENTS = ("years", "months", "days", "weekdays", "hours", "minutes", "seconds")

Options = Mapping[str, Any]


def entries_of(events: Sequence[CalendarEvent], timezone: str) -> tuple[Options, ...]:
    """The schedules that together fire when one of the events does; `timezone` is the machine's.

    Raises FieldError of `OnCalendar`.
    """
    zones = {event.timezone or timezone for event in events}
    if len(zones) > 1:
        text = " and ".join(event.text for event in events)
        problem = (
            f"is in several zones ({', '.join(sorted(zones))}), and systemd starts the service once where "
            "they coincide: make a timer of each"
        )
        raise FieldError("OnCalendar", text, problem, example=events[0].text)
    (zone,) = zones
    boxes = [box for event in events for box in _boxes(event)]
    joined = _disjoint(_joined(boxes), events)
    if len(joined) > _MOST_ENTRIES:
        raise _refused(events, f"makes {len(joined)} schedules together: make several timers of it")
    try:
        return tuple(_options(box, zone) for box in sorted(joined, key=_order))
    except CannotSayError as problem:
        raise _refused(events, str(problem), example=problem.example) from None


@dataclass(frozen=True, slots=True)
class _Box:
    """`days` has LAST_DAY and LAST_WEEK besides numbers; with `either`, one of days and weekdays suffices."""

    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    weekdays: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]
    either: bool = False

    @property
    def parts(self) -> tuple[_Box, ...]:
        """The boxes without `either` that it is."""
        if not self.either:
            return (self,)
        return (
            replace(self, weekdays=WEEKDAYS, either=False),
            replace(self, days=DAYS, weekdays=self.weekdays, either=False),
        )


def _boxes(event: CalendarEvent) -> list[_Box]:
    box = _Box(
        event.years, event.months, event.days, event.weekdays, event.hours, event.minutes, event.seconds
    )
    if not _exists(event):
        raise FieldError(
            "OnCalendar", event.text, "never fires: there is no such day", example="*-*-01 00:00:00"
        )
    if not event.from_end:
        return [box]
    if event.days == {1}:
        return [replace(box, days=frozenset({LAST_DAY}))]
    if event.days == frozenset(range(1, 8)):
        return [replace(box, days=frozenset({LAST_WEEK}))]
    if 2 in event.months:
        problem = (
            "counts days from the end of February, whose length differs from year to year: beatd has the "
            "last day (~01) and the last seven (~07/1) of every month, and such days of the other months"
        )
        raise FieldError("OnCalendar", event.text, problem, example="*-*~01 00:00:00")
    return [
        replace(box, months=months, days=frozenset(length + 1 - day for day in event.days))
        for length, group in ((31, _LONG_MONTHS), (30, _SHORT_MONTHS))
        if (months := event.months & group)
    ]


def _exists(event: CalendarEvent) -> bool:
    """Whether there is a day that it names: 366 days of each of its years are looked at, 28 years at most,
    after which weekdays and leap years come again (2100 leaves one out, which then has no day of its own)."""
    years = sorted(event.years)
    if len(years) > 40:
        years = [year for year in years if 2000 <= year < 2040] or years[:40]
    return any(_matching_day(event, year, month) for year in years for month in event.months)


def _matching_day(event: CalendarEvent, year: int, month: int) -> bool:
    following = date(year + month // 12, month % 12 + 1, 1)
    length = (following - date(year, month, 1)).days
    for day in range(1, length + 1):
        number = length + 1 - day if event.from_end else day
        if number in event.days and date(year, month, day).isoweekday() % 7 in event.weekdays:
            return True
    return False


# Several lines


def _joined(boxes: Iterable[_Box]) -> list[_Box]:
    """Fewer boxes that have the same instants."""
    found = list(dict.fromkeys(boxes))
    while (pair := _joinable(found)) is not None:
        first, second, joined = pair
        found = [box for box in found if box not in (first, second)] + [joined]
    return _with_either(found)


def _joinable(boxes: Sequence[_Box]) -> tuple[_Box, _Box, _Box] | None:
    for index, first in enumerate(boxes):
        for second in boxes[index + 1 :]:
            differing = [name for name in _COMPONENTS if getattr(first, name) != getattr(second, name)]
            if not any(_rest(name, first, second) for name in differing):
                return first, second, second
            if not any(_rest(name, second, first) for name in differing):
                return first, second, first
            if len(differing) == 1 and _may_unite(differing[0], first, second):
                (name,) = differing
                return first, second, _with(first, name, getattr(first, name) | getattr(second, name))
    return None


def _may_unite(name: str, first: _Box, second: _Box) -> bool:
    """Days of a kind of their own go together with others only where no weekday is asked for."""
    special = {LAST_DAY, LAST_WEEK}
    if name != "days" or not (first.days | second.days) & special:
        return True
    return first.weekdays == WEEKDAYS and LAST_WEEK not in first.days | second.days


def _with_either(boxes: list[_Box]) -> list[_Box]:
    """`*-*-01` and `Mon` are what cron says with both of its fields of days."""
    for first in boxes:
        for second in boxes:
            rest = [name for name in _COMPONENTS if name not in ("days", "weekdays")]
            if (
                first.weekdays == WEEKDAYS != second.weekdays
                and second.days == DAYS != first.days
                and LAST_WEEK not in first.days
                and all(getattr(first, name) == getattr(second, name) for name in rest)
            ):
                joined = replace(first, weekdays=second.weekdays, either=True)
                return [joined, *_with_either([box for box in boxes if box not in (first, second)])]
    return boxes


def _disjoint(boxes: Sequence[_Box], events: Sequence[CalendarEvent]) -> list[_Box]:
    """The same instants, each in one box alone."""
    found: list[_Box] = []
    # what cannot be cut comes first, the last days, which no others can be cut by, at the end
    for box in sorted(boxes, key=lambda box: (not box.either, min(box.days) < 0)):
        rest = [box]
        for taken in [part for other in found for part in other.parts]:
            rest = [piece for one in rest for piece in _without(one, taken, events)]
        found += rest
    return _plainly_joined(found)


def _plainly_joined(boxes: list[_Box]) -> list[_Box]:
    special = [box for box in boxes if box.either]
    plain = [box for box in boxes if not box.either]
    while (pair := _joinable(plain)) is not None:
        first, second, joined = pair
        plain = [box for box in plain if box not in (first, second)] + [joined]
    return special + plain


def _without(box: _Box, taken: _Box, events: Sequence[CalendarEvent]) -> list[_Box]:
    """The parts of a box that the other has not."""
    if any(not _possible(name, box) & _possible(name, taken) for name in _COMPONENTS):
        return [box]
    known = taken.days in (box.days, DAYS) or not (box.days | taken.days) & {LAST_DAY, LAST_WEEK}
    if box.either or not known:
        raise _refused(
            events, "name some instants twice: make several timers, or lines that exclude each other"
        )
    pieces = []
    for name in _COMPONENTS:
        rest = _rest(name, box, taken)
        if rest:
            pieces.append(_with(box, name, rest))
        box = _with(box, name, getattr(box, name) - rest)
    return pieces


def _with(box: _Box, name: str, values: frozenset[int]) -> _Box:
    changed: dict[str, Any] = {name: values}
    return replace(box, **changed)


def _rest(name: str, box: _Box, taken: _Box) -> frozenset[int]:
    """What a component has that the other's has not; all days have the last ones."""
    values: frozenset[int] = getattr(box, name)
    other: frozenset[int] = getattr(taken, name)
    return frozenset() if name == "days" and other == DAYS else values - other


def _possible(name: str, box: _Box) -> frozenset[int]:
    """The values that a component can stand for."""
    values: frozenset[int] = getattr(box, name)
    if name != "days":
        return values
    if LAST_WEEK in values:
        values |= frozenset(range(22, 32))
    return values | frozenset(range(28, 32)) if LAST_DAY in values else values


def _order(box: _Box) -> tuple[Any, ...]:
    return tuple(sorted(getattr(box, field.name)) if field.name != "either" else 0 for field in fields(box))


# One schedule


def _options(box: _Box, zone: str) -> Options:
    one = all(len(getattr(box, name)) == 1 for name in _COMPONENTS if name != "weekdays")
    if one and not box.either and min(box.days) > 0:
        (year,), (month,), (day,) = box.years, box.months, box.days
        (hour,), (minute,), (second,) = box.hours, box.minutes, box.seconds
        return {
            "at": f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}",
            "timezone": zone,
        }
    days, weekdays = day_fields(box.days, box.weekdays, box.months, either=box.either)
    parts = [
        field_text(box.minutes, MINUTES),
        field_text(box.hours, HOURS),
        days,
        field_text(box.months, MONTHS),
        weekdays,
    ]
    if box.seconds != {0}:
        parts.insert(0, field_text(box.seconds, SECONDS))
    options = {"cron": " ".join(parts), "timezone": zone}
    return options | _daylight(parts[-5], parts[-4], zone) | _years(box.years)


def _daylight(minute: str, hour: str, zone: str) -> dict[str, str]:
    """What makes cron's ways those of systemd."""
    if zone in ("UTC", "Etc/UTC"):
        return {}
    if minute.startswith("*") or hour.startswith("*"):
        return {"dst_fold": "first"}
    return {"dst_gap": "skip"}


def _years(years: frozenset[int]) -> dict[str, str]:
    if years == YEARS:
        return {}
    first, last = min(years), max(years)
    if len(years) != last - first + 1:
        found = ", ".join(str(year) for year in sorted(years)[:3])
        problem = f"fires in some years only ({found}, …): there is a schedule for a range of years alone"
        raise CannotSayError(problem, f"{first}..{last}-*-* 00:00:00")
    limits = {}
    if first > FIRST_YEAR:
        limits["start_at"] = f"{first:04}-01-01T00:00:00"
    if last < LAST_YEAR:
        limits["end_at"] = f"{last:04}-12-31T23:59:59"
    return limits


def _refused(events: Sequence[CalendarEvent], problem: str, *, example: str | None = None) -> FieldError:
    text = " and ".join(event.text for event in events)
    return FieldError("OnCalendar", text, problem, example=example or "Mon..Fri *-*-* 06:30")
