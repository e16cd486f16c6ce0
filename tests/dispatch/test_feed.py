"""The dispatching loop, a step at a time: what goes into the outbox, and when the next look is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from beatd import faultpoints
from beatd.dispatch.feed import Feed
from beatd.dispatch.outbox import Outbox
from beatd.errors import DatabaseUnavailable
from beatd.store.engine import Database
from tests.dispatch.test_outbox import Broker
from tests.dispatch.turned import NODE, OTHER, Story, Turned


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


class Node:
    """A node whose broker takes everything, or nothing."""

    def __init__(self, turned: Turned) -> None:
        self.turned = turned
        self.broker = Broker()
        self.outbox = Outbox(turned.database, NODE, self.broker.connect, self.broker.ask_to_end)
        self.publishing = True
        self.feed = Feed(self.outbox, lambda: self.publishing, lambda: None)
        self.dispatcher = turned.dispatcher()

    def step(self) -> float:
        """Seconds until the next one."""
        idle = self.feed.run_once(self.dispatcher)
        if self.publishing:
            while not self.outbox.idle:
                self.outbox.run_once(0)
        return idle


def test_it_sleeps_until_something_is_due(turned: Turned) -> None:
    node = Node(turned)
    assert node.step() == float("inf")
    turned.add("poll", every="10m")
    node.feed.wake()
    assert node.step() == pytest.approx(600, abs=5)


def test_it_looks_into_the_outbox_when_a_run_there_is_due(turned: Turned) -> None:
    """A run of jitter that an edit overtook: announced by nobody, owned by nobody."""
    story = Story(turned, every="10m", jitter="10m")
    turned.turn(minutes=10, milliseconds=100)
    story.edit(jitter=None, enabled=False)
    node = Node(turned)
    node.step()
    run = story.run(10)
    until_due = (run.due_time - turned.now()).total_seconds()
    assert until_due > 1
    node.feed.wake()
    assert node.step() == pytest.approx(until_due, abs=2)
    assert node.broker.sent == []
    turned.turn(seconds=until_due)
    node.feed.wake()
    node.step()  # a jump of the clock is looked at twice
    node.feed.wake()
    node.step()
    assert node.broker.sent == ["story"]


def test_what_is_released_goes_out_at_once(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    node = Node(turned)
    node.step()
    story.tell(1, "succeeded")
    node.step()
    assert node.broker.sent == ["story"]
    assert story.states == {1: "succeeded", 2: "published"}


def test_a_node_that_cannot_publish_takes_nothing_out_of_the_outbox(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    node = Node(turned)
    node.publishing = False
    story.tell(1, "succeeded")
    for _ in range(2):
        node.feed.wake()
        node.step()
    assert story.states == {1: "succeeded", 2: "pending"}
    assert story.run(2).owner is None


def test_what_was_not_handed_over_is_left_at_the_end(turned: Turned) -> None:
    story = Story(turned)
    node = Node(turned)
    node.step()
    node.feed.stop()
    turned.turn(seconds=0.9)
    turned.ahead += story.start + timedelta(minutes=1, seconds=1) - turned.now()
    node.publishing = False
    node.step()
    node.step()
    [batch] = node.feed.left
    assert len(batch.publications) == 1
    assert node.feed.offer_left(0)
    assert not node.feed.offer_left(0)


# A commit whose answer was lost


@pytest.fixture
def fault() -> Iterator[Callable[[str], None]]:
    yield faultpoints.arm
    faultpoints.arm("")


def test_what_a_commit_recorded_whose_answer_was_lost_goes_out_at_the_next_pass(
    turned: Turned, fault: Callable[[str], None]
) -> None:
    """Not when its lease lapses, and once."""
    node = Node(turned)
    turned.add("poll", every="1h", expires="never")
    node.step()
    turned.turn(hours=1)
    node.step()  # a jump of the clock is looked at twice
    fault("after-commit=lose")
    with pytest.raises(DatabaseUnavailable):
        node.step()
    assert node.broker.sent == []
    node.step()
    assert node.broker.sent == ["poll"]
    assert [run.attempt for run in turned.rows("SELECT attempt FROM runs")] == [1]
    node.step()
    assert node.broker.sent == ["poll"]


def test_what_was_not_committed_is_recorded_by_the_next_pass(
    turned: Turned, fault: Callable[[str], None]
) -> None:
    node = Node(turned)
    turned.add("poll", every="1h", expires="never")
    node.step()
    turned.turn(hours=1)
    node.step()
    fault("before-commit=fail")
    with pytest.raises(DatabaseUnavailable):
        node.step()
    assert turned.rows("SELECT id FROM runs") == []
    node.step()
    assert node.broker.sent == ["poll"]


@pytest.mark.parametrize("lost", ["after-take-back=lose", "before-take-back=fail"])
def test_what_was_taken_over_and_could_not_be_told_is_taken_back(
    turned: Turned, fault: Callable[[str], None], lost: str
) -> None:
    """Even where the database fails again while the node asks."""
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    node = Node(turned)
    node.step()
    story.tell(1, "succeeded")
    fault(f"after-take-over=lose, {lost}")
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            node.step()
    node.step()
    assert node.broker.sent == ["story"]
    assert story.states == {1: "succeeded", 2: "published"}


def test_what_another_node_has_taken_meanwhile_is_left_to_it(
    turned: Turned, fault: Callable[[str], None]
) -> None:
    node = Node(turned)
    turned.add("poll", every="1h", expires="never")
    node.step()
    turned.turn(hours=1)
    node.step()
    fault("after-commit=lose")
    with pytest.raises(DatabaseUnavailable):
        node.step()
    turned.turn(seconds=31)
    other = turned.dispatcher(OTHER)
    [batch] = other.take_over().batches
    assert len(batch.publications) == 1
    node.step()
    node.step()
    assert node.broker.sent == []


def test_a_node_that_stops_unsure_gives_back_what_was_recorded_in_its_name(
    turned: Turned, fault: Callable[[str], None]
) -> None:
    node = Node(turned)
    turned.add("poll", every="1h", expires="never")
    node.step()
    turned.turn(hours=1)
    node.step()
    fault("after-commit=lose")
    with pytest.raises(DatabaseUnavailable):
        node.step()
    assert node.outbox.give_back(node.feed.left) == 1
    assert len(turned.dispatcher(OTHER).take_over().batches) == 1


def test_workers_are_asked_to_end_what_a_commit_cancelled_whose_answer_was_lost(
    turned: Turned, fault: Callable[[str], None]
) -> None:
    story = Story(turned, overlap="cancel")
    story.at(1)
    node = Node(turned)
    turned.turn(minutes=1)
    fault("after-commit=lose")
    with pytest.raises(DatabaseUnavailable):
        node.step()
    assert node.broker.ended == []
    node.step()
    assert node.broker.ended == [story.run(1).id]
