"""What a storm looks like from outside: how the queue fills, what is in it, what the processes used."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from kombu import Consumer, Queue
from kombu.transport import virtual

from benchmarks.places import QUEUE

#: Seconds between two looks at the queue; the resolution of every lateness that is taken from it.
LOOK_EVERY = 0.02


@dataclass
class Curve:
    """How many messages the broker held, by seconds since the storm was due."""

    points: list[tuple[float, int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return max((count for _, count in self.points), default=0)

    def reached(self, count: int) -> float | None:
        """When the broker first held so many."""
        return next((at for at, held in self.points if held >= max(1, count)), None)

    def rate(self) -> float | None:
        """Messages a second between the first look that saw any and the first that saw all."""
        first, last = self.reached(1), self.reached(self.count)
        if first is None or last is None or last == first:
            return None
        seen_first = next(held for _, held in self.points if held)
        return (self.count - seen_first) / (last - first)


class Watched:
    """One queue, declared as Celery would declare it, and looked at without taking from it."""

    def __init__(self, app: Any) -> None:
        self._connection = app.connection_for_read()
        self._channel = self._connection.channel()
        app.amqp.queues[QUEUE](self._channel).declare()

    def depth(self) -> int:
        if isinstance(self._channel, virtual.Channel):
            return int(self._channel._size(QUEUE))  # on Redis an empty queue does not exist
        return int(self._channel.queue_declare(QUEUE, passive=True).message_count)

    def follow(self, due: float, expected: int, until: float, sample: Callable[[], None]) -> Curve:
        """Looks until `expected` messages are there, or until `until` (both instants of the wall clock)."""
        curve = Curve()
        while (now := time.time()) < until and curve.count < expected:
            before = time.perf_counter()
            curve.points.append((now - due, self.depth()))
            sample()
            # On the embedded broker a look takes long, for it lists a folder: it must not become the load.
            time.sleep(max(LOOK_EVERY, 5 * (time.perf_counter() - before)))
        return curve

    def drain(self) -> Iterator[Any]:
        """Takes every message out."""
        taken: list[Any] = []
        queue = Queue(QUEUE, no_declare=True)
        with Consumer(self._channel, [queue], no_ack=True, on_message=taken.append, accept=["json"]):
            idle_since = time.monotonic()
            while time.monotonic() - idle_since < 1.5:
                try:
                    self._connection.drain_events(timeout=0.2)
                except TimeoutError:
                    continue
                idle_since = time.monotonic()
                yield from taken
                taken.clear()

    def close(self) -> None:
        self._connection.release()


@contextmanager
def watched(app: Any) -> Iterator[Watched]:
    queue = Watched(app)
    try:
        yield queue
    finally:
        queue.close()


class Usage:
    """Processor seconds and largest memory of processes and all their descendants."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = {name: _processor_seconds(root) for name, root in self._roots.items()}
        self.memory_mb = 0.0

    def sample(self, name: str) -> None:
        self.memory_mb = max(self.memory_mb, self._roots[name].memory_info().rss / 1e6)

    def processor_seconds(self) -> dict[str, float]:
        return {
            name: round(_processor_seconds(root) - self._before[name], 2)
            for name, root in self._roots.items()
        }


def _processor_seconds(root: psutil.Process) -> float:
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def missing_and_doubled(expected: set[str], seen: Counter[str]) -> tuple[int, int]:
    return len(expected - seen.keys()), sum(seen.values()) - len(seen)
