"""What one look at an entry decides, told as stories with a clock that is turned by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.planning.look import Period
from beatd.planning.plan import FIRES_A_LOOK, expires_at, plan
from tests.planning.stories import CREATED, at, entry, fires, look, suppressed


def test_nothing_is_due_yet() -> None:
    decided = look(entry(), "2026-03-10T12:00", "2026-03-10T12:59:59")
    assert decided.runs == decided.suppressions == ()
    assert (decided.last_fire, decided.next_fire) == (None, at("2026-03-10T13:00"))


def test_a_fire_on_time_becomes_a_run_that_expires_at_the_next() -> None:
    decided = look(entry(), "2026-03-10T12:00", "2026-03-10T13:00")
    [run] = decided.runs
    assert (run.fire_time, run.due_time) == (at("2026-03-10T13:00"), at("2026-03-10T13:00"))
    assert run.expires_at == at("2026-03-10T14:00")
    assert decided.next_fire == at("2026-03-10T14:00")
    assert decided.planned_from == at("2026-03-10T13:00")


MISFIRES = [
    # misfire, now, runs, suppressed: the daemon was down from 10:00, the entry fires every hour
    ("latest", "13:30", ["10 13:00"], [("misfire", 2, "10 11:00", "10 12:00")]),
    ("skip", "13:30", [], [("misfire", 3, "10 11:00", "10 13:00")]),
    ("latest", "13:00:30", ["10 12:00", "10 13:00"], [("misfire", 1, "10 11:00", "10 11:00")]),
    ("skip", "13:00:30", ["10 13:00"], [("misfire", 2, "10 11:00", "10 12:00")]),
    ("skip", "13:01:00", ["10 13:00"], [("misfire", 2, "10 11:00", "10 12:00")]),
    ("skip", "13:01:01", [], [("misfire", 3, "10 11:00", "10 13:00")]),
    ("all", "13:30", ["10 11:00", "10 12:00", "10 13:00"], []),
]


@pytest.mark.parametrize(("misfire", "now", "runs", "records"), MISFIRES)
def test_missed_fires_are_settled_by_the_misfire_policy(
    misfire: str, now: str, runs: list[str], records: list[tuple[str, int, str, str]]
) -> None:
    definition = entry(misfire=misfire, expires="never")
    decided = look(definition, "2026-03-10T10:00", f"2026-03-10T{now}")
    assert fires(decided) == runs
    assert suppressed(decided) == records


def test_a_missed_fire_that_has_expired_is_not_run() -> None:
    decided = look(entry(expires="5m"), "2026-03-10T10:00", "2026-03-10T13:30")
    assert decided.runs == ()
    assert suppressed(decided) == [
        ("misfire", 2, "10 11:00", "10 12:00"),
        ("expired", 1, "10 13:00", "10 13:00"),
    ]


def test_misfire_grace_says_how_late_a_fire_may_still_run() -> None:
    definition = entry(misfire="all", misfire_grace="90m", expires="never")
    decided = look(definition, "2026-03-10T10:00", "2026-03-10T13:00:10")
    assert fires(decided) == ["10 12:00", "10 13:00"]
    assert suppressed(decided) == [("misfire", 1, "10 11:00", "10 11:00")]


def test_all_runs_the_newest_of_its_limit_oldest_first() -> None:
    definition = entry(misfire="all", misfire_limit=2, expires="never")
    decided = look(definition, "2026-03-10T04:00", "2026-03-10T13:30")
    assert fires(decided) == ["10 12:00", "10 13:00"]
    assert suppressed(decided) == [("misfire", 7, "10 05:00", "10 11:00")]


def test_a_year_of_missed_minutes_is_one_record_and_one_run() -> None:
    definition = entry(cron="* * * * *", expires="never")
    decided = look(definition, "2026-03-10T10:00", "2027-03-10T10:00:59")
    assert fires(decided) == ["10 09:59", "10 10:00"]
    [record] = decided.suppressions
    assert (record.count, record.exact) == (365 * 24 * 60 - 2, True)
    assert (record.first, record.last) == (at("2026-03-10T10:01"), at("2027-03-10T09:58"))


def test_a_row_of_missed_intervals_is_counted_exactly() -> None:
    decided = look(entry(every="1m", expires="never"), "2026-03-10T10:00", "2026-03-10T12:00:30")
    assert suppressed(decided) == [("misfire", 118, "10 10:01", "10 11:58")]
    assert all(record.exact for record in decided.suppressions)


OVERLAPS = [
    # overlap, an earlier run is unfinished, runs, suppressed
    ("allow", True, ["10 11:00", "10 12:00"], []),
    ("skip", True, [], [("overlap", 2, "10 11:00", "10 12:00")]),
    ("skip", False, ["10 11:00"], [("overlap", 1, "10 12:00", "10 12:00")]),
]


@pytest.mark.parametrize(("overlap", "open_run", "runs", "records"), OVERLAPS)
def test_a_run_beside_an_unfinished_one(
    overlap: str, open_run: bool, runs: list[str], records: list[tuple[str, int, str, str]]
) -> None:
    definition = entry(overlap=overlap, misfire="all", expires="never")
    decided = look(definition, "2026-03-10T10:30", "2026-03-10T12:10", open_run=open_run)
    assert fires(decided) == runs
    assert suppressed(decided) == records


EXPIRIES = [
    # columns, seconds after the fire (None: never)
    ({"cron": "0 * * * *"}, 3600),
    ({"every": "10s"}, 30),
    ({"cron": "0 0 1 * *"}, 24 * 3600),
    ({"at": "2026-03-10T12:00:00Z"}, 24 * 3600),
    ({"cron": "0 * * * *", "expires": "5s"}, 5),
    ({"cron": "0 * * * *", "expires": "2h"}, 7200),
    ({"cron": "0 * * * *", "expires": "never"}, None),
]


@pytest.mark.parametrize(("columns", "seconds"), EXPIRIES)
def test_expiry(columns: dict[str, Any], seconds: int | None) -> None:
    fire_time = at("2026-03-10T12:00")
    expiry = expires_at(entry(**columns), fire_time)
    assert expiry == (None if seconds is None else fire_time + timedelta(seconds=seconds))


EXPIRIES_WITH_JITTER = [
    # columns, seconds from the fire to the due time, and to the expiry
    ({"cron": "0 * * * *"}, 3569.999, 3600),
    ({"cron": "0 * * * *"}, 3570.001, 3600.001),
    ({"cron": "0 * * * *"}, 3599.999, 3629.999),
    ({"every": "10s"}, 9.5, 39.5),
    ({"cron": "0 0 1 * *"}, 86_370, 86_400),
    ({"cron": "0 0 1 * *"}, 86_399, 86_429),
    ({"at": "2026-03-10T12:00:00Z"}, 86_399, 86_429),
    ({"cron": "0 * * * *", "expires": "2h"}, 7199, 7200),
    ({"cron": "0 * * * *", "expires": "never"}, 3599, None),
]


@pytest.mark.parametrize(("columns", "due", "seconds"), EXPIRIES_WITH_JITTER)
def test_a_run_that_expires_with_the_next_fire_has_half_a_minute_to_start(
    columns: dict[str, Any], due: float, seconds: float | None
) -> None:
    fire_time = at("2026-03-10T12:00")
    expiry = expires_at(entry(**columns), fire_time, fire_time + timedelta(seconds=due))
    assert expiry == (None if seconds is None else fire_time + timedelta(seconds=seconds))


def test_an_edit_settles_what_was_due_before_it_under_the_old_version() -> None:
    old, new = entry(cron="0 * * * *", expires="never"), entry(cron="30 * * * *", expires="never")
    periods = [Period(1, CREATED, old), Period(2, at("2026-03-10T12:10"), new)]
    decided = plan(periods, at("2026-03-10T11:30"), at("2026-03-10T12:30:10"))
    assert [(run.version, run.fire_time) for run in decided.runs] == [
        (1, at("2026-03-10T12:00")),
        (2, at("2026-03-10T12:30")),
    ]
    assert decided.next_fire == at("2026-03-10T13:30")


def test_missed_fires_on_both_sides_of_an_edit_become_one_run() -> None:
    old, new = entry(cron="0 * * * *", expires="never"), entry(cron="30 * * * *", expires="never")
    periods = [Period(1, CREATED, old), Period(2, at("2026-03-10T12:10"), new)]
    decided = plan(periods, at("2026-03-10T09:30"), at("2026-03-10T14:00"))
    assert fires(decided) == ["10 13:30"]
    assert suppressed(decided) == [
        ("misfire", 2, "10 10:00", "10 11:00"),
        ("misfire", 1, "10 12:30", "10 12:30"),
        ("misfire", 1, "10 12:00", "10 12:00"),
    ]


def test_a_long_row_is_settled_in_several_looks() -> None:
    """Under `all`, 1000 missed minutes and an edit among them: nothing is left out, nothing comes twice."""
    columns = {"cron": "* * * * *", "misfire": "all", "misfire_limit": 1000, "expires": "never"}
    periods = [Period(1, CREATED, entry(**columns)), Period(2, at("2026-03-10T12:00:30"), entry(**columns))]
    begin, now = at("2026-03-10T00:00"), at("2026-03-10T16:40")
    cursor, ran, looks = begin, [], 0
    while True:
        decided = plan(periods, cursor, now)
        looks += 1
        ran += [(run.fire_time, run.version) for run in decided.runs]
        assert decided.suppressions == ()
        cursor = decided.planned_from
        periods = [period for period in periods if period.version >= decided.version]
        if decided.next_fire is None or decided.next_fire > now:
            break
    expected = [begin + timedelta(minutes=minute) for minute in range(1, 1001)]
    assert [fire_time for fire_time, _ in ran] == expected
    assert {version for fire_time, version in ran if fire_time > at("2026-03-10T12:00:30")} == {2}
    assert looks == 2
    assert decided.version == 2


def test_an_edit_never_makes_a_fire_of_the_past() -> None:
    old, new = entry(cron="0 0 1 1 *"), entry(cron="* * * * *")
    edited = at("2026-03-10T12:10:30")
    decided = plan([Period(1, CREATED, old), Period(2, edited, new)], at("2026-03-10T00:00"), edited)
    assert decided.runs == ()
    assert decided.next_fire == at("2026-03-10T12:11")


def test_fires_while_an_entry_was_paused_are_one_counted_record() -> None:
    on, off = entry(expires="never"), entry(expires="never", enabled=False)
    periods = [
        Period(1, CREATED, on),
        Period(2, at("2026-03-10T11:10"), off),
        Period(3, at("2026-03-10T15:10"), on),
    ]
    decided = plan(periods, at("2026-03-10T11:00"), at("2026-03-10T16:00"))
    assert fires(decided) == ["10 16:00"]
    assert suppressed(decided) == [("paused", 4, "10 12:00", "10 15:00")]


def test_a_paused_entry_has_no_next_fire() -> None:
    assert look(entry(enabled=False), "2026-03-10T11:00", "2026-03-10T11:30").next_fire is None


def test_deleting_settles_what_was_due_before() -> None:
    periods = [Period(1, CREATED, entry()), Period(2, at("2026-03-10T12:10"), None)]
    decided = plan(periods, at("2026-03-10T11:30"), at("2026-03-10T12:30"))
    assert fires(decided) == ["10 12:00"]
    assert decided.next_fire is None


def test_an_unreadable_version_fires_nothing_until_it_is_mended() -> None:
    mended = entry(expires="never")
    periods = [
        Period(1, CREATED, entry()),
        Period(2, at("2026-03-10T11:10"), None),
        Period(3, at("2026-03-10T14:10"), mended),
    ]
    decided = plan(periods, at("2026-03-10T11:05"), at("2026-03-10T15:00"))
    assert fires(decided) == ["10 15:00"]
    assert decided.suppressions == ()


def test_a_once_entry_is_complete_after_its_instant() -> None:
    decided = look(entry(at="2026-03-10T12:00:00Z"), "2026-03-10T11:00", "2026-03-10T12:00")
    assert fires(decided) == ["10 12:00"]
    assert decided.next_fire is None


def test_a_clock_that_steps_back_fires_nothing_twice() -> None:
    definition = entry(cron="* * * * *")
    first = look(definition, "2026-03-10T12:00", "2026-03-10T12:05")
    again = plan([Period(1, CREATED, definition)], first.planned_from, at("2026-03-10T12:02"))
    assert again.runs == again.suppressions == ()
    assert again.planned_from == first.planned_from
    assert again.next_fire == at("2026-03-10T12:06")


rules = st.sampled_from(
    [{"cron": "*/7 * * * *"}, {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, {"every": "13m"}]
)
steps = st.lists(st.integers(min_value=1, max_value=7200), min_size=1, max_size=30)


@given(rules, st.sampled_from(["skip", "latest", "all"]), steps)
def test_every_fire_is_settled_exactly_once_however_often_one_looks(
    rule: dict[str, Any], misfire: str, seconds: list[int]
) -> None:
    """Whatever the pauses between two looks: runs and counted records together are the schedule's fires."""
    definition = entry(**rule, misfire=misfire, expires="never", misfire_limit=1000)
    begin = cursor = now = at("2026-10-24T22:00")
    ran: list[datetime] = []
    counted = 0
    for step in seconds:
        now += timedelta(seconds=step)
        decided = plan([Period(1, CREATED, definition)], cursor, now)
        ran += [run.fire_time for run in decided.runs]
        counted += sum(record.count for record in decided.suppressions)
        cursor = decided.planned_from
    expected = list(definition.schedule.fire_times(begin, now))
    assert len(ran) + counted == len(expected)
    assert ran == sorted(set(ran))
    assert set(ran) <= set(expected)
    if misfire == "all":
        assert ran == expected


