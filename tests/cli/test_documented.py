"""What docs/entries.md shows is what happens: its commands in order, with the output that it gives, and its
entries files.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

PAGE = (Path(__file__).parent.parent.parent / "docs" / "entries.md").read_text()

BACKUP = ("--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--shell", "x")


def examples() -> list[tuple[str, str]]:
    """Commands with what they print; nothing where the page does not say it."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(r"^\$ (beatd .*)\n((?:[^$].*\n)*)", block, re.MULTILINE)
    ]


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def test_commands(beatd: Beatd) -> None:
    beatd("entry", "add", "invoices", "--cron", "0 9 1 * *", "--shell", "x")
    beatd("entry", "add", "backup", *BACKUP)
    done = [command for command, _ in examples()]
    assert len(done) >= 9
    for command, output in examples():
        told = beatd(*shlex.split(command)[1:]).stdout
        assert not output or told == output, command


def test_files(beatd: Beatd) -> None:
    files = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[entry." in text]
    assert files
    for text in files:
        beatd("apply", "--yes", "-", input=text)
        assert beatd("apply", "-", input=text).stdout.startswith("0 added, 0 changed, 0 removed")
