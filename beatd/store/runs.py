"""The runs as the outbox has them: recorded, leased, published, given back.

Every change names the state it expects to find; who finds another has lost a race, which is normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from beatd.planning.definition import Definition
from beatd.planning.policies import RERUNS
from beatd.planning.reasons import UNPUBLISHED
from beatd.store import ends
from beatd.store.dialects import Dialect
from beatd.store.models import nudges, runs


@dataclass(frozen=True, slots=True)
class OutboxRun:
    """A recorded run that its owner is to publish."""

    id: str
    entry_id: int
    version: int
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None
    attempt: int
    #: how often it may start again after its worker vanished
    reruns_left: int = 0


_OUTBOX_COLUMNS = [runs.c[name] for name in OutboxRun.__dataclass_fields__]


def of_definition(definition: Definition) -> dict[str, Any]:
    """The columns of a new run that the definition tells which it is recorded with."""
    policies = definition.policies
    return {
        "run_once": definition.run_once,
        "lost_after": int(policies.lost_after.total_seconds()),
        "awaited": definition.awaits_end,
        "reruns_left": RERUNS if policies.on_lost == "rerun" else 0,
    }


def shadowed(now: datetime) -> dict[str, Any]:
    """The columns of a new run that is recorded as what would have been: it ended when it was recorded."""
    return {"state": "shadow", "owner": None, "lease_until": None, "attempt": 0, "finished_at": now}


def record(connection: Connection, dialect: Dialect, rows: Sequence[dict[str, Any]]) -> list[OutboxRun]:
    """Inserts runs; those that exist already are passed over. Of the ones inserted here it returns those
    that are leased: their owner, one and the same, is to publish them.
    """
    if not rows:
        return []
    # PostgreSQL's driver is asked for the count of an insert only where it is wanted
    statement = dialect.insert_new(runs).execution_options(preserve_rowcount=True)
    inserted = connection.execute(statement, list(rows)).rowcount
    leased = [row for row in rows if row["owner"] is not None]
    new = [OutboxRun(**{name: row[name] for name in OutboxRun.__dataclass_fields__}) for row in leased]
    if inserted == len(rows) or not leased:
        return new
    # Only a restored backup gets here: some fires had their run already. Those are not ours to publish.
    owner, lease = leased[0]["owner"], leased[0]["lease_until"]
    query = select(runs.c.id).where(
        runs.c.id.in_([run.id for run in new]), runs.c.owner == owner, runs.c.lease_until == lease
    )
    ours = set(connection.execute(query).scalars())
    return [run for run in new if run.id in ours]


def record_backfill(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts runs of fires of the past, `pending` with a lease that ends when each is due or `held`, none of
    them owned; and wakes a node for them.
    """
    if not rows:
        return
    connection.execute(insert(runs), list(rows))
    held = sorted({row["entry_id"] for row in rows if row["state"] == "held"})
    wake_ups: list[dict[str, Any]] = [{"kind": ends.ENDED, "entry_id": entry_id} for entry_id in held]
    connection.execute(insert(nudges), [{"kind": "outbox", "entry_id": rows[0]["entry_id"]}, *wake_ups])


def take_lapsed(
    connection: Connection, dialect: Dialect, owner: str, now: datetime, lease_until: datetime, limit: int
) -> list[OutboxRun]:
    """Takes over pending runs whose lease has lapsed, whoever had it, the caller included."""
    query = (
        select(*_OUTBOX_COLUMNS)
        .where(runs.c.state == "pending", runs.c.lease_until <= now)
        .order_by(runs.c.lease_until)
        .limit(limit)
    )
    rows = connection.execute(dialect.skip_locked(query)).all()
    if not rows:
        return []
    connection.execute(
        update(runs)
        .where(runs.c.id.in_([row.id for row in rows]))
        .values(owner=owner, lease_until=lease_until, attempt=runs.c.attempt + 1)
    )
    return [replace(OutboxRun(*row), attempt=row.attempt + 1) for row in rows]


