"""What `status` and `doctor` find out. Whatever is down is part of the answer, not an exception."""

from __future__ import annotations

import os
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from beatd import clock
from beatd.config import Loaded, Settings
from beatd.errors import BeatdError, Conflict, InvalidInput, SchemaMismatch
from beatd.operations import brokers
from beatd.redaction import redact
from beatd.store import health as facts
from beatd.store import schema
from beatd.store.engine import NO_FILE, Database
from beatd.store.health import EndedRun

#: What waits longer than this to be planned or published makes the whole not well.
OVERDUE = timedelta(minutes=1)

#: How far back the summaries of runs and lateness look.
RECENT = timedelta(hours=1)


# Findings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. `hint` says what to do about it; it is empty if nothing need be done."""

    check: str
    level: Literal["ok", "warning", "problem"]
    text: str
    hint: str = ""


def well(findings: Sequence[Finding]) -> bool:
    """Whether no finding is a problem."""
    return all(finding.level != "problem" for finding in findings)


# Status


@dataclass(frozen=True, slots=True)
class NodeState:
    """A scheduler on the table of nodes. `alive` unless its last heartbeat is older than node_timeout."""

    name: str
    host: str
    pid: int
    beatd_version: str
    alive: bool
    started_at: datetime
    heartbeat_age: timedelta
    status: str
    statistics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lateness:
    """Publication minus due time, of the runs that fired within the last hour (the newest 10,000)."""

    runs: int
    median: timedelta
    p99: timedelta
    greatest: timedelta


