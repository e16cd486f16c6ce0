"""What cronie makes of a zone of its own, `CRON_TZ`, when that zone's clock changes.

It looks at that clock at each minute that passes, and makes up for nothing: a time that is skipped is not
run, and one that comes twice is run twice. Only where the machine's clock changes at the same moments as the
zone's it runs once, for in the hour that the machine's repeats nothing of a fixed time is started. Where they
change at other moments, nothing that an entry can be told does the same: `dropped` finds such times.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.schedules import parse_cron
from beatd.schedules.cron_fields import parse_fields

#: Of one of these, and of the months after it, clocks are compared.
_FIRST = datetime(2024, 1, 15, tzinfo=UTC)
_MONTHS = 120

#: For so long it is looked whether a machine's clock repeats a time that a line has: all that a date comes on
#: any day of the week.
_AHEAD = timedelta(days=366 * 12)
#: What is more cron takes for a clock that was corrected.
_MOST_REPEATED = timedelta(hours=3)
_STEP = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def changes_of(schedule: str, zone: str, machine: str) -> dict[str, str]:
    """The options by which an entry does as cronie does; nothing where it does so by itself: a schedule whose
    minute or hour begins with `*` follows the clock in any case.
    """
    _, minute, hour, *_ = parse_fields(schedule, "any")
    if minute.starts_with_star or hour.starts_with_star or not _ever_changes(zone):
        return {}
    return {"dst_gap": "skip", "dst_fold": "first" if _change_together(zone, machine) else "both"}


def dropped(
    schedule: str, zone: str, machine: str, changes: Mapping[str, str], now: datetime
) -> datetime | None:
    """The first time in the coming years at which cronie does not start what an entry does: of a fixed time,
    while the machine's clock shows once more what it has shown. `changes` are the entry's, of `changes_of`.
    """
    _, minute, hour, *_ = parse_fields(schedule, "any")
    if minute.starts_with_star or hour.starts_with_star or "~" in schedule:
        return None
    fires = parse_cron(
        schedule, ZoneInfo(zone), dst_gap=changes.get("dst_gap"), dst_fold=changes.get("dst_fold")
    )
    for start, end in _repeated(
        machine, now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ):
        if fire := next(fires.fire_times(start - _TICK, end - _TICK), None):
            return fire
    return None


@lru_cache
def _repeated(machine: str, start: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """The stretches in which the machine's clock shows once more what it has shown."""
    zone = ZoneInfo(machine)
    found = []
    for number in range(_AHEAD // _STEP):
        before, after = start + number * _STEP, start + (number + 1) * _STEP
        back = _offset(before, zone) - _offset(after, zone)
        if timedelta(0) < back <= _MOST_REPEATED:
            at = _change(zone, before, after)
            found.append((at, at + back))
    return tuple(found)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute with another offset."""
    old = _offset(before, zone)
    while after - before > timedelta(minutes=1):
        middle = before + timedelta(minutes=(after - before) // timedelta(minutes=2))
        before, after = (middle, after) if _offset(middle, zone) == old else (before, middle)
    return after


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
