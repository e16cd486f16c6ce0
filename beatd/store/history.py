"""The SQL of what happened: versions, the audit, runs and the fires that became none; and of the few
things that a person does to a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, insert, select, update

from beatd.store import ends
from beatd.store.dialects import Dialect
from beatd.store.entries import Transaction
from beatd.store.models import (
    FINAL_STATES,
    OPEN_STATES,
    audit,
    claims,
    entries,
    entry_versions,
    nudges,
    runs,
    suppressions,
)

#: Stands in `claims.worker` where a person took a run so that no worker starts it.
REVOKED_BY_HAND = "beatd:revoked"

#: How far back of the instant asked for `news` looks for fire times: runs are recorded soon after them.
_RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an entry as the triggers kept it; `definition` is JSON text of its columns."""

    entry_id: int
    version: int
    name: str
    operation: str
    definition: str
    changed_at: datetime
    changed_by: str | None
    door: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run, with the name and zone of its entry: today's, or of an entry that was removed its last name
    and no zone.
    """

    id: str
    entry: str | None
    timezone: str | None
    entry_id: int
    version: int
    origin: str
    fire_time: datetime
    due_time: datetime
    expires_at: datetime | None
    state: str
    reason: str | None
    recorded_at: datetime
    published_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    attempt: int
    retries: int
    run_once: bool
    result: str | None
    error: str | None

    @property
    def ended(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Fires that did not become runs, counted. `exact` is False where `count` is a lower bound."""

    entry_id: int
    version: int
    reason: str
    count: int
    exact: bool
    first_fire_at: datetime
    last_fire_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Audited:
    """What somebody did to an entry by one of our doors. `detail` is JSON text."""

    at: datetime
    who: str
    door: str
    action: str
    entry_id: int | None
    entry_name: str | None
    detail: str | None


# Versions and the audit


def sign(transaction: Transaction, versions: Iterable[tuple[int, int]], who: str, door: str) -> None:
    """Writes who made these versions (entry id, version) and by which door; the triggers cannot know."""
    statement = (
        update(entry_versions)
        .where(entry_versions.c.entry_id == bindparam("b_id"), entry_versions.c.version == bindparam("b_v"))
        .values(changed_by=who, door=door)
    )
    if rows := [{"b_id": entry_id, "b_v": version} for entry_id, version in versions]:
        transaction.execute(statement, rows)


