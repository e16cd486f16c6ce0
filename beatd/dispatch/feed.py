"""The dispatching loop: a pass, a look into the outbox, and a wait until there is more to do."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from beatd import clock
from beatd.dispatch.dispatcher import Batch, Dispatcher, Pass
from beatd.dispatch.outbox import Outbox
from beatd.errors import DatabaseUnavailable, TransactionConflict

#: Seconds between looks into the outbox for runs that nobody leases, where nothing announces them and none
#: is known to lapse earlier.
_TAKE_OVER_EVERY = 0.5


class Feed:
    """Feeds what one node's dispatcher records to its outbox. For one thread, but for `wake` and `stop`."""

    def __init__(self, outbox: Outbox, publishes: Callable[[], bool], progress: Callable[[], None]) -> None:
        """`publishes`: whether the node gets rid of what it takes; `progress` is called while it waits."""
        self._outbox = outbox
        self._publishes = publishes
        self._progress = progress
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._looked_at = 0.0
        #: when there is something in the outbox that anybody may take, as far as known
        self._lapse_at = math.inf
        #: recorded, and still to be handed over: to be given back at the end
        self.left: list[Batch] = []
        #: what a pass that failed may have recorded all the same
        self._unsure: Batch | None = None
        #: runs that this node's schedule made
        self.recorded = 0

    def wake(self) -> None:
        """There is something to do, perhaps in the outbox."""
        self._woken.set()

    def stop(self) -> None:
        """Takes no more, hands no more over."""
        self._stopping.set()
        self.wake()

    def run_once(self, dispatcher: Dispatcher) -> float:
        """One pass; returns the seconds until there is more to do. Raises DatabaseUnavailable."""
        # cleared before looking: what is announced while we look must wake us again
        woken = self._woken.is_set()
        self._woken.clear()
        if self._unsure is not None:
            self._hand_over(dispatcher.take_back(self._unsure))
            self._unsure = None
        done = self._certain(dispatcher, dispatcher.run_once)
        self.recorded += done.recorded
        self._hand_over(done)
        now = clock.monotonic()
        if woken or done.released or now >= min(self._looked_at + _TAKE_OVER_EVERY, self._lapse_at):
            self._looked_at, self._lapse_at = now, math.inf
            # a node that cannot publish leaves lapsed runs, its own too, to those that can
            if self._publishes() and not self._stopping.is_set():
                taken = self._certain(dispatcher, dispatcher.take_over)
                self._lapse_at = now + (math.inf if taken.wait is None else taken.wait)
                self._hand_over(taken)
        until_due = math.inf if done.wait is None else done.wait
        return max(0.0, min(until_due, self._lapse_at - clock.monotonic()))

    def _certain(self, dispatcher: Dispatcher, step: Callable[[], Pass]) -> Pass:
        """Keeps in mind what a step that fails leaves unsure."""
        try:
            return step()
        except TransactionConflict:
            raise  # for certain not
        except DatabaseUnavailable:
            self._unsure = dispatcher.unsure
            raise

    def wait(self, seconds: float) -> None:
        """Until it is woken, but no longer."""
        self._woken.wait(seconds)

    def offer_left(self, timeout: float) -> bool:
        """Hands one of what is left over; False if there was no room, or nothing is left."""
        if not self.left or not self._outbox.offer(self.left[0], timeout):
            return False
        self.left.pop(0)
        return True

    def _hand_over(self, done: Pass) -> None:
        """Waits for room in the outbox: a broker that takes nothing stops the claiming."""
        self.left += done.batches
        while self.left and not self._stopping.is_set():
            self.offer_left(timeout=0.5)
            self._progress()
