"""Backfill: runs for fires of a past range, as if they were due now, one after the other."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from beatd.errors import FieldError, NotFound
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.entries import existing
from beatd.operations.moments import Moment, ago
from beatd.operations.shadow import require_publishing
from beatd.operations.views import definition_of
from beatd.planning.definition import Definition
from beatd.planning.task import run_id
from beatd.schedules import format_instant
from beatd.store import ends, history, schema
from beatd.store import runs as store
from beatd.store.entries import StoredEntry, Transaction
from beatd.store.models import OPEN_STATES

#: The most runs that one call makes.
MOST = 10_000

#: How fast they follow each other where they may overlap.
RATE = "10/s"

OVERLAPS = ("allow", "queue")

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill made, or would make: runs of these fires, oldest first, marked by `origin`.

    `rate` is None where each waits for the one before. `left_out` counts the fires that have a run already.
    """

    entry: str
    timezone: str
    origin: str
    start: datetime
    end: datetime
    fire_times: tuple[datetime, ...]
    left_out: int
    overlap: str
    rate: str | None


def backfill(
    context: Context,
    name: str,
    start: Moment,
    end: Moment | None = None,
    *,
    overlap: str | None = None,
    rate: str | None = None,
    missing: bool = False,
    dry_run: bool = False,
) -> Backfill:
    """Makes the runs of the fires in [start, end] by the entry's present rule; `end` is now if not given.

    Instants may be texts, or say how long ago. With overlap `allow` (the default if it is the entry's) they
    are published `rate` at a time, `10/s`, `30/m` or `100/h`; with `queue` each waits for the end of the one
    before. `missing` leaves out fires that have a run which succeeded or may still. They never expire, and
    may be made of a paused entry. Raises NotFound, InvalidInput if the entry is broken, FieldError, Conflict
    in shadow mode.
    """
    with context.database.read() if dry_run else context.database.write() as transaction:
        entry = existing(transaction, name, lock=not dry_run)
        definition = definition_of(context.surroundings(transaction), entry)
        now = context.database.now(transaction)
        if not dry_run:
            require_publishing(context, transaction, now)
        _require_fires(entry, definition)
        first, last = _range(definition, start, end, now)
        overlap = _overlap(context, definition, overlap)
        interval = _interval(overlap, rate)
        fire_times, left_out = _fires(transaction, entry, definition, first, last, missing)
        made = Backfill(
            entry=name,
            timezone=definition.timezone.key,
            origin=f"backfill:{uuid.uuid4()}",
            start=first,
            end=last,
            fire_times=fire_times,
            left_out=left_out,
            overlap=overlap,
            rate=None if interval is None else rate or RATE,
        )
        if fire_times and not dry_run:
            if interval is None:
                # before the runs are there: whichever of the entry's runs ends next lets the first go
                ends.await_open(transaction, [entry.id])
            rows = _rows(transaction, made, entry, definition, now, interval)
            store.record_backfill(transaction, list(rows))
            writing.audit_entry(context, transaction, "backfill", entry, _detail(made, missing))
        return made


def revoke(context: Context, origin: str) -> tuple[str, int]:
    """Revokes the runs of a backfill that have not begun, by its mark or the beginning of it; returns the
    mark and how many they were.

    Raises NotFound, FieldError if several begin so.
    """
    if not re.fullmatch(r"backfill:[0-9a-f-]*", origin):
        raise FieldError("backfill", origin, "not the mark of a backfill", example="backfill:7f3a9c")
    with context.database.write() as transaction:
        found = history.unbegun_origins(transaction, origin)
        if not found:
            raise NotFound("run that waits of", origin)
        if len(found) > 1:
            raise FieldError("backfill", origin, "several begin so; give more of it", example=found[0])
        reason = f"revoked by {context.who}"
        count = history.revoke_unbegun(transaction, found[0], context.database.now(transaction), reason)
        writing.audit(context, transaction, "revoke backfill", {"origin": found[0], "runs": count})
    return found[0], count


