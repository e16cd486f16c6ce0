"""Brings over what was read of a source: looks, line by line, what becomes of it, then does everything in one
transaction.

Done again, it finds the entries that it made (`matching`) and changes of them what the source changed since
(`merging`). The rows that it tells of are the same whether there is a database, or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from beatd.errors import Conflict, FieldError, InvalidInput
from beatd.migrate.elsewhere import Elsewhere, told
from beatd.migrate.found import Found, Origin, Reading, Source
from beatd.migrate.matching import match, named, pair
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

#: `left` are those that a source has no more, and that are not removed.
Action = Literal["add", "change", "unchanged", "remove", "left", "refused"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one thing of a source. `problem` says why one is refused; `changes` holds the old and
    new values of options. `next_fires` is empty where nobody knows them, as of boots, and where it is not
    `enabled`.
    """

    where: str
    action: Action
    name: str
    schedule: str = ""
    sentence: str = ""
    timezone: str = "UTC"
    enabled: bool = True
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
    """What an import does. `rows` are in the order of the sources, what is not in them last; `refused` is
    left out.
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


class ImportRefused(InvalidInput):
    """Nothing is imported, for something is refused; `outcome` is what the rest would have been."""

    def __init__(self, outcome: Import) -> None:
        super().__init__(outcome.refused)
        self.outcome = outcome


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
    `prefix` goes before the names of new ones; a name that was once given stays.

    Raises ImportRefused with everything that cannot be taken, unless `partial`, which leaves it out.
    """
    comparing = _Comparing(context, reading, frozenset(sources), prefix, prune)
    comparing.found()
    comparing.vanished()
    outcome = comparing.outcome()
    if outcome.refused and not partial:
        raise ImportRefused(outcome)
    return outcome


