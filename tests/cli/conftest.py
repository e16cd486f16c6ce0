from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    """The command line of a user whose home is empty, called inside this process."""
    return InProcess(tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Beatd:
    """The same as a process of its own, where that is what is tested."""
    return Beatd(tmp_path)
