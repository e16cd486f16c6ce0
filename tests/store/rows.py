"""Rows of `runs` and `claims`, at one instant, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from sqlalchemy import insert, select

from beatd.store.engine import Database
from beatd.store.models import claims, nudges, runs
from beatd.store.runs import OutboxRun

NOW = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LEASE = NOW + 30 * SECOND
US, THEM = str(uuid4()), str(uuid4())
WORKER = "celery@one"


def run_id(number: int) -> str:
    return str(uuid5(NAMESPACE_OID, str(number)))


def row(number: int, **values: Any) -> dict[str, Any]:
    """A recorded run, as the dispatcher writes it."""
    fire = NOW + number * SECOND
    blank = {
        "id": run_id(number),
        "entry_id": 1,
        "version": 1,
        "origin": "schedule",
        "fire_time": fire,
        "due_time": fire,
        "expires_at": NOW + HOUR,
        "state": "pending",
        "recorded_at": NOW,
        "owner": US,
        "lease_until": LEASE,
        "attempt": 1,
        "run_once": False,
        "lost_after": 3600,
        "awaited": False,
        "reruns_left": 0,
    }
    return {**blank, **values}


def put(database: Database, *rows: dict[str, Any]) -> None:
    with database.write() as connection:
        for values in rows:
            connection.execute(insert(runs), values)


def outbox(number: int, **values: Any) -> OutboxRun:
    fire = NOW + number * SECOND
    return replace(OutboxRun(run_id(number), 1, 1, fire, fire, NOW + HOUR, 1), **values)


def stored(database: Database, number: int = 1) -> Any:
    with database.read() as connection:
        return connection.execute(select(runs).where(runs.c.id == run_id(number))).one()


def states(database: Database) -> dict[int, str]:
    with database.read() as connection:
        rows = connection.execute(select(runs.c.id, runs.c.state))
        known = {row.id: row.state for row in rows}
    return {number: known[run_id(number)] for number in range(50) if run_id(number) in known}


def claim(database: Database, number: int, lease_until: datetime, ended_at: datetime | None = None) -> None:
    values = {
        "run_id": run_id(number),
        "worker": WORKER,
        "claimed_at": NOW,
        "lease_until": lease_until,
        "ended_at": ended_at,
    }
    with database.write() as connection:
        connection.execute(insert(claims), values)


def claimed(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(claims.c.run_id)).scalars())


def closed(database: Database, close: Callable[..., Any], *args: Any) -> Any:
    with database.write() as connection:
        return close(connection, database.dialect, NOW, *args)


def nudged(database: Database) -> list[tuple[str, int, str | None]]:
    """Kind, entry and run of the nudges, oldest first."""
    with database.read() as connection:
        query = select(nudges.c.kind, nudges.c.entry_id, nudges.c.run_id).order_by(nudges.c.id)
        return [tuple(row) for row in connection.execute(query)]
