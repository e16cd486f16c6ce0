from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Installation, installations
from tests.services.keeper import Keeper

MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture
def install(tmp_path: Path, keeper: Keeper) -> Iterator[Callable[..., Installation]]:
    """Makes installations (database URL, broker URL, variables) that end with the test."""
    yield from installations(tmp_path, keeper)


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a line of figures for the end of the session's output. Nothing is asserted about them."""
    return pytestconfig.stash.setdefault(MEASURED, []).append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)
