"""Plain SQL on `entries` is a first-class door: what the triggers make of what an operator types."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.models import DEFINITION_COLUMNS, entries
from tests.services.mariadb import MariaDB
from tests.store.operators import Operator, created_at, queued_changes, recorded_versions

INSERT = "INSERT INTO entries (name, cron, task) VALUES ('nightly', '0 2 * * *', 'proj.nightly')"

#: Every definition column, what an operator types for it, and what the version then holds.
EDITS = {
    "name": ("'weekly'", "weekly"),
    "description": ("'two\nlines, a \\ and a \ttab'", "two\nlines, a \\ and a \ttab"),
    "enabled": ("false", False),
    "cron": ("'*/5 * * * *'", "*/5 * * * *"),
    "every": ("'30s'", "30s"),
    "at": ("'2026-12-24 18:00'", "2026-12-24 18:00"),
    "calendar_every": ("'3mo'", "3mo"),
    "time": ("'09:00'", "09:00"),
    "day": ("'last'", "last"),
    "solar": ("'sunset'", "sunset"),
    "latitude": ("'52.52'", "52.52"),
    "longitude": ("'-13.4'", "-13.4"),
    "custom": ("'tides'", "tides"),
    "custom_args": ('\'{"harbour": "Cuxhaven"}\'', '{"harbour": "Cuxhaven"}'),
    "fixed_delay": ("true", True),
    "host": ("'node-1'", "node-1"),
    "timezone": ("'Europe/Berlin'", "Europe/Berlin"),
    "start_at": ("'2026-01-01'", "2026-01-01"),
    "end_at": ("'2027-01-01'", "2027-01-01"),
    "max_runs": ("10", 10),
    "calendar": ("'bank holidays'", "bank holidays"),
    "calendar_action": ("'next'", "next"),
    "jitter": ("'5m'", "5m"),
    "dst_gap": ("'skip'", "skip"),
    "dst_fold": ("'both'", "both"),
    "task": ("'proj.other'", "proj.other"),
    "args": ("'[1, \"two\"]'", '[1, "two"]'),
    "kwargs": ("'{\"a\": null}'", '{"a": null}'),
    "queue": ("'slow'", "slow"),
    "exchange": ("'jobs'", "jobs"),
    "exchange_type": ("'topic'", "topic"),
    "routing_key": ("'jobs.slow'", "jobs.slow"),
    "priority": ("7", 7),
    "headers": ('\'{"x": "y"}\'', '{"x": "y"}'),
    "serializer": ("'json'", "json"),
    "compression": ("'gzip'", "gzip"),
    "time_limit": ("'1h'", "1h"),
    "soft_time_limit": ("'50m'", "50m"),
    "ignore_result": ("true", True),
    "link": ("'proj.after'", "proj.after"),
    "link_error": ("'proj.alarm'", "proj.alarm"),
    "expires": ("'10m'", "10m"),
    "misfire": ("'all'", "all"),
    "misfire_grace": ("'5m'", "5m"),
    "misfire_limit": ("3", 3),
    "overlap": ("'skip'", "skip"),
    "lost_after": ("'2h'", "2h"),
    "on_failure": ("'pause'", "pause"),
    "failure_limit": ("5", 5),
    "on_lost": ("'rerun'", "rerun"),
    "mailto": ("'ops@example.org'", "ops@example.org"),
    "ping_url": ("'https://hc.example.org/abc'", "https://hc.example.org/abc"),
    "alert_url": ("'https://hc.example.org/abc/fail'", "https://hc.example.org/abc/fail"),
    "paused_until": ("'2026-12-24 18:00'", "2026-12-24 18:00"),
    "pause_note": ("'moving house'", "moving house"),
}


def version_of(operator: Operator, name: str = "nightly") -> int:
    return int(operator.type(f"SELECT version FROM entries WHERE name = '{name}'")[0][0])


def quoted(column: str) -> str:
    return '"at"' if column == "at" else column


def test_an_insert_makes_the_first_version(database: Database, operator: Operator) -> None:
    with database.read() as connection:
        before = database.now(connection) - timedelta(milliseconds=1)  # SQLite's clock has no finer steps
    operator.type(INSERT)
    with database.read() as connection:
        after = database.now(connection)
        entry = connection.execute(select(entries)).one()
    (version,) = recorded_versions(database)
    assert (version.entry_id, version.version, version.operation) == (entry.id, 1, "insert")
    assert version.name == "nightly"
    assert before <= version.changed_at <= after
    assert entry.created_at == entry.updated_at == version.changed_at == created_at(version.definition)
    given = {"name": "nightly", "cron": "0 2 * * *", "task": "proj.nightly", "enabled": True}
    empty = dict.fromkeys(DEFINITION_COLUMNS, None)
    kept = {**version.definition, "created_at": None}
    assert kept == {**empty, **given, "calendar_changes": 0, "calendar_days": None}
    assert queued_changes(database) == [entry.id]


def test_who_made_an_edit_is_known_where_the_database_knows(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    (version,) = recorded_versions(database)
    expected = {"sqlite": None, "postgresql": "beatd", "mariadb": "beatd@127.0.0.1"}
    assert version.changed_by == expected[database.dialect.name]


def test_the_table_of_edits_is_complete() -> None:
    assert set(EDITS) | {"calendar_changes", "created_at"} == set(DEFINITION_COLUMNS)


def test_every_column_s_edit_makes_a_version(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    expected = {**recorded_versions(database)[0].definition}
    for number, (column, (typed, value)) in enumerate(EDITS.items(), start=2):
        with database.read() as connection:
            before = database.now(connection) - timedelta(milliseconds=1)
        operator.type(f"UPDATE entries SET {quoted(column)} = {typed}")
        expected[column] = value
        version = recorded_versions(database)[-1]
        assert (version.version, version.operation) == (number, "update"), column
        assert version.definition == expected, column
        assert version.name == expected["name"]
        with database.read() as connection:
            entry = connection.execute(select(entries)).one()
            assert before <= version.changed_at <= database.now(connection), column
        assert (entry.version, entry.updated_at) == (number, version.changed_at), column
        assert entry.created_at == created_at(version.definition)
        assert len(queued_changes(database)) == number, column


def test_and_so_does_emptying_one_again(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    emptied = [name for name in EDITS if name not in ("name", "task", "enabled")]
    sets = ", ".join(f"{quoted(name)} = {EDITS[name][0]}" for name in emptied)
    operator.type(f"UPDATE entries SET {sets}")
    for number, column in enumerate(emptied, start=3):
        operator.type(f"UPDATE entries SET {quoted(column)} = NULL")
        version = recorded_versions(database)[-1]
        assert (version.version, version.definition[column]) == (number, None), column


@pytest.mark.parametrize(
    "update",
    [
        "UPDATE entries SET cron = '0 2 * * *'",
        "UPDATE entries SET cron = cron, args = args, enabled = enabled",
        "UPDATE entries SET cron = 'never' WHERE name = 'nobody'",
        "UPDATE entries SET enabled = true, every = NULL",
    ],
)
def test_an_update_that_changes_nothing_is_no_edit(
    database: Database, operator: Operator, update: str
) -> None:
    operator.type(INSERT)
    before = operator.type("SELECT * FROM entries")
    operator.type(update)
    assert operator.type("SELECT * FROM entries") == before
    assert len(recorded_versions(database)) == len(queued_changes(database)) == 1


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("task", "proj.Clean", "proj.clean"),
        ("name", "Backup", "backup"),
        ("args", '["a"]', '["A"]'),
        ("args", '["a"]', '["a"] '),
        ("queue", "", " "),
        ("description", "resume", "résumé"),
        ("description", "", "\t"),
        ("calendar", "Holidays", "holidays"),
        ("custom_args", '{"a": 1}', '{"A": 1}'),
    ],
)
def test_the_smallest_difference_is_an_edit(
    database: Database, operator: Operator, column: str, first: str, second: str
) -> None:
    operator.type(INSERT)
    operator.type(f"UPDATE entries SET {column} = '{first}'")
    operator.type(f"UPDATE entries SET {column} = '{second}'")
    assert [v.definition[column] for v in recorded_versions(database)[1:]] == [first, second]


def test_a_delete_makes_the_last_version(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type("UPDATE entries SET queue = 'slow'")
    operator.type("DELETE FROM entries")
    first, second, last = recorded_versions(database)
    assert (last.version, last.operation, last.name) == (3, "delete", "nightly")
    assert last.definition == second.definition
    assert first.changed_at <= second.changed_at <= last.changed_at
    assert queued_changes(database) == [first.entry_id] * 3


def test_several_rows_in_one_statement(database: Database, operator: Operator) -> None:
    rows = ", ".join(f"('job {n}', '1h', 'proj.job')" for n in range(50))
    operator.type(f"INSERT INTO entries (name, every, task) VALUES {rows}")
    operator.type("UPDATE entries SET queue = 'slow' WHERE name LIKE 'job 1%'")
    operator.type("DELETE FROM entries WHERE name LIKE 'job 2%'")
    made = [(v.name, v.version, v.operation) for v in recorded_versions(database)]
    expected = [(f"job {n}", 1, "insert") for n in range(50)]
    expected += [(f"job {n}", 2, "update") for n in range(50) if str(n).startswith("1")]
    expected += [(f"job {n}", 2, "delete") for n in range(50) if str(n).startswith("2")]
    assert sorted(made) == sorted(expected)
    assert len(queued_changes(database)) == len(expected)


def test_what_triggers_keep_no_edit_sets(database: Database, operator: Operator) -> None:
    operator.type(
        "INSERT INTO entries (name, every, task, version, created_at, updated_at) "
        "VALUES ('nightly', '1h', 'proj.nightly', 7, '2001-01-01 00:00:00', '2001-01-01 00:00:00')"
    )
    with database.read() as connection:
        made = connection.execute(select(entries)).one()
    (version,) = recorded_versions(database)
    assert made.version == version.version == 1
    assert made.created_at == made.updated_at == version.changed_at

    for kept in (
        "version = 9",
        "version = 0",
        "created_at = '2001-01-01 00:00:00'",
        "updated_at = '2001-01-01 00:00:00'",
        "id = 4711",
        "created_at = NULL, version = 3",
    ):
        operator.type(f"UPDATE entries SET {kept}")
        with database.read() as connection:
            assert connection.execute(select(entries)).one() == made, kept
    assert len(recorded_versions(database)) == len(queued_changes(database)) == 1

    operator.type("UPDATE entries SET queue = 'slow', version = 9, created_at = NULL, id = 4711")
    with database.read() as connection:
        edited = connection.execute(select(entries)).one()
    assert (edited.id, edited.version, edited.created_at) == (made.id, 2, made.created_at)
    last = recorded_versions(database)[-1]
    assert (last.entry_id, last.version, last.changed_at) == (made.id, 2, edited.updated_at)
    assert created_at(last.definition) == made.created_at
    assert queued_changes(database) == [made.id, made.id]


@pytest.mark.parametrize("column", ["enabled", "ignore_result", "fixed_delay"])
@pytest.mark.parametrize("typed", ["'false'", "2", "'off'", "NULL"])
def test_what_is_yes_or_no(database: Database, operator: Operator, column: str, typed: str) -> None:
    """SQLite would keep any text, and every text counts as true. `enabled` is one of the two always."""
    operator.type(INSERT)
    operator.type(f"UPDATE entries SET {column} = true")
    read = {"'false'": False, "'off'": False} if database.dialect.name == "postgresql" else {}
    if column != "enabled":
        read["NULL"] = None
    if typed in read:
        operator.type(f"UPDATE entries SET {column} = {typed}")
        assert recorded_versions(database)[-1].definition[column] is read[typed]
    else:
        before = recorded_versions(database)
        with pytest.raises(Exception, match=r"(?i)constraint|boolean|integer|null"):
            operator.type(f"UPDATE entries SET {column} = {typed}")
        assert recorded_versions(database) == before


def test_names_are_unique_and_letter_case_counts(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type(INSERT.replace("'nightly'", "'Nightly'"))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        operator.type(INSERT)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        operator.type("UPDATE entries SET name = 'nightly' WHERE name = 'Nightly'")
    assert version_of(operator) == version_of(operator, "Nightly") == 1
    assert len(recorded_versions(database)) == len(queued_changes(database)) == 2


@pytest.mark.parametrize(
    "name",
    ["größe", "日本語", "🦆 duck", "it''s", '"quoted"', "100 % %s %(x)s", "a:b", "$1 ?", "e\u0301"],
)
def test_names_of_any_script(database: Database, operator: Operator, name: str) -> None:
    operator.type(INSERT.replace("nightly'", f"{name}'", 1))
    operator.type("UPDATE entries SET queue = 'slow'")
    expected = name.replace("''", "'")
    versions = recorded_versions(database)
    assert [version.name for version in versions] == [expected, expected]
    assert [version.definition["name"] for version in versions] == [expected, expected]


def test_long_arguments(database: Database, operator: Operator) -> None:
    long = json.dumps(['"quoted" \\ 🦆' * 8192])
    assert len(long) > 64 * 1024
    operator.type(INSERT)
    operator.type(f"UPDATE entries SET args = '{long}', description = '{long}'")
    assert recorded_versions(database)[-1].definition["args"] == long


def test_an_edit_that_is_rolled_back_leaves_nothing(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    before = operator.type("SELECT * FROM entries")
    operator.type("BEGIN")
    operator.type("UPDATE entries SET queue = 'slow'")
    operator.type(INSERT.replace("'nightly'", "'other'"))
    operator.type("DELETE FROM entries")
    operator.type("ROLLBACK")
    assert operator.type("SELECT * FROM entries") == before
    assert len(recorded_versions(database)) == len(queued_changes(database)) == 1


def test_an_upsert_is_the_edit_that_it_ends_as(database: Database, operator: Operator) -> None:
    values = INSERT.replace("'0 2 * * *'", "'0 3 * * *'")
    set_ = {"mariadb": "ON DUPLICATE KEY UPDATE cron = VALUES(cron)"}.get(
        database.dialect.name, "ON CONFLICT (name) DO UPDATE SET cron = excluded.cron"
    )
    operator.type(INSERT)
    operator.type(f"{values} {set_}")
    operator.type(f"{values} {set_}")
    made = [(v.version, v.operation, v.definition["cron"]) for v in recorded_versions(database)]
    assert made == [(1, "insert", "0 2 * * *"), (2, "update", "0 3 * * *")]


def test_operators_who_edit_one_entry_at_once(
    database: Database, connect_operator: Callable[[Database], Operator]
) -> None:
    connect_operator(database).type(INSERT)

    def edit(number: int) -> None:
        operator = connect_operator(database)
        for n in range(10):
            operator.type(f"UPDATE entries SET queue = 'queue {number} {n}', misfire_limit = {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(edit, range(4)))
    versions = recorded_versions(database)
    assert [version.version for version in versions] == list(range(1, 42))
    if database.dialect.name != "mariadb":  # there, a statement's time is when it began to wait its turn
        assert [v.changed_at for v in versions] == sorted(v.changed_at for v in versions)
    assert len(queued_changes(database)) == 41
    for version in versions[1:]:
        assert version.definition["queue"].split()[1] == str(version.definition["misfire_limit"])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_operator_whose_session_looks_elsewhere(database: Database, operator: Operator) -> None:
    operator.type("SET search_path = pg_catalog")
    operator.type(INSERT.replace("entries", "public.entries"))
    operator.type("DELETE FROM public.entries")
    assert [version.operation for version in recorded_versions(database)] == ["insert", "delete"]


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_client_whose_triggers_set_off_triggers(
    database: Database, operator: Operator, recursive: str
) -> None:
    operator.type(f"PRAGMA recursive_triggers = {recursive}")
    operator.type(INSERT)
    operator.type("UPDATE entries SET queue = 'slow'")
    operator.type("UPDATE entries SET queue = 'fast', version = 9, id = 4711")
    operator.type("UPDATE entries SET version = 1, id = 4711, updated_at = NULL")
    operator.type("DELETE FROM entries")
    made = [(v.version, v.operation) for v in recorded_versions(database)]
    assert made == [(1, "insert"), (2, "update"), (3, "update"), (4, "delete")]
    assert len({version.entry_id for version in recorded_versions(database)}) == 1


def test_ids_are_never_used_again(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type("DELETE FROM entries")
    operator.type(INSERT)
    first, deleted, second = recorded_versions(database)
    assert first.entry_id == deleted.entry_id < second.entry_id
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        operator.type(
            "INSERT INTO entries (id, name, cron, task) "
            f"VALUES ({first.entry_id}, 'old', '0 2 * * *', 'proj.old')"
        )
    assert len(recorded_versions(database)) == 3


REMOVALS = {
    "sqlite": ["REPLACE INTO entries (name, cron, task) VALUES ('nightly', '0 3 * * *', 'proj.new')"],
    "postgresql": ["TRUNCATE entries", INSERT],
    "mariadb": ["REPLACE INTO entries (name, cron, task) VALUES ('nightly', '0 3 * * *', 'proj.new')"],
}


def test_rows_removed_in_other_ways_take_no_id_with_them(database: Database, operator: Operator) -> None:
    """Some of these no trigger sees; still the new row is an entry of its own (docs/decisions)."""
    operator.type(INSERT)
    for statement in REMOVALS[database.dialect.name]:
        operator.type(statement)
    versions = recorded_versions(database)
    assert versions[0].entry_id < versions[-1].entry_id
    assert (versions[-1].version, versions[-1].operation) == (1, "insert")
    assert ("delete" in {v.operation for v in versions}) == (database.dialect.name == "mariadb")


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_nor_after_the_database_was_restarted(
    request: pytest.FixtureRequest, kind: str, connect_operator: Callable[[Database], Operator]
) -> None:
    """MariaDB before 10.2.4 and SQLite's plain row ids take the largest that is there, and one."""
    url = request.getfixturevalue({"sqlite": "sqlite_url", "mariadb": "mariadb_url"}[kind])
    database = Database.open(url)
    schema.upgrade(database)
    operator = connect_operator(database)
    operator.type(INSERT)
    operator.type("DELETE FROM entries")
    operator.close()
    database.close()
    if kind == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        server.kill9()
        server.start()
    operator = connect_operator(database)
    operator.type(INSERT)
    first, _, second = recorded_versions(database)
    assert first.entry_id < second.entry_id
    database.close()