EDGES = [
    # columns, looked at, runs, records: what holds at the very instant
    (
        {"misfire_grace": "90m", "expires": "never", "misfire": "all"},
        "12:30:00",
        ["10 11:00", "10 12:00"],
        [],
    ),
    (
        {"misfire_grace": "90m", "expires": "never", "misfire": "all"},
        "12:30:00.000001",
        ["10 12:00"],
        [("misfire", 1, "10 11:00", "10 11:00")],
    ),
    ({"misfire_grace": "5s"}, "11:00:05", ["10 11:00"], []),
    ({"misfire_grace": "5s"}, "11:00:05.000001", [], [("misfire", 1, "10 11:00", "10 11:00")]),
    ({"expires": "30s"}, "11:00:29.999999", ["10 11:00"], []),
    ({"expires": "30s"}, "11:00:30", [], [("expired", 1, "10 11:00", "10 11:00")]),
    ({"misfire": "skip"}, "11:01:00", ["10 11:00"], []),
    ({"misfire": "skip"}, "11:01:00.000001", [], [("misfire", 1, "10 11:00", "10 11:00")]),
]


@pytest.mark.parametrize(("columns", "now", "runs", "records"), EDGES)
def test_the_edges_of_lateness_and_expiry(
    columns: dict[str, Any], now: str, runs: list[str], records: list[tuple[str, int, str, str]]
) -> None:
    decided = look(entry(**columns), "2026-03-10T10:30", f"2026-03-10T{now}")
    assert fires(decided) == runs
    assert suppressed(decided) == records


