"""The node's own dead man's switch: a ping, again and again, as long as it does its work.

What is pinged raises the alarm when the pings stop: so none is sent while anything is wrong. A dead
machine, a node that hangs and one that waits for its broker look the same from there: silent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from beatd import clock, weburls
from beatd.config import AlertSettings
from beatd.dispatch.alerts import deliver
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.logs import get_logger

log = get_logger()

_LOOK_EVERY = 1.0


class Pulse:
    """For one thread, but for `stop`."""

    def __init__(
        self,
        settings: Callable[[], AlertSettings],
        troubles: Callable[[], list[str]],
        publish: Callable[[str, float], None],
    ) -> None:
        """`troubles`: what keeps the node from its work, one line each; it may raise DatabaseUnavailable.
        `publish` sends a task that expires after so many seconds, or raises BrokerUnavailable.
        """
        self._settings = settings
        self._troubles = troubles
        self._publish = publish
        self._stopping = threading.Event()
        self._last: float | None = None
        self._told: list[str] = []
        self.sent = 0
        #: why the last ping did not get through; None if it did
        self.trouble: str | None = None

    def run_once(self) -> None:
        """Pings if it is time to and all is well, then waits for a second at most."""
        settings, now = self._settings(), clock.monotonic()
        wanted = bool(settings.ping_url or settings.ping_task)
        due = self._last is None or now - self._last >= settings.ping_every.total_seconds()
        if wanted and due and self._well():
            self._last = now
            self._ping(settings)
        self._stopping.wait(_LOOK_EVERY)

    def stop(self) -> None:
        """A node that ends sends no more."""
        self._stopping.set()

    def _well(self) -> bool:
        try:
            troubles = self._troubles()
        except DatabaseUnavailable as error:
            troubles = [str(error)]
        if troubles and not self._told:
            log.error("pulse.withheld", reasons=troubles)
        elif self._told and not troubles:
            log.info("pulse.resumed")
        self._told = troubles
        return not troubles and not self._stopping.is_set()

    def _ping(self, settings: AlertSettings) -> None:
        failures = []
        if settings.ping_url:
            error = deliver(settings.ping_url, None, self._stopping)
            if error is not None:
                failures.append(f"ping to {weburls.shown(settings.ping_url)}: {error}")
        if settings.ping_task:
            try:
                self._publish(settings.ping_task, settings.ping_every.total_seconds())
            except BrokerUnavailable as error:
                failures.append(f"ping by {settings.ping_task}: {error}")
        self.trouble = "; ".join(failures) or None
        if self.trouble:
            log.warning("pulse.failed", error=self.trouble)
        else:
            self.sent += 1
            log.debug("pulse.sent")
