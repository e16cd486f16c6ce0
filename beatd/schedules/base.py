"""What every schedule promises: the next instant after a given one, from the rule alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MINYEAR, UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

#: The most fire times that `Schedule.count` counts one by one.
STEPS = 1000


@dataclass(frozen=True, slots=True)
class Count:
    """`number` fire times; where it is not exact there are more."""

    number: int
    exact: bool


class Schedule(ABC):
    """An immutable rule. Equal rules are equal and hash alike; any number of threads may ask one.

    All instants, in and out, are aware UTC (an aware instant of another zone is converted).
    """

    @abstractmethod
    def next_fire_time(self, after: datetime) -> datetime | None:
        """The first fire time strictly after `after`; None when there is none any more."""

    def fire_times(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """All fire times in (after, until], in order; without `until`, as long as the rule has some."""
        fire_time = self.next_fire_time(after)
        while fire_time is not None and (until is None or fire_time <= until):
            yield fire_time
            fire_time = self.next_fire_time(fire_time)

    def count(self, after: datetime, until: datetime) -> Count:
        """How many fire times lie in (after, until]. A rule that can only be stepped stops at STEPS."""
        number = 0
        for _ in self.fire_times(after, until):
            if number == STEPS:
                return Count(number, exact=False)
            number += 1
        return Count(number, exact=True)

    def dropped(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The fire times of the rule in (after, until] that its calendar drops, in order."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Limited(Schedule):
    """Those fire times f of `schedule` with start_at <= f <= end_at; None means no limit on that side."""

    schedule: Schedule
    start_at: datetime | None = None
    end_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_at", self.start_at and as_utc(self.start_at))
        object.__setattr__(self, "end_at", self.end_at and as_utc(self.end_at))

    def next_fire_time(self, after: datetime) -> datetime | None:
        fire_time = self.schedule.next_fire_time(self._from_start(after))
        if fire_time is None or (self.end_at is not None and fire_time > self.end_at):
            return None
        return fire_time

    def count(self, after: datetime, until: datetime) -> Count:
        return self.schedule.count(self._from_start(after), self._to_end(until))

    def dropped(self, after: datetime, until: datetime) -> Iterator[datetime]:
        return self.schedule.dropped(self._from_start(after), self._to_end(until))

    def _from_start(self, after: datetime) -> datetime:
        """The instant after which to look, so that a fire at start_at itself is found."""
        if self.start_at is None or after >= self.start_at:
            return after
        return self.start_at - MICROSECOND

    def _to_end(self, until: datetime) -> datetime:
        return until if self.end_at is None else min(as_utc(until), self.end_at)


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC; the first or last that UTC has, for one that lies beyond it.

    Raises ValueError for one without a zone: that is a mistake of the caller.
    """
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no zone")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        return _FIRST if instant.year == MINYEAR else _LAST
