"""`beatd crontab verify`: what was imported, as it is now, against what cron does and did."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

TAB = """\
# nightly backup
30 2 * * * /usr/local/bin/backup
0,30 2 * * * twice
*/15 * * * * poll
@reboot mount
"""
ZONE = ("--timezone", "Europe/Berlin")
NIGHTS = ("--from", "2026-03-20", "--to", "2026-11-01")


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    (tmp_path / "tab").write_text(TAB)
    beatd("crontab", "import", *ZONE, "tab")
    return beatd


def test_what_was_imported_fires_as_cron_starts_it(beatd: Beatd) -> None:
    told = beatd("crontab", "verify", "tab", *ZONE, *NIGHTS).stdout
    assert "from Fri 2026-03-20 00:00 CET to Sun 2026-11-01 00:00 CET" in told
    assert "✓ tab:2: nightly-backup: 226 times, equal" in told
    assert "cron starts 1 more at the same instant: one run" in told
    assert "it runs at boots" in told
    assert told.endswith("3 equal, 1 not compared\n")


def test_an_edit_shows(beatd: Beatd) -> None:
    beatd("entry", "set", "nightly-backup", "--dst-gap", "skip")
    beatd("entry", "pause", "poll")
    told = beatd("crontab", "verify", "tab", *ZONE, *NIGHTS, status=1).stdout
    assert "✗ tab:2: nightly-backup: cron starts it 226 times, beatd 225; 1 differ" in told
    assert "    only cron   Sun 2026-03-29 03:00 CEST\n" in told
    assert "it is paused" in told
    found = beatd.json("crontab", "verify", "tab", *ZONE, *NIGHTS, status=1)
    assert found["holds"] is False
    first = found["proof"]["verdicts"][0]
    assert (first["entry"], first["outcome"], first["compared"]["differing"]) == (
        "nightly-backup",
        "differs",
        1,
    )
    assert first["compared"]["first"] == [{"at": "2026-03-29T01:00:00Z", "only": "cron"}]


#: What is set of an entry, what is told of its line, and whether it counts as a difference.
EDITS: list[tuple[tuple[str, ...], str, str, int]] = [
    (("--max-runs", "3"), "cron starts it 226 times, beatd 3; 223 differ", "max_runs lets it run 3 more", 1),
    (("--shell", "/bin/other"), "226 times, at the same instants", "the command was edited here", 1),
    (("--env", "A=secret"), "226 times, at the same instants", "its environment was edited here", 1),
    (("--stdin", "secret"), "226 times, at the same instants", "its standard input was edited here", 1),
    (("--queue", "user.root"), "226 times, at the same instants", "queue was edited here: user.root", 1),
    (("--queue", "slow"), "226 times, equal", "queue was edited here: slow", 0),
    (("--jitter", "10m"), "226 times, equal", "jitter was edited here: 10m", 0),
    (("--overlap", "skip"), "226 times, equal", "overlap was edited here: skip", 0),
    (("--misfire", "all"), "226 times, equal", "misfire was edited here: all", 0),
    (("--expires", "1s"), "226 times, equal", "expires was edited here: 1s", 0),
    (("--mailto", "anna"), "226 times, equal", "mailto was edited here: anna", 0),
    (("--cron", "30 3 * * *"), "beatd 226; 452 differ", "cron was edited here: 30 3 * * *", 1),
    (("--description", "else"), "226 times, equal", "", 0),
]


@pytest.mark.parametrize(("options", "counted", "said", "status"), EDITS)
def test_what_was_edited_is_told(
    beatd: Beatd, options: tuple[str, ...], counted: str, said: str, status: int
) -> None:
    beatd("entry", "set", "nightly-backup", *options)
    told = beatd("crontab", "verify", "tab", *ZONE, *NIGHTS, status=status).stdout
    _, line, *notes = told.splitlines()
    assert counted in line
    assert said in notes[0]
    assert "secret" not in told
    assert ("edited" in told) == ("edited" in said)


def test_a_pause_that_ends_by_itself(beatd: Beatd) -> None:
    beatd("entry", "set", "nightly-backup", "--paused-until", "2099-12-30T00:00")
    span = ("--from", "2099-12-28", "--to", "2100-01-01")
    told = beatd("crontab", "verify", "tab", *ZONE, *span, status=1).stdout
    assert "cron starts it 4 times, beatd 2; 2 differ\n    it is paused for a time" in told


def test_what_starts_at_boots_differs_once_it_is_paused_or_edited(beatd: Beatd) -> None:
    beatd("entry", "pause", "mount")
    assert "✗ tab:5: mount\n    it is paused; not compared" in verified(beatd, 1)
    beatd("entry", "resume", "mount")
    beatd("entry", "set", "mount", "--overlap", "skip")
    assert "– tab:5: mount\n    overlap was edited here: skip; not compared" in verified(beatd, 0)
    beatd("entry", "set", "mount", "--cron", "@daily")
    assert "✗ tab:5: mount\n    cron was edited here: @daily" in verified(beatd, 1)


def test_what_the_file_sets_for_a_line_has_changed_since(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text(f"PATH=/opt/bin\nMAILTO=anna\n{TAB}")
    told = verified(beatd, 1)
    assert "its environment has changed in the file since it was imported; mailto has changed" in told
    beatd("crontab", "import", *ZONE, "tab")
    verified(beatd, 0)


def test_a_file_that_was_never_imported(beatd: Beatd) -> None:
    (beatd.home / "other").write_text("30 4 * * * x\n")
    told = beatd("crontab", "verify", "other", *ZONE, *NIGHTS, status=1).stdout
    assert "✗ other:1: 30 4 * * * x: cron starts it 226 times, beatd 0; 226 differ" in told
    assert "no entry was imported from it" in told


def test_a_file_that_is_read_as_what_it_is_not(beatd: Beatd) -> None:
    told = beatd("crontab", "verify", "tab", "--system", "--cron", "debian", "--dry", status=1).stdout
    assert "✓ tab:2: 30 2 * * * /usr/local/bin/backup: 0 times, equal" in told
    assert "refuses the line (bad username)" in told
    assert "no line has an entry, so nothing is shown" in told


def verified(beatd: Beatd, status: int) -> str:
    return beatd("crontab", "verify", "tab", *ZONE, *NIGHTS, status=status).stdout


def test_lines_and_entries_without_each_other(beatd: Beatd) -> None:
    (beatd.home / "tab").write_text(TAB.replace("*/15", "*/20"))
    told = beatd("crontab", "verify", "tab", *ZONE, *NIGHTS, status=1).stdout
    assert "no entry was imported from it" in told
    assert "its line is no longer there as it was imported" in told
    assert told.endswith("2 equal, 2 differs, 1 not compared\n")


def test_lines_that_only_moved_are_found_again(beatd: Beatd) -> None:
    lines = TAB.splitlines(keepends=True)
    (beatd.home / "tab").write_text("".join([*reversed(lines[1:]), lines[0]]))
    beatd("crontab", "verify", "tab", *ZONE, *NIGHTS)


def test_without_a_database(tmp_path: Path) -> None:
    (tmp_path / "tab").write_text(TAB)
    beatd = InProcess(tmp_path)
    told = beatd("crontab", "verify", "--dry", "tab", *ZONE, *NIGHTS).stdout
    assert told.endswith("3 equal, 1 not compared\n")
    assert not beatd.database.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2026-03-01", "--to", "2026-02-01"), "to: '2026-02-01': is not after the beginning"),
        (("--from", "soon"), "from: 'soon'"),
        (("--against-log", "nothing.log"), "against-log: 'nothing.log': cannot be read"),
    ],
)
def test_what_cannot_be_asked(beatd: Beatd, options: tuple[str, ...], said: str) -> None:
    assert said in beatd("crontab", "verify", "tab", *ZONE, *options, status=2).stderr


def test_a_file_that_cannot_be_read(beatd: Beatd) -> None:
    assert "gone: " not in beatd("crontab", "verify", "tab", *ZONE, *NIGHTS).stderr
    assert "cannot be read" in beatd("crontab", "verify", "tab", "gone", *ZONE, *NIGHTS, status=1).stderr


LOG = [
    "2026-03-29T01:00:00 web1 kernel: begin",
    *[f"2026-03-29T01:{minute:02}:01 web1 CRON[1]: (anna) CMD (poll)" for minute in (0, 15, 30, 45)],
    "2026-03-29T03:00:01 web1 CRON[1]: (anna) CMD (/usr/local/bin/backup)",
    "2026-03-29T03:00:01 web1 CRON[1]: (anna) CMD (poll)",
    "2026-03-29T03:00:11 web1 CRON[1]: (anna) CMD (twice)",
    "2026-03-29T03:00:21 web1 CRON[1]: (anna) CMD (twice)",
    "2026-03-29T03:10:00 web1 kernel: end",
]


def test_against_a_log(beatd: Beatd) -> None:
    log = beatd.home / "cron.log"
    log.write_text("".join(f"{line}\n" for line in LOG))
    told = beatd("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log").stdout
    assert "cron's log of web1 and beatd, from Sun " in told
    assert "by its rule: 5 matched, at most 1.0s late" in told
    assert "by its rule: 1 matched, at most 11s late, 1 more at the same instant" in told
    log.write_text("".join(f"{line}\n" for line in LOG if "01:30:01" not in line))
    told = beatd("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log", status=1).stdout
    assert "4 matched, at most 1.0s late; 0 only in the log, 1 only here" in told
    assert "only here  Sun " in told


def test_what_was_edited_is_told_beside_a_log_too(beatd: Beatd) -> None:
    (beatd.home / "cron.log").write_text("".join(f"{line}\n" for line in LOG))
    beatd("entry", "set", "poll", "--overlap", "skip")
    command = ("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log")
    assert "✓ tab:4: poll\n    overlap was edited here: skip\n" in beatd(*command).stdout
    beatd("entry", "set", "poll", "--shell", "poll --all")
    told = beatd(*command, status=1).stdout
    assert "✗ tab:4: poll\n    the command was edited here\n" in told


def test_a_log_that_is_packed_or_comes_by_standard_input(beatd: Beatd) -> None:
    text = "".join(f"{line}\n" for line in LOG)
    (beatd.home / "cron.log.1.gz").write_bytes(gzip.compress(text.encode()))
    command = ("crontab", "verify", "tab", *ZONE, "--against-log")
    told = beatd(*command, "cron.log.1.gz").stdout
    assert "cron's log of web1 and beatd, from Sun " in told
    assert beatd(*command, "-", input=text).stdout == told
    (beatd.home / "cut.gz").write_bytes(gzip.compress(text.encode())[:-20])
    assert "against-log: 'cut.gz': cannot be unpacked" in beatd(*command, "cut.gz", status=2).stderr
    twice = beatd("crontab", "verify", "-", *ZONE, "--against-log", "-", input=TAB, status=2).stderr
    assert "against-log: '-': a crontab is read from standard input already" in twice


def test_a_log_of_several_hosts(beatd: Beatd) -> None:
    log = beatd.home / "cron.log"
    other = "2026-03-29T03:05:01 web2 CRON[1]: (anna) CMD (poll)"
    log.write_text("".join(f"{line}\n" for line in [*LOG, other]))
    command = ("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log")
    asked = beatd(*command, status=2).stderr
    assert (
        "the log is of several hosts, say of which this crontab is: web1 (8 starts), web2 (1 starts)" in asked
    )
    assert "for example '--host web1'" in asked
    told = beatd(*command, "--host", "web1").stdout
    assert "cron's log of web1 and beatd" in told
    assert "what the log has of web2 is left out" in told
    assert "host: 'web3': cron started nothing there" in beatd(*command, "--host", "web3", status=2).stderr


def test_against_a_log_and_what_was_recorded_in_shadow_mode(beatd: Beatd) -> None:
    log = beatd.home / "cron.log"
    log.write_text("".join(f"{line}\n" for line in LOG))
    record(beatd, "poll", "2026-03-29T00:00:00.000000Z", "2026-03-29T00:15:00.000000Z")
    record(beatd, "poll", "2026-03-29T00:30:00.000000Z")
    told = beatd("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log").stdout
    assert "runs recorded in shadow mode, from Sun 2026-03-29 01:00 CET to Sun 2026-03-29 01:30 CET" in told
    assert "recorded: 3 matched" in told
    record(beatd, "poll", "2026-03-29T00:40:00.000000Z")
    found = beatd.json("crontab", "verify", "tab", *ZONE, "--against-log", "cron.log", status=1)
    recorded = {group["command"]: group["recorded"] for group in found["proof"]["groups"]}
    assert (recorded["poll"]["matched"], recorded["poll"]["only_in_beatd"]) == (3, 1)


def record(beatd: Beatd, entry: str, *fire_times: str) -> None:
    """Runs as a scheduler in shadow mode records them."""
    with sqlite3.connect(beatd.database) as connection:
        (id_,) = connection.execute("SELECT id FROM entries WHERE name = ?", [entry]).fetchone()
        for at in fire_times:
            connection.execute(
                "INSERT INTO runs (id, entry_id, version, origin, fire_time, due_time, state, recorded_at, "
                "finished_at, lost_after) VALUES (?, ?, 1, 'schedule', ?, ?, 'shadow', ?, ?, 60)",
                [str(uuid4()), id_, at, at, at, at],
            )
    connection.close()
