"""The entries that came of the lines of crontabs: as they are in the database, or as an import would make
them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from beatd.errors import InvalidInput
from beatd.migrate.crontab.entries import KIND, source_of, where
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.tabs import Tabs
from beatd.migrate.matching import match
from beatd.operations import writing
from beatd.operations.context import Context, Offline
from beatd.operations.options import new_columns
from beatd.operations.views import definition_of, is_paused
from beatd.planning.definition import Definition
from beatd.schedules import Schedule
from beatd.store import entries, origins
from beatd.store.origins import Kept


@dataclass(frozen=True, slots=True)
class Imported:
    """An entry of a line. `schedule` is None where it fires nothing, `note` says why; `problem`: it cannot be
    read. `id` is None of one that is not there yet.
    """

    name: str
    schedule: Schedule | None
    id: int | None = None
    note: str | None = None
    problem: str | None = None


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
    known: dict[int, Imported] = {}
    for id_, entry in stored.items():
        paused = is_paused(entry.columns, now, context.timezone)
        try:
            definition = definition_of(surroundings, entry)
        except InvalidInput as error:
            known[id_] = Imported(entry.name, None, id_, problem=str(error))
        else:
            known[id_] = _imported(definition, id_, "it is paused" if paused else None)
    of_lines: dict[str, list[Imported]] = defaultdict(list)
    gone = []
    for source, crontab in sources.items():
        of_source = [one for one in kept.values() if (one.origin.kind, one.origin.source) == source]
        for one, line in _lines_of(crontab, of_source):
            if line is None:
                gone.append((crontab.path, known[one.entry_id]))
            else:
                of_lines[where(crontab, line)].append(known[one.entry_id])
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
            of_lines[one.where].append(_imported(definition))
    return Entries(of_lines)


def _imported(definition: Definition, id_: int | None = None, paused: str | None = None) -> Imported:
    schedule = None if paused else definition.schedule
    return Imported(definition.name, schedule, id_, note=paused)


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
