"""Time zones by their IANA names."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from beatd.errors import did_you_mean, nearest

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")

# What else lies among the zone files: copies, and names for "whatever this machine has".
_NOT_A_ZONE = re.compile(r"(posix|right)/|(localtime|posixrules|Factory)$")


def parse(name: str) -> ZoneInfo:
    """The zone of this name, from the machine's zone data or else tzdata's.

    Raises ValueError, whose text goes on from the name and value of a field, with zones that may have
    been meant.
    """
    if _NAME.fullmatch(name) and not _NOT_A_ZONE.match(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise ValueError(f"is not an IANA time zone{did_you_mean(_near(name.lower().replace(' ', '_')))}")


def _near(wanted: str) -> list[str]:
    """Up to three zones: the one of this name in another case, or like it, or whose city is like it."""
    zones = {zone.lower(): zone for zone in available_timezones() if not _NOT_A_ZONE.match(zone)}
    if wanted in zones:
        return [zones[wanted]]
    cities = {zone.rpartition("/")[2]: zones[zone] for zone in sorted(zones, reverse=True)}
    city = wanted.rpartition("/")[2]
    near = [cities[match] for match in nearest(city, cities, cutoff=0.85)]
    near += [zones[match] for match in nearest(wanted, zones, 3, cutoff=0.75)]
    return list(dict.fromkeys(near))[:3]
