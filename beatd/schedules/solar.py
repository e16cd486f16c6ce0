"""Sunrise, sunset, dawn, dusk and noon at a place on Earth.

The sun's path is astral's. Its ready-made sunrise and its like are not used: they count by dates of UTC, and
where the event is near midnight of UTC they miss one day and know another twice. Here days are counted by the
place's own noon, so that each has at most one event.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.util import find_spec

from beatd.errors import FieldError
from beatd.schedules.base import Schedule, as_utc

#: Event: the zenith distance of the sun's centre in degrees, but for refraction; whether it rises.
_EVENTS: dict[str, tuple[float, bool] | None] = {
    "sunrise": (90.0 + 32.0 / (60.0 * 2.0), True),
    "sunset": (90.0 + 32.0 / (60.0 * 2.0), False),
    "dawn": (96.0, True),
    "dusk": (96.0, False),
    "noon": None,
}
EVENTS = tuple(_EVENTS)

_DECIMAL = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]+)?")

_DAY = timedelta(days=1)
_DAY_MINUTES = 1440.0
#: At the very poles every direction is south; astral stops here, too.
_LARGEST_LATITUDE = 89.8
# Astral's series hold for some millennia; we stop long after.
_FIRST, _LAST = date(1000, 1, 1), date(9000, 1, 1)


def parse_solar(event: str, latitude: str, longitude: str) -> SolarSchedule:
    """The schedule of an event at a place, given as decimal degrees north and east.

    Raises FieldError of the field `solar`, `latitude` or `longitude`; of `solar`, too, where astral is not
    installed.
    """
    if event not in EVENTS:
        raise FieldError("solar", event, f"must be one of {', '.join(EVENTS)}", example="sunrise")
    if find_spec("astral") is None:
        raise FieldError("solar", event, "needs the extra 'solar': pip install 'beatd[solar]'")
    return SolarSchedule(event, _degrees(latitude, "latitude", 90), _degrees(longitude, "longitude", 180))


@dataclass(frozen=True, slots=True)
class SolarSchedule(Schedule):
    """Made by `parse_solar`. Whole seconds; a day without the event (polar night) has no fire. Even at the
    poles every event comes within two years."""

    event: str
    latitude: float
    longitude: float

    def next_fire_time(self, after: datetime) -> datetime | None:
        after = as_utc(after)
        # An event lies at most a day before and after its day, as UTC counts them.
        day = max(after.date(), _FIRST) - 2 * _DAY
        while day < _LAST:
            instant = _instant(self.event, self.latitude, self.longitude, day)
            if instant is not None and instant > after:
                return instant
            day += _DAY
        return None


@lru_cache(maxsize=16384)
def _instant(event: str, latitude: float, longitude: float, day: date) -> datetime | None:
    """The event of the half days before and after the place's own noon of this date."""
    from astral.julian import julianday, julianday_to_juliancentury
    from astral.sun import eq_of_time

    start = julianday(day)
    minutes = _DAY_MINUTES / 2 - 4 * longitude
    for _ in range(3):
        century = julianday_to_juliancentury(start + minutes / _DAY_MINUTES)
        angle = _hour_angle(event, latitude, century)
        if angle is None:
            return None
        minutes = _DAY_MINUTES / 2 - 4 * (longitude + angle) - eq_of_time(century)
    return datetime.combine(day, time.min, UTC) + timedelta(seconds=round(minutes * 60))


def _hour_angle(event: str, latitude: float, century: float) -> float | None:
    """How far, in degrees, the sun stands before its noon; None where it does not reach the height."""
    from astral import SunDirection, refraction_at_zenith
    from astral.sun import hour_angle, sun_declination

    rule = _EVENTS[event]
    if rule is None:
        return 0.0
    zenith, rising = rule
    limited = min(max(latitude, -_LARGEST_LATITUDE), _LARGEST_LATITUDE)
    direction = SunDirection.RISING if rising else SunDirection.SETTING
    try:
        angle = hour_angle(
            limited, sun_declination(century), zenith + refraction_at_zenith(zenith), direction
        )
    except ValueError:
        return None
    return math.degrees(angle)


def _degrees(text: str, field: str, most: int) -> float:
    """Raises FieldError of the given field."""
    if _DECIMAL.fullmatch(text.strip()) and abs(float(text)) <= most:
        return float(text)
    example = "52.52" if field == "latitude" else "13.405"
    raise FieldError(field, text, f"is not a number of degrees from -{most} to {most}", example=example)
