"""Stories on a clock that is turned: each is the script of a simulation and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound
from beatd.testing import Run, Simulation, Suppressed, between, chances, check, drawn, violations

HOURLY = {"cron": "0 * * * *", "task": "proj.task"}


def world(**options: Any) -> Simulation:
    return Simulation("2026-03-10T00:00Z", **options)


def at(text: str) -> str:
    """Of the day that all stories begin with."""
    return text if "T" in text else f"2026-03-10T{text}Z"


def told(simulation: Simulation, name: str = "e") -> list[str]:
    """The history in short: runs with their states, records with reason and count."""
    check(simulation)
    return [_told(one) for one in simulation.history(name)]


def _told(one: Run | Suppressed) -> str:
    if isinstance(one, Suppressed):
        return f"{_short(one.first)} {one.reason} {one.count}"
    return f"{_short(one.fire_time)} {one.state}"


def _short(instant: datetime) -> str:
    return f"{instant:%d %H:%M}" if not instant.second else f"{instant:%d %H:%M:%S}"


def test_a_month_of_nights_one_outage_one_edit() -> None:
    march = Simulation("2026-03-01T00:00Z", timezone="Europe/Berlin")
    march.add("backup", cron="30 2 * * *", task="proj.backup", overlap="skip", duration="3h")
    march.outage("2026-03-10T00:00Z", "2026-03-12T06:00Z")
    march.edit("2026-03-15T12:00Z", "backup", cron="0 3 * * *")
    march.run_until("2026-04-01T00:00Z")
    runs = march.runs("backup")
    assert len(runs) == 29
    assert [(record.reason, record.count) for record in march.suppressions("backup")] == [("misfire", 2)]
    late = [run for run in runs if run.recorded_at > run.due_time]
    assert [(_short(run.fire_time), _short(run.recorded_at)) for run in late] == [("12 01:30", "12 06:00")]
    assert [_short(run.fire_time) for run in runs[-3:]] == ["29 01:00", "30 01:00", "31 01:00"]
    assert all(run.finished_at == run.started_at + timedelta(hours=3) for run in runs)
    check(march)


OVERLAPS = [
    # overlap, what becomes of the fires of 01:00 to 05:00 by 05:20: the task takes two and a half hours
    ("allow", ["succeeded", "succeeded", "started", "started", "started"]),
    ("skip", ["succeeded", "overlap 1", "overlap 1", "started", "overlap 1"]),
    ("queue", ["succeeded", "revoked", "started", "revoked", "held"]),
    ("cancel", ["revoked", "revoked", "revoked", "revoked", "started"]),
]


@pytest.mark.parametrize(("overlap", "history"), OVERLAPS)
def test_overlaps(overlap: str, history: list[str]) -> None:
    story = world()
    story.add("e", **HOURLY, overlap=overlap, expires="never", duration="150m")
    story.run_until(at("05:20"))
    assert [line.partition(":00 ")[2] for line in told(story)] == history


def test_a_run_that_is_held_back_starts_when_the_earlier_one_ends() -> None:
    story = world()
    story.add("e", **HOURLY, overlap="queue", expires="never", duration="90m")
    story.run_until(at("02:30"))
    first, second = story.runs("e")
    assert _short(first.finished_at) == _short(second.started_at) == "10 02:30"


@pytest.mark.parametrize(("stops_in", "starts"), [("0s", "02:00"), ("4s", "02:00:04"), ("5m", "02:00:10")])
def test_a_run_that_cancels_waits_ten_seconds_at_the_most(stops_in: str, starts: str) -> None:
    story = world()
    story.add("e", **HOURLY, overlap="cancel", duration="100m", stops_in=stops_in)
    story.run_until(at("02:10"))
    first, second = story.runs("e")
    assert (first.state, first.reason) == ("revoked", "cancelled for a newer run")
    assert _short(second.started_at) == f"10 {starts}"


@pytest.mark.parametrize(
    ("task", "first"), [({"shell": "true"}, "revoked"), ({"task": "proj.task"}, "succeeded")]
)
def test_a_message_that_no_worker_has_begun_is_cancelled_where_workers_claim_runs(
    task: dict[str, Any], first: str
) -> None:
    story = world()
    story.add("e", cron="0 * * * *", **task, overlap="cancel", expires="never", end_at=at("02:00"))
    story.workers_away(at("00:30"), at("02:30"))
    story.run_until(at("03:00"))
    assert [(run.state, run.reason) for run in story.runs("e")] == [
        (first, "cancelled for a newer run"),
        ("succeeded", None),
    ]


def test_what_is_held_back_expires() -> None:
    story = world()
    story.add("e", **HOURLY, overlap="queue", expires="10m", duration="5h", end_at=at("02:00"))
    story.run_until(at("07:00"))
    assert [(run.state, run.reason) for run in story.runs("e")] == [
        ("succeeded", None),
        ("expired", "expired before the earlier run ended"),
    ]


def test_a_fixed_delay_counts_from_the_end() -> None:
    story = world()
    story.add("e", every="1h", fixed_delay=True, task="proj.task", duration="25m")
    story.run_until(at("05:00"))
    assert told(story) == ["10 01:00 succeeded", "10 02:25 succeeded", "10 03:50 succeeded"]
    assert story.next_fire("e") == datetime(2026, 3, 10, 5, 15, tzinfo=UTC)


def test_an_entry_that_fails_three_times_in_a_row_is_paused() -> None:
    story = world()
    failed_from = datetime(2026, 3, 10, 4, tzinfo=UTC)
    story.add(
        "e",
        **HOURLY,
        on_failure="pause",
        duration="1m",
        outcome=lambda fire_time: "failed" if fire_time >= failed_from else "succeeded",
    )
    story.resume(at("09:30"), "e")
    story.run_until(at("08:30"))
    assert story.state("e") == "paused"
    story.run_until(at("14:30"))
    assert told(story)[3:] == [
        *["10 04:00 failed", "10 05:00 failed", "10 06:00 failed"],
        *["10 07:00 paused 3", "10 10:00 failed", "10 11:00 failed", "10 12:00 failed"],
    ]
    assert story.state("e") == "paused"


LOST = [
    # options, state, reason, starts, when it ended
    (
        {"task": "proj.task", "lost_after": "2h"},
        "lost",
        "nothing was heard of it within lost_after",
        1,
        "03:00",
    ),
    ({"shell": "true"}, "lost", "its worker vanished", 1, "01:06"),
    ({"shell": "true", "on_lost": "rerun"}, "lost", "its worker vanished", 4, "01:24"),
]


@pytest.mark.parametrize(("options", "state", "reason", "starts", "ended"), LOST)
def test_workers_that_vanish(
    options: dict[str, Any], state: str, reason: str, starts: int, ended: str
) -> None:
    story = world()
    story.add("e", cron="0 1 * * *", **options, duration="5m", outcome="lost")
    story.run_until(at("23:00"))
    [run] = story.runs("e")
    assert (run.state, run.reason, run.starts) == (state, reason, starts)
    assert _short(run.finished_at) == f"10 {ended}"
    check(story)


def test_workers_that_are_away_find_some_messages_expired() -> None:
    story = world()
    story.add("e", **HOURLY, expires="90m")
    story.workers_away(at("00:30"), at("04:10"))
    story.run_until(at("05:30"))
    runs = story.runs("e")
    assert [(run.state, run.reason) for run in runs] == [
        ("expired", "no worker started it before its expiry"),
        ("expired", "no worker started it before its expiry"),
        ("succeeded", None),
        ("succeeded", None),
        ("succeeded", None),
    ]
    assert [_short(run.finished_at) for run in runs[:3]] == ["10 02:31", "10 03:31", "10 04:10"]


NEVER_STARTED = ("lost", "no worker started it within lost_after", "10 03:00")


@pytest.mark.parametrize(
    ("task", "first"),
    [
        ({"shell": "true"}, NEVER_STARTED),  # it cannot claim its run any more
        ({"task": "proj.task"}, ("succeeded", None, "10 05:10")),
    ],
)
@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_a_message_that_no_worker_takes_does_not_stop_its_entry(
    task: dict[str, Any], first: tuple[str, str | None, str], overlap: str
) -> None:
    story = world()
    story.add(
        "e", cron="0 * * * *", **task, overlap=overlap, expires="never", lost_after="2h", duration="40m"
    )
    story.workers_away(at("00:30"), at("04:30"))
    story.run_until(at("04:10"))
    [run] = story.runs("e", state="lost")
    assert (run.state, run.reason, _short(run.finished_at)) == NEVER_STARTED
    assert [run.state for run in story.runs("e")].count("published") == 1
    story.run_until(at("08:10"))
    run, *others = story.runs("e")
    assert (run.state, run.reason, _short(run.finished_at)) == first
    assert {other.state for other in others} <= {"succeeded", "revoked", "started"}
    check(story)


def test_pausing_everything_and_one_entry() -> None:
    story = world()
    story.add("e", **HOURLY)
    story.add("f", **HOURLY)
    story.pause(at("01:30"), "e", until=at("04:00"))
    story.pause_all(at("05:30"))
    story.resume_all(at("07:30"))
    story.run_until(at("08:30"))
    hours = ["10 05:00 succeeded", "10 06:00 all paused 2", "10 08:00 succeeded"]
    assert told(story, "e") == [
        *["10 01:00 succeeded", "10 02:00 paused 2", "10 04:00 succeeded"],
        *hours,
    ]
    assert told(story, "f")[4:] == hours


def test_calendars() -> None:
    story = Simulation("2026-12-22T00:00Z", timezone="Europe/Berlin")
    story.calendar("holidays", country="DE", weekdays="sat,sun")
    story.add("dropped", cron="0 9 * * *", task="proj.task", calendar="holidays")
    story.add("moved", at="2026-12-26T09:00", task="proj.task", calendar="holidays", calendar_action="next")
    story.run_until("2026-12-29T00:00Z")
    assert told(story, "dropped") == [
        *["22 08:00 succeeded", "23 08:00 succeeded", "24 08:00 succeeded"],
        *["25 08:00 calendar 3", "28 08:00 succeeded"],
    ]
    assert told(story, "moved") == ["28 08:00 succeeded"]
    with pytest.raises(Conflict, match="there is a calendar 'holidays' already"):
        story.calendar("holidays", country="FR")


def test_an_edit_of_a_calendar_holds_from_its_instant() -> None:
    story = world()
    story.calendar("closed", dates="2026-03-10")
    story.add("e", **HOURLY, calendar="closed")
    story.edit_calendar(at("03:30"), "closed", dates="2026-03-11")
    story.run_until(at("05:30"))
    assert told(story) == ["10 01:00 calendar 3", "10 04:00 succeeded", "10 05:00 succeeded"]
    with pytest.raises(NotFound, match="no calendar 'close'; did you mean 'closed'"):
        story.edit_calendar(at("05:30"), "close", dates=None)


def test_jitter_delays_within_its_limits_and_the_same_each_time() -> None:
    due_times = []
    for _ in range(2):
        story = world()
        story.add("e", **HOURLY, jitter="10m")
        story.run_until("2026-03-12T00:30Z")
        due_times.append([run.due_time for run in story.runs("e")])
        delays = [run.due_time - run.fire_time for run in story.runs("e")]
        assert all(timedelta(0) <= delay < timedelta(minutes=10) for delay in delays)
        assert len(set(delays)) > 40
        assert all(run.published_at == run.due_time for run in story.runs("e"))
    assert due_times[0] == due_times[1]


def test_machines_boot() -> None:
    story = world()
    story.add("everywhere", cron="@reboot", task="proj.task")
    story.add("north", cron="@reboot", host="north", task="proj.task")
    story.boot(at("01:00"), "north")
    story.outage(at("02:00"), at("02:10"))
    story.boot(at("02:05"), "south")
    story.run_until(at("03:00"))
    assert told(story, "everywhere") == ["10 01:00 succeeded", "10 02:10 succeeded"]
    assert told(story, "north") == ["10 01:00 succeeded"]
    assert [run.origin for run in story.runs("north")] == ["boot:north:1"]
    story.add("later", cron="@reboot", task="proj.task")
    story.run_until(at("04:00"))
    assert story.runs("later") == ()


def test_a_clock_that_is_set_back_fires_nothing_twice_and_one_that_is_set_ahead_makes_misfires() -> None:
    story = world()
    story.add("e", **HOURLY, misfire="skip")
    story.set_clock(at("02:30"), "-2h")
    story.set_clock(at("05:30"), "4h")
    story.run_until(at("06:30"))
    assert told(story) == [
        *["10 01:00 succeeded", "10 02:00 succeeded", "10 03:00 succeeded"],
        *["10 04:00 misfire 4", "10 08:00 succeeded"],
    ]
    assert story.database_time - story.now == timedelta(hours=2)
    third = story.runs("e")[2]
    assert (_short(third.recorded_at), _short(third.recorded_real)) == ("10 03:00", "10 05:00")


def test_triggers_run_whatever_the_entry_s_state() -> None:
    story = world()
    story.add("e", **HOURLY, overlap="skip", enabled=False, duration="3h")
    story.trigger(at("01:30"), "e")
    story.trigger(at("02:30"), "e")
    story.run_until(at("03:00"))
    assert [(_short(run.fire_time), run.origin, run.state) for run in story.runs("e")] == [
        ("10 01:30", "trigger:1", "started"),
        ("10 02:30", "trigger:2", "started"),
    ]


def test_an_entry_that_is_removed_fires_no_more_and_keeps_its_history() -> None:
    story = world()
    story.add("e", **HOURLY)
    story.remove(at("02:30"), "e")
    story.run_until(at("04:00"))
    assert told(story) == ["10 01:00 succeeded", "10 02:00 succeeded"]
    story.add("e", **HOURLY)
    story.run_until(at("05:00"))
    assert len(story.runs("e")) == 3
    with pytest.raises(NotFound, match="no entry 'nobody'"):
        story.runs("nobody")


def test_entries_of_files(tmp_path: Path) -> None:
    file = tmp_path / "entries.toml"
    file.write_text(
        '[entry.a]\ncron = "@hourly"\nshell = "true"\n\n[entry.b]\nevery = "2h"\ntask = "proj.task"\n'
    )
    story = world()
    story.work("*", duration="5m")
    story.work("b", duration="10m")
    story.load(file)
    story.run_until(at("02:30"))
    lengths = {run.entry: run.finished_at - run.started_at for run in story.runs() if run.finished_at}
    assert lengths == {"a": timedelta(minutes=5), "b": timedelta(minutes=10)}


def test_calendars_of_files(tmp_path: Path) -> None:
    file = tmp_path / "entries.toml"
    file.write_text(
        '[calendar.closed]\ndates = ["2026-03-10"]\n\n'
        '[entry.e]\ncron = "@hourly"\ncalendar = "closed"\ntask = "proj.task"\n'
    )
    story = world()
    story.load(file)
    story.run_until("2026-03-11T00:30Z")
    assert told(story) == ["10 01:00 calendar 23", "11 00:00 succeeded"]


def test_what_is_wrong_with_files_is_told_with_its_place_and_nothing_is_added(tmp_path: Path) -> None:
    file = tmp_path / "entries.toml"
    file.write_text(
        '[entry.a]\ncron = "@hourly"\nshell = "true"\n\n[entry.b]\nevery = "2"\ntask = "proj.task"\n'
    )
    story = world()
    with pytest.raises(InvalidInput) as raised:
        story.load(file)
    assert str(raised.value).startswith(f"{file}:6: every: '2': has no unit; did you mean '2s'?")
    assert story.runs() == ()
    with pytest.raises(NotFound):
        story.state("a")


INVENTED = [
    # duration, what the runs of two hours took
    ("20m", [1200, 1200]),
    (timedelta(seconds=90), [90, 90]),
    (lambda fire_time: timedelta(minutes=fire_time.hour), [60, 120]),
    (lambda fire_time: f"{fire_time.hour}h", [3600, None]),
]


@pytest.mark.parametrize(("duration", "seconds"), INVENTED)
def test_durations(duration: Any, seconds: list[int | None]) -> None:
    story = world()
    story.add("e", **HOURLY, duration=duration)
    story.run_until(at("02:30"))
    took = [run.finished_at and (run.finished_at - run.started_at).total_seconds() for run in story.runs("e")]
    assert took == seconds


def test_what_is_drawn_hangs_on_the_seed_the_entry_and_the_fire_alone() -> None:
    def lengths(seed: int, *others: str) -> list[timedelta]:
        story = world(seed=seed)
        for name in (*others, "e"):
            story.add(name, **HOURLY, duration=between("1m", "30m"), outcome=chances(failed=0.5))
        story.run_until(at("20:30"))
        return [run.finished_at - run.started_at for run in story.runs("e")]

    assert lengths(1) == lengths(1, "a", "b")
    assert lengths(1) != lengths(2)
    assert len(set(lengths(1))) == 20
    assert all(timedelta(minutes=1) <= length <= timedelta(minutes=30) for length in lengths(1))


def test_outcomes_by_chance() -> None:
    story = world()
    story.add(
        "e", cron="* * * * *", task="proj.task", outcome=chances(failed=0.25, lost=0.25), lost_after="1s"
    )
    story.run_until(at("20:00"))
    shares = {state: len(story.runs("e", state=state)) / 1200 for state in ("succeeded", "failed", "lost")}
    assert shares == {
        "succeeded": pytest.approx(0.5, abs=0.05),
        "failed": pytest.approx(0.25, abs=0.05),
        "lost": pytest.approx(0.25, abs=0.05),
    }


def test_a_distribution_of_one_s_own() -> None:
    story = world()
    story.add("e", **HOURLY, duration=drawn(lambda random: timedelta(seconds=random.choice([1, 2]))))
    story.run_until(at("20:30"))
    assert {(run.finished_at - run.started_at).seconds for run in story.runs("e")} == {1, 2}


def test_triggers_of_apscheduler() -> None:
    story = world(custom={"office": CronTrigger})
    story.add("e", custom="office", custom_args={"hour": "9-11"}, task="proj.task")
    story.run_until("2026-03-11T00:00Z")
    assert told(story) == ["10 09:00 succeeded", "10 10:00 succeeded", "10 11:00 succeeded"]


class Fails(CronTrigger):
    """From a certain instant on."""

    def get_next_fire_time(self, previous_fire_time: Any, now: Any) -> Any:
        if datetime(2026, 3, 10, 3, tzinfo=UTC) < now < datetime(2026, 3, 12, tzinfo=UTC):
            raise ValueError("no idea")
        return super().get_next_fire_time(previous_fire_time, now)


def test_an_entry_that_cannot_be_planned_is_broken_and_the_others_go_on() -> None:
    story = world(custom={"fails": Fails})
    story.add("e", custom="fails", custom_args={"hour": "*"}, task="proj.task")
    story.add("f", **HOURLY)
    story.run_until(at("05:30"))
    assert story.state("e") == "broken"
    assert [_short(run.fire_time) for run in story.runs("e")] == ["10 01:00", "10 02:00"]
    assert len(story.runs("f")) == 5
    assert violations(story)[0].startswith("e: is broken: FieldError: custom: 'fails': the trigger failed")


def test_the_end_of_one_outage_within_another_ends_nothing() -> None:
    story = world()
    story.add("e", **HOURLY, misfire="skip")
    story.outage(at("00:30"), at("03:30"))
    story.outage(at("01:30"), at("02:30"))
    story.run_until(at("04:30"))
    assert told(story) == ["10 01:00 misfire 3", "10 04:00 succeeded"]


def test_what_is_handed_out_does_not_change_any_more() -> None:
    story = world()
    story.add("e", **HOURLY, duration="30m")
    story.run_until(at("01:10"))
    [run] = story.runs("e")
    story.run_until(at("01:40"))
    assert run.state == "started"
    assert story.runs("e")[0].state == "succeeded"


REFUSED = [
    # a call, the text of the error
    (lambda story: story.add("e", cron="61 * * * *", task="proj.task"), "cron: '61 * * * *': "),
    (lambda story: story.add("e", cron="* * * * *"), "task: None: give one of shell"),
    (lambda story: story.add("e", shell="", cron="@daily"), "command"),
    (
        lambda story: story.add("e", **HOURLY, overlaps="skip"),
        "overlaps: 'skip': unknown option; did you mean",
    ),
    (
        lambda story: story.add("e", at=at("2025-01-01T00:00Z"), task="t"),
        "at: '2025-01-01T00:00Z': is in the past",
    ),
    (lambda story: story.add("e", **HOURLY, calendar="none"), "calendar: 'none': there is no such calendar"),
    (lambda story: story.add("e", **HOURLY, duration="3"), "duration: '3': has no unit; did you mean '3s'?"),
    (lambda story: story.add("e", **HOURLY, duration=timedelta(-1)), "a duration from 0s on"),
    (
        lambda story: story.add("e", **HOURLY, outcome="fails"),
        "outcome: 'fails': one of succeeded, failed, lost",
    ),
    (
        lambda story: story.add("e", **HOURLY, duration=between("2h", "1h")),
        "duration: '1h': is shorter than '2h'",
    ),
    (lambda story: story.add("e", **HOURLY, outcome=chances(failed=1.5)), "failed: 1.5: a share from 0 to 1"),
    (lambda story: story.edit("yesterday", "e"), "at: 'yesterday': is not a date and time in ISO 8601"),
    (lambda story: story.edit(5, "e"), "at: 5: an instant is wanted"),
    (
        lambda story: story.run_until("2026-03-09T00:00Z"),
        "is past: the simulation has come to 2026-03-10T00:00:00Z",
    ),
    (
        lambda story: story.outage(at("02:00"), at("01:00")),
        "is not later than since 2026-03-10T02:00Z; for example '2026-03-10T03:00:00Z'",
    ),
    (lambda story: story.set_clock(at("02:00"), "-2"), "by: '2': has no unit"),
    (lambda story: story.trigger(at("00:00"), "backup"), "no entry 'backup'"),
    (lambda story: Simulation("2026-03-10", timezone="Berlin"), "timezone: 'Berlin': "),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_is_refused(call: Any, text: str) -> None:
    with pytest.raises((FieldError, InvalidInput, NotFound)) as raised:
        call(world())
    assert text in str(raised.value)


def test_an_edit_that_is_scripted_for_later_is_refused_when_its_time_comes() -> None:
    story = world()
    story.add("e", **HOURLY)
    story.edit(at("02:30"), "e", cron="every hour")
    with pytest.raises(InvalidInput, match="cron: 'every hour'"):
        story.run_until(at("04:00"))
    assert [_short(run.fire_time) for run in story.runs("e")] == ["10 01:00", "10 02:00"]


def test_a_name_that_is_taken() -> None:
    story = world()
    story.add("e", **HOURLY)
    with pytest.raises(Conflict, match="there is an entry 'e' already"):
        story.add("e", **HOURLY)


def test_a_task_that_cannot_be_invented_is_told_at_its_start() -> None:
    story = world()
    story.add("e", **HOURLY, duration=lambda fire_time: "soon")
    with pytest.raises(FieldError, match="duration: 'soon': is not a duration"):
        story.run_until(at("01:00"))
