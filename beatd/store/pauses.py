"""The SQL of pausing everything: since when, until when, and why.

Rows stay for ever, for they tell which fires of the past made no runs. An operator may write them by hand;
on PostgreSQL a trigger wakes the dispatcher, elsewhere it looks by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, insert, or_, select, update

from beatd.planning.look import Pause
from beatd.store.entries import Transaction
from beatd.store.models import pauses

#: The note of what is no pause by a person's wish: the time between a backup and the restore from it.
RESTORED = "restored from a backup"


@dataclass(frozen=True, slots=True)
class StoredPause:
    """A row of `pauses`; `until` None: for the time being."""

    since: datetime
    until: datetime | None
    note: str | None
    who: str | None


def open_pause(transaction: Transaction, now: datetime) -> StoredPause | None:
    """Whether everything is paused; of several pauses the one that began first."""
    row = transaction.execute(_query().where(_open(now)).limit(1)).one_or_none()
    return None if row is None else StoredPause(*row)


def all_pauses(transaction: Transaction) -> list[StoredPause]:
    """Every pause there ever was, the earliest first."""
    return [StoredPause(*row) for row in transaction.execute(_query())]


def pauses_since(transaction: Transaction, since: datetime) -> list[Pause]:
    """The pauses of which a part lies after `since`, for planning; the earliest first."""
    query = _query().where(or_(pauses.c.until.is_(None), pauses.c.until > since))
    return [Pause(row.since, row.until, _reason(row.note)) for row in transaction.execute(query)]


def pause(
    transaction: Transaction, now: datetime, note: str | None, who: str, until: datetime | None = None
) -> StoredPause:
    """Pauses everything from `now` on; returns the pause that is open then, which may be an earlier one."""
    found = open_pause(transaction, now)
    if found is not None:
        return found
    made = StoredPause(now, until, note, who)
    transaction.execute(insert(pauses).values(since=now, until=until, note=note, who=who))
    return made


def change(transaction: Transaction, now: datetime, until: datetime | None, note: str | None) -> None:
    """Gives every pause that is open another end and note."""
    transaction.execute(update(pauses).where(_open(now)).values(until=until, note=note))


def resume(transaction: Transaction, now: datetime) -> StoredPause | None:
    """Ends every pause that is open; returns the one that `open_pause` told, None if nothing was paused."""
    found = open_pause(transaction, now)
    if found is not None:
        transaction.execute(update(pauses).where(_open(now)).values(until=now))
    return found


def note_restore(transaction: Transaction, since: datetime, until: datetime, who: str) -> None:
    """Fires from `since` until just before `until` are settled as `restored`, and make no runs."""
    transaction.execute(insert(pauses).values(since=since, until=until, note=RESTORED, who=who))


def _reason(note: str | None) -> str:
    return "restored" if note == RESTORED else "all paused"


def _query() -> Select[Any]:
    columns = pauses.c.since, pauses.c.until, pauses.c.note, pauses.c.who
    return select(*columns).order_by(pauses.c.since, pauses.c.id)


def _open(now: datetime) -> ColumnElement[bool]:
    return and_(pauses.c.since <= now, or_(pauses.c.until.is_(None), pauses.c.until > now))
