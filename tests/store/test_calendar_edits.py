"""An edit of a calendar is an edit of the entries that name it: their versions carry what it held."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beatd.store.engine import Database
from beatd.store.listener import Listener
from tests.store.operators import Operator, queued_changes, recorded_versions
from tests.waiting import eventually

EMPTY = {"dates": None, "country": None, "region": None, "weekdays": None}
EVE = EMPTY | {"dates": "2026-12-24"}


@pytest.fixture
def entry_ids(operator: Operator) -> dict[str, int]:
    """Entries that name the calendars `closed`, `Closed`, `open` (which is there) and none."""
    operator.type("INSERT INTO calendars (name, description, country) VALUES ('open', 'a shop', 'DE')")
    for name in ("closed", "Closed", "open"):
        operator.type(insert(name, name))
    operator.type("INSERT INTO entries (name, every, task) VALUES ('none', '1h', 'proj.a')")
    operator.type("DELETE FROM entry_changes")
    return {name: id_ for id_, name in operator.type("SELECT id, name FROM entries")}


def insert(name: str, calendar: str) -> str:
    return (
        f"INSERT INTO entries (name, every, task, calendar) VALUES ('{name}', '1h', 'proj.a', '{calendar}')"
    )


def days(database: Database, name: str) -> list[Any]:
    """What the calendar of an entry held, version by version."""
    return [v.definition["calendar_days"] for v in recorded_versions(database) if v.name == name]


# Which edits make versions, and what they carry


@pytest.mark.parametrize(
    ("typed", "edited"),
    [
        ("INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')", {"closed": EVE}),
        ("INSERT INTO calendars (name) VALUES ('closed'), ('other')", {"closed": EMPTY}),
        ("INSERT INTO calendars (name) VALUES ('other')", {}),
        ("UPDATE calendars SET dates = '2026-12-24', country = NULL WHERE name = 'open'", {"open": EVE}),
        (
            "UPDATE calendars SET country = 'de', region = 'BY', weekdays = 'sat,sun'",
            {"open": {"dates": None, "country": "de", "region": "BY", "weekdays": "sat,sun"}},
        ),
        (
            "UPDATE calendars SET name = 'closed' WHERE name = 'open'",
            {"closed": EMPTY | {"country": "DE"}, "open": None},
        ),
        ("UPDATE calendars SET name = 'Open'", {"open": None}),
        (
            "UPDATE calendars SET country = NULL, dates = '2026-12-24', description = NULL",
            {"open": EVE},
        ),
        ("UPDATE calendars SET dates = '2026-12-24' WHERE name = 'nobody'", {}),
        ("UPDATE calendars SET country = 'DE', dates = NULL, name = 'open'", {}),
        ("UPDATE calendars SET description = 'another shop'", {}),
        ("DELETE FROM calendars", {"open": None}),
    ],
)
def test_what_is_an_edit(
    database: Database,
    operator: Operator,
    entry_ids: dict[str, int],
    typed: str,
    edited: dict[str, Any],
) -> None:
    before = {version.name: version for version in recorded_versions(database)}
    operator.type(typed)
    made = [version for version in recorded_versions(database) if version.version > 1]
    assert {version.name: version.definition["calendar_days"] for version in made} == edited
    for version in made:
        assert (version.version, version.operation) == (2, "update")
        assert version.changed_by == before[version.name].changed_by
        assert version.changed_at > before[version.name].changed_at
        carried = {"calendar_changes": 1, "calendar_days": edited[version.name]}
        assert version.definition == before[version.name].definition | carried
    assert sorted(queued_changes(database)) == sorted(entry_ids[name] for name in edited)


def test_a_version_carries_what_its_calendar_holds_then(
    database: Database, operator: Operator, entry_ids: dict[str, int]
) -> None:
    germany = EMPTY | {"country": "DE"}
    for typed in (
        "UPDATE entries SET queue = 'slow' WHERE name = 'open'",
        "UPDATE entries SET calendar = 'closed' WHERE name = 'open'",
        "INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')",
        "UPDATE entries SET calendar = NULL WHERE name = 'open'",
        "UPDATE calendars SET dates = '2026-01-01' WHERE name = 'closed'",
        "UPDATE entries SET calendar = 'open', queue = NULL WHERE name = 'open'",
        "UPDATE calendars SET country = 'FR' WHERE name = 'open'",
        "DELETE FROM entries WHERE name = 'open'",
        "UPDATE calendars SET country = 'IT' WHERE name = 'open'",
    ):
        operator.type(typed)
    france = EMPTY | {"country": "FR"}
    assert days(database, "open") == [germany, germany, None, EVE, None, germany, france, france]
    assert days(database, "none") == [None]


def test_all_entries_that_name_it(database: Database, operator: Operator) -> None:
    operator.type("INSERT INTO calendars (name, dates) VALUES ('closed', '2026-12-24')")
    for n in range(50):
        operator.type(insert(f"job {n}", "closed"))
    operator.type("UPDATE calendars SET dates = '2026-12-31'")
    operator.type("UPDATE entries SET queue = 'slow'")
    held = [(v.version, v.definition["calendar_days"]["dates"]) for v in recorded_versions(database)]
    assert held == [(1, "2026-12-24"), (2, "2026-12-31"), (3, "2026-12-31")] * 50


@pytest.mark.parametrize("order", [1, -1])
def test_both_in_one_transaction(
    database: Database, operator: Operator, entry_ids: dict[str, int], order: int
) -> None:
    edits = [
        "UPDATE calendars SET dates = '2026-12-24', country = NULL WHERE name = 'open'",
        "UPDATE entries SET queue = 'slow' WHERE name = 'open'",
    ]
    operator.type("BEGIN")
    for edit in edits[::order]:
        operator.type(edit)
    operator.type("COMMIT")
    *_, second, third = (v for v in recorded_versions(database) if v.name == "open")
    assert third.definition["queue"] == "slow"
    assert third.definition["calendar_days"] == EVE
    assert second.definition["calendar_days"] == (EVE if order == 1 else EMPTY | {"country": "DE"})


def test_an_edit_that_is_rolled_back_leaves_nothing(
    database: Database, operator: Operator, entry_ids: dict[str, int]
) -> None:
    before = recorded_versions(database)
    operator.type("BEGIN")
    operator.type("DELETE FROM calendars")
    operator.type("INSERT INTO calendars (name) VALUES ('closed')")
    operator.type("ROLLBACK")
    assert recorded_versions(database) == before
    assert queued_changes(database) == []


def test_names_and_contents_of_any_script(database: Database, operator: Operator) -> None:
    operator.type("INSERT INTO calendars (name, dates) VALUES ('größe \"日本\" \\', 'ü\n\"\\\t{}')")
    operator.type(insert("a", 'größe "日本" \\'))
    assert days(database, "a") == [EMPTY | {"dates": 'ü\n"\\\t{}'}]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("where", ["public", "pg_catalog"])
def test_it_is_announced(
    database: Database, operator: Operator, entry_ids: dict[str, int], where: str
) -> None:
    """Also by a session that looks elsewhere for its tables."""
    listener = Listener(database)
    operator.type(f"SET search_path = {where}")
    for typed in (
        "INSERT INTO public.calendars (name) VALUES ('closed')",
        "UPDATE public.calendars SET dates = '2026-12-24' WHERE name = 'closed'",
        "DELETE FROM public.calendars WHERE name = 'closed'",
    ):
        operator.type(typed)
        assert listener.wait(60), typed
    listener.close()
    assert days(database, "closed") == [None, EMPTY, EVE, None]


# Several operators at once


@pytest.fixture
def waits(request: pytest.FixtureRequest, database: Database) -> Callable[[], bool]:
    """Whether a session waits for another."""
    if database.dialect.name == "postgresql":
        server, query = request.getfixturevalue("postgres"), "SELECT 1 FROM pg_locks WHERE NOT granted"
    else:
        server = request.getfixturevalue("mariadb")
        query = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

    def ask() -> bool:
        with server.admin() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone() is not None

    return ask


@pytest.fixture(params=["as the server has it", "READ COMMITTED"])
def two_operators(
    request: pytest.FixtureRequest, database: Database, connect_operator: Callable[[Database], Operator]
) -> tuple[Operator, Operator]:
    """MariaDB's own isolation is another than PostgreSQL's, and than ours."""
    operators = connect_operator(database), connect_operator(database)
    if request.param != "as the server has it":
        what = "SESSION CHARACTERISTICS AS" if database.dialect.name == "postgresql" else "SESSION"
        for operator in operators:
            operator.type(f"SET {what} TRANSACTION ISOLATION LEVEL {request.param}")
    return operators


servers = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)

#: The edit of a calendar, the edit that gives an entry this calendar, the entry, and what it then holds.
GIVEN = [
    ("UPDATE calendars SET country = 'FR'", insert("new", "open"), "new", EMPTY | {"country": "FR"}),
    ("DELETE FROM calendars", insert("new", "open"), "new", None),
    (
        "INSERT INTO calendars (name, dates) VALUES ('there', '2026-12-24')",
        insert("new", "there"),
        "new",
        EVE,
    ),
    ("UPDATE calendars SET name = 'there', country = NULL", insert("new", "there"), "new", EMPTY),
    (
        "UPDATE calendars SET country = 'FR'",
        "UPDATE entries SET calendar = 'open' WHERE name = 'none'",
        "none",
        EMPTY | {"country": "FR"},
    ),
    (
        "INSERT INTO calendars (name, dates) VALUES ('there', '2026-12-24')",
        "UPDATE entries SET calendar = 'there' WHERE name = 'none'",
        "none",
        EVE,
    ),
]


@servers
@pytest.mark.parametrize("first", ["the calendar's", "the entry's"])
@pytest.mark.parametrize(("calendar_edit", "entry_edit", "name", "expected"), GIVEN)
def test_an_entry_is_given_a_calendar_that_is_being_edited(
    database: Database,
    entry_ids: dict[str, int],
    two_operators: tuple[Operator, Operator],
    waits: Callable[[], bool],
    first: str,
    calendar_edit: str,
    entry_edit: str,
    name: str,
    expected: Any,
) -> None:
    """Neither sees what the other has not committed; the last version holds what is true in the end."""
    one, other = two_operators
    edits = [calendar_edit, entry_edit] if first == "the calendar's" else [entry_edit, calendar_edit]
    one.type("BEGIN")
    one.type(edits[0])
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other.type, edits[1])
        eventually(lambda: second.done() or waits())
        one.type("COMMIT")
        second.result(timeout=60)
    assert days(database, name)[-1] == expected


@servers
@pytest.mark.parametrize(
    "given", [insert("new", "open"), "UPDATE entries SET calendar = 'open' WHERE name = 'none'"]
)
def test_who_gives_a_calendar_that_is_being_edited_waits_with_empty_hands(
    database: Database,
    entry_ids: dict[str, int],
    two_operators: tuple[Operator, Operator],
    waits: Callable[[], bool],
    given: str,
) -> None:
    """Otherwise the two would wait for each other."""
    one, other = two_operators
    one.type("BEGIN")
    one.type("UPDATE calendars SET country = 'FR'")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other.type, given)
        eventually(waits)
        one.type("UPDATE calendars SET country = 'IT'")
        one.type("COMMIT")
        second.result(timeout=60)
    assert days(database, "new" if "new" in given else "none")[-1] == EMPTY | {"country": "IT"}
    assert days(database, "open")[-1] == EMPTY | {"country": "IT"}


@servers
def test_an_entry_that_is_not_committed_is_not_passed_over_among_many(
    database: Database,
    two_operators: tuple[Operator, Operator],
    waits: Callable[[], bool],
) -> None:
    """Where most entries name the calendar the database may choose to read them all."""
    one, other = two_operators
    for n in range(40):
        one.type(insert(f"job {n}", "there"))
    one.type("BEGIN")
    one.type(insert("new", "there"))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other.type, "INSERT INTO calendars (name) VALUES ('there')")
        eventually(lambda: second.done() or waits())
        one.type("COMMIT")
        second.result(timeout=60)
    assert days(database, "new") == days(database, "job 0") == [None, EMPTY]


@servers
def test_a_transaction_that_looked_before_an_edit_sees_it_when_it_edits(
    database: Database, entry_ids: dict[str, int], two_operators: tuple[Operator, Operator]
) -> None:
    one, other = two_operators
    one.type("BEGIN")
    one.type("SELECT * FROM entries, calendars, entry_versions")
    other.type("UPDATE calendars SET country = 'FR'")
    one.type("UPDATE entries SET queue = 'slow' WHERE name = 'open'")
    one.type("UPDATE entries SET calendar = 'open' WHERE name = 'none'")
    one.type(insert("new", "open"))
    one.type("COMMIT")
    assert [found["country"] for found in days(database, "open")] == ["DE", "FR", "FR"]
    assert days(database, "none")[-1] == days(database, "new")[-1] == EMPTY | {"country": "FR"}


@servers
def test_an_entry_in_other_hands_is_waited_for(
    database: Database,
    entry_ids: dict[str, int],
    two_operators: tuple[Operator, Operator],
    waits: Callable[[], bool],
) -> None:
    """Who has the entry goes on with it, however often, while the calendar's edit waits for him."""
    one, other = two_operators
    one.type("BEGIN")
    one.type("SELECT id FROM entries WHERE name = 'open' FOR UPDATE")
    with ThreadPoolExecutor(1) as pool:
        calendar = pool.submit(other.type, "UPDATE calendars SET country = 'FR'")
        eventually(waits)
        one.type("UPDATE entries SET queue = 'a' WHERE name = 'open'")
        one.type("UPDATE entries SET queue = 'b' WHERE name = 'open'")
        one.type("COMMIT")
        calendar.result(timeout=60)
    countries = [found["country"] for found in days(database, "open")]
    assert countries == ["DE", "DE", "DE", "FR"]


