"""Brings over what was read of a source: looks, line by line, what becomes of it, then does everything in one
transaction.

Done again, it finds the entries that it made (`matching`) and changes of them what the source changed since
(`merging`). The rows that it tells of are the same whether there is a database, or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from beatd.errors import Conflict, FieldError, InvalidInput
from beatd.migrate.found import Found, Origin, Reading
from beatd.migrate.matching import match
from beatd.migrate.merging import merge
from beatd.migrate.places import file_of, in_order, is_file
from beatd.operations import writing
from beatd.operations.apply import Comparison
from beatd.operations.context import Checks, Context, Offline
from beatd.operations.options import Written, new_columns, option_changes, options_of
from beatd.operations.previews import outlook_of
from beatd.operations.views import schedule_text
from beatd.planning.definition import Definition
from beatd.planning.timing import Surroundings
from beatd.store import entries, origins
from beatd.store.entries import StoredEntry
from beatd.store.origins import Kept

#: A kind of source and the one among them, as origins have them.
Source = tuple[str, str]

Action = Literal["add", "change", "unchanged", "remove", "refused"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one thing of a source. `problem` says why one is refused; `changes` holds the old and
    new values of options. `next_fires` is empty where nobody knows them, as of boots.
    """

    where: str
    action: Action
    name: str
    schedule: str = ""
    sentence: str = ""
    timezone: str = "UTC"
    next_fires: tuple[datetime, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Origins:
    """What is kept of where entries come from: as it was found, and what has to be written."""

    sources: frozenset[Source]
    before: Mapping[int, Kept]
    of_old: tuple[tuple[int, Origin, Mapping[str, Any]], ...]
    of_new: Mapping[str, tuple[Origin, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Import:
    """What an import does. `rows` are in the order of the sources, what is removed last; `refused` is left
    out.
    """

    rows: tuple[Row, ...]
    refused: tuple[FieldError, ...]
    notes: tuple[str, ...]
    _comparison: Comparison
    _origins: _Origins

    def execute(self, context: Context) -> None:
        """All in one transaction. Raises Conflict if something was edited since it was compared."""
        context = replace(context, door="import")
        with context.database.write() as transaction:
            if origins.of_sources(transaction, self._origins.sources) != self._origins.before:
                raise Conflict("the same was imported meanwhile; nothing was done: look at it again")
            added = self._comparison.write(context, transaction)
            of_new = [(entry.id, *self._origins.of_new[entry.name]) for entry in added]
            now = context.database.now(transaction)
            origins.put(transaction, [*self._origins.of_old, *of_new], now)


def compare(
    context: Context,
    reading: Reading,
    *,
    sources: Collection[Source],
    prune: bool = False,
    prefix: str = "",
    partial: bool = False,
) -> Import:
    """What importing would do. `prune` removes the entries of these sources that are no longer in them;
    `prefix` goes before the names of new ones.

    Raises InvalidInput with everything that cannot be taken, unless `partial`, which leaves it out.
    """
    comparing = _Comparing(context, reading, frozenset(sources), prefix)
    comparing.vanished(prune)
    comparing.found()
    outcome = comparing.outcome()
    if outcome.refused and not partial:
        raise InvalidInput(outcome.refused)
    return outcome


def check(offline: Offline, reading: Reading, now: datetime, *, prefix: str = "") -> tuple[Row, ...]:
    """The rows of an import into a database that holds nothing, without any."""
    judge = _Judge(offline, offline.surroundings, now)
    named = match(reading.found, {}, prefix)
    rows = [judge.new(one, name)[0] for one, (name, _) in zip(reading.found, named, strict=True)]
    return in_order([*rows, *map(_refused, reading.refused)])


class _Judge:
    """Tells of an entry whether it can be, and what it would do."""

    def __init__(self, checks: Checks, surroundings: Surroundings, now: datetime) -> None:
        self._checks = checks
        self._surroundings = surroundings
        self._now = now

    def new(self, found: Found, name: str) -> tuple[Row, Written, list[FieldError]]:
        written = new_columns(name, found.options)
        given = [key for key, value in written.columns.items() if value is not None]
        row = Row(found.where, "add", name, schedule_text(written.columns), warnings=found.warnings)
        row, findings = self.judged(row, written, self._now, given)
        options = options_of(written.columns)
        return replace(row, changes={key: (None, value) for key, value in options.items()}), written, findings

    def judged(
        self, row: Row, written: Written, created_at: datetime, changed: Collection[str], runs_made: int = 0
    ) -> tuple[Row, list[FieldError]]:
        """The row with what is found out of these columns, and what is wrong with them."""
        try:
            definition = writing.checked(self._checks, self._surroundings, written, created_at)
        except InvalidInput as error:
            findings = [finding.at(row.where) for finding in error.findings]
            return replace(row, action="refused", problem=_problems(findings)), findings
        warnings = [*row.warnings, *self._remarks(definition, written.columns, changed, runs_made)]
        outlook = outlook_of(definition, self._now)
        return replace(
            row,
            sentence=outlook.sentence,
            timezone=outlook.timezone,
            next_fires=tuple(fire.fire_time for fire in outlook.fires),
            warnings=tuple(warnings),
        ), []

    def _remarks(
        self, definition: Definition, columns: writing.Columns, changed: Collection[str], runs_made: int
    ) -> Iterable[str]:
        """What is refused of a single edit a source may say for ever: that an instant has passed."""
        if vain := writing.in_vain(definition, columns, changed, self._now, runs_made):
            yield _problems([vain])
        if said := writing.remark(definition, self._now):
            yield said.removeprefix(f"{definition.name}: ")


class _Comparing:
    """One comparison in the making."""

    def __init__(self, context: Context, reading: Reading, sources: frozenset[Source], prefix: str) -> None:
        self._reading = reading
        self._sources = sources
        self._all_sources = sources | {_source(found.origin) for found in reading.found}
        with context.database.read() as transaction:
            now = context.database.now(transaction)
            surroundings = context.surroundings(transaction)
            self._kept = origins.of_sources(transaction, self._all_sources)
            self._entries = entries.find_ids(transaction, self._kept)
            matched = match(reading.found, self._kept, prefix)
            names = [name for name, _ in matched]
            self._taken = {entry.name: entry.id for entry in entries.find_named(transaction, names)}
        self._matched = [(found, *pair) for found, pair in zip(reading.found, matched, strict=True)]
        self._judge = _Judge(context, surroundings, now)
        self._comparison = Comparison()
        self._removed: list[Row] = []
        self._notes = list(reading.notes)
        self._of_old: list[tuple[int, Origin, Mapping[str, Any]]] = []
        self._of_new: dict[str, tuple[Origin, Mapping[str, Any]]] = {}
        self._rows: dict[int, Row] = {}
        self._refused = list(reading.refused)

    def vanished(self, prune: bool) -> None:
        """Entries that the sources have no more."""
        there = {id_ for _, _, id_ in self._matched}
        gone = [
            id_ for id_, kept in self._kept.items() if id_ not in there and self._is_of(kept, self._sources)
        ]
        doubtful = self._refused_sources()
        removed = [id_ for id_ in gone if prune and not self._is_of(self._kept[id_], doubtful)]
        self._comparison.prune([self._entries[id_] for id_ in removed])
        for id_ in removed:
            entry = self._entries[id_]
            self._taken.pop(entry.name, None)
            schedule = schedule_text(entry.columns)
            self._removed.append(Row(self._kept[id_].origin.source, "remove", entry.name, schedule))
        left = sorted(self._entries[id_].name for id_ in gone if id_ not in removed)
        if left:
            why = "something of their source is refused, and may be they" if prune else "--prune removes them"
            self._notes.append(f"no longer there: {_some(left)}; {why}")

    def found(self) -> None:
        """First those that are there, for a name may become free."""
        for again in (True, False):
            for number, (found, name, id_) in enumerate(self._matched):
                if again and id_ is not None:
                    self._rows[number] = self._again(found, name, id_)
                elif not again and id_ is None:
                    self._rows[number] = self._new(found, name)

    def _new(self, found: Found, name: str) -> Row:
        row, written, findings = self._judge.new(found, name)
        if name in self._taken:
            problem = (
                "there is an entry of this name that was not imported from here; put something before it"
            )
            taken = FieldError("name", name, problem, example="--prefix cron-", where=found.where)
            row, findings = (
                replace(row, action="refused", problem=_problems([taken, *findings])),
                [taken, *findings],
            )
        self._refused += findings
        if not findings:
            self._comparison.compare(None, written.columns)
            self._of_new[name] = (found.origin, options_of(written.columns) | {"name": name})
        return row

    def _again(self, found: Found, name: str, id_: int) -> Row:
        """One that was imported earlier."""
        entry, kept = self._entries[id_], self._kept[id_]
        by_source = new_columns(name, found.options)
        wanted = options_of(by_source.columns)
        merged = merge(entry.columns, kept.options, wanted)
        called, imported_as, warnings = self._name(entry, kept, name)
        columns = dict(merged.written.columns) | {"name": called}
        row = Row(found.where, "unchanged", called, schedule_text(columns))
        row = replace(row, warnings=(*found.warnings, *warnings, *merged.warnings))
        written = Written(columns, (*by_source.findings, *merged.written.findings))
        changed = writing.changes(entry.columns, columns)
        runs_made = entry.timer.runs_made if entry.timer else 0
        row, findings = self._judge.judged(row, written, entry.created_at, changed.keys(), runs_made)
        if changed and not findings:
            row = replace(row, action="change", changes=option_changes(entry.columns, columns))
        self._refused += findings
        if findings:
            return row
        self._comparison.compare(entry, columns)
        options = wanted | {"name": imported_as}
        if (found.origin, options) != (kept.origin, kept.options):
            self._of_old.append((id_, found.origin, options))
        return row

    def outcome(self) -> Import:
        known = _Origins(self._all_sources, self._kept, tuple(self._of_old), self._of_new)
        found = [self._rows[number] for number in range(len(self._rows))]
        rows = in_order([*found, *map(_refused, self._reading.refused)])
        refused = in_order(self._refused)
        return Import((*rows, *self._removed), refused, tuple(self._notes), self._comparison, known)

    def _name(self, entry: StoredEntry, kept: Kept, wanted: str) -> tuple[str, str, list[str]]:
        """What an entry is called from now on, as what it counts as imported, and what there is to say."""
        imported_as = str(kept.options.get("name"))
        if entry.name != imported_as:
            return entry.name, wanted, [f"kept: name was edited here, it would be {wanted}"]
        if wanted in self._taken and wanted != entry.name:
            return entry.name, imported_as, [f"keeps its name: there is an entry {wanted} already"]
        self._taken.pop(entry.name, None)
        return wanted, wanted, []

    def _is_of(self, kept: Kept, sources: Collection[Source]) -> bool:
        return _source(kept.origin) in sources

    def _refused_sources(self) -> frozenset[Source]:
        """Those of which something is refused, which may be what an entry was imported from; all of them
        where nobody can tell of which.
        """
        of_file: dict[str, set[Source]] = defaultdict(set)
        for found in self._reading.found:
            of_file[file_of(found.where)].add(_source(found.origin))
        doubtful: set[Source] = set()
        for file in {file_of(finding.where or "") for finding in self._reading.refused}:
            named = {one for one in self._sources if is_file(one[1], file)}
            doubtful |= of_file[file] | named or self._sources
        return frozenset(doubtful)


def _source(origin: Origin) -> Source:
    return origin.kind, origin.source


def _refused(finding: FieldError) -> Row:
    return Row(finding.where or "", "refused", "", problem=_problems([finding]))


def _problems(findings: Iterable[FieldError]) -> str:
    """What is wrong, without the place that stands before it."""
    return "; ".join(str(finding.at("")) for finding in findings)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
