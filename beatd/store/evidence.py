"""What the database knows of a window, laid before the checker page by page of entries.

A page is one short transaction with one view of everything in it. However many entries there are, and however
often they fire, a page holds about `MOST_RUNS` runs at the most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from beatd.checker.evidence import Claim, Entry, Evidence, Pause, Run, Suppressed, Timer, Version
from beatd.store import pauses, schema
from beatd.store.definitions import Definitions
from beatd.store.engine import Database
from beatd.store.history import REVOKED_BY_HAND
from beatd.store.models import claims, entries, entry_versions, runs, suppressions, timers

ENTRIES_A_PAGE = 500
MOST_RUNS = 50_000

_SHORTEST = timedelta(seconds=1)
_RUN_COLUMNS = [runs.c[name] for name in Run.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Page:
    """`entry_id` is that of the page's last entry; `entries` how many there are, those without a fire too."""

    evidence: Evidence
    entry_id: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """Of an entry's runs after the beginning of the window: how many, how many are scheduled, the first."""

    runs: int = 0
    scheduled: int = 0
    first: datetime | None = None


def pages(
    database: Database,
    definitions: Definitions,
    since: datetime,
    until: datetime,
    *,
    keep_runs: int,
    after: int = 0,
    names: Sequence[str] | None = None,
) -> Iterator[Page]:
    """The evidence of (since, until] in the order of entry ids, from the one after `after` on.

    `keep_runs` is how many runs of one entry retention leaves. `names`: of these entries only. Messages and
    executions are not looked at. Raises DatabaseUnavailable, SchemaMismatch.
    """
    with database.read() as connection:
        installation = schema.installation_id(connection)
    while True:
        with database.read() as connection:
            ids = _entry_ids(connection, after, names)
        if not ids:
            return
        yield from _pages_of(database, definitions, _Asked(since, until, keep_runs, installation), ids)
        after = ids[-1]


@dataclass(frozen=True, slots=True)
class _Asked:
    since: datetime
    until: datetime
    keep_runs: int
    installation: str


def _pages_of(
    database: Database, definitions: Definitions, asked: _Asked, ids: Sequence[int]
) -> Iterator[Page]:
    """One page, or several where it would hold too many runs: of half the entries, or half the time."""
    with database.read() as plain:
        connection = _with_one_view(plain, database)
        within = _within(runs.c.entry_id, ids, asked)
        count = connection.execute(select(func.count()).select_from(runs).where(within)).scalar_one()
        span = asked.until - asked.since
        if count <= MOST_RUNS or (len(ids) == 1 and span < 2 * _SHORTEST):
            evidence = _evidence(connection, database.now(connection), definitions, asked, ids)
            parts = None
        else:
            parts = len(ids) // 2
    if parts is None:
        yield Page(evidence, ids[-1], len(ids))
    elif parts:
        yield from _pages_of(database, definitions, asked, ids[:parts])
        yield from _pages_of(database, definitions, asked, ids[parts:])
    else:
        middle = asked.since + span / 2
        earlier = _Asked(asked.since, middle, asked.keep_runs, asked.installation)
        for page in _pages_of(database, definitions, earlier, ids):
            yield Page(page.evidence, ids[-1], 0)
        later = _Asked(middle, asked.until, asked.keep_runs, asked.installation)
        yield from _pages_of(database, definitions, later, ids)


def _with_one_view(connection: Connection, database: Database) -> Connection:
    """A page must not see a run without its timer, or the other way round."""
    if database.dialect.name == "sqlite":
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ")


def _entry_ids(connection: Connection, after: int, names: Sequence[str] | None) -> list[int]:
    """With those that are gone: their versions stay."""
    query = select(entry_versions.c.entry_id).distinct().where(entry_versions.c.entry_id > after)
    if names is not None:
        query = query.where(entry_versions.c.name.in_(names))
    query = query.order_by(entry_versions.c.entry_id).limit(ENTRIES_A_PAGE)
    return list(connection.execute(query).scalars())


def _within(column: ColumnElement[int], ids: Sequence[int], asked: _Asked) -> ColumnElement[bool]:
    return and_(column.in_(ids), runs.c.fire_time > asked.since, runs.c.fire_time <= asked.until)


