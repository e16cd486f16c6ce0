"""Entries whose commands hold bytes that are not UTF-8: whatever shows them, and documents that hold them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

#: As a shell hands them over; `\\udcff` in plain characters must not be taken for one.
COMMAND = os.fsdecode(b"printf '\xff caf\xe9 \xc3\xbc \\udcff'")
SHOWN = r"printf '\xff caf\xe9 ü \udcff'"
OPTIONS: dict[str, Any] = {
    "every": "1h",
    "shell": COMMAND,
    "cwd": os.fsdecode(b"/srv/\x80"),
    "env": {os.fsdecode(b"N\xfe"): os.fsdecode(b"\xfd")},
    "stdin": os.fsdecode(b"\x81\n"),
    "environment": "cron",
}


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("init")
    return beatd


@pytest.fixture
def entry(beatd: Beatd) -> None:
    [(name, value)] = OPTIONS["env"].items()
    given = ["--every", "1h", "--shell", COMMAND, "--cwd", OPTIONS["cwd"], "--env", f"{name}={value}"]
    beatd("entry", "add", "nightly", *given, "--stdin", OPTIONS["stdin"], "--environment", "cron")


@pytest.mark.usefixtures("entry")
def test_people_read_them_as_escapes(tmp_path: Path) -> None:
    beatd = Beatd(tmp_path)  # whose output is a real one
    assert SHOWN in beatd("entry", "list").stdout
    shown = beatd("entry", "show", "nightly").stdout
    for line in (SHOWN, r"/srv/\x80", r"N\xfe=\xfd", r"\x81"):
        assert line in shown
    beatd("entry", "trigger", "nightly")
    beatd("runs", "list")
    assert "nightly" in beatd("explain", "nightly").stdout
    beatd.env["LC_ALL"] = "C"
    beatd.env["PYTHONUTF8"] = beatd.env["PYTHONCOERCECLOCALE"] = "0"
    assert SHOWN.replace("ü", r"\xfc") in beatd("entry", "list").stdout
    assert beatd.json("entry", "show", "nightly")["options"] == OPTIONS


@pytest.mark.usefixtures("entry")
def test_documents_hold_them(beatd: Beatd) -> None:
    assert beatd.json("entry", "show", "nightly")["options"] == OPTIONS
    exported = beatd("export").stdout
    exported.encode()
    (beatd.home / "entries.toml").write_text(exported)
    assert "1 unchanged" in beatd("apply", "--yes", "entries.toml").stdout

    beatd("entry", "set", "nightly", "--shell", os.fsdecode(b"\xff"))
    told = beatd.json("entry", "versions", "nightly")[0]["changes"]
    assert told == {"shell": [COMMAND, os.fsdecode(b"\xff")]}
    assert "\udcff → printf" in beatd("apply", "--yes", "entries.toml").stdout
    assert beatd.json("entry", "show", "nightly")["options"] == OPTIONS
    beatd("entry", "remove", "nightly")
    beatd("apply", "--yes", "entries.toml")
    assert beatd.json("entry", "show", "nightly")["options"] == OPTIONS


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "\udcff"], r"'\udcff': is not UTF-8 text"),
        (["add", "\udcff", "--every", "1h", "--shell", "x"], r"name: '\udcff': 1 to 200 printable"),
        (
            ["add", "x", "--every", "1h", "--http", "http://a/\udcff"],
            r"http: 'http://a/\udcff': is not UTF-8",
        ),
        (
            ["add", "x", "--every", "1h", "--shell", "x", "--queue", "\udcff"],
            r"queue: '\udcff': is not UTF-8",
        ),
    ],
)
def test_elsewhere_they_are_refused(beatd: Beatd, arguments: list[str], told: str) -> None:
    done = beatd("entry", *arguments, status=2)
    assert done.stderr.startswith(f"beatd: {told}")
    assert len(done.stderr.splitlines()) == 1


def test_toml_that_says_a_command_in_json(beatd: Beatd, tmp_path: Path) -> None:
    """As the export writes it, in the plainest way of TOML."""
    kwargs = r"""'{"command": "echo \udcff", "environment": "cron"}'"""
    file = tmp_path / "entries.toml"
    file.write_text(f'[entry.nightly]\nevery = "1h"\ntask = "beatd.shell"\nkwargs = {kwargs}\n')
    beatd("apply", "--yes", str(file))
    shown = beatd.json("entry", "show", "nightly")["options"]
    assert shown == {"every": "1h", "shell": "echo \udcff", "environment": "cron"}
