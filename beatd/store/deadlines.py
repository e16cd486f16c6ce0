"""Runs that no report will close: expired, lost, or to start again; and those that a broker forgot."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, or_, select, update

from beatd.planning.policies import EXPIRY_SLACK
from beatd.planning.reasons import (
    CANCELLED,
    HELD_TOO_LONG,
    NEVER_STARTED,
    UNHEARD,
    UNPUBLISHED,
    UNSTARTED,
    UNTOLD,
    VANISHED,
)
from beatd.store import ends
from beatd.store.dialects import Dialect
from beatd.store.models import FINAL_STATES, claims, runs

#: A run that no worker has claimed is published so many times at the most.
MOST_ATTEMPTS = 5

#: A worker tells how a run ended before it ends its claim, and gives the report up after seconds; this long
#: after the claim's end none is awaited any more. What a killed node had taken from Redis comes again after a
#: minute, and waits for the next look.
REPORT_SLACK = timedelta(minutes=3)


def close_unpublished(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Runs that the broker would not take before their expiry. Their owner sends nothing that has expired."""
    stale = and_(runs.c.state == "pending", runs.c.expires_at <= now)
    return _close_found(connection, dialect, stale, limit, _expired(now, UNPUBLISHED))


def close_held(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Runs that were held back until their expiry."""
    stale = and_(ends.UNFINISHED, runs.c.state == "held", runs.c.expires_at <= now)
    values = _expired(now, HELD_TOO_LONG)
    return _close_found(connection, dialect, stale, limit, values)


def _expired(now: datetime, reason: str) -> dict[str, Any]:
    return {"state": "expired", "finished_at": now, "reason": reason, "owner": None, "lease_until": None}


def close_unstarted(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Published runs that nobody claimed or reported on by their expiry, and a minute: expired."""
    unclaimed = ~exists().where(claims.c.run_id == runs.c.id)
    stale = and_(runs.c.state == "published", runs.c.expires_at < now - EXPIRY_SLACK, unclaimed)
    values = {"state": "expired", "finished_at": now, "reason": UNSTARTED}
    return _close_found(connection, dialect, stale, limit, values)


def start_unheard_again(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Started runs that nothing was heard of within their `lost_after`, under `on_lost: rerun`. One whose
    worker still renews its claim is heard of in its way; it is not started beside itself.
    """
    alive = exists().where(
        claims.c.run_id == runs.c.id, claims.c.ended_at.is_(None), claims.c.lease_until >= now
    )
    ids = _found(connection, dialect, and_(_unheard(now), _may_start_again(), ~alive), limit)
    return _start_again(connection, ids, now, UNHEARD)


def close_unheard(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Started runs that nothing was heard of within their `lost_after`: lost."""
    values = {"state": "lost", "finished_at": now, "reason": UNHEARD}
    return _close_found(connection, dialect, _unheard(now), limit, values)


def close_lapsed_claims(
    connection: Connection, dialect: Dialect, now: datetime, limit: int
) -> tuple[int, int]:
    """Runs whose worker let its claim lapse: the worker vanished. How many are lost, how many start again."""
    lapsed = _lapsed(connection, dialect, now, limit)
    if not lapsed:
        return 0, 0
    unfinished = and_(runs.c.id.in_(lapsed), runs.c.state.not_in(FINAL_STATES))
    again = list(connection.execute(select(runs.c.id).where(unfinished, _may_start_again())).scalars())
    restarted = _start_again(connection, again, now, VANISHED)
    connection.execute(update(claims).where(claims.c.run_id.in_(lapsed)).values(ended_at=now))
    lost = sorted(set(lapsed) - set(again))
    values = {"state": "lost", "finished_at": now, "reason": VANISHED, "owner": None, "lease_until": None}
    closed = connection.execute(
        update(runs).where(runs.c.id.in_(lost), runs.c.state.not_in(FINAL_STATES)).values(**values)
    ).rowcount
    ends.nudge(connection, lost)
    return closed, restarted


def _lapsed(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> list[str]:
    """Locked: first the runs, then the claims, as everywhere; the other way round two could wait for each
    other. A claim whose run is gone is one, too.
    """
    query = select(claims.c.run_id).where(claims.c.ended_at.is_(None), claims.c.lease_until < now)
    found = list(connection.execute(query.limit(limit)).scalars())
    if not found:
        return []
    of_found = select(runs.c.id).where(runs.c.id.in_(found))
    there = set(connection.execute(of_found).scalars())
    locked = set(connection.execute(dialect.skip_locked(of_found)).scalars())
    free = [id_ for id_ in found if id_ in locked or id_ not in there]
    return list(connection.execute(dialect.skip_locked(query.where(claims.c.run_id.in_(free)))).scalars())


def close_untold(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Runs of which it is in vain to wait for word: lost. Run-once ones that their worker has done with, but
    no report of how arrived; and those that never expire, and that no worker started within `lost_after` of
    their publication: their queue may have been purged.

    Without this they would stay open, and hold up an entry that skips overlaps. A report that comes later
    overrules it.
    """
    return _close_done(connection, dialect, now, limit) + _close_never_started(
        connection, dialect, now, limit
    )


def _close_done(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    done = exists().where(claims.c.run_id == runs.c.id, claims.c.ended_at < now - REPORT_SLACK)
    untold = and_(runs.c.state.in_(("published", "started")), runs.c.run_once, done)
    values = {"state": "lost", "finished_at": now, "reason": UNTOLD}
    return _close_found(connection, dialect, untold, limit, values)


def _close_never_started(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    waiting = and_(runs.c.state == "published", runs.c.expires_at.is_(None))
    patience = connection.execute(select(runs.c.lost_after).where(waiting).distinct()).scalars()
    # instants and seconds add up in another way on each database
    overdue = [
        and_(runs.c.lost_after == seconds, runs.c.published_at < now - timedelta(seconds=seconds))
        for seconds in patience
    ]
    unclaimed = ~exists().where(claims.c.run_id == runs.c.id)
    values = {"state": "lost", "finished_at": now, "reason": NEVER_STARTED}
    return _close_found(connection, dialect, and_(waiting, or_(false(), *overdue), unclaimed), limit, values)


def publish_again(
    connection: Connection, dialect: Dialect, now: datetime, after: timedelta, limit: int
) -> int:
    """Puts run-once runs that no worker has claimed back into the outbox.

    For brokers that forget a message when the worker holding it is killed. Doing it in vain is
    harmless, for the run is claimed before it starts, but it is not done without end: a queue that no
    worker serves would only grow.
    """
    unclaimed = ~exists().where(claims.c.run_id == runs.c.id)
    overdue = and_(
        runs.c.state == "published",
        runs.c.run_once,
        runs.c.attempt < MOST_ATTEMPTS,
        runs.c.published_at < now - after,
        or_(runs.c.expires_at.is_(None), runs.c.expires_at > now),
        unclaimed,
    )
    return _close_found(
        connection, dialect, overdue, limit, {"state": "pending", "owner": None, "lease_until": now}
    )


def _unheard(now: datetime) -> ColumnElement[bool]:
    return and_(runs.c.state.in_(("started", "retrying")), runs.c.lost_at < now)


def _may_start_again() -> ColumnElement[bool]:
    not_cancelled = or_(runs.c.reason.is_(None), runs.c.reason != CANCELLED)
    return and_(runs.c.reruns_left > 0, not_cancelled)


def _start_again(connection: Connection, ids: list[str], now: datetime, why: str) -> int:
    """Back into the outbox, as if nothing was told of it yet; expiry governs the first start only.

    With one start less left, what the worker that was given up may still say tells nothing any more, and
    a message that it has not taken yet starts nothing.
    """
    if not ids:
        return 0
    blank = dict.fromkeys(
        ("owner", "expires_at", "published_at", "started_at", "finished_at", "lost_at", "worker", "result")
    )
    connection.execute(delete(claims).where(claims.c.run_id.in_(ids)))
    return connection.execute(
        update(runs)
        .where(runs.c.id.in_(ids), runs.c.state.not_in(FINAL_STATES))
        .values(
            **blank,
            state="pending",
            lease_until=now,
            retries=0,
            report_rank=0,
            reruns_left=runs.c.reruns_left - 1,
            reason=f"started again: {why}",
        )
    ).rowcount


def _found(connection: Connection, dialect: Dialect, which: ColumnElement[bool], limit: int) -> list[str]:
    query = select(runs.c.id).where(which).limit(limit)
    return list(connection.execute(dialect.skip_locked(query)).scalars())


def _close_found(
    connection: Connection, dialect: Dialect, which: ColumnElement[bool], limit: int, values: dict[str, Any]
) -> int:
    ids = _found(connection, dialect, which, limit)
    if not ids:
        return 0
    count = connection.execute(update(runs).where(runs.c.id.in_(ids)).values(**values)).rowcount
    if values["state"] in FINAL_STATES:
        ends.nudge(connection, ids)
    return count
