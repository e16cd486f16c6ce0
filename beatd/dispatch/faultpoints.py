"""Points at which a test can have this process killed; nothing is armed unless the configuration says so.

    BEATD_SCHEDULER_FAULT_POINT=after-record beatd scheduler

`NAME` kills at the first time the point is reached, `NAME:N` at the N-th.
"""

from __future__ import annotations

import os
import signal

from beatd.errors import FieldError

POINTS = ("before-record", "after-record", "before-publish", "after-publish", "after-mark", "after-report")

_armed: str | None = None
_remaining = 0


def arm(setting: str) -> None:
    """Raises FieldError for a point that does not exist. An empty setting disarms."""
    global _armed, _remaining
    name, _, count = setting.partition(":")
    if name and (name not in POINTS or not (count or "1").isdigit()):
        raise FieldError("scheduler.fault_point", setting, f"one of {', '.join(POINTS)}, or NAME:COUNT")
    _armed, _remaining = name or None, int(count or 1)


def reach(point: str) -> None:
    global _remaining
    if point != _armed:
        return
    _remaining -= 1
    if _remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
