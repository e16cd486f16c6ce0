"""What cronie makes of a zone of its own, `CRON_TZ`, when that zone's clock changes.

It looks at that clock at each minute that passes, and makes up for nothing: a time that is skipped is not
run, and one that comes twice is run twice. Only where the machine's clock changes at the same moments as the
zone's it runs once, for in the hour that the machine's repeats nothing of a fixed time is started.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.schedules.cron_fields import parse_fields

#: Of one of these, and of the months after it, clocks are compared.
_FIRST = datetime(2024, 1, 15, tzinfo=UTC)
_MONTHS = 120


def changes_of(schedule: str, zone: str, machine: str) -> dict[str, str]:
    """The options by which an entry does as cronie does; nothing where it does so by itself: a schedule whose
    minute or hour begins with `*` follows the clock in any case.
    """
    _, minute, hour, *_ = parse_fields(schedule, "any")
    if minute.starts_with_star or hour.starts_with_star or not _ever_changes(zone):
        return {}
    return {"dst_gap": "skip", "dst_fold": "first" if _change_together(zone, machine) else "both"}


def _ever_changes(zone: str) -> bool:
    return not _change_together(zone, "UTC")


@lru_cache
def _change_together(zone: str, other: str) -> bool:
    """Whether the clocks are always as far from each other."""
    if zone == other:
        return True
    one, two = ZoneInfo(zone), ZoneInfo(other)
    months = [_FIRST + timedelta(days=30 * number) for number in range(_MONTHS)]
    return len({_offset(month, one) - _offset(month, two) for month in months}) == 1


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
