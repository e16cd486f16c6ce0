"""Shadow mode: runs are recorded as what would have been, and nobody publishes any of them, at any time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from sqlalchemy.exc import DBAPIError

from beatd.dispatch.boot import Boot, fire
from beatd.dispatch.feed import Feed
from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.errors import Conflict, DatabaseUnavailable, FieldError
from beatd.operations import runs as operations
from beatd.operations.backfill import backfill
from beatd.operations.context import Context
from beatd.operations.explain import explain
from beatd.operations.health import activity_of, work
from beatd.planning.timing import Surroundings
from beatd.store import schema
from beatd.store.engine import Database
from tests.dispatch.test_upkeep import Daemon
from tests.dispatch.turned import NODE, OTHER, Story, Turned, settle


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


class ShadowStory(Story):
    """A story that a node in shadow mode tells until it is left."""

    shadow = True

    def __init__(self, turned: Turned, **columns: Any) -> None:
        super().__init__(turned, **columns)
        self.restart()

    def restart(self) -> None:
        self.node = self.turned.dispatcher(shadow=self.shadow)

    def leave(self) -> None:
        self.shadow = False
        self.restart()


def test_a_run_is_recorded_as_what_would_have_been(turned: Turned) -> None:
    story = ShadowStory(turned)
    assert story.at(1) == []
    assert story.states == {1: "shadow"}
    run = story.run(1)
    assert (run.origin, run.version, run.owner, run.lease_until, run.attempt) == (
        "schedule",
        1,
        None,
        None,
        0,
    )
    assert run.finished_at == run.recorded_at
    assert (run.published_at, run.started_at) == (None, None)
    assert run.recorded_at - run.fire_time < timedelta(seconds=30)
    assert story.next == 2


def test_it_is_planned_as_ever(turned: Turned) -> None:
    """What the misfire policy leaves out is counted, as it would be."""
    story = ShadowStory(turned)
    story.at(5)
    assert story.states == {4: "shadow", 5: "shadow"}
    assert story.suppressed == [("misfire", 3)]


#: Each run ended as it was recorded: none is in the way of the next.
POLICIES = [
    {"overlap": "skip"},
    {"overlap": "queue"},
    {"overlap": "cancel"},
    {"on_failure": "pause", "failure_limit": 1},
    {"fixed_delay": True},
]


@pytest.mark.parametrize("policies", POLICIES, ids=str)
def test_a_run_ends_as_it_is_recorded(turned: Turned, policies: dict[str, Any]) -> None:
    story = ShadowStory(turned, **policies)
    for minute in (1.1, 2.2, 3.3):  # with a fixed delay each fire is counted from the one before
        assert story.at(minute) == []
    assert list(story.states.values()) == ["shadow"] * 3
    assert story.suppressed == []
    assert story.to_end == []


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
def test_what_ran_before_is_left_as_it_is(turned: Turned, overlap: str) -> None:
    story = Story(turned, overlap=overlap)
    assert story.at(1) == [1]
    story.tell(1, "started")
    story.node = turned.dispatcher(shadow=True)
    assert story.at(2) == []
    assert story.states == {1: "started", 2: "shadow"}
    assert story.to_end == []


def test_a_fixed_delay_waits_for_the_end_of_what_ran_before(turned: Turned) -> None:
    """Nobody takes it in: the entry stands still until an ordinary node is back, and guesses nothing."""
    story = Story(turned, fixed_delay=True)
    assert story.at(1) == [1]
    story.tell(1, "started")
    story.node = turned.dispatcher(shadow=True)
    node = upkeep(turned, OTHER, shadow=True)
    for minutes in (5, 60 * 30):
        node.sweep()
        node.find_forgotten()
        assert story.at(minutes) == []
    assert (story.states, story.next) == ({1: "started"}, None)
    story.restart()
    story.ends(1)
    assert story.next is not None


def test_what_waits_in_the_outbox_is_left_there(turned: Turned) -> None:
    """It was recorded to be run, and will be, once an ordinary node is back."""
    story = Story(turned)
    turned.turn(minutes=1, seconds=5)
    settle(turned.dispatcher(OTHER))
    assert story.states == {1: "pending"}
    turned.turn(minutes=5)
    feed = Feed(NoOutbox(), publishes=lambda: False, progress=lambda: None)  # type: ignore[arg-type]
    shadow = turned.dispatcher(shadow=True)
    for _ in range(5):
        feed.run_once(shadow)
    assert feed.left == []
    assert story.states[1] == "pending"
    assert feed.recorded == len(story.states) - 1 > 0


class NoOutbox:
    def offer(self, batch: Any, timeout: float) -> bool:
        raise AssertionError(f"published: {batch}")


def test_leaving_shadow_mode_runs_nothing_of_the_past(turned: Turned) -> None:
    story = ShadowStory(turned, misfire="all")
    for minute in (1, 2, 3):
        story.at(minute)
    story.leave()
    assert story.at(3.5) == []
    assert story.at(4) == [4]
    assert story.states == {1: "shadow", 2: "shadow", 3: "shadow", 4: "published"}


def test_a_boot(turned: Turned) -> None:
    turned.turn(minutes=10)
    turned.add("mount", cron="@reboot")
    settle(turned.dispatcher(shadow=True))
    turned.turn(minutes=10)
    boot = Boot("here", str(uuid4()), timedelta(minutes=2))
    made = [
        fire(turned.database, turned.installation, Surroundings(), boot, shadow=shadow)
        for shadow in (True, False)
    ]
    assert made == [1, 0], "the machine has not booted again"
    run = turned.one("SELECT state, owner, lease_until, finished_at FROM runs")
    assert (run.state, run.owner, run.lease_until) == ("shadow", None, None)
    assert run.finished_at is not None
    assert turned.dispatcher().take_over().batches == ()


# Nodes


def upkeep(turned: Turned, node: str, *, shadow: bool) -> Upkeep:
    daemon = Daemon(turned)
    daemon.shadow = shadow
    return Upkeep(turned.database, node, this_process(), daemon)


@pytest.mark.parametrize("shadow", [True, False])
def test_nodes_of_both_modes_do_not_share_a_database(turned: Turned, shadow: bool) -> None:
    first, second = upkeep(turned, NODE, shadow=shadow), upkeep(turned, OTHER, shadow=not shadow)
    first.join()
    first.join()
    with pytest.raises(FieldError) as refused:
        second.join()
    text = str(refused.value)
    assert text.startswith(f"scheduler.shadow: {not shadow}: node ")
    assert f"is{' ' if shadow else ' not '}in shadow mode; stop it" in text
    assert len(turned.rows("SELECT id FROM nodes")) == 1
    first.leave()
    second.join()


def test_one_that_was_silent_for_long_is_no_hindrance(turned: Turned) -> None:
    upkeep(turned, NODE, shadow=False).join()
    turned.turn(minutes=1)
    upkeep(turned, OTHER, shadow=True).join()


def test_one_that_comes_back_beside_the_other_mode_is_told(turned: Turned) -> None:
    ordinary, shadow = upkeep(turned, NODE, shadow=False), upkeep(turned, OTHER, shadow=True)
    ordinary.join()
    turned.turn(minutes=1)
    shadow.join()
    ordinary.beat()
    app = Celery(broker=Daemon(turned).broker)
    found = list(work(activity_of(turned.database, Daemon(turned).settings), lambda: app))
    # that the turned clock is off is found, too
    assert sum("beside" in finding.text for finding in found if finding.level == "problem") == 1


def test_several_shadows_may_share_one(turned: Turned) -> None:
    for node in (NODE, OTHER):
        upkeep(turned, node, shadow=True).join()
    assert turned.one("SELECT count(*) AS n FROM nodes").n == 2


def test_the_sweep_closes_nothing(turned: Turned) -> None:
    """Nobody takes in what workers tell, so that silence means nothing."""
    story = Story(turned, expires="2m")
    story.at(1)
    turned.turn(hours=30)
    upkeep(turned, OTHER, shadow=True).sweep()
    assert story.states == {1: "published"}
    upkeep(turned, NODE, shadow=False).sweep()
    assert story.states == {1: "expired"}


# What people are told


@pytest.fixture
def context(turned: Turned) -> Context:
    return Context(turned.database, "alice", "cli")


def test_what_a_person_asks_for_is_refused(turned: Turned, context: Context) -> None:
    ShadowStory(turned)
    turned.turn(minutes=2)
    node = upkeep(turned, NODE, shadow=True)
    node.join()
    for ask in (lambda: operations.trigger(context, "story"), lambda: backfill(context, "story", "2m")):
        with pytest.raises(Conflict, match="is in shadow mode: nothing is published"):
            ask()
    assert len(backfill(context, "story", "2m", dry_run=True).fire_times) > 0
    assert turned.rows("SELECT id FROM runs") == []
    node.leave()
    assert operations.trigger(context, "story").state == "pending"


def test_it_is_refused_too_where_the_configuration_says_so(turned: Turned) -> None:
    turned.add("story", every="1m")
    with pytest.raises(Conflict, match=r"\(scheduler.shadow\): nothing is published"):
        operations.trigger(Context(turned.database, "alice", "cli", shadow=True), "story")


def test_what_is_told_of_it(turned: Turned, context: Context) -> None:
    story = ShadowStory(turned)
    story.at(1)
    upkeep(turned, NODE, shadow=True).join()
    assert [run.state for run in operations.find(context, states=["shadow"])] == ["shadow"]
    past, coming = explain(context, "story").explanations
    assert past.verdict == "shadow"
    assert past.headline.startswith("it would have run: the scheduler was in shadow mode")
    assert coming.headline.startswith("it would run in")
    activity = activity_of(turned.database, Daemon(turned).settings)
    assert activity.ended == {"shadow": 1}
    [finding] = [one for one in work(activity, lambda: None) if one.level == "warning"]
    assert finding.text.startswith("shadow mode: ")
    assert not [one for one in work(activity, lambda: None) if one.level == "problem"]


# The schema


@pytest.fixture
def earlier(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    schema.upgrade(database, "0002")
    yield database
    database.close()


def test_an_earlier_database_learns_the_state_and_forgets_it(earlier: Database, database_url: str) -> None:
    turned = Turned(earlier)
    turned.add("often", every="1m")
    for _ in range(500):
        put(turned, "succeeded")
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        put(turned, "shadow")
    schema.upgrade(earlier)
    put(turned, "shadow")
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        put(turned, "shadowed")
    other = Database.open(database_url)
    put(Turned(other), "shadow")
    other.close()
    is_sound(turned)
    schema.downgrade(earlier, "0002")
    is_sound(turned)
    assert (
        sorted(row.state for row in turned.rows("SELECT state FROM runs"))
        == ["revoked"] * 2 + ["succeeded"] * 500
    )
    assert turned.rows("SELECT name FROM entries") == [("often",)]
    turned.edit("often", every="2m")
    assert len(turned.rows("SELECT version FROM entry_versions")) == 2
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        put(turned, "shadow")


def is_sound(turned: Turned) -> None:
    """SQLite's step writes the text of a CHECK itself: what is stored has to agree with it."""
    if turned.database.dialect.name == "sqlite":
        for check in ("integrity_check", "quick_check"):
            assert turned.rows(f"PRAGMA {check}") == [("ok",)]
        assert turned.rows("PRAGMA foreign_key_check") == []


def put(turned: Turned, state: str) -> None:
    at = "2026-01-01 01:00:00"
    turned.sql(
        "INSERT INTO runs "
        "(id, entry_id, version, origin, fire_time, due_time, state, recorded_at, lost_after) "
        "VALUES (:id, 1, 1, :origin, :at, :at, :state, :at, 60)",
        id=str(uuid4()),
        origin=f"trigger:{uuid4()}",
        at=at,
        state=state,
    )
