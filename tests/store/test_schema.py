"""Migrations: up, down, up, equal to the models; one process at a time; what they refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from beatd.errors import DatabaseUnavailable, SchemaMismatch
from beatd.store import dialects, health, schema, triggers
from beatd.store.engine import Database
from beatd.store.models import DEFINITION_COLUMNS, metadata

TRIGGERS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')",
    "postgresql": "SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c "
    "ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid) "
    "UNION ALL SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema()",
    "mariadb": "SELECT trigger_name, CONCAT(action_timing, event_manipulation, action_statement) "
    "FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
    "UNION ALL SELECT table_name, view_definition FROM information_schema.views "
    "WHERE table_schema = DATABASE()",
}
FUNCTIONS = {
    "postgresql": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
}


@pytest.fixture
def unset(database_url: str) -> Iterator[Database]:
    """A database that beatd has not set up."""
    database = Database.open(database_url)
    yield database
    database.close()


def made_by_ddl(connection: Connection) -> dict[str, Any]:
    """Triggers, views and functions with their text, as the database tells it."""
    name = connection.dialect.name.replace("mysql", "mariadb")
    asked = {TRIGGERS[name], FUNCTIONS.get(name, TRIGGERS[name])}
    return {row[0]: row[1] for query in sorted(asked) for row in connection.exec_driver_sql(query)}


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names())


def differences(database: Database) -> list[Any]:
    """What Alembic would write into a migration. It sees no CHECK constraints, triggers and views."""
    options = {
        "version_table": schema.VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": _default_differs,
        "include_object": lambda _, name, kind, *__: not (kind == "table" and name == schema.VERSION_TABLE),
    }
    with database.read() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _default_differs(
    context: Any,
    found: Any,
    wanted: Any,
    found_text: str | None,
    wanted_default: Any,
    wanted_text: str | None,
) -> bool | None:
    """MariaDB's booleans are numbers: it tells `true` as 1. None: let Alembic compare."""
    return False if (wanted_text, found_text) in (("true", "1"), ("false", "0")) else None


def checks(database: Database) -> dict[str, set[str]]:
    with database.read() as connection:
        found = inspect(connection)
        return {
            table: {str(check["name"]) for check in found.get_check_constraints(table)}
            for table in found.get_table_names()
        }


def test_up_is_what_the_models_say(unset: Database) -> None:
    schema.upgrade(unset)
    assert differences(unset) == []
    assert tables(unset) == {*metadata.tables, schema.VERSION_TABLE}


def test_a_column_without_a_migration_would_be_seen(unset: Database) -> None:
    schema.upgrade(unset)
    with unset.write() as connection:
        connection.execute(text("ALTER TABLE audit DROP COLUMN detail"))
        connection.execute(text("DROP INDEX ix_audit_entry_id" + _on_table(unset)))
    assert sorted(change[0] for change in differences(unset)) == ["add_column", "add_index"]


def _on_table(database: Database) -> str:
    return " ON audit" if database.dialect.name == "mariadb" else ""


def test_its_checks_are_those_of_the_models(unset: Database) -> None:
    """Made once from the models alone and once by the migrations."""
    with unset.write() as connection:
        metadata.create_all(connection)
    expected = checks(unset)
    assert {"ck_runs_state", "ck_timers_state", "ck_entry_versions_operation"} <= set.union(
        *expected.values()
    )
    with unset.write() as connection:
        metadata.drop_all(connection)
    schema.upgrade(unset)
    assert {table: found for table, found in checks(unset).items() if table in metadata.tables} == expected


def test_its_triggers_are_those_of_the_models(unset: Database) -> None:
    """A definition column that a migration forgot to give to the triggers fails here."""
    schema.upgrade(unset)
    with unset.write() as connection:
        migrated = made_by_ddl(connection)
        made = triggers.create_statements(connection.dialect.name, DEFINITION_COLUMNS)
        triggers.replace(connection, made, [])
        assert made_by_ddl(connection) == {}
        triggers.replace(connection, [], made)
        assert made_by_ddl(connection) == migrated
        assert {"upcoming", "recent_runs"} < set(migrated)


def test_up_down_up(unset: Database) -> None:
    schema.upgrade(unset)
    with unset.read() as connection:
        first, first_id = made_by_ddl(connection), schema.installation_id(connection)
    schema.downgrade(unset, "base")
    with unset.read() as connection:
        assert made_by_ddl(connection) == {}
    assert tables(unset) == {schema.VERSION_TABLE}
    assert schema.state(unset).current is None
    schema.upgrade(unset)
    with unset.read() as connection:
        assert made_by_ddl(connection) == first
        assert schema.installation_id(connection) != first_id
    assert differences(unset) == []


