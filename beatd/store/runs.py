"""The runs as the daemon writes them: recorded, leased, published, reported on, closed, cut.

Every change names the state it expects to find; who finds another has lost a race, which is normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from beatd.reports import RANKS, Report
from beatd.store.dialects import Dialect
from beatd.store.models import FINAL_STATES, claims, nudges, runs, suppressions
from beatd.store.types import is_run_id

#: A run that is still `published` this long after its expiry counts as expired.
EXPIRY_SLACK = timedelta(seconds=60)

#: A run that no worker has claimed is published so many times at the most.
MOST_ATTEMPTS = 5

#: A worker tells how a run ended before it ends its claim, and gives the report up after seconds; this long
#: after the claim's end none is awaited any more.
REPORT_SLACK = timedelta(seconds=60)

UNPUBLISHED = "expired before it could be published"


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


_OUTBOX_COLUMNS = [runs.c[name] for name in OutboxRun.__dataclass_fields__]


def record(connection: Connection, dialect: Dialect, rows: Sequence[dict[str, Any]]) -> list[OutboxRun]:
    """Inserts runs; those that exist already are passed over. Returns the ones inserted here."""
    if not rows:
        return []
    # PostgreSQL's driver is asked for the count of an insert only where it is wanted
    statement = dialect.insert_new(runs).execution_options(preserve_rowcount=True)
    inserted = connection.execute(statement, list(rows)).rowcount
    new = [_outbox_run(row) for row in rows]
    if inserted == len(rows):
        return new
    # Only a restored backup gets here: some fires had their run already. Those are not ours to publish.
    owner, lease = rows[0]["owner"], rows[0]["lease_until"]
    query = select(runs.c.id).where(
        runs.c.id.in_([run.id for run in new]), runs.c.owner == owner, runs.c.lease_until == lease
    )
    ours = set(connection.execute(query).scalars())
    return [run for run in new if run.id in ours]


def _outbox_run(row: dict[str, Any]) -> OutboxRun:
    return OutboxRun(**{name: row.get(name, 1) for name in OutboxRun.__dataclass_fields__})


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
    return _close(connection, owner, stale, state="expired", finished_at=at, reason=UNPUBLISHED)


def mark_refused(connection: Connection, owner: str, refused: OutboxRun, at: datetime, error: str) -> int:
    """The message can never be sent; trying again would not help."""
    return _close(
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


_REPORTED = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_id"),
        or_(
            runs.c.retries < bindparam("b_retries"),
            and_(runs.c.retries == bindparam("b_retries"), runs.c.report_rank < bindparam("b_rank")),
        ),
    )
    .values(
        state=bindparam("b_state"),
        retries=bindparam("b_retries"),
        report_rank=bindparam("b_rank"),
        worker=bindparam("b_worker"),
        started_at=func.coalesce(bindparam("b_started_at", type_=runs.c.started_at.type), runs.c.started_at),
        finished_at=bindparam("b_finished_at"),
        lost_at=bindparam("b_lost_at"),
        result=bindparam("b_result"),
        error=bindparam("b_error"),
        reason=None,
        owner=None,
        lease_until=None,
    )
)

_STARTED_LATE = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_id"),
        runs.c.retries == bindparam("b_retries"),
        runs.c.report_rank > RANKS["started"],
        or_(runs.c.started_at.is_(None), runs.c.started_at < bindparam("b_started_at")),
    )
    .values(started_at=bindparam("b_started_at"))
)


def apply_reports(connection: Connection, reports: Iterable[Report], now: datetime) -> int:
    """Writes what workers told; returns how many runs it was news for.

    Reports of one run are ordered by (retries, rank); late and repeated ones change nothing. They are
    accepted from `pending` on, for they may overtake our own bookkeeping, and they overrule what the
    daemon inferred (`expired`, `lost`).
    """
    by_run: dict[str, list[Report]] = {}
    for report in reports:
        if is_run_id(report.run_id):
            by_run.setdefault(report.run_id, []).append(report)
    if not by_run:
        return 0
    query = select(runs.c.id, runs.c.lost_after).where(runs.c.id.in_(list(by_run)))
    known = {row.id: row.lost_after for row in connection.execute(query)}
    # in the order of ids: two daemons that close the same runs lock them in the same order
    rows = [_reported(by_run[id_], now + timedelta(seconds=known[id_])) for id_ in sorted(known)]
    if not rows:
        return 0
    news = connection.execute(_REPORTED, rows).rowcount
    if news < len(rows):
        _complete(connection, [report for id_ in sorted(known) for report in by_run[id_]])
    return news


def _complete(connection: Connection, told: Sequence[Report]) -> None:
    """Of an attempt that is known to have gone on, a late report still tells when it started."""
    started = [report for report in told if report.state == "started"]
    if started:
        rows = [{"b_id": r.run_id, "b_retries": r.retries, "b_started_at": r.at} for r in started]
        connection.execute(_STARTED_LATE, rows)


def _reported(told: list[Report], lost_at: datetime) -> dict[str, Any]:
    told.sort(key=lambda report: report.order)
    last = told[-1]
    started = [report.at for report in told if report.state == "started"]
    final = last.state in FINAL_STATES
    return {
        "b_id": last.run_id,
        "b_state": last.state,
        "b_retries": last.order[0],
        "b_rank": last.order[1],
        "b_worker": _storable(last.worker),
        "b_started_at": started[-1] if started else None,
        "b_finished_at": last.at if final else None,
        "b_lost_at": None if final else lost_at,
        "b_result": _storable(last.result),
        "b_error": _storable(last.error),
    }


def _storable(told: str | None) -> str | None:
    """What every database takes: PostgreSQL stores no NUL, and none what UTF-8 cannot say."""
    if told is None:
        return None
    return told.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def close_unpublished(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Runs that the broker would not take before their expiry. Their owner sends nothing that has expired."""
    stale = and_(runs.c.state == "pending", runs.c.expires_at <= now)
    values = {
        "state": "expired",
        "finished_at": now,
        "reason": UNPUBLISHED,
        "owner": None,
        "lease_until": None,
    }
    return _close_found(connection, dialect, stale, limit, values)


