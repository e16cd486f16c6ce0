"""A clock that is turned, and what is to be done when it comes to an instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

Action = Callable[[], None]


class SimulatedClock:
    """Two lines of time, aware UTC. `real` only goes forward. `now` is what the database's clock shows, which
    may be set back or ahead; `latest` is the latest that it has ever shown.
    """

    def __init__(self, start: datetime) -> None:
        self.real = self.now = self.latest = start
        self.ahead = timedelta(0)
        #: real instants at which it was set back, and set ahead
        self.set_back: list[datetime] = []
        self.set_ahead: list[datetime] = []

    def go_to(self, real: datetime) -> None:
        self.real = real
        self.now = real + self.ahead
        self.latest = max(self.latest, self.now)

    def step(self, by: timedelta) -> None:
        """Sets the database's clock."""
        (self.set_back if by < timedelta(0) else self.set_ahead).append(self.real)
        self.ahead += by
        self.go_to(self.real)

    def real_time_of(self, instant: datetime) -> datetime:
        """When, from now on and if nobody sets it, the database's clock shows an instant or is past it."""
        return max(self.real, instant - self.ahead)


class Agenda:
    """Actions by their instants; those of one instant in the order in which they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Action]] = []
        self._count = count()

    def put(self, at: datetime, action: Action) -> None:
        heappush(self._heap, (at, next(self._count), action))

    @property
    def next(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None

    def take(self, until: datetime) -> Action | None:
        """The first action, if its instant is not later than `until`."""
        return heappop(self._heap)[2] if self._heap and self._heap[0][0] <= until else None
