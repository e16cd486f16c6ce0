"""What will come of an entry: its fires, and those that a calendar or a pause keeps from running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from beatd.errors import FieldError
from beatd.operations.context import Context
from beatd.operations.entries import existing
from beatd.operations.views import definition_of, view
from beatd.planning.definition import Definition
from beatd.planning.look import Pause
from beatd.planning.preview import Closed, Coming, Withheld, preview, sentence
from beatd.planning.remarks import rule_of
from beatd.planning.timing import Timing
from beatd.planning.wording import zoned
from beatd.schedules import IntervalSchedule, parse_instant
from beatd.store import pauses
from beatd.store.entries import StoredEntry

COUNT = 10
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Upcoming:
    """`timezone` names the zone that the rule is evaluated in, `schedule` is the rule in plain English.

    `fire_times` are those that become runs; `coming` has them with their due times and remarks, and between
    them what becomes none. `runs_left` is what `max_runs` still allows. `note` says what the fires take for
    granted, or why nobody knows them.
    """

    entry: str
    state: str
    timezone: str
    schedule: str
    fire_times: tuple[datetime, ...]
    coming: tuple[Coming | Withheld, ...]
    runs_left: int | None
    note: str | None


def upcoming(
    context: Context, name: str, count: int = COUNT, after: datetime | str | None = None
) -> Upcoming:
    """The next `count` fires strictly after `after` (default: now), as if nothing were paused for the time
    being; a pause that ends by itself is heeded.

    A text without an offset is wall time of the entry's zone. Raises NotFound, InvalidInput.
    """
    if not 1 <= count <= MOST:
        raise FieldError("count", count, f"a whole number from 1 to {MOST}", example=str(COUNT))
    with context.database.read() as transaction:
        entry = existing(transaction, name)
        now = context.database.now(transaction)
        surroundings = context.surroundings(transaction)
        everything = pauses.pauses_since(transaction, now)
    definition = definition_of(surroundings, entry)
    if isinstance(after, str):
        after = parse_instant(after, definition.timezone, "after")
    since = now if after is None else after
    runs_left = _runs_left(definition.timing, entry)
    timing, note = _expected(definition.timing, entry, runs_left)
    coming = (
        []
        if timing is None
        else preview(
            timing, since, count, closed=list(_closed(definition, everything, now)), runs_left=runs_left
        )
    )
    return Upcoming(
        entry=name,
        state=view(surroundings, entry, now).state,
        timezone=definition.timezone.key,
        schedule=sentence(definition.timing),
        fire_times=tuple(item.fire_time for item in coming if isinstance(item, Coming)),
        coming=tuple(coming),
        runs_left=runs_left,
        note=note,
    )


def _runs_left(timing: Timing, entry: StoredEntry) -> int | None:
    if timing.max_runs is None:
        return None
    return max(0, timing.max_runs - (entry.timer.runs_made if entry.timer else 0))


def _expected(timing: Timing, entry: StoredEntry, runs_left: int | None) -> tuple[Timing | None, str | None]:
    """The timing by which to foretell, None where nobody can; and what there is to say of that."""
    if timing.at_boot:
        return None, "nobody knows a boot beforehand"
    if runs_left == 0:
        return None, f"it has made the {timing.max_runs} runs that max_runs allows"
    if not timing.fixed_delay:
        return timing, None
    planned = entry.timer if entry.timer and entry.timer.version == entry.version else None
    rule = rule_of(timing.schedule)
    if planned is None or not isinstance(rule, IntervalSchedule):
        return timing, "as if each run took no time"
    if planned.next_fire_at is None:
        waiting = planned.state == "active"
        return None, "the next fire is counted from the end of the run that is under way" if waiting else None
    last_end = planned.next_fire_at - rule.every
    return replace(timing, schedule=timing.delayed_from(last_end)), "as if each run took no time"


def _closed(definition: Definition, everything: Sequence[Pause], now: datetime) -> Iterator[Closed]:
    zone = definition.timezone
    until = definition.paused_until
    if until is not None and until > now:
        yield Closed(now, until, "paused", f"paused until {zoned(until, zone)}")
    for pause in everything:
        if pause.until is not None:
            why = f"everything is paused until {zoned(pause.until, zone)}"
            yield Closed(pause.since, pause.until, "all paused", why)
