"""When runs go out: pauses, limits, jitter, calendars, a clock that steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from beatd.planning.timing import Surroundings
from beatd.schedules import jitter_of
from beatd.store import pauses
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
    ahead = {
        n: jitter_of("story", story.start + timedelta(minutes=n), timedelta(minutes=10)).total_seconds()
        for n in range(10, 200, 10)
    }
    fire, seconds = next((n, jitter) for n, jitter in ahead.items() if jitter > 20)
    due = fire + seconds / 60
    story.at(fire + seconds / 120)
    assert fire not in story.states
    story.edit(task="proj.other", jitter=None)
    assert story.go() == []
    run = story.run(fire)
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


class Daily:
    """An entry that fires every day of the calendar `feast`'s absence, at the time when the story begins.

    Day 0 is the one on which it begins; the fire of that day has passed.
    """

    def __init__(self, turned: Turned, *feasts: int, **columns: Any) -> None:
        self.turned = turned
        self.base = turned.now().replace(second=0, microsecond=0)
        if feasts:
            self.feasts(*feasts)
        cron = f"{self.base.minute} {self.base.hour} * * *"
        self.story = Story(turned, cron=cron, calendar="feast", **columns)

    def feasts(self, *days: int) -> None:
        """The calendar is edited: these are its days now; without any it is removed."""
        dates = " ".join(str(self._day(day).date()) for day in days)
        self.turned.edit_calendar("feast", **({"dates": dates} if dates else {}))

    def on(self, day: float) -> list[int]:
        """The days whose fires start a moment after the time of day has come on this one."""
        self.turned.ahead += self._day(day) + timedelta(seconds=1) - self.turned.now()
        before = {*self.story.states}
        self.story.go()
        return [self._number(self.story.run(fire).fire_time) for fire in self.story.states.keys() - before]

    @property
    def next(self) -> int:
        return self._number(self.story.timer.next_fire_at)

    def _day(self, number: float) -> datetime:
        return self.base + timedelta(days=number)

    def _number(self, fire_time: datetime) -> int:
        return (fire_time - self.base).days


def test_an_edit_of_a_calendar_is_followed_at_once(turned: Turned) -> None:
    daily = Daily(turned, 2)
    assert daily.next == 1
    assert daily.on(1) == [1]
    assert daily.next == 3
    daily.feasts(3)
    daily.story.go()
    assert daily.next == 2
    assert daily.on(2) == [2]
    assert daily.next == 4
    assert daily.on(4) == [4]
    assert daily.story.suppressed == [("calendar", 1)]


def test_a_day_that_a_calendar_loses_when_it_has_passed_stays_free(turned: Turned) -> None:
    """The edit holds from its instant: on that day the calendar had it still, so nothing was missed."""
    daily = Daily(turned, 2)
    assert daily.on(1) == [1]
    assert daily.on(2.5) == []
    daily.feasts(9)
    assert daily.on(2.6) == []
    assert daily.next == 3
    assert daily.on(3) == [3]
    assert daily.story.suppressed == [("calendar", 1)]


def test_a_day_that_a_calendar_gains_when_it_has_passed_has_fired(turned: Turned) -> None:
    daily = Daily(turned, 9)
    turned.turn(days=1.5)
    daily.feasts(1, 2)
    assert daily.on(1.6) == [1]
    assert daily.next == 3
    assert daily.story.suppressed == []


def test_a_calendar_that_was_edited_while_no_daemon_ran(turned: Turned) -> None:
    """Fires before the edit are settled under the days of then, those after it under the new ones."""
    daily = Daily(turned, 2, 5, misfire="all")
    turned.turn(days=3.5)
    daily.feasts(1, 6)
    turned.turn(days=3)
    daily.story.restart()
    assert sorted(daily.on(7.5)) == [1, 3, 4, 5, 7]
    assert daily.story.suppressed == [("calendar", 1), ("calendar", 1)]
    versions = turned.rows("SELECT fire_time, version FROM runs ORDER BY fire_time")
    assert [row.version for row in versions] == [1, 1, 2, 2, 2]


def test_without_its_calendar_an_entry_is_broken_until_there_is_one(turned: Turned) -> None:
    daily = Daily(turned)
    assert (daily.story.timer.state, daily.story.timer.next_due_at) == ("broken", None)
    assert daily.story.timer.error == "calendar: 'feast': there is no such calendar"
    turned.turn(days=1.5)
    daily.feasts(3)
    assert daily.on(1.6) == [], "what did not fire while it was broken is not made up"
    assert (daily.story.timer.state, daily.next) == ("active", 2)
    assert daily.on(2) == [2]
    daily.feasts()
    assert daily.on(3) == []
    assert daily.story.timer.state == "broken"


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
