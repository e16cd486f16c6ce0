"""Definitions of versions: read once and kept, the broken ones with what is wrong, alike on each database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select

from beatd.planning.timing import Surroundings
from beatd.schedules import Calendared, DateSet
from beatd.store.definitions import Definitions, Version
from beatd.store.engine import Database
from beatd.store.models import entries, entry_versions
from tests.store.operators import Operator

INSERT = (
    "INSERT INTO entries (name, every, task, args, enabled) VALUES ('a', '1h', 'proj.a', '[1, null]', true)"
)


def all_versions(database: Database, definitions: Definitions) -> list[Version]:
    with database.read() as connection:
        keys = [
            tuple(row)
            for row in connection.execute(select(entry_versions.c.entry_id, entry_versions.c.version))
        ]
        found = definitions.get(connection, keys)
    return [found[key] for key in sorted(found)]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database within."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement != "BEGIN":
            asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_version_as_an_operator_typed_it(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    (version,) = all_versions(database, Definitions())
    with database.read() as connection:
        entry = connection.execute(select(entries)).one()
    assert (version.entry_id, version.version) == (entry.id, 1)
    assert (version.changed_at, version.deleted, version.error) == (entry.created_at, False, None)
    definition = version.definition
    assert definition is not None
    assert (definition.name, definition.enabled, definition.timezone) == ("a", True, ZoneInfo("UTC"))
    assert (definition.task.task, definition.task.args, definition.task.kwargs) == ("proj.a", (1, None), {})
    assert (definition.task.priority, definition.task.ignore_result) == (None, None)


def test_an_interval_is_anchored_at_the_entry_s_creation(database: Database, operator: Operator) -> None:
    """Whatever zone the session of the operator is in, and whatever is edited later."""
    operator.type(INSERT)
    operator.type("UPDATE entries SET queue = 'slow', created_at = NULL")
    operator.type("UPDATE entries SET every = '2h'")
    with database.read() as connection:
        created_at = connection.execute(select(entries.c.created_at)).scalar_one()
    hours = [timedelta(hours=1), timedelta(hours=1), timedelta(hours=2)]
    for version, distance in zip(all_versions(database, Definitions()), hours, strict=True):
        assert version.definition is not None
        assert version.definition.schedule.next_fire_time(created_at) == created_at + distance


def test_yes_and_no(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type("UPDATE entries SET enabled = false, ignore_result = false")
    operator.type("UPDATE entries SET enabled = true, ignore_result = true")
    read = [v.definition for v in all_versions(database, Definitions())]
    assert [d and (d.enabled, d.task.ignore_result) for d in read] == [
        (True, None),
        (False, False),
        (True, True),
    ]


def test_the_default_time_zone(database: Database, operator: Operator) -> None:
    operator.type(
        INSERT.replace("'1h'", "NULL").replace("every", "cron, every").replace("NULL", "'0 2 * * *', NULL", 1)
    )
    operator.type("UPDATE entries SET timezone = 'Asia/Tokyo'")
    definitions = Definitions(Surroundings("Europe/Berlin"))
    zones = [v.definition and v.definition.timezone for v in all_versions(database, definitions)]
    assert zones == [ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")]


def test_a_deleted_entry(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type("DELETE FROM entries")
    _, last = all_versions(database, Definitions())
    assert (last.version, last.deleted, last.definition, last.error) == (2, True, None, None)


NONSENSE = {
    "cron = 'x', every = NULL": "cron",
    "every = 'soon'": "every",
    "every = '999999999999w'": "every",
    "cron = '* * * * *'": "cron and every",
    "every = NULL": "schedule",
    "every = NULL, \"at\" = 'tomorrow'": "at",
    "timezone = 'Mars/Olympus'": "timezone",
    "args = '[1'": "args",
    "args = '{}'": "args",
    "kwargs = '[[[[[[[[[['": "kwargs",
    "priority = -1": "priority",
    "expires = 'whenever'": "expires",
    "overlap = 'maybe'": "overlap",
    "name = ' '": "name",
    "task = ''": "task",
    "headers = 'NaN'": "headers",
}


@pytest.mark.parametrize("edit", NONSENSE)
def test_a_version_that_cannot_be_read_says_why(database: Database, operator: Operator, edit: str) -> None:
    operator.type(INSERT)
    operator.type(f"UPDATE entries SET {edit}")
    good, bad = all_versions(database, Definitions())
    assert good.definition is not None
    assert (bad.version, bad.deleted, bad.definition) == (2, False, None)
    assert bad.error is not None
    assert NONSENSE[edit] in bad.error


def test_arguments_nested_too_deep_are_an_error_of_that_entry(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type(f"UPDATE entries SET args = '{'[' * 50_000}{']' * 50_000}'")
    _, bad = all_versions(database, Definitions())
    assert bad.definition is None
    assert bad.error is not None
    assert "args" in bad.error


def test_versions_are_read_once(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    operator.type("UPDATE entries SET queue = 'slow'")
    definitions = Definitions()
    first = all_versions(database, definitions)
    keys = [(version.entry_id, version.version) for version in first]
    with database.read() as connection, statements(database) as asked:
        again = definitions.get(connection, keys)
        assert definitions.get(connection, []) == {}
    assert asked == []
    assert all(again[key] is version for key, version in zip(keys, first, strict=True))


def test_the_ones_used_last_are_kept(database: Database, operator: Operator) -> None:
    rows = ", ".join(f"('job {n}', '1h', 'proj.job')" for n in range(4))
    operator.type(f"INSERT INTO entries (name, every, task) VALUES {rows}")
    definitions = Definitions(size=2)
    a, b, c, d = ((v.entry_id, v.version) for v in all_versions(database, definitions))
    with database.read() as connection:
        assert set(definitions.get(connection, [a, b, c, d])) == {a, b, c, d}
        definitions.get(connection, [a, b])
        kept = definitions.get(connection, [a])[a]
        definitions.get(connection, [c])
        assert definitions.get(connection, [a])[a] is kept


def test_more_versions_than_one_statement_takes(database: Database, operator: Operator) -> None:
    rows = ", ".join(f"('job {n}', '1h', 'proj.job')" for n in range(1201))
    operator.type(f"INSERT INTO entries (name, every, task) VALUES {rows}")
    versions = all_versions(database, Definitions())
    assert sorted(v.definition.name for v in versions if v.definition) == sorted(
        f"job {n}" for n in range(1201)
    )


def test_versions_that_do_not_exist(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    (known,) = all_versions(database, Definitions())
    key = (known.entry_id, 1)
    with database.read() as connection:
        assert set(Definitions().get(connection, [key, (known.entry_id, 2), (0, 1)])) == {key}


def test_instants_of_the_first_version_are_utc(database: Database, operator: Operator) -> None:
    operator.type(INSERT)
    (version,) = all_versions(database, Definitions())
    assert version.changed_at.tzinfo is UTC
    assert abs(version.changed_at - datetime.now(UTC)) < timedelta(minutes=1)


# Calendars


CALENDARED = "INSERT INTO entries (name, cron, task, calendar) VALUES ('b', '0 9 * * *', 'proj.b', 'closed')"
CALENDAR = "INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')"


def read(database: Database, definitions: Definitions, name: str) -> Version:
    """The newest version of the entry of this name."""
    with database.read() as connection:
        key = connection.execute(select(entries.c.id, entries.c.version).where(entries.c.name == name)).one()
        return definitions.get(connection, [(key.id, key.version)])[key.id, key.version]


def fires_at(version: Version, after: datetime) -> datetime | None:
    assert version.error is None
    assert version.definition is not None
    return version.definition.schedule.next_fire_time(after)


EVE, CHRISTMAS, BOXING = (datetime(2026, 12, day, 9, tzinfo=UTC) for day in (24, 25, 26))
BEFORE = EVE - timedelta(hours=1)


def test_the_dates_of_its_calendar(database: Database, operator: Operator) -> None:
    operator.type(CALENDAR)
    operator.type(CALENDARED)
    assert fires_at(read(database, Definitions(), "b"), BEFORE) == CHRISTMAS


def test_every_version_has_the_dates_of_its_time(database: Database, operator: Operator) -> None:
    """Also when it is read for the first time long after."""
    operator.type(CALENDAR)
    operator.type(CALENDARED)
    operator.type("UPDATE calendars SET description = 'the same dates'")
    operator.type("UPDATE calendars SET dates = '2026-12-24 2026-12-25'")
    operator.type("UPDATE entries SET calendar_action = 'next'")
    operator.type("UPDATE calendars SET dates = '2026-01-01'")
    operator.type("UPDATE entries SET calendar = NULL, calendar_action = NULL")
    operator.type("UPDATE calendars SET dates = '2026-12-24'")
    fires = [fires_at(version, BEFORE) for version in all_versions(database, Definitions())]
    assert fires == [CHRISTMAS, BOXING, BOXING, EVE, EVE]


def test_a_calendar_that_is_not_there(database: Database, operator: Operator) -> None:
    definitions = Definitions()
    operator.type(CALENDARED)
    operator.type(CALENDAR.replace("closed", "Closed"))
    broken = read(database, definitions, "b")
    assert broken.definition is None
    assert broken.error is not None
    assert broken.error == "calendar: 'closed': there is no such calendar"
    operator.type(CALENDAR)
    assert fires_at(read(database, definitions, "b"), BEFORE) == CHRISTMAS
    operator.type("DELETE FROM calendars WHERE name = 'closed'")
    assert read(database, definitions, "b").error == broken.error


def test_a_calendar_that_cannot_be_read(database: Database, operator: Operator) -> None:
    definitions = Definitions()
    operator.type(CALENDAR.replace("24", "42"))
    operator.type(CALENDARED)
    broken = read(database, definitions, "b")
    assert broken.definition is None
    assert broken.error is not None
    assert broken.error.startswith("calendar: 'closed': it cannot be read: dates: ")
    operator.type("UPDATE calendars SET dates = '2026-12-24'")
    assert fires_at(read(database, definitions, "b"), BEFORE) == CHRISTMAS


def test_calendars_are_not_asked_for_and_read_once(database: Database, operator: Operator) -> None:
    operator.type(CALENDAR)
    operator.type(CALENDARED)
    operator.type(CALENDARED.replace("'b'", "'c'"))
    definitions = Definitions()
    with statements(database) as asked:
        b, c = read(database, definitions, "b"), read(database, definitions, "c")
    assert not any("calendars" in statement for statement in asked)
    assert dates_of(b) is dates_of(c)


def dates_of(version: Version) -> DateSet:
    assert version.definition is not None
    assert isinstance(version.definition.schedule, Calendared)
    return version.definition.schedule.dates
