"""The load of all entries as they are now, in a stretch of time to come or past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from beatd.errors import BeatdError, FieldError
from beatd.operations.context import Context
from beatd.operations.moments import Moment, ahead
from beatd.operations.options import TIMING_COLUMNS
from beatd.operations.views import pause_end
from beatd.planning.agenda import (
    MINUTE,
    Group,
    Load,
    Peak,
    Planned,
    Suggestion,
    fires_in_order,
    measure,
    normalized,
)
from beatd.planning.reading import Reader
from beatd.planning.timing import Timing, parse_timing
from beatd.schedules import parse_zone
from beatd.store import entries as store
from beatd.store import pauses
from beatd.store.entries import StoredEntry
from beatd.store.pauses import StoredPause

LISTED = 100
_MOST_LISTED = 100_000
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=31)
_STEPS = {"minute": 1, "hour": 60}

_TIMING = sorted(TIMING_COLUMNS - {"max_runs"})


@dataclass(frozen=True, slots=True)
class Bucket:
    start: datetime
    fires: int


@dataclass(frozen=True, slots=True)
class Agenda:
    """`by` is the length of a bucket, `minute` or `hour`. `entries` fire at all, by their rules; of the
    others `left_out` says how many there are and why. `everything_paused`: since when, if it is.
    """

    start: datetime
    end: datetime
    timezone: str
    by: str
    entries: int
    fires: int
    buckets: tuple[Bucket, ...]
    peaks: tuple[Peak, ...]
    suggestions: tuple[Suggestion, ...]
    left_out: Mapping[str, int]
    everything_paused: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """`complete` is False where there are more fires than were asked for."""

    start: datetime
    end: datetime
    timezone: str
    fires: tuple[Planned, ...]
    complete: bool


def agenda(
    context: Context, start: Moment | None = None, end: Moment | None = None, by: str = "hour"
) -> Agenda:
    """The load from `start` (now if not given) to `end` (a day later if not given), in whole minutes or
    hours of the configuration's zone; instants may be texts, or say how long from now. Raises FieldError.
    """
    if by not in _STEPS:
        raise FieldError("by", by, f"one of {', '.join(_STEPS)}", example="hour")
    found = _Entries(context, start, end, by)
    load = measure(found.groups, found.start, found.end)
    step = _STEPS[by]
    return Agenda(
        start=found.start,
        end=found.end,
        timezone=context.timezone,
        by=by,
        entries=sum(len(group.names) for group in found.groups),
        fires=load.fires,
        buckets=tuple(_buckets(load, step)),
        peaks=load.peaks,
        suggestions=load.suggestions,
        left_out=found.left_out,
        everything_paused=found.everything_paused.since if found.everything_paused else None,
    )


def listing(
    context: Context, start: Moment | None = None, end: Moment | None = None, limit: int = LISTED
) -> Listing:
    """The first `limit` fires from `start` (now if not given) to `end` (a day later). Raises FieldError."""
    if not 1 <= limit <= _MOST_LISTED:
        raise FieldError("limit", limit, f"a whole number from 1 to {_MOST_LISTED}", example=str(LISTED))
    found = _Entries(context, start, end)
    fires = tuple(islice(fires_in_order(found.groups, found.start, found.end), limit + 1))
    return Listing(found.start, found.end, context.timezone, fires[:limit], len(fires) <= limit)


def _buckets(load: Load, step: int) -> Iterator[Bucket]:
    for number, fires in enumerate(load.by(step)):
        yield Bucket(load.start + number * step * MINUTE, fires)


class _Entries:
    """The entries that fire, those with equal rules together."""

    def __init__(
        self, context: Context, start: Moment | None, end: Moment | None, by: str | None = None
    ) -> None:
        """`by`: the range is of whole minutes or hours, and fires are known by their minutes alone."""
        with context.database.read() as transaction:
            self.now = context.database.now(transaction)
            stored = store.find(transaction)
            self._surroundings = context.surroundings(transaction)
            self.everything_paused: StoredPause | None = pauses.open_pause(transaction, self.now)
        self.start, self.end = _range(self.now, parse_zone(context.timezone), start, end, by)
        self._by_minutes = by is not None
        self.left_out: dict[str, int] = {}
        self._timings: dict[Any, Timing | None] = {}
        self.groups = self._grouped(stored)

    def _grouped(self, stored: list[StoredEntry]) -> list[Group]:
        together: dict[Any, tuple[Group, list[str]]] = {}
        for entry in stored:
            group = self._group(entry)
            if isinstance(group, str):
                self.left_out[group] = self.left_out.get(group, 0) + 1
                continue
            timing = group.timing
            key = (timing.schedule, timing.jitter, timing.fixed_delay, group.since, group.runs_left)
            together.setdefault(key, (group, []))[1].append(entry.name)
        return [replace(group, names=tuple(names)) for group, names in together.values()]

    def _group(self, entry: StoredEntry) -> Group | str:
        """Of this entry alone; or why it does not fire."""
        columns = entry.columns
        if not columns["enabled"]:
            return "paused"
        timing = self._timing(entry)
        if timing is None:
            return "broken"
        if timing.at_boot:
            return "at boot"
        runs_left = None
        if timing.max_runs is not None:
            runs_left = timing.max_runs - (entry.timer.runs_made if entry.timer else 0)
            if runs_left <= 0:
                return "completed"
        pause = pause_end(columns, self._surroundings.default_timezone)
        since = pause if pause is not None and pause > self.now else None
        if runs_left is not None and since is None:
            since = self.now
        return Group(timing, (), since, runs_left)

    def _timing(self, entry: StoredEntry) -> Timing | None:
        """Read once for all entries whose columns are the same, as far as they matter."""
        columns = entry.columns
        cron = columns["cron"] or ""
        by_name = entry.name if "H" in cron or "~" in cron else None
        anchored = columns["start_at"] is None and (columns["every"] or columns["calendar_every"])
        anchor = entry.created_at if anchored else None
        key = (by_name, anchor, columns["max_runs"], *(columns[name] for name in _TIMING))
        if key not in self._timings:
            self._timings[key] = self._read(entry)
        return self._timings[key]

    def _read(self, entry: StoredEntry) -> Timing | None:
        reader = Reader(entry.columns)
        try:
            timing = parse_timing(reader, entry.name, entry.created_at, self._surroundings)
        except BeatdError:
            return None
        if timing is None or reader.findings:
            return None
        if not self._by_minutes or timing.jitter is not None:
            return timing
        return replace(timing, schedule=normalized(timing.schedule, self.start))


def _range(
    now: datetime, zone: ZoneInfo, start: Moment | None, end: Moment | None, by: str | None
) -> tuple[datetime, datetime]:
    """With `by` in whole minutes, or hours as the zone's clock has them."""
    first = now if start is None else ahead(start, now, zone, "from")
    begin = first - _into(first.astimezone(zone), by)
    last = begin + _DAY if end is None else ahead(end, now, zone, "to")
    if last <= first:
        raise FieldError("to", str(end), "does not come after 'from'", example="24h")
    if last - begin > _LONGEST:
        raise FieldError("to", str(end), f"is more than {_LONGEST.days} days after 'from'", example="7d")
    if by is None:
        return first, last
    if by == "minute" and not (last - first) % MINUTE:
        return begin, begin + (last - first)
    step = _STEPS[by] * MINUTE
    return begin, begin - (begin - last) // step * step


def _into(local: datetime, by: str | None) -> timedelta:
    """How far it is into its minute or hour."""
    if by is None:
        return timedelta(0)
    minutes = local.minute if by == "hour" else 0
    return timedelta(minutes=minutes, seconds=local.second, microseconds=local.microsecond)
