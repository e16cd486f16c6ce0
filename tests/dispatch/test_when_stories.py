"""When runs go out: pauses, limits, jitter, calendars, a clock that steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from beatd.planning.timing import Surroundings
from beatd.schedules import jitter_of
from beatd.store import calendars, pauses
from beatd.store.calendars import StoredCalendar
from beatd.store.engine import Database
from tests.dispatch.turned import OTHER, Story, Turned, as_instant, settle


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


# Everything paused


def pause_all(turned: Turned, until: timedelta | None = None) -> None:
    with turned.database.write() as connection:
        now = turned.database.now(connection)
        pauses.pause(connection, now, None, "anna", None if until is None else now + until)


def resume_all(turned: Turned) -> None:
    with turned.database.write() as connection:
        pauses.resume(connection, turned.database.now(connection))


def test_while_everything_is_paused_nothing_fires_and_the_node_does_not_spin(turned: Turned) -> None:
    story = Story(turned)
    assert story.at(1) == [1]
    pause_all(turned)
    assert story.at(5) == []
    assert story.node.run_once().wait is None
    assert story.suppressed == [], "it is counted when it is over"
    resume_all(turned)
    assert story.go() == []
    assert story.suppressed == [("all paused", 4)]
    assert story.at(6) == [6]


def test_a_pause_with_an_end_ends_by_itself(turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    pause_all(turned, until=timedelta(minutes=3, seconds=10))
    story.at(2)
    wait = story.node.run_once().wait
    assert wait is not None
    assert 60 < wait < 131
    assert story.at(4) == []
    assert story.at(5) == [5]
    assert story.suppressed == [("all paused", 3)]


def test_an_edit_while_everything_is_paused_is_planned(turned: Turned) -> None:
    story = Story(turned)
    pause_all(turned)
    story.turned.turn(minutes=2)
    story.edit(every="10m")
    assert story.go() == []
    assert story.timer.planned_version == 2
    assert story.at(11) == []
    resume_all(turned)
    assert story.go() == []
    assert story.at(20) == [20]
    assert {reason for reason, _ in story.suppressed} == {"all paused"}
    assert sum(count for _, count in story.suppressed) == 3


def test_what_is_recorded_goes_out_though_everything_is_paused(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    pause_all(turned)
    assert story.ends(1) == [2]


# One entry paused


def test_paused_until_an_instant(turned: Turned) -> None:
    story = Story(turned)
    story.at(1)
    story.edit(paused_until=(story.start + timedelta(minutes=4, seconds=30)).isoformat())
    assert story.at(2) == []
    assert story.next == 5
    assert story.at(4) == []
    assert story.at(5) == [5]
    assert story.suppressed == [("paused", 1), ("paused", 2)], "what the edit found, and the rest"


def test_an_entry_that_was_disabled_for_a_year_costs_one_record(turned: Turned) -> None:
    story = Story(turned)
    story.edit(enabled=False)
    story.go()
    turned.turn(days=365)
    story.edit(enabled=True)
    assert story.go() == []
    assert story.suppressed == [("paused", 365 * 1440)]
    minutes = 365 * 1440
    assert story.next == minutes + 1
    assert story.at(minutes + 1) == [minutes + 1]


def test_a_daemon_that_was_away_for_a_year_makes_one_run(turned: Turned) -> None:
    story = Story(turned, every="1h")
    assert story.at(365 * 1440 + 30) == [365 * 1440]
    assert story.suppressed == [("misfire", 365 * 24 - 1)]


# Limits


def test_max_runs_counts_across_daemons(turned: Turned) -> None:
    story = Story(turned, max_runs=3, overlap="skip")
    assert story.at(1) == [1]
    assert story.at(2) == [], "what was skipped is no run"
    story.ends(1)
    story.restart()
    assert story.at(3) == [3]
    story.ends(3)
    assert story.timer.runs_made == 2
    story.restart()
    assert story.at(4) == [4]
    assert (story.timer.state, story.timer.runs_made, story.next) == ("completed", 3, None)
    assert story.at(9) == []
    assert story.suppressed == [("overlap", 1)]


# Jitter


def test_runs_go_out_with_their_jitter_and_keep_their_fire_time(turned: Turned) -> None:
    story = Story(turned, jitter="50s")
    ahead = {n: jitter_of("story", story.start + timedelta(minutes=n), timedelta(seconds=50)) for n in (1, 2)}
    for fire, jitter in ahead.items():
        seconds = jitter.total_seconds()
        assert story.at(fire + (seconds - 1) / 60) == []
        assert story.timer.next_due_at - story.timer.next_fire_at == jitter
        assert story.at(fire + seconds / 60) == [fire]
        assert story.run(fire).due_time == story.run(fire).fire_time + jitter
    assert story.suppressed == []


def test_a_fire_that_an_edit_overtakes_is_published_when_it_is_due(turned: Turned) -> None:
    """Fired under the old version, whose jitter it keeps; the node that recorded it need not be there."""
    story = Story(turned, every="10m", jitter="10m")
    seconds = jitter_of("story", story.start + timedelta(minutes=10), timedelta(minutes=10)).total_seconds()
    due = 10 + seconds / 60
    story.at(10 + seconds / 120)
    assert story.states == {}
    story.edit(task="proj.other", jitter=None)
    assert story.go() == []
    run = story.run(10)
    assert (run.state, run.version, run.owner, run.lease_until) == ("pending", 1, None, run.due_time)
    wait = story.node.take_over().wait
    assert wait is not None
    assert abs(wait - (run.due_time - turned.now()).total_seconds()) < 1
    assert story.at(due - 1 / 60) == []
    story.node = turned.dispatcher(OTHER)
    turned.turn(seconds=2)
    [batch] = story.node.take_over().batches
    assert [one.run.id for one in batch.publications] == [run.id]


# Calendars


def test_an_edit_of_a_calendar_is_followed_at_once(turned: Turned) -> None:
    base = turned.now().replace(second=0, microsecond=0)

    def day(number: int) -> datetime:
        """Of the daily fire."""
        return base + timedelta(days=number)

    def change(feast: int) -> None:
        with turned.database.write() as connection:
            calendars.change(connection, "feast", {"dates": str(day(feast).date())})

    with turned.database.write() as connection:
        calendars.add(connection, StoredCalendar("feast", dates=str(day(2).date())))
    story = Story(turned, cron=f"{base.minute} {base.hour} * * *", calendar="feast")

    def fired(number: int) -> int:
        story.turned.ahead += day(number) + timedelta(seconds=1) - turned.now()
        return len(story.go())

    assert story.timer.next_fire_at == day(1)
    assert fired(1) == 1
    assert story.timer.next_fire_at == day(3)
    change(3)
    story.go()
    assert story.timer.next_fire_at == day(2)
    assert fired(2) == 1
    assert story.timer.next_fire_at == day(4)
    assert fired(4) == 1
    assert story.suppressed == [("calendar", 1)]
    with turned.database.write() as connection:
        calendars.remove(connection, "feast")
    story.go()
    assert story.timer.state == "broken"
    assert "feast" in story.timer.error


# The clock


@pytest.mark.parametrize(
    ("misfire", "made", "counted"),
    [
        ("skip", [], [("misfire", 12)]),
        ("latest", [120], [("misfire", 11)]),
        ("all", list(range(10, 121, 10)), []),
    ],
)
def test_a_step_forward_makes_misfires_which_the_policy_settles(
    turned: Turned, misfire: str, made: list[int], counted: list[tuple[str, int]]
) -> None:
    story = Story(turned, every="10m", misfire=misfire)
    turned.turn(minutes=125)
    first = story.node.run_once()
    assert (first.due, first.wait) == (0, 0.0), "not at the first look"
    assert story.go() == made
    assert story.suppressed == counted


def test_a_step_back_makes_nothing_twice(turned: Turned) -> None:
    story = Story(turned)
    assert story.at(1) == [1]
    assert story.at(2) == [2]
    assert story.at(0.5) == []
    assert story.at(1) == []
    assert story.at(2) == []
    assert story.at(3) == [3]
    assert story.suppressed == []


# Surroundings


def test_entries_without_a_zone_are_in_the_one_of_the_surroundings(turned: Turned) -> None:
    turned.add("noon", cron="0 12 * * *")
    settle(turned.dispatcher(surroundings=Surroundings("Asia/Tokyo")))
    assert as_instant(turned.one("SELECT next_fire_at FROM timers").next_fire_at).hour == 3


@pytest.mark.parametrize("columns", [{"overlap": "queue"}, {"every": "1m", "fixed_delay": True}])
def test_without_reports_nothing_can_wait_for_an_end(turned: Turned, columns: dict[str, Any]) -> None:
    turned.add("waits", **{"every": "1m", **columns})
    settle(turned.dispatcher(surroundings=Surroundings(reports=False)))
    timer = turned.one("SELECT state, error FROM timers")
    assert timer.state == "broken"
    assert "celery.reports" in timer.error


def test_triggers_of_the_operators_own(turned: Turned) -> None:
    from apscheduler.triggers.cron import CronTrigger

    factory: Callable[..., Any] = CronTrigger
    turned.add("own", custom="office", custom_args='{"hour": 4, "minute": 30, "second": 0}', timezone="UTC")
    settle(turned.dispatcher(surroundings=Surroundings(custom={"office": factory})))
    timer = turned.one("SELECT state, error, next_fire_at FROM timers")
    assert (timer.state, timer.error) == ("active", None)
    assert f"{as_instant(timer.next_fire_at):%H:%M}" == "04:30"