def test_of_two_fires_within_the_minute_both_are_on_time_and_of_two_later_one_is_left() -> None:
    definition = entry(cron="* * * * * *", expires="never", start_at="2026-03-10T11:00:00Z")
    assert len(look(definition, "2026-03-10T10:59", "2026-03-10T11:01:00").runs) == 61
    decided = look(definition, "2026-03-10T10:59", "2026-03-10T11:01:02")
    assert len(decided.runs) == 62
    assert suppressed(decided) == [("misfire", 1, "10 11:00", "10 11:00")]
    assert [record.version for record in decided.suppressions] == [1]


def test_a_look_settles_no_more_fires_than_it_may_also_over_several_versions() -> None:
    versions = [
        ("2026-03-01T00:00", entry(cron="* * * * *", misfire="all", misfire_limit=1000, expires="never")),
        ("2026-03-10T05:00:30", entry(cron="* * * * *", misfire="all", misfire_limit=1000, expires="never")),
    ]
    decided = look(versions, "2026-03-10T00:00:30", "2026-03-10T10:00:30")
    assert len(decided.runs) == FIRES_A_LOOK
    assert {run.version for run in decided.runs} == {1, 2}
    assert decided.planned_from == decided.last_fire == at("2026-03-10T08:20")
    assert decided.next_fire == at("2026-03-10T08:21")


