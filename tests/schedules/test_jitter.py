"""Jitter: a hash of the entry's name and the fire time, the same everywhere and for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.schedules import jitter_of, parse_zone
from beatd.schedules.hashed import hashed
from tests.schedules.model import utc

FIRE_TIME = utc("2026-03-29T01:00:00Z")
MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("name", "fire_time", "limit", "milliseconds"),
    [
        ("backup", "2026-03-29T01:00:00Z", 60, 38377),
        ("backup", "2026-03-29T02:00:00Z", 60, 59029),
        ("backup", "2026-03-29T01:00:00.250000Z", 60, 33401),
        ("cleanup", "2026-03-29T01:00:00Z", 60, 3901),
        ("backup", "2026-03-29T01:00:00Z", 86400, 67898377),
        ("Größe", "2026-03-29T01:00:00Z", 1, 860),
        ("backup", "2026-03-29T01:00:00Z", 0.001, 0),
        ("backup", "2026-03-29T01:00:00Z", 0.0, 0),
    ],
)
def test_it_is_this_and_stays_so(name: str, fire_time: str, limit: float, milliseconds: int) -> None:
    """Another value here would move every user's runs."""
    assert jitter_of(name, utc(fire_time), timedelta(seconds=limit)) == milliseconds * MILLISECOND


def test_what_is_hashed() -> None:
    expected = hashed("jitter", "backup", "2026-03-29T01:00:00Z") % 60_000
    assert jitter_of("backup", FIRE_TIME, timedelta(minutes=1)) == expected * MILLISECOND


@given(st.text(max_size=20), st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)), st.integers(0, 10**11))
def test_it_stays_below_its_limit_in_whole_milliseconds(
    name: str, naive: datetime, microseconds: int
) -> None:
    fire_time, limit = naive.replace(tzinfo=parse_zone("UTC")), timedelta(microseconds=microseconds)
    jitter = jitter_of(name, fire_time, limit)
    assert timedelta(0) <= jitter < max(limit, MILLISECOND)
    assert jitter % MILLISECOND == timedelta(0)


def test_the_zone_of_an_instant_does_not_matter() -> None:
    minute = timedelta(minutes=1)
    berlin = FIRE_TIME.astimezone(parse_zone("Europe/Berlin"))
    assert jitter_of("backup", berlin, minute) == jitter_of("backup", FIRE_TIME, minute)


def test_it_spreads_entries_evenly() -> None:
    """Of 6000 entries due at one instant about 100 fall on each second of a minute; sigma is 10."""
    seconds = [0] * 60
    for number in range(6000):
        jitter = jitter_of(f"entry-{number}", FIRE_TIME, timedelta(minutes=1))
        seconds[int(jitter.total_seconds())] += 1
    assert min(seconds) > 60
    assert max(seconds) < 140


def test_it_differs_from_fire_to_fire() -> None:
    fire_times = [FIRE_TIME + timedelta(hours=hours) for hours in range(100)]
    assert len({jitter_of("backup", fire_time, timedelta(hours=1)) for fire_time in fire_times}) > 95
