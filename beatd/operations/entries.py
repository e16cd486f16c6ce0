"""What a person can do with entries. Everything is checked before it is written, and all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound, nearest
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.options import (
    BOOLEANS,
    Options,
    Written,
    changed_columns,
    new_columns,
    option_changes,
)
from beatd.operations.views import STATES, Entry, definition_of, is_paused, view
from beatd.planning.definition import Definition
from beatd.planning.preview import sentence
from beatd.planning.timing import Surroundings
from beatd.store import entries as store
from beatd.store import history
from beatd.store.entries import EDITABLE_COLUMNS, StoredEntry, Transaction

__all__ = ["STATES", "Entry", "definition_of"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entry. `changes` holds old and new values by option, and as `calendar_days` what its
    calendar held if that was edited; `door` is None for plain SQL.
    """

    version: int
    operation: str
    changed_at: datetime
    changed_by: str | None
    door: str | None
    name: str
    changes: Mapping[str, tuple[Any, Any]]


class NoVersion(NotFound):
    """The entry was never at this version, or was removed at it. `known` are those that it has."""

    def __init__(self, entry: str, version: int, known: Sequence[int]) -> None:
        super().__init__("version", str(version))
        self.entry = entry
        self.known = tuple(sorted(known))

    def __str__(self) -> str:
        first, last = self.known[0], self.known[-1]
        there = f"its versions are {first} to {last}" if last > first else f"it has version {first} alone"
        return f"entry {self.entry!r} has no version {self.name} to go back to: {there}"


# Edits


def add(context: Context, name: str, options: Options) -> Entry:
    """Raises InvalidInput with every finding, Conflict if the name is taken."""
    written = new_columns(name, options)
    with context.database.write() as transaction:
        now = context.database.now(transaction)
        surroundings = context.surroundings(transaction)
        definition = writing.checked(context, surroundings, written, now)
        given = [key for key, value in written.columns.items() if value is not None]
        writing.refuse_in_vain(definition, written.columns, given, now)
        if store.get(transaction, name) is not None:
            raise Conflict(f"there is an entry {name!r} already: choose another name, or change that one")
        writing.insert(context, transaction, [written.columns])
        return view(surroundings, existing(transaction, name), now)


def change(context: Context, name: str, options: Options, *, version: int | None = None) -> Entry:
    """Sets options; None unsets one; `name` renames. Nothing happens if nothing differs.

    With `version` the entry must still be at it (Conflict). Raises NotFound, InvalidInput, Conflict.
    """
    with context.database.write() as transaction:
        entry = existing(transaction, name, lock=True)
        _require_version(entry, version)
        return _update(context, transaction, entry, changed_columns(entry.columns, options), "change")


def replace(context: Context, name: str, options: Options, *, version: int | None = None) -> Entry:
    """Makes the entry what these options alone say, as an entries file does. Otherwise as `change`."""
    with context.database.write() as transaction:
        entry = existing(transaction, name, lock=True)
        _require_version(entry, version)
        written = new_columns(str(options.get("name", name)), options)
        return _update(context, transaction, entry, written, "change")


def remove(context: Context, name: str) -> None:
    """Its history stays. Raises NotFound."""
    with context.database.write() as transaction:
        writing.delete(context, transaction, [existing(transaction, name, lock=True)])


def restore(context: Context, name: str, version: int) -> Entry:
    """Makes an entry what it was at a version, its name aside; one that was removed is added anew.

    Raises NotFound, InvalidInput if the version would not be accepted today.
    """
    with context.database.write() as transaction:
        entry = store.get(transaction, name, lock=True)
        columns = _columns_at(transaction, name, version) | {"name": name}
        now = context.database.now(transaction)
        if not is_paused(columns, now, context.timezone):
            columns |= {"paused_until": None, "pause_note": None}  # that pause is over
        if entry is not None:
            return _update(context, transaction, entry, Written(columns), "restore")
        surroundings = context.surroundings(transaction)
        writing.checked(context, surroundings, Written(columns), now)
        writing.insert(context, transaction, [columns], "restore")
        return view(surroundings, existing(transaction, name), now)


# Looking


def find(context: Context, patterns: Sequence[str] = (), state: str | None = None) -> list[Entry]:
    """Entries by name; `patterns` are names or globs, `state` one of STATES. Raises InvalidInput."""
    if state is not None and state not in STATES:
        raise FieldError("state", state, f"one of {', '.join(STATES)}", example=STATES[0])
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        surroundings = context.surroundings(transaction)
        seen = [view(surroundings, entry, now) for entry in store.find(transaction, patterns)]
    return [entry for entry in seen if state in (None, entry.state)]


