"""`beatd verify`: whether every fire of a stretch of the past became what it had to become."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from beatd.checker.tally import Tally, Total
from beatd.errors import FieldError, NotFound, nearest
from beatd.operations.context import Context
from beatd.operations.moments import Moment, ago
from beatd.schedules import format_instant, parse_zone
from beatd.store import entries, evidence
from beatd.store.definitions import Definitions
from beatd.worker import arguments

#: What fired within the last moments may still be on its way.
SETTLED_AFTER = timedelta(minutes=2)

_DEFAULT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Verified:
    """What fired in (since, until] was judged. `cut`: what lies before `since` was asked for, too, but is
    older than the history that is kept. `entries`: how many were looked at.
    """

    since: datetime
    until: datetime
    cut: bool
    entries: int
    total: Total


def verify(
    context: Context,
    *,
    keep: timedelta,
    keep_runs: int,
    since: Moment | None = None,
    until: Moment | None = None,
    entry: str | None = None,
) -> Verified:
    """`keep` and `keep_runs` are how much history retention leaves. `since` is 24 hours ago if not given,
    `until` the latest that is settled. Raises FieldError, NotFound, DatabaseUnavailable, SchemaMismatch.
    """
    zone = parse_zone(context.timezone)
    with context.database.read() as connection:
        now = context.database.now(connection)
        if entry is not None and not evidence.entry_exists(connection, entry):
            raise NotFound("entry", entry, nearest(entry, entries.names(connection)))
        surroundings = context.surroundings(connection)
    begin = now - _DEFAULT if since is None else ago(since, now, zone, "since")
    settled = now - SETTLED_AFTER
    end = settled if until is None else min(ago(until, now, zone, "until"), settled)
    kept = now - keep
    cut, begin = begin < kept, max(begin, kept)
    if begin >= end:
        problem = f"is not before the end, {format_instant(end)}; what fired later is not settled yet"
        raise FieldError("since", format_instant(begin), problem, example="24h")
    definitions = Definitions(surroundings, arguments.check, size=2 * evidence.ENTRIES_A_PAGE)
    tally, count = Tally(), 0
    names = None if entry is None else [entry]
    for page in evidence.pages(context.database, definitions, begin, end, keep_runs=keep_runs, names=names):
        tally.add(page.evidence)
        count += page.entries
    return Verified(begin, end, cut, count, tally.total())
