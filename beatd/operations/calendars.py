"""What a person can do with named calendars, the dates on which entries do not fire, or on another day.

An edit changes when the entries that name the calendar fire; `preview` tells how, beforehand.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound, nearest
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.previews import FiresChange, definition_or_none, fires_change
from beatd.planning.definition import NAME_LENGTH
from beatd.planning.timing import Surroundings
from beatd.schedules import DateSet, parse_date_set
from beatd.store import calendars as store
from beatd.store import entries, history
from beatd.store.calendars import StoredCalendar
from beatd.store.entries import Transaction

#: What an entries file says of a calendar.
CALENDAR_OPTIONS = ("description", "dates", "weekdays", "country", "region")

_LISTS = ("dates", "weekdays")
_EXAMPLES = {"dates": "2026-12-24 2026-12-31", "weekdays": "sat,sun"}
_YEAR = timedelta(days=366)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar as people see it. `options` are those of an entries file, `entries` the names of those
    that name it; `error` says why it cannot be read.
    """

    name: str
    options: Mapping[str, Any]
    entries: tuple[str, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class Day:
    """A date of a calendar, and what it is in it for: 'Christmas Day', 'a listed date'."""

    date: date
    why: str


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """The dates of a calendar in one year, but for its weekdays, which come every week."""

    calendar: Calendar
    year: int
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class CalendarPreview:
    """What an edit would change: options with their old and new values, and the fires of entries."""

    changes: Mapping[str, tuple[Any, Any]]
    fires: tuple[FiresChange, ...]


class NoCalendar(NotFound):
    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__("calendar", name, nearest(name, known, 3))


# Edits


def add(context: Context, name: str, options: Mapping[str, Any]) -> Calendar:
    """Raises InvalidInput, Conflict if the name is taken."""
    calendar = checked(name, options)
    with context.database.write() as transaction:
        write(context, transaction, None, calendar)
        return _view(transaction, calendar)


def change(
    context: Context,
    name: str,
    options: Mapping[str, Any],
    *,
    add_dates: Sequence[str] = (),
    drop_dates: Sequence[str] = (),
) -> Calendar:
    """Sets options; None unsets one. `add_dates` and `drop_dates` change the list of dates, one by one.

    Raises NotFound, InvalidInput.
    """
    with context.database.write() as transaction:
        before = existing(transaction, name, lock=True)
        after = _changed(before, options, add_dates, drop_dates)
        if not changes(before, after):
            return _view(transaction, before)
        write(context, transaction, before, after)
        return _view(transaction, after)


def preview(
    context: Context,
    name: str,
    options: Mapping[str, Any],
    *,
    add_dates: Sequence[str] = (),
    drop_dates: Sequence[str] = (),
) -> CalendarPreview:
    """What `change` would do. Raises what it does."""
    with context.database.read() as transaction:
        before = existing(transaction, name)
        after = _changed(before, options, add_dates, drop_dates)
        return CalendarPreview(changes(before, after), fires_of(context, transaction, before, after))


def remove(context: Context, name: str) -> None:
    """Raises NotFound, Conflict while entries name it."""
    with context.database.write() as transaction:
        existing(transaction, name)
        if users := store.entries_that_name(transaction, name):
            shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
            raise Conflict(
                f"calendar {name!r} is that of {shown}: unset their calendar first, or name another there"
            )
        delete(context, transaction, name)


# Looking


def find(context: Context) -> list[Calendar]:
    """All, by name."""
    with context.database.read() as transaction:
        return [_view(transaction, stored) for stored in store.read_all(transaction).values()]


def show(context: Context, name: str, year: int | None = None) -> CalendarYear:
    """The calendar and its dates in a year, this one if none is given. Raises NotFound, FieldError."""
    with context.database.read() as transaction:
        stored = existing(transaction, name)
        year = context.database.now(transaction).year if year is None else year
        calendar = _view(transaction, stored)
    if not 1970 <= year <= 2199:
        raise FieldError("year", year, "a year from 1970 to 2199", example="2026")
    if calendar.error:
        return CalendarYear(calendar, year, ())
    weekly = replace(stored, weekdays=None)
    if not (weekly.dates or weekly.country):
        return CalendarYear(calendar, year, ())
    dates = weekly.date_set()
    days = (Day(day, dates.why(day) or "") for day in _days(date(year, 1, 1), date(year, 12, 31)))
    return CalendarYear(calendar, year, tuple(day for day in days if day.why))


# For entries files, too


def checked(name: str, options: Mapping[str, Any]) -> StoredCalendar:
    """The calendar of these options. Raises InvalidInput."""
    return _changed(StoredCalendar(name), options)


def natural_options(stored: StoredCalendar) -> dict[str, Any]:
    """What `checked` makes this calendar of; what is not set is left out."""
    values = {
        key: [*(getattr(stored, key) or "").replace(",", " ").split()]
        if key in _LISTS
        else getattr(stored, key)
        for key in CALENDAR_OPTIONS
    }
    return {key: value for key, value in values.items() if value}


def changes(before: StoredCalendar, after: StoredCalendar) -> dict[str, tuple[Any, Any]]:
    """The options that differ, with their old and new values."""
    old, new = natural_options(before), natural_options(after)
    return {
        key: (old.get(key), new.get(key)) for key in CALENDAR_OPTIONS if _order(old, key) != _order(new, key)
    }


def write(
    context: Context, transaction: Transaction, before: StoredCalendar | None, after: StoredCalendar
) -> None:
    """Brings a calendar to what it is to be, and notes it. Raises Conflict if the name is taken.

    Triggers make new versions of the entries that name it; they are signed here.
    """
    known = _versions(transaction, after.name)
    if before is None:
        store.add(transaction, after)
    else:
        store.change(transaction, before.name, {key: getattr(after, key) for key in CALENDAR_OPTIONS})
    made = _versions(transaction, after.name) - known
    history.sign(transaction, sorted(made), context.who, context.door)
    differing = changes(before or StoredCalendar(after.name), after)
    _audit(context, transaction, "add" if before is None else "change", after.name, differing)


def _versions(transaction: Transaction, name: str) -> set[tuple[int, int]]:
    users = entries.find_named(transaction, store.entries_that_name(transaction, name))
    return {(entry.id, entry.version) for entry in users}


def delete(context: Context, transaction: Transaction, name: str) -> None:
    """That no entry names it is the caller's matter."""
    store.remove(transaction, name)
    _audit(context, transaction, "remove", name, {})


def _audit(
    context: Context, transaction: Transaction, action: str, name: str, changes: Mapping[str, Any]
) -> None:
    writing.audit(context, transaction, f"calendar {action}", {"calendar": name, **changes})


def existing(transaction: Transaction, name: str, *, lock: bool = False) -> StoredCalendar:
    """Raises NotFound."""
    known = store.read_all(transaction, lock=lock)
    if name not in known:
        raise NoCalendar(name, known)
    return known[name]


def with_calendars(surroundings: Surroundings, wanted: Sequence[StoredCalendar]) -> Surroundings:
    """The same with these calendars in the place of those of their names."""
    new = {calendar.name: calendar.date_set() for calendar in wanted}
    return replace(surroundings, calendars=ChainMap(new, surroundings.calendars))  # type: ignore[arg-type]


def fires_of(
    context: Context, transaction: Transaction, before: StoredCalendar, after: StoredCalendar
) -> tuple[FiresChange, ...]:
    """How the fires of the entries that name a calendar change with it."""
    now = context.database.now(transaction)
    old = context.surroundings(transaction)
    new = with_calendars(old, [after])
    days = changed_days(before, after, now)
    found = []
    for entry in entries.find_named(transaction, store.entries_that_name(transaction, after.name)):
        definition = definition_or_none(new, entry)
        if definition is None:
            continue  # it is broken, by something else
        if fires := fires_change(entry, definition_or_none(old, entry), definition, now, days):
            found.append(fires)
    return tuple(found)


def changed_days(before: StoredCalendar, after: StoredCalendar, now: datetime) -> list[date]:
    """The days of the coming year that one has and the other has not."""
    try:
        old = before.date_set()
    except FieldError:
        old = DateSet()
    new = after.date_set()
    today = now.date()
    return [day for day in _days(today - _DAY, today + _YEAR) if old.has(day) != new.has(day)]


# Steps


def _changed(
    before: StoredCalendar,
    options: Mapping[str, Any],
    add_dates: Sequence[str] = (),
    drop_dates: Sequence[str] = (),
) -> StoredCalendar:
    findings = [_unknown(key, value) for key, value in options.items() if key not in CALENDAR_OPTIONS]
    values: dict[str, Any] = {}
    for key in CALENDAR_OPTIONS:
        if key in options:
            try:
                values[key] = _text(key, options[key])
            except FieldError as finding:
                findings.append(finding)
    after = replace(before, **values)
    try:
        _check_name(after.name)
        after = _with_dates(after, add_dates, drop_dates)
        if not findings:
            dates = parse_date_set(after.dates, after.weekdays, after.country, after.region)
            if dates.is_everything:
                problem = "are all: nothing would ever fire"
                raise FieldError("weekdays", after.weekdays, problem, example=_EXAMPLES["weekdays"])
            after = replace(after, country=dates.country, region=dates.region)
    except FieldError as finding:
        findings.append(finding)
    if findings:
        raise InvalidInput(findings)
    return after


def _with_dates(calendar: StoredCalendar, added: Sequence[str], dropped: Sequence[str]) -> StoredCalendar:
    if not added and not dropped:
        return calendar
    dates = set(natural_options(calendar).get("dates", ()))
    for text in dropped:
        if text not in dates:
            raise FieldError("drop-dates", text, "is not among its dates", example=min(dates, default=None))
    return replace(calendar, dates=" ".join(sorted((dates | set(added)) - set(dropped))) or None)


def _text(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if key in _LISTS and isinstance(value, list | tuple | set | frozenset):
        texts = [item.isoformat() if isinstance(item, date) else item for item in value]
        if not all(isinstance(text, str) for text in texts):
            raise FieldError(key, value, "a list of texts is wanted", example=_EXAMPLES[key])
        return (" " if key == "dates" else ",").join(sorted(texts) if key == "dates" else texts) or None
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise FieldError(key, value, "text is wanted", example=_EXAMPLES.get(key))
    return value.strip() or None


def _unknown(key: str, value: Any) -> FieldError:
    near = nearest(key.replace("-", "_"), CALENDAR_OPTIONS)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(CALENDAR_OPTIONS)}"
    return FieldError(key, value, f"unknown option{hint}")


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        problem = f"1 to {NAME_LENGTH} printable characters, none of them blank at either end"
        raise FieldError("name", name, problem, example="holidays")


def _order(options: Mapping[str, Any], key: str) -> Any:
    """Lists in whatever order are the same."""
    return sorted(options[key]) if key in _LISTS and key in options else options.get(key)


def _view(transaction: Transaction, stored: StoredCalendar) -> Calendar:
    try:
        stored.date_set()
        error = None
    except FieldError as finding:
        error = str(finding)
    users = store.entries_that_name(transaction, stored.name)
    return Calendar(stored.name, natural_options(stored), tuple(users), error)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + number * _DAY
