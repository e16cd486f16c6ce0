"""The only module that asks a clock. Everything that decides is handed the instant."""

from __future__ import annotations

import re
import time
import zoneinfo
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Seconds by which two clocks may differ before somebody is told.
TOLERANCE = 1.0

#: Longest single wait, in seconds: the kernel counts milliseconds, and not beyond 24 days.
LONGEST_WAIT = 86_400.0


def wall() -> datetime:
    """This machine's wall clock, aware UTC. What is *due* is decided by the database's clock instead."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that only grow, suspended time included; comparable within one boot of the machine only."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def zone_data_version() -> str:
    """The version of the time-zone data that zoneinfo uses: the machine's, else the tzdata package's."""
    for folder in zoneinfo.TZPATH:
        for name, pattern in (("tzdata.zi", r"# version (\S+)"), ("+VERSION", r"(\S+)")):
            found = _first_line_of(Path(folder, name), pattern)
            if found:
                return found
        if Path(folder, "UTC").exists():
            changed = datetime.fromtimestamp(Path(folder).stat().st_mtime, UTC)
            return f"unknown ({folder}, of {changed:%Y-%m-%dT%H:%M:%SZ})"
    try:
        return version("tzdata")
    except PackageNotFoundError:
        return "none"


def _first_line_of(path: Path, pattern: str) -> str | None:
    try:
        with path.open(encoding="utf-8") as lines:
            found = re.match(pattern, lines.readline())
    except OSError:
        return None
    return found[1] if found else None
