"""The sun: against almanacs, against astral where that is right, and where it is not."""

from __future__ import annotations

import math
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from astral import Observer
from astral import sun as astral_sun
from hypothesis import assume, given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import SolarSchedule, parse_solar, parse_zone
from tests.schedules.model import utc

MINUTE = timedelta(minutes=1)
EVENTS = st.sampled_from(["sunrise", "sunset", "dawn", "dusk", "noon"])
DAYS = st.dates(date(1970, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("event", "latitude", "longitude", "zone", "day", "almanac"),
    [
        ("sunrise", "52.52", "13.405", "Europe/Berlin", "2026-06-21", "04:43"),
        ("sunset", "52.52", "13.405", "Europe/Berlin", "2026-06-21", "21:33"),
        ("sunrise", "52.52", "13.405", "Europe/Berlin", "2026-12-21", "08:15"),
        ("sunset", "52.52", "13.405", "Europe/Berlin", "2026-12-21", "15:54"),
        ("dawn", "52.52", "13.405", "Europe/Berlin", "2026-06-21", "03:52"),
        ("sunrise", "40.7128", "-74.006", "America/New_York", "2026-07-04", "05:30"),
        ("dusk", "40.7128", "-74.006", "America/New_York", "2026-07-04", "21:04"),
        ("sunrise", "-33.87", "151.21", "Australia/Sydney", "2026-12-21", "05:41"),
        ("sunset", "-33.87", "151.21", "Australia/Sydney", "2026-12-21", "20:05"),
        # The equation of time at its two ends, at Greenwich
        ("noon", "51.4779", "0", "UTC", "2026-11-03", "11:43:33"),
        ("noon", "51.4779", "0", "UTC", "2026-02-11", "12:14:13"),
        # Both sides of the date line
        ("sunrise", "-18.14", "178.44", "Pacific/Fiji", "2026-03-20", "06:10"),
        ("sunrise", "51.88", "-176.65", "America/Adak", "2026-03-20", "08:48"),
    ],
)
def test_almanac(event: str, latitude: str, longitude: str, zone: str, day: str, almanac: str) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=parse_zone(zone))
    fire_time = parse_solar(event, latitude, longitude).next_fire_time(begin)
    assert fire_time is not None
    assert abs(fire_time - datetime.fromisoformat(f"{day}T{almanac}").replace(tzinfo=begin.tzinfo)) <= MINUTE


def test_polar_night_and_midnight_sun_have_no_events() -> None:
    """In Tromsø the sun stays away from late November to mid January, and up from mid May to late July."""
    sunrise = parse_solar("sunrise", "69.65", "18.96")
    assert next_date(sunrise, "2026-11-20T00:00Z") == "2026-11-20"
    assert next_date(sunrise, "2026-11-28T00:00Z") == "2027-01-15"
    sunset = parse_solar("sunset", "69.65", "18.96")
    assert next_date(sunset, "2026-05-10T00:00Z") == "2026-05-10"
    assert next_date(sunset, "2026-05-19T00:00Z") == "2026-07-26"
    noon = parse_solar("noon", "69.65", "18.96")
    assert next_date(noon, "2026-12-21T00:00Z") == "2026-12-21"


@pytest.mark.parametrize("latitude", ["90", "-90"])
@pytest.mark.parametrize("event", ["sunrise", "sunset", "dawn", "dusk"])
def test_at_the_poles_the_sun_rises_once_to_three_times_a_year(event: str, latitude: str) -> None:
    fire_times = parse_solar(event, latitude, "0").fire_times(
        utc("2020-01-01T00:00Z"), utc("2030-01-01T00:00Z")
    )
    assert 10 <= len(list(fire_times)) <= 30


def next_date(schedule: SolarSchedule, after: str) -> str:
    fire_time = schedule.next_fire_time(utc(after))
    return f"{fire_time:%Y-%m-%d}"


@given(EVENTS, st.floats(-60, 60), st.floats(-70, 70), DAYS)
def test_where_no_midnight_of_utc_is_near_astral_agrees(
    event: str, latitude: float, longitude: float, day: date
) -> None:
    try:
        theirs = getattr(astral_sun, event)(Observer(latitude, longitude, 0.0), day)
    except ValueError:
        assume(False)
    ours = SolarSchedule(event, latitude, longitude).next_fire_time(theirs - timedelta(hours=2))
    assert ours is not None
    # Astral takes the equation of time of noon from the day's beginning.
    assert abs(ours - theirs) <= timedelta(seconds=31 if event == "noon" else 1)


