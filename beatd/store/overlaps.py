"""Runs of one entry beside each other: which are unfinished, which are held back, which give way.

The caller has locked the entry's timer, so that nobody else records, releases or cancels runs of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select, update

from beatd.planning.reasons import CANCELLED, SUPERSEDED
from beatd.store.dialects import Dialect
from beatd.store.ends import UNFINISHED, await_open
from beatd.store.models import OPEN_STATES, claims, runs

#: Stands in `claims.worker` where a run was taken so that no worker starts it.
_TAKEN = "beatd:cancelled"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """`asked`: runs that workers are to be asked to end. `running`: entries one of whose runs may have begun,
    and has not ended yet.
    """

    asked: tuple[str, ...] = ()
    running: frozenset[int] = frozenset()


def with_open_run(
    connection: Connection, entry_ids: Sequence[int], now: datetime, origin: str | None = None
) -> set[int]:
    """Those of the entries that have an unfinished run, of this origin or of any."""
    if not entry_ids:
        return set()
    query = select(runs.c.entry_id).where(runs.c.entry_id.in_(entry_ids), _open(now)).distinct()
    if origin is not None:
        query = query.where(runs.c.origin == origin)
    return set(connection.execute(query).scalars())


def _open(now: datetime) -> ColumnElement[bool]:
    """Whether a run runs, or can still start. What a backfill has yet to come to is not there yet.

    A claim tells that a run has begun before its report does.
    """
    waiting = runs.c.state.in_(("held", "pending", "published"))
    begun = exists().where(claims.c.run_id == runs.c.id, claims.c.ended_at.is_(None))
    later = and_(
        runs.c.origin.like("backfill:%"),
        or_(runs.c.state == "held", and_(runs.c.state == "pending", runs.c.due_time > now)),
    )
    return and_(
        UNFINISHED,
        or_(~waiting, runs.c.expires_at.is_(None), runs.c.expires_at > now, begun),
        ~later,
    )


def supersede(connection: Connection, entry_ids: Sequence[int], now: datetime) -> int:
    """Revokes the runs that these entries hold back for their schedule: of several the newest wins."""
    if not entry_ids:
        return 0
    held = runs.c.entry_id.in_(entry_ids), UNFINISHED, runs.c.state == "held", runs.c.origin == "schedule"
    # nobody is nudged: the run that they waited for is still under way
    return connection.execute(update(runs).where(*held).values(**_revoked(now, SUPERSEDED))).rowcount


def cancel(connection: Connection, dialect: Dialect, entry_ids: Sequence[int], now: datetime) -> Cancelled:
    """Ends the unfinished runs of these entries: in the database where no worker can have begun them.

    Whoever inserts the claim of a run-once run first has it. Of other runs one that is being sent counts as
    not begun; its worker is asked all the same.
    """
    if not entry_ids:
        return Cancelled()
    columns = runs.c.id, runs.c.entry_id, runs.c.state, runs.c.run_once, runs.c.owner, runs.c.attempt
    query = select(*columns).where(runs.c.entry_id.in_(entry_ids), _open(now)).order_by(runs.c.id)
    found = connection.execute(dialect.locked(query)).all()
    if not found:
        return Cancelled()
    unsent = {run.id for run in found if run.state in ("held", "pending")}
    sent = [run for run in found if run.id not in unsent or run.owner is not None or run.attempt > 0]
    taken = _taken(connection, dialect, [run.id for run in sent if run.run_once], now)
    revoked = (unsent | taken) - _begun(sent, taken)
    ended = runs.c.id.in_(revoked), runs.c.state.in_(OPEN_STATES)
    connection.execute(update(runs).where(*ended).values(**_revoked(now, CANCELLED)))
    asked = [run for run in sent if run.id not in taken]
    running = [run for run in asked if run.id not in revoked]
    connection.execute(
        update(runs).where(runs.c.id.in_([run.id for run in running])).values(reason=CANCELLED)
    )
    return Cancelled(tuple(run.id for run in asked), frozenset(run.entry_id for run in running))


def asked_to_end(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Those of the runs that `cancel` has written down as cancelled."""
    query = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.reason == CANCELLED).order_by(runs.c.id)
    return list(connection.execute(query).scalars())


def _begun(sent: Sequence[Any], taken: set[str]) -> set[str]:
    """Of those that are sent the run-once ones that a worker was faster to claim."""
    return {run.id for run in sent if run.run_once and run.id not in taken}


def _taken(connection: Connection, dialect: Dialect, run_ids: Sequence[str], now: datetime) -> set[str]:
    if not run_ids:
        return set()
    mark = {"worker": _TAKEN, "claimed_at": now, "lease_until": now, "ended_at": now}
    connection.execute(dialect.insert_new(claims), [{"run_id": id_, **mark} for id_ in run_ids])
    query = select(claims.c.run_id).where(claims.c.run_id.in_(run_ids), claims.c.worker == _TAKEN)
    return set(connection.execute(query).scalars())


def release(connection: Connection, entry_ids: Sequence[int], now: datetime) -> int:
    """Puts what waits for the end of other runs into the outbox, where none is under way any more.

    One run of each entry: the one that cancelled the others, else the one of the schedule, else the oldest
    of a backfill. Returns how many.
    """
    if not entry_ids:
        return 0
    startable = or_(runs.c.expires_at.is_(None), runs.c.expires_at > now)
    urgency = case((runs.c.state == "pending", 0), (runs.c.origin == "schedule", 1), else_=2)
    place = func.row_number().over(partition_by=runs.c.entry_id, order_by=(urgency, runs.c.fire_time))
    waiting = (
        select(runs.c.id, runs.c.entry_id, place.label("place"))
        .where(runs.c.entry_id.in_(entry_ids), UNFINISHED, _waits(now), startable)
        .subquery()
    )
    first = connection.execute(select(waiting.c.id, waiting.c.entry_id).where(waiting.c.place == 1)).all()
    if not first:
        return 0
    ids = [run.entry_id for run in first]
    await_open(connection, ids)  # by itself the entry may await none
    under_way = select(runs.c.entry_id).where(runs.c.entry_id.in_(ids), _open(now), ~_waits(now)).distinct()
    blocked = set(connection.execute(under_way).scalars())
    chosen = [run.id for run in first if run.entry_id not in blocked]
    if not chosen:
        return 0
    values = {"state": "pending", "lease_until": runs.c.due_time}
    return connection.execute(
        update(runs).where(runs.c.id.in_(chosen), _waits(now)).values(**values)
    ).rowcount


def _waits(now: datetime) -> ColumnElement[bool]:
    """Held back, or kept in the outbox beyond its due time until the run that it cancels has ended."""
    cancelling = and_(
        runs.c.state == "pending",
        runs.c.origin == "schedule",
        runs.c.owner.is_(None),
        runs.c.attempt == 0,
        runs.c.lease_until > now,
        runs.c.lease_until > runs.c.due_time,
    )
    return or_(runs.c.state == "held", cancelling)


def _revoked(now: datetime, reason: str) -> dict[str, Any]:
    return {"state": "revoked", "finished_at": now, "reason": reason, "owner": None, "lease_until": None}
