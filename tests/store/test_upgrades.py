"""Databases that an earlier version of beatd set up: brought up to date with all that they hold, and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from beatd.errors import DatabaseUnavailable, SchemaMismatch
from beatd.store import schema, triggers
from beatd.store.definitions import Definitions
from beatd.store.engine import Database
from beatd.store.models import entry_versions, runs, timers
from tests.store.operators import Operator, Recorded, queued_changes, recorded_versions

RUN = "6a0b4f32-0b8f-4f0e-9a1c-3a52d3a1d3aa"

#: What an operator of 0001 has in the database: entries with versions, one of them gone, a timer, a run.
ROWS = [
    "INSERT INTO entries (name, cron, task, timezone, overlap, enabled) "
    "VALUES ('nightly', '0 2 * * *', 'proj.nightly', 'Europe/Berlin', 'skip', true)",
    "INSERT INTO entries (name, every, task) VALUES ('hourly', '1h', 'proj.hourly')",
    "INSERT INTO entries (name, every, task) VALUES ('gone', '1h', 'proj.gone')",
    "UPDATE entries SET queue = 'slow', ignore_result = true WHERE name = 'nightly'",
    "DELETE FROM entries WHERE name = 'gone'",
    "INSERT INTO timers (entry_id, next_due_at, next_fire_at, planned_from, planned_version, planner, state) "
    "VALUES (1, '2026-01-02 01:00:00', '2026-01-02 01:00:00', '2026-01-01 01:00:00', 2, 1, 'active')",
    "INSERT INTO runs (id, entry_id, version, origin, fire_time, due_time, state, recorded_at, lost_after) "
    f"VALUES ('{RUN}', 1, 2, 'schedule', '2026-01-01 01:00:00', '2026-01-01 01:00:00', 'published', "
    "'2026-01-01 01:00:00', 60)",
    "INSERT INTO suppressions (entry_id, version, reason, count, first_fire_at, last_fire_at, recorded_at) "
    "VALUES (1, 1, 'misfire', 3, '2025-12-01 01:00:00', '2025-12-03 01:00:00', '2025-12-03 01:00:00')",
    "INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')",
    "DELETE FROM entry_changes",
]


@pytest.fixture
def old(database_url: str) -> Iterator[Database]:
    """A database of revision 0001."""
    database = Database.open(database_url)
    schema.upgrade(database, "0001")
    yield database
    database.close()


@pytest.fixture
def operator(old: Database, connect_operator: Callable[[Database], Operator]) -> Operator:
    operator = connect_operator(old)
    for statement in ROWS:
        operator.type(statement)
    return operator


def kept(database: Database) -> dict[str, list[Any]]:
    """Every row that revision 0001 had, by table, in the columns that it had."""
    with database.read() as connection:
        asked = {
            table: ", ".join(COLUMNS.get(table, ("*",)))
            for table in inspect(connection).get_table_names()
            if table not in (schema.VERSION_TABLE, "pauses", "boots", "origins")
        }
        return {
            table: sorted(map(tuple, connection.execute(text(f"SELECT {columns} FROM {table}"))), key=repr)
            for table, columns in asked.items()
        }


def versions_of(database: Database, name: str) -> list[Recorded]:
    return [version for version in recorded_versions(database) if version.name == name]


COLUMNS = {
    "entries": (
        *("id", "name", "cron", "every", "task", "timezone", "overlap", "enabled", "queue", "ignore_result"),
        *("version", "created_at", "updated_at"),
    ),
    "timers": ("entry_id", "next_due_at", "planned_from", "planned_version", "planner", "state"),
    "runs": ("id", "entry_id", "version", "origin", "fire_time", "state", "run_once", "lost_after"),
    "calendars": ("name", "dates", "country"),
}

#: Digests of the triggers and views that each step makes, without regard to blanks: users have them.
MADE = {
    ("0001", "sqlite"): "f7f818e480bd65f45ad90faac88d95e8cf89eef9650c4c824003848b2571ce75",
    ("0001", "postgresql"): "535323832f65cdf169d4b0400f6a1e52ac15b7778b273df0087d5c0b9279352a",
    ("0001", "mariadb"): "ef1056f3f432afbf6305e7b26d91c09457e77247d0670e67d84a7d06bb5082e7",
    ("0002", "sqlite"): "3631118d63ee0de336eb92dc45aa509488e24b6e5101a8b258452441de125ffc",
    ("0002", "postgresql"): "0257dea4674ad6af14e7674bd1090a36162d6f91b8e1f4d8861669d3c2b41a83",
    ("0002", "mariadb"): "b64f08fb020d7fa1a213830008047e18a8fa2812ed580ec4bb1defa6c0277bf5",
    ("0003", "sqlite"): "9590e125847fb4957895059c73469e54fe570de5e9e09b58dae55894dca4de58",
    ("0003", "postgresql"): "9d6ffd67e9354d5471e61ef41b96bf9c106cb236467ce6e60dba9d3e5549aa6e",
    ("0003", "mariadb"): "0263c7cab4f96b5e0382e47b56d99b9045a1e6f04e16299c074d803cca46b498",
}


@pytest.mark.parametrize(("revision", "dialect"), MADE)
def test_what_a_step_makes_stays_what_it_was(revision: str, dialect: str) -> None:
    """Whoever changes `beatd.store.triggers` for a new step must leave the text of the old ones as it was."""
    step = ScriptDirectory(str(schema.shipped("alembic"))).get_revision(revision)
    made = " ".join("\n".join(step.module.statements(dialect)).replace("OR REPLACE ", "").split())
    assert hashlib.sha256(made.encode()).hexdigest() == MADE[revision, dialect]


def test_a_daemon_says_what_to_do(old: Database) -> None:
    with pytest.raises(SchemaMismatch, match=r"has schema 0001, .* with 0004: run 'beatd db upgrade'$"):
        schema.require(old)
    assert schema.upgrade(old).usable
    schema.require(old)


def test_everything_is_kept_and_nothing_counts_as_an_edit(old: Database, operator: Operator) -> None:
    before, versions = kept(old), recorded_versions(old)
    schema.upgrade(old)
    assert kept(old) == before
    assert recorded_versions(old) == versions
    assert queued_changes(old) == []


def test_what_the_new_columns_hold_then(old: Database, operator: Operator) -> None:
    schema.upgrade(old)
    with old.read() as connection:
        assert connection.execute(select(timers.c.runs_made)).scalar_one() == 0
        assert connection.execute(select(runs.c.awaited, runs.c.reruns_left)).one() == (False, 0)
    assert (
        operator.type("SELECT max_runs, calendar, fixed_delay, paused_until FROM entries")
        == [(None,) * 4] * 2
    )


def test_old_versions_are_read_and_edits_make_new_ones(old: Database, operator: Operator) -> None:
    schema.upgrade(old)
    operator.type("UPDATE entries SET max_runs = 3, jitter = '5m' WHERE name = 'nightly'")
    operator.type("UPDATE entries SET fixed_delay = true WHERE name = 'hourly'")
    operator.type("DELETE FROM entries WHERE name = 'hourly'")
    _, old_version, edited = versions_of(old, "nightly")
    assert edited.version == 3
    assert edited.definition == old_version.definition | edited.definition
    assert (edited.definition["max_runs"], edited.definition["jitter"]) == (3, "5m")
    assert "max_runs" not in old_version.definition
    last = versions_of(old, "hourly")[-1]
    assert (last.operation, last.definition["fixed_delay"]) == ("delete", True)
    assert queued_changes(old) == [1, 2, 2]
    with old.read() as connection:
        keys = [
            tuple(row)
            for row in connection.execute(select(entry_versions.c.entry_id, entry_versions.c.version))
        ]
        read = Definitions().get(connection, keys)
    assert [read[1, version].definition.timing.max_runs for version in (1, 2, 3)] == [None, None, 3]
    assert {version.error for version in read.values()} == {None}


def test_and_back_with_everything_in_it(old: Database, operator: Operator) -> None:
    schema.upgrade(old)
    operator.type("UPDATE entries SET max_runs = 3, queue = 'fast' WHERE name = 'nightly'")
    operator.type("INSERT INTO pauses (since, note) VALUES ('2026-01-01 00:00:00', 'moving house')")
    before = kept(old)
    schema.downgrade(old, "0001")
    assert kept(old) == before
    operator.type("UPDATE entries SET queue = 'slow' WHERE name = 'nightly'")
    edited = versions_of(old, "nightly")[-1]
    assert (edited.version, edited.definition["queue"]) == (4, "slow")
    assert "max_runs" not in edited.definition
    schema.upgrade(old)
    operator.type("UPDATE entries SET queue = 'fast' WHERE name = 'nightly'")
    assert versions_of(old, "nightly")[-1].definition["max_runs"] is None


def test_an_upgrade_that_was_broken_off_is_carried_on(
    old: Database, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB commits each of its statements."""
    before = kept(old)
    with monkeypatch.context() as broken:
        broken.setattr(triggers, "replace", _break_off)
        with pytest.raises(DatabaseUnavailable):
            schema.upgrade(old)
    assert schema.state(old).current == "0001"
    operator.type("UPDATE entries SET queue = queue")
    schema.upgrade(old)
    assert kept(old) == before
    operator.type("UPDATE entries SET calendar = 'closed' WHERE name = 'hourly'")
    definition = versions_of(old, "hourly")[-1].definition
    assert (definition["calendar"], definition["calendar_days"]["dates"]) == ("closed", "2026-12-24")


def _break_off(*_: object) -> None:
    raise DatabaseUnavailable("the connection broke off")


def test_no_edit_goes_unrecorded_while_the_schema_changes(
    old: Database, operator: Operator, connect_operator: Callable[[Database], Operator]
) -> None:
    """An operator edits without a pause while the schema goes up, down and up."""
    another = connect_operator(old)
    changing = True

    def edit() -> int:
        edits = 0
        while changing:
            edits += 1
            another.type(f"UPDATE entries SET queue = 'queue {edits}' WHERE name = 'hourly'")
        return edits

    with ThreadPoolExecutor(1) as pool:
        editing = pool.submit(edit)
        try:
            schema.upgrade(old)
            schema.downgrade(old, "0001")
            schema.upgrade(old)
        finally:
            changing = False
        edits = editing.result()
    versions = versions_of(old, "hourly")
    assert [v.definition["queue"] for v in versions] == [None, *(f"queue {n}" for n in range(1, edits + 1))]
    assert re.fullmatch(r"queue \d+", operator.type("SELECT queue FROM entries WHERE name = 'hourly'")[0][0])
