"""Where entries want to be told of, and which runs a sweep has just closed. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from beatd.store.models import entries, runs


@dataclass(frozen=True, slots=True)
class Hooks:
    """What an entry is called and where it wants to be told of, as it stands now."""

    entry: str
    ping_url: str | None
    alert_url: str | None


def of_entries(connection: Connection, ids: Iterable[int], *, all_named: bool) -> dict[int, Hooks]:
    """By id, of those that want to be told of; with `all_named` of all that are still there."""
    query = select(entries.c.id, entries.c.name, entries.c.ping_url, entries.c.alert_url)
    query = query.where(entries.c.id.in_(sorted(set(ids))))
    if not all_named:
        query = query.where(or_(entries.c.ping_url.is_not(None), entries.c.alert_url.is_not(None)))
    return {row.id: Hooks(row.name, row.ping_url, row.alert_url) for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Closed:
    """A run that no worker told the end of."""

    id: str
    entry_id: int
    fire_time: datetime
    reason: str


def closed_at(connection: Connection, now: datetime, limit: int) -> list[Closed]:
    """The runs that expired or were lost at this very instant: those that the sweep of that time closed."""
    query = (
        select(runs.c.id, runs.c.entry_id, runs.c.fire_time, runs.c.reason)
        .where(runs.c.finished_at == now, runs.c.state.in_(("expired", "lost")))
        .limit(limit)
    )
    return [
        Closed(row.id, row.entry_id, row.fire_time, row.reason or "") for row in connection.execute(query)
    ]
