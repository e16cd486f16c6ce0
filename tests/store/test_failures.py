"""Failures in a row, and the edit that pauses an entry for them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import insert, select, update

from beatd.store import failures
from beatd.store.engine import Database
from beatd.store.failures import Watched
from beatd.store.models import audit, entries, entry_changes, entry_versions
from tests.store.operators import Operator
from tests.store.rows import NOW, SECOND, put, row

S, F, L, R, X, O = "succeeded", "failed", "lost", "revoked", "expired", "started"  # noqa: E741


@pytest.mark.parametrize(
    ("story", "limit", "failing"),
    [
        ("", 1, False),
        ("F", 1, True),
        ("FS", 1, False),
        ("SF", 1, True),
        ("FF", 3, False),
        ("FFF", 3, True),
        ("FLF", 3, True),
        ("FFSF", 3, False),
        ("SFFF", 3, True),
        ("FRFXF", 3, True),
        ("FFFO", 3, True),
        ("FFOF", 3, True),
        ("RRR", 3, False),
    ],
)
def test_failures_in_a_row(database: Database, story: str, limit: int, failing: bool) -> None:
    """One letter a run, oldest first: S, F, L, R, X, O."""
    states = {"S": S, "F": F, "L": L, "R": R, "X": X, "O": O}
    put(database, *(row(n, state=states[letter]) for n, letter in enumerate(story)))
    watched = Watched(1, 1, NOW, limit)
    with database.read() as connection:
        assert failures.in_a_row(connection, [watched, Watched(2, 1, NOW, 1)]) == (
            [watched] if failing else []
        )


def test_a_new_version_and_a_backfill_count_by_themselves(database: Database) -> None:
    put(
        database,
        row(1, state="failed"),
        row(2, state="failed", version=2),
        row(3, state="failed", version=2, origin="backfill:1"),
        row(4, state="failed", version=2, origin="trigger:1"),
    )
    with database.read() as connection:
        for limit, failing in ((2, True), (3, False)):
            found = failures.in_a_row(connection, [Watched(1, 2, NOW + 2 * SECOND, limit)])
            assert bool(found) == failing


def test_many_entries_are_asked_about_in_sets(database: Database) -> None:
    put(database, *(row(n, entry_id=n, state="failed" if n % 2 else "succeeded") for n in range(130)))
    with database.read() as connection:
        found = failures.in_a_row(connection, [Watched(n, 1, NOW, 1) for n in range(130)])
    assert [one.entry_id for one in found] == list(range(1, 130, 2))


def add(database: Database, name: str, **values: object) -> Watched:
    with database.write() as connection:
        connection.execute(
            insert(entries), {"name": name, "every": "1h", "task": "t", "enabled": True, **values}
        )
        id_ = connection.execute(select(entries.c.id).where(entries.c.name == name)).scalar_one()
    return Watched(id_, 1, NOW, 3)


def test_it_is_an_edit_like_any_other_signed_and_audited(database: Database) -> None:
    watched = [add(database, "a"), add(database, "b", pause_note="look at it"), add(database, "c")]
    with database.write() as connection:
        assert failures.pause(connection, database.dialect, NOW, []) == {}
        paused = failures.pause(connection, database.dialect, NOW, watched[:2])
    note = "paused after 3 failures in a row"
    assert paused == {"a": note, "b": note}
    with database.read() as connection:
        found = connection.execute(select(entries).order_by(entries.c.name)).all()
        assert [(e.enabled, e.version, e.pause_note) for e in found] == [
            (False, 2, note),
            (False, 2, note),
            (True, 1, None),
        ]
        signed = connection.execute(
            select(entry_versions.c.changed_by, entry_versions.c.door).where(entry_versions.c.version == 2)
        )
        assert [tuple(one) for one in signed] == [("beatd", "daemon")] * 2
        audited = connection.execute(select(audit).order_by(audit.c.entry_name)).all()
        assert [(one.action, one.who, one.door, one.at) for one in audited] == [
            ("pause", "beatd", "daemon", NOW)
        ] * 2
        assert json.loads(audited[1].detail) == {"enabled": [True, False], "pause_note": ["look at it", note]}
        assert len(connection.execute(select(entry_changes)).all()) == 5


@pytest.mark.parametrize("change", [{"enabled": False}, {"queue": "other"}])
def test_what_was_edited_since_is_left_alone(database: Database, change: dict[str, object]) -> None:
    watched = add(database, "a")
    with database.write() as connection:
        connection.execute(update(entries).values(**change))
        assert failures.pause(connection, database.dialect, NOW, [watched]) == {}
        assert failures.pause(connection, database.dialect, NOW, [Watched(99, 1, NOW, 1)]) == {}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_an_operator_who_edits_the_entry_holds_nobody_up(
    database: Database, connect_operator: Callable[[Database], Operator]
) -> None:
    watched = [add(database, "a"), add(database, "b")]
    operator = connect_operator(database)
    operator.type("BEGIN")
    operator.type("UPDATE entries SET task = 'other' WHERE name = 'a'")
    with database.write() as connection:
        assert set(failures.pause(connection, database.dialect, NOW, watched)) == {"b"}
    operator.type("COMMIT")