def test_a_look_whose_room_is_just_filled_by_the_version_before_goes_on_with_the_next() -> None:
    every = {"cron": "* * * * *", "misfire": "all", "misfire_limit": 1000, "expires": "never"}
    versions = [("2026-03-01T00:00", entry(**every)), ("2026-03-10T08:20:30", entry(**every))]
    first = look(versions, "2026-03-10T00:00:30", "2026-03-10T08:21:30")
    assert (len(first.runs), first.version) == (FIRES_A_LOOK, 2)
    assert first.next_fire == at("2026-03-10T08:21")
    second = look(versions, "2026-03-10T08:20:30", "2026-03-10T08:21:30")
    assert fires(second) == ["10 08:21"]


def test_misfires_of_each_version_tell_that_version() -> None:
    versions = [("2026-03-01T00:00", entry(misfire="skip")), ("2026-03-10T11:30", entry(misfire="skip"))]
    decided = look(versions, "2026-03-10T10:30", "2026-03-10T12:30")
    assert [(record.version, record.first) for record in decided.suppressions] == [
        (1, at("2026-03-10T11:00")),
        (2, at("2026-03-10T12:00")),
    ]


def test_fires_that_are_looked_at_singly_tell_their_version() -> None:
    versions = [
        ("2026-03-01T00:00", entry(misfire="all", expires="5m")),
        ("2026-03-10T11:30", entry(misfire="all", expires="5m")),
    ]
    decided = look(versions, "2026-03-10T10:30", "2026-03-10T12:30")
    assert [(record.version, record.reason, record.count) for record in decided.suppressions] == [
        (1, "expired", 1),
        (2, "expired", 1),
    ]


