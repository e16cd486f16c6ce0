"""The load of many entries: against counting every fire by hand, and literal peaks and suggestions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.planning.agenda import MINUTE, Group, Load, fires_in_order, measure, normalized
from beatd.planning.reading import Reader
from beatd.planning.timing import Surroundings, Timing, parse_timing
from beatd.schedules import IntervalSchedule, OnceSchedule

START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
END = START + timedelta(hours=4)
TICK = timedelta(microseconds=1)


def timing(name: str = "x", created_at: datetime = START - timedelta(days=3), **columns: Any) -> Timing:
    reader = Reader(columns)
    parsed = parse_timing(reader, name, created_at, Surroundings())
    assert parsed is not None, reader.findings
    return parsed


def group(entries: int = 1, prefix: str = "e", **columns: Any) -> Group:
    return Group(timing(**columns), tuple(f"{prefix}{number}" for number in range(entries)))


def by_hand(groups: list[Group]) -> list[int]:
    """Every fire of every entry, one by one."""
    found: Counter[int] = Counter()
    for of in groups:
        for name in of.names:
            own = replace(of.timing, name=name)
            after = START - timedelta(days=2) if of.since is None else of.since - TICK
            for number, fire_time in enumerate(own.schedule.fire_times(after, END)):
                if of.runs_left is not None and number >= of.runs_left:
                    break
                due = own.due_time(fire_time)
                if START <= due < END:
                    found[(due - START) // MINUTE] += 1
    return [found[number] for number in range((END - START) // MINUTE)]


GROUPS: list[list[Group]] = [
    [],
    [group(3, cron="0 * * * *")],
    [group(2, cron="* * * * *"), group(5, prefix="f", cron="*/7 23 * * *")],
    [group(2, cron="30 2 * * *", timezone="Europe/Berlin")],  # in the gap, in the range
    [group(4, cron="*/5 * * * * *")],  # twelve a minute, by arithmetic
    [group(3, every="7s")],
    [group(3, every="90s"), group(2, prefix="f", every="1h"), group(1, prefix="g", every="1d")],
    [group(20, cron="0 * * * *", jitter="30m")],
    [group(5, cron="0 22 * * *", jitter="1h"), group(2, prefix="f", every="10m", jitter="5m")],
    [group(2, at="2026-03-29T00:00Z")],
    [group(2, cron="@reboot")],
    [replace(group(3, cron="*/10 * * * *"), since=START + timedelta(hours=2))],
    [replace(group(3, cron="*/10 * * * *"), since=START - timedelta(minutes=25), runs_left=4)],
    [replace(group(1, cron="* * * * *"), since=START, runs_left=7)],
]


@pytest.mark.parametrize("groups", GROUPS)
def test_the_load_is_what_counting_by_hand_gives(groups: list[Group]) -> None:
    load = measure(groups, START, END)
    assert list(load.minutes) == by_hand(groups)
    assert load.fires == sum(load.minutes)


def test_what_fires_very_often_with_jitter_is_counted_at_its_fires() -> None:
    """The jitter is less than the distance between two, and the sum is the same."""
    load = measure([group(3, every="20s", jitter="15s")], START, END)
    assert load.fires == 3 * 4 * 60 * 3


@given(st.integers(1, 4000), st.integers(0, 10_000_000), st.booleans())
def test_intervals_that_fire_in_the_same_minutes_are_one_rule(every: int, before: int, own: bool) -> None:
    anchor = START - timedelta(milliseconds=before + 1)
    schedule = IntervalSchedule(timedelta(seconds=every), anchor, include_anchor=own)
    same = normalized(schedule, START)
    minutes = [
        [(fire - START) // MINUTE for fire in rule.fire_times(START - TICK, END - TICK)]
        for rule in (schedule, same)
    ]
    assert minutes[0] == minutes[1]
    assert normalized(same, START) == same


def test_of_intervals_begun_at_any_instant_few_are_left() -> None:
    begun = [START - timedelta(hours=1, milliseconds=37 * number) for number in range(1000)]
    for every, kinds in ((30, 2), (90, 3), (300, 2), (3600, 2)):
        rules = {normalized(IntervalSchedule(timedelta(seconds=every), at), START) for at in begun}
        assert len(rules) <= kinds


def test_what_has_not_begun_or_is_no_interval_stays() -> None:
    ahead = IntervalSchedule(timedelta(minutes=5), START + timedelta(hours=1))
    once = OnceSchedule(START)
    for rule in (ahead, once):
        assert normalized(rule, START) is rule


def test_longer_stretches() -> None:
    assert measure([group(2, cron="0,30 * * * *")], START, END).by(60) == [4, 4, 4, 4]
    assert Load(START, (1, 2, 3, 4, 5)).by(2) == [3, 7, 5]


# In order


def test_every_fire_in_order() -> None:
    half_past, halves = group(2, prefix="b", cron="30 22 * * *"), group(1, prefix="a", every="30m")
    groups = [half_past, halves, group(cron="@reboot")]
    listed = [f"{fire.fire_time:%H:%M} {fire.entry}" for fire in fires_in_order(groups, START, END)]
    assert listed == [
        "22:00 a0",
        "22:30 a0",
        "22:30 b0",
        "22:30 b1",
        *(f"{hour}:{minute} a0" for hour in ("23", "00", "01") for minute in ("00", "30")),
    ]
    [first, *_] = fires_in_order([group(1, prefix="j", cron="0 23 * * *", jitter="10m")], START, END)
    own = timing("j0", cron="0 23 * * *", jitter="10m")
    assert first.due_time == own.due_time(first.fire_time) > first.fire_time


# Peaks


def test_an_even_load_has_no_peak() -> None:
    load = measure([group(50, cron="* * * * *")], START, END)
    assert (load.peaks, load.suggestions) == ((), ())


def test_the_worst_minutes_are_named_with_what_is_in_them() -> None:
    groups = [
        group(40, prefix="hourly", cron="0 * * * *"),
        group(30, prefix="late", cron="0 23 * * *"),
        group(2, prefix="tick", cron="* * * * *"),
    ]
    load = measure(groups, START, END)
    worst = load.peaks[0]
    assert (worst.minute, worst.fires) == (START + timedelta(hours=1), 72)
    assert [(share.schedule, share.entries, share.fires) for share in worst.shares] == [
        ("every hour, UTC", 40, 40),
        ("at 23:00 every day, UTC", 30, 30),
        ("every minute, UTC", 2, 2),
    ]
    assert worst.shares[0].names == ("hourly0", "hourly1", "hourly10", "hourly11", "hourly12")
    assert [peak.fires for peak in load.peaks] == [72, 42, 42]
    # both rules have minute 0
    [suggestion] = load.suggestions
    assert suggestion.text == (
        "70 of the 72 fires come of minute 0 in cron: H in its place spreads them over 60 minutes, "
        "about 1 in each"
    )
    assert (suggestion.entries, suggestion.example) == (70, "hourly0")
    assert suggestion.options == {"cron": "H * * * *"}


SUGGESTED: list[tuple[list[dict[str, Any]], list[dict[str, str]]]] = [
    ([{"cron": "@hourly"}], [{"cron": "H * * * *"}]),
    ([{"cron": "15 3 * * 1-5"}], []),  # not in the range
    ([{"cron": "15 23 * * *"}], [{"cron": "H 23 * * *"}]),
    ([{"cron": "0,30 * * * *"}], [{"cron": "H/30 * * * *"}]),
    ([{"cron": "*/15 * * * *"}], [{"cron": "H/15 * * * *"}]),
    ([{"cron": "30 0 23 * * *"}], [{"cron": "30 H 23 * * *"}]),
    ([{"cron": "0,7 23 * * *"}], [{"jitter": "10m"}]),
    ([{"every": "1h", "start_at": "2026-03-28T22:10Z"}], [{"jitter": "30m"}]),
    ([{"at": "2026-03-28T23:00Z"}], [{"jitter": "10m"}]),
    ([{"cron": "0 * * * *", "jitter": "1m"}], []),  # spread as far as its people want
    ([{"cron": "H * * * *"}], []),  # all of one name here; by many they are spread
    (
        [{"cron": "0 * * * *"}, {"every": "4h", "start_at": "2026-03-28T23:00Z"}],
        [{"cron": "H * * * *"}, {"jitter": "60m"}],
    ),
]


@pytest.mark.parametrize(("rules", "options"), SUGGESTED)
def test_what_is_suggested(rules: list[dict[str, Any]], options: list[dict[str, str]]) -> None:
    groups = [group(50, prefix=f"g{number}-", **rule) for number, rule in enumerate(rules)]
    load = measure(groups, START, END)
    assert [suggestion.options for suggestion in load.suggestions] == options


@pytest.mark.parametrize("options", [{"cron": "H * * * *"}, {"cron": "0 * * * *", "jitter": "59m"}])
def test_who_follows_a_suggestion_has_an_even_load(options: dict[str, str]) -> None:
    names = [f"e{number}" for number in range(600)]
    groups = [Group(timing(name, **options), (name,)) for name in names]
    before = measure([Group(timing(cron="0 * * * *"), tuple(names))], START, END)
    assert before.peaks[0].fires == 600
    after = measure(groups, START, END)
    assert max(after.minutes) < 30
