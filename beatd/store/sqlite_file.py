"""What may befall the file of a SQLite database: damage, a full disk, another file in its place.

SQLite itself notices damage only where it reads it, and goes on with the old file where somebody has put a
new one in its place: the first is looked for when a scheduler starts, the second at each transaction.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from beatd.errors import DatabaseDamaged, DatabaseUnavailable

RESTORE = "the file is damaged, stop everything and restore a backup"

#: What is to be done, by SQLite's primary result code.
_ADVICE = {
    sqlite3.SQLITE_CORRUPT: RESTORE,
    sqlite3.SQLITE_NOTADB: RESTORE,
    sqlite3.SQLITE_FULL: "nothing is lost, make room, it goes on by itself",
    sqlite3.SQLITE_READONLY: "let this user write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "look at the file and its folder (owner, mode, free space)",
    sqlite3.SQLITE_IOERR: "look at the disk (free space, what the kernel says of it)",
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

ADVICE = frozenset(_ADVICE.values())

_OTHER = "is another file than it was: stop everything, and start it again when the right one is in place"


def trouble(name: str, error: sqlite3.Error) -> DatabaseUnavailable:
    """An error of SQLite's as one line: which database, what is wrong, what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = DatabaseDamaged if code in _DAMAGE else DatabaseUnavailable
    advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
    return kind(f"database {name}: {error}{advice}")


def require_same(engine: Engine, name: str) -> None:
    """From now on a connection to a file that is not in its place any more raises DatabaseDamaged.

    So does one whose log (`-wal`) is not: what is in it would be lost for everybody else.
    """
    file = Path(str(engine.url.database))
    files = file, Path(f"{file}-wal")

    @event.listens_for(engine, "checkout")
    def compare(_connection: Any, record: Any, _proxy: Any) -> None:
        known = record.info.setdefault("beatd_files", {})
        for each in files:
            now = _identity(each)
            if known.setdefault(each, now) is None:
                known[each] = now  # the log is made by the first transaction
            elif known[each] != now:
                raise DatabaseDamaged(f"database {name}: {each} {_OTHER}")


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
