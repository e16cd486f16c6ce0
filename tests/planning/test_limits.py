"""max_runs, a fixed delay, a boot, jitter, calendars: what bounds and shifts a row of fires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from beatd.planning.look import Pause
from beatd.planning.plan import DROPPED_COUNTED
from tests.planning.stories import at, entry, fires, look, suppressed

SECOND = timedelta(seconds=1)

# max_runs


def test_after_max_runs_nothing_fires_and_nothing_is_missed() -> None:
    definition = entry(max_runs=3, misfire="all", expires="never")
    decided = look(definition, "2026-03-10T10:30", "2026-03-10T16:30", runs_made=1)
    assert fires(decided) == ["10 11:00", "10 12:00"]
    assert (decided.runs_made, decided.next_fire, decided.waiting) == (3, None, False)
    assert decided.suppressions == ()
    again = look(definition, "2026-03-10T16:30", "2026-03-11T16:30", runs_made=3)
    assert (again.runs, again.suppressions, again.next_fire) == ((), (), None)


def test_max_runs_counts_runs_and_not_the_fires_that_were_missed() -> None:
    decided = look(entry(max_runs=1, expires="never"), "2026-03-10T10:30", "2026-03-10T13:30")
    assert fires(decided) == ["10 13:00"]
    assert suppressed(decided) == [("misfire", 2, "10 11:00", "10 12:00")]
    assert decided.next_fire is None


def test_a_later_version_may_allow_more_runs() -> None:
    versions = [
        ("2026-03-01T00:00", entry(max_runs=1, misfire="all", expires="never")),
        ("2026-03-10T13:30", entry(max_runs=3, misfire="all", expires="never")),
    ]
    decided = look(versions, "2026-03-10T10:30", "2026-03-10T15:00:10")
    assert fires(decided) == ["10 11:00", "10 14:00", "10 15:00"]
    assert (decided.suppressions, decided.next_fire) == ((), None)


def test_behind_the_last_run_that_is_allowed_there_is_no_fire_to_pause_or_drop() -> None:
    versions = [
        ("2026-03-01T00:00", entry(max_runs=2, misfire="all", expires="never", calendar="holidays")),
        ("2026-03-09T23:30", entry(max_runs=2, enabled=False, calendar="holidays")),
        ("2026-03-11T23:30", entry(max_runs=3, misfire="all", expires="never")),
        ("2026-03-12T02:30", entry(max_runs=3, enabled=False)),
    ]
    decided = look(versions, "2026-03-09T21:30", "2026-03-12T05:10")
    assert fires(decided) == ["09 22:00", "09 23:00", "12 00:00"]
    assert decided.suppressions == ()


def test_what_a_calendar_drops_is_counted_up_to_the_last_run_that_is_allowed() -> None:
    noon = {"cron": "0 12 * * *", "misfire": "all", "expires": "never", "calendar": "weekends"}
    decided = look(entry(**noon, max_runs=4), "2026-03-06T13:00", "2026-03-23T00:00", runs_made=1)
    assert fires(decided) == ["09 12:00", "10 12:00", "11 12:00"]
    assert suppressed(decided) == [("calendar", 2, "07 12:00", "08 12:00")]
    versions = [
        ("2026-03-01T00:00", entry(**noon, max_runs=2)),
        ("2026-03-12T00:00", entry(**noon, max_runs=3)),
    ]
    edited = look(versions, "2026-03-06T11:00", "2026-03-23T00:00")
    assert fires(edited) == ["06 12:00", "09 12:00", "12 12:00"]
    assert suppressed(edited) == [("calendar", 2, "07 12:00", "08 12:00")]
    unbounded = look(entry(**noon), "2026-03-13T11:00", "2026-03-23T00:00")
    assert suppressed(unbounded) == [("calendar", 4, "14 12:00", "22 12:00")]


def test_what_a_calendar_drops_is_counted_up_to_the_run_from_whose_end_a_delay_counts() -> None:
    delayed = entry(every="1d", fixed_delay=True, misfire="all", expires="never", calendar="weekends")
    decided = look(delayed, "2026-03-06T13:00", "2026-03-23T00:00", last_end=at("2026-03-06T12:30"))
    assert fires(decided) == ["09 12:30"]
    assert suppressed(decided) == [("calendar", 2, "07 12:30", "08 12:30")]


# fixed_delay


def test_a_fixed_delay_starts_from_the_creation_and_goes_on_from_the_end_of_the_run() -> None:
    definition = entry(every="1h", fixed_delay=True)
    first = look(definition, "2026-03-01T00:00", "2026-03-01T01:00:01")
    assert fires(first) == ["01 01:00"]
    assert (first.next_fire, first.waiting) == (None, True)
    under_way = look(definition, "2026-03-01T01:00:01", "2026-03-01T05:00", open_scheduled=True)
    assert (under_way.runs, under_way.suppressions) == ((), ())
    assert (under_way.next_fire, under_way.waiting) == (None, True)
    ended = look(definition, "2026-03-01T05:00", "2026-03-01T05:12:31", last_end=at("2026-03-01T05:12:30"))
    assert (ended.runs, ended.waiting) == ((), False)
    assert ended.next_fire == at("2026-03-01T06:12:30")


def test_a_fixed_delay_runs_at_its_start_first() -> None:
    definition = entry(every="1h", fixed_delay=True, start_at="2026-03-05T09:00Z")
    assert look(definition, "2026-03-01T00:00", "2026-03-01T00:10").next_fire == at("2026-03-05T09:00")
    assert fires(look(definition, "2026-03-01T00:10", "2026-03-05T09:00")) == ["05 09:00"]


@pytest.mark.parametrize(
    ("misfire", "runs", "records"),
    [
        ("latest", ["01 05:30"], [("misfire", 3, "01 02:30", "01 04:30")]),
        ("all", ["01 02:30"], []),
        ("skip", [], [("misfire", 4, "01 02:30", "01 05:30")]),
    ],
)
def test_an_outage_of_a_fixed_delay_leaves_at_most_one_run(
    misfire: str, runs: list[str], records: list[tuple[str, int, str, str]]
) -> None:
    definition = entry(every="1h", fixed_delay=True, misfire=misfire, expires="never")
    decided = look(definition, "2026-03-01T01:40", "2026-03-01T05:45", last_end=at("2026-03-01T01:30"))
    assert fires(decided) == runs
    assert suppressed(decided) == records
    assert decided.waiting is bool(runs)
    assert decided.next_fire == (None if runs else at("2026-03-01T06:30"))


def test_a_run_of_a_fixed_delay_expires_when_the_next_could_come_if_it_took_no_time() -> None:
    definition = entry(every="1h", fixed_delay=True)
    [run] = look(definition, "2026-03-01T01:40", "2026-03-01T02:30", last_end=at("2026-03-01T01:30")).runs
    assert run.expires_at == at("2026-03-01T03:30")


def test_a_fixed_delay_with_max_runs_completes() -> None:
    decided = look(entry(every="1h", fixed_delay=True, max_runs=1), "2026-03-01T00:00", "2026-03-01T01:00")
    assert fires(decided) == ["01 01:00"]
    assert (decided.next_fire, decided.waiting) == (None, False)


def test_while_the_run_of_a_fixed_delay_is_unfinished_nothing_is_paused_or_dropped() -> None:
    versions = [
        ("2026-03-01T00:00", entry(every="1h", fixed_delay=True, calendar="holidays")),
        ("2026-03-09T22:30", entry(every="1h", fixed_delay=True, calendar="holidays", enabled=False)),
        ("2026-03-09T23:30", entry(every="1h", fixed_delay=True, calendar="holidays")),
    ]
    decided = look(versions, "2026-03-09T20:00", "2026-03-10T05:00", open_scheduled=True)
    assert (decided.runs, decided.suppressions, decided.waiting) == ((), (), True)


def test_behind_the_first_run_of_a_fixed_delay_there_is_no_fire_to_pause() -> None:
    delayed = entry(every="1h", fixed_delay=True, expires="never", misfire="all")
    versions = [
        ("2026-03-01T00:00", delayed),
        ("2026-03-01T02:30", entry(every="1h", fixed_delay=True, enabled=False)),
        ("2026-03-01T04:30", delayed),
    ]
    decided = look(versions, "2026-03-01T00:10", "2026-03-01T05:10")
    assert (fires(decided), decided.suppressions) == (["01 01:00"], ())


def test_beside_an_unfinished_run_that_is_not_its_schedules_a_fixed_delay_goes_on() -> None:
    versions = [
        ("2026-03-01T00:00", entry(overlap="skip")),
        ("2026-03-01T02:30", entry(every="20m", fixed_delay=True)),
    ]
    decided = look(
        versions, "2026-03-01T02:10", "2026-03-01T02:35", open_run=True, last_end=at("2026-03-01T02:00:05")
    )
    assert (decided.runs, decided.waiting) == ((), False)
    assert decided.next_fire == at("2026-03-01T02:40:05")
    later = look(
        versions, "2026-03-01T02:35", "2026-03-01T02:41", open_run=True, last_end=at("2026-03-01T02:00:05")
    )
    assert (fires(later), later.waiting) == (["01 02:40"], True)


# boot


def test_a_boot_has_no_fire_ahead_and_is_not_completed() -> None:
    decided = look(entry(cron="@reboot"), "2026-03-01T00:00", "2026-03-10T01:00")
    assert (decided.runs, decided.next_fire, decided.waiting) == ((), None, True)


# jitter


def test_a_fire_is_settled_when_it_is_due_and_expires_by_its_fire_time() -> None:
    definition = entry(jitter="30m")
    due = definition.timing.due_time(at("2026-03-10T11:00"))
    assert at("2026-03-10T11:00") < due < at("2026-03-10T11:30")
    just_before = (due - timedelta(microseconds=1)).replace(tzinfo=None).isoformat()
    early = look(definition, "2026-03-10T10:50", just_before)
    assert early.runs == early.suppressions == ()
    assert (early.next_fire, early.next_due) == (at("2026-03-10T11:00"), due)
    assert early.planned_from < at("2026-03-10T11:00")
    [run] = look(definition, "2026-03-10T10:50", due.replace(tzinfo=None).isoformat()).runs
    assert (run.fire_time, run.due_time) == (at("2026-03-10T11:00"), due)
    assert run.expires_at == at("2026-03-10T12:00")


def test_jitter_leaves_a_run_time_to_start_before_the_next_fire_ends_it() -> None:
    definition = entry(cron="* * * * *", jitter="1m")
    fires_of_an_hour = [at("2026-03-10T11:00") + timedelta(minutes=minute) for minute in range(60)]
    for fire_time in fires_of_an_hour:
        due = definition.timing.due_time(fire_time)
        just_before, just_then = (f"{instant:%Y-%m-%dT%H:%M:%S.%f}" for instant in (fire_time - SECOND, due))
        [run] = look(definition, just_before, just_then).runs
        assert (run.fire_time, run.due_time) == (fire_time, due)
        assert run.expires_at == max(fire_time + 60 * SECOND, due + 30 * SECOND)


def test_an_edit_between_fire_and_due_time_leaves_the_run() -> None:
    definition = entry(jitter="30m", name="backup")
    due = definition.timing.due_time(at("2026-03-10T11:00"))
    edited = due - timedelta(seconds=1)
    versions = [
        ("2026-03-01T00:00", definition),
        (edited.replace(tzinfo=None).isoformat(), entry(cron="30 * * * *", enabled=False)),
    ]
    decided = look(versions, "2026-03-10T10:50", edited.replace(tzinfo=None).isoformat())
    [run] = decided.runs
    assert (run.version, run.fire_time, run.due_time) == (1, at("2026-03-10T11:00"), due)
    assert decided.next_fire is None


def test_what_is_late_is_late_from_its_due_time_on() -> None:
    definition = entry(jitter="30m", misfire="skip", expires="never")
    due = definition.timing.due_time(at("2026-03-10T11:00"))
    [run] = look(definition, "2026-03-10T10:50", f"{due + timedelta(seconds=60):%Y-%m-%dT%H:%M:%S.%f}").runs
    assert run.fire_time == at("2026-03-10T11:00")
    late = look(definition, "2026-03-10T10:50", f"{due + timedelta(seconds=61):%Y-%m-%dT%H:%M:%S.%f}")
    assert suppressed(late) == [("misfire", 1, "10 11:00", "10 11:00")]


def test_a_fire_a_minute_ago_whose_jitter_ended_since_is_not_missed() -> None:
    definition = entry(jitter="30s", misfire="skip", expires="never")
    assert definition.timing.due_time(at("2026-03-10T11:00")) > at("2026-03-10T11:00")
    decided = look(definition, "2026-03-10T10:50", "2026-03-10T11:01:00.000001")
    assert fires(decided) == ["10 11:00"]
    assert decided.suppressions == ()


def test_a_fire_that_an_edit_overtook_is_late_from_its_due_time_on_too() -> None:
    definition = entry(jitter="30m", misfire="skip", expires="never")
    due = definition.timing.due_time(at("2026-03-10T11:00"))
    versions = [
        ("2026-03-01T00:00", definition),
        ("2026-03-10T11:00:01", entry(misfire="skip", expires="never")),
    ]
    early = look(versions, "2026-03-10T10:50", f"{due + timedelta(seconds=60):%Y-%m-%dT%H:%M:%S.%f}")
    assert fires(early) == ["10 11:00"]
    late = look(versions, "2026-03-10T10:50", f"{due + timedelta(seconds=61):%Y-%m-%dT%H:%M:%S.%f}")
    assert (late.runs, suppressed(late)) == ((), [("misfire", 1, "10 11:00", "10 11:00")])


def test_a_fire_that_a_pause_of_everything_overtook_is_late_from_its_due_time_on_too() -> None:
    definition = entry(jitter="30m", misfire="skip", expires="never")
    pause = Pause(at("2026-03-10T11:00:01"), at("2026-03-10T11:50"))
    late = look(definition, "2026-03-10T10:50", "2026-03-10T11:50", pauses=[pause])
    assert (late.runs, suppressed(late)) == ((), [("misfire", 1, "10 11:00", "10 11:00")])


def test_jitter_stays_below_the_distance_to_the_next_fire() -> None:
    definition = entry(cron="* * * * *", jitter="6h")
    fire_time = at("2026-03-10T11:00")
    for _ in range(500):
        due = definition.timing.due_time(fire_time)
        assert fire_time <= due < fire_time + timedelta(minutes=1)
        fire_time += timedelta(minutes=1)


# calendars


def test_fires_that_the_calendar_drops_are_one_record() -> None:
    definition = entry(calendar="holidays", misfire="all", expires="never")
    decided = look(definition, "2026-03-09T22:30", "2026-03-12T00:00:10")
    assert fires(decided) == ["09 23:00", "12 00:00"]
    assert suppressed(decided) == [("calendar", 48, "10 00:00", "11 23:00")]


def test_a_record_of_dropped_fires_tells_the_version() -> None:
    versions = [("2026-03-01T00:00", entry()), ("2026-03-09T23:30", entry(calendar="holidays"))]
    decided = look(versions, "2026-03-09T23:10", "2026-03-10T00:10")
    assert [(record.version, record.reason) for record in decided.suppressions] == [(2, "calendar")]


def test_what_a_calendar_drops_is_looked_at_though_no_fire_follows() -> None:
    definition = entry(at="2026-03-10T12:00Z", calendar="holidays")
    before = look(definition, "2026-03-09T00:00", "2026-03-09T00:10")
    assert (before.next_fire, before.next_due) == (None, at("2026-03-10T12:00"))
    after = look(definition, "2026-03-09T00:10", "2026-03-10T12:00")
    assert suppressed(after) == [("calendar", 1, "10 12:00", "10 12:00")]
    assert (after.next_fire, after.next_due) == (None, None)


@pytest.mark.parametrize(
    ("until", "count", "exact"),
    [("02:46:39", DROPPED_COUNTED, True), ("02:46:40", DROPPED_COUNTED + 1, False)],
)
def test_dropped_fires_are_counted_exactly_up_to_the_bound(until: str, count: int, exact: bool) -> None:
    definition = entry(cron="* * * * * *", calendar="holidays", expires="never")
    decided = look(definition, "2026-03-09T23:59:59", f"2026-03-10T{until}")
    [record] = decided.suppressions
    assert (record.count, record.exact) == (count, exact)


def test_the_next_fire_and_the_expiry_pass_over_what_the_calendar_drops() -> None:
    decided = look(entry(calendar="holidays"), "2026-03-09T22:30", "2026-03-09T23:00")
    [run] = decided.runs
    assert run.expires_at == at("2026-03-10T23:00")
    assert decided.next_fire == at("2026-03-12T00:00")


def test_very_many_dropped_fires_are_counted_to_a_bound() -> None:
    definition = entry(cron="* * * * * *", calendar="holidays")
    decided = look(definition, "2026-03-09T23:59:59", "2026-03-11T00:00")
    [record] = decided.suppressions
    assert (record.reason, record.count, record.exact) == ("calendar", DROPPED_COUNTED + 1, False)
