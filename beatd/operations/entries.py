"""What a person can do with entries. Everything is checked before it is written, and all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from beatd.errors import BeatdError, Conflict, FieldError, InvalidInput, NotFound, nearest
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.options import (
    Options,
    Written,
    changed_columns,
    new_columns,
    option_changes,
    options_of,
)
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.plan import next_fire_time
from beatd.schedules import describe, parse_instant
from beatd.store import entries as store
from beatd.store import history
from beatd.store.entries import EDITABLE_COLUMNS, StoredEntry, Transaction

STATES = ("active", "paused", "completed", "broken")

_SCHEDULE_OPTIONS = frozenset({"cron", "every", "at", "timezone", "start_at", "end_at"})
_BOOLEANS = ("enabled", "ignore_result")
_MOST_FIRE_TIMES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as people see it. `options` are those of an entries file; what is at its default is not in.

    `state` is one of STATES; `error` says why an entry is broken. `schedule` and `what` are texts for
    people. `next_fire_time` is None where nothing will come.
    """

    id: int
    name: str
    state: str
    error: str | None
    schedule: str
    what: str
    timezone: str
    next_fire_time: datetime | None
    last_fire_time: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entry. `changes` holds old and new values by option; `door` is None for plain SQL."""

    version: int
    operation: str
    changed_at: datetime
    changed_by: str | None
    door: str | None
    name: str
    changes: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Upcoming:
    """Coming fire times of an entry, in UTC; `timezone` names the zone that its rule is evaluated in."""

    entry: str
    state: str
    timezone: str
    schedule: str
    fire_times: tuple[datetime, ...]


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
        definition = writing.checked(context, written, now)
        _refuse_past(definition, written.columns, now)
        if store.get(transaction, name) is not None:
            raise Conflict(f"there is an entry {name!r} already: choose another name, or change that one")
        writing.insert(context, transaction, [written.columns])
        return _view(context, _found(transaction, name), now)


def change(context: Context, name: str, options: Options, *, version: int | None = None) -> Entry:
    """Sets options; None unsets one; `name` renames. Nothing happens if nothing differs.

    With `version` the entry must still be at it (Conflict). Raises NotFound, InvalidInput, Conflict.
    """
    with context.database.write() as transaction:
        entry = _found(transaction, name, lock=True)
        _require_version(entry, version)
        return _update(context, transaction, entry, changed_columns(entry.columns, options), "change")


def replace(context: Context, name: str, options: Options, *, version: int | None = None) -> Entry:
    """Makes the entry what these options alone say, as an entries file does. Otherwise as `change`."""
    with context.database.write() as transaction:
        entry = _found(transaction, name, lock=True)
        _require_version(entry, version)
        written = new_columns(str(options.get("name", name)), options)
        return _update(context, transaction, entry, written, "change")


def pause(context: Context, name: str) -> Entry:
    """Its fires become counted records from now on. Raises NotFound."""
    return _switch(context, name, False, "pause")


def resume(context: Context, name: str) -> Entry:
    """It fires again, from the next fire time on. Raises NotFound, InvalidInput if it is broken."""
    return _switch(context, name, True, "resume")


def remove(context: Context, name: str) -> None:
    """Its history stays. Raises NotFound."""
    with context.database.write() as transaction:
        writing.delete(context, transaction, [_found(transaction, name, lock=True)])


def restore(context: Context, name: str, version: int) -> Entry:
    """Makes an entry what it was at a version, its name aside; one that was removed is added anew.

    Raises NotFound, InvalidInput if the version would not be accepted today.
    """
    with context.database.write() as transaction:
        entry = store.get(transaction, name, lock=True)
        columns = _columns_at(transaction, name, version) | {"name": name}
        if entry is not None:
            return _update(context, transaction, entry, Written(columns), "restore")
        now = context.database.now(transaction)
        writing.checked(context, Written(columns), now)
        writing.insert(context, transaction, [columns], "restore")
        return _view(context, _found(transaction, name), now)


# Looking


def find(context: Context, patterns: Sequence[str] = (), state: str | None = None) -> list[Entry]:
    """Entries by name; `patterns` are names or globs, `state` one of STATES. Raises InvalidInput."""
    if state is not None and state not in STATES:
        raise FieldError("state", state, f"one of {', '.join(STATES)}", example=STATES[0])
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        found = [_view(context, entry, now) for entry in store.find(transaction, patterns)]
    return [entry for entry in found if state in (None, entry.state)]


def show(context: Context, name: str) -> Entry:
    """Raises NotFound."""
    with context.database.read() as transaction:
        return _view(context, _found(transaction, name), context.database.now(transaction))


def upcoming(context: Context, name: str, count: int = 10, after: datetime | str | None = None) -> Upcoming:
    """The next `count` fire times strictly after `after` (default: now), as if the entry were not paused.

    A text without an offset is wall time of the entry's zone. Raises NotFound, InvalidInput.
    """
    if not 1 <= count <= _MOST_FIRE_TIMES:
        raise FieldError("count", count, f"a whole number from 1 to {_MOST_FIRE_TIMES}")
    with context.database.read() as transaction:
        entry = _found(transaction, name)
        now = context.database.now(transaction)
    definition = definition_of(context, entry)
    if isinstance(after, str):
        after = parse_instant(after, definition.timezone, "after")
    times = islice(definition.schedule.fire_times(after or now), count)
    state = _view(context, entry, now).state
    return Upcoming(name, state, definition.timezone.key, describe(definition.schedule), tuple(times))


def versions(context: Context, name: str) -> list[Version]:
    """Newest first; also of an entry that was removed. Raises NotFound."""
    with context.database.read() as transaction:
        stored = _versions(transaction, name)
    previous: dict[str, Any] = {}
    found = []
    for version in reversed(stored):
        columns = {} if version.operation == "delete" else _columns(version)
        found.append(
            Version(
                version.version,
                version.operation,
                version.changed_at,
                version.changed_by,
                version.door,
                version.name,
                option_changes(previous, columns) if version.operation == "update" else {},
            )
        )
        previous = columns
    return found[::-1]


def paused_since(context: Context, name: str) -> datetime | None:
    """When an entry that is paused now became so; None if it is not, or was removed. Raises NotFound."""
    with context.database.read() as transaction:
        stored = _versions(transaction, name)
    since = None
    for version in stored:
        if version.operation == "delete" or _columns(version)["enabled"]:
            break
        since = version.changed_at
    return since


def remark(context: Context, name: str) -> str | None:
    """What is allowed, and probably not what its author expects. Raises NotFound, InvalidInput."""
    with context.database.read() as transaction:
        entry = _found(transaction, name)
        now = context.database.now(transaction)
    return writing.remark(definition_of(context, entry), now)


def definition_of(context: Context, entry: StoredEntry) -> Definition:
    """Raises InvalidInput that names the entry."""
    try:
        return parse_definition(entry.columns, created_at=entry.created_at, default_timezone=context.timezone)
    except InvalidInput as error:
        raise InvalidInput([finding.at(f"entry {entry.name}") for finding in error.findings]) from error


def no_entry(transaction: Transaction, name: str) -> NotFound:
    """With names that may have been meant."""
    return NotFound("entry", name, nearest(name, store.names(transaction), 3))


# Steps


def _found(transaction: Transaction, name: str, *, lock: bool = False) -> StoredEntry:
    entry = store.get(transaction, name, lock=lock)
    if entry is None:
        raise no_entry(transaction, name)
    return entry


def _require_version(entry: StoredEntry, version: int | None) -> None:
    if version is not None and entry.version != version:
        raise Conflict(
            f"entry {entry.name!r} was changed meanwhile: it is at version {entry.version}, not {version}"
        )


def _update(
    context: Context,
    transaction: Transaction,
    entry: StoredEntry,
    written: Written,
    action: str,
) -> Entry:
    now = context.database.now(transaction)
    definition = writing.checked(context, written, entry.created_at)
    columns = written.columns
    if _SCHEDULE_OPTIONS & writing.changes(entry.columns, columns).keys():
        _refuse_past(definition, columns, now)
    writing.update(context, transaction, [(entry, columns)], action)
    return _view(context, _found(transaction, str(columns["name"])), now)


def _switch(context: Context, name: str, enabled: bool, action: str) -> Entry:
    with context.database.write() as transaction:
        entry = _found(transaction, name, lock=True)
        if enabled:
            definition_of(context, entry)
        writing.update(context, transaction, [(entry, {**entry.columns, "enabled": enabled})], action)
        return _view(context, _found(transaction, name), context.database.now(transaction))


def _refuse_past(definition: Definition, columns: Mapping[str, Any], now: datetime) -> None:
    """An entry that would never fire is a mistake of the person who writes it."""
    if next_fire_time(definition.schedule, now) is None:
        field = "end_at" if columns["end_at"] else "at"
        raise FieldError(field, columns[field], "is in the past: the entry would never fire")


def _view(context: Context, entry: StoredEntry, now: datetime) -> Entry:
    state, error, coming = _prospect(context, entry, now)
    columns = entry.columns
    return Entry(
        id=entry.id,
        name=entry.name,
        state=state,
        error=error,
        schedule=_schedule_text(columns),
        what=_what(columns),
        timezone=str(columns["timezone"] or context.timezone),
        next_fire_time=coming,
        last_fire_time=entry.timer.last_fire_at if entry.timer else None,
        version=entry.version,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        options=options_of(columns),
    )


def _prospect(context: Context, entry: StoredEntry, now: datetime) -> tuple[str, str | None, datetime | None]:
    """State, error, next fire time. A timer that was planned from this version has them; else they are
    found here, so that an edit shows at once.
    """
    timer = entry.timer if entry.timer and entry.timer.version == entry.version else None
    if timer and timer.state != "active":
        return timer.state, timer.error, None
    if timer and timer.next_fire_at and timer.next_fire_at > now:
        return "active", None, timer.next_fire_at
    try:
        definition = definition_of(context, entry)
    except BeatdError as error:
        return "broken", str(error), None
    if not definition.enabled:
        return "paused", None, None
    coming = next_fire_time(definition.schedule, now)
    return ("completed" if coming is None else "active"), None, coming


def _schedule_text(columns: Mapping[str, Any]) -> str:
    texts = [("{}", "cron"), ("every {}", "every"), ("at {}", "at")]
    return " ".join(form.format(columns[key]) for form, key in texts if columns[key] is not None)


def _what(columns: Mapping[str, Any]) -> str:
    options = options_of(columns)
    return str(options.get("shell") or options.get("http") or columns["task"])


def _versions(transaction: Transaction, name: str) -> list[history.StoredVersion]:
    entry_id = history.entry_id_of(transaction, name)
    if entry_id is None:
        raise no_entry(transaction, name)
    return history.versions_of(transaction, entry_id)


def _columns_at(transaction: Transaction, name: str, number: int) -> dict[str, Any]:
    stored = _versions(transaction, name)
    for version in stored:
        if version.version == number and version.operation != "delete":
            return _columns(version)
    raise NoVersion(name, number, [version.version for version in stored if version.operation != "delete"])


def _columns(version: history.StoredVersion) -> dict[str, Any]:
    """The definition as JSON has it, which knows no booleans on some databases."""
    columns = json.loads(version.definition)
    columns = {key: columns.get(key) for key in EDITABLE_COLUMNS}
    return columns | {key: None if columns[key] is None else bool(columns[key]) for key in _BOOLEANS}