@servers
def test_a_statement_that_edits_many_sees_each_as_it_finds_it(
    database: Database,
    entry_ids: dict[str, int],
    two_operators: tuple[Operator, Operator],
    waits: Callable[[], bool],
) -> None:
    """Having edited the first of them it waits for the last, of which the calendar is edited meanwhile."""
    one, other = two_operators
    one.type("BEGIN")
    one.type("UPDATE calendars SET country = 'FR'")
    with ThreadPoolExecutor(1) as pool:
        edit = pool.submit(other.type, "UPDATE entries SET queue = 'slow'")
        eventually(waits)
        one.type("COMMIT")
        edit.result(timeout=60)
    assert [found["country"] for found in days(database, "open")] == ["DE", "FR", "FR"]
    assert days(database, "closed") == [None, None]


@servers
def test_an_edit_that_is_not_committed_holds_up_no_other_entry(
    database: Database,
    entry_ids: dict[str, int],
    two_operators: tuple[Operator, Operator],
) -> None:
    one, other = two_operators
    one.type("BEGIN")
    one.type("UPDATE calendars SET country = 'FR'")
    for name in ("closed", "Closed", "none"):
        other.type(f"UPDATE entries SET queue = 'slow' WHERE name = '{name}'")
    other.type("INSERT INTO entries (name, every, task) VALUES ('new', '1h', 'proj.a')")
    one.type("COMMIT")
    assert sum(version.version == 2 for version in recorded_versions(database)) == 4