def _evidence(
    connection: Connection, now: datetime, definitions: Definitions, asked: _Asked, ids: Sequence[int]
) -> Evidence:
    found = [
        Run(*row)
        for row in connection.execute(select(*_RUN_COLUMNS).where(_within(runs.c.entry_id, ids, asked)))
    ]
    records = select(
        suppressions.c.entry_id,
        suppressions.c.version,
        suppressions.c.reason,
        suppressions.c.count,
        suppressions.c.exact,
        suppressions.c.first_fire_at,
        suppressions.c.last_fire_at,
        suppressions.c.recorded_at,
    ).where(
        suppressions.c.entry_id.in_(ids),
        suppressions.c.last_fire_at > asked.since,
        suppressions.c.first_fire_at <= asked.until,
    )
    return Evidence(
        since=asked.since,
        until=asked.until,
        now=now,
        entries=_entries(connection, definitions, asked, ids, {run.entry_id for run in found}),
        runs=found,
        suppressions=[Suppressed(*row) for row in connection.execute(records)],
        pauses=[
            Pause(pause.since, pause.until, pause.reason)
            for pause in pauses.pauses_since(connection, asked.since)
        ],
        claims=_claims(connection, asked, ids),
        installation=asked.installation,
    )


def _claims(connection: Connection, asked: _Asked, ids: Sequence[int]) -> list[Claim]:
    query = (
        select(claims.c.run_id, claims.c.worker, claims.c.claimed_at, claims.c.ended_at, claims.c.retries)
        .join(runs, runs.c.id == claims.c.run_id)
        .where(_within(runs.c.entry_id, ids, asked), runs.c.run_once)
    )
    return [Claim(*row, row.worker == REVOKED_BY_HAND) for row in connection.execute(query)]


# Entries


def _entries(
    connection: Connection, definitions: Definitions, asked: _Asked, ids: Sequence[int], ran: set[int]
) -> list[Entry]:
    """Those that were there in the window, and those that have runs in it."""
    kept = _timers(connection, ids)
    versions = _versions(connection, asked, ids)
    known = definitions.get(
        connection, [(row.entry_id, row.version) for some in versions.values() for row in some]
    )
    counted = _counted(connection, asked, ids)
    found = []
    for entry_id, rows in versions.items():
        gone = len(rows) == 1 and rows[0].operation == "delete" and rows[0].changed_at <= asked.since
        if gone and entry_id not in ran:
            continue
        timer, made = kept.get(entry_id, (None, 0))
        count = counted.get(entry_id, _Counted())
        cut = count.runs >= asked.keep_runs
        found.append(
            Entry(
                entry_id,
                rows[-1].name,
                tuple(
                    Version(row.version, row.changed_at, known[row.entry_id, row.version].definition)
                    for row in rows
                    if (row.entry_id, row.version) in known
                ),
                timer,
                made_before=None if timer is None or cut else made - count.scheduled,
                judged_from=count.first if cut else None,
            )
        )
    return found


def _timers(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Timer, int]]:
    """With how many scheduled runs there were."""
    query = select(
        timers.c.entry_id,
        timers.c.planned_from,
        timers.c.planned_version,
        timers.c.next_due_at,
        timers.c.state,
        timers.c.runs_made,
    ).where(timers.c.entry_id.in_(ids))
    return {
        row.entry_id: (
            Timer(row.planned_from, row.planned_version, row.next_due_at, row.state),
            row.runs_made,
        )
        for row in connection.execute(query)
    }


def _versions(connection: Connection, asked: _Asked, ids: Sequence[int]) -> dict[int, list[Any]]:
    """Of each entry the version that held when the window began, and all that came after it."""
    table = entry_versions
    before = (
        select(table.c.entry_id, func.max(table.c.version).label("version"))
        .where(table.c.entry_id.in_(ids), table.c.changed_at <= asked.since)
        .group_by(table.c.entry_id)
        .subquery()
    )
    query = (
        select(table.c.entry_id, table.c.version, table.c.name, table.c.operation, table.c.changed_at)
        .outerjoin(before, before.c.entry_id == table.c.entry_id)
        .where(table.c.entry_id.in_(ids), table.c.version >= func.coalesce(before.c.version, 0))
        .order_by(table.c.entry_id, table.c.version)
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.entry_id].append(row)
    return found


def _counted(connection: Connection, asked: _Asked, ids: Sequence[int]) -> dict[int, _Counted]:
    own = func.sum(case((runs.c.origin == "schedule", 1), else_=0))
    query = (
        select(runs.c.entry_id, func.count(), own, func.min(runs.c.fire_time))
        .where(runs.c.entry_id.in_(ids), runs.c.fire_time > asked.since)
        .group_by(runs.c.entry_id)
    )
    return {row[0]: _Counted(row[1], int(row[2]), row[3]) for row in connection.execute(query)}


def entry_exists(connection: Connection, name: str) -> bool:
    """Whether there is, or was, an entry of this name."""
    query = select(entry_versions.c.entry_id).where(entry_versions.c.name == name).limit(1)
    return connection.execute(query).scalar_one_or_none() is not None


def count_entries(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(entries)).scalar_one()
