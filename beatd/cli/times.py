"""Instants as people read them, in the zone that they think in."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NONE = "–"


def zone_of(name: str | None, default: str = "UTC") -> tzinfo:
    """The zone; UTC where the name, which plain SQL may have made nonsense, is none."""
    try:
        return ZoneInfo(name or default)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def zoned(instant: datetime | None, zone: tzinfo) -> str:
    """`2026-03-29 03:00 CEST`; with seconds where there are any; a dash for none."""
    if instant is None:
        return NONE
    local = instant.astimezone(zone)
    seconds = ":%S" if local.second or local.microsecond else ""
    return local.strftime(f"%Y-%m-%d %H:%M{seconds} %Z")