def next_lapse(connection: Connection) -> datetime | None:
    """When the next lease of a pending run ends, and the run may be taken by anybody."""
    query = select(runs.c.lease_until).where(runs.c.state == "pending").order_by(runs.c.lease_until).limit(1)
    return connection.execute(query).scalar_one_or_none()


def renew(connection: Connection, owner: str, leased: Sequence[OutboxRun], lease_until: datetime) -> set[str]:
    """Lengthens leases; returns the ids of the runs that are still the owner's to publish."""
    if not leased:
        return set()
    held = and_(_held(owner, leased), runs.c.lease_until < lease_until)
    connection.execute(update(runs).where(held).values(lease_until=lease_until))
    return set(connection.execute(select(runs.c.id).where(_held(owner, leased))).scalars())


def mark_published(connection: Connection, owner: str, confirmed: Sequence[OutboxRun], at: datetime) -> int:
    """The broker holds these messages. Runs that a report or another node has moved on stay as they are.

    Of those that a report has overtaken the history still learns when they were published.
    """
    marked = _close(connection, owner, confirmed, state="published", published_at=at)
    if marked < len(confirmed):
        overtaken = runs.c.report_rank > 0, runs.c.published_at.is_(None)
        ids = [run.id for run in confirmed]
        connection.execute(update(runs).where(runs.c.id.in_(ids), *overtaken).values(published_at=at))
    return marked


def mark_expired(connection: Connection, owner: str, stale: Sequence[OutboxRun], at: datetime) -> int:
    return _end(connection, owner, stale, state="expired", finished_at=at, reason=UNPUBLISHED)


def mark_refused(connection: Connection, owner: str, refused: OutboxRun, at: datetime, error: str) -> int:
    """The message can never be sent; trying again would not help."""
    return _end(
        connection, owner, [refused], state="failed", finished_at=at, error=error, reason="not published"
    )


def release(
    connection: Connection, owner: str, unsent: Sequence[OutboxRun], retry_at: datetime, error: str | None
) -> int:
    """Gives runs back to the outbox, to be taken again from `retry_at` on, by any node."""
    if not unsent:
        return 0
    return connection.execute(
        update(runs).where(_held(owner, unsent)).values(owner=None, lease_until=retry_at, error=error)
    ).rowcount


def release_owned_by(connection: Connection, owners: Sequence[str], now: datetime) -> int:
    """Lets the leases of nodes that are known to be dead lapse at once."""
    if not owners:
        return 0
    return connection.execute(
        update(runs)
        .where(runs.c.state == "pending", runs.c.owner.in_(owners), runs.c.lease_until > now)
        .values(lease_until=now)
    ).rowcount


def _end(connection: Connection, owner: str, ended: Sequence[OutboxRun], **values: Any) -> int:
    count = _close(connection, owner, ended, **values)
    if count:
        ends.nudge(connection, [run.id for run in ended])
    return count


def _close(connection: Connection, owner: str, closed: Sequence[OutboxRun], **values: Any) -> int:
    if not closed:
        return 0
    values = {"owner": None, "lease_until": None, "error": None, **values}
    return connection.execute(update(runs).where(_held(owner, closed)).values(**values)).rowcount


def _held(owner: str, leased: Sequence[OutboxRun]) -> ColumnElement[bool]:
    """Still pending, still leased to this owner, by the same taking."""
    by_attempt: dict[int, list[str]] = {}
    for run in leased:
        by_attempt.setdefault(run.attempt, []).append(run.id)
    same = [and_(runs.c.attempt == attempt, runs.c.id.in_(ids)) for attempt, ids in by_attempt.items()]
    return and_(runs.c.state == "pending", runs.c.owner == owner, or_(*same))


def count_pending(connection: Connection) -> int:
    return connection.execute(
        select(func.count()).select_from(runs).where(runs.c.state == "pending")
    ).scalar_one()
