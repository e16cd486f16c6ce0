"""A full disk: said in one line, nothing runs twice, nothing is lost once there is room again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.processes import Installation
from tests.safety.conftest import Call
from tests.safety.disk import Disk, small_disk
from tests.services.postgres import Postgres
from tests.waiting import eventually

ENTRIES = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def begin(installation: Installation) -> None:
    installation.upgrade()
    for number in range(ENTRIES):
        rule = {"every": "1s", "misfire": "all", "misfire_limit": 1000, "expires": "1h"}
        installation.add(f"e{number}", **rule, **installation.shell())


def went_on(installation: Installation) -> None:
    """Runs of fires after now; then every fire of every entry has run, each once."""
    now = installation.now()
    names = {f"e{number}" for number in range(ENTRIES)}
    eventually(
        lambda: {note.entry for note in installation.ledger() if note.fire_time > now} == names,
        60,
        message="it goes on where there is room again",
    )
    installation.sql("UPDATE entries SET enabled = false")
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'active'") == [], 30)
    ids = {run.id for run in installation.runs()}
    eventually(lambda: {note.run_id for note in installation.ledger()} == ids, 60)
    ran = Counter(note.run_id for note in installation.ledger())
    assert max(ran.values()) == 1, "a run took place twice"
    for name in names:
        fires = sorted(run.fire_time for run in installation.runs() if run.name == name)
        steps = {later - earlier for earlier, later in pairwise(fires)}
        assert steps == {timedelta(seconds=1)}, (
            f"{name} lost a fire: {installation.rows('SELECT * FROM suppressions')}"
        )


def test_the_database_is_on_it(disk: Disk, install: Callable[..., Installation], call: Call) -> None:
    installation = install(f"sqlite:///{disk.folder}/beatd.db", "")
    begin(installation)
    scheduler = installation.scheduler()
    installation.worker()
    eventually(lambda: len(installation.ledger()) >= ENTRIES)
    disk.fill()
    scheduler.tells("nothing is lost, make room")
    for _ in range(200):  # what the log still has room for
        told = call(installation, "entry", "trigger", "e0")
        if told.returncode:
            break
    assert told.returncode == 1
    assert "beatd.db: database or disk is full: nothing is lost, make room" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    disk.make_room()
    scheduler.tells("loop.recovered")
    went_on(installation)
    assert call(installation, "db", "check").returncode == 0


def test_the_embedded_broker_is_on_it(
    sqlite_url: str, disk: Disk, install: Callable[..., Installation], call: Call
) -> None:
    installation = install(sqlite_url, "", BEATD_STATE_DIR=str(disk.folder))
    begin(installation)
    scheduler = installation.scheduler()
    installation.worker()
    eventually(lambda: len(installation.ledger()) >= ENTRIES)

    def told_of_it() -> bool:
        disk.fill()  # messages that are taken make room
        return "No space left on device" in scheduler.text()

    eventually(told_of_it)
    told = call(installation, "doctor")
    assert told.returncode == 1
    assert "No space left on device" in told.stdout
    disk.make_room()
    went_on(installation)


def test_postgresql_is_on_it(
    postgres: Postgres, disk: Disk, install: Callable[..., Installation], call: Call
) -> None:
    """The database in a tablespace of its own; its log is elsewhere, else the server itself would end."""
    space = disk.folder / "space"
    space.mkdir()
    shutil.chown(space, "postgres", "postgres")
    for parent in list(disk.folder.parents)[:4]:
        parent.chmod(parent.stat().st_mode | 0o011)
    name = postgres.create_database()
    with postgres.admin() as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        connection.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
    installation = install(postgres.url(name), "")
    try:
        begin(installation)
        scheduler = installation.scheduler()
        installation.worker()
        eventually(lambda: len(installation.ledger()) >= ENTRIES)
        disk.fill()
        scheduler.tells("No space left on device", 60)
        assert scheduler.running
        disk.make_room()
        went_on(installation)
    finally:
        installation.close()
        postgres.drop_database(name)
        with postgres.admin() as connection:
            connection.execute("DROP TABLESPACE small")
