"""Where entries were imported from: kept as it was, beside the entry, and gone with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from beatd.store import entries, origins
from beatd.store.engine import Database
from beatd.store.models import entries as entries_table
from beatd.store.origins import Imported, Origin
from tests.store.operators import Operator, recorded_versions

NOW = datetime(2026, 3, 28, 12, 30, 15, 123456, tzinfo=UTC)
ORIGIN = Origin("crontab", "/etc/crontab", "12", "0 5 * * * root backup")


def add(database: Database, name: str, origin: Origin = ORIGIN, **options: object) -> int:
    with database.write() as connection:
        connection.execute(insert(entries_table).values(name=name, cron="0 5 * * *", task="t"))
        id_: int = connection.execute(
            select(entries_table.c.id).where(entries_table.c.name == name)
        ).scalar_one()
        origins.put(connection, [(id_, origin, {"name": name, **options})], NOW)
    return id_


def of(database: Database, *sources: tuple[str, str]) -> dict[int, origins.Kept]:
    with database.read() as connection:
        return origins.of_sources(connection, sources)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "quotes \" and ' and \\ and \\% and \t tabs",
        "ünïcode \N{PILE OF POO} 備份",
        "bytes that are not text: caf\udce9 \udc80\udcff",
        # what such bytes are written as, and what begins like that
        "\\udce9 \\\\udce9 \\u005c \\u005cudce9 \\u0000 \\u00e9 \\ud83d \\u",
        "\\\udce9 \\\\\udce9 \udce9\\udce9",
        "a NUL \0 within",
        "trailing blanks  ",
        "",
    ],
)
def test_whatever_stood_there_comes_back(database: Database, text: str) -> None:
    origin = Origin("crontab", f"/tmp/{text}", f"1 {text}", text)
    id_ = add(database, "job", origin, shell=text, env={text or "x": text}, n=1.5, list=[None, True])
    (kept,) = of(database, ("crontab", origin.source)).values()
    assert kept == origins.Kept(
        id_,
        origin,
        {"name": "job", "shell": text, "env": {text or "x": text}, "n": 1.5, "list": [None, True]},
        NOW,
    )
    with database.read() as connection:
        entry = entries.get(connection, "job")
    assert entry is not None
    assert entry.origin == Imported(*origin_fields(origin), NOW)


def origin_fields(origin: Origin) -> tuple[str, str, str, str]:
    return origin.kind, origin.source, origin.place, origin.text


def test_people_can_read_it(database: Database, operator: Operator) -> None:
    """Only what no database takes is written otherwise."""
    add(database, "job", Origin("crontab", "/etc/crontab", "12", '0 5 * * * echo "a\\%b" caf\udce9'))
    rows = operator.type(
        "SELECT o.source, o.place, o.text FROM origins o JOIN entries e ON e.id = o.entry_id"
    )
    assert rows == [("/etc/crontab", "12", '0 5 * * * echo "a\\%b" caf\\udce9')]


def test_by_source(database: Database) -> None:
    """Letter case counts, whatever the database thinks of it."""
    one = add(database, "one")
    add(database, "two", Origin("crontab", "/etc/CRONTAB", "12", "x"))
    add(database, "three", Origin("systemd", "/etc/crontab", "12", "x"))
    four = add(database, "four", Origin("crontab", "/etc/cron.d/php", "1", "x"))
    assert list(of(database, ("crontab", "/etc/crontab"))) == [one]
    assert list(of(database, ("crontab", "/etc/crontab"), ("crontab", "/etc/cron.d/php"))) == [one, four]
    assert of(database, ("crontab", "/etc/crontab ")) == {}
    assert of(database) == {}


def test_written_anew(database: Database) -> None:
    id_ = add(database, "job")
    later = NOW + timedelta(days=1)
    moved = Origin("crontab", "/etc/crontab", "13", "0 5 * * * root backup")
    with database.write() as connection:
        origins.put(connection, [(id_, moved, {"name": "job"})], later)
    (kept,) = of(database, ("crontab", "/etc/crontab")).values()
    assert (kept.origin, kept.imported_at) == (moved, later)
    # it is no part of the entry's definition
    assert [version.version for version in recorded_versions(database)] == [1]


def test_an_entry_that_was_not_imported_has_none(database: Database, operator: Operator) -> None:
    operator.type("INSERT INTO entries (name, cron, task) VALUES ('own', '0 5 * * *', 't')")
    with database.read() as connection:
        entry = entries.get(connection, "own")
    assert entry is not None
    assert entry.origin is None


def test_it_goes_with_its_entry(database: Database, operator: Operator) -> None:
    """However that is removed."""
    one, two, three = (add(database, name) for name in ("one", "two", "three"))
    with database.write() as connection:
        entries.remove(connection, [one])
    assert of(database, ("crontab", "/etc/crontab")).keys() == {two, three}
    operator.type("DELETE FROM entries WHERE name = 'two'")
    operator.type("UPDATE entries SET name = 'four' WHERE name = 'three'")
    assert operator.type("SELECT entry_id FROM origins") == [(three,)]
    operator.type("DELETE FROM entries")
    assert operator.type("SELECT entry_id FROM origins") == []


def test_mailto_is_part_of_what_an_entry_is(database: Database, operator: Operator) -> None:
    operator.type(
        "INSERT INTO entries (name, cron, task, mailto) VALUES ('a', '0 5 * * *', 't', 'x@example.org')"
    )
    operator.type("UPDATE entries SET mailto = 'y@example.org' WHERE name = 'a'")
    operator.type("UPDATE entries SET mailto = 'y@example.org' WHERE name = 'a'")
    assert [version.definition["mailto"] for version in recorded_versions(database)] == [
        "x@example.org",
        "y@example.org",
    ]
