"""What can be asked of the database about how things go. Reads only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    case,
    exists,
    func,
    inspect,
    select,
    text,
)

from beatd.store import pauses, triggers
from beatd.store.dialects import Dialect
from beatd.store.failures import DOOR
from beatd.store.models import (
    DEFINITION_COLUMNS,
    FINAL_STATES,
    OPEN_STATES,
    claims,
    entries,
    entry_changes,
    entry_versions,
    metadata,
    nodes,
    runs,
    timers,
)
from beatd.store.nodes import read_statistics

#: Counting looks at no more rows than this: a long history must not make a look at it slow.
_SAMPLE = 10_000

#: Of failures, which come with their texts, fewer.
_MOST_FAILED = 1000

#: Characters of an output that are read for a list.
_SHOWN = 1000


# The schedulers


@dataclass(frozen=True, slots=True)
class Node:
    """One scheduler, as it described itself at `heartbeat_at`."""

    id: str
    name: str
    host: str
    pid: int
    beatd_version: str
    started_at: datetime
    heartbeat_at: datetime
    status: str
    statistics: dict[str, Any]
    shadow: bool


def known_nodes(connection: Connection) -> list[Node]:
    """All that are on the table, the longest running first; also those that went silent."""
    wanted = [nodes.c[name] for name in Node.__dataclass_fields__]
    rows = connection.execute(select(*wanted).order_by(nodes.c.started_at, nodes.c.id)).mappings()
    return [Node(**{**row, "statistics": read_statistics(row["statistics"])}) for row in rows]


# What waits


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be done. `oldest_…` are instants since when the oldest of each waits; `later` counts the
    recorded runs whose time has not come: jitter, an edit, a backfill.
    """

    entries: int
    enabled: int
    unplanned_edits: int
    due: int
    oldest_due_at: datetime | None
    pending: int
    oldest_pending_at: datetime | None
    later: int
    published: int
    running: int
    held: int


def backlog(connection: Connection, now: datetime) -> Backlog:
    due = timers.c.next_due_at <= now
    pending = runs.c.state.in_(_literally("pending")), runs.c.due_time <= now
    since = case((runs.c.due_time > runs.c.recorded_at, runs.c.due_time), else_=runs.c.recorded_at)
    ready = _count(connection, runs, *pending)
    states = _by_state(connection, select(runs.c.state).where(runs.c.state.in_(_literally(*OPEN_STATES))))
    return Backlog(
        entries=_count(connection, entries),
        enabled=_count(connection, entries, entries.c.enabled),
        unplanned_edits=_count(connection, entry_changes),
        due=_count(connection, timers, due),
        oldest_due_at=connection.execute(select(func.min(timers.c.next_due_at)).where(due)).scalar(),
        pending=ready,
        oldest_pending_at=connection.execute(select(func.min(since)).where(*pending)).scalar(),
        later=states.get("pending", 0) - ready,
        published=states.get("published", 0),
        running=states.get("started", 0) + states.get("retrying", 0),
        held=states.get("held", 0),
    )


