"""Cron on the nights when clocks change, against a model that looks at every minute, and against cronsim."""

from __future__ import annotations

import io
import re
import struct
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from beatd.schedules import Count, parse_cron, parse_zone
from tests.schedules.model import (
    DAY,
    HOUR,
    MINUTE,
    THOROUGH,
    ZONES,
    Model,
    examples,
    expressions,
    shifts,
    utc,
    with_seconds,
    zone_names,
)

# The instant of a shift, and the zone.
NIGHTS = {
    "gap": ("Europe/Berlin", "2026-03-29T01:00Z"),
    "fold": ("Europe/Berlin", "2026-10-25T01:00Z"),
    "western gap": ("America/New_York", "2026-03-08T07:00Z"),
    "western fold": ("America/New_York", "2026-11-01T06:00Z"),
    "gap at midnight": ("America/Sao_Paulo", "2018-11-04T03:00Z"),
    "fold at midnight": ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    "gap of half an hour": ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    "fold of half an hour": ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    "gap at a quarter to": ("Pacific/Chatham", "2026-09-26T14:00Z"),
    "gap of two hours": ("Antarctica/Troll", "2026-03-29T01:00Z"),
    "fold of two hours": ("Antarctica/Troll", "2026-10-25T01:00Z"),
    "gap of three hours": ("Antarctica/Casey", "2009-10-17T18:00Z"),
    "fold of three hours": ("Antarctica/Casey", "2010-03-04T15:00Z"),
    "skipped day": ("Pacific/Apia", "2011-12-30T10:00Z"),
    "repeated day": ("Pacific/Kwajalein", "1969-09-30T13:00Z"),
    "turn of the year": ("Pacific/Enderbury", "1994-12-31T11:00Z"),
    "gap on new year's day": ("Africa/Sao_Tome", "2018-01-01T01:00Z"),
    "fold on new year's day": ("Africa/Sao_Tome", "2019-01-01T01:00Z"),
    "fold on new year's eve": ("Asia/Dhaka", "2009-12-31T17:00Z"),
    "gap that ends an offset with seconds": ("Africa/Monrovia", "1972-01-07T00:44:30Z"),
    "far future": ("Europe/Berlin", "2299-03-26T01:00Z"),
}


policies = st.fixed_dictionaries(
    {
        "dst_gap": st.sampled_from((None, "run_after", "skip")),
        "dst_fold": st.sampled_from((None, "first", "second", "both")),
    }
)


def agree(
    expression: str, zone: ZoneInfo, after: datetime, until: datetime, chosen: dict[str, str | None]
) -> None:
    """The schedule and the model find the same fires, and the schedule counts as many."""
    schedule = parse_cron(expression, zone, **chosen)
    expected = list(Model(expression, zone, chosen["dst_gap"], chosen["dst_fold"]).fire_times(after, until))
    assert list(schedule.fire_times(after, until)) == expected
    assert schedule.count(after, until) == Count(len(expected), exact=True)


def whole(shift: str) -> datetime:
    """The minute of a shift."""
    return utc(shift).replace(second=0)


@pytest.mark.parametrize("night", NIGHTS)
@examples(25)
@given(expression=expressions(), before=st.integers(0, 300), chosen=policies)
def test_a_model_of_every_minute_agrees(
    night: str, expression: str, before: int, chosen: dict[str, str | None]
) -> None:
    zone_name, shift = NIGHTS[night]
    after, until = whole(shift) - before * MINUTE, whole(shift) + 26 * HOUR
    agree(expression, parse_zone(zone_name), after, until, chosen)


@pytest.mark.parametrize("night", NIGHTS)
@examples(3)
@given(expression=with_seconds(), before=st.integers(0, 90), chosen=policies)
def test_a_model_of_every_second_agrees(
    night: str, expression: str, before: int, chosen: dict[str, str | None]
) -> None:
    zone_name, shift = NIGHTS[night]
    after, until = whole(shift) - before * MINUTE, whole(shift) + 100 * MINUTE
    agree(expression, parse_zone(zone_name), after, until, chosen)


@examples(400)
@given(
    expression=expressions(),
    zone_name=zone_names,
    year=st.integers(1970, 2099),
    which=st.integers(0, 3),
    before=st.integers(0, 600),
    chosen=policies,
)
def test_a_model_agrees_in_every_zone_and_year(
    expression: str, zone_name: str, year: int, which: int, before: int, chosen: dict[str, str | None]
) -> None:
    """Around a shift of that year or, where there is none, around any instant of it."""
    zone = parse_zone(zone_name)
    found = shifts(zone, year) or [utc(f"{year}-06-30T00:00Z") + before * DAY / 4]
    middle = found[which % len(found)].replace(second=0)
    agree(expression, zone, middle - before * MINUTE, middle + 9 * HOUR, chosen)


