"""Pausing everything: by our door and by an operator's own hand; what planning is told of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from beatd.planning.look import Pause
from beatd.store import pauses
from beatd.store.engine import Database
from beatd.store.listener import Listener
from beatd.store.pauses import StoredPause
from tests.store.operators import Operator

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOON = timedelta(microseconds=1)

#: How a person types the time it is, at each client.
NOW = {"sqlite": "datetime('now')", "postgresql": "now()", "mariadb": "UTC_TIMESTAMP(6)"}


def test_paused_and_resumed(database: Database) -> None:
    made = StoredPause(NOON, None, "moving house", "anna")
    with database.write() as connection:
        assert pauses.open_pause(connection, NOON) is None
        assert pauses.pause(connection, NOON, "moving house", "anna") == made
    with database.write() as connection:
        assert pauses.open_pause(connection, NOON - SOON) is None
        assert pauses.open_pause(connection, NOON) == made
        assert pauses.open_pause(connection, NOON + 1000 * HOUR) == made
        assert pauses.pauses_since(connection, NOON + HOUR) == [Pause(NOON)]
        assert pauses.resume(connection, NOON + HOUR) == made
    with database.write() as connection:
        assert pauses.open_pause(connection, NOON + HOUR) is None
        assert pauses.resume(connection, NOON + HOUR) is None
        assert pauses.pauses_since(connection, NOON) == [Pause(NOON, NOON + HOUR)]


def test_pausing_again_is_the_pause_that_there_is(database: Database) -> None:
    with database.write() as connection:
        first = pauses.pause(connection, NOON, None, "anna")
        assert pauses.pause(connection, NOON + HOUR, "again", "ben") == first
        assert pauses.pauses_since(connection, NOON) == [Pause(NOON)]


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (NOON - HOUR, ["1", "2", "3"]),
        (NOON + HOUR - SOON, ["1", "2", "3"]),
        (NOON + HOUR, ["2", "3"]),
        (NOON + 3 * HOUR, ["3"]),
        (NOON + 9 * HOUR, ["3"]),
    ],
)
def test_which_pauses_planning_is_told(database: Database, since: datetime, told: list[str]) -> None:
    """Rows stay for ever; only those that reach past what is settled matter."""
    made = {
        "1": Pause(NOON, NOON + HOUR),
        "2": Pause(NOON + 2 * HOUR, NOON + 3 * HOUR),
        "3": Pause(NOON + 4 * HOUR),
    }
    with database.write() as connection:
        for one in made.values():
            pauses.pause(connection, one.since, None, "anna")
            if one.until is not None:
                pauses.resume(connection, one.until)
        assert pauses.pauses_since(connection, since) == [made[number] for number in told]


def test_an_operator_pauses_and_resumes_by_hand(database: Database, operator: Operator) -> None:
    now = NOW[database.dialect.name]
    operator.type(f"INSERT INTO pauses (since, note) VALUES ({now}, 'moving house')")
    with database.read() as connection:
        at = database.now(connection)
        found = pauses.open_pause(connection, at)
        assert found is not None
        assert at - timedelta(minutes=1) < found.since <= at
        assert (found.until, found.note, found.who) == (None, "moving house", None)
    operator.type(f"UPDATE pauses SET until = {now}")
    with database.read() as connection:
        assert pauses.open_pause(connection, database.now(connection)) is None
        (ended,) = pauses.pauses_since(connection, NOON - 10_000 * HOUR)
        assert ended.since == found.since
        assert ended.until is not None
        assert ended.since <= ended.until <= database.now(connection)


def test_a_time_that_is_planned(database: Database, operator: Operator) -> None:
    operator.type(
        "INSERT INTO pauses (since, until) VALUES ('2026-03-29 12:00:00', '2026-03-29 13:30:00.25')"
    )
    until = NOON + HOUR + timedelta(minutes=30, milliseconds=250)
    if database.dialect.name == "postgresql":
        operator.type("UPDATE pauses SET since = '2026-03-29 12:00:00Z', until = '2026-03-29 13:30:00.25Z'")
    with database.write() as connection:
        assert pauses.open_pause(connection, NOON - SOON) is None
        assert pauses.open_pause(connection, NOON) == StoredPause(NOON, until, None, None)
        assert pauses.open_pause(connection, until) is None
        assert pauses.resume(connection, NOON + HOUR) == StoredPause(NOON, until, None, None)
        assert pauses.pauses_since(connection, NOON) == [Pause(NOON, NOON + HOUR)]


def test_resuming_ends_all_that_are_open(database: Database, operator: Operator) -> None:
    """Also one that somebody typed beside ours; one that is planned for later stays."""
    later = NOON + 5 * HOUR
    with database.write() as connection:
        pauses.pause(connection, later, None, "ben")
        first = pauses.pause(connection, NOON, None, "anna")
    operator.type("INSERT INTO pauses (since, note) SELECT since, 'beside' FROM pauses WHERE who = 'anna'")
    with database.write() as connection:
        assert pauses.resume(connection, NOON + HOUR) == first
        assert pauses.open_pause(connection, NOON + HOUR) is None
        expected = [Pause(NOON, NOON + HOUR), Pause(NOON, NOON + HOUR), Pause(later)]
        assert pauses.pauses_since(connection, NOON) == expected


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_it_is_announced(database: Database, operator: Operator) -> None:
    listener = Listener(database)
    for typed in (
        "INSERT INTO pauses (since) VALUES (now())",
        "UPDATE pauses SET until = now()",
        "DELETE FROM pauses",
    ):
        operator.type(typed)
        assert listener.wait(60), typed
    listener.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("2026-03-29T12:00:00.123456Z", "2026-03-29T12:00:00.123456Z"),
        ("2026-03-29T12:00:00Z", "2026-03-29T12:00:00.000000Z"),
        ("2026-03-29 12:00", "2026-03-29T12:00:00.000000Z"),
        ("2026-03-29", "2026-03-29T00:00:00.000000Z"),
        ("2026-03-29T14:00:00+02:00", "2026-03-29T12:00:00.000000Z"),
        ("2026-03-29 12:00:00.5", "2026-03-29T12:00:00.500000Z"),
        ("2026-03-29T12:00:00.12345678Z", "2026-03-29T12:00:00.123000Z"),
        ("tomorrow", None),
        ("", None),
        ("2026-13-29T12:00:00.000000Z", None),
        ("2026-03-29T12:00:00.12345xZ", None),
        ("29.03.2026", None),
    ],
)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_sqlite_keeps_instants_only(
    database: Database, operator: Operator, typed: str, stored: str | None, recursive: str
) -> None:
    """It has no type for them, and what a person writes in another form would sort and read differently."""
    operator.type(f"PRAGMA recursive_triggers = {recursive}")
    operator.type("INSERT INTO pauses (since) VALUES ('2026-01-01T00:00:00.000000Z')")
    edits: dict[str, Callable[[], object]] = {
        "since": lambda: operator.type(f"INSERT INTO pauses (since) VALUES ('{typed}')"),
        "until": lambda: operator.type(f"UPDATE pauses SET until = '{typed}'"),
    }
    for column, edit in edits.items():
        if stored is None:
            with pytest.raises(Exception, match="since and until are instants in UTC, such as 2026"):
                edit()
        else:
            edit()
            assert operator.type(f"SELECT {column} FROM pauses ORDER BY id DESC LIMIT 1") == [(stored,)]
    if stored is None:
        assert operator.type("SELECT since, until FROM pauses") == [("2026-01-01T00:00:00.000000Z", None)]


def test_a_pause_with_an_end_and_another_end(database: Database) -> None:
    with database.write() as connection:
        made = pauses.pause(connection, NOON, "moving house", "anna", NOON + HOUR)
        assert made == StoredPause(NOON, NOON + HOUR, "moving house", "anna")
        assert pauses.open_pause(connection, NOON + HOUR - SOON) == made
        assert pauses.open_pause(connection, NOON + HOUR) is None
        pauses.change(connection, NOON + HOUR, None, "too late")
        assert pauses.pauses_since(connection, NOON) == [Pause(NOON, NOON + HOUR)]
        pauses.change(connection, NOON, None, "longer")
        assert pauses.open_pause(connection, NOON + HOUR) == StoredPause(NOON, None, "longer", "anna")
