"""An entry as people see it: its state, its texts, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from beatd.errors import BeatdError, FieldError, InvalidInput
from beatd.operations.options import options_of
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import Surroundings, next_fire_time
from beatd.schedules import parse_instant, parse_zone
from beatd.store.entries import StoredEntry, Timer
from beatd.store.origins import Imported

STATES = ("active", "paused", "completed", "broken")

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as people see it. `options` are those of an entries file; what is at its default is not in.

    `state` is one of STATES; `error` says why an entry is broken. `schedule` and `what` are texts for
    people. `next_fire_time` is None where nothing will come, or nobody knows when: at the next boot, or
    after the run that is under way. `paused_until` and `pause_note` are those of a pause that lasts.
    `origin` says where it was imported from.
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
    paused_until: datetime | None
    pause_note: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    options: Mapping[str, Any]
    origin: Imported | None = None


@dataclass(frozen=True, slots=True)
class _Prospect:
    state: str
    error: str | None = None
    next_fire_time: datetime | None = None
    paused_until: datetime | None = None


def view(surroundings: Surroundings, entry: StoredEntry, now: datetime) -> Entry:
    prospect = _prospect(surroundings, entry, now)
    columns = entry.columns
    return Entry(
        id=entry.id,
        name=entry.name,
        state=prospect.state,
        error=prospect.error,
        schedule=schedule_text(columns),
        what=_what(columns),
        timezone=str(columns["timezone"] or surroundings.default_timezone),
        next_fire_time=prospect.next_fire_time,
        last_fire_time=entry.timer.last_fire_at if entry.timer else None,
        paused_until=prospect.paused_until,
        pause_note=columns["pause_note"] if prospect.state == "paused" else None,
        version=entry.version,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        options=options_of(columns),
        origin=entry.origin,
    )


def definition_of(surroundings: Surroundings, entry: StoredEntry) -> Definition:
    """Raises InvalidInput that names the entry."""
    try:
        return parse_definition(entry.columns, created_at=entry.created_at, surroundings=surroundings)
    except InvalidInput as error:
        raise InvalidInput([finding.at(f"entry {entry.name}") for finding in error.findings]) from error


def is_paused(columns: Mapping[str, Any], at: datetime, default_timezone: str) -> bool:
    """Whether these columns mean a pause at this instant."""
    end = pause_end(columns, default_timezone)
    return not columns["enabled"] or (end is not None and end > at)


def pause_end(columns: Mapping[str, Any], default_timezone: str) -> datetime | None:
    """What `paused_until` says; None where it says nothing that can be read."""
    if columns["paused_until"] is None:
        return None
    try:
        zone = parse_zone(columns["timezone"] or default_timezone)
        return parse_instant(columns["paused_until"], zone, "paused_until")
    except FieldError:
        return None


def _prospect(surroundings: Surroundings, entry: StoredEntry, now: datetime) -> _Prospect:
    """A timer that was planned from this version has it; else it is found here, so that an edit shows at
    once, and so does the end of a pause.
    """
    timer = entry.timer if entry.timer and entry.timer.version == entry.version else None
    if timer and (told := _told(timer, entry.columns["paused_until"] is not None, now)):
        return told
    try:
        definition = definition_of(surroundings, entry)
    except BeatdError as error:
        return _Prospect("broken", str(error))
    if not definition.enabled:
        return _Prospect("paused")
    timing = definition.timing
    if timing.max_runs is not None and entry.timer and entry.timer.runs_made >= timing.max_runs:
        return _Prospect("completed")
    until = definition.paused_until
    if until is not None and until > now:
        return _Prospect("paused", None, next_fire_time(timing.schedule, until - _TICK), until)
    if timing.fixed_delay and timer:
        return _Prospect("active", None, timer.next_fire_at)
    coming = next_fire_time(timing.schedule, now)
    return _Prospect("completed" if coming is None and not timing.at_boot else "active", None, coming)


def _told(timer: Timer, paused_until: bool, now: datetime) -> _Prospect | None:
    """What the timer knows for certain."""
    if timer.state in ("broken", "completed"):
        return _Prospect(timer.state, timer.error)
    if paused_until:
        return None
    if timer.state == "paused":
        return _Prospect("paused")
    if timer.next_fire_at is None or timer.next_fire_at > now:
        return _Prospect("active", None, timer.next_fire_at)
    return None


def schedule_text(columns: Mapping[str, Any]) -> str:
    """When an entry fires, in its own words."""
    texts = [
        ("{}", "cron"),
        ("every {}", "every"),
        ("at {}", "at"),
        ("every {}", "calendar_every"),
        ("on day {}", "day"),
        ("at {}", "time"),
        ("{}", "solar"),
        ("{}", "custom"),
    ]
    return " ".join(form.format(columns[key]) for form, key in texts if columns[key] is not None)


def _what(columns: Mapping[str, Any]) -> str:
    options = options_of(columns)
    return str(options.get("shell") or options.get("http") or columns["task"])
