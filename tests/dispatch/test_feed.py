"""The dispatching loop, a step at a time: what goes into the outbox, and when the next look is due."""

from __future__ import annotations

from datetime import timedelta

import pytest

from beatd.dispatch.feed import Feed
from beatd.dispatch.outbox import Outbox
from beatd.store.engine import Database
from tests.dispatch.test_outbox import Broker
from tests.dispatch.turned import NODE, Story, Turned


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
