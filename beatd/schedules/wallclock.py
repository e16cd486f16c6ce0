"""Wall-clock rules on the UTC line: the only module that knows gaps and folds.

A zone is seen as stretches of constant offset. Within a stretch, a rule's wall times map to UTC by one
subtraction; all that daylight saving does happens where two stretches meet:

- at a *gap* (the offset grows) wall times are skipped: `run_after` makes one fire of them, at the first
  instant after the gap; `skip` leaves them out;
- at a *fold* (the offset shrinks) wall times come twice: `first` and `second` take one pass, `both` takes
  both.

A shift of more than three hours (a day that a country skipped) is not daylight saving: there nothing is
caught up and nothing held back, whatever the policy says.
"""

# ruff: noqa: DTZ001, DTZ901 - wall times have no zone, and instants in here are naive UTC

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

GAP_POLICIES = ("run_after", "skip")
FOLD_POLICIES = ("first", "second", "both")

LARGEST_SHIFT = timedelta(hours=3)

_EPOCH = datetime(1970, 1, 1)
_AWARE_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_NO_SHIFT = timedelta(0)
#: All offsets that a zone ever had lie closer together: what is shown again is shown within this time.
_REACH = 2 * _DAY
#: How far apart a zone's offset is looked at.
_STEP = 2 * _DAY
# No zone is further than a day from UTC: between these two, wall times stay in the range of datetime.
_EARLIEST = datetime.min + 4 * _DAY
_LATEST = datetime.max.replace(hour=0, minute=0, second=0, microsecond=0) - 4 * _DAY


class WallRule(Protocol):
    """A rule on the wall clock."""

    def next_wall(self, after: datetime) -> datetime | None:
        """The first wall time (naive) strictly after a wall time (naive); None when there is none."""


class CountableRule(WallRule, Protocol):
    """One that can say how often without stepping."""

    def count_walls(self, after: datetime, until: datetime) -> int:
        """How many of its wall times lie in (after, until], all naive; none where `until` is not later."""


def next_instant(rule: WallRule, zone: ZoneInfo, after: datetime, *, gap: str, fold: str) -> datetime | None:
    """The rule's first fire strictly after `after` (aware UTC); None when there is none any more, and in
    the last days of the year 9999."""
    instant = max(_naive(after), _EARLIEST)
    stretch = _stretch_at(zone, instant)
    while instant < _LATEST:
        searched_from = max(instant, stretch.held_until(fold))
        wall = rule.next_wall(searched_from + stretch.offset)
        if wall is None or wall >= _LATEST:
            return None
        candidate = wall - stretch.offset
        if candidate < stretch.held_from(fold):
            return _aware(candidate)
        if gap == "run_after" and stretch.end <= candidate < stretch.end + stretch.skipped:
            return _aware(stretch.end)
        if searched_from + _REACH < stretch.end < candidate - _REACH:
            # A sparse rule: between the two nothing that it names is shown, not even again.
            instant = candidate - _REACH
            stretch = _stretch_at(zone, instant)
        else:
            # The next stretch, its first instant included.
            instant = stretch.end - _TICK
            stretch = _stretch_at(zone, stretch.end)
    return None


def count_instants(
    rule: CountableRule, zone: ZoneInfo, after: datetime, until: datetime, *, gap: str, fold: str
) -> int:
    """How many fires `next_instant` would find in (after, until], both aware UTC."""
    instant = max(_naive(after), _EARLIEST)
    end = min(_naive(until), _LATEST)
    stretch = _stretch_at(zone, instant)
    number = 0
    while instant < end:
        first = max(instant, stretch.held_until(fold)) + stretch.offset
        last = min(end, stretch.held_from(fold) - _TICK) + stretch.offset
        number += rule.count_walls(first, min(last, _LATEST - _TICK))
        if gap == "run_after" and stretch.skipped and stretch.end <= end:
            before_gap = stretch.end + stretch.offset - _TICK
            in_gap = before_gap + stretch.skipped
            # All that was skipped is one fire, with what falls on the first instant after the gap anyway.
            if rule.count_walls(before_gap, in_gap) and not rule.count_walls(in_gap, in_gap + _TICK):
                number += 1
        instant = stretch.end - _TICK
        stretch = _stretch_at(zone, stretch.end)
    return number


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant (aware UTC) at which a clock in the zone shows the naive `wall`, or, where it skips
    that, the first instant after the gap. Raises OverflowError at the very ends of datetime's range."""
    offset, offset_in_second_pass = (_wall_offset(wall, zone, fold) for fold in (0, 1))
    instant = wall - offset
    if offset < offset_in_second_pass:
        instant = _stretch_at(zone, instant).start
    return _aware(instant)


def passes(day: date, zone: ZoneInfo) -> tuple[tuple[datetime, datetime], ...]:
    """When (start <= t < end, aware UTC, in order) a clock in the zone shows this date, running forward with
    one offset in each: mostly one; more where there is a shift; none for a day that the zone skipped."""
    begin, end = (datetime.combine(day, time.min) + days * _DAY for days in (0, 1))
    found = []
    instant = begin - _REACH
    while instant < end + _REACH:
        stretch = _stretch_at(zone, instant)
        first, last = max(instant, begin - stretch.offset), min(stretch.end, end - stretch.offset)
        if first < last:
            found.append((first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)))
        instant = stretch.end
    return tuple(found)


