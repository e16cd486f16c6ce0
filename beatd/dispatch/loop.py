"""The shape that every loop of the daemon has: one pass after the other, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from beatd import clock
from beatd.errors import BrokerUnavailable, DatabaseUnavailable, SchemaMismatch
from beatd.logs import get_logger

log = get_logger()

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


class Loop(threading.Thread):
    """Repeats `step` until it is stopped; pauses, ever longer, while it fails.

    A step must come back within seconds even where nothing happens. `trouble` tells, in one line, why
    the loop does not get on; `progressed` is when a step last ended or reported progress, on the
    monotonic clock.
    """

    def __init__(self, name: str, step: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._ending = threading.Event()
        self.trouble: str | None = None
        self.progressed = clock.monotonic()

    def run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            try:
                self._step()
            except (DatabaseUnavailable, SchemaMismatch, BrokerUnavailable) as error:
                self._report(error)
            except Exception as error:
                log.exception("loop.failed", loop=self.name)
                self.trouble = f"{type(error).__name__}: {error}"
            else:
                self._recover()
                pause = _FIRST_PAUSE
                continue
            self.progress()
            self._ending.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def progress(self) -> None:
        self.progressed = clock.monotonic()

    def stop(self) -> None:
        """Ends the loop after the step that it is in."""
        self._ending.set()

    def _report(self, error: Exception) -> None:
        if self.trouble is None:
            event = "broker.unavailable" if isinstance(error, BrokerUnavailable) else "database.unavailable"
            log.error(event, loop=self.name, error=str(error))
        self.trouble = str(error)

    def _recover(self) -> None:
        self.progress()
        if self.trouble is not None:
            log.info("loop.recovered", loop=self.name)
            self.trouble = None