@dataclass(frozen=True, slots=True)
class Activity:
    """What the database says of now. `ended` counts the runs that ended within the last hour, by state;
    `workers` are those heard of within it. `reports` tells whether workers report at all.
    """

    now: datetime
    server: str
    schema: str
    nodes: tuple[NodeState, ...]
    workers: tuple[facts.Worker, ...]
    reports: bool
    backlog: facts.Backlog
    unstarted: facts.Unstarted | None
    next_due: facts.NextDue | None
    broken: tuple[facts.BrokenEntry, ...]
    lateness: Lateness | None
    ended: dict[str, int]
    failed: tuple[facts.Failing, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """`troubles` says what is not well, one line each; `activity` is None if the database cannot tell."""

    version: str
    config_file: str | None
    config_searched: tuple[dict[str, Any], ...]
    config_warnings: tuple[str, ...]
    database: str
    broker: str
    activity: Activity | None
    troubles: tuple[str, ...]


def status(loaded: Loaded, database: Database, version: str, connect: Callable[[], Any]) -> Status:
    """Asks the database alone, so that it answers at once. Raises nothing for what is down.

    `connect` gives the Celery app whose broker this command would use; it is not connected to.
    """
    activity: Activity | None = None
    try:
        schema.require(database)
        activity = _activity(database, loaded.settings)
        troubles = _troubles(activity, connect)
    except BeatdError as error:
        troubles = [str(error)]
    return Status(
        version=version,
        config_file=str(loaded.file) if loaded.file else None,
        config_searched=tuple(
            {"path": str(place.path), "source": place.source, "found": place.found}
            for place in loaded.searched
        ),
        config_warnings=loaded.warnings,
        database=redact(loaded.settings.database.url),
        broker=broker_name(loaded.settings),
        activity=activity,
        troubles=tuple(troubles),
    )


def broker_name(settings: Settings) -> str:
    """What to call it in messages; never holds a password."""
    if settings.broker.url:
        return redact(settings.broker.url)
    return f"that of {settings.celery.app}" if settings.celery.app else f"embedded, in {settings.state_dir}"


def _activity(database: Database, settings: Settings) -> Activity:
    found = schema.state(database).current or ""
    with database.read() as connection:
        now = database.now(connection)
        return Activity(
            now=now,
            server=facts.server(connection, database.dialect).version,
            schema=found,
            nodes=tuple(_node(node, now, settings) for node in facts.known_nodes(connection)),
            workers=tuple(facts.workers_heard_since(connection, now, now - RECENT)),
            reports=settings.celery.reports,
            backlog=facts.backlog(connection, now),
            unstarted=facts.oldest_unstarted(connection),
            next_due=facts.next_due(connection),
            broken=tuple(facts.broken_entries(connection)),
            lateness=_lateness(facts.lateness(connection, now - RECENT)),
            ended=facts.ended_by_state(connection, now - RECENT),
            failed=tuple(facts.failing_since(connection, now - RECENT, 5)),
        )


def _node(node: facts.Node, now: datetime, settings: Settings) -> NodeState:
    age = now - node.heartbeat_at
    return NodeState(
        name=node.name,
        host=node.host,
        pid=node.pid,
        beatd_version=node.beatd_version,
        alive=age <= settings.scheduler.node_timeout,
        started_at=node.started_at,
        heartbeat_age=age,
        status=node.status,
        statistics=node.statistics,
    )


def _lateness(ascending: Sequence[timedelta]) -> Lateness | None:
    if not ascending:
        return None
    count = len(ascending)
    return Lateness(count, ascending[count // 2], ascending[count * 99 // 100], ascending[-1])


def _troubles(activity: Activity, connect: Callable[[], Any]) -> list[str]:
    findings = _work(activity, connect)
    return [f"{finding.check}: {finding.text}" for finding in findings if finding.level == "problem"]


# What waits, and who does it: for status and doctor alike


def _work(activity: Activity, connect: Callable[[], Any]) -> Iterator[Finding]:
    yield _schedulers(activity)
    yield from _held_up(activity)
    yield from _other_broker(activity, connect)
    yield from _overdue(activity)
    yield from _unstarted(activity)
    yield from _entries(activity)


def _schedulers(activity: Activity) -> Finding:
    alive = [node for node in activity.nodes if node.alive]
    silent = [node for node in activity.nodes if not node.alive]
    if alive:
        names = ", ".join(f"{node.name} (pid {node.pid})" for node in alive)
        return Finding("schedulers", "ok", f"{len(alive)} alive: {names}")
    heard = f"; {silent[-1].name} was heard of {_seconds(silent[-1].heartbeat_age)} ago" if silent else ""
    return Finding(
        "schedulers",
        "problem",
        f"none is alive: nothing is published{heard}",
        "start one: beatd up, beatd scheduler, or systemctl start beatd",
    )


def _held_up(activity: Activity) -> Iterator[Finding]:
    for node in activity.nodes:
        if node.alive and node.status.startswith("waiting:"):
            hint = "see whether what it waits for is there, and reached from its machine"
            yield Finding("schedulers", "problem", f"{node.name} is {node.status}", hint)


def _other_broker(activity: Activity, connect: Callable[[], Any]) -> Iterator[Finding]:
    nodes = [(node.name, node.statistics.get("broker")) for node in activity.nodes if node.alive]
    if text := brokers.differing(nodes, connect):
        said, _, hint = text.rpartition(": ")
        yield Finding("broker", "problem", said, hint)


def _overdue(activity: Activity) -> Iterator[Finding]:
    waiting = activity.backlog
    for what, count, since in (
        ("due entries", waiting.due, waiting.oldest_due_at),
        ("outbox", waiting.pending, waiting.oldest_pending_at),
    ):
        if since is None or activity.now - since <= OVERDUE:
            yield Finding(what, "ok", f"{count} waiting")
            continue
        yield Finding(
            what,
            "problem",
            f"{count} waiting, the oldest for {_seconds(activity.now - since)}",
            "see the schedulers' logs, and whether the broker takes messages",
        )


def _unstarted(activity: Activity) -> Iterator[Finding]:
    """Runs in a queue of which nothing tells that anybody takes from it."""
    oldest = activity.unstarted
    if not activity.reports or oldest is None or activity.now - oldest.published_at <= OVERDUE:
        return
    if any(activity.now - worker.heard_at <= OVERDUE for worker in activity.workers):
        return
    of = f"{oldest.entry}, queue {oldest.queue}" if oldest.queue else oldest.entry
    since = _seconds(activity.now - oldest.published_at)
    text = f"{activity.backlog.published} published and not begun, the oldest ({of}) for {since}"
    hint = "start a worker that takes its queue (beatd worker), or give yours the plugin"
    yield Finding("runs", "problem", f"{text}; no worker was heard of in the last minute", hint)


def _entries(activity: Activity) -> Iterator[Finding]:
    for entry in activity.broken:
        text = f"{entry.entry} is broken: {entry.error}"
        yield Finding("entries", "problem", text, f"correct it: beatd entry set {entry.entry} …")
    if not activity.broken:
        total, enabled = activity.backlog.entries, activity.backlog.enabled
        yield Finding("entries", "ok", f"{total} ({enabled} enabled), none broken")


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


# Doctor


def examine(loaded: Loaded, database: Database, connect: Callable[[], Any]) -> Iterator[Finding]:
    """Checks everything, one finding after the other as it is known.

    `connect` gives the Celery app whose broker is used. Raises nothing for what is not in order.
    """
    yield from _configuration(loaded)
    yield from _state_dir(loaded.settings)
    yield _zone_data()
    yield from check_database(database)
    yield from _broker(loaded.settings, connect)
    yield from _while_it_runs(loaded.settings, database, connect)


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    for warning in loaded.warnings:
        text, _, hint = warning.rpartition(": ")
        yield Finding("configuration", "warning", text, hint)
    if not loaded.warnings:
        yield Finding(
            "configuration", "ok", str(loaded.file) if loaded.file else "no file: defaults and variables"
        )


def _state_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
    if not folder.exists():
        return  # it is made when something is to be put into it
    mode = folder.stat().st_mode & 0o777
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        owner = folder.stat().st_uid
        yield Finding(
            "state folder",
            "problem",
            f"{folder}: this user may not write there (owner uid {owner}, mode {mode:04o})",
            "run as its owner, or name another: BEATD_STATE_DIR=…",
        )
    elif mode & 0o022:
        text = f"{folder}: other users may write there (mode {mode:04o}), and so decide what is run"
        yield Finding("state folder", "warning", text, f"chmod go-w {folder}")
    else:
        yield Finding("state folder", "ok", f"{folder} (mode {mode:04o})")


def check_database(database: Database) -> list[Finding]:
    """Connection, server, schema, tables, triggers, clock."""
    try:
        state = schema.state(database)
        with database.read() as connection:
            server = facts.server(connection, database.dialect)
            missing = facts.missing_tables(connection) if state.newest else []
            before = clock.wall()
            there = database.now(connection)
            after = clock.wall()
    except BeatdError as error:
        return [_no_database(database, str(error))]
    return [
        _server(database, server),
        _schema(database, state),
        *_tables(state, missing),
        *_triggers(state, server),
        _clock(before, there, after),
    ]


def _no_database(database: Database, error: str) -> Finding:
    hint = "start it, or correct database.url (BEATD_DATABASE_URL)"
    if NO_FILE in error:
        error, _, command = error.rpartition(": ")
        hint = f"{command}, or correct database.url (BEATD_DATABASE_URL)"
    elif database.dialect.name == "sqlite":
        hint = "look at the file and its folder: owner, mode, free space"
    return Finding("database", "problem", error, hint)


def _server(database: Database, server: facts.Server) -> Finding:
    text = f"{database.dialect.name} {server.version} at {database.name}"
    if server.too_old_for:
        hint = f"use {database.dialect.name} {server.too_old_for} or later"
        return Finding("database", "problem", f"{text} is too old", hint)
    return Finding("database", "ok", text)


def _schema(database: Database, state: schema.SchemaState) -> Finding:
    if not state.usable:
        try:
            schema.require(database)
        except SchemaMismatch as error:
            text, _, hint = str(error).rpartition(": ")
            return Finding("schema", "problem", text, hint)
    if not state.newest:
        text = f"{state.current}, of {state.supported[-1]} that this version knows"
        return Finding("schema", "warning", text, "run 'beatd db upgrade'")
    return Finding("schema", "ok", str(state.current))


def _tables(state: schema.SchemaState, missing: Sequence[str]) -> Iterator[Finding]:
    if missing:
        hint = "restore them from a backup: 'beatd db upgrade' takes the database's word that they are there"
        yield Finding("tables", "problem", f"missing, or hidden from this user: {', '.join(missing)}", hint)
    elif state.newest:
        yield Finding("tables", "ok", "all there, with their columns")


def _triggers(state: schema.SchemaState, server: facts.Server) -> Iterator[Finding]:
    if state.current and server.missing:
        yield Finding(
            "triggers",
            "problem",
            f"missing, or hidden from this user: {', '.join(server.missing)}",
            "set the database up anew from a backup, or see docs for making them by hand",
        )
    elif state.current:
        yield Finding("triggers", "ok", "all there: edits in plain SQL count")
    if server.refuses_triggers:
        yield Finding(
            "triggers",
            "warning" if state.newest else "problem",
            "this MariaDB keeps a binary log and lets only SUPER create triggers",
            "SET GLOBAL log_bin_trust_function_creators = 1 before 'beatd db upgrade'",
        )


def _clock(before: datetime, there: datetime, after: datetime) -> Finding:
    slack = (after - before) / 2
    off = there - (before + slack)
    if (abs(off) - slack).total_seconds() <= clock.TOLERANCE:
        return Finding("clock", "ok", f"this machine is {abs(off).total_seconds():.3f} s off the database")
    direction = "behind" if off > timedelta(0) else "ahead of"
    return Finding(
        "clock",
        "warning",
        f"this machine is {abs(off).total_seconds():.1f} s {direction} the database, whose time decides",
        "keep both on time: apt-get install systemd-timesyncd (or chrony)",
    )


def _broker(settings: Settings, connect: Callable[[], Any]) -> Iterator[Finding]:
    from beatd.broker import app as broker  # not at the top: status must be quick, and asks no broker

    try:
        timeout = settings.broker.connect_timeout.total_seconds()
        answer = broker.ping(connect(), timeout)
        yield Finding("broker", "ok", redact(answer) if settings.broker.url else broker_name(settings))
    except InvalidInput as error:
        yield Finding("broker", "problem", redact(str(error)), "correct the configuration")
    except BeatdError as error:
        hint = "start it, or correct broker.url (BEATD_BROKER_URL)"
        if not settings.broker.url and not settings.celery.app:
            hint = "look at its folder: owner, mode, free space"
        yield Finding("broker", "problem", redact(str(error)), hint)


def _while_it_runs(settings: Settings, database: Database, connect: Callable[[], Any]) -> Iterator[Finding]:
    try:
        schema.require(database)
        activity = _activity(database, settings)
        with database.read() as connection:
            heard = facts.last_heard_of_workers(connection, activity.now)
    except BeatdError:
        return  # said already
    yield from _work(activity, connect)
    yield _workers(connect, activity.now - heard if heard else None)


def _workers(connect: Callable[[], Any], heard: timedelta | None) -> Finding:
    from beatd.broker import app as broker

    last = f"; one was heard of {_seconds(heard)} ago" if heard is not None else ""
    try:
        names = sorted(broker.workers(connect()))
    except Conflict:
        if heard is not None and heard < RECENT:
            return Finding("workers", "ok", f"this broker cannot ask them{last}")
        return Finding("workers", "warning", f"this broker cannot ask them{last}", "start one: beatd worker")
    except BeatdError:
        return Finding("workers", "problem", "cannot be asked: the broker does not answer")
    if names:
        return Finding("workers", "ok", f"{len(names)} answered: {', '.join(names)}")
    hint = "start one: beatd up, or beatd worker"
    return Finding("workers", "problem", f"none answered: what is published is not run{last}", hint)


def _zone_data() -> Finding:
    version = clock.zone_data_version()
    if version == "none":
        return Finding("zone data", "problem", "there is none", "apt-get install tzdata")
    return Finding("zone data", "ok", f"version {version}, from {_zone_source()}")


def _zone_source() -> str:
    folder = next((folder for folder in zoneinfo.TZPATH if Path(folder, "UTC").exists()), None)
    return folder or "the Python package tzdata"


# Runs as they end


class Recent:
    """Tells each run once, soon after it ended, from its making on."""

    #: Runs are told by the clocks of workers and may be recorded a little late.
    _LATE = timedelta(seconds=5)
    _MOST = 2000

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: datetime | None = None
        self._told: dict[str, datetime] = {}
        self.counts: Counter[str] = Counter()

    def ended(self) -> list[EndedRun]:
        """The runs that ended since the last call, in that order. Raises DatabaseUnavailable."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            since = self._since or now
            found = facts.ended_since(connection, since, self._MOST)
        new = [run for run in found if run.id not in self._told]
        self._told |= {run.id: run.finished_at for run in new}
        self._since = max(since, now - self._LATE)
        self._told = {id_: at for id_, at in self._told.items() if at >= self._since}
        self.counts.update(run.state for run in new)
        return new
