"""Failures in a row, and the pausing of entries that have too many of them (`on_failure: pause`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, literal, or_, select, union_all, update

from beatd.planning.reasons import RESTORED
from beatd.store import history
from beatd.store.dialects import Dialect
from beatd.store.models import entries, runs

#: Who makes the edits that the daemon makes by itself, and by which door.
WHO, DOOR = "beatd", "daemon"

#: Entries that one statement asks about.
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Watched:
    """An entry that is paused after `limit` failures in a row at this version, which holds since `since`."""

    entry_id: int
    version: int
    since: datetime
    limit: int


def in_a_row(connection: Connection, watched: Sequence[Watched]) -> list[Watched]:
    """Those whose last `limit` runs all failed or were lost.

    A run that never began (revoked, expired) is no failure, and breaks no row of them; nor does one that a
    restore from a backup left unknown. Runs of a
    backfill are not counted: their fires are of the past, and a person watches them.
    """
    failing = []
    for start in range(0, len(watched), _AT_ONCE):
        some = watched[start : start + _AT_ONCE]
        query = union_all(*(_last_ones(one) for one in some))
        failed = Counter(row.entry_id for row in connection.execute(query) if row.state != "succeeded")
        failing += [one for one in some if failed[one.entry_id] >= one.limit]
    return failing


def _last_ones(watched: Watched) -> Select[Any]:
    last = (
        select(literal(watched.entry_id).label("entry_id"), runs.c.state)
        .where(
            runs.c.entry_id == watched.entry_id,
            runs.c.version == watched.version,
            runs.c.fire_time >= watched.since,  # else the history of all versions might be read
            runs.c.state.in_(("succeeded", "failed", "lost")),
            runs.c.origin.not_like("backfill:%"),
            or_(runs.c.reason.is_(None), runs.c.reason != RESTORED),
        )
        .order_by(runs.c.fire_time.desc())
        .limit(watched.limit)
        .subquery()
    )
    return select(last.c.entry_id, last.c.state)


def pause(
    connection: Connection, dialect: Dialect, now: datetime, failing: Sequence[Watched]
) -> Mapping[str, str]:
    """Pauses the entries that still have this version, as an edit of the daemon's; notes by their names.

    An entry that somebody edits at this moment is left alone, for what he makes of it has not failed yet.
    """
    expected = {one.entry_id: one for one in failing}
    if not expected:
        return {}
    query = select(entries.c.id, entries.c.version, entries.c.name, entries.c.enabled, entries.c.pause_note)
    rows = connection.execute(dialect.skip_locked(query.where(entries.c.id.in_(expected)))).all()
    rows = [row for row in rows if row.enabled and row.version == expected[row.id].version]
    if not rows:
        return {}
    notes = {row.id: _note(expected[row.id].limit) for row in rows}
    statement = update(entries).where(entries.c.id == bindparam("b_id"))
    connection.execute(
        statement.values(enabled=False, pause_note=bindparam("b_note")),
        [{"b_id": id_, "b_note": note} for id_, note in notes.items()],
    )
    history.sign(connection, [(row.id, row.version + 1) for row in rows], WHO, DOOR)
    history.audited(connection, [_audited(row, notes[row.id], now) for row in rows])
    return {row.name: notes[row.id] for row in rows}


def _note(limit: int) -> str:
    return f"paused after {limit} failures in a row" if limit > 1 else "paused after a failure"


def _audited(row: Any, note: str, now: datetime) -> dict[str, Any]:
    changes = {"enabled": (True, False), "pause_note": (row.pause_note, note)}
    return {
        "at": now,
        "who": WHO,
        "door": DOOR,
        "action": "pause",
        "entry_id": row.id,
        "entry_name": row.name,
        "detail": json.dumps(changes, ensure_ascii=False),
    }
