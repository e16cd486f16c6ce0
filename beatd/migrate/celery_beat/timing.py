"""When an entry of beat runs, as the options of an entry here.

beat counts an interval from the run before, and so drifts; here it is anchored. With `relative` beat rounds
the next run down to whole minutes, hours or days of the zone's clock: such an interval is as many whole units
as it has, from a boundary on. Which of several boundaries hung on when beat was started; here it is midnight.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from beatd.broker.periodic import Clocked, Crontab, Every, Rule, Solar
from beatd.errors import FieldError
from beatd.migrate.celery_beat.crontab import expression, mistake
from beatd.migrate.celery_beat.daylight import daylight
from beatd.schedules import format_duration, format_instant

_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86_400))
_MOST_DAYS = 1000

#: A midnight that every entry can be counted from, in winter on the one half of the Earth.
_ANCHOR = "2025-01-01T00:00:00"

#: Celery's events that beatd has, too.
_EVENTS = {
    "sunrise": "sunrise",
    "sunset": "sunset",
    "solar_noon": "noon",
    "dawn_civil": "dawn",
    "dusk_civil": "dusk",
}


def options_of(rule: Rule, now: datetime) -> tuple[dict[str, Any], list[str]]:
    """The options, and what a person should know of them. Raises FieldError for what cannot be kept."""
    match rule:
        case Crontab():
            return _crontab(rule, now)
        case Every():
            return _every(rule)
        case Solar():
            return _solar(rule), []
        case Clocked():
            return {"at": format_instant(rule.at)}, []


def _crontab(rule: Crontab, now: datetime) -> tuple[dict[str, Any], list[str]]:
    text = expression(rule)
    dst = daylight(rule, text, now)
    options = {"cron": text, "timezone": rule.timezone, "dst_gap": dst.dst_gap, "dst_fold": dst.dst_fold}
    options |= _late(rule.starting_deadline)
    warnings = [warning for warning in (mistake(rule), dst.differs) if warning]
    return {name: value for name, value in options.items() if value is not None}, warnings


def _late(seconds: float | None) -> dict[str, Any]:
    """How late a run may still start."""
    if seconds is None:
        return {}
    whole = math.ceil(seconds)
    return {"misfire_grace": format_duration(timedelta(seconds=whole))} if whole > 0 else {"misfire": "skip"}


def _every(rule: Every) -> tuple[dict[str, Any], list[str]]:
    if rule.every <= timedelta(0):
        problem = "beat runs it again and again without a pause"
        raise FieldError("schedule", str(rule), problem, example="timedelta(seconds=10)")
    if rule.relative and rule.every >= _MINUTE:
        return _rounded(rule)
    if rule.every % _SECOND:
        problem = "only whole seconds are counted"
        nearest = max(1, round(rule.every.total_seconds()))
        raise FieldError("schedule", str(rule), problem, example=f"timedelta(seconds={nearest})")
    return {"every": format_duration(rule.every)}, []


def _rounded(rule: Every) -> tuple[dict[str, Any], list[str]]:
    unit = next(unit for unit in (_DAY, _HOUR, _MINUTE) if rule.every >= unit)
    units = rule.every // unit
    warnings = []
    if rule.every % unit:
        kept = format_duration(units * unit)
        warnings.append(f"relative: beat rounds each run down, so that it runs every {kept}; kept so")
    if units > 1:
        warnings.append("relative: beat counts from its start, here it is counted from a midnight")
    if unit < _DAY:
        every = {"every": format_duration(units * unit), "start_at": _ANCHOR, "timezone": rule.timezone}
        return every, warnings
    if units > _MOST_DAYS:
        raise FieldError("schedule", str(rule), f"at most {_MOST_DAYS} days are counted by the calendar")
    return {"calendar_every": f"{units}d", "start_at": _ANCHOR, "timezone": rule.timezone}, warnings


def _solar(rule: Solar) -> dict[str, Any]:
    if rule.event not in _EVENTS:
        known = ", ".join(_EVENTS)
        raise FieldError(
            "schedule", str(rule), f"of Celery's events there are {known} here", example="sunset"
        )
    return {
        "solar": _EVENTS[rule.event],
        "latitude": _degrees(rule.latitude),
        "longitude": _degrees(rule.longitude),
    }


def _degrees(number: float) -> str:
    """Without an exponent: 1e-05 is 0.00001."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def before(instant: datetime) -> str:
    """The last second before an instant: beat runs nothing at its `expires` itself, here `end_at` counts."""
    return format_instant(instant.astimezone(UTC) - _SECOND)