@pytest.mark.parametrize(
    "columns",
    [
        "cron = '@reboot', host = 'node-1'",
        "every = '1h', fixed_delay = true",
        "\"at\" = '2026-12-24 18:00'",
        "calendar_every = '3mo', time = '09:00', day = 'last'",
        "solar = 'sunset', latitude = '52.52', longitude = '13.4'",
        "custom = 'tides', custom_args = '{}'",
    ],
)
def test_the_view_of_what_comes_shows_every_kind_of_schedule(
    database: Database, operator: Operator, columns: str
) -> None:
    operator.type("INSERT INTO entries (name, task) VALUES ('nightly', 'proj.nightly')")
    operator.type(f"UPDATE entries SET {columns}, paused_until = '2027-01-01'")
    expected = columns.split("'")[1]
    assert operator.type("SELECT schedule, paused_until FROM upcoming") == [(expected, "2027-01-01")]


def test_views_show_what_people_ask_for(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    (entry,) = operator.type("SELECT name, schedule, task, state, entry_id FROM upcoming")
    assert entry[:4] == ("nightly", "0 2 * * *", "proj.nightly", None)
    operator.type(
        "INSERT INTO runs (id, entry_id, version, origin, fire_time, due_time, state, recorded_at, "
        "started_at, finished_at, lost_after) VALUES ('6a0b4f32-0b8f-4f0e-9a1c-3a52d3a1d3aa', "
        f"{entry[4]}, 1, 'schedule', '2026-01-01 02:00:00', '2026-01-01 02:00:00', 'succeeded', "
        "'2026-01-01 02:00:00', '2026-01-01 02:00:00.25', '2026-01-01 02:00:01.75', 60)"
    )
    operator.type("UPDATE entries SET name = 'renamed'")
    ((name, state, seconds),) = operator.type("SELECT name, state, seconds FROM recent_runs")
    assert (name, state, float(seconds)) == ("nightly", "succeeded", pytest.approx(1.5, abs=0.002))
