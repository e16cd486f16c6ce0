"""The timers: which entries are due, taken and advanced in sets. Also the queue of changed entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, func, or_, select, update

from beatd.planning.look import Suppression
from beatd.store.dialects import Dialect
from beatd.store.models import entries, entry_changes, entry_versions, suppressions, timers

#: Columns that one pass of the dispatcher writes.
_WRITTEN = tuple(column.name for column in timers.columns)


@dataclass(frozen=True, slots=True)
class Timer:
    """A row of `timers`. `planned_version` 0 means that the entry was never planned."""

    entry_id: int
    next_due_at: datetime | None
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    planned_from: datetime
    planned_version: int
    planner: int
    zone_data: str | None
    state: str
    error: str | None
    runs_made: int = 0


def take_changes(connection: Connection, dialect: Dialect, limit: int) -> list[int]:
    """Takes the oldest changes that no other node is taking; returns the ids of the changed entries."""
    query = select(entry_changes.c.id, entry_changes.c.entry_id).order_by(entry_changes.c.id).limit(limit)
    rows = connection.execute(dialect.skip_locked(query)).all()
    if rows:
        # one by one: of a list of keys MariaDB may make a scan, which waits for what other nodes took
        by_key = delete(entry_changes).where(entry_changes.c.id == bindparam("b_id"))
        connection.execute(by_key, [{"b_id": row.id} for row in rows])
    return list(dict.fromkeys(row.entry_id for row in rows))


def queue_changes(connection: Connection, entry_ids: Sequence[int]) -> None:
    """Puts changes back that were taken and not planned."""
    if entry_ids:
        connection.execute(entry_changes.insert(), [{"entry_id": id_} for id_ in entry_ids])


def lock(
    connection: Connection,
    dialect: Dialect,
    changed: Sequence[int],
    now: datetime,
    others: Sequence[int] = (),
) -> list[Timer]:
    """Locks the timers of these entries; those of changed ones are made first where there are none yet.

    Making the row before locking it is what orders two nodes that see two edits of a new entry: the
    one that comes second reads what the first has planned. All that a pass waits for it locks here, in one
    order, so that no two passes wait for each other.
    """
    ids = sorted({*changed, *others})
    found = _locked(connection, dialect, ids)
    missing = sorted(set(changed) - {timer.entry_id for timer in found})
    if not missing:
        return found
    # only what is missing: MariaDB shares the lock of a row that it passes over, and then deadlocks
    blank = {"planned_from": now, "planned_version": 0, "planner": 0, "state": "active"}
    connection.execute(dialect.insert_new(timers), [{"entry_id": id_, **blank} for id_ in missing])
    return _locked(connection, dialect, ids)


def of_entry(connection: Connection, entry_id: int) -> Timer | None:
    row = connection.execute(select(timers).where(timers.c.entry_id == entry_id)).one_or_none()
    return None if row is None else Timer(*row)


def _locked(connection: Connection, dialect: Dialect, ids: Sequence[int]) -> list[Timer]:
    if not ids:
        return []
    query = select(timers).where(timers.c.entry_id.in_(ids)).order_by(timers.c.entry_id)
    return [Timer(*row) for row in connection.execute(dialect.locked(query))]


def take_due(
    connection: Connection, dialect: Dialect, now: datetime, limit: int, planner: int
) -> list[Timer]:
    """Locks the timers that are due, the longest due first; passes over those other nodes hold.

    Timers that a newer planner wrote are left to nodes that have it.
    """
    query = (
        select(timers)
        .where(timers.c.next_due_at <= now, timers.c.planner <= planner)
        .order_by(timers.c.next_due_at)
        .limit(limit)
    )
    for name in ("mysql", "mariadb"):
        # without it MariaDB may sort what is due, and lock all of it for one batch
        query = query.with_hint(timers, "FORCE INDEX (ix_timers_next_due_at)", name)
    return [Timer(*row) for row in connection.execute(dialect.skip_locked(query))]


def save(connection: Connection, dialect: Dialect, changed: Sequence[Timer]) -> None:
    """Writes locked timers back, as one set."""
    if changed:
        rows = [{name: getattr(timer, name) for name in _WRITTEN} for timer in changed]
        connection.execute(dialect.upsert(timers, "entry_id", _WRITTEN[1:]), rows)


def remove_of_gone_entries(connection: Connection, limit: int) -> int:
    """Deletes timers of entries that are no more, once no change of theirs is queued."""
    gone = ~exists().where(entries.c.id == timers.c.entry_id)
    settled = ~exists().where(entry_changes.c.entry_id == timers.c.entry_id)
    query = select(timers.c.entry_id).where(timers.c.next_due_at.is_(None), gone, settled).limit(limit)
    ids = list(connection.execute(query).scalars())
    if ids:
        connection.execute(delete(timers).where(timers.c.entry_id.in_(ids)))
    return len(ids)


def next_due(connection: Connection, planner: int) -> datetime | None:
    """When the next timer that this planner may take is due."""
    query = (
        select(timers.c.next_due_at)
        .where(timers.c.next_due_at.is_not(None), timers.c.planner <= planner)
        .order_by(timers.c.next_due_at)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def boot_entries(connection: Connection, created_before: datetime) -> list[tuple[int, int]]:
    """Id and version of the entries with `@reboot`, enabled or not. Reads all entries: to be asked seldom."""
    query = select(entries.c.id, entries.c.version).where(
        func.trim(entries.c.cron) == "@reboot", entries.c.created_at < created_before
    )
    return [(row.id, row.version) for row in connection.execute(query)]


def note_fire(connection: Connection, entry_ids: Sequence[int], at: datetime) -> None:
    """Of fires that no plan made."""
    if entry_ids:
        statement = update(timers).where(timers.c.entry_id == bindparam("b_id")).values(last_fire_at=at)
        connection.execute(statement, [{"b_id": id_} for id_ in sorted(entry_ids)])


def count_due(connection: Connection, now: datetime) -> int:
    return connection.execute(
        select(func.count()).select_from(timers).where(timers.c.next_due_at <= now)
    ).scalar_one()


def current_versions(connection: Connection, entry_ids: Sequence[int]) -> dict[int, int]:
    """The version each entry has now; those that are gone are not in it."""
    query = select(entries.c.id, entries.c.version).where(entries.c.id.in_(entry_ids))
    return {row.id: row.version for row in connection.execute(query)}


def versions_since(connection: Connection, planned: Iterable[Timer]) -> dict[int, list[int]]:
    """For each of these timers, as they are stored, the versions from the planned one on, oldest first."""
    found: dict[int, list[int]] = {timer.entry_id: [] for timer in planned}
    if not found:
        return found
    table = entry_versions
    query = (
        select(table.c.entry_id, table.c.version)
        .join(timers, timers.c.entry_id == table.c.entry_id)
        .where(timers.c.entry_id.in_(list(found)), table.c.version >= timers.c.planned_version)
        .order_by(table.c.version)
    )
    for row in connection.execute(query):
        found[row.entry_id].append(row.version)
    return found


def record_suppressions(
    connection: Connection, suppressed: Sequence[tuple[int, Suppression]], now: datetime
) -> None:
    """Each belongs to the entry with the id before it."""
    rows = [
        {
            "entry_id": entry_id,
            "version": record.version,
            "reason": record.reason,
            "count": record.count,
            "exact": record.exact,
            "first_fire_at": record.first,
            "last_fire_at": record.last,
            "recorded_at": now,
        }
        for entry_id, record in suppressed
    ]
    if rows:
        connection.execute(suppressions.insert(), rows)


def plan_afresh(connection: Connection, zone_data: str) -> int:
    """Queues the entries that were planned from other zone data; returns how many."""
    other = or_(timers.c.zone_data.is_(None), timers.c.zone_data != zone_data)
    count = connection.execute(select(func.count()).select_from(timers).where(other)).scalar_one()
    if count:
        stale = select(timers.c.entry_id).where(other)
        connection.execute(entry_changes.insert().from_select(["entry_id"], stale))
    return count
