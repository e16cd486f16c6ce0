"""Claims: how a worker marks that it has begun a run, so that a message delivered twice runs once.

All that a worker may write, and all decided by the database's time. A claim is a lease that its worker
renews; one that lapses without an end means that the worker is gone. Nobody takes over a lapsed claim:
the run may have had its effect, so the daemon closes it as lost, or lets it start again where that is wanted.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    and_,
    exists,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, claims, runs
from beatd.store.types import Instant, is_run_id


class Claim(Enum):
    """What became of an attempt to take a run."""

    TAKEN = "taken"
    #: somebody has begun it, or it has ended
    HELD = "held"
    EXPIRED = "expired"
    UNKNOWN_RUN = "unknown run"


def take(
    database: Database,
    run_id: str,
    worker: str,
    lease: timedelta,
    retries: int = 0,
    reruns_left: int | None = None,
) -> Claim:
    """Take a run, or say why not. Repeating it with the same arguments gives the same answer.

    `worker` names one delivery to one worker process, so that a call whose outcome was lost with its
    connection can be repeated. `retries` is Celery's count: a higher one takes the run again from the
    attempt before, whatever its expiry, for expiry governs the first start only. `reruns_left` is what the
    message says of it: one of a start that was given up takes nothing. Raises DatabaseUnavailable.
    """
    if not is_run_id(run_id):
        return Claim.UNKNOWN_RUN
    may_start: ColumnElement[bool] = runs.c.state.not_in(FINAL_STATES)
    if reruns_left is not None:
        may_start = and_(may_start, runs.c.reruns_left == reruns_left)
    with database.write() as connection:
        if retries and _take_again(connection, run_id, worker, lease, retries, may_start):
            return Claim.TAKEN
        if _take_new(database, connection, run_id, worker, lease, retries, may_start):
            return Claim.TAKEN
        return _reason(connection, run_id, worker, retries, may_start)


def renew(database: Database, run_id: str, worker: str, lease: timedelta) -> bool:
    """Extend the lease. False: the claim is not this worker's any more, or has ended."""
    statement = _own(run_id, worker).values(lease_until=_from_now(lease))
    with database.write() as connection:
        return connection.execute(statement).rowcount == 1


def end(database: Database, run_id: str, worker: str) -> bool:
    """Say that this worker has done with the run. False: the claim was not its own any more."""
    statement = _own(run_id, worker).values(ended_at=_from_now())
    with database.write() as connection:
        return connection.execute(statement).rowcount == 1


def _take_new(
    database: Database,
    connection: Connection,
    run_id: str,
    worker: str,
    lease: timedelta,
    retries: int,
    may_start: ColumnElement[bool],
) -> bool:
    if not retries:
        may_start = and_(may_start, or_(runs.c.expires_at.is_(None), runs.c.expires_at > _from_now()))
    row = select(
        runs.c.id,
        literal(worker).label("worker"),
        literal(retries).label("retries"),
        _from_now().label("claimed_at"),
        _from_now(lease).label("lease_until"),
    ).where(runs.c.id == run_id, may_start)
    names = ["run_id", "worker", "retries", "claimed_at", "lease_until"]
    statement = database.dialect.insert_new(claims).from_select(names, row)
    return connection.execute(statement).rowcount == 1


def _take_again(
    connection: Connection,
    run_id: str,
    worker: str,
    lease: timedelta,
    retries: int,
    may_start: ColumnElement[bool],
) -> bool:
    statement = (
        update(claims)
        .where(claims.c.run_id == run_id, claims.c.retries < retries)
        .where(exists().where(runs.c.id == run_id, may_start))
        .values(
            worker=worker,
            retries=retries,
            claimed_at=_from_now(),
            lease_until=_from_now(lease),
            ended_at=null(),
        )
    )
    return connection.execute(statement).rowcount == 1


def _reason(
    connection: Connection, run_id: str, worker: str, retries: int, may_start: ColumnElement[bool]
) -> Claim:
    query = (
        select(may_start.label("may_start"), claims.c.worker, claims.c.retries, claims.c.ended_at)
        .select_from(runs.outerjoin(claims, claims.c.run_id == runs.c.id))
        .where(runs.c.id == run_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return Claim.UNKNOWN_RUN
    if (row.worker, row.retries, row.ended_at) == (worker, retries, None):
        return Claim.TAKEN
    if row.worker is not None or not row.may_start:
        return Claim.HELD
    return Claim.EXPIRED


def _own(run_id: str, worker: str) -> Any:
    return update(claims).where(
        claims.c.run_id == run_id, claims.c.worker == worker, claims.c.ended_at.is_(None)
    )


# The database's time, within a statement


def _from_now(distance: timedelta = timedelta(0)) -> ColumnElement[Any]:
    return _FromNow(literal(distance.total_seconds(), Float))


class _FromNow(GenericFunction[Any]):
    """The database server's time plus a number of seconds."""

    name = "beatd_from_now"
    type = Instant()
    inherit_cache = True


@compiles(_FromNow, "postgresql")
def _postgresql(element: _FromNow, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"


@compiles(_FromNow, "sqlite")
def _sqlite(element: _FromNow, compiler: Any, **options: Any) -> str:
    # Its clock has milliseconds; the zeros make the text as long as every other instant's.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', {seconds} || ' seconds')"


@compiles(_FromNow, "mysql")
@compiles(_FromNow, "mariadb")
def _mariadb(element: _FromNow, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND)"
