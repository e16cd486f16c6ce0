"""One thread, one clock, one seed: the scheduler that all of a simulated history runs under.

Whatever waits (a node's loop for its next pass, a transaction for its answer, a message on its way) waits
here, in one queue ordered by simulated time. Durations come from the seed, and so does who goes on first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

START = datetime(2026, 3, 10, tzinfo=UTC)


class World:
    """`real` counts seconds since the start, as every machine's monotonic clock does; `now` is the
    database's time, which may be stepped. With `trace`, what happens is kept in lines for people.
    """

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.random = Random(seed)
        self.real = 0.0
        self.step = 0.0
        self.lines: list[str] | None = [] if trace else None
        #: switches from one participant to another, and things that happened in between
        self.events = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.real + self.step)

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Does it `delay` seconds from now."""
        self._number += 1
        heapq.heappush(self._queue, (self.real + delay, self._number, action))

    def run_until(self, real: float) -> None:
        while self._queue and self._queue[0][0] <= real:
            self.real, _, action = heapq.heappop(self._queue)
            self.events += 1
            action()
        self.real = real

    def tell(self, who: str, text: str) -> None:
        if self.lines is not None:
            self.lines.append(f"{self.real:10.4f} {self.now:%H:%M:%S.%f} {who:<9} {text}")


class Process:
    """What is killed and paused as one: a node with its loops. Its memory is in their stacks."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self._loops: dict[str, greenlet] = {}
        self._naps: dict[str, int] = {}

    def spawn(self, name: str, function: Callable[[], Any]) -> None:
        loop = greenlet(function)
        loop.loop_name = name  # type: ignore[attr-defined]
        self._loops[name] = loop
        self._naps[name] = 0
        self._switch_later(loop, self.world.random.random() * 0.01)

    def sleep(self, seconds: float, *, even_frozen: bool = False) -> None:
        """To be called in one of its loops."""
        loop = getcurrent()
        self._switch_later(loop, seconds, even_frozen)
        loop.parent.switch()

    def wake(self, name: str) -> None:
        """That loop goes on now, if it sleeps because it has nothing to do."""
        loop = self._loops.get(name)
        if loop is not None and getattr(loop, "idle", False):
            loop.idle = False  # type: ignore[attr-defined]
            self._switch_later(loop, self.world.random.random() * 0.002)

    def rest(self, seconds: float) -> None:
        """As `sleep`, but `wake` ends it."""
        getcurrent().idle = True  # type: ignore[attr-defined]
        self.sleep(seconds)
        getcurrent().idle = False  # type: ignore[attr-defined]

    def freeze(self, seconds: float) -> None:
        self.frozen_until = max(self.frozen_until, self.world.real + seconds)

    def kill(self) -> None:
        """Only from outside: the world's queue calls it."""
        self.alive = False
        for loop in self._loops.values():
            if not loop.dead:
                loop.throw(GreenletExit)
        self._loops.clear()

    def crash(self) -> None:
        """From one of its own loops: nothing of this process goes on."""
        self.world.at(0.0, self.kill)
        self.alive = False
        while True:
            getcurrent().parent.switch()

    def _switch_later(self, loop: greenlet, seconds: float, even_frozen: bool = False) -> None:
        name: str = loop.loop_name  # type: ignore[attr-defined]
        self._naps[name] += 1
        nap = self._naps[name]

        def go_on() -> None:
            if not self.alive or self._naps[name] != nap or loop.dead:
                return
            if self.frozen_until > self.world.real and not even_frozen:
                self.world.at(self.frozen_until - self.world.real, go_on)
                return
            loop.switch()

        self.world.at(seconds, go_on)
