"""Why an entry did or did not run: gathers the records that tell it, which `planning.explain` reads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from beatd.operations.context import Context
from beatd.operations.entries import columns_of, told, versions_of
from beatd.operations.moments import Moment, ago
from beatd.planning.explain import (
    Explanation,
    Fire,
    Records,
    Version,
    explain_fire,
    explain_next,
    explain_quiet,
    explain_run,
    explain_suppressed,
    fires_between,
)
from beatd.planning.wording import zoned_and_utc
from beatd.schedules import parse_zone
from beatd.schedules.text import parse_date, parse_time
from beatd.schedules.wallclock import instant_of
from beatd.store import definitions, health, history, pauses, timers
from beatd.store.entries import Transaction
from beatd.store.history import Run, StoredVersion
from beatd.worker import arguments

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

_SOON = timedelta(seconds=1)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")

#: So many fires are explained one by one.
_MOST_AT_ONCE = 3

#: Fires and runs of one day that are looked at.
_MOST_COUNTED = 1500

#: Runs on either side of the instant that tell what happened around it.
_AROUND = 5

_NO_RUN = "without a run"
_BAD = ("failed", "lost", "expired", "revoked", "not settled", _NO_RUN)


@dataclass(frozen=True, slots=True)
class Answer:
    """`asked` is the stretch of time that was asked about, None where it was the present. `summary` tells of
    a day with many fires.
    """

    entry: str
    timezone: str
    asked: tuple[datetime, datetime] | None
    summary: str | None
    explanations: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """f with start <= f < end; of several fires the one nearest to `instant` is meant, unless it is a day."""

    start: datetime
    end: datetime
    instant: datetime
    day: bool = False


def explain(context: Context, name: str, at: Moment | None = None) -> Answer:
    """Why it did or did not run at a time, or does not run now; also of an entry that was removed.

    `at` is an instant, of which the minute counts, a date, a time of day, or how long ago; without an offset
    it is a wall time of the entry's zone. Raises NotFound, FieldError.
    """
    with context.database.read() as transaction:
        stored = versions_of(transaction, name)
        records = _records(context, transaction, name, stored)
        reader = _Reader(transaction, stored[0].entry_id, records)
        if at is None:
            return Answer(name, records.zone.key, None, None, tuple(reader.explain_now()))
        candidates, remark = _asked(at, records.now, records.zone)
        asked = next((asked for asked in candidates if reader.happened(asked)), candidates[0])
        summary, explanations = reader.explain(asked)
    told = ". ".join(filter(None, (remark, summary))) or None
    return Answer(name, records.zone.key, (asked.start, asked.end), told, tuple(explanations))


# What was asked


def _asked(at: Moment, now: datetime, zone: ZoneInfo) -> tuple[list[_Asked], str | None]:
    """What may be meant: of a wall time that comes twice both; and a word on one that never came."""
    if isinstance(at, str) and _DATE.fullmatch(at.strip()):
        day = parse_date(at.strip(), "at")
        start, end = (instant_of(datetime.combine(date_, time()), zone) for date_ in (day, day + _DAY))
        return [_Asked(start, end, start, day=True)], None
    if isinstance(at, str) and _TIME.fullmatch(at.strip()):
        at = _last_shown(parse_time(at, "at"), now, zone)
    instant = ago(at, now, zone, "at")
    wall = _wall_of(at)
    if wall is None:
        return [_minute(instant)], None
    shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    if shown != wall:
        taken = zoned_and_utc(instant, zone)
        return [_minute(instant)], f"{wall:%Y-%m-%d %H:%M} was skipped in {zone.key}: taken for {taken}"
    again = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return [_minute(instant), *([_minute(again)] if again != instant else [])], None


def _last_shown(at: time, now: datetime, zone: ZoneInfo) -> datetime:
    """The wall time at which a clock in the zone last showed this time of day, as a naive one."""
    today = datetime.combine(now.astimezone(zone).date(), at)
    return today if instant_of(today, zone) <= now else today - _DAY


def _minute(instant: datetime) -> _Asked:
    start = instant.replace(second=0, microsecond=0)
    return _Asked(start, start + _MINUTE, instant)


def _wall_of(at: Moment) -> datetime | None:
    """The wall time that was given, None where it was an instant or a length of time."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at.strip())
        except ValueError:
            return None
    return at if isinstance(at, datetime) and at.tzinfo is None else None


# What is on record


def _records(
    context: Context, transaction: Transaction, name: str, stored: Sequence[StoredVersion]
) -> Records:
    now = context.database.now(transaction)
    surroundings = context.surroundings(transaction)
    reader = definitions.Definitions(surroundings, arguments.check)
    read = reader.get(transaction, [(version.entry_id, version.version) for version in stored])
    versions = [
        _version(version, read[version.entry_id, version.version], changed.changes)
        for version, changed in zip(reversed(stored), reversed(told(stored)), strict=True)
    ]
    nodes = health.known_nodes(transaction)
    lately = now - context.node_timeout
    return Records(
        entry=name,
        now=now,
        zone=_zone(versions, context.timezone),
        versions=versions,
        timer=timers.of_entry(transaction, stored[0].entry_id),
        pauses=pauses.all_pauses(transaction),
        alive=[node for node in nodes if node.heartbeat_at >= lately],
        silent=[node for node in nodes if node.heartbeat_at < lately],
    )


def _version(
    stored: StoredVersion, parsed: definitions.Version, changes: Mapping[str, tuple[Any, Any]]
) -> Version:
    columns = {} if parsed.deleted else columns_of(stored)
    return Version(
        number=stored.version,
        since=stored.changed_at,
        definition=parsed.definition,
        error=parsed.error,
        removed=parsed.deleted,
        enabled=bool(columns.get("enabled", True)),
        note=columns.get("pause_note"),
        who=stored.changed_by,
        door=stored.door,
        changes=tuple(f"{key} {_shown(old)} → {_shown(new)}" for key, (old, new) in changes.items()),
    )