def _require_fires(entry: StoredEntry, definition: Definition) -> None:
    if definition.timing.at_boot:
        problem, run_now = "a boot entry has no fire times in the past", f"beatd entry trigger {entry.name}"
        raise FieldError("cron", entry.columns["cron"], problem, example=run_now)
    if definition.timing.fixed_delay:
        problem = "its fires hang on the ends of its runs: there are no others to make up"
        raise FieldError("fixed_delay", True, problem, example=f"beatd entry trigger {entry.name}")


def _overlap(context: Context, definition: Definition, overlap: str | None) -> str:
    if overlap is None:
        overlap = "allow" if definition.policies.overlap == "allow" else "queue"
    if overlap not in OVERLAPS:
        raise FieldError("overlap", overlap, f"one of {', '.join(OVERLAPS)}", example=OVERLAPS[0])
    if overlap == "queue" and not context.reports:
        problem = "needs workers that report, and celery.reports is false; allowed is 'allow'"
        raise FieldError("overlap", overlap, problem, example="allow")
    return overlap


def _range(
    definition: Definition, start: Moment, end: Moment | None, now: datetime
) -> tuple[datetime, datetime]:
    first = ago(start, now, definition.timezone, "from")
    last = now if end is None else ago(end, now, definition.timezone, "to")
    if last > now:
        problem = "is in the future: what comes is made by the schedule"
        raise FieldError("to", str(end), problem, example=format_instant(now.replace(microsecond=0)))
    if first > last:
        problem = f"is after the end of the range, {format_instant(last)}"
        raise FieldError("from", str(start), problem, example=format_instant(last - _DAY))
    return first, last


def _interval(overlap: str, rate: str | None) -> timedelta | None:
    """How long after one run the next is due; None if it waits for its end."""
    if overlap == "queue":
        if rate is not None:
            problem = "is for overlap allow; with queue each run waits for the one before"
            raise FieldError("rate", rate, problem, example="overlap = 'allow'")
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([smh])", rate or RATE)
    if found is None:
        problem = "so many runs a second, minute or hour, 1 to 9999: N/s, N/m or N/h"
        raise FieldError("rate", rate, problem, example=RATE)
    return _UNITS[found[2]] / int(found[1])


def _fires(
    transaction: Transaction,
    entry: StoredEntry,
    definition: Definition,
    start: datetime,
    end: datetime,
    missing: bool,
) -> tuple[tuple[datetime, ...], int]:
    """The fire times to make runs of, and how many of the range have one already."""
    known: set[datetime] = set()
    if missing:
        states = (*OPEN_STATES, "succeeded")
        known = history.fire_times_with_runs(transaction, entry.id, start, end, states)
    wanted: list[datetime] = []
    left_out = 0
    for fire_time in definition.schedule.fire_times(start - _TICK, end):
        if fire_time in known:
            left_out += 1
        elif len(wanted) < MOST:
            wanted.append(fire_time)
        else:
            until = format_instant(wanted[-1])
            problem = f"more than {MOST:,} fires came by then, the most of one call; they fit up to {until}"
            raise FieldError("to", format_instant(end), problem, example=until)
    return tuple(wanted), left_out


def _rows(
    transaction: Transaction,
    made: Backfill,
    entry: StoredEntry,
    definition: Definition,
    now: datetime,
    interval: timedelta | None,
) -> Iterator[dict[str, Any]]:
    """With an interval they are in the outbox, each until its time; without, the dispatcher lets them go one
    by one.
    """
    installation = schema.installation_id(transaction)
    common = {
        "entry_id": entry.id,
        "version": entry.version,
        "origin": made.origin,
        "expires_at": None,
        "recorded_at": now,
        "attempt": 0,
        **store.of_definition(definition),
    }
    for number, fire_time in enumerate(made.fire_times):
        due_time = now if interval is None else now + number * interval
        place: dict[str, Any] = {"state": "pending", "lease_until": due_time}
        if interval is None:
            place = {"state": "held", "lease_until": None, "awaited": True}
        id_ = run_id(installation, entry.id, fire_time, made.origin)
        yield {**common, "id": id_, "fire_time": fire_time, "due_time": due_time, **place}


def _detail(made: Backfill, missing: bool) -> dict[str, Any]:
    return {
        "origin": made.origin,
        "from": format_instant(made.start),
        "to": format_instant(made.end),
        "runs": len(made.fire_times),
        "overlap": made.overlap,
        "rate": made.rate,
        "missing": missing,
    }
