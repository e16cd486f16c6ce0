from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    """The command line of a user whose home is empty."""
    return Beatd(tmp_path)
