"""The only module that asks a clock. Everything that decides is handed the instant."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def wall() -> datetime:
    """This machine's wall clock, aware UTC. What is *due* is decided by the database's clock instead."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that only grow, suspended time included; comparable within one boot of the machine only."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
