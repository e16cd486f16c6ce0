"""Pausing entries and everything, on each database: who, since when, until when, why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from beatd.errors import FieldError, InvalidInput, NotFound
from beatd.operations import entries, pausing
from beatd.operations.context import Context
from beatd.operations.entries import Entry
from beatd.store.models import audit, pauses
from beatd.store.models import entries as table

EVERY = {"every": "5m", "shell": "echo hi"}
HOUR = timedelta(hours=1)


def rows(context: Context, source: Any) -> list[Any]:
    with context.database.read() as connection:
        order = [audit.c.id] if source is audit else []
        return list(connection.execute(select(source).order_by(*order)))


def actions(context: Context) -> list[str]:
    return [row.action for row in rows(context, audit)]


def by(context: Context, who: str) -> Context:
    return replace(context, who=who)


def pause(context: Context, name: str = "tick", **how: Any) -> Entry:
    [switched] = pausing.pause(context, [name], **how)
    return switched.after


def resume(context: Context, name: str = "tick") -> Entry:
    [switched] = pausing.resume(context, [name])
    return switched.after


@pytest.fixture
def tick(context: Context) -> Entry:
    return entries.add(context, "tick", EVERY)


@pytest.fixture
def embedded_tick(embedded: Context) -> Entry:
    return entries.add(embedded, "tick", EVERY)


# Entries


def test_paused_and_resumed(context: Context, tick: Entry) -> None:
    paused = pause(by(context, "bob"), note="moving house")
    assert (paused.state, paused.next_fire_time, paused.version) == ("paused", None, 2)
    assert (paused.pause_note, paused.paused_until) == ("moving house", None)
    assert paused.options["enabled"] is False
    told = pausing.pause_of(context, "tick")
    assert told is not None
    assert (told.since, told.until, told.note, told.who) == (paused.updated_at, None, "moving house", "bob")
    resumed = resume(context)
    assert (resumed.state, resumed.pause_note, resumed.options) == ("active", None, EVERY)
    assert pausing.pause_of(context, "tick") is None
    assert actions(context) == ["add", "pause", "resume"]


def test_until_a_time(context: Context, tick: Entry) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + 30 * HOUR
    paused = pause(context, until=until)
    assert (paused.state, paused.paused_until) == ("paused", until)
    # nobody need resume it, so its next fire is known
    assert paused.next_fire_time is not None
    assert until <= paused.next_fire_time < until + timedelta(minutes=5)
    assert [entry.name for entry in entries.find(context, state="paused")] == ["tick"]
    assert resume(context).options == EVERY


@pytest.mark.parametrize(
    ("until", "zone", "expected"),
    [
        ("2h", "UTC", None),
        (2 * HOUR, "UTC", None),
        ("2999-06-30T12:00", "Europe/Berlin", datetime(2999, 6, 30, 10, tzinfo=UTC)),
        ("2999-06-30T12:00Z", "Europe/Berlin", datetime(2999, 6, 30, 12, tzinfo=UTC)),
        (datetime(2999, 1, 1), "Asia/Tokyo", datetime(2998, 12, 31, 15, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_time_of_the_entrys_zone_or_how_long(
    embedded: Context, until: Any, zone: str, expected: datetime | None
) -> None:
    entries.add(embedded, "tick", {**EVERY, "timezone": zone})
    paused = pause(embedded, until=until)
    assert paused.paused_until is not None
    if expected is None:
        assert timedelta(0) <= paused.updated_at + 2 * HOUR - paused.paused_until < timedelta(seconds=1)
    else:
        assert paused.paused_until == expected


def test_the_end_of_a_pause_is_seen_without_an_edit(context: Context, tick: Entry) -> None:
    pause(context, until="1h", note="moving house")
    lapsed = datetime.now(UTC) - HOUR
    with context.database.write() as connection:
        connection.execute(update(table).values(paused_until=lapsed.isoformat()))
    entry = entries.show(context, "tick")
    assert (entry.state, entry.paused_until, entry.pause_note) == ("active", None, None)
    assert pausing.pause_of(context, "tick") is None
    # it was not paused, so there is nothing to resume, and a new pause starts afresh
    assert not pausing.resume(context, ["tick"])[0].changed
    again = pause(by(context, "bob"), until="2h")
    assert again.pause_note is None
    told = pausing.pause_of(context, "tick")
    assert told is not None
    assert (told.since, told.who) == (again.updated_at, "bob")


# what is said of a pause, what is said of it again, what holds then: whether it has an end, and the note
AGAIN: list[tuple[dict[str, Any], dict[str, Any], tuple[bool, str | None]]] = [
    ({}, {}, (False, None)),
    ({"note": "a"}, {}, (False, "a")),
    ({"note": "a"}, {"note": "b"}, (False, "b")),
    ({"note": "a"}, {"note": ""}, (False, None)),
    ({"note": "a"}, {"until": "2h"}, (True, "a")),
    ({"until": "1h"}, {"note": "b"}, (True, "b")),
    ({"until": "1h", "note": "a"}, {"until": "never"}, (False, "a")),
    ({"until": "1h", "note": "a"}, {}, (True, "a")),
]


@pytest.mark.parametrize(("first", "then", "holds"), AGAIN)
def test_pausing_again_changes_what_is_said(
    embedded: Context,
    embedded_tick: Entry,
    first: dict[str, Any],
    then: dict[str, Any],
    holds: tuple[bool, str | None],
) -> None:
    before = pause(by(embedded, "bob"), **first)
    [switched] = pausing.pause(by(embedded, "carol"), ["tick"], **then)
    after = switched.after
    assert (after.paused_until is not None, after.pause_note) == holds
    assert after.state == "paused"
    assert switched.changed == (
        (after.paused_until, after.pause_note) != (before.paused_until, before.pause_note)
    )
    # the pause is still that of the one who began it
    told = pausing.pause_of(embedded, "tick")
    assert told is not None
    assert (told.since, told.who) == (before.updated_at, "bob")
    assert resume(embedded).options == EVERY


def test_what_is_no_end_of_a_pause(embedded: Context, embedded_tick: Entry) -> None:
    for until, said in (
        ("2020-01-01", "until: '2020-01-01': is in the past; for example '2h'"),
        (timedelta(0), "is in the past"),
        ("5", "until: '5': is not a date and time"),
        ("5x", "until: '5x': is not a duration"),
    ):
        with pytest.raises(FieldError) as refused:
            pause(embedded, until=until)
        assert said in str(refused.value)
    assert entries.show(embedded, "tick").version == 1


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["web-*"], ["web-1", "web-2"]),
        (["web-1", "mail"], ["mail", "web-1"]),
        (["web-1", "web-*"], ["web-1", "web-2"]),
        (["*"], ["mail", "web-*", "web-1", "web-2"]),
    ],
)
def test_several_at_once(context: Context, names: list[str], chosen: list[str]) -> None:
    for name in ("web-1", "web-2", "mail"):
        entries.add(context, name, EVERY)
    if "*" in names:
        entries.add(context, "web-*", EVERY)
    assert [one.after.name for one in pausing.pause(context, names, globs=True)] == chosen
    assert [entry.name for entry in entries.find(context, state="paused")] == chosen
    assert all(one.changed for one in pausing.resume(context, names, globs=True))


@pytest.mark.parametrize("names", [["web-1", "none"], ["web-1", "x*"]])
def test_all_of_them_or_none(context: Context, names: Sequence[str]) -> None:
    entries.add(context, "web-1", EVERY)
    with pytest.raises(NotFound):
        pausing.pause(context, names, globs=True)
    assert entries.show(context, "web-1").state == "active"


def test_a_name_is_no_glob_unless_asked_for(embedded: Context) -> None:
    entries.add(embedded, "web-1", EVERY)
    with pytest.raises(NotFound):
        pausing.pause(embedded, ["web-*"])


def test_a_broken_entry_can_be_paused_and_not_resumed(context: Context, tick: Entry) -> None:
    with context.database.write() as connection:
        connection.execute(update(table).values(every="nonsense"))
    pause(context, note="look at this")
    told = pausing.pause_of(context, "tick")
    assert told is not None
    assert told.note == "look at this"
    with pytest.raises(InvalidInput, match="entry tick: every: 'nonsense'"):
        resume(context)


def test_a_removed_entry_is_not_paused(embedded: Context, embedded_tick: Entry) -> None:
    pause(embedded)
    entries.remove(embedded, "tick")
    assert pausing.pause_of(embedded, "tick") is None
    with pytest.raises(NotFound):
        pausing.pause_of(embedded, "tock")


def test_who_paused_in_plain_sql_is_whom_the_database_knows(context: Context, tick: Entry) -> None:
    with context.database.write() as connection:
        connection.execute(update(table).values(enabled=False, pause_note="typed"))
    told = pausing.pause_of(context, "tick")
    assert told is not None
    newest = entries.versions(context, "tick")[0]
    assert (told.since, told.who, told.note) == (newest.changed_at, newest.changed_by, "typed")


def test_restoring_a_version_does_not_restore_a_pause_that_is_over(context: Context, tick: Entry) -> None:
    pause(context, until="1h", note="moving house")
    with context.database.write() as connection:
        lapsed = (datetime.now(UTC) - HOUR).isoformat()
        connection.execute(update(table).values(paused_until=lapsed))
    entries.change(context, "tick", {"every": "1h", "paused_until": None, "pause_note": None})
    assert entries.restore(context, "tick", 3).options == EVERY
    # and one that lasts it does
    entries.change(context, "tick", {"enabled": False, "pause_note": "again"})
    resume(context)
    restored = entries.restore(context, "tick", 6)
    assert (restored.state, restored.pause_note) == ("paused", "again")


# Everything


def test_everything_is_paused_and_resumed(context: Context, tick: Entry) -> None:
    assert pausing.all_paused(context) is None
    assert pausing.resume_all(context) is None
    told = pausing.pause_all(by(context, "bob"), "no power")
    assert told.before is None
    assert (told.pause.until, told.pause.note, told.pause.who) == (None, "no power", "bob")
    assert pausing.all_paused(context) == told.pause
    # an entry stays what it is
    assert entries.show(context, "tick").state == "active"
    assert pausing.resume_all(context) == told.pause
    assert pausing.all_paused(context) is None
    assert actions(context) == ["add", "pause all", "resume all"]
    assert json.loads(rows(context, audit)[1].detail) == {"until": None, "note": "no power"}
    # the row stays, for it tells why fires of the past made no runs
    [row] = rows(context, pauses)
    assert row.since == told.pause.since
    assert row.until is not None
    assert row.until > row.since


@pytest.mark.parametrize(("first", "then", "holds"), AGAIN)
def test_pausing_everything_again_changes_what_is_said(
    context: Context, first: dict[str, Any], then: dict[str, Any], holds: tuple[bool, str | None]
) -> None:
    before = pausing.pause_all(by(context, "bob"), **first).pause
    told = pausing.pause_all(by(context, "carol"), **then)
    assert told.before == before
    assert (told.pause.until is not None, told.pause.note) == holds
    assert (told.pause.since, told.pause.who) == (before.since, "bob")
    assert pausing.all_paused(context) == told.pause
    assert actions(context) == ["pause all"] * (1 + (told.pause != before))
    pausing.resume_all(context)
    assert len(rows(context, pauses)) == 1


def test_what_is_no_end_of_a_pause_of_everything(embedded: Context) -> None:
    with pytest.raises(FieldError, match="until: '2020-01-01': is in the past"):
        pausing.pause_all(embedded, until="2020-01-01")
    tokyo = replace(embedded, timezone="Asia/Tokyo")
    told = pausing.pause_all(tokyo, until="2999-01-01")
    assert told.pause.until == datetime(2998, 12, 31, 15, tzinfo=UTC)