@pytest.mark.parametrize("number", range(10))
def test_every_zone_of_the_database_agrees_with_the_model(number: int) -> None:
    """At all shifts of one year each; with BEATD_THOROUGH at those of all years from 1970 to 2099."""
    for index, zone_name in enumerate(ZONES[number::10]):
        zone = parse_zone(zone_name)
        years = range(1970, 2100) if THOROUGH > 1 else [1970 + (37 * index + 13 * number) % 130]
        for shift in (shift.replace(second=0) for year in years for shift in shifts(zone, year)):
            for expression in ("*/20 0-3,22,23 * * *", "0,45 0,1-23 * * *"):
                agree(expression, zone, shift - 4 * HOUR, shift + 4 * HOUR, DEFAULT)


DEFAULT: dict[str, str | None] = {"dst_gap": None, "dst_fold": None}


def test_the_nights_are_nights_of_a_shift() -> None:
    for zone_name, shift in NIGHTS.values():
        zone = ZoneInfo(zone_name)
        earlier, later = ((utc(shift) + step).astimezone(zone).utcoffset() for step in (-MINUTE, MINUTE * 0))
        assert earlier != later, (zone_name, shift)


@pytest.mark.parametrize(
    # Not J1/0:30: where a fold begins in one year and ends in the other, zoneinfo gives an instant an offset
    # by which its wall time leads to another instant; there is nothing to be right about.
    "end_of_summer",
    ["J2/0:30", "J3/1:30", "J4/0:30", "J363/0:30", "J365/23:30"],
)
@examples(15)
@given(expression=expressions(), before=st.integers(0, 5000), chosen=policies)
def test_shifts_around_new_year(
    end_of_summer: str, expression: str, before: int, chosen: dict[str, str | None]
) -> None:
    """Zones are looked at year by year; nobody may notice."""
    zone = made_up_zone(f"XST0XDT-1,M12.4.0/2,{end_of_summer}")
    until = utc("2031-01-04T06:00Z")
    agree(expression, zone, until - 36 * HOUR - before * MINUTE, until, chosen)


@pytest.mark.parametrize(
    ("end_of_summer", "expression", "fold", "after", "expected"),
    [
        # Asked in the new year, within the second pass of a fold of the old one.
        ("J1/0:30", "15 0 * * *", "first", "2031-01-01T00:05Z", "2031-01-02T00:15Z"),
        # Asked in the old year, about a fold in the first days of the new one.
        ("J3/1:30", "45 0 3 1 *", "second", "2030-12-31T12:00Z", "2031-01-03T00:45Z"),
    ],
)
def test_a_fold_seen_from_the_other_year(
    end_of_summer: str, expression: str, fold: str, after: str, expected: str
) -> None:
    zone = made_up_zone(f"XST0XDT-1,M12.4.0/2,{end_of_summer}")
    assert parse_cron(expression, zone, dst_fold=fold).next_fire_time(utc(after)) == utc(expected)


def made_up_zone(rule: str) -> ZoneInfo:
    """A zone with this POSIX rule and nothing else (RFC 8536, version 2: an empty table and a footer)."""
    empty = (
        b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"XST\0"
    )
    return ZoneInfo.from_file(io.BytesIO(empty + empty + b"\n" + rule.encode() + b"\n"), key="Made/Up")


WEEKDAYS = {"SUNL": 0, "MONL": 1, "FRIL": 5}


# cronsim itself departs from cron where a shift is not of a whole hour, and in wildcard rules where it is at
# midnight (it walks in whole hours, and from midnight): such zones are left to the model.
@examples(150)
@given(
    expression=expressions(),
    zone_name=st.sampled_from(
        ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kathmandu", "UTC")
    ),
    day=st.one_of(
        st.integers(0, 20_000).map(lambda days: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=days)),
        st.sampled_from(
            [
                utc(f"{day}T00:00Z")
                for day in ("2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-10-03")
            ]
        ),
    ),
)
def test_cronsim_agrees(expression: str, zone_name: str, day: datetime) -> None:
    zone = parse_zone(zone_name)
    # Noon is never in a fold, where cronsim answers with the past.
    after = day.astimezone(zone).replace(hour=12, minute=0, fold=0).astimezone(UTC)
    # It reads names, but not before an L.
    numbered = re.sub("SUNL|MONL|FRIL", lambda name: f"{WEEKDAYS[name[0]]}L", expression.upper())
    theirs = [time.astimezone(UTC) for time in islice(CronSim(numbered, after.astimezone(zone)), 40)]
    # cron starts what fires several times at one instant several times; so does cronsim. We fire once.
    expected = sorted(set(theirs))
    ours = parse_cron(expression, zone).fire_times(after)
    assert list(islice(ours, len(expected))) == expected
