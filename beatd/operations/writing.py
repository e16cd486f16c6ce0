"""What every edit of entries goes through: the checks, the statement, its signature and the audit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from beatd.errors import FieldError, InvalidInput
from beatd.operations.context import Checks, Context
from beatd.operations.options import TIMING_COLUMNS, Written, argument_option, differing, natural_value
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.examples import EXAMPLES
from beatd.planning.plan import expires_at
from beatd.planning.timing import KINDS, Surroundings, Timing, next_fire_time
from beatd.schedules import format_instant, parse_instant
from beatd.store import entries, history
from beatd.store.entries import StoredEntry, Transaction
from beatd.store.types import json_text

Columns = Mapping[str, Any]


_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def checked(
    context: Checks, surroundings: Surroundings, written: Written, created_at: datetime
) -> Definition:
    """The definition that these columns make. Raises InvalidInput with everything wrong with them."""
    findings = list(written.findings)
    definition = None
    try:
        definition = parse_definition(written.columns, created_at=created_at, surroundings=surroundings)
    except InvalidInput as several:
        said = {finding.field for finding in findings}
        findings += [finding for finding in several.findings if finding.field not in said]
    findings += _argument_findings(context, written.columns)
    findings += _encoding_findings(context, written.columns)
    if definition is None or findings:
        raise InvalidInput(findings)
    return definition


def in_vain(
    definition: Definition, columns: Columns, changed: Collection[str], now: datetime, runs_made: int = 0
) -> FieldError | None:
    """Why nothing will come of an edit of these columns, if so, where that is only worth a word."""
    if finding := _in_vain(definition, columns, changed, now, runs_made):
        return FieldError(finding.field, finding.value, finding.problem)
    return None


def refuse_in_vain(
    definition: Definition, columns: Columns, changed: Collection[str], now: datetime, runs_made: int = 0
) -> None:
    """Raises InvalidInput if nothing will come of an edit of these columns: a mistake of who makes it."""
    if finding := _in_vain(definition, columns, changed, now, runs_made):
        raise InvalidInput([finding])


def _in_vain(
    definition: Definition, columns: Columns, changed: Collection[str], now: datetime, runs_made: int
) -> FieldError | None:
    until = definition.paused_until
    if "paused_until" in changed and until is not None and until <= now:
        example = format_instant(now.replace(microsecond=0) + _DAY)
        return FieldError("paused_until", columns["paused_until"], "is in the past", example=example)
    if TIMING_COLUMNS.isdisjoint(changed) and "paused_until" not in changed:
        return None
    return _never_fires(definition, columns, now, runs_made)


def _never_fires(
    definition: Definition, columns: Columns, now: datetime, runs_made: int
) -> FieldError | None:
    timing = definition.timing
    if timing.at_boot:
        return None
    if timing.max_runs is not None and runs_made >= timing.max_runs:
        problem = f"{runs_made} scheduled runs were made already: the entry would never fire again"
        return FieldError("max_runs", timing.max_runs, problem, example=str(runs_made + 10))
    coming = next_fire_time(timing.schedule, now)
    if coming is None:
        field, problem, example = _over(timing, columns, now)
        problem = f"{problem}: the entry would never fire"
        return FieldError(field, columns[field], problem, example=example)
    until = definition.paused_until
    if until is not None and next_fire_time(timing.schedule, until - _TICK) is None:
        problem, example = "no fire time comes after it", format_instant(coming)
        return FieldError("paused_until", columns["paused_until"], problem, example=example)
    return None


def _over(timing: Timing, columns: Columns, now: datetime) -> tuple[str, str, str | None]:
    """The field because of which no fire time lies ahead, what is wrong with it, and what might be right."""
    later = format_instant(now.replace(microsecond=0) + 365 * _DAY)
    for field in ("end_at", "at"):
        if columns[field] is not None and parse_instant(columns[field], timing.timezone, field) <= now:
            return field, "is in the past", later
    if columns["end_at"] is not None:
        return "end_at", "no fire time comes before it", EXAMPLES["end_at"]
    if columns["calendar"] is not None:
        return "calendar", "no fire time is left by it", None
    kind = next(kind for kind in KINDS if columns[kind] is not None)
    return kind, "has no fire time ahead", EXAMPLES[kind]


def remark(definition: Definition, now: datetime) -> str | None:
    """What is allowed, and probably not what its author expects; None if there is nothing of the kind."""
    if definition.policies.misfire != "all":
        return None
    fire = next_fire_time(definition.schedule, now)
    following = fire and next_fire_time(definition.schedule, fire)
    if not fire or not following:
        return None
    expiry = expires_at(definition, fire, definition.timing.due_time(fire))
    if expiry is None or expiry > following:
        return None
    return (
        f"{definition.name}: misfire = 'all' makes up the newest missed fire alone, for each expires before "
        "the next one comes; let them live longer, for example expires = '7d', or 'never'"
    )


def _argument_findings(context: Checks, columns: Columns) -> list[FieldError]:
    natural = {key: natural_value(key, columns.get(key)) for key in ("args", "kwargs")}
    args, kwargs = natural["args"] or [], natural["kwargs"] or {}
    task = columns.get("task")
    if not isinstance(task, str) or not isinstance(args, list) or not isinstance(kwargs, dict):
        return []
    try:
        context.check_arguments(task, args, kwargs)
    except FieldError as finding:
        option = argument_option(task, finding.field)
        return [FieldError(option, finding.value, finding.problem, example=finding.example)]
    return []


def _encoding_findings(context: Checks, columns: Columns) -> list[FieldError]:
    serializer, compression = columns.get("serializer"), columns.get("compression")
    if serializer is None and compression is None:
        return []
    return context.check_encoding(serializer, compression)


def changes(old: Columns, new: Columns) -> dict[str, tuple[Any, Any]]:
    """The columns that differ in meaning, with their old and new values."""
    return {key: (old.get(key), new.get(key)) for key in differing(old, new)}


def insert(
    context: Context, transaction: Transaction, rows: Sequence[Columns], action: str = "add"
) -> list[StoredEntry]:
    """The new entries. Raises Conflict where a name is taken."""
    entries.add(transaction, rows)
    added = entries.find_named(transaction, [str(row["name"]) for row in rows])
    history.sign(transaction, [(entry.id, entry.version) for entry in added], context.who, context.door)
    _audit(context, transaction, action, [(entry, {}) for entry in added])
    return added


def update(
    context: Context, transaction: Transaction, pairs: Iterable[tuple[StoredEntry, Columns]], action: str
) -> int:
    """Brings entries, which the caller has locked, to new columns; returns how many that changed."""
    changed = []
    for entry, columns in pairs:
        differing_columns = changes(entry.columns, columns)
        if differing_columns:
            changed.append((entry, differing_columns))
    edits = [(entry, {key: new for key, (_, new) in columns.items()}) for entry, columns in changed]
    entries.change(transaction, edits)
    versions = [(entry.id, entry.version + 1) for entry, _ in changed]
    history.sign(transaction, versions, context.who, context.door)
    _audit(context, transaction, action, changed)
    return len(changed)


def delete(context: Context, transaction: Transaction, removed: Sequence[StoredEntry]) -> None:
    entries.remove(transaction, [entry.id for entry in removed])
    versions = [(entry.id, entry.version + 1) for entry in removed]
    history.sign(transaction, versions, context.who, context.door)
    _audit(context, transaction, "remove", [(entry, {}) for entry in removed])


def audit_run(context: Context, transaction: Transaction, action: str, run: history.Run) -> None:
    """Notes what a person did to a run."""
    now = context.database.now(transaction)
    history.audited(transaction, [_audit_row(context, now, action, run.entry_id, run.entry, {"run": run.id})])


def audit_entry(
    context: Context, transaction: Transaction, action: str, entry: StoredEntry, detail: Mapping[str, Any]
) -> None:
    """Notes what a person did with an entry that changed nothing of it."""
    history.audited(
        transaction,
        [_audit_row(context, context.database.now(transaction), action, entry.id, entry.name, detail)],
    )


def audit(context: Context, transaction: Transaction, action: str, detail: Mapping[str, Any]) -> None:
    """Notes what a person did that concerns no one entry."""
    history.audited(
        transaction, [_audit_row(context, context.database.now(transaction), action, None, None, detail)]
    )


def _audit(
    context: Context,
    transaction: Transaction,
    action: str,
    done: Sequence[tuple[StoredEntry, Mapping[str, tuple[Any, Any]]]],
) -> None:
    if done:
        now = context.database.now(transaction)
        rows = [_audit_row(context, now, action, entry.id, entry.name, detail) for entry, detail in done]
        history.audited(transaction, rows)


def _audit_row(
    context: Context,
    now: datetime,
    action: str,
    entry_id: int | None,
    name: str | None,
    detail: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "at": now,
        "who": context.who,
        "door": context.door,
        "action": action,
        "entry_id": entry_id,
        "entry_name": name,
        "detail": json_text(detail) if detail else None,
    }
