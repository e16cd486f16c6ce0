"""What the stories about plans share: an entry, a look at it, and short words for what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from beatd.planning.definition import Definition, parse_definition
from beatd.planning.look import Facts, Pause, Period, Plan
from beatd.planning.plan import plan
from beatd.planning.timing import KINDS, Surroundings
from beatd.schedules import parse_date_set

CREATED = datetime(2026, 3, 1, tzinfo=UTC)
HOLIDAYS = Surroundings(
    calendars={
        "holidays": parse_date_set("2026-03-10 2026-03-11"),
        "weekends": parse_date_set(None, "sat,sun"),
    }
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def entry(**columns: Any) -> Definition:
    """Every hour, unless another kind of schedule is given."""
    given = {"name": "backup", "task": "proj.backup", **columns}
    if not set(KINDS) & set(given):
        given["cron"] = "0 * * * *"
    return parse_definition(given, created_at=CREATED, surroundings=HOLIDAYS)


def look(
    versions: Definition | Sequence[tuple[str, Definition]],
    since: str,
    now: str,
    *,
    pauses: Sequence[Pause] = (),
    **facts: Any,
) -> Plan:
    """One look at an entry that was planned up to `since`; its versions with the instants they hold from."""
    if isinstance(versions, Definition):
        versions = [("2026-03-01T00:00", versions)]
    periods = [
        Period(number, at(held_from), definition)
        for number, (held_from, definition) in enumerate(versions, 1)
    ]
    return plan(periods, at(since), at(now), Facts(**facts), pauses)


def fires(decided: Plan) -> list[str]:
    return [run.fire_time.strftime("%d %H:%M") for run in decided.runs]


def suppressed(decided: Plan) -> list[tuple[str, int, str, str]]:
    return [
        (s.reason, s.count, s.first.strftime("%d %H:%M"), s.last.strftime("%d %H:%M"))
        for s in decided.suppressions
    ]
