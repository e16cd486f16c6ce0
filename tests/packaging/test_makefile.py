"""`make up` on a machine that lacks something: one line that says what to install, and nothing half-made."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Interpreters by what they lack: a shell script that fails where the real one would.
INTERPRETERS = {
    "no venv": 'case "$2" in *ensurepip*) exit 1 ;; esac',
    "too old": 'case "$2" in *version_info*) exit 1 ;; esac',
}


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ("no venv", "cannot make environments; on Debian: apt-get install python3-venv"),
        ("too old", "needs Python 3.11 or later"),
        ("not there", "is not there: install Python 3.11 or later"),
    ],
)
def test_says_what_to_install(tmp_path: Path, lacks: str, said: str) -> None:
    for file in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    python = tmp_path / "a python"
    if lacks in INTERPRETERS:
        python.write_text(f"#!/bin/sh\n{INTERPRETERS[lacks]}\nexit 0\n")
        python.chmod(0o755)
    done = make("up", f"PYTHON={python}", cwd=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr.splitlines()[0]
    assert not (tmp_path / ".uv").exists()


def test_make_alone_lists_the_commands() -> None:
    lines = make(cwd=ROOT).stdout.splitlines()
    assert [line.split()[1] for line in lines][:3] == ["help", "up", "test"]


def make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # As from a shell, also where these tests themselves were started by make.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=cwd, env=env, capture_output=True, text=True)
