"""Named calendars: written, read, and what is said of one that cannot be read."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from beatd.errors import Conflict, FieldError
from beatd.schedules import parse_date_set
from beatd.store import calendars
from beatd.store.calendars import Calendars, StoredCalendar
from beatd.store.engine import Database
from tests.store.operators import Operator

CLOSED = StoredCalendar("closed", "The office is closed", "2026-12-24 2026-12-31", "sat,sun", "DE", "BY")

CARRIED = {"dates": "2026-12-24", "country": None, "region": None, "weekdays": "sun"}


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


def test_which_entries_name_it(database: Database, operator: Operator) -> None:
    for name in ("closed", "Closed", "open"):
        operator.type(
            f"INSERT INTO entries (name, every, task, calendar) VALUES ('{name}', '1h', 'proj.a', '{name}')"
        )
    operator.type("INSERT INTO entries (name, every, task) VALUES ('none', '1h', 'proj.a')")
    with database.read() as connection:
        assert calendars.entries_that_name(connection, "closed") == ["closed"]
        assert calendars.entries_that_name(connection, "Closed") == ["Closed"]
        assert calendars.entries_that_name(connection, "none") == []


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


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({}, None),
        ({"calendar": None, "calendar_days": None}, None),
        ({"calendar": "closed", "calendar_days": None}, "calendar: 'closed': there is no such calendar"),
        ({"calendar": "closed"}, "calendar: 'closed': there is no such calendar"),
        ({"calendar": "closed", "calendar_days": CARRIED}, {date(2026, 12, 24)}),
        ({"calendar": "closed", "calendar_days": CARRIED | {"dates": "24"}}, "'closed': it cannot be read"),
    ],
)
def test_what_a_version_carries(version: dict[str, Any], expected: Any) -> None:
    carried = calendars.carried(version)
    if isinstance(expected, str):
        with pytest.raises(FieldError, match=expected):
            carried.get("closed")
    else:
        read = carried.get("closed")
        assert (read and read.dates) == expected
        assert carried.get("open") is None


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
