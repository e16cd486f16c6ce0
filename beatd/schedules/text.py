"""Durations, instants, times of day, dates and zone names, as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from beatd import durations, zones
from beatd.errors import FieldError
from beatd.schedules.base import as_utc
from beatd.schedules.wallclock import instant_of

#: What `parse_duration` reads.
format_duration = durations.format

_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_duration(text: str, field: str) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`, `1w`, or several, largest first: `1h30m`. Longer than nothing.

    Raises FieldError of the given field.
    """
    try:
        duration = durations.parse(text)
    except ValueError as error:
        meant = f"{text.strip()}s"
        example = meant if _is_duration(meant) else "1h30m"
        raise FieldError(field, text, str(error), example=example) from None
    if duration <= timedelta(0):
        raise FieldError(field, text, "must be longer than nothing: 1s or more", example="30s")
    return duration


def _is_duration(text: str) -> bool:
    try:
        return durations.parse(text) > timedelta(0)
    except ValueError:
        return False


def parse_instant(text: str, timezone: ZoneInfo, field: str) -> datetime:
    """ISO 8601 to aware UTC. Without Z or an offset it is a wall time of the zone: of one that comes twice
    the first, of one that is skipped the first instant after the gap.

    Raises FieldError of the given field.
    """
    example = "2026-03-29T09:30:00Z"
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        problem = f"is not a date and time in ISO 8601, with Z or an offset or as wall time of {timezone.key}"
        raise FieldError(field, text, problem, example=example) from None
    try:
        return instant_of(parsed, timezone) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError:
        raise FieldError(field, text, "is out of range; years are 1-9999", example=example) from None


def format_instant(instant: datetime) -> str:
    """`2026-03-29T01:00:00Z`; with microseconds where there are any."""
    return as_utc(instant).replace(tzinfo=None).isoformat() + "Z"


def parse_time(text: str, field: str) -> time:
    """`09:00` or `09:00:30`, a time of day from 00:00 to 23:59:59.

    Raises FieldError of the given field.
    """
    match = _TIME.fullmatch(text.strip())
    try:
        if match:
            hour, minute, second = (int(part or 0) for part in match.groups())
            return time(hour, minute, second)
    except ValueError:
        pass
    problem = "is not a time of day, HH:MM or HH:MM:SS from 00:00 to 23:59:59"
    raise FieldError(field, text, problem, example="09:00")


def format_time(wall: time) -> str:
    """`09:00`; with seconds where there are any."""
    return wall.isoformat("seconds" if wall.second else "minutes")


def parse_date(text: str, field: str) -> date:
    """`2026-12-24`.

    Raises FieldError of the given field.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise FieldError(field, text, "is not a date of the calendar, YYYY-MM-DD", example="2026-12-24")


def parse_choice(value: str, allowed: Sequence[str], field: str) -> str:
    """One of the allowed words.

    Raises FieldError of the given field.
    """
    if value not in allowed:
        raise FieldError(field, value, f"must be one of {', '.join(allowed)}", example=allowed[0])
    return value


def parse_zone(name: str, field: str = "timezone") -> ZoneInfo:
    """The zone of an IANA name, from the machine's zone data or else tzdata's.

    Raises FieldError of the given field, with names that may have been meant.
    """
    try:
        return zones.parse(name)
    except ValueError as error:
        raise FieldError(field, name, str(error), example="Europe/Berlin") from None
