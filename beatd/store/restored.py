"""The SQL of what a restore from a backup leaves: what may have happened since must not happen again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, update

from beatd.planning.reasons import RESTORED
from beatd.store import ends
from beatd.store.deadlines import MOST_ATTEMPTS
from beatd.store.dialects import Dialect
from beatd.store.models import claims, entries, entry_changes, entry_versions, nodes, runs, timers


def skip_used_ids(connection: Connection, dialect: Dialect, now: datetime) -> int:
    """Goes past every id that entries may have got since the backup; returns the next one's.

    It is the number of this second since 1970: beyond whatever was given out before, also after an earlier
    restore, unless somebody makes more than one entry a second for good. May commit.
    """
    newest = connection.execute(select(func.max(entry_versions.c.entry_id))).scalar_one() or 0
    number = max(int(newest) + 1, int(now.timestamp()))
    dialect.count_from(connection, entries, number)
    return number


def first_unsettled(connection: Connection, until: datetime) -> datetime | None:
    """From when on there may be fires up to `until` that are neither run nor record."""
    due = select(func.min(timers.c.next_fire_at))
    edited = (
        select(func.min(entry_versions.c.changed_at))
        .join(timers, timers.c.entry_id == entry_versions.c.entry_id, isouter=True)
        .where(
            exists().where(entry_changes.c.entry_id == entry_versions.c.entry_id),
            or_(timers.c.entry_id.is_(None), entry_versions.c.version > timers.c.planned_version),
        )
    )
    found = [connection.execute(query).scalar_one() for query in (due, edited)]
    return min((instant for instant in found if instant is not None and instant < until), default=None)


def close_open_runs(connection: Connection, now: datetime) -> dict[str, int]:
    """Ends, as lost, the runs that were about to start or had started; returns how many had which state.

    What a worker says of one afterwards overrules it. A run that lies with the broker stays: its message, if
    it is still there, has not been taken. It is not published again. So stays one whose time has not come.
    """
    waits = and_(runs.c.attempt == 0, runs.c.due_time > now)
    begun = or_(
        and_(runs.c.state == "pending", ~waits),
        runs.c.state.in_(("held", "started", "retrying")),
        and_(runs.c.state == "published", exists().where(claims.c.run_id == runs.c.id)),
    )
    counts: dict[str, int] = {}
    while found := connection.execute(select(runs.c.id, runs.c.state).where(begun).limit(_AT_ONCE)).all():
        ids = [row.id for row in found]
        for row in found:
            counts[row.state] = counts.get(row.state, 0) + 1
        connection.execute(update(runs).where(runs.c.id.in_(ids)).values(**_lost(now)))
        connection.execute(
            update(claims).where(claims.c.run_id.in_(ids), claims.c.ended_at.is_(None)).values(ended_at=now)
        )
        ends.nudge(connection, ids)
    connection.execute(update(runs).where(runs.c.state == "published").values(attempt=MOST_ATTEMPTS))
    return counts


def forget_nodes(connection: Connection) -> None:
    """None of those that the backup tells of lives."""
    connection.execute(delete(nodes))


_AT_ONCE = 1000


def _lost(now: datetime) -> dict[str, Any]:
    return {"state": "lost", "finished_at": now, "reason": RESTORED, "owner": None, "lease_until": None}
