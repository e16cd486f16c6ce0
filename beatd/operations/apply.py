"""Makes entries and calendars what TOML files say: read, compare, then everything in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from beatd.errors import Conflict, FieldError, InvalidInput
from beatd.operations import calendars, writing
from beatd.operations.context import Context
from beatd.operations.files import Files, Source, Wanted, load, read, read_one
from beatd.operations.options import new_columns, option_changes
from beatd.operations.previews import FiresChange, definition_or_none, fires_change
from beatd.planning.definition import Definition
from beatd.store import calendars as calendar_store
from beatd.store import entries
from beatd.store.calendars import StoredCalendar
from beatd.store.entries import StoredEntry, Transaction

__all__ = [
    "Change",
    "Changes",
    "Comparison",
    "Files",
    "Source",
    "Wanted",
    "compare",
    "load",
    "read",
    "read_one",
]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one entry or calendar: options with their old and new values, and the fires that
    change by it, of a calendar those of the entries that name it.
    """

    name: str
    options: Mapping[str, tuple[Any, Any]]
    kind: Literal["entry", "calendar"] = "entry"
    fires: tuple[FiresChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying would do. `unchanged` counts what is as the files say already."""

    added: tuple[Change, ...]
    changed: tuple[Change, ...]
    removed: tuple[Change, ...]
    unchanged: int

    @property
    def nothing(self) -> bool:
        return not (self.added or self.changed or self.removed)


class Comparison:
    """What is wanted against what is there."""

    def __init__(self) -> None:
        self._calendars: list[tuple[StoredCalendar | None, StoredCalendar]] = []
        self._removed_calendars: list[StoredCalendar] = []
        self._added: list[writing.Columns] = []
        self._changed: list[tuple[StoredEntry, writing.Columns]] = []
        self._removed: list[StoredEntry] = []
        self._fires: dict[tuple[str, str], tuple[FiresChange, ...]] = {}
        self._unchanged = 0
        #: what is allowed, and probably not what its author expects
        self.remarks: list[str] = []

    @property
    def changes(self) -> Changes:
        empty: dict[str, Any] = {"enabled": True}
        added = [Change(str(new["name"]), _without_name(option_changes(empty, new))) for new in self._added]
        changed = [
            Change(old.name, option_changes(old.columns, new), fires=self._fires.get(("entry", old.name), ()))
            for old, new in self._changed
        ]
        removed = [Change(old.name, {}) for old in self._removed]
        added_calendars = [self._calendar(old, new) for old, new in self._calendars if old is None]
        changed_calendars = [self._calendar(old, new) for old, new in self._calendars if old is not None]
        removed_calendars = [Change(old.name, {}, "calendar") for old in self._removed_calendars]
        return Changes(
            (*added_calendars, *added),
            (*changed_calendars, *changed),
            (*removed, *removed_calendars),
            self._unchanged,
        )

    def _calendar(self, old: StoredCalendar | None, new: StoredCalendar) -> Change:
        options = calendars.changes(old or StoredCalendar(new.name), new)
        return Change(new.name, options, "calendar", self._fires.get(("calendar", new.name), ()))

    def compare_calendar(
        self, found: StoredCalendar | None, wanted: StoredCalendar, fires: tuple[FiresChange, ...] = ()
    ) -> None:
        if found is not None and not calendars.changes(found, wanted):
            self._unchanged += 1
            return
        self._calendars.append((found, wanted))
        self._fires["calendar", wanted.name] = fires

    def compare(
        self, found: StoredEntry | None, columns: writing.Columns, fires: FiresChange | None = None
    ) -> None:
        if found is None:
            self._added.append(columns)
        elif writing.changes(found.columns, columns):
            self._changed.append((found, columns))
            self._fires["entry", found.name] = (fires,) if fires else ()
        else:
            self._unchanged += 1

    def prune(self, found: Sequence[StoredEntry], unused: Sequence[StoredCalendar] = ()) -> None:
        self._removed += found
        self._removed_calendars += unused

    def execute(self, context: Context) -> None:
        """Does it all in one transaction. Raises Conflict if something was edited since the comparison."""
        with context.database.write() as transaction:
            self.write(context, transaction)

    def write(self, context: Context, transaction: Transaction) -> list[StoredEntry]:
        """The same in a transaction of the caller's; returns the entries that are new."""
        self._require_calendars(transaction)
        for old, new in self._calendars:
            calendars.write(context, transaction, old, new)
        there = self._require_entries(transaction)
        writing.delete(context, transaction, [there[old.name] for old in self._removed])
        changed = [(there[old.name], columns) for old, columns in self._changed]
        writing.update(context, transaction, changed, "change")
        added = writing.insert(context, transaction, self._added)
        for unused in self._removed_calendars:
            if calendar_store.entries_that_name(transaction, unused.name):
                raise _moved("calendar", unused.name)
            calendars.delete(context, transaction, unused.name)
        return added

    def _require_calendars(self, transaction: Transaction) -> None:
        there = calendar_store.read_all(transaction, lock=True)
        known = [(new.name, old) for old, new in self._calendars]
        known += [(old.name, old) for old in self._removed_calendars]
        for name, before in known:
            if there.get(name) != before:
                raise _moved("calendar", name)

    def _require_entries(self, transaction: Transaction) -> dict[str, StoredEntry]:
        """Those that are about to change, locked, at the version that they have by now; nobody has the names
        that others are about to get.
        """
        known = {entry.name: entry for entry in [*(old for old, _ in self._changed), *self._removed]}
        new_names = {str(columns["name"]): None for columns in self._added}
        new_names |= {str(columns["name"]): None for _, columns in self._changed}
        names = [*known, *(name for name in new_names if name not in known)]
        there = {entry.name: entry for entry in entries.find_named(transaction, names, lock=True)}
        edited = {new.name for _, new in self._calendars}
        for name in names:
            before, now = known.get(name), there.get(name)
            if before is None and now is None:
                continue
            if before is None or now is None or not _is_as_it_was(before, now, edited):
                raise _moved("entry", name)
        return there


def compare(context: Context, files: Files, *, prune: bool = False) -> Comparison:
    """What has to be done so that entries and calendars are as wanted. With `prune` all other entries are
    removed, and all other calendars that no entry names then.

    Raises InvalidInput with every finding of every table of every file.
    """
    with context.database.read() as transaction:
        comparing = _Comparing(context, transaction, files)
        comparing.calendars()
        comparing.entries(prune)
    if comparing.findings:
        raise InvalidInput(sorted(comparing.findings, key=_place))
    return comparing.comparison


class _Comparing:
    """One comparison in the making."""

    def __init__(self, context: Context, transaction: Transaction, files: Files) -> None:
        self._context = context
        self._transaction = transaction
        self._files = files
        self._now = context.database.now(transaction)
        self._before = self._after = context.surroundings(transaction)
        self._stored_calendars = calendar_store.read_all(transaction)
        self.findings = list(files.findings)
        self.comparison = Comparison()

    def calendars(self) -> None:
        good = []
        for calendar in self._files.calendars:
            before = self._stored_calendars.get(calendar.name)
            try:
                wanted = calendars.checked(calendar.name, calendar.options)
                fires: tuple[FiresChange, ...] = ()
                if before is not None and calendars.changes(before, wanted):
                    fires = calendars.fires_of(self._context, self._transaction, before, wanted)
            except InvalidInput as error:
                self.findings += map(calendar.at, error.findings)
                continue
            good.append(wanted)
            self.comparison.compare_calendar(before, wanted, fires)
        self._after = calendars.with_calendars(self._before, good)

    def entries(self, prune: bool) -> None:
        names = [entry.name for entry in self._files.wanted]
        found = entries.find(self._transaction) if prune else entries.find_named(self._transaction, names)
        existing = {entry.name: entry for entry in found}
        used = set()
        for entry in self._files.wanted:
            before = existing.pop(entry.name, None)
            written = new_columns(entry.name, entry.options)
            used.add(written.columns["calendar"])
            fires = None
            try:
                created_at = before.created_at if before else self._now
                definition = writing.checked(self._context, self._after, written, created_at)
            except InvalidInput as error:
                self.findings += map(entry.at, error.findings)
            else:
                self._remark(entry, before, definition, written.columns)
                if before is not None and writing.changes(before.columns, written.columns):
                    was = definition_or_none(self._before, before)
                    fires = fires_change(before, was, definition, self._now)
            self.comparison.compare(before, written.columns, fires)
        if prune:
            kept = used | {calendar.name for calendar in self._files.calendars}
            unused = [stored for name, stored in self._stored_calendars.items() if name not in kept]
            self.comparison.prune(list(existing.values()), unused)

    def _remark(
        self,
        entry: Wanted,
        before: StoredEntry | None,
        definition: Definition,
        columns: writing.Columns,
    ) -> None:
        """What is refused of a single edit a file may say for ever: that an instant has passed."""
        if before is None:
            changed = [key for key, value in columns.items() if value is not None]
        else:
            changed = list(writing.changes(before.columns, columns))
        runs_made = before.timer.runs_made if before and before.timer else 0
        if vain := writing.in_vain(definition, columns, changed, self._now, runs_made):
            self.comparison.remarks.append(str(entry.at(vain)))
        if said := writing.remark(definition, self._now):
            self.comparison.remarks.append(f"{entry.where}: {said}")


def _without_name(options: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {key: pair for key, pair in options.items() if key != "name"}


def _is_as_it_was(before: StoredEntry, now: StoredEntry, edited_calendars: Collection[str]) -> bool:
    """An edit of its calendar, such as that of these files, makes a version, too."""
    same_version = before.version == now.version or (
        before.columns["calendar"] in edited_calendars and before.columns == now.columns
    )
    return before.id == now.id and same_version


def _place(finding: FieldError) -> tuple[str, int]:
    file, _, line = (finding.where or "").rpartition(":")
    return file, int(line) if line.isdigit() else 0


def _moved(kind: str, name: str) -> Conflict:
    return Conflict(f"{kind} {name!r} was changed meanwhile; nothing was done: look at the differences again")
