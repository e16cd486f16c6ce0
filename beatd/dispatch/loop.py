"""The shape that every loop of the daemon has: one pass after the other, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from beatd import clock
from beatd.errors import (
    BrokerUnavailable,
    DatabaseDamaged,
    DatabaseUnavailable,
    SchemaMismatch,
    TransactionConflict,
)
from beatd.logs import get_logger

log = get_logger()

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0

#: Transactions in a row that were rolled back in favour of others and are repeated without a pause.
_AT_ONCE = 3


class Loop(threading.Thread):
    """Repeats `step` until it is stopped; pauses, ever longer, while it fails.

    A step must come back within seconds even where nothing happens. `trouble` tells, in one line, why
    the loop does not get on; `progressed` is when it last made progress, on the monotonic clock. Progress is
    a step that ends, unless it returns False: there was something to do, and it did not get done. Waiting for
    a database or a broker is progress as well, for to start the process anew would not bring them back; any
    other error that stays is none.
    """

    def __init__(self, name: str, step: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._ending = threading.Event()
        self.trouble: str | None = None
        #: why it ended by itself
        self.damage: DatabaseDamaged | None = None
        self.progressed = clock.monotonic()

    def run(self) -> None:
        pause = _FIRST_PAUSE
        conflicts = 0
        while not self._ending.is_set():
            try:
                got_on = self._step() is not False
            except TransactionConflict as error:
                conflicts += 1
                self.progress()
                if conflicts <= _AT_ONCE:
                    log.info("transaction.repeated", loop=self.name, error=str(error))
                    continue
                self._report(error)
            except DatabaseDamaged as error:
                self._report(error)
                self.damage = error
                return
            except (DatabaseUnavailable, SchemaMismatch, BrokerUnavailable) as error:
                self.progress()
                self._report(error)
            except Exception as error:
                log.exception("loop.failed", loop=self.name)
                self.trouble = f"{type(error).__name__}: {error}"
            else:
                if got_on:
                    self.progress()
                self._recover()
                pause, conflicts = _FIRST_PAUSE, 0
                continue
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
        if self.trouble is not None:
            log.info("loop.recovered", loop=self.name)
            self.trouble = None
