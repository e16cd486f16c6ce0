"""The entries that came of the lines of crontabs: as they are in the database, or as an import would make
them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from beatd.errors import InvalidInput
from beatd.migrate.crontab.edits import Edit, edits_of
from beatd.migrate.crontab.entries import KIND, source_of, where
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.tabs import Tabs
from beatd.migrate.found import Found
from beatd.migrate.matching import match
from beatd.operations import writing
from beatd.operations.context import Context, Offline
from beatd.operations.options import new_columns
from beatd.operations.views import definition_of, is_paused, pause_end
from beatd.planning.timing import Surroundings
from beatd.schedules import Schedule
from beatd.store import entries, origins
from beatd.store.entries import StoredEntry
from beatd.store.origins import Kept

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps an entry from firing whenever its schedule says so: a pause that ends at `paused_until`, and
    `max_runs`, of which `runs_left` are left from `now` on.
    """

    now: datetime
    paused_until: datetime | None = None
    runs_left: int | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """An entry of a line. `schedule` is None where it fires nothing, `note` says why; `problem`: it cannot be
    read. `id` is None of one that is not there yet. `edits` are what is no longer as the line has it.
    """

    name: str
    schedule: Schedule | None
    id: int | None = None
    note: str | None = None
    problem: str | None = None
    limits: Limits | None = None
    edits: tuple[Edit, ...] = ()

    def fires(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Its fire times, start <= t < end. Of a range that has begun it is as if the runs that are left
        began with it.
        """
        if self.schedule is None:
            return
        begin, most = start, None
        if self.limits is not None:
            most = self.limits.runs_left
            begin = start if most is None else min(start, self.limits.now)
            begin = max(filter(None, (begin, self.limits.paused_until)))
        for fire in islice(self.schedule.fire_times(begin - _TICK, end - _TICK), most):
            if fire >= start:
                yield fire


@dataclass(slots=True)
class Entries:
    """By line. `_gone` are those whose line is no longer in its file, each with that file."""

    _of_lines: Mapping[str, Sequence[Imported]]
    _gone: Sequence[tuple[str, Imported]] = field(default_factory=tuple)

    def of_line(self, crontab: Crontab, line: Line) -> Sequence[Imported]:
        return self._of_lines.get(where(crontab, line), ())

    def all(self) -> Iterator[Imported]:
        for imported in self._of_lines.values():
            yield from imported

    def gone(self) -> Iterable[tuple[str, Imported]]:
        return self._gone


def in_database(context: Context, tabs: Tabs) -> Entries:
    """Those that were imported from these files, as they are now; found by their origin alone."""
    sources = {(KIND, source_of(tab.crontab.path)): tab.crontab for tab in tabs.tabs}
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        kept = origins.of_sources(transaction, sources)
        surroundings = context.surroundings(transaction)
        stored = entries.find_ids(transaction, kept)
    of_line = _found_by_line(tabs)
    of_lines: dict[str, list[Imported]] = defaultdict(list)
    gone = []
    for source, crontab in sources.items():
        of_source = [one for one in kept.values() if (one.origin.kind, one.origin.source) == source]
        for one, line in _lines_of(crontab, of_source):
            entry = stored[one.entry_id]
            found = [] if line is None else of_line[where(crontab, line)]
            edits = edits_of(entry.columns, one, found[0].options if len(found) == 1 else None)
            as_it_is = _as_it_is(surroundings, entry, now, edits)
            if line is None:
                gone.append((crontab.path, as_it_is))
            else:
                of_lines[where(crontab, line)].append(as_it_is)
    return Entries(of_lines, gone)


def would_be(offline: Offline, tabs: Tabs, now: datetime) -> Entries:
    """Those that an import into an empty database would make."""
    of_lines: dict[str, list[Imported]] = defaultdict(list)
    found = tabs.reading.found
    for one, (name, _) in zip(found, match(found, {}), strict=True):
        written = new_columns(name, one.options)
        try:
            definition = writing.checked(offline, offline.surroundings, written, now)
        except InvalidInput as error:
            of_lines[one.where].append(Imported(name, None, problem=str(error)))
        else:
            of_lines[one.where].append(Imported(definition.name, definition.schedule))
    return Entries(of_lines)


def _as_it_is(
    surroundings: Surroundings, entry: StoredEntry, now: datetime, edits: tuple[Edit, ...]
) -> Imported:
    """An entry of the database, with what keeps it from firing."""
    columns = entry.columns
    try:
        definition = definition_of(surroundings, entry)
    except InvalidInput as error:
        return Imported(entry.name, None, entry.id, problem=str(error), edits=edits)
    told = Imported(entry.name, definition.schedule, entry.id, edits=edits)
    until = pause_end(columns, surroundings.default_timezone)
    if is_paused(columns, now, surroundings.default_timezone):
        if until is None or not columns["enabled"]:
            return replace(told, schedule=None, note="it is paused")
        told = replace(told, note="it is paused for a time", limits=Limits(now, until))
    most = definition.timing.max_runs
    if most is not None:
        left = max(0, most - (entry.timer.runs_made if entry.timer else 0))
        limits = Limits(now, told.limits.paused_until if told.limits else None, left)
        note = f"max_runs lets it run {left} more times"
        told = replace(told, note="; ".join(filter(None, (told.note, note))), limits=limits)
    return told


def _found_by_line(tabs: Tabs) -> Mapping[str, Sequence[Found]]:
    found: dict[str, list[Found]] = defaultdict(list)
    for one in tabs.reading.found:
        found[one.where].append(one)
    return found


def _lines_of(crontab: Crontab, kept: Iterable[Kept]) -> Iterator[tuple[Kept, Line | None]]:
    """Which line each came from: the one that reads as it did, of several equal ones that in its place, or
    the first that has no other.
    """
    with_text: dict[str, list[Line]] = defaultdict(list)
    for line in crontab.lines:
        if line.kind == "entry":
            with_text[line.source].append(line)
    moved = []
    taken: set[int] = set()
    for one in kept:
        number = int(one.origin.place.split()[0])
        there = next((line for line in with_text[one.origin.text] if line.number == number), None)
        if there is None:
            moved.append(one)
        else:
            taken.add(number)
            yield one, there
    for one in moved:
        candidates = with_text[one.origin.text]
        free = [line for line in candidates if line.number not in taken] or candidates
        if free and " " not in one.origin.place:
            taken.add(free[0].number)
        yield one, free[0] if free else None