def work_that_waits(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Since when the oldest waits of what should be done at once; by what it is, where there is such.

    A pause of everything leaves entries due, and that is no work.
    """
    waiting = {}
    due = select(func.min(timers.c.next_due_at)).where(timers.c.next_due_at <= now)
    if pauses.open_pause(connection, now) is None and (first := connection.execute(due).scalar()):
        waiting["an entry has been due"] = first
    pending = runs.c.state.in_(_literally("pending")), runs.c.due_time <= now
    since = case((runs.c.due_time > runs.c.recorded_at, runs.c.due_time), else_=runs.c.recorded_at)
    if oldest := connection.execute(select(func.min(since)).where(*pending)).scalar():
        waiting["a run has been in the outbox"] = oldest
    if edit := oldest_unplanned_edit(connection):
        waiting["an edit has been unplanned"] = edit
    return waiting


def oldest_unplanned_edit(connection: Connection) -> datetime | None:
    """When the entry was last edited that waits for the dispatcher the longest."""
    query = (
        select(func.min(entries.c.updated_at))
        .select_from(entry_changes)
        .join(entries, entries.c.id == entry_changes.c.entry_id)
    )
    return connection.execute(query).scalar()


def _literally(*states: str) -> BindParameter[Any]:
    """Written into the statement: only so are the indexes used that hold certain states alone."""
    return bindparam(None, states, expanding=True, literal_execute=True)


def _count(connection: Connection, table: Table, *which: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(*which)
    return int(connection.execute(query).scalar_one())


def _by_state(connection: Connection, chosen: Select[Any]) -> dict[str, int]:
    states = chosen.subquery()
    query = select(states.c.state, func.count()).group_by(states.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Unstarted:
    """The run that lies in its queue for the longest time."""

    entry: str
    queue: str | None
    published_at: datetime


def oldest_unstarted(connection: Connection) -> Unstarted | None:
    query = (
        select(func.coalesce(entries.c.name, "?"), entries.c.queue, runs.c.published_at)
        .join_from(runs, entries, entries.c.id == runs.c.entry_id, isouter=True)
        .where(runs.c.state.in_(_literally("published")), runs.c.published_at.is_not(None))
        .order_by(runs.c.published_at)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return Unstarted(*row) if row else None


# Entries


def queues_of_entries(connection: Connection, default: str | None) -> dict[str, int]:
    """How many enabled entries go to each queue. `default`: where those go that name none, if it is known."""
    by_queue = (
        select(entries.c.queue, func.count())
        .where(entries.c.enabled, entries.c.exchange.is_(None))
        .group_by(entries.c.queue)
    )
    counts: Counter[str] = Counter()
    for queue, count in connection.execute(by_queue):
        if name := queue or default:
            counts[name] += count
    return dict(counts)


@dataclass(frozen=True, slots=True)
class NextDue:
    entry: str
    due_at: datetime
    fire_at: datetime | None


def next_due(connection: Connection) -> NextDue | None:
    query = (
        select(entries.c.name, timers.c.next_due_at, timers.c.next_fire_at)
        .join_from(timers, entries, timers.c.entry_id == entries.c.id)
        .where(timers.c.next_due_at.is_not(None))
        .order_by(timers.c.next_due_at)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return NextDue(*row) if row else None


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    entry: str
    error: str


def broken_entries(connection: Connection, limit: int = 100) -> list[BrokenEntry]:
    query = (
        select(entries.c.name, func.coalesce(timers.c.error, ""))
        .join_from(timers, entries, timers.c.entry_id == entries.c.id)
        .where(timers.c.state == "broken")
        .order_by(entries.c.name)
        .limit(limit)
    )
    return [BrokenEntry(*row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class FailingEntry:
    """An entry that its failures paused."""

    entry: str
    note: str


def paused_by_failures(connection: Connection, limit: int = 100) -> list[FailingEntry]:
    """Those that nobody has resumed since; by name."""
    by_daemon = exists().where(entry_versions.c.entry_id == entries.c.id, entry_versions.c.door == DOOR)
    query = (
        select(entries.c.name, entries.c.pause_note)
        .where(~entries.c.enabled, entries.c.pause_note.startswith("paused after "), by_daemon)
        .order_by(entries.c.name)
        .limit(limit)
    )
    return [FailingEntry(*row) for row in connection.execute(query)]


def ends_of_pauses(connection: Connection) -> list[tuple[str, str | None]]:
    """Of the entries that are enabled what `paused_until` says, and their zones."""
    query = select(entries.c.paused_until, entries.c.timezone)
    query = query.where(entries.c.enabled, entries.c.paused_until.is_not(None))
    return [(row.paused_until, row.timezone) for row in connection.execute(query)]


# Runs


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has come to its end, with the name that its entry had. Of its texts only the beginning."""

    id: str
    entry: str
    state: str
    fire_time: datetime
    started_at: datetime | None
    finished_at: datetime
    result: str | None
    error: str | None
    reason: str | None


def ended_since(connection: Connection, since: datetime, limit: int) -> list[EndedRun]:
    """The newest runs that ended at or after `since`, in the order in which they ended."""
    return _ended(connection, runs.c.finished_at >= since, limit)


@dataclass(frozen=True, slots=True)
class Failing:
    """An entry with runs that ended badly; `newest` is the last of those in this state."""

    newest: EndedRun
    count: int


def failing_since(connection: Connection, since: datetime, limit: int) -> list[Failing]:
    """Entries of which runs failed or were lost, those of the newest last; looks at the newest thousand."""
    failed = runs.c.state.in_(("failed", "lost"))
    groups: dict[tuple[str, str], list[EndedRun]] = {}
    for run in _ended(connection, (runs.c.finished_at >= since) & failed, _MOST_FAILED):
        groups.setdefault((run.entry, run.state), []).append(run)
    found = [Failing(of[-1], len(of)) for of in groups.values()]
    return sorted(found, key=lambda failing: failing.newest.finished_at)[-limit:]


def _ended(connection: Connection, which: ColumnElement[bool], limit: int) -> list[EndedRun]:
    same = (entry_versions.c.entry_id == runs.c.entry_id) & (entry_versions.c.version == runs.c.version)
    query = (
        select(
            runs.c.id,
            func.coalesce(entry_versions.c.name, "?"),
            runs.c.state,
            runs.c.fire_time,
            runs.c.started_at,
            runs.c.finished_at,
            func.substr(runs.c.result, 1, _SHOWN),
            func.substr(runs.c.error, 1, _SHOWN),
            func.substr(runs.c.reason, 1, _SHOWN),
        )
        .join_from(runs, entry_versions, same, isouter=True)
        .where(which, runs.c.state.in_(FINAL_STATES))
        .order_by(runs.c.finished_at.desc())
        .limit(limit)
    )
    return [EndedRun(*row) for row in reversed(connection.execute(query).all())]


def ended_by_state(connection: Connection, since: datetime) -> dict[str, int]:
    """How many runs ended in which state since then, of the newest ten thousand."""
    newest = (
        select(runs.c.state)
        .where(runs.c.finished_at >= since, runs.c.state.in_(FINAL_STATES))
        .order_by(runs.c.finished_at.desc())
        .limit(_SAMPLE)
    )
    return _by_state(connection, newest)


def lateness(connection: Connection, since: datetime) -> list[timedelta]:
    """Publication minus due time of the newest runs whose fire time is past `since`, in ascending order."""
    query = (
        select(runs.c.published_at, runs.c.due_time)
        .where(runs.c.fire_time >= since, runs.c.published_at.is_not(None))
        .order_by(runs.c.fire_time.desc())
        .limit(_SAMPLE)
    )
    return sorted(published - due for published, due in connection.execute(query))


def published_late(connection: Connection, fired: datetime, published: datetime, by: timedelta) -> int:
    """How many of the newest runs that fired past `fired` were published past `published`, and so late."""
    query = (
        select(runs.c.published_at, runs.c.due_time)
        .where(runs.c.fire_time >= fired, runs.c.published_at >= published)
        .order_by(runs.c.fire_time.desc())
        .limit(_SAMPLE)
    )
    return sum(at - due > by for at, due in connection.execute(query))


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, and when it last showed that it lives."""

    name: str
    heard_at: datetime


def workers_heard_since(connection: Connection, now: datetime, since: datetime) -> list[Worker]:
    """Workers that hold a claim which they renew, or began or ended a run since then. By name.

    Looks at the newest ten thousand runs.
    """
    heard: dict[str, datetime] = {}
    for name, at in (*_claiming(connection, now), *_reporting(connection, since)):
        heard[name] = max(at, heard.get(name, at))
    return [Worker(name, heard[name]) for name in sorted(heard)]


def last_heard_of_workers(connection: Connection, now: datetime) -> datetime | None:
    """When the last of them showed that it lives, of the newest ten thousand runs."""
    return max((at for _, at in (*_claiming(connection, now), *_reporting(connection))), default=None)


def _claiming(connection: Connection, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Whoever holds a lease that runs on renewed it lately. A claim's worker is `HOST PID DELIVERY`."""
    query = select(claims.c.worker).where(claims.c.ended_at.is_(None), claims.c.lease_until > now)
    return ((worker.partition(" ")[0], now) for worker in connection.execute(query).scalars())


def _reporting(connection: Connection, since: datetime | None = None) -> Iterator[tuple[str, datetime]]:
    """Ends that the daemon inferred (`lost`, `expired`) tell nothing of a worker."""
    ended = select(runs.c.worker, runs.c.state, runs.c.finished_at.label("at"))
    ended = ended.where(runs.c.finished_at.is_not(None) if since is None else runs.c.finished_at >= since)
    newest = ended.order_by(runs.c.finished_at.desc()).limit(_SAMPLE).subquery()
    begun = select(runs.c.worker, runs.c.state, runs.c.started_at.label("at"))
    begun = begun.where(runs.c.state.in_(_literally("started", "retrying")))
    if since is not None:
        begun = begun.where(runs.c.started_at >= since)
    for told, states in ((newest, ("succeeded", "failed")), (begun.subquery(), ("started", "retrying"))):
        query = (
            select(told.c.worker, func.max(told.c.at))
            .where(told.c.worker.is_not(None), told.c.state.in_(states), told.c.at.is_not(None))
            .group_by(told.c.worker)
        )
        yield from ((worker, at) for worker, at in connection.execute(query))


# The server


#: What each kind must at least be: SKIP LOCKED, JSON functions, window functions.
_OLDEST = {"sqlite": (3, 38), "postgresql": (13,), "mariadb": (10, 6)}


@dataclass(frozen=True, slots=True)
class Server:
    """`version` is the server's own text; `too_old_for` names the version it would have to be."""

    version: str
    too_old_for: str | None
    missing: tuple[str, ...]
    #: MariaDB keeps a binary log and lets only the privileged create triggers
    refuses_triggers: bool


def server(connection: Connection, dialect: Dialect) -> Server:
    """Looks at what the schema needs besides its tables: triggers, views, the server's abilities."""
    version = str(connection.execute(text(_VERSION[dialect.name])).scalar_one())
    oldest = _OLDEST[dialect.name]
    needed = ".".join(map(str, oldest))
    return Server(
        version=version,
        too_old_for=needed if _numbers(version)[: len(oldest)] < oldest else None,
        missing=tuple(name for name in _expected(dialect) if name not in _present(connection, dialect)),
        refuses_triggers=dialect.name == "mariadb" and _refuses_triggers(connection),
    )


def missing_tables(connection: Connection) -> list[str]:
    """Tables of the newest schema that are not there, and columns of those that are, as `table.column`."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    missing = []
    for table in metadata.sorted_tables:
        if table.name not in there:
            missing.append(table.name)
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        missing += [f"{table.name}.{column.name}" for column in table.columns if column.name not in columns]
    return sorted(missing)


_VERSION = {
    "sqlite": "SELECT sqlite_version()",
    "postgresql": "SELECT current_setting('server_version')",
    "mariadb": "SELECT version()",
}

_PRESENT = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')",
    "postgresql": "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE pg_table_is_visible(c.oid) "
    "UNION SELECT relname FROM pg_class WHERE relkind = 'v' AND pg_table_is_visible(oid)",
    "mariadb": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
    "UNION SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()",
}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _expected(dialect: Dialect) -> Sequence[str]:
    return triggers.names(triggers.create_statements(dialect.name, DEFINITION_COLUMNS))


def _present(connection: Connection, dialect: Dialect) -> set[str]:
    return set(connection.execute(text(_PRESENT[dialect.name])).scalars())


def _refuses_triggers(connection: Connection) -> bool:
    log, trust = connection.execute(text("SELECT @@log_bin, @@log_bin_trust_function_creators")).one()
    return bool(log) and not bool(trust)
