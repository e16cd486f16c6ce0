from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import PROGRAM
from tests.processes import Installation
from tests.processes import install as install
from tests.safety.copies import Copies
from tests.services.server import Server

#: Calls a command of the program in an installation's surroundings: its exit status, and all it said.
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def copies(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Copies:
    """How a database of this kind is backed up and restored, each by the tool that the docs name."""
    kind = database_url.partition(":")[0].partition("+")[0]
    server: Server | None = None
    if kind != "sqlite":
        server = request.getfixturevalue({"postgresql": "postgres", "mariadb": "mariadb"}[kind])
    return Copies(database_url, server, tmp_path / "backup")


@pytest.fixture
def call() -> Call:
    def beatd(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            env=installation.env,
            cwd=installation.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return beatd