def gaps(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """The instants in (after, until], aware UTC, before which a clock in the zone skips wall time, and how
    much."""
    instant, end = max(after.replace(tzinfo=None), _EARLIEST), min(until.replace(tzinfo=None), _LATEST)
    stretch = _stretch_at(zone, instant)
    while stretch.end <= end:
        if stretch.skipped and stretch.end > instant:
            yield stretch.end.replace(tzinfo=UTC), stretch.skipped
        stretch = _stretch_at(zone, stretch.end)


def time_round(instant: datetime, zone: ZoneInfo) -> int | None:
    """Whether a clock in the zone shows this wall time for the first time, 1, or again, 2; None if once."""
    local = instant.astimezone(zone)
    first, second = (_wall_offset(local.replace(tzinfo=None), zone, fold) for fold in (0, 1))
    return local.fold + 1 if _daylight(first - second) else None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """start <= t < end (naive UTC) with one offset.

    `repeated_before` and `repeated` are how much wall time the folds at start and end repeat, `skipped` how
    much the gap at the end skips; all are nothing where there is no shift, or one too large to matter.
    """

    start: datetime
    end: datetime
    offset: timedelta
    repeated_before: timedelta = _NO_SHIFT
    repeated: timedelta = _NO_SHIFT
    skipped: timedelta = _NO_SHIFT

    def held_until(self, fold: str) -> datetime:
        """Only what is strictly after this counts: the rest repeats the end of the stretch before."""
        held = self.repeated_before if fold == "first" else _NO_SHIFT
        return self.start + held - _TICK

    def held_from(self, fold: str) -> datetime:
        """Only what is strictly before this counts: the rest is repeated by the next stretch."""
        return self.end - self.repeated if fold == "second" else self.end


def _stretch_at(zone: ZoneInfo, instant: datetime) -> _Stretch:
    stretches, starts = _stretches_around(zone, instant.year)
    return stretches[max(0, bisect_right(starts, instant) - 1)]


@lru_cache(maxsize=4096)
def _stretches_around(zone: ZoneInfo, year: int) -> tuple[tuple[_Stretch, ...], tuple[datetime, ...]]:
    """All stretches that touch the UTC year, and their starts. They reach beyond the year by a day or more,
    so that the shifts just outside of it are known; at the outer ends they are cut where nothing happens."""
    begin = max(datetime(year, 1, 1), _EARLIEST) - 2 * _DAY
    end = min(datetime(year, 12, 31), _LATEST) + 3 * _DAY
    shifts = _shifts_between(zone, begin, end)
    # A stretch that starts in the last day would not know its own end: the next year has it.
    known = [] if shifts and shifts[-1] > end - _DAY else [end - _DAY]
    bounds = [begin, *shifts, *known]
    offsets = [_offset(zone, bound) for bound in bounds]
    stretches = []
    for index in range(len(bounds) - 1):
        before, offset, after = offsets[max(0, index - 1)], offsets[index], offsets[index + 1]
        stretches.append(
            _Stretch(
                start=bounds[index],
                end=bounds[index + 1],
                offset=offset,
                repeated_before=_daylight(before - offset),
                repeated=_daylight(offset - after),
                skipped=_daylight(after - offset),
            )
        )
    return tuple(stretches), tuple(bounds[:-1])


def _shifts_between(zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """The instants in (begin, end] at which the zone's offset changes.

    zoneinfo does not tell them, so they are searched in steps that no zone has ever changed twice within:
    Freetown came nearest, with four days in September 1939.
    """
    shifts = []
    low, offset = begin, _offset(zone, begin)
    while low < end:
        high = min(low + _STEP, end)
        offset_at_high = _offset(zone, high)
        if offset_at_high != offset:
            shifts.append(_first_with_other_offset(zone, low, high))
        low, offset = high, offset_at_high
    return shifts


def _first_with_other_offset(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The one second in (low, high] from which on the offset is that of `high`; both are whole seconds."""
    offset = _offset(zone, low)
    seconds_low, seconds_high = 0, int((high - low).total_seconds())
    while seconds_high - seconds_low > 1:
        middle = (seconds_low + seconds_high) // 2
        if _offset(zone, low + timedelta(seconds=middle)) == offset:
            seconds_low = middle
        else:
            seconds_high = middle
    return low + timedelta(seconds=seconds_high)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return zone.fromutc(datetime.combine(instant, instant.time(), zone)).utcoffset() or _NO_SHIFT


def _wall_offset(wall: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    return zone.utcoffset(wall.replace(fold=fold)) or _NO_SHIFT


def _naive(instant: datetime) -> datetime:
    """Aware UTC to naive UTC; `replace` would take eight times as long."""
    return _EPOCH + (instant - _AWARE_EPOCH)


def _aware(instant: datetime) -> datetime:
    return _AWARE_EPOCH + (instant - _EPOCH)


def _daylight(shift: timedelta) -> timedelta:
    """The shift, if it is one forward that daylight saving can be; otherwise nothing."""
    return shift if _NO_SHIFT < shift <= LARGEST_SHIFT else _NO_SHIFT
