"""Ends of runs that something waits for, and the nudges that tell the dispatcher of them.

Whoever closes a run appends the nudge in the same transaction (`nudge`); nudges never lock timers. The
dispatcher takes them, locks the timers of their entries, and only then looks at what there is: whether it
reads the end or the end finds what the dispatcher recorded, one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, insert, or_, select, update

from beatd.store.dialects import Dialect
from beatd.store.models import FINAL_STATES, OPEN_STATES, nudges, runs, timers

#: The kind of a nudge which says that a run has ended. Others only wake.
ENDED = "ended"

#: Spelled out in the statement: SQLite takes a partial index only where it can read the index's condition.
UNFINISHED = runs.c.state.in_(bindparam("unfinished", OPEN_STATES, expanding=True, literal_execute=True))


@dataclass(frozen=True, slots=True)
class Nudges:
    """How many were taken, and the entries of which a run has ended."""

    taken: int
    ended: tuple[int, ...]


def nudge(connection: Connection, run_ids: Sequence[str]) -> int:
    """Tells the dispatcher of those of these runs that have ended and are waited for; returns how many."""
    if not run_ids:
        return 0
    query = select(runs.c.id, runs.c.entry_id).where(
        runs.c.id.in_(run_ids), runs.c.awaited, runs.c.state.in_(FINAL_STATES)
    )
    rows = [{"kind": ENDED, "entry_id": r.entry_id, "run_id": r.id} for r in connection.execute(query)]
    if rows:
        connection.execute(insert(nudges), rows)
    return len(rows)


def nudge_entries(connection: Connection, entry_ids: Sequence[int]) -> None:
    """Lets the dispatcher look at these entries as if a run of each had ended."""
    if entry_ids:
        connection.execute(insert(nudges), [{"kind": ENDED, "entry_id": id_} for id_ in entry_ids])


def take_nudges(connection: Connection, dialect: Dialect, limit: int) -> Nudges:
    """Takes the oldest nudges that no other node is taking."""
    query = select(nudges.c.id, nudges.c.kind, nudges.c.entry_id).order_by(nudges.c.id).limit(limit)
    rows = connection.execute(dialect.skip_locked(query)).all()
    if rows:
        by_key = delete(nudges).where(nudges.c.id == bindparam("b_id"))  # as of changes: see timers
        connection.execute(by_key, [{"b_id": row.id} for row in rows])
    ended = dict.fromkeys(row.entry_id for row in rows if row.kind == ENDED)
    return Nudges(len(rows), tuple(ended))


def await_open(connection: Connection, entry_ids: Sequence[int]) -> None:
    """From now on the end of these entries' unfinished runs is waited for.

    To be called before what depends on it is read: a run whose end is being written is waited for here.
    """
    if entry_ids:
        unaware = runs.c.entry_id.in_(entry_ids), UNFINISHED, ~runs.c.awaited
        connection.execute(update(runs).where(*unaware).values(awaited=True))


def last_ends(connection: Connection, entry_ids: Sequence[int]) -> dict[int, datetime]:
    """When the newest ended run of each entry's own schedule ended; those without one are not in it."""
    if not entry_ids:
        return {}
    end = (
        select(runs.c.finished_at)
        .where(
            runs.c.entry_id == timers.c.entry_id,
            runs.c.origin == "schedule",
            runs.c.state.in_(FINAL_STATES),
            runs.c.finished_at.is_not(None),
        )
        .order_by(runs.c.fire_time.desc())
        .limit(1)
        .scalar_subquery()
        .correlate(timers)
    )
    query = select(timers.c.entry_id, end.label("last_end")).where(timers.c.entry_id.in_(entry_ids))
    return {row.entry_id: row.last_end for row in connection.execute(query) if row.last_end is not None}


def nudge_forgotten(connection: Connection, now: datetime, limit: int) -> int:
    """Lets the dispatcher look at entries that wait for an end which nobody told it; returns how many.

    Who writes a final state by hand, or a node of an earlier version, tells nobody. Reads the timers that
    are not due at any time, and an index of unfinished runs: to be asked seldom.
    """
    other = runs.alias("other")
    begun = ("pending", "published", "started", "retrying")
    alone = ~exists().where(other.c.entry_id == runs.c.entry_id, other.c.state.in_(begun))
    held = (
        select(runs.c.entry_id)
        .where(UNFINISHED, runs.c.state == "held", alone)
        .where(or_(runs.c.expires_at.is_(None), runs.c.expires_at > now))
        .distinct()
        .limit(limit)
    )
    unfinished = exists().where(runs.c.entry_id == timers.c.entry_id, UNFINISHED)
    ran = exists().where(runs.c.entry_id == timers.c.entry_id, runs.c.origin == "schedule")
    waiting: Any = (
        select(timers.c.entry_id)
        .where(timers.c.next_due_at.is_(None), timers.c.state == "active", ~unfinished, ran)
        .limit(limit)
    )
    found = {*connection.execute(held).scalars(), *connection.execute(waiting).scalars()}
    nudge_entries(connection, sorted(found))
    return len(found)
