"""What happens to runs that somebody outside may want to be told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from beatd.planning.look import Suppression
from beatd.redaction import redact
from beatd.store.hooks import Closed
from beatd.store.reported import Told
from beatd.store.runs import OutboxRun

Kind = Literal["run.succeeded", "run.failed", "run.late", "run.missing"]

#: Characters of an error that are sent on.
_SHOWN = 300

#: Reasons for which a fire became no run though it should have: nobody was there to run it in time. The
#: others (overlap, calendar, pause) are what the entry asks for.
_MISSED = ("misfire", "expired")


@dataclass(frozen=True, slots=True)
class Event:
    """`text` says what it is, without the entry's name. `run_id` is None for fires that became no run;
    `count` is how many they are, `fire_time` the newest.
    """

    kind: Kind
    entry_id: int
    fire_time: datetime
    text: str
    run_id: str | None = None
    count: int = 1


Tell = Callable[[Sequence[Event]], None]


def nobody(_: Sequence[Event]) -> None:
    """Where nobody wants to be told."""


def of_reports(told: Iterable[Told], late_after: timedelta) -> list[Event]:
    """What workers told: ends, and starts that were late though the message was not.

    One that was published late was told of then. A run that somebody revoked is no trouble.
    """
    events = []
    for run in told:
        if run.first_start is not None and run.published_at is not None:
            published_late = run.published_at - run.due_time > late_after
            if not published_late and run.first_start - run.due_time > late_after:
                by = run.first_start - run.due_time
                events.append(_late(run.entry_id, run.id, run.fire_time, by, "started"))
        if run.state == "succeeded":
            events.append(Event("run.succeeded", run.entry_id, run.fire_time, "succeeded", run.id))
        elif run.state == "failed":
            events.append(Event("run.failed", run.entry_id, run.fire_time, _failed(run.error), run.id))
        elif run.state in ("expired", "lost"):
            text = f"missing: {run.state}, as its worker told"
            events.append(Event("run.missing", run.entry_id, run.fire_time, text, run.id))
    return events


def of_closed(closed: Iterable[Closed]) -> list[Event]:
    return [
        Event("run.missing", run.entry_id, run.fire_time, f"missing: {run.reason}", run.id) for run in closed
    ]


def of_suppressions(suppressions: Iterable[tuple[int, Suppression]]) -> list[Event]:
    """Fires that came and went while no scheduler was there, or none that could work."""
    events = []
    for entry_id, missed in suppressions:
        if missed.reason in _MISSED:
            fires = "a fire was" if missed.count == 1 else f"{missed.count} fires were"
            text = f"missing: {fires} missed ({missed.reason})"
            events.append(Event("run.missing", entry_id, missed.last, text, count=missed.count))
    return events


def published_late(run: OutboxRun, by: timedelta) -> Event:
    return _late(run.entry_id, run.id, run.fire_time, by, "published")


def refused(run: OutboxRun, error: str | None) -> Event:
    """The broker will never take its message."""
    return Event("run.failed", run.entry_id, run.fire_time, _failed(error), run.id)


def _late(entry_id: int, run_id: str, fire_time: datetime, by: timedelta, what: str) -> Event:
    text = f"late: {what} {by.total_seconds():.0f} s after it was due"
    return Event("run.late", entry_id, fire_time, text, run_id)


def _failed(error: str | None) -> str:
    """The last line of a traceback is what it is about."""
    lines = redact(error or "").strip().splitlines()
    return f"failed: {lines[-1].strip()[:_SHOWN]}" if lines else "failed"