@given(EVENTS, st.floats(-90, 90), st.floats(-180, 180), DAYS, st.times())
def test_events_are_whole_seconds_a_day_apart_wherever_the_search_starts(
    event: str, latitude: float, longitude: float, day: date, at: datetime
) -> None:
    schedule = SolarSchedule(event, latitude, longitude)
    after = datetime.combine(day, at, UTC)
    fire_times = list(schedule.fire_times(after, after + timedelta(days=40)))
    for before, fire_time in pairwise([after, *fire_times]):
        assert fire_time > before
        assert fire_time.microsecond == 0
        assert fire_time.tzinfo is UTC
        assert schedule.next_fire_time(before + (fire_time - before) / 3) == fire_time
        assert schedule.next_fire_time(fire_time - timedelta(microseconds=1)) == fire_time
    if abs(latitude) < 50 or event == "noon":
        assert len(fire_times) in (39, 40, 41)
        assert all(timedelta(hours=23.9) < b - a < timedelta(hours=24.1) for a, b in pairwise(fire_times))


def test_astral_alone_errs_where_sunrise_crosses_midnight_of_utc() -> None:
    """The reason why its ready-made sunrise is not used: in Dhaka it has one twice, and misses another."""
    dhaka = (23.81, 90.41)
    days = (date(2026, 1, 1) + timedelta(days=number) for number in range(365))
    theirs = [astral_sun.sunrise(Observer(*dhaka, 0.0), day) for day in days]
    distances = [later - earlier for earlier, later in pairwise(theirs)]
    assert min(distances) < MINUTE
    assert max(distances) > timedelta(hours=47)

    ours = list(SolarSchedule("sunrise", *dhaka).fire_times(theirs[0] - MINUTE, theirs[-1] + MINUTE))
    distances = [later - earlier for earlier, later in pairwise(ours)]
    assert timedelta(hours=23.9) < min(distances) < max(distances) < timedelta(hours=24.1)


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        (("moonrise", "52.52", "13.405"), "solar", "must be one of sunrise, sunset, dawn, dusk, noon"),
        (("Sunrise", "52.52", "13.405"), "solar", "must be one of"),
        (("sunrise", "90.1", "13.405"), "latitude", "degrees from -90 to 90"),
        (("sunrise", "52.52", "-180.5"), "longitude", "degrees from -180 to 180"),
        (("sunrise", "52,52", "13.405"), "latitude", "degrees from -90 to 90"),
        (("sunrise", "52.52N", "13.405"), "latitude", "degrees from -90 to 90"),
        (("sunrise", "nan", "13.405"), "latitude", "degrees from -90 to 90"),
        (("sunrise", "52.52", ""), "longitude", "degrees from -180 to 180"),
    ],
)
def test_refused(given: tuple[str, str, str], field: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        parse_solar(*given)
    assert refusal.value.field == field
    assert problem in refusal.value.problem


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "astral", None)
    with pytest.raises(
        FieldError, match=r"^solar: 'sunrise': needs the extra 'solar': pip install 'beatd\[solar\]'"
    ):
        parse_solar("sunrise", "52.52", "13.405")


def test_it_ends_with_the_series_of_astronomy() -> None:
    noon = parse_solar("noon", "0", "0")
    assert noon.next_fire_time(utc("9999-12-31T00:00Z")) is None
    first = noon.next_fire_time(datetime.min.replace(tzinfo=UTC))
    assert first is not None
    assert math.isclose(first.hour + first.minute / 60, 12, abs_tol=0.3)


def test_equal_rules_are_equal() -> None:
    assert parse_solar("noon", "50", "+13.40") == parse_solar("noon", "50.0", "13.4")
    assert hash(parse_solar("noon", "50", "13.4")) == hash(parse_solar("noon", "50.0", "13.40"))
    assert parse_solar("noon", "50", "13.4") != parse_solar("dawn", "50", "13.4")
