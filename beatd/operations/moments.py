"""Instants as people name them: a time, or how long it is from now."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from beatd.schedules import parse_duration, parse_instant

Moment = datetime | timedelta | str


def ago(given: Moment, now: datetime, timezone: ZoneInfo, field: str) -> datetime:
    """`2h`: two hours before now. A time without an offset is a wall time of the zone. Raises FieldError."""
    span = _span(given, field)
    return _instant(given, timezone, field) if span is None else now - span


def ahead(given: Moment, now: datetime, timezone: ZoneInfo, field: str) -> datetime:
    """`2h`: two hours from now. Otherwise as `ago`."""
    span = _span(given, field)
    return _instant(given, timezone, field) if span is None else now + span


def _span(given: Moment, field: str) -> timedelta | None:
    if isinstance(given, str) and given[:1].isdigit() and given[-1:].isalpha() and not given.endswith("Z"):
        return parse_duration(given, field)
    return given if isinstance(given, timedelta) else None


def _instant(given: Moment, timezone: ZoneInfo, field: str) -> datetime:
    text = given.isoformat() if isinstance(given, datetime) else str(given)
    return parse_instant(text, timezone, field)
