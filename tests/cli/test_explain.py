"""`beatd explain` as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    beatd("entry", "add", "night", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--shell", "x")
    return beatd


def test_a_fire_to_come_on_both_clocks(beatd: Beatd) -> None:
    lines = beatd("explain", "night", "--at", "2098-03-30 02:30").stdout.splitlines()
    assert lines[:3] == [
        "night, Europe/Berlin",
        "2098-03-30 02:30 was skipped in Europe/Berlin: taken for 2098-03-30 03:00 CEST (01:00 UTC)",
        "",
    ]
    assert lines[3].startswith("● Sun 2098-03-30 03:00 CEST (01:00 UTC): it will run in ")
    assert lines[3].endswith(", if a scheduler runs then")
    indent = " " * 46
    assert lines[4:7] == [
        "  2098-03-30 03:00:00 CEST  30 01:00:00 UTC  fire time",
        f"{indent}02:30 is skipped that night: fires at the first instant after the gap"[1:],
        f"{indent}no scheduler is on record: none runs, or none could write"[1:],
    ]
    assert lines[7].startswith("  -> start a scheduler: ")
    assert lines[7].endswith("beatd scheduler")


def test_the_last_and_the_next(beatd: Beatd) -> None:
    [coming] = beatd("explain", "night").stdout.split("\n\n")[1:]
    assert coming.startswith("● next: ")
    run = beatd.json("entry", "trigger", "night")
    last, coming = beatd("explain", "night").stdout.split("\n\n")[1:]
    assert last.startswith("● last: ")
    assert "its run is recorded, and not published yet" in last
    assert "triggered by " in last
    assert coming.startswith("● next: ")
    document = beatd.json("explain", "night")
    assert [explanation["verdict"] for explanation in document["explanations"]] == ["waiting", "coming"]
    assert document["explanations"][0]["run"] == run["id"]
    beatd("entry", "pause", "night", "--note", "moving house")
    paused = beatd("explain", "night").stdout.split("\n\n")[-1]
    assert paused.startswith("! next: ")
    assert "it will not run: the entry is paused" in paused
    assert ": moving house" in paused
    assert paused.rstrip().endswith("entry resume night")


def test_a_time_at_which_nothing_fires(beatd: Beatd) -> None:
    shown = beatd("explain", "night", "--at", "2098-05-01T12:00").stdout
    assert "! Thu 2098-05-01 12:00 CEST (10:00 UTC): nothing fires then\n" in shown
    assert "the rule that holds, of version 1: at 02:30 every day, Europe/Berlin\n" in shown
    assert "  2098-05-01 02:30:00 CEST  01 00:30:00 UTC  the fire before\n" in shown
    assert "  2098-05-02 02:30:00 CEST  02 00:30:00 UTC  the fire after\n" in shown
    assert shown.rstrip().endswith("entry next night --after 2098-04-30T10:00:00Z")


def test_bad_input_ends_with_status_2(beatd: Beatd) -> None:
    assert "did you mean 'night'" in beatd("explain", "nigt", status=2).stderr
    assert "beatd: at: 'soon': is not a date" in beatd("explain", "night", "--at", "soon", status=2).stderr


def test_an_entry_in_utc_is_told_of_once(beatd: Beatd) -> None:
    beatd("entry", "add", "utc", "--at", "2098-01-01T00:00Z", "--shell", "x")
    shown = beatd("explain", "utc", "--at", "2098-01-01").stdout
    assert "● Wed 2098-01-01 00:00 UTC: it will run in " in shown
    assert "  2098-01-01 00:00:00 UTC  fire time\n" in shown
    before = "2001-01-01"
    assert ": there was no such entry yet\n" in beatd("explain", "utc", "--at", before).stdout
