"""Pausing: one entry or everything, with a note, for the time being or until a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beatd.errors import FieldError
from beatd.operations import entries, writing
from beatd.operations.context import Context
from beatd.operations.moments import Moment, ahead
from beatd.operations.views import Entry, definition_of, is_paused, pause_end, view
from beatd.planning.timing import Surroundings
from beatd.schedules import format_instant, parse_zone
from beatd.store import entries as store
from beatd.store import history, pauses
from beatd.store.entries import StoredEntry, Transaction
from beatd.store.pauses import StoredPause

#: An end of a pause that is none.
NEVER = "never"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that lasts; `until` None: until somebody resumes, `who` None: typed in SQL by nobody knows."""

    since: datetime
    until: datetime | None
    note: str | None
    who: str | None


@dataclass(frozen=True, slots=True)
class Switched:
    """An entry before and after it was paused or resumed."""

    before: Entry
    after: Entry

    @property
    def changed(self) -> bool:
        return self.before.version != self.after.version


@dataclass(frozen=True, slots=True)
class AllPaused:
    """Everything is paused; `before` is the pause that there was already, as it was."""

    pause: Pause
    before: Pause | None


# Entries


def pause(
    context: Context,
    names: Sequence[str],
    note: str | None = None,
    until: Moment | None = None,
    *,
    globs: bool = False,
) -> list[Switched]:
    """Their fires become counted records from now on, all of these entries or none.

    `until` is an instant, how long from now, or `never`. Of an entry that is paused already, what is not
    given stays; an empty note unsets it. With `globs` a name may be one that fits several. Raises NotFound,
    FieldError.
    """
    with context.database.write() as transaction:
        now = context.database.now(transaction)
        surroundings = context.surroundings(transaction)
        found = _chosen(transaction, names, globs)
        pairs = [(entry, _paused(surroundings, entry, now, note, until)) for entry in found]
        return _switch(context, transaction, surroundings, pairs, "pause")


def resume(context: Context, names: Sequence[str], *, globs: bool = False) -> list[Switched]:
    """They fire again, from the next fire time on. Raises NotFound, InvalidInput if one is broken."""
    with context.database.write() as transaction:
        now = context.database.now(transaction)
        surroundings = context.surroundings(transaction)
        pairs = []
        for entry in _chosen(transaction, names, globs):
            definition_of(surroundings, entry)
            columns = dict(entry.columns)
            if is_paused(columns, now, context.timezone):
                columns |= {"enabled": True, "paused_until": None, "pause_note": None}
            pairs.append((entry, columns))
        return _switch(context, transaction, surroundings, pairs, "resume")


def pause_of(context: Context, name: str) -> Pause | None:
    """Since when an entry is paused, and by whom; None if it is not, or was removed. Raises NotFound."""
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        entry = store.get(transaction, name)
        if entry is None:
            entries.versions_of(transaction, name)
            return None
        end = pause_end(entry.columns, context.timezone)
        lasts = end is not None and end > now
        if entry.columns["enabled"] and not lasts:
            return None
        began = _beginning(entries.versions_of(transaction, name), now, context.timezone)
    until = end if entry.columns["enabled"] else None
    return Pause(began.changed_at, until, entry.columns["pause_note"], began.changed_by)


# Everything


def pause_all(context: Context, note: str | None = None, until: Moment | None = None) -> AllPaused:
    """No entry fires from now on; what is recorded already is still published, and a trigger still runs.

    A pause of everything that there is already gets this end and note, where they are given. Raises
    FieldError.
    """
    with context.database.write() as transaction:
        now = context.database.now(transaction)
        end = None if until is None else _end(until, now, context.timezone)
        before = pauses.open_pause(transaction, now)
        if before is None:
            made = pauses.pause(transaction, now, note or None, context.who, end)
        else:
            kept_note = before.note if note is None else note or None
            kept_end = before.until if until is None else end
            made = StoredPause(before.since, kept_end, kept_note, before.who)
            if made != before:
                pauses.change(transaction, now, kept_end, kept_note)
        if made != before:
            detail = {"until": made.until and format_instant(made.until), "note": made.note}
            writing.audit(context, transaction, "pause all", detail)
        return AllPaused(_pause(made), None if before is None else _pause(before))


def resume_all(context: Context) -> Pause | None:
    """Ends the pause of everything, from now on; returns it, None if there was none."""
    with context.database.write() as transaction:
        ended = pauses.resume(transaction, context.database.now(transaction))
        if ended is None:
            return None
        writing.audit(context, transaction, "resume all", {"since": format_instant(ended.since)})
        return _pause(ended)


def all_paused(context: Context) -> Pause | None:
    """The pause of everything, if there is one."""
    with context.database.read() as transaction:
        found = pauses.open_pause(transaction, context.database.now(transaction))
    return None if found is None else _pause(found)


# Steps


def _chosen(transaction: Transaction, names: Sequence[str], globs: bool) -> list[StoredEntry]:
    """By name, and locked."""
    wanted = set(names)
    if globs:
        there = [entry.name for entry in store.find(transaction, names)]
        for name in names:
            if not any(store.matches(other, name) for other in there):
                raise entries.no_entry(transaction, name)
        wanted = set(there)
    found = store.find_named(transaction, sorted(wanted), lock=True)
    for name in sorted(wanted - {entry.name for entry in found}):
        raise entries.no_entry(transaction, name)
    return sorted(found, key=lambda entry: entry.name)


def _switch(
    context: Context,
    transaction: Transaction,
    surroundings: Surroundings,
    pairs: Sequence[tuple[StoredEntry, Mapping[str, Any]]],
    action: str,
) -> list[Switched]:
    now = context.database.now(transaction)
    before = [view(surroundings, entry, now) for entry, _ in pairs]
    writing.update(context, transaction, pairs, action)
    found = {entry.name: entry for entry in store.find_named(transaction, [old.name for old in before])}
    return [Switched(old, view(surroundings, found[old.name], now)) for old in before]


def _paused(
    surroundings: Surroundings, entry: StoredEntry, now: datetime, note: str | None, until: Moment | None
) -> dict[str, Any]:
    columns = dict(entry.columns)
    lasts = is_paused(columns, now, surroundings.default_timezone)
    zone = columns["timezone"] or surroundings.default_timezone
    end = None if until is None else _end(until, now, zone)
    if end is not None:
        columns |= {"enabled": True, "paused_until": format_instant(end)}
    elif until is not None or not lasts:
        columns |= {"enabled": False, "paused_until": None}
    if note is not None or not lasts:
        columns["pause_note"] = note or None
    return columns


def _end(until: Moment, now: datetime, zone: str) -> datetime | None:
    """Raises FieldError."""
    if until == NEVER:
        return None
    end = ahead(until, now, parse_zone(zone), "until").replace(microsecond=0)
    if end <= now:
        raise FieldError("until", str(until), "is in the past", example="2h")
    return end


def _beginning(
    versions: Sequence[history.StoredVersion], now: datetime, default_timezone: str
) -> history.StoredVersion:
    """The version, of those newest first, since which the entry has been paused all the time."""
    began, through = versions[0], now
    for version in versions:
        columns = entries.columns_of(version)
        if version.operation == "delete" or not is_paused(columns, through, default_timezone):
            break
        began, through = version, version.changed_at
    return began


def _pause(stored: StoredPause) -> Pause:
    return Pause(stored.since, stored.until, stored.note, stored.who)
