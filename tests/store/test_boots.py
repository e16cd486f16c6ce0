"""Boot entries fire once a boot: of all daemons that start after it, one is told that it is the first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from beatd.store import boots, models
from beatd.store.engine import Database

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


def first_start(database: Database, host: str, boot_id: str, now: datetime = NOW) -> bool:
    with database.write() as connection:
        return boots.first_start(connection, database.dialect, host, boot_id, now)


def test_once_for_each_boot_of_each_machine(database: Database) -> None:
    assert first_start(database, "a", "1")
    assert not first_start(database, "a", "1", NOW + timedelta(days=1))
    assert first_start(database, "a", "2")
    assert first_start(database, "b", "1")
    assert first_start(database, "A", "1")
    assert not first_start(database, "a", "2")
    with database.read() as connection:
        seen = connection.execute(select(models.boots)).all()
    assert sorted(seen) == [("A", "1", NOW), ("a", "1", NOW), ("a", "2", NOW), ("b", "1", NOW)]


def test_a_start_that_was_rolled_back_did_not_happen(database: Database) -> None:
    try:
        with database.write() as connection:
            assert boots.first_start(connection, database.dialect, "a", "1", NOW)
            raise InterruptedError
    except InterruptedError:
        pass
    assert first_start(database, "a", "1")


def test_daemons_that_start_at_once(database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda _: first_start(database, "a", "1"), range(12)))
    assert sorted(told) == [False] * 11 + [True]
