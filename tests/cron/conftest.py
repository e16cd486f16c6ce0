from pathlib import Path

import pytest

from tests.processes import install, measured  # noqa: F401


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only where it was asked for (`make test-cron`): it needs root and Debian's cron."""
    return None if config.getoption("--cron") else True