def show(context: Context, name: str) -> Entry:
    """Raises NotFound."""
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        return view(context.surroundings(transaction), existing(transaction, name), now)


def in_words(context: Context, name: str) -> str | None:
    """When an entry fires, in plain English; None if it is broken. Raises NotFound."""
    with context.database.read() as transaction:
        surroundings, entry = context.surroundings(transaction), existing(transaction, name)
    try:
        return sentence(definition_of(surroundings, entry).timing)
    except InvalidInput:
        return None


def versions(context: Context, name: str) -> list[Version]:
    """Newest first; also of an entry that was removed. Raises NotFound."""
    with context.database.read() as transaction:
        return told(versions_of(transaction, name))


def told(stored: Sequence[history.StoredVersion]) -> list[Version]:
    """What each of an entry's versions, newest first, changed."""
    previous: dict[str, Any] = {}
    found = []
    for version in reversed(stored):
        columns = {} if version.operation == "delete" else columns_of(version)
        changes = option_changes(previous, columns) if version.operation == "update" else {}
        columns["calendar_days"] = _calendar_days(version)
        held = previous.get("calendar_days"), columns["calendar_days"]
        if version.operation == "update" and "calendar" not in changes and held[0] != held[1]:
            changes["calendar_days"] = held
        found.append(
            Version(
                version.version,
                version.operation,
                version.changed_at,
                version.changed_by,
                version.door,
                version.name,
                changes,
            )
        )
        previous = columns
    return found[::-1]


def remark(context: Context, name: str) -> str | None:
    """What is allowed, and probably not what its author expects. Raises NotFound, InvalidInput."""
    with context.database.read() as transaction:
        entry = existing(transaction, name)
        now = context.database.now(transaction)
        definition = definition_of(context.surroundings(transaction), entry)
    return writing.remark(definition, now)


def no_entry(transaction: Transaction, name: str) -> NotFound:
    """With names that may have been meant."""
    return NotFound("entry", name, nearest(name, store.names(transaction), 3))


def existing(transaction: Transaction, name: str, *, lock: bool = False) -> StoredEntry:
    """Raises NotFound."""
    entry = store.get(transaction, name, lock=lock)
    if entry is None:
        raise no_entry(transaction, name)
    return entry


def versions_of(transaction: Transaction, name: str) -> list[history.StoredVersion]:
    """Newest first; also of an entry that was removed. Raises NotFound."""
    entry_id = history.entry_id_of(transaction, name)
    if entry_id is None:
        raise no_entry(transaction, name)
    return history.versions_of(transaction, entry_id)


def columns_of(version: history.StoredVersion) -> dict[str, Any]:
    """The definition as JSON has it, which knows no booleans on some databases."""
    columns = json.loads(version.definition)
    columns = {key: columns.get(key) for key in EDITABLE_COLUMNS}
    return columns | {key: None if columns[key] is None else bool(columns[key]) for key in BOOLEANS}


def _calendar_days(version: history.StoredVersion) -> dict[str, str] | None:
    """What its calendar held then."""
    held = json.loads(version.definition).get("calendar_days") or {}
    return {key: value for key, value in held.items() if value is not None} or None


def checked_change(
    context: Context, surroundings: Surroundings, entry: StoredEntry, written: Written, now: datetime
) -> Definition:
    """The definition that an entry is about to get. Raises InvalidInput."""
    definition = writing.checked(context, surroundings, written, entry.created_at)
    changed = writing.changes(entry.columns, written.columns).keys()
    runs_made = entry.timer.runs_made if entry.timer else 0
    writing.refuse_in_vain(definition, written.columns, changed, now, runs_made)
    return definition


# Steps


def _require_version(entry: StoredEntry, version: int | None) -> None:
    if version is not None and entry.version != version:
        raise Conflict(
            f"entry {entry.name!r} was changed meanwhile: it is at version {entry.version}, not {version}"
        )


def _update(
    context: Context, transaction: Transaction, entry: StoredEntry, written: Written, action: str
) -> Entry:
    now = context.database.now(transaction)
    surroundings = context.surroundings(transaction)
    checked_change(context, surroundings, entry, written, now)
    writing.update(context, transaction, [(entry, written.columns)], action)
    return view(surroundings, existing(transaction, str(written.columns["name"])), now)


def _columns_at(transaction: Transaction, name: str, number: int) -> dict[str, Any]:
    stored = versions_of(transaction, name)
    for version in stored:
        if version.version == number and version.operation != "delete":
            return columns_of(version)
    raise NoVersion(name, number, [version.version for version in stored if version.operation != "delete"])
