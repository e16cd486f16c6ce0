"""The load of many entries: how many fires are due in each minute, the worst minutes, and what to spread.

Equal rules are evaluated once, whatever the number of entries that have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heapreplace, nlargest
from itertools import islice, pairwise
from math import gcd

from beatd.planning.preview import sentence
from beatd.planning.remarks import rule_of
from beatd.planning.timing import Timing
from beatd.schedules import CronSchedule, IntervalSchedule, Schedule, jitter_of
from beatd.schedules.cron_fields import NICKNAMES

MINUTE = timedelta(minutes=1)

_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A minute with fewer fires is no peak, nor is one with less than so many times the average.
_LEAST, _TIMES = 10, 1.5

#: Worst minutes that are told, and entries of each rule that are named.
_PEAKS, _NAMED = 3, 5

#: A kind of rule is worth a word if it has one of so many fires of a peak.
_WORTH = 10

#: An entry that fires more often with jitter is counted at its fire times: the distance between two of them,
#: which the jitter stays below, is short then.
_MOST_JITTERED = 500


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that fire at the same instants, but for jitter: those fires f with since <= f, of them the
    first `runs_left`, which are counted from `since` on.
    """

    timing: Timing
    names: tuple[str, ...]
    since: datetime | None = None
    runs_left: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one rule has of a minute. `names` are the first of its entries."""

    schedule: str
    entries: int
    fires: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Peak:
    """A minute with many fires; the largest shares first."""

    minute: datetime
    fires: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to change so that a peak gets lower: `options` for entries such as `example`."""

    text: str
    entries: int
    example: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """Fires that are due in each minute from `start` on."""

    start: datetime
    minutes: tuple[int, ...]
    peaks: tuple[Peak, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def fires(self) -> int:
        return sum(self.minutes)

    def by(self, minutes: int) -> list[int]:
        """The same in longer stretches."""
        return [sum(self.minutes[at : at + minutes]) for at in range(0, len(self.minutes), minutes)]


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """One fire of one entry."""

    fire_time: datetime
    entry: str
    due_time: datetime = field(compare=False)


def normalized(schedule: Schedule, start: datetime) -> Schedule:
    """An interval that has begun, as one that fires from `start` on in the same minutes: those that differ in
    when they began, and not in that, are equal. `start` is a whole minute.
    """
    if not isinstance(schedule, IntervalSchedule) or schedule.anchor >= start or schedule.every % _SECOND:
        return schedule
    every = schedule.every
    begun = -((schedule.anchor - start) // every) - 1
    anchor = schedule.anchor + begun * every
    # all its fires lie equally far behind a multiple of this, of which a minute is one, too
    grid = gcd(every // _SECOND, MINUTE // _SECOND) * _SECOND
    return IntervalSchedule(every, anchor - (anchor - _EPOCH) % grid)


def measure(groups: Iterable[Group], start: datetime, end: datetime) -> Load:
    """The load of the minutes from `start` to `end`, both whole minutes, and where it is heaviest."""
    known = list(groups)
    minutes = [0] * ((end - start) // MINUTE)
    for group in known:
        _add(minutes, group, start, end)
    peaks = tuple(_peaks(known, start, minutes))
    return Load(start, tuple(minutes), peaks, tuple(_suggestions(known, peaks)))


def fires_in_order(groups: Iterable[Group], start: datetime, end: datetime) -> Iterator[Planned]:
    """Every fire f of every entry, start <= f < end."""
    rows = [(fires, group) for group in groups for fires in [_fire_times(group, start, end)]]
    heads = [(first, number) for number, (fires, _) in enumerate(rows) if (first := next(fires, None))]
    heapify(heads)
    while heads:
        together = []
        fire_time = heads[0][0]
        while heads and heads[0][0] == fire_time:
            number = heads[0][1]
            fires, group = rows[number]
            together += [Planned(fire_time, name, _due_time(group, name, fire_time)) for name in group.names]
            following = next(fires, None)
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, (following, number))
        yield from sorted(together)


# Counting


def _fire_times(group: Group, start: datetime, end: datetime) -> Iterator[datetime]:
    """The fires f with start <= f < end."""
    schedule, since = group.timing.schedule, group.since
    if group.runs_left is None or since is None:
        yield from schedule.fire_times((start if since is None else max(start, since)) - _TICK, end - _TICK)
        return
    for fire_time in islice(schedule.fire_times(since - _TICK, end - _TICK), group.runs_left):
        if fire_time >= start:
            yield fire_time


def _add(minutes: list[int], group: Group, start: datetime, end: datetime) -> None:
    entries, schedule = len(group.names), group.timing.schedule
    if group.since is None and group.runs_left is None:
        total = schedule.count(start - _TICK, end - _TICK)
        if total.exact and total.number > 2 * len(minutes):
            _add_dense(minutes, schedule, entries, start)
            return
    reach = group.timing.jitter or timedelta(0)
    fires = list(_fire_times(group, start - reach, end))
    if group.timing.jitter is None or len(fires) > _MOST_JITTERED:
        for fire_time in fires:
            if fire_time >= start:
                minutes[(fire_time - start) // MINUTE] += entries
        return
    for name in group.names:
        for due_time in _due_times(group, name, fires):
            if start <= due_time < end:
                minutes[(due_time - start) // MINUTE] += 1


def _add_dense(minutes: list[int], schedule: Schedule, entries: int, start: datetime) -> None:
    """By arithmetic, for a rule that fires many times a minute."""
    for number in range(len(minutes)):
        begin = start + number * MINUTE - _TICK
        minutes[number] += entries * schedule.count(begin, begin + MINUTE).number


def _due_times(group: Group, name: str, fires: Sequence[datetime]) -> Iterator[datetime]:
    """As `Timing.due_time` has them, without asking the rule again for each entry."""
    jitter = group.timing.jitter
    if jitter is None or not fires:
        yield from fires
        return
    following = group.timing.following(fires[-1])
    for fire_time, next_fire in pairwise([*fires, following]):
        limit = jitter if next_fire is None or fire_time is None else min(jitter, next_fire - fire_time)
        if fire_time is not None:
            yield fire_time + jitter_of(name, fire_time, limit)


def _due_time(group: Group, name: str, fire_time: datetime) -> datetime:
    return next(_due_times(group, name, [fire_time]))


# The worst


def _peaks(groups: Sequence[Group], start: datetime, minutes: Sequence[int]) -> Iterator[Peak]:
    average = sum(minutes) / max(1, len(minutes))
    worst = nlargest(_PEAKS, range(len(minutes)), key=lambda number: (minutes[number], -number))
    for number in worst:
        if minutes[number] >= max(_LEAST, _TIMES * average):
            minute = start + number * MINUTE
            yield Peak(minute, minutes[number], tuple(_shares(groups, minute)))


def _shares(groups: Sequence[Group], minute: datetime) -> list[Share]:
    found: dict[str, list[tuple[str, int]]] = {}
    for group in groups:
        fires = _in_minute(group, minute)
        if fires:
            found.setdefault(sentence(group.timing), []).extend(fires)
    shares = []
    for schedule, entries in found.items():
        names = tuple(sorted(name for name, _ in entries)[:_NAMED])
        shares.append(Share(schedule, len(entries), sum(number for _, number in entries), names))
    return sorted(shares, key=lambda share: (-share.fires, share.schedule))


def _in_minute(group: Group, minute: datetime) -> list[tuple[str, int]]:
    """The entries of a group that are due in this minute, and how often."""
    reach = group.timing.jitter or timedelta(0)
    fires = list(_fire_times(group, minute - reach, minute + MINUTE))
    if group.timing.jitter is None:
        return [(name, len(fires)) for name in group.names] if fires else []
    found = []
    for name in group.names:
        number = sum(minute <= due_time < minute + MINUTE for due_time in _due_times(group, name, fires))
        if number:
            found.append((name, number))
    return found


# What to spread


@dataclass(frozen=True, slots=True)
class _Change:
    """How the fires of a kind of rule are spread, and over how many minutes."""

    what: str
    how: str
    minutes: int


def _suggestions(groups: Sequence[Group], peaks: Sequence[Peak]) -> Iterator[Suggestion]:
    said: set[_Change] = set()
    for peak in peaks:
        changes: dict[_Change, list[tuple[int, Group]]] = {}
        for group in groups:
            change = _change_of(group.timing)
            if change is not None and (due := _in_minute(group, peak.minute)):
                changes.setdefault(change, []).append((sum(number for _, number in due), group))
        for change, found in changes.items():
            fires = sum(number for number, _ in found)
            if change not in said and fires > 1 and fires * _WORTH >= peak.fires:
                said.add(change)
                yield _suggestion(peak, change, fires, found)


def _suggestion(peak: Peak, change: _Change, fires: int, found: Sequence[tuple[int, Group]]) -> Suggestion:
    _, largest = max(found, key=lambda pair: pair[0])
    each = max(1, round(fires / change.minutes))
    text = (
        f"{fires:,} of the {peak.fires:,} fires come of {change.what}: {change.how} spreads them over "
        f"{change.minutes} minutes, about {each:,} in each"
    )
    entries = sum(len(group.names) for _, group in found)
    return Suggestion(text, entries, min(largest.names), _options(largest.timing, change))


def _change_of(timing: Timing) -> _Change | None:
    """None where it is spread already, or cannot be."""
    rule = rule_of(timing.schedule)
    if timing.jitter is not None:
        return None
    if isinstance(rule, CronSchedule):
        minute = _fields(rule)[-5]
        if "H" in minute or "~" in minute or len(rule.minutes) == 60:
            return None
        step = 60 // len(rule.minutes)
        if rule.minutes == tuple(range(rule.minutes[0], 60, step)):
            hashed = "H" if step == 60 else f"H/{step}"
            return _Change(f"minute {minute} in cron", f"{hashed} in its place", step)
    if isinstance(rule, IntervalSchedule):
        minutes = min(60, rule.every // MINUTE // 2)
        if minutes < 2:
            return None
        return _Change("intervals that began together", f"jitter = {minutes}m", minutes)
    return _Change("fixed times", "jitter = 10m", 10)


def _options(timing: Timing, change: _Change) -> dict[str, str]:
    rule = rule_of(timing.schedule)
    key, _, value = change.how.partition(" = ")
    if value or not isinstance(rule, CronSchedule):
        return {key: value}
    fields = _fields(rule)
    fields[-5] = change.how.partition(" ")[0]
    return {"cron": " ".join(fields)}


def _fields(rule: CronSchedule) -> list[str]:
    return NICKNAMES.get(rule.expression, rule.expression).split()