def audited(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Appends to the audit; keys are its columns."""
    if rows:
        transaction.execute(insert(audit), list(rows))


def audit_of(transaction: Transaction, entry_id: int, since: datetime, until: datetime) -> list[Audited]:
    """What was done to an entry from `since` to `until`, both included; oldest first."""
    query = (
        select(*(audit.c[name] for name in Audited.__dataclass_fields__))
        .where(audit.c.entry_id == entry_id, audit.c.at >= since, audit.c.at <= until)
        .order_by(audit.c.at, audit.c.id)
    )
    return [Audited(*row) for row in transaction.execute(query)]


def versions_of(transaction: Transaction, entry_id: int) -> list[StoredVersion]:
    """Newest first."""
    return [StoredVersion(*row) for row in transaction.execute(_versions(entry_id))]


def version_valid_at(transaction: Transaction, entry_id: int, instant: datetime) -> StoredVersion | None:
    """The version that an entry had at this instant: an edit holds from the moment it was made.

    Its operation is "delete" where the entry was removed by then; None where there was none yet.
    """
    query = _versions(entry_id).where(entry_versions.c.changed_at <= instant).limit(1)
    row = transaction.execute(query).one_or_none()
    return None if row is None else StoredVersion(*row)


def _versions(entry_id: int) -> Select[Any]:
    return (
        select(*(entry_versions.c[name] for name in StoredVersion.__dataclass_fields__))
        .where(entry_versions.c.entry_id == entry_id)
        .order_by(entry_versions.c.version.desc())
    )


def definition_at(transaction: Transaction, entry_id: int, version: int) -> str | None:
    """JSON text of the columns at this version."""
    query = select(entry_versions.c.definition).where(
        entry_versions.c.entry_id == entry_id, entry_versions.c.version == version
    )
    return transaction.execute(query).scalar_one_or_none()


def entry_id_of(transaction: Transaction, name: str) -> int | None:
    """The id of the entry of this name, or of the one removed last that had it at the end."""
    found = transaction.execute(select(entries.c.id).where(entries.c.name == name)).scalar_one_or_none()
    if found is not None:
        return int(found)
    removed = select(func.max(entry_versions.c.entry_id)).where(
        entry_versions.c.name == name, entry_versions.c.operation == "delete"
    )
    return transaction.execute(removed).scalar_one_or_none()


# Runs


def runs_where(
    transaction: Transaction,
    *,
    entry_id: int | None = None,
    states: Sequence[str] = (),
    since: datetime | None = None,
    limit: int,
) -> list[Run]:
    """Newest fire time first; `since` is the earliest fire time."""
    query = _query().order_by(runs.c.fire_time.desc()).limit(limit)
    # each in the order of an index, so that only `limit` rows are read
    if entry_id is None:
        query = query.order_by(runs.c.id.desc())
    else:
        query = query.where(runs.c.entry_id == entry_id).order_by(runs.c.origin.desc())
    if states:
        query = query.where(runs.c.state.in_(states))
    if since is not None:
        query = query.where(runs.c.fire_time >= since)
    return _runs(transaction, query)


def runs_like(transaction: Transaction, lowest: str, highest: str, limit: int = 2) -> list[Run]:
    """Runs with an id in this range, bounds included."""
    query = _query().where(runs.c.id >= lowest, runs.c.id <= highest).order_by(runs.c.id).limit(limit)
    return _runs(transaction, query)


def news(transaction: Transaction, since: datetime, entry_id: int | None = None) -> list[Run]:
    """Runs that were recorded, or ended, at `since` or later; oldest fire time first."""
    recorded = and_(runs.c.fire_time >= since - _RECENT, runs.c.recorded_at >= since)
    found: dict[str, Run] = {}
    # one query for each index: of an OR, SQLite makes a scan
    for what in (recorded, runs.c.finished_at >= since):
        query = _query().where(what)
        if entry_id is not None:
            query = query.where(runs.c.entry_id == entry_id)
        found |= {run.id: run for run in _runs(transaction, query)}
    return sorted(found.values(), key=lambda run: (run.fire_time, run.id))


def runs_around(transaction: Transaction, entry_id: int, instant: datetime, each: int) -> list[Run]:
    """Of an entry's runs the last `each` that fired at `instant` or before and the first `each` after it;
    oldest fire time first.
    """
    fire_time = runs.c.fire_time
    earlier = _query().where(fire_time <= instant).order_by(fire_time.desc(), runs.c.origin.desc())
    later = _query().where(fire_time > instant).order_by(fire_time, runs.c.origin)
    before, after = (
        _runs(transaction, query.where(runs.c.entry_id == entry_id).limit(each)) for query in (earlier, later)
    )
    return [*reversed(before), *after]


def fire_times_with_runs(
    transaction: Transaction, entry_id: int, since: datetime, until: datetime, states: Sequence[str]
) -> set[datetime]:
    """The fire times from `since` to `until`, both included, that have a run in one of these states."""
    query = select(runs.c.fire_time).where(
        runs.c.entry_id == entry_id,
        runs.c.fire_time >= since,
        runs.c.fire_time <= until,
        runs.c.state.in_(states),
    )
    return set(transaction.execute(query).scalars())


def unbegun_origins(transaction: Transaction, prefix: str, limit: int = 2) -> list[str]:
    """Origins that begin so, of runs that wait to be published."""
    query = select(runs.c.origin).where(_unbegun(), runs.c.origin.startswith(prefix, autoescape=True))
    return list(transaction.execute(query.distinct().order_by(runs.c.origin).limit(limit)).scalars())


def revoke_unbegun(transaction: Transaction, origin: str, now: datetime, reason: str) -> int:
    """Revokes the runs of this origin that nobody is publishing yet; returns how many."""
    which = _unbegun(), runs.c.origin == origin
    entry_ids = transaction.execute(select(runs.c.entry_id).where(*which).distinct()).scalars().all()
    values = {"state": "revoked", "finished_at": now, "reason": reason, "lease_until": None}
    revoked = transaction.execute(update(runs).where(*which).values(**values)).rowcount
    ends.nudge_entries(transaction, sorted(entry_ids))
    return revoked


def _unbegun() -> ColumnElement[bool]:
    return and_(runs.c.state.in_(("held", "pending")), runs.c.owner.is_(None))


def runs_between(
    transaction: Transaction, entry_id: int, since: datetime, until: datetime, limit: int
) -> list[Run]:
    """Of an entry's runs the first `limit` with since <= fire time < until; oldest fire time first."""
    fire_time = runs.c.fire_time
    query = _query().where(runs.c.entry_id == entry_id, fire_time >= since, fire_time < until)
    return _runs(transaction, query.order_by(fire_time, runs.c.origin).limit(limit))


def suppressed(
    transaction: Transaction, entry_id: int, limit: int, since: datetime | None = None
) -> list[Suppressed]:
    """Newest first."""
    query = _suppressions(entry_id).limit(limit)
    if since is not None:
        query = query.where(suppressions.c.last_fire_at >= since)
    return [Suppressed(*row) for row in transaction.execute(query)]


def suppressions_covering(transaction: Transaction, entry_id: int, instant: datetime) -> list[Suppressed]:
    """The records of an entry whose first fire was at `instant` or before and whose last at `instant` or
    after; newest first. A record of several fires may cover an instant at which none of them was.
    """
    covers = suppressions.c.first_fire_at <= instant, suppressions.c.last_fire_at >= instant
    return [Suppressed(*row) for row in transaction.execute(_suppressions(entry_id).where(*covers))]


def _suppressions(entry_id: int) -> Select[Any]:
    return (
        select(*(suppressions.c[name] for name in Suppressed.__dataclass_fields__))
        .where(suppressions.c.entry_id == entry_id)
        .order_by(suppressions.c.last_fire_at.desc(), suppressions.c.id.desc())
    )


def record_trigger(transaction: Transaction, run: Mapping[str, Any]) -> None:
    """Puts a run that a person asked for into the outbox, and wakes a node for it."""
    transaction.execute(insert(runs), [dict(run)])
    transaction.execute(
        insert(nudges), [{"kind": "outbox", "entry_id": run["entry_id"], "run_id": run["id"]}]
    )


def revoke_unclaimed(
    transaction: Transaction, dialect: Dialect, run_id: str, now: datetime, reason: str
) -> bool:
    """Revokes a run-once run, if no worker has begun it: whoever inserts the claim first has it."""
    # runs are locked before claims everywhere
    transaction.execute(dialect.locked(select(runs.c.id).where(runs.c.id == run_id)))
    claim = {"run_id": run_id, "worker": REVOKED_BY_HAND, "claimed_at": now, "lease_until": now}
    # psycopg does not tell how many rows an INSERT made unless it is asked to
    statement = dialect.insert_new(claims).execution_options(preserve_rowcount=True)
    taken = transaction.execute(statement, [claim | {"ended_at": now}]).rowcount == 1
    return taken and _revoked(transaction, run_id, OPEN_STATES, now, reason)


def revoke_unsent(transaction: Transaction, run_id: str, now: datetime, reason: str) -> bool:
    """Revokes a run whose message was not published yet."""
    return _revoked(transaction, run_id, ("held", "pending"), now, reason)


def _revoked(
    transaction: Transaction, run_id: str, states: Sequence[str], now: datetime, reason: str
) -> bool:
    values = {"state": "revoked", "finished_at": now, "reason": reason, "owner": None, "lease_until": None}
    statement = update(runs).where(runs.c.id == run_id, runs.c.state.in_(states)).values(**values)
    done = transaction.execute(statement).rowcount == 1
    if done:
        ends.nudge(transaction, [run_id])
    return done


def _query() -> Select[Any]:
    joined = {
        "entry": func.coalesce(entries.c.name, entry_versions.c.name),
        "timezone": entries.c.timezone,
    }
    columns = [joined[field] if field in joined else runs.c[field] for field in Run.__dataclass_fields__]
    same_version = and_(
        entry_versions.c.entry_id == runs.c.entry_id, entry_versions.c.version == runs.c.version
    )
    return select(*columns).select_from(
        runs.outerjoin(entries, entries.c.id == runs.c.entry_id).outerjoin(entry_versions, same_version)
    )


def _runs(transaction: Transaction, query: Select[Any]) -> list[Run]:
    return [Run(*row) for row in transaction.execute(query)]