def check(offline: Offline, reading: Reading, now: datetime, *, prefix: str = "") -> tuple[Row, ...]:
    """The rows of an import into a database that holds nothing, without any."""
    judge = _Judge(offline, offline.surroundings, now)
    names = match(reading.found, {}, prefix)
    rows = [judge.new(one, name)[0] for one, (name, _) in zip(reading.found, names, strict=True)]
    return in_order([*rows, *_refused(reading.refused)])


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
            enabled=definition.enabled,
            next_fires=tuple(fire.fire_time for fire in outlook.fires) if definition.enabled else (),
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

    def __init__(
        self, context: Context, reading: Reading, sources: frozenset[Source], prefix: str, prune: bool
    ) -> None:
        self._reading = reading
        self._sources = sources
        self._all_sources = sources | {_source(found.origin) for found in reading.found}
        with context.database.read() as transaction:
            now = context.database.now(transaction)
            surroundings = context.surroundings(transaction)
            self._kept = origins.of_sources(transaction, self._all_sources)
            self._entries = entries.find_ids(transaction, self._kept)
            there = entries.find(transaction)
        matched = pair(reading.found, self._kept, prefix, reading.keys)
        self._vanish(frozenset(matched.values()), prune)
        self._elsewhere = Elsewhere(
            (entry for entry in there if entry.id not in self._removed), matched.values()
        )
        names = named(reading.found, matched, self._kept, prefix, self._elsewhere.taken)
        self._named = list(zip(reading.found, names, map(matched.get, range(len(names))), strict=True))
        self._judge = _Judge(context, surroundings, now)
        self._comparison = Comparison()
        self._of_old: list[tuple[int, Origin, Mapping[str, Any]]] = []
        self._of_new: dict[str, tuple[Origin, Mapping[str, Any]]] = {}
        self._rows: list[Row] = []
        self._rows_of_gone: list[Row] = []
        self._notes: list[str] = []
        self._refused = list(reading.refused)

    def _vanish(self, there: Collection[int], prune: bool) -> None:
        """Which entries the sources have no more. What may be something that is refused is never removed."""
        gone = [
            id_
            for id_, kept in self._kept.items()
            if id_ not in there and _source(kept.origin) in self._sources
        ]
        doubtful = self._refused_sources()
        self._doubtful = {id_ for id_ in gone if self._may_be_refused(self._kept[id_].origin, doubtful)}
        self._removed = [id_ for id_ in gone if prune and id_ not in self._doubtful]
        self._left = [id_ for id_ in gone if id_ not in self._removed]

    def _may_be_refused(self, origin: Origin, doubtful: Collection[Source]) -> bool:
        source = _source(origin)
        if source in self._reading.keys:
            return origin.place in self._reading.keys[source]
        return source in doubtful

    def found(self) -> None:
        for found, name, id_ in self._named:
            self._rows.append(self._new(found, name) if id_ is None else self._again(found, id_))

    def _new(self, found: Found, name: str) -> Row:
        row, written, findings = self._judge.new(found, name)
        if same := self._elsewhere.same(written.columns):
            if _source(found.origin) in self._reading.exported:
                findings = [_is_here(same, found.where)]
            elif not findings:
                warning = f"the entry {told(same)} does the same at the same times: both will run"
                row = replace(row, warnings=(*row.warnings, warning))
        elif name in self._elsewhere.by_hand:
            findings = [_is_taken(name, found), *findings]
        if findings:
            self._refused += findings
            return replace(row, action="refused", problem=_problems(findings))
        self._comparison.compare(None, written.columns)
        self._of_new[name] = (found.origin, options_of(written.columns) | {"name": name})
        return row

    def _again(self, found: Found, id_: int) -> Row:
        """One that was imported earlier. It keeps its name, whatever it would be called now."""
        entry, kept = self._entries[id_], self._kept[id_]
        by_source = new_columns(entry.name, found.options)
        wanted = options_of(by_source.columns)
        merged = merge(entry.columns, kept.options, wanted)
        columns = dict(merged.written.columns)
        row = Row(found.where, "unchanged", entry.name, schedule_text(columns))
        row = replace(row, warnings=(*found.warnings, *merged.warnings))
        written = Written(columns, (*by_source.findings, *merged.written.findings))
        changed = writing.changes(entry.columns, columns)
        runs_made = entry.timer.runs_made if entry.timer else 0
        row, findings = self._judge.judged(row, written, entry.created_at, changed.keys(), runs_made)
        if findings:
            self._refused += findings
            return replace(
                row, warnings=(*row.warnings, f"until then the entry stays as it was{_fires(entry)}")
            )
        if changed:
            row = replace(row, action="change", changes=option_changes(entry.columns, columns))
        self._comparison.compare(entry, columns)
        options = wanted | {"name": kept.options.get("name")}
        if (found.origin, options) != (kept.origin, kept.options):
            self._of_old.append((id_, found.origin, options))
        return row

    def vanished(self) -> None:
        """Tells of what the sources have no more."""
        self._comparison.prune([self._entries[id_] for id_ in self._removed])
        grown = {_source(found.origin) for found, name, _ in self._named if name in self._of_new}
        for id_ in self._removed:
            self._gone(id_, "remove")
        for id_ in self._left:
            entry = self._entries[id_]
            if id_ in self._doubtful:
                why = f"it may be what is refused: it stays as it was{_fires(entry)}"
            else:
                beside = " beside what was added" if _source(self._kept[id_].origin) in grown else ""
                why = f"no longer there: it stays{_fires(entry)}{beside}; --prune removes it"
            self._gone(id_, "left", why)
        self._notes += self._notes_of_gone(grown)

    def _gone(self, id_: int, action: Action, *warnings: str) -> None:
        entry = self._entries[id_]
        row = Row(self._kept[id_].origin.source, action, entry.name, schedule_text(entry.columns))
        self._rows_of_gone.append(replace(row, warnings=warnings))

    def _notes_of_gone(self, grown: Collection[Source]) -> Iterator[str]:
        there = {_source(found.origin) for found in self._reading.found}
        of_source = Counter(_source(self._kept[id_].origin) for id_ in self._removed)
        for source, count in of_source.items():
            if source not in there and count == sum(
                _source(kept.origin) == source for kept in self._kept.values()
            ):
                many = f"all {count} entries" if count > 1 else "the only entry"
                yield f"{source[1]}: nothing is left in it: {many} that came from it {_be(count)} removed"
        for some, why in (
            ([id_ for id_ in self._left if id_ not in self._doubtful], "--prune removes them"),
            (
                [id_ for id_ in self._left if id_ in self._doubtful],
                "something of their source is refused, and may be they: they stay as they were",
            ),
        ):
            names = sorted(self._entries[id_].name for id_ in some)
            beside = any(_source(self._kept[id_].origin) in grown for id_ in some)
            loud = "; until they are removed they run BESIDE what was added" if beside else ""
            if names:
                yield f"no longer there: {_some(names)}; {why}{loud}"

    def outcome(self) -> Import:
        known = _Origins(self._all_sources, self._kept, tuple(self._of_old), self._of_new)
        rows = in_order([*self._rows, *_refused(self._reading.refused)])
        refused = in_order(self._refused)
        notes = (*self._reading.notes, *self._notes)
        return Import((*rows, *self._rows_of_gone), refused, notes, self._comparison, known)

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


def _refused(findings: Iterable[FieldError]) -> Iterator[Row]:
    """A row for each place: one thing may have several problems."""
    of_place: dict[str, list[FieldError]] = defaultdict(list)
    for finding in findings:
        of_place[finding.where or str(finding)].append(finding)
    for several in of_place.values():
        yield Row(several[0].where or "", "refused", "", problem=_problems(several))


def _is_taken(name: str, found: Found) -> FieldError:
    problem = "there is an entry of this name that was not imported; put something before it"
    return FieldError("name", name, problem, example=f"--prefix {found.origin.kind}-", where=found.where)


def _is_here(same: StoredEntry, where: str) -> FieldError:
    problem = (
        "does this at the same times already, and the file is an export of beatd's: it would run twice; "
        "remove the entry before, or leave the line out (--partial)"
    )
    return FieldError("entry", told(same), problem, where=where)


def _fires(entry: StoredEntry) -> str:
    return " and goes on firing" if entry.columns.get("enabled") else ""


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _problems(findings: Iterable[FieldError]) -> str:
    """What is wrong, without the place that stands before it."""
    return "; ".join(str(finding.at("")) for finding in findings)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
