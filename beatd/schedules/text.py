"""Durations, instants and zone names, as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from beatd.errors import FieldError
from beatd.schedules.base import as_utc
from beatd.schedules.wallclock import instant_of

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in _UNITS))
_ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")

# What else lies among the zone files: copies, and names for "whatever this machine has".
_NOT_A_ZONE = re.compile(r"(posix|right)/|(localtime|posixrules|Factory)$")


def parse_duration(text: str, field: str) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`, `1w`, or several, largest first: `1h30m`. Longer than nothing.

    Raises FieldError of the given field.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip():
        raise FieldError(field, text, _duration_problem(text.strip()), example="1h30m")
    try:
        duration = sum((int(n) * _UNITS[unit] for unit, n in match.groupdict("0").items()), timedelta(0))
    except OverflowError:
        raise FieldError(field, text, "is longer than can be counted", example="1w") from None
    if duration <= timedelta(0):
        raise FieldError(field, text, "must be longer than nothing", example="30s")
    return duration


def format_duration(duration: timedelta) -> str:
    """What `parse_duration` reads, in as few units as possible: `90m` is `1h30m`, `14d` is `2w`.

    Fractions of a second, which it does not read, come as decimals: `1.5s`. Nothing is `0s`.
    """
    if duration < timedelta(0):
        return "-" + format_duration(-duration)
    week = _UNITS["w"]
    if duration and duration % week == timedelta(0):
        return f"{duration // week}w"
    parts = []
    for unit in "dhms":
        count, duration = divmod(duration, _UNITS[unit])
        if unit == "s" and duration:
            parts.append(f"{count + duration.microseconds / 1_000_000:.6f}".rstrip("0") + "s")
        elif count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


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


def parse_zone(name: str, field: str = "timezone") -> ZoneInfo:
    """The zone of an IANA name, from the machine's zone data or else tzdata's.

    Raises FieldError of the given field, with names that may have been meant.
    """
    if _ZONE_NAME.fullmatch(name) is None or _NOT_A_ZONE.match(name):
        raise _unknown_zone(name, field)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _unknown_zone(name, field) from None


def _duration_problem(text: str) -> str:
    if re.fullmatch(r"[0-9]+", text):
        return f"has no unit; did you mean '{text}s'?"
    if re.fullmatch(r"[0-9]*[.,][0-9]+[a-z]", text):
        return "fractions are not allowed; use a smaller unit"
    return "is not a duration; write whole numbers with s, m, h, d or w, largest unit first"


def _unknown_zone(name: str, field: str) -> FieldError:
    problem = "is not an IANA time zone"
    if near := _zones_near(name.lower().replace(" ", "_")):
        problem += f"; did you mean {' or '.join(repr(zone) for zone in near)}?"
    return FieldError(field, name, problem, example="Europe/Berlin")


def _zones_near(wanted: str) -> list[str]:
    """Up to three zones: the one of this name in another case, or like it, or whose city is like it."""
    zones = {zone.lower(): zone for zone in available_timezones() if not _NOT_A_ZONE.match(zone)}
    if wanted in zones:
        return [zones[wanted]]
    cities = {zone.rpartition("/")[2]: zones[zone] for zone in sorted(zones, reverse=True)}
    city = wanted.rpartition("/")[2]
    near = [cities[match] for match in get_close_matches(city, cities, n=1, cutoff=0.85)]
    near += [zones[match] for match in get_close_matches(wanted, zones, n=3, cutoff=0.75)]
    return list(dict.fromkeys(near))[:3]
