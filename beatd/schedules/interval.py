"""Every so much elapsed time, counted from an anchor in whole microseconds, so that it never drifts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from beatd.errors import FieldError
from beatd.schedules.base import Count, Schedule, as_utc


@dataclass(frozen=True, slots=True)
class IntervalSchedule(Schedule):
    """The k-th fire is anchor + k * every, for every k from 1 on.

    `include_anchor` makes the anchor itself (k = 0) a fire: right for a `start_at` that a person gave,
    wrong for an entry's creation.
    """

    every: timedelta
    anchor: datetime
    include_anchor: bool = False

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise FieldError("every", str(self.every), "must be longer than nothing", example="5m")
        object.__setattr__(self, "anchor", as_utc(self.anchor))

    def next_fire_time(self, after: datetime) -> datetime | None:
        try:
            return self.anchor + (self._fires_until(after) + self._first) * self.every
        except OverflowError:
            return None

    def count(self, after: datetime, until: datetime) -> Count:
        return Count(max(0, self._fires_until(until) - self._fires_until(after)), exact=True)

    @property
    def _first(self) -> int:
        """The k of the first fire."""
        return 0 if self.include_anchor else 1

    def _fires_until(self, instant: datetime) -> int:
        """How many fires there are up to and including the instant."""
        last = (instant - self.anchor) // self.every
        return max(0, last - self._first + 1)
