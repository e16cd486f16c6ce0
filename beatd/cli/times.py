"""Instants as people read them, in the zone that they think in."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal

from beatd.clock import wall
from beatd.planning import wording

NONE = "–"


def zone_of(name: str | None, default: str = "UTC") -> tzinfo:
    """The zone; UTC where the name, which plain SQL may have made nonsense, is none."""
    try:
        return ZoneInfo(name or default)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def here() -> tuple[str, tzinfo | None]:
    """The machine's zone by name, as every `astimezone` without one means it."""
    try:
        name = tzlocal.get_localzone_name()
        return name, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        return wall().astimezone().tzname() or "local", None


def plainly(instant: datetime, zone: tzinfo | None) -> str:
    """`2026-03-29 03:00:00`, all equally long, for a table that names its zone above."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def zoned(instant: datetime | None, zone: tzinfo) -> str:
    """`2026-03-29 03:00 CEST`; with seconds where there are any; a dash for none."""
    return NONE if instant is None else wording.zoned(instant, zone)


def with_weekday(instant: datetime, zone: tzinfo) -> str:
    """`Sun 2026-03-29 03:00 CEST`."""
    return f"{instant.astimezone(zone):%a} {wording.zoned(instant, zone)}"
