"""What is laid before the checker at the end of a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from beatd.checker.evidence import (
    Claim,
    Entry,
    Evidence,
    Execution,
    Message,
    Pause,
    Run,
    Suppressed,
    Timer,
    Version,
)
from beatd.store.definitions import Definitions
from beatd.store.models import claims, entry_versions, pauses, runs, suppressions, timers

_RUN = [runs.c[name] for name in Run.__dataclass_fields__]


def gather(
    connection: Connection,
    definitions: Definitions,
    installation: str,
    since: datetime,
    now: datetime,
    messages: Sequence[Message],
    executions: Sequence[Execution],
) -> Evidence:
    """Everything since `since`: the history is over and settled at `now`."""
    rows = connection.execute
    return Evidence(
        since,
        now,
        now,
        _entries(connection, definitions),
        [Run(*row) for row in rows(select(*_RUN))],
        [
            Suppressed(
                r.entry_id,
                r.version,
                r.reason,
                r.count,
                r.exact,
                r.first_fire_at,
                r.last_fire_at,
                r.recorded_at,
            )
            for r in rows(select(suppressions))
        ],
        [Pause(r.since, r.until) for r in rows(select(pauses))],
        [Claim(r.run_id, r.worker, r.claimed_at, r.ended_at) for r in rows(select(claims))],
        messages,
        executions,
        installation,
    )


def _entries(connection: Connection, definitions: Definitions) -> list[Entry]:
    table = entry_versions
    query = select(table.c.entry_id, table.c.version, table.c.name).order_by(
        table.c.entry_id, table.c.version
    )
    known = connection.execute(query).all()
    found = definitions.get(connection, [(row.entry_id, row.version) for row in known])
    standing: Mapping[int, Any] = {row.entry_id: row for row in connection.execute(select(timers))}
    names = {row.entry_id: row.name for row in known}
    told = []
    for id_, name in names.items():
        versions = tuple(
            Version(row.version, found[id_, row.version].changed_at, found[id_, row.version].definition)
            for row in known
            if row.entry_id == id_
        )
        t = standing.get(id_)
        timer = None if t is None else Timer(t.planned_from, t.planned_version, t.next_due_at, t.state)
        told.append(Entry(id_, name, versions, timer))
    return told
