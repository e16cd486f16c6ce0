"""`beatd entry pause` and `resume`, `beatd pause --all` and `resume --all` as a person types them, and what
is said of it wherever somebody looks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    for name in ("web-1", "web-2", "mail"):
        beatd("entry", "add", name, "--every", "1h", "--shell", "x")
    return beatd


def test_entries_with_a_note_and_an_end(beatd: Beatd) -> None:
    paused = beatd("entry", "pause", "mail", "--note", "moving house", "--until", "2999-01-01")
    assert paused.stdout == "paused mail until 2999-01-01 00:00 UTC: moving house\n"
    again = beatd("entry", "pause", "mail")
    assert again.stdout == "mail was paused already until 2999-01-01 00:00 UTC: moving house\n"
    changed = beatd("entry", "pause", "mail", "--until", "never", "--note", "sold the house")
    assert changed.stdout == "mail was paused already; now it is paused: sold the house\n"
    shown = beatd.json("entry", "show", "mail")
    assert (shown["state"], shown["pause_note"], shown["paused_until"]) == ("paused", "sold the house", None)
    since = datetime.fromisoformat(beatd.json("entry", "versions", "mail")[1]["changed_at"])
    said = f"since {since:%Y-%m-%d %H:%M:%S} UTC by "
    for command in ("show", "history"):
        [line] = [line for line in beatd("entry", command, "mail").stdout.splitlines() if said in line]
        assert ": sold the house" in line
    assert "(paused: sold the house)" in beatd("entry", "list").stdout
    assert beatd("entry", "resume", "mail").stdout.startswith("resumed mail (active, next ")
    assert beatd("entry", "resume", "mail").stdout == "mail was not paused\n"


def test_several_at_once(beatd: Beatd) -> None:
    assert beatd("entry", "pause", "web-*").stdout == "paused web-1\npaused web-2\n"
    assert "no entry 'x*'" in beatd("entry", "pause", "mail", "x*", status=2).stderr
    assert [entry["name"] for entry in beatd.json("entry", "list", "--state", "paused")] == ["web-1", "web-2"]
    assert len(beatd("entry", "resume", "*").stdout.splitlines()) == 3


def test_what_is_no_end(beatd: Beatd) -> None:
    for arguments in (("entry", "pause", "mail"), ("pause", "--all")):
        done = beatd(*arguments, "--until", "2020-01-01", status=2)
        assert done.stderr == "beatd: until: '2020-01-01': is in the past; for example '2h'\n"


def test_everything(beatd: Beatd) -> None:
    for command in ("pause", "resume"):
        assert "--all" in beatd(command, status=2).stderr
    assert beatd("resume", "--all").stdout == "nothing was done: not everything was paused\n"
    paused = beatd("pause", "--all", "--note", "no power", "--until", "2999-01-01")
    assert paused.stdout == "paused everything until 2999-01-01 00:00 UTC: no power\n"
    changed = beatd("pause", "--all", "--note", "still no power")
    assert changed.stdout == (
        "everything was paused already; now it is paused until 2999-01-01 00:00 UTC: still no power\n"
    )
    assert beatd("pause", "--all").stdout.startswith("everything was paused already, since ")
    # whoever looks is told
    for arguments in (("list",), ("show", "mail"), ("history", "mail"), ("resume", "mail")):
        told = beatd("entry", *arguments).stderr
        assert told.startswith("everything is paused since ")
        assert "still no power; " in told
        assert "resume --all ends it" in told
    assert beatd("explain", "mail").stderr.startswith("everything is paused since ")
    # but not a program
    assert beatd("entry", "list", "--json").stderr == ""
    assert beatd("explain", "mail", "--json").stderr == ""
    resumed = beatd("resume", "--all").stdout
    assert resumed.startswith("resumed everything; it was paused since ")
    assert beatd("entry", "list").stderr == ""


def test_status_and_doctor_tell_and_do_not_complain_of_what_is_due(beatd: Beatd) -> None:
    beatd("pause", "--all", "--note", "no power")
    beatd("entry", "pause", "mail", "--until", "2h")
    beatd("entry", "pause", "web-1")
    status = beatd("status").stdout
    assert "3, of which 2 paused" in status
    assert "everything is paused since " in status
    activity = beatd.json("status")["activity"]
    assert (activity["all_paused"]["note"], activity["paused"], activity["failing"]) == ("no power", 2, [])
    findings = beatd.json("doctor", status=None)["findings"]
    [warning] = [found for found in findings if found["level"] == "warning" and found["check"] == "entries"]
    assert warning["text"].startswith("everything is paused since ")
    assert warning["text"].endswith(": no power")
    assert warning["hint"] == "beatd resume --all lets it fire again"


def test_due_entries_are_no_trouble_while_everything_is_paused(
    beatd: Beatd, database: sqlite3.Connection
) -> None:
    late = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    database.execute(
        "INSERT INTO timers (entry_id, next_due_at, planned_from, planned_version, planner, state) "
        "VALUES (1, ?, ?, 1, 2, 'active')",
        (late, late),
    )
    database.commit()

    def due() -> str:
        findings = beatd.json("doctor", status=None)["findings"]
        return next(found["level"] for found in findings if found["check"] == "due entries")

    assert due() == "problem"
    beatd("pause", "--all")
    assert due() == "ok"
    beatd("resume", "--all")
    assert due() == "problem"


def test_what_failures_paused_is_told(beatd: Beatd, database: sqlite3.Connection) -> None:
    """As the daemon does it; a note that a person writes is not taken for it."""
    for name in ("web-1", "web-2"):
        database.execute(
            "UPDATE entries SET enabled = 0, pause_note = 'paused after 3 failures in a row' WHERE name = ?",
            (name,),
        )
    database.execute("UPDATE entry_versions SET door = 'daemon' WHERE name = 'web-1' AND version = 2")
    database.commit()
    assert beatd.json("status")["activity"]["failing"] == [
        {"entry": "web-1", "note": "paused after 3 failures in a row"}
    ]
    assert "web-1 is paused after 3 failures in a row" in beatd("status").stdout
    told = beatd("doctor", status=1).stdout
    assert "! entries       web-1 is paused after 3 failures in a row" in told
    assert "beatd entry resume web-1" in told
    # also after an edit, until it is resumed
    beatd("entry", "set", "web-1", "--queue", "q")
    assert len(beatd.json("status")["activity"]["failing"]) == 1
    beatd("entry", "resume", "web-1")
    assert beatd.json("status")["activity"]["failing"] == []


def test_a_calendar_that_cannot_be_read_is_a_trouble(beatd: Beatd, database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO calendars (name, dates) VALUES ('closed', 'soon')")
    database.commit()
    trouble = "calendars: calendar: 'closed': it cannot be read: dates: 'soon'"
    assert any(text.startswith(trouble) for text in beatd.json("status")["troubles"])
    assert "✗ calendars" in beatd("doctor", status=1).stdout


@pytest.fixture
def database(beatd: Beatd) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(beatd.database)
    yield connection
    connection.close()
