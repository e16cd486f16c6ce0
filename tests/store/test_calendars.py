"""Named calendars: edited by whatever door, the entries that name one are planned afresh."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from beatd.errors import Conflict, FieldError
from beatd.schedules import parse_date_set
from beatd.store import calendars
from beatd.store.calendars import Calendars, StoredCalendar
from beatd.store.engine import Database
from beatd.store.listener import Listener
from tests.store.operators import Operator, queued_changes

CLOSED = StoredCalendar("closed", "The office is closed", "2026-12-24 2026-12-31", "sat,sun", "DE", "BY")


@pytest.fixture
def entry_ids(operator: Operator) -> dict[str, int]:
    """Entries that name the calendars `closed`, `Closed`, `open` and none, with nothing left to plan."""
    for name in ("closed", "Closed", "open"):
        operator.type(
            f"INSERT INTO entries (name, every, task, calendar) VALUES ('{name}', '1h', 'proj.a', '{name}')"
        )
    operator.type("INSERT INTO entries (name, every, task) VALUES ('none', '1h', 'proj.a')")
    operator.type("DELETE FROM entry_changes")
    return {name: id_ for id_, name in operator.type("SELECT id, name FROM entries")}


def test_a_calendar_s_life(database: Database) -> None:
    with database.write() as connection:
        calendars.add(connection, CLOSED)
        calendars.add(connection, StoredCalendar("a", dates="2026-01-01"))
    with database.write() as connection:
        assert list(calendars.read_all(connection).items()) == [
            ("a", StoredCalendar("a", dates="2026-01-01")),
            ("closed", CLOSED),
        ]
        assert calendars.change(connection, "a", {"country": "FR", "dates": None})
        assert not calendars.change(connection, "b", {"country": "FR"})
        assert calendars.read_all(connection)["a"] == StoredCalendar("a", country="FR")
        assert calendars.remove(connection, "a")
        assert not calendars.remove(connection, "a")
        assert list(calendars.read_all(connection)) == ["closed"]


def test_a_name_that_is_taken(database: Database) -> None:
    with database.write() as connection:
        calendars.add(connection, CLOSED)
        calendars.add(connection, StoredCalendar("Closed"))
    with (
        pytest.raises(Conflict, match=r"^there is a calendar 'closed' already$"),
        database.write() as connection,
    ):
        calendars.add(connection, StoredCalendar("closed"))
    with (
        pytest.raises(Conflict, match=r"^there is a calendar 'closed' already$"),
        database.write() as connection,
    ):
        calendars.change(connection, "Closed", {"name": "closed"})


def test_which_entries_name_it(database: Database, entry_ids: dict[str, int]) -> None:
    with database.read() as connection:
        assert calendars.entries_that_name(connection, "closed") == ["closed"]
        assert calendars.entries_that_name(connection, "Closed") == ["Closed"]
        assert calendars.entries_that_name(connection, "none") == []


@pytest.mark.parametrize(
    ("typed", "planned_afresh"),
    [
        ("INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')", ["closed"]),
        ("INSERT INTO calendars (name) VALUES ('closed'), ('other')", ["closed"]),
        ("INSERT INTO calendars (name) VALUES ('other')", []),
        ("UPDATE calendars SET dates = '2026-12-24' WHERE name = 'open'", ["open"]),
        ("UPDATE calendars SET name = 'closed' WHERE name = 'open'", ["closed", "open"]),
        ("UPDATE calendars SET dates = '2026-12-24' WHERE name = 'nobody'", []),
        ("DELETE FROM calendars", ["open"]),
    ],
)
def test_what_is_planned_afresh(
    database: Database, operator: Operator, entry_ids: dict[str, int], typed: str, planned_afresh: list[str]
) -> None:
    """And no version is made: the entry is as it was."""
    operator.type("INSERT INTO calendars (name) VALUES ('open')")
    operator.type("DELETE FROM entry_changes")
    operator.type(typed)
    assert sorted(queued_changes(database)) == sorted(entry_ids[name] for name in planned_afresh)
    assert operator.type("SELECT max(version) FROM entry_versions") == [(1,)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("where", ["public", "pg_catalog"])
def test_it_is_announced(
    database: Database, operator: Operator, entry_ids: dict[str, int], where: str
) -> None:
    """Also by a session that looks elsewhere for its tables."""
    listener = Listener(database)
    operator.type(f"SET search_path = {where}")
    for typed in (
        "INSERT INTO public.calendars (name) VALUES ('open')",
        "UPDATE public.calendars SET dates = '2026-12-24'",
        "DELETE FROM public.calendars",
    ):
        operator.type(typed)
        assert listener.wait(10), typed
    listener.close()
    assert queued_changes(database) == [entry_ids["open"]] * 3


def test_its_contents_are_read_once(database: Database) -> None:
    with database.write() as connection:
        calendars.add(connection, CLOSED)
        read = Calendars(calendars.read_all(connection))
        again = Calendars(calendars.read_all(connection))
    assert list(read) == ["closed"]
    assert read["closed"] is again["closed"]
    assert read["closed"] == parse_date_set("2026-12-24 2026-12-31", "sat,sun", "DE", "BY")
    assert date(2026, 12, 24) in read["closed"].dates
    assert read.get("open") is None


def test_one_that_cannot_be_read_says_which_and_why(database: Database, operator: Operator) -> None:
    operator.type("INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24, 2026-13-01')")
    operator.type("INSERT INTO calendars (name, dates) VALUES ('open', '2026-12-24')")
    with database.read() as connection:
        (finding,) = calendars.unreadable(connection)
        read = Calendars(calendars.read_all(connection))
    assert str(finding).startswith("calendar: 'closed': it cannot be read: dates: ")
    assert "2026-13-01" in str(finding)
    with pytest.raises(FieldError) as raised:
        read.get("closed")
    assert str(raised.value) == str(finding)
    assert read["open"].dates == {date(2026, 12, 24)}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_an_edit_that_is_not_committed_holds_up_no_other_entry(
    database: Database,
    operator: Operator,
    entry_ids: dict[str, int],
    connect_operator: Callable[[Database], Operator],
) -> None:
    another = connect_operator(database)
    operator.type("BEGIN")
    operator.type("INSERT INTO calendars (name) VALUES ('open')")
    for name in ("closed", "Closed", "none"):
        another.type(f"UPDATE entries SET queue = 'slow' WHERE name = '{name}'")
    operator.type("COMMIT")
    assert sorted(queued_changes(database)) == sorted(entry_ids.values())