def close_unstarted(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Published runs that nobody claimed or reported on by their expiry, and a minute: expired."""
    unclaimed = ~exists().where(claims.c.run_id == runs.c.id)
    stale = and_(runs.c.state == "published", runs.c.expires_at < now - EXPIRY_SLACK, unclaimed)
    values = {"state": "expired", "finished_at": now, "reason": "no worker started it before its expiry"}
    return _close_found(connection, dialect, stale, limit, values)


def close_unheard(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Started runs that nothing was heard of within their `lost_after`: lost."""
    unheard = and_(runs.c.state.in_(("started", "retrying")), runs.c.lost_at < now)
    values = {"state": "lost", "finished_at": now, "reason": "nothing was heard of it within lost_after"}
    return _close_found(connection, dialect, unheard, limit, values)


def close_lapsed_claims(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Runs whose worker let its claim lapse: the worker vanished, the run is lost."""
    query = (
        select(claims.c.run_id).where(claims.c.ended_at.is_(None), claims.c.lease_until < now).limit(limit)
    )
    ids = list(connection.execute(dialect.skip_locked(query)).scalars())
    if not ids:
        return 0
    connection.execute(update(claims).where(claims.c.run_id.in_(ids)).values(ended_at=now))
    return connection.execute(
        update(runs)
        .where(runs.c.id.in_(ids), runs.c.state.not_in(FINAL_STATES))
        .values(state="lost", finished_at=now, reason="its worker vanished", owner=None, lease_until=None)
    ).rowcount


def close_untold(connection: Connection, dialect: Dialect, now: datetime, limit: int) -> int:
    """Run-once runs that their worker has done with, but no report of how arrived: lost.

    Without this they would stay open, and hold up an entry that skips overlaps. A report that comes later
    overrules it.
    """
    done = exists().where(claims.c.run_id == runs.c.id, claims.c.ended_at < now - REPORT_SLACK)
    untold = and_(runs.c.state.in_(("published", "started")), runs.c.run_once, done)
    values = {
        "state": "lost",
        "finished_at": now,
        "reason": "it has ended, but its worker could not report how",
    }
    return _close_found(connection, dialect, untold, limit, values)


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


def _close_found(
    connection: Connection, dialect: Dialect, which: ColumnElement[bool], limit: int, values: dict[str, Any]
) -> int:
    query = select(runs.c.id).where(which).limit(limit)
    ids = list(connection.execute(dialect.skip_locked(query)).scalars())
    if not ids:
        return 0
    return connection.execute(update(runs).where(runs.c.id.in_(ids)).values(**values)).rowcount


def count_pending(connection: Connection) -> int:
    return connection.execute(
        select(func.count()).select_from(runs).where(runs.c.state == "pending")
    ).scalar_one()


def take_nudges(connection: Connection, dialect: Dialect, limit: int) -> int:
    """Takes wake-ups; all they say for now is that the outbox has runs that no node leased."""
    ids = list(
        connection.execute(
            dialect.skip_locked(select(nudges.c.id).order_by(nudges.c.id).limit(limit))
        ).scalars()
    )
    if ids:
        by_key = delete(nudges).where(nudges.c.id == bindparam("b_id"))  # as of changes: see timers
        connection.execute(by_key, [{"b_id": id_} for id_ in ids])
    return len(ids)


def cut_history(connection: Connection, before: datetime, limit: int) -> int:
    """Deletes one small batch of what ended before that instant; returns how many runs and records.

    A run that nobody reports on ends at `published`; it is cut by when that was.
    """
    finished = (
        select(runs.c.id)
        .where(runs.c.finished_at < before, runs.c.state.in_(FINAL_STATES))
        .order_by(runs.c.finished_at)
        .limit(limit)
    )
    stale = or_(runs.c.expires_at.is_(None), runs.c.expires_at < before)
    silent = select(runs.c.id).where(runs.c.state == "published", runs.c.published_at < before, stale)
    ids = [*connection.execute(finished).scalars(), *connection.execute(silent.limit(limit)).scalars()]
    return _delete_runs(connection, ids) + _cut_suppressions(connection, before, limit)


def with_long_histories(connection: Connection, keep: int) -> list[int]:
    """Entries with more than `keep` runs. Reads an index of all runs: to be asked seldom."""
    counted = select(runs.c.entry_id).group_by(runs.c.entry_id).having(func.count() > keep)
    return list(connection.execute(counted).scalars())


def cut_long_history(connection: Connection, entry_id: int, keep: int, limit: int) -> int:
    """Deletes one batch of an entry's finished runs beyond its newest `keep`."""
    of_entry = select(runs.c.id).where(runs.c.entry_id == entry_id).order_by(runs.c.fire_time.desc())
    beyond = of_entry.offset(keep).limit(limit).subquery()
    query = select(runs.c.id).join(beyond, beyond.c.id == runs.c.id).where(runs.c.state.in_(FINAL_STATES))
    return _delete_runs(connection, list(connection.execute(query).scalars()))


def _delete_runs(connection: Connection, ids: list[str]) -> int:
    if not ids:
        return 0
    # a late report may have revived one of them since
    still_final = and_(runs.c.id.in_(ids), runs.c.state.in_((*FINAL_STATES, "published")))
    deleted = connection.execute(delete(runs).where(still_final)).rowcount
    gone = ~exists().where(runs.c.id == claims.c.run_id)
    connection.execute(delete(claims).where(claims.c.run_id.in_(ids), gone))
    return deleted


def _cut_suppressions(connection: Connection, before: datetime, limit: int) -> int:
    query = select(suppressions.c.id).where(suppressions.c.recorded_at < before).limit(limit)
    ids = list(connection.execute(query).scalars())
    if not ids:
        return 0
    return connection.execute(delete(suppressions).where(suppressions.c.id.in_(ids))).rowcount
