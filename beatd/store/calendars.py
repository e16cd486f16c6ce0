"""The SQL of named calendars, and their contents as sets of dates.

An edit of what a calendar holds is an edit of the entries that name it: triggers make a new version of each,
which carries what the calendar held. Whether that can be read is the caller's matter, who may look at it
first (`date_set`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, exc, insert, select, update

from beatd.errors import Conflict, FieldError
from beatd.schedules import DateSet, parse_date_set
from beatd.store.entries import Transaction
from beatd.store.models import calendars, entries


@dataclass(frozen=True, slots=True)
class StoredCalendar:
    """A row of `calendars`, as text."""

    name: str
    description: str | None = None
    dates: str | None = None
    weekdays: str | None = None
    country: str | None = None
    region: str | None = None

    def date_set(self) -> DateSet:
        """What it contains. Raises FieldError that names the calendar if it cannot be read."""
        try:
            return _date_set(self.dates, self.weekdays, self.country, self.region)
        except FieldError as error:
            raise FieldError("calendar", self.name, f"it cannot be read: {error}") from error


#: Columns of a calendar that an edit may set.
CALENDAR_COLUMNS = tuple(StoredCalendar.__dataclass_fields__)


class Calendars(Mapping[str, DateSet]):
    """Calendars by name, each read when it is asked for: `[name]` raises FieldError where it cannot be.

    None stands for one that is known not to be there.
    """

    def __init__(self, stored: Mapping[str, StoredCalendar | None]) -> None:
        self._stored = stored

    def __getitem__(self, name: str) -> DateSet:
        stored = self._stored[name]
        if stored is None:
            raise FieldError("calendar", name, "there is no such calendar")
        return stored.date_set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def carried(version: Mapping[str, Any]) -> Mapping[str, DateSet]:
    """What the calendar that a version of an entry names held then; `version` is its JSON, parsed."""
    name, days = version.get("calendar"), version.get("calendar_days")
    if name is None:
        return {}
    return Calendars({name: None if days is None else StoredCalendar(name, **days)})


@lru_cache(maxsize=1000)
def _date_set(dates: str | None, weekdays: str | None, country: str | None, region: str | None) -> DateSet:
    """The same contents are parsed once."""
    return parse_date_set(dates, weekdays, country, region)


def read_all(transaction: Transaction, *, lock: bool = False) -> dict[str, StoredCalendar]:
    """All calendars by name, in the order of names; with `lock` nobody else changes them meanwhile."""
    query = select(*(calendars.c[name] for name in CALENDAR_COLUMNS)).order_by(calendars.c.name)
    if lock:
        query = query.with_for_update()
    return {row.name: StoredCalendar(*row) for row in transaction.execute(query)}


def unreadable(transaction: Transaction) -> list[FieldError]:
    """What is wrong with the calendars that cannot be read."""
    findings = []
    for stored in read_all(transaction).values():
        try:
            stored.date_set()
        except FieldError as finding:
            findings.append(finding)
    return findings


def add(transaction: Transaction, calendar: StoredCalendar) -> None:
    """Raises Conflict if there is a calendar of this name."""
    values = {name: getattr(calendar, name) for name in CALENDAR_COLUMNS}
    try:
        transaction.execute(insert(calendars).values(**values))
    except exc.IntegrityError as error:
        raise Conflict(f"there is a calendar {calendar.name!r} already") from error


def change(transaction: Transaction, name: str, values: Mapping[str, Any]) -> bool:
    """Sets columns of one calendar; False if there is none of this name. Raises Conflict as `add` does."""
    try:
        changed = transaction.execute(update(calendars).where(calendars.c.name == name).values(**values))
    except exc.IntegrityError as error:
        raise Conflict(f"there is a calendar {values['name']!r} already") from error
    return changed.rowcount == 1


def remove(transaction: Transaction, name: str) -> bool:
    """False if there is none of this name. Entries that name it are broken from then on."""
    return transaction.execute(delete(calendars).where(calendars.c.name == name)).rowcount == 1


def entries_that_name(transaction: Transaction, name: str) -> list[str]:
    """Names of the entries that name this calendar."""
    query = select(entries.c.name).where(entries.c.calendar == name).order_by(entries.c.name)
    return list(transaction.execute(query).scalars())
