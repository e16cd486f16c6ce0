"""`beatd apply` and `beatd export` as a person types them."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd, end

FILE = """\
[entry.tick]
every = "5m"
shell = "echo tick"

[entry.night]
cron = "0 3 * * *"
task = "proj.t"
args = [1, "two"]
"""


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    (beatd.home / "entries.toml").write_text(FILE)
    return beatd


def test_shown_then_done_then_nothing_to_do(beatd: Beatd) -> None:
    refused = beatd("apply", "entries.toml", status=2)
    assert "2 added, 0 changed, 0 removed, 0 unchanged" in refused.stdout
    assert refused.stderr.startswith("beatd: nothing was done: ")
    assert "--yes" in refused.stderr
    assert "+ tick" in beatd("apply", "--dry-run", "entries.toml").stdout
    assert beatd.json("entry", "list") == []

    assert beatd("apply", "--yes", "entries.toml").stdout.splitlines()[-1] == "done"
    assert [entry["name"] for entry in beatd.json("entry", "list")] == ["night", "tick"]
    # nothing to ask about
    assert beatd("apply", "entries.toml").stdout == "0 added, 0 changed, 0 removed, 2 unchanged\n"

    exported = beatd("export").stdout
    assert beatd("apply", "-", input=exported).stdout == "0 added, 0 changed, 0 removed, 2 unchanged\n"
    assert beatd.json("export", "t*") == {"entry": {"tick": {"every": "5m", "shell": "echo tick"}}}
    assert beatd("export", "t*").stdout == '[entry.tick]\nevery = "5m"\nshell = "echo tick"\n'


def test_changes_are_told_old_and_new(beatd: Beatd) -> None:
    beatd("apply", "--yes", "entries.toml")
    changed = '[entry.tick]\nevery = "1h"\nshell = "echo tick"\n'
    text = beatd("apply", "--prune", "--dry-run", "-", input=changed).stdout.splitlines()
    assert text[:4] == ["~ tick", "    every: 5m → 1h", "    - every 5 minutes", "    + every hour"]
    assert [line.split()[4] for line in text[4:7]] == ["gone"] * 3
    assert text[7:] == ["- night", "0 added, 1 changed, 1 removed, 0 unchanged"]
    (beatd.home / "changed.toml").write_text(changed)
    document = beatd.json("apply", "--prune", "--yes", "changed.toml")
    [tick] = document["changed"]
    [fires] = tick.pop("fires")
    assert tick == {"kind": "entry", "name": "tick", "options": {"every": {"old": "5m", "new": "1h"}}}
    assert (fires["before"]["sentence"], fires["after"]["sentence"]) == ("every 5 minutes", "every hour")
    assert [fire["mark"] for fire in fires["before"]["fires"]] == ["gone"] * 3
    assert document["removed"] == [{"kind": "entry", "name": "night", "options": {}, "fires": []}]
    assert (document["added"], document["unchanged"], document["applied"]) == ([], 0, True)
    assert [entry["name"] for entry in beatd.json("entry", "list")] == ["tick"]


def test_of_many_whose_fires_change_a_line_each(beatd: Beatd) -> None:
    text = "".join(f'[entry.e{number}]\ncron = "0 3 * * *"\nshell = "x"\n' for number in range(5))
    beatd("apply", "--yes", "-", input=text)
    changed = text.replace("0 3", "30 4").replace('"x"', '"y"', 1)
    told = beatd("apply", "--dry-run", "-", input=changed).stdout.splitlines()
    lines = [line for line in told if "next fire" in line]
    assert len(lines) == 5
    assert all("03:00 UTC → " in line and line.endswith("04:30 UTC") for line in lines)
    assert told[-2:] == ["the fires of 5 entries change", "0 added, 5 changed, 0 removed, 0 unchanged"]


def test_what_has_passed_may_stay_in_a_file_and_gets_a_word(beatd: Beatd) -> None:
    text = (
        '[entry.once]\nat = "2020-01-01"\nshell = "x"\n\n'
        '[entry.p]\nevery = "1h"\npaused_until = "2020-01-01"\nshell = "x"\n'
    )
    done = beatd("apply", "--yes", "-", input=text)
    assert done.stderr.splitlines() == [
        "stdin:2: at: '2020-01-01': is in the past: the entry would never fire",
        "stdin:7: paused_until: '2020-01-01': is in the past",
    ]
    assert [entry["state"] for entry in beatd.json("entry", "list")] == ["completed", "active"]
    assert beatd("apply", "-", input=text).stderr == ""


def test_everything_wrong_has_its_file_and_line_and_nothing_is_done(beatd: Beatd) -> None:
    (beatd.home / "bad.toml").write_text(
        '[entry.a]\ncron = "61 * * * *"\nshel = "x"\n\n[entry.b]\nevery = 10\nshell = "x"\n'
    )
    done = beatd("apply", "--yes", "entries.toml", "bad.toml", "none.toml", status=2)
    places = [line.removeprefix("beatd: ").split(": ")[0] for line in done.stderr.splitlines()]
    assert places == ["file", "bad.toml:1", "bad.toml:2", "bad.toml:3", "bad.toml:6"]
    assert beatd.json("entry", "list") == []


@pytest.mark.parametrize(("answer", "status", "names"), [("n", 1, []), ("y", 0, ["night", "tick"])])
def test_on_a_terminal_somebody_is_asked(beatd: Beatd, answer: str, status: int, names: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "apply", "entries.toml"],
        cwd=beatd.home,
        env=beatd.env,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    try:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
    finally:
        end(process)
        os.close(ours)
        os.close(theirs)
    assert process.returncode == status
    assert "2 added" in out
    assert [entry["name"] for entry in beatd.json("entry", "list")] == names
