"""`beatd entry backfill` as a person types it, and `runs revoke` of what it made."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd, end

RANGE = ("--from", "2026-03-28T02:30", "--to", "2026-03-30T02:30")


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    beatd("entry", "add", "night", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--shell", "x")
    return beatd


def test_looked_at_made_followed_and_taken_back(beatd: Beatd) -> None:
    looked = beatd("entry", "backfill", "night", *RANGE, "--dry-run").stdout.splitlines()
    assert looked == [
        "Sat 2026-03-28 02:30 CET",
        "Sun 2026-03-29 03:00 CEST",
        "Mon 2026-03-30 02:30 CEST",
        "would make 3 runs of night, 2026-03-28 02:30 CET to 2026-03-30 02:30 CEST, 10/s at the most",
    ]
    assert beatd.json("runs", "list") == []

    made = beatd("entry", "backfill", "night", *RANGE, "--rate", "1/h").stdout.splitlines()
    assert made[0].startswith("recorded 3 runs of night, ")
    assert made[1].endswith("runs list --follow --entry night")
    mark = made[2].rpartition(" ")[2]
    assert made[2] == f"revoke what has not begun: {beatd_command(made[1])} runs revoke {mark}"
    runs = beatd.json("runs", "list", "--entry", "night")
    assert {(run["origin"], run["state"]) for run in runs} == {(mark, "pending")}
    # what waits for its time is not late
    assert beatd.json("status")["activity"]["backlog"]["later"] == 2
    assert "2 recorded for later" in beatd("status").stdout

    again = beatd("entry", "backfill", "night", *RANGE, "--missing").stdout
    assert again == "nothing to make: night has no such fires in that range; 3 have a run already\n"
    assert beatd("runs", "revoke", mark).stdout == f"revoked 3 runs of {mark}\n"
    assert beatd("runs", "revoke", mark, status=2).stderr.startswith("beatd: no run that waits of ")
    queued = beatd("entry", "backfill", "night", *RANGE, "--missing", "--overlap", "queue").stdout
    assert "one after the other" in queued


def beatd_command(line: str) -> str:
    """How the program calls itself: `follow them: /path/to/beatd runs list …`."""
    return line.split()[2]


def test_one_document(beatd: Beatd) -> None:
    looked = beatd.json("entry", "backfill", "night", *RANGE, "--dry-run")
    assert looked["fire_times"] == ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    assert looked["applied"] is False
    made = beatd.json("entry", "backfill", "night", *RANGE, "--overlap", "queue")
    assert (made["applied"], made["overlap"], made["rate"], made["left_out"]) == (True, "queue", None, 0)
    assert {run["origin"] for run in beatd.json("runs", "list")} == {made["origin"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2026-03-28", "--to", "2999-01-01"], "to: '2999-01-01': is in the future"),
        (["--from", "1d", "--rate", "fast"], "rate: 'fast': so many runs a second, minute or hour"),
        (["--from", "1d", "--overlap", "skip"], "overlap: 'skip': one of allow, queue; for example 'allow'"),
    ],
)
def test_what_cannot_be_made_up(beatd: Beatd, arguments: list[str], said: str) -> None:
    done = beatd("entry", "backfill", "night", *arguments, status=2)
    assert done.stderr.startswith(f"beatd: {said}")


def test_many_runs_want_a_word(beatd: Beatd) -> None:
    year = ("--from", "2025-01-01", "--to", "2025-12-31")
    refused = beatd("entry", "backfill", "night", *year, status=2)
    assert refused.stderr.startswith("beatd: nothing was done: 364 runs are many, so say --yes")
    assert beatd.json("runs", "list") == []
    assert beatd("entry", "backfill", "night", *year, "--yes").stdout.startswith("recorded 364 runs")


@pytest.mark.parametrize(("answer", "status", "made"), [("n", 1, 0), ("y", 0, 364)])
def test_on_a_terminal_somebody_is_asked(beatd: Beatd, answer: str, status: int, made: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "entry", "backfill", "night", "--from", "2025-01-01", "--to", "2025-12-31"],
        cwd=beatd.home,
        env=beatd.env,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    try:
        os.write(ours, f"{answer}\n".encode())
        process.communicate(timeout=60)
        asked = os.read(ours, 10_000).decode()
    finally:
        end(process)
        os.close(ours)
        os.close(theirs)
    assert process.returncode == status
    assert "Make 364 runs of night, 2025-01-01 02:30 CET to 2025-12-30 02:30 CET?" in asked
    assert len(beatd.json("runs", "list", "-n", "1000")) == made
