"""A SQLite file that is damaged or replaced: one clear line, an end with a status, and no run."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from beatd.errors import DatabaseDamaged
from beatd.store import schema
from beatd.store.engine import Database
from tests.processes import Installation
from tests.safety.conftest import Call
from tests.waiting import eventually

PAGE = 4096


@pytest.fixture
def installation(sqlite_url: str, install: Callable[..., Installation]) -> Installation:
    """With an entry that is due at once, and nothing in the log beside the file."""
    installation = install(sqlite_url, "")
    installation.upgrade()
    for number in range(50):
        installation.add(f"e{number}", every="1s", **installation.shell())
    installation.database.close()
    with sqlite3.connect(file_of(installation)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return installation


def file_of(installation: Installation) -> Path:
    return Path(str(installation.database.engine.url.database))


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _not_a_database(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"<html>not found</html>" * 10)


def _overwritten(file: Path) -> None:
    """All but the first page, which holds the schema."""
    with file.open("r+b") as opened:
        opened.seek(PAGE)
        opened.write(os.urandom(file.stat().st_size - PAGE))


def _one_page(file: Path) -> None:
    """The last leaf of the entries: what a look at the other tables does not meet."""
    with sqlite3.connect(file) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries'").fetchone()
    connection.close()
    with file.open("r+b") as opened:
        opened.seek((root - 1) * PAGE)
        opened.write(b"\xff" * PAGE)


DAMAGES = [_truncated, _not_a_database, _overwritten, _one_page]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file(installation: Installation, call: Call, damage: Callable[[Path], None]) -> None:
    damage(file_of(installation))
    check = call(installation, "db", "check")
    assert check.returncode == 1, check.stdout
    assert "restore a backup" in check.stdout + check.stderr
    assert "Traceback" not in check.stderr
    scheduler = installation.scheduler(ready=False)
    assert scheduler.wait() == 1, "it does not go on with what cannot be trusted"
    (last,) = [line for line in scheduler.text().splitlines() if line.startswith("beatd:")]
    assert str(file_of(installation)) in last
    assert "restore a backup" in last
    assert not list((installation.folder / "state" / "broker").glob("queues/*/[0-9]*")), (
        "something was published"
    )


def test_a_sound_file(installation: Installation, call: Call) -> None:
    check = call(installation, "db", "check")
    assert check.returncode == 0, check.stdout
    assert "quick_check" in check.stdout


def test_damage_while_it_runs(installation: Installation) -> None:
    scheduler = installation.scheduler()
    eventually(lambda: installation.rows("SELECT 1 FROM runs"))
    installation.database.close()
    _not_a_database(file_of(installation))
    _truncated(file_of(installation))
    assert scheduler.wait() == 1
    assert "restore a backup" in scheduler.text()


def test_another_file_in_its_place(installation: Installation) -> None:
    """Else the scheduler would go on with the old file, which nobody else sees, and fire beside a new one."""
    scheduler = installation.scheduler()
    eventually(lambda: installation.rows("SELECT 1 FROM runs"))
    installation.database.close()
    file = file_of(installation)
    shutil.copy(file, file.with_name("other"))
    file.with_name("other").rename(file)
    assert scheduler.wait() == 1
    assert "is another file than it was" in scheduler.text()


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_each_transaction_looks_whether_the_file_is_in_its_place(sqlite_url: str, suffix: str) -> None:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO entries (name, every, task) VALUES ('a', '1h', 't')")
    Path(f"{database.engine.url.database}{suffix}").unlink()
    with pytest.raises(DatabaseDamaged, match="another file"), database.read():
        pass
    database.close()
