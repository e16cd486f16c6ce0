"""A jump of the database's time is looked at twice before it is acted on (SEMANTICS: Time)."""

from __future__ import annotations

from datetime import datetime, timedelta

from beatd import clock
from beatd.logs import get_logger

log = get_logger()


class TimeGuard:
    """Sees the database's time once a pass. For one thread."""

    def __init__(self) -> None:
        self._seen: datetime | None = None
        self._at = 0.0
        self._suspicious = False

    def trusts(self, now: datetime) -> bool:
        """False at the first sight of a jump ahead; true at the second, or when it was none."""
        at = clock.monotonic()
        expected = now if self._seen is None else self._seen + timedelta(seconds=at - self._at)
        jumped = (now - expected).total_seconds() > clock.TOLERANCE
        if jumped:
            ahead = round((now - expected).total_seconds(), 3)
            log.warning("clock.jumped", ahead_s=ahead, acted_on=self._suspicious)
        if jumped and not self._suspicious:
            self._suspicious = True
            return False
        self._suspicious = False
        self._seen, self._at = now, at
        return True
