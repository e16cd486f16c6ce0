"""A jump of the database's time is looked at twice before it is acted on (SEMANTICS: Time)."""

from __future__ import annotations

from datetime import datetime, timedelta

from beatd import clock
from beatd.logs import get_logger

log = get_logger()

#: How far the database's time may run ahead of our monotonic clock between two looks.
TOLERANCE = timedelta(seconds=1)


class TimeGuard:
    """Sees the database's time once a pass. For one thread."""

    def __init__(self) -> None:
        self._seen: datetime | None = None
        self._at = 0.0
        self.suspicious = False

    def trusted(self, now: datetime) -> datetime:
        """`now`, unless it has just jumped ahead: then the time expected, until a second look agrees."""
        at = clock.monotonic()
        expected = now if self._seen is None else self._seen + timedelta(seconds=at - self._at)
        if now - expected > TOLERANCE and not self.suspicious:
            self.suspicious = True
            log.warning("clock.jumped", ahead_s=round((now - expected).total_seconds(), 3), acted_on=False)
            return expected
        if self.suspicious and now - expected > TOLERANCE:
            log.warning("clock.jumped", ahead_s=round((now - expected).total_seconds(), 3), acted_on=True)
        self.suspicious = False
        self._seen, self._at = now, at
        return now