def test_upgrading_again_changes_nothing(unset: Database) -> None:
    assert schema.upgrade(unset).newest
    with unset.write() as connection:
        connection.execute(text("INSERT INTO entries (name, every, task) VALUES ('a', '1h', 'proj.a')"))
        installation = schema.installation_id(connection)
    assert schema.upgrade(unset).newest
    with unset.read() as connection:
        assert schema.installation_id(connection) == installation
        assert connection.execute(text("SELECT name FROM entries")).scalars().all() == ["a"]


UPGRADE = """
import sys
from beatd.store import dialects, schema
from beatd.store.engine import Database
database = Database.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
print(schema.upgrade(database).current)
"""


def test_processes_that_upgrade_at_once(unset: Database, database_url: str, tmp_path: Path) -> None:
    """Also from another folder than the project's: the migrations are found beside the package."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    ended = [process.communicate(timeout=60) for process in processes]
    assert ended == [(f"{schema.head()}\n", "")] * 3
    assert differences(unset) == []
    with unset.read() as connection:
        assert schema.installation_id(connection)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_another_database_of_the_server_is_not_waited_for(request: pytest.FixtureRequest, kind: str) -> None:
    first = Database.open(request.getfixturevalue(f"{kind}_url"))
    server = request.getfixturevalue(kind)
    name = server.create_database()
    second = Database.open(server.url(name))
    with first.write() as connection, first.dialect.schema_lock(connection):
        assert schema.upgrade(second).newest
    first.close()
    second.close()
    server.drop_database(name)


def test_whoever_waits_in_vain_for_another_s_upgrade_is_told(
    unset: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "LOCK_TIMEOUT", 1)
    waiting = Database.open(database_url)
    held, refused = unset.dialect.schema_lock, pytest.raises(DatabaseUnavailable)
    with unset.write() as connection, held(connection), refused:
        schema.upgrade(waiting)
    assert schema.upgrade(waiting).newest
    waiting.close()


def test_what_is_supported_ends_with_what_is_shipped() -> None:
    assert schema.SUPPORTED[-1] == schema.head()


def test_a_database_that_is_not_set_up(unset: Database) -> None:
    state = schema.state(unset)
    assert (state.current, state.usable, state.newest) == (None, False, False)
    with pytest.raises(SchemaMismatch, match=r"is not set up: run 'beatd db upgrade'$"):
        schema.require(unset)
    assert tables(unset) == set()


@pytest.mark.parametrize(
    ("found", "supported", "expected"),
    [
        ("0001", ("0001",), None),
        ("0001", ("0001", "0002"), None),
        ("0002", ("0001", "0002"), None),
        ("0003", ("0001", "0002"), "has schema 0003, this version works with 0001 to 0002: upgrade beatd on"),
        ("0002", ("0001",), "has schema 0002, this version works with 0001: upgrade beatd on this machine"),
        ("0001", ("0002", "0003"), "this version works with 0002 to 0003: run 'beatd db upgrade'"),
    ],
)
def test_the_range_of_schemas(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    found: str,
    supported: tuple[str, ...],
    expected: str | None,
) -> None:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    _pretend(database, found)
    monkeypatch.setattr(schema, "SUPPORTED", supported)
    if expected is None:
        schema.require(database)
    else:
        with pytest.raises(SchemaMismatch) as raised:
            schema.require(database)
        assert expected in str(raised.value)
        assert "\n" not in str(raised.value)
    assert schema.too_new(database) == (found > supported[-1])
    database.close()


def test_a_newer_schema_is_left_alone(unset: Database) -> None:
    schema.upgrade(unset)
    _pretend(unset, "9999")
    with pytest.raises(SchemaMismatch, match=r"schema 9999, newer than 0004: upgrade beatd on this machine"):
        schema.upgrade(unset)
    assert schema.state(unset).current == "9999"
    assert schema.too_new(unset)


def _pretend(database: Database, revision: str) -> None:
    with database.write() as connection:
        connection.execute(
            text(f"UPDATE {schema.VERSION_TABLE} SET version_num = :revision"), {"revision": revision}
        )


def test_an_application_may_keep_its_own_migrations_beside(unset: Database) -> None:
    with unset.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    schema.upgrade(unset)
    schema.downgrade(unset, "base")
    with unset.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "theirs"


def test_what_is_missing_is_told(unset: Database) -> None:
    """Of what a dump or a careless hand may have lost: triggers, views, tables, columns."""
    schema.upgrade(unset)
    with unset.write() as connection:
        assert health.server(connection, unset.dialect).missing == ()
        assert health.missing_tables(connection) == []
        made = triggers.create_statements(connection.dialect.name, DEFINITION_COLUMNS)
        triggers.replace(connection, made, [])
        assert health.server(connection, unset.dialect).missing == tuple(triggers.names(made))
        connection.execute(text("ALTER TABLE calendars DROP COLUMN weekdays"))
        connection.execute(text("DROP TABLE pauses"))
        assert health.missing_tables(connection) == ["calendars.weekdays", "pauses"]
