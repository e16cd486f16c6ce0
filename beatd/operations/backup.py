"""Backups: a copy of a SQLite file that is in use, and what is to be done after a restore."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from beatd.errors import Conflict, DatabaseUnavailable, FieldError
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.moments import Moment, ago
from beatd.schedules import format_instant, parse_zone
from beatd.store import pauses, restored
from beatd.store.engine import Database

_TOOLS = {
    "postgresql": "pg_dump --format=custom --file=FILE DATABASE",
    "mariadb": "mariadb-dump --single-transaction --routines --triggers DATABASE > FILE",
}


@dataclass(frozen=True, slots=True)
class Restored:
    """From `since` until `until` fires make no runs; None: there were none to be settled. `closed`: how many
    runs are lost, by the state that they were in. `next_id`: of the entry that is made next.
    """

    since: datetime | None
    until: datetime
    closed: dict[str, int]
    next_id: int


def backup(database: Database, file: Path) -> int:
    """Writes a whole, consistent copy of a SQLite database into a new file; returns its bytes.

    Schedulers and workers may go on meanwhile. A copy that was not finished is not left behind. Raises
    Conflict for databases that have tools of their own, FieldError if the file exists or cannot be written,
    DatabaseUnavailable.
    """
    if database.dialect.name != "sqlite":
        raise Conflict(
            f"this copies SQLite files; of {database.name} its own tool makes a backup: "
            f"{_TOOLS[database.dialect.name]}"
        )
    if file.exists():
        raise FieldError("file", str(file), "exists already; name a new one", example=f"{file}.new")
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        _copy(database, unfinished)
        size = _keep(unfinished, file)
    except OSError as error:
        raise FieldError("file", str(file), f"cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return size


def _copy(database: Database, file: Path) -> None:
    with closing(database.dedicated()) as connection:
        try:
            connection.execute("VACUUM INTO ?", (str(file),))
            with closing(sqlite3.connect(file)) as copy:
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise DatabaseUnavailable(
                f"database {database.name} could not be copied to {file}: {error}"
            ) from error
    if found != "ok":
        raise DatabaseUnavailable(f"the copy of {database.name} is damaged ({found}), and so is the original")


def _keep(unfinished: Path, file: Path) -> int:
    """On the disk, and only then under its name."""
    with unfinished.open("rb") as opened:
        os.fsync(opened.fileno())
        size = os.fstat(opened.fileno()).st_size
    unfinished.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size


def settle_restored(context: Context, until: Moment | None = None) -> Restored:
    """For after a restore, before anything is started: nothing of the time since the backup runs.

    Every fire up to now that the backup does not know settled counts as `restored`; with `until`, when the
    last scheduler died, those after it are misfires. Runs that had not ended are lost, but for those that lie
    with the broker or whose time is to come. Ids of entries go past those that may have been given out.
    Repeating it does no harm. Raises FieldError, DatabaseUnavailable.
    """
    database = context.database
    with database.write() as transaction:
        now = database.now(transaction)
        next_id = restored.skip_used_ids(transaction, database.dialect, now)
    with database.write() as transaction:
        now = database.now(transaction)
        end = now if until is None else ago(until, now, parse_zone(context.timezone), "until")
        if end > now:
            raise FieldError("until", str(until), "is in the future", example="2h")
        start = restored.first_unsettled(transaction, end)
        if start is not None:
            pauses.note_restore(transaction, start, end, context.who)
        closed = restored.close_open_runs(transaction, now)
        restored.forget_nodes(transaction)
        detail = {"since": start and format_instant(start), "until": format_instant(end), "closed": closed}
        writing.audit(context, transaction, "restored", detail)
    return Restored(start, end, closed, next_id)