def _shown(value: Any) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def _zone(versions: Sequence[Version], default: str) -> ZoneInfo:
    """The zone of the newest version that can be read."""
    for version in reversed(versions):
        if version.definition is not None:
            return version.definition.timezone
    return parse_zone(default)


class _Reader:
    """Looks up what there is about one entry, in one transaction."""

    def __init__(self, transaction: Transaction, entry_id: int, records: Records) -> None:
        self._transaction = transaction
        self._entry_id = entry_id
        self._records = records

    def happened(self, asked: _Asked) -> bool:
        """Whether something fired or ran then."""
        return bool(self._moments(asked, most=1))

    def explain(self, asked: _Asked) -> tuple[str | None, list[Explanation]]:
        moments = self._moments(asked)
        if not moments:
            return None, [self._explain_quiet(asked)]
        if not asked.day:
            exact = [moment for moment in moments if moment.fire_time == asked.instant]
            nearest = min(moments, key=lambda moment: abs(moment.fire_time - asked.instant))
            chosen = exact or (moments if len(moments) <= _MOST_AT_ONCE else [nearest])
            return None, [self._explain(moment) for moment in chosen]
        if len(moments) <= _MOST_AT_ONCE:
            return None, [self._explain(moment) for moment in moments]
        return self._summarize(asked, moments)

    def explain_now(self) -> Iterator[Explanation]:
        """The last that happened, and what comes."""
        runs = history.runs_where(self._transaction, entry_id=self._entry_id, limit=_AROUND)
        run = next((run for run in runs if run.fire_time <= self._records.now), None)
        record = next(iter(history.suppressed(self._transaction, self._entry_id, 1)), None)
        if record is not None and (run is None or record.last_fire_at > run.fire_time):
            version = self._version(record.version)
            if version is not None:
                dropped = record.reason == "calendar"
                yield self._explain(Fire(record.last_fire_at, version, dropped))
        elif run is not None:
            yield self._explain(run)
        yield explain_next(self._records)

    def _moments(self, asked: _Asked, most: int = _MOST_COUNTED) -> list[Fire | Run]:
        """Fires, and runs that are none of a fire."""
        fires = list(islice(fires_between(self._records, asked.start, asked.end), most))
        runs = history.runs_between(self._transaction, self._entry_id, asked.start, asked.end, most)
        times = {fire.fire_time for fire in fires}
        others = [run for run in runs if run.origin != "schedule" or run.fire_time not in times]
        return sorted([*fires, *others], key=lambda moment: moment.fire_time)

    def _explain(self, moment: Fire | Run) -> Explanation:
        if isinstance(moment, Run):
            return explain_run(self._records, moment, self._version(moment.version), self._who(moment))
        at = moment.fire_time
        runs = history.runs_around(self._transaction, self._entry_id, at, _AROUND)
        covering = history.suppressions_covering(self._transaction, self._entry_id, at)
        return explain_fire(self._records, moment, runs, covering)

    def _explain_quiet(self, asked: _Asked) -> Explanation:
        """Of entries whose fires no rule knows, a record may tell of one."""
        runs = history.runs_around(self._transaction, self._entry_id, asked.start, _AROUND)
        version = self._records.held_at(asked.end)
        timing = version.definition.timing if version and version.definition else None
        if version and timing and (timing.fixed_delay or timing.at_boot):
            for record in history.suppressed(self._transaction, self._entry_id, _MOST_COUNTED, asked.start):
                if record.first_fire_at < asked.end:
                    held = self._version(record.version) or version
                    return explain_suppressed(self._records, record.first_fire_at, held, record, runs)
        return explain_quiet(self._records, asked.start, asked.end, runs)

    def _summarize(self, asked: _Asked, moments: Sequence[Fire | Run]) -> tuple[str, list[Explanation]]:
        """How they went, in numbers, and the first that did not go well in full."""
        runs = history.runs_between(self._transaction, self._entry_id, asked.start, asked.end, _MOST_COUNTED)
        states = {run.fire_time: run.state for run in runs if run.origin == "schedule"}
        suppressed = history.suppressed(self._transaction, self._entry_id, _MOST_COUNTED, asked.start)
        outcomes: list[str] = []
        for moment in moments:
            if isinstance(moment, Run):
                outcomes.append(moment.state)
            elif moment.fire_time in states:
                outcomes.append(states[moment.fire_time])
            elif any(
                record.first_fire_at <= moment.fire_time <= record.last_fire_at for record in suppressed
            ):
                outcomes.append(_NO_RUN)
            else:
                outcomes.append("to come" if moment.fire_time > self._records.now else "not settled")
        told = ", ".join(f"{number} {outcome}" for outcome, number in Counter(outcomes).most_common())
        worth = [moment for moment, outcome in zip(moments, outcomes, strict=True) if outcome in _BAD]
        many = f"{len(moments)}{' or more' if len(moments) == _MOST_COUNTED else ''} fires"
        return f"{many}: {told}", [self._explain(moment) for moment in worth[:_MOST_AT_ONCE]]

    def _version(self, number: int) -> Version | None:
        return next((version for version in self._records.versions if version.number == number), None)

    def _who(self, run: Run) -> str | None:
        """Who triggered it."""
        at = run.recorded_at
        for row in history.audit_of(self._transaction, self._entry_id, at - _SOON, at + _SOON):
            if row.action == "trigger" and run.id in (row.detail or ""):
                return f"{row.who} ({row.door})"
        return None