def test_of_several_fires_that_one_look_settles_only_the_newest_cancels() -> None:
    versions = [
        ("2026-03-01T00:00", entry(misfire="all", expires="never", overlap="allow")),
        ("2026-03-10T12:30", entry(misfire="all", expires="never", overlap="cancel")),
    ]
    decided = look(versions, "2026-03-10T10:30", "2026-03-10T13:10", open_run=True)
    assert fires(decided) == ["10 13:00"]
    assert [run.cancels for run in decided.runs] == [True]
    assert suppressed(decided) == [
        ("overlap", 2, "10 11:00", "10 12:00"),
    ]


@pytest.mark.parametrize(
    ("columns", "last"),
    [
        ({"cron": "* * * 1 *"}, "2027-01-31T23:59"),
        ({"cron": "*/10 * * * 1 *"}, "2027-01-31T23:59:50"),
        ({"every": "1s", "end_at": "2027-02-01T00:00:00Z"}, "2027-02-01T00:00"),
    ],
)
def test_the_end_of_a_dense_row_is_found_behind_a_long_silence(columns: dict[str, Any], last: str) -> None:
    definition = entry(**columns, expires="never")
    decided = look(definition, "2026-12-31T23:00", "2027-12-30T00:00")
    assert [run.fire_time for run in decided.runs] == [at(last)]
    [record] = decided.suppressions
    assert record.exact
    assert record.last < at(last)


def test_the_newest_of_a_dense_row_are_found_behind_a_long_silence() -> None:
    definition = entry(cron="* * * 1 *", misfire="all", misfire_limit=300, expires="never")
    decided = look(definition, "2026-12-31T23:00", "2027-12-30T00:00")
    assert len(decided.runs) == 300
    assert fires(decided)[0] == "31 19:00"
    assert fires(decided)[-1] == "31 23:59"
