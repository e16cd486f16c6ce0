"""What `doctor` examines beyond `status`: configuration, folders, database, broker, clocks, workers.

Whatever is down is a finding, not an exception.
"""

from __future__ import annotations

import os
import shutil
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from beatd import clock
from beatd.config import Loaded, Settings
from beatd.errors import BeatdError, Conflict, InvalidInput, SchemaMismatch
from beatd.operations.health import RECENT, Activity, Finding, activity_of, broker_name, seconds, work
from beatd.redaction import redact
from beatd.store import health as facts
from beatd.store import schema
from beatd.store.engine import NO_FILE, Database
from beatd.store.sqlite_file import ADVICE, RESTORE

#: Bytes that the disk of the state folder should have free: the embedded broker's messages need some.
_LITTLE_ROOM = 1 << 20


def examine(loaded: Loaded, database: Database, connect: Callable[[], Any]) -> Iterator[Finding]:
    """Checks everything, one finding after the other as it is known.

    `connect` gives the Celery app whose broker is used. Raises nothing for what is not in order.
    """
    yield from _configuration(loaded)
    yield from _state_dir(loaded.settings)
    yield _zone_data()
    yield from check_database(database)
    activity = _activity(loaded.settings, database)
    shadowed = loaded.settings.scheduler.shadow or (activity is not None and activity.shadowed)
    yield from _broker(loaded.settings, connect, needed=not shadowed)
    if activity is not None:
        yield from _while_it_runs(loaded.settings, database, connect, activity)


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
    elif (free := shutil.disk_usage(folder).free) < _LITTLE_ROOM:
        text = f"{folder}: No space left on device, or soon ({free >> 10:,} KiB are free)"
        yield Finding("state folder", "problem", text, "make room: nothing is lost, it goes on by itself")
    else:
        yield Finding("state folder", "ok", f"{folder} (mode {mode:04o})")


def check_database(database: Database) -> list[Finding]:
    """Connection, server, stored data, schema, tables, triggers, clock."""
    try:
        state = schema.state(database)
        with database.read() as connection:
            server = facts.server(connection, database.dialect)
            integrity = database.dialect.integrity(connection)
            missing = facts.missing_tables(connection) if state.newest else []
            before = clock.wall()
            there = database.now(connection)
            after = clock.wall()
    except BeatdError as error:
        return [_no_database(database, str(error))]
    return [
        _server(database, server),
        *_integrity(integrity),
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
    elif error.rpartition(": ")[2] in ADVICE:
        error, _, hint = error.rpartition(": ")
    elif database.dialect.name == "sqlite":
        hint = "look at the file and its folder: owner, mode, free space"
    return Finding("database", "problem", error, hint)


def _integrity(found: str | None) -> Iterator[Finding]:
    if found == "ok":
        yield Finding("data", "ok", "quick_check finds nothing wrong in the file")
    elif found is not None:
        yield Finding("data", "problem", f"quick_check: {found}", RESTORE)


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


def _broker(settings: Settings, connect: Callable[[], Any], *, needed: bool) -> Iterator[Finding]:
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
        level: Literal["warning", "problem"] = "problem" if needed else "warning"
        yield Finding("broker", level, redact(str(error)), hint)


def _activity(settings: Settings, database: Database) -> Activity | None:
    """None if the database cannot tell, which is a finding of its own."""
    try:
        schema.require(database)
        return activity_of(database, settings)
    except BeatdError:
        return None


def _while_it_runs(
    settings: Settings, database: Database, connect: Callable[[], Any], activity: Activity
) -> Iterator[Finding]:
    try:
        with database.read() as connection:
            heard = facts.last_heard_of_workers(connection, activity.now)
            queues = facts.queues_of_entries(connection, _default_queue(settings))
    except BeatdError:
        return  # said already
    yield from work(activity, connect)
    if activity.shadowed:
        yield Finding("workers", "ok", "none is needed in shadow mode")
    else:
        yield from _workers(connect, activity.now - heard if heard else None, queues)


def _default_queue(settings: Settings) -> str | None:
    """An operator's app may have routes; what goes where is then for it to say."""
    return None if settings.celery.app else settings.celery.default_queue


def _workers(
    connect: Callable[[], Any], heard: timedelta | None, queues: Mapping[str, int]
) -> Iterator[Finding]:
    """Whether some answer, and whether among them there is one for each queue of entries."""
    from beatd.broker import app as broker

    last = f"; one was heard of {seconds(heard)} ago" if heard is not None else ""
    try:
        found = broker.workers(connect())
    except Conflict:
        known = heard is not None and heard < RECENT
        hint = "" if known else "start one: beatd worker"
        yield Finding("workers", "ok" if known else "warning", f"this broker cannot ask them{last}", hint)
        return
    except BeatdError:
        yield Finding("workers", "problem", "cannot be asked: the broker does not answer")
        return
    if not found:
        hint = "start one: beatd up, or beatd worker"
        yield Finding("workers", "problem", f"none answered: what is published is not run{last}", hint)
        return
    yield Finding("workers", "ok", f"{len(found)} answered: {', '.join(sorted(found))}")
    taken = {queue for of_one in found.values() for queue in of_one}
    for queue in sorted(queues.keys() - taken):
        entries = "1 entry goes" if queues[queue] == 1 else f"{queues[queue]} entries go"
        text = f"{entries} to the queue {queue}, which none of them takes"
        yield Finding("workers", "warning", text, f"start one: {_worker_of(queue)}")


def _worker_of(queue: str) -> str:
    user = queue.removeprefix("user.")
    return f"beatd worker --queue {queue}" if user == queue else f"systemctl enable --now beatd-worker@{user}"


def _zone_data() -> Finding:
    version = clock.zone_data_version()
    if version == "none":
        return Finding("zone data", "problem", "there is none", "apt-get install tzdata")
    return Finding("zone data", "ok", f"version {version}, from {_zone_source()}")


def _zone_source() -> str:
    folder = next((folder for folder in zoneinfo.TZPATH if Path(folder, "UTC").exists()), None)
    return folder or "the Python package tzdata"
