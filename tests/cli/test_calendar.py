"""`beatd calendar` as a person types it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def soon(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def test_a_calendar_s_life(beatd: Beatd) -> None:
    assert "calendar add holidays --country DE" in beatd("calendar", "list").stdout  # what to do next
    assert beatd.json("calendar", "list") == []
    added = beatd("calendar", "add", "closed", "--country", "de", "--region", "Bayern", "--weekdays", "sun")
    assert added.stdout.startswith("added calendar closed; ")
    assert "entry set ENTRY --calendar closed" in added.stdout
    taken = beatd("calendar", "add", "closed", "--country", "DE", status=1)
    assert taken.stderr == "beatd: there is a calendar 'closed' already\n"
    beatd("calendar", "set", "closed", "--dates", "2026-12-24,2026-12-31", "--description", "The office")
    assert "2 dates; sun; DE-BY; The office" in beatd("calendar", "list").stdout
    assert beatd("calendar", "remove", "closed").stdout == "removed calendar closed\n"
    gone = beatd("calendar", "show", "closed", status=2)
    assert gone.stderr == "beatd: no calendar 'closed'\n"


def test_the_dates_of_a_year(beatd: Beatd) -> None:
    beatd("calendar", "add", "closed", "--country", "DE", "--dates", "2026-12-24", "--weekdays", "sun")
    beatd("entry", "add", "noon", "--cron", "0 12 * * *", "--calendar", "closed", "--shell", "x")
    told = beatd("calendar", "show", "closed", "--year", "2026").stdout.splitlines()
    assert told[:4] == [
        "calendar     closed",
        "weekdays     sun",
        "country      DE",
        "entries      noon",
    ]
    assert "every sun; and in 2026:" in told
    assert "  Thu 2026-12-24  a listed date" in told
    assert "  Fri 2026-12-25  Christmas Day" in told
    shown = beatd.json("calendar", "show", "closed", "--year", "2026")
    assert {"date": "2026-12-25", "why": "Christmas Day"} in shown["days"]
    assert shown["calendar"]["entries"] == ["noon"]
    said = "year: 1066: a year from 1970 to 2199; for example '2026'"
    assert beatd("calendar", "show", "closed", "--year", "1066", status=2).stderr == f"beatd: {said}\n"


def test_dates_of_a_file(beatd: Beatd) -> None:
    (beatd.home / "dates").write_text("2026-12-24  # Christmas Eve\n\n2026-12-31, 2027-01-02\n# no more\n")
    beatd("calendar", "add", "closed", "--file", "dates", "--dates", "2026-06-01")
    [closed] = beatd.json("calendar", "list")
    assert closed["options"]["dates"] == ["2026-06-01", "2026-12-24", "2026-12-31", "2027-01-02"]
    none = beatd("calendar", "add", "other", "--file", "none", status=2)
    assert none.stderr == "beatd: file: 'none': cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "dates: None: give dates, weekdays or country; for example '2026-12-24 2026-12-31'"),
        (["--dates", "24.12.2026"], "dates: '24.12.2026': "),
        (["--weekdays", "weekend"], "weekdays: 'weekend': weekdays are sun, mon"),
        (["--country", "Germany"], "country: 'Germany': is not the two letters of a country"),
    ],
)
def test_what_is_no_calendar(beatd: Beatd, arguments: list[str], said: str) -> None:
    assert beatd("calendar", "add", "bad", *arguments, status=2).stderr.startswith(f"beatd: {said}")


def test_how_fires_change_is_shown_before(beatd: Beatd) -> None:
    beatd("calendar", "add", "closed", "--dates", soon(40))
    assert beatd("calendar", "set", "closed", "--add-dates", soon(41)).stdout == (
        "changed calendar closed (no entry uses it)\n"
    )
    beatd("entry", "add", "noon", "--cron", "0 12 * * *", "--calendar", "closed", "--shell", "x")
    looked = beatd("calendar", "set", "closed", "--add-dates", soon(1), "--dry-run").stdout
    assert looked.startswith(f"    dates: {soon(40)}, {soon(41)} → {soon(1)}, {soon(40)}, {soon(41)}\n")
    assert beatd.json("calendar", "show", "closed")["calendar"]["options"]["dates"] == [soon(40), soon(41)]
    changed = beatd("calendar", "set", "closed", "--add-dates", soon(1)).stdout.splitlines()
    assert changed[0] == "    noon: at 12:00 every day, UTC, except on the days of calendar 'closed'"
    assert f"{soon(1)} 12:00 UTC gone" in "\n".join(changed[1:-1])
    assert changed[-1] == "changed calendar closed (1 entry uses it)"
    later = beatd("calendar", "set", "closed", "--drop-dates", f"{soon(40)},{soon(41)}").stdout
    assert "the next fires stay the same; the first that change:" in later
    assert f"{soon(40)} 12:00 UTC new" in later
    assert beatd("calendar", "set", "closed", "--dates", soon(1)).stdout == "nothing changed\n"
    assert "say what to change" in beatd("calendar", "set", "closed", status=2).stderr
    used = beatd("calendar", "remove", "closed", status=1)
    assert used.stderr.startswith("beatd: calendar 'closed' is that of noon: ")


def test_of_many_entries_a_line_each(beatd: Beatd) -> None:
    beatd("calendar", "add", "closed", "--dates", soon(40))
    (beatd.home / "entries.toml").write_text(
        "".join(
            f'[entry.e{number:02}]\ncron = "{number} 12 * * *"\ncalendar = "closed"\nshell = "x"\n'
            for number in range(12)
        )
    )
    beatd("apply", "--yes", "entries.toml")
    told = beatd("calendar", "set", "closed", "--add-dates", soon(50), "--dry-run").stdout.splitlines()
    day = datetime.fromisoformat(soon(50))
    assert told[1] == f"    e00: first change {day:%a} {soon(50)} 12:00 UTC gone"
    assert told[10].startswith("    e09: first change ")
    assert told[11:] == ["    … and 2 more entries"]


def test_files_hold_calendars(beatd: Beatd) -> None:
    text = (
        '[calendar.closed]\ndates = ["2026-12-24"]\n\n'
        '[entry.noon]\ncron = "0 12 * * *"\ncalendar = "closed"\nshell = "x"\n'
    )
    added = beatd("apply", "--yes", "-", input=text).stdout
    assert added.startswith("+ calendar closed\n    dates: 2026-12-24\n+ noon\n")
    assert beatd("export").stdout == text
    assert beatd.json("export")["calendar"] == {"closed": {"dates": ["2026-12-24"]}}
    assert beatd("apply", "-", input=text).stdout == "0 added, 0 changed, 0 removed, 2 unchanged\n"
    changed = beatd("apply", "--dry-run", "-", input=text.replace("2026-12-24", soon(1))).stdout
    assert changed.startswith(f"~ calendar closed\n    dates: 2026-12-24 → {soon(1)}\n    noon: ")
    assert "gone" in changed
    none = '[entry.tick]\nevery = "1h"\nshell = "x"\n'
    pruned = beatd("apply", "--dry-run", "--prune", "-", input=none).stdout
    assert "- noon\n- calendar closed\n1 added, 0 changed, 2 removed, 0 unchanged\n" in pruned
    bad = beatd("apply", "-", input='[calendar.closed]\ndates = "soon"\n', status=2).stderr
    assert bad.startswith("beatd: stdin:2: dates: 'soon': ")
