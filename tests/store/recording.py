"""Runs in the database, as the dispatcher records them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, insert

from beatd.store.engine import Database
from beatd.store.models import runs


def record(database: Database, *, expires_in: float | None = None, state: str = "published") -> str:
    """`expires_in` seconds of the database's time. Returns the run's id."""
    run_id = str(uuid4())
    with database.write() as connection:
        now = database.now(connection)
        expires_at = None if expires_in is None else now + timedelta(seconds=expires_in)
        insert_run(connection, run_id, now, expires_at=expires_at, state=state)
    return run_id


def insert_run(
    connection: Connection,
    run_id: str,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    state: str = "published",
) -> None:
    connection.execute(
        insert(runs).values(
            id=run_id,
            entry_id=1,
            version=1,
            origin=run_id,
            fire_time=now,
            due_time=now,
            recorded_at=now,
            state=state,
            lost_after=86400,
            expires_at=expires_at,
        )
    )
