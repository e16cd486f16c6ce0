"""The outbox on each real database; the broker's answers are told by the test, one publication each."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from beatd import faultpoints
from beatd.broker.publisher import Outcome, Outgoing, Status
from beatd.dispatch.dispatcher import Batch, Dispatcher
from beatd.dispatch.outbox import Outbox
from beatd.errors import BrokerUnavailable, Conflict, DatabaseUnavailable
from beatd.store.engine import Database
from tests.dispatch.turned import NODE, OTHER, Turned, settle


class Broker:
    """Answers as told; what is not told is confirmed."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: dict[str, list[Outcome]] = {}
        self.blocked = False
        self.down = False
        self.pumped = 0
        self.ended: list[str] = []
        self.cannot_end: Exception | None = None
        self.on_publish: Callable[[], object] = lambda: None

    def tell(self, entry: str, status: Status, error: str | None = None) -> None:
        self.answers.setdefault(entry, []).append(Outcome("", status, error))

    def connect(self) -> Broker:
        if self.down:
            raise BrokerUnavailable("broker amqp://localhost//: connection refused")
        return self

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        if self.down:
            raise BrokerUnavailable("broker amqp://localhost//: connection refused")
        self.on_publish()
        return [self._answer(outgoing, now()) for outgoing in batch]

    def _answer(self, outgoing: Outgoing, now: datetime) -> Outcome:
        if outgoing.expires_at is not None and outgoing.expires_at <= now:
            return Outcome(outgoing.run_id, "expired")
        self.sent.append(outgoing.spec.entry)
        told = self.answers.get(outgoing.spec.entry)
        answer = told.pop(0) if told else Outcome("", "confirmed")
        return Outcome(outgoing.run_id, answer.status, answer.error)

    def ask_to_end(self, run_ids: Sequence[str]) -> None:
        if self.cannot_end is not None:
            raise self.cannot_end
        self.ended += run_ids

    def pump(self) -> None:
        self.pumped += 1

    def close(self) -> None:
        pass


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def outbox(turned: Turned, broker: Broker) -> Outbox:
    return Outbox(turned.database, NODE, broker.connect, broker.ask_to_end)


def recorded(turned: Turned, *names: str, expires: str = "never") -> tuple[Dispatcher, Batch]:
    """Entries that have just fired; their runs wait to be published."""
    for name in names:
        turned.add(name, every="1h", expires=expires)
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    turned.turn(hours=1)
    [batch] = settle(dispatcher)
    return dispatcher, batch


def states(turned: Turned) -> dict[str, str]:
    return {row.name: row.state for row in turned.rows("SELECT name, state FROM recent_runs")}


def test_confirmed_runs_are_marked_published(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a", "b")
    outbox.offer(batch, 1)
    assert outbox.run_once(0).published == 2
    assert states(turned) == {"a": "published", "b": "published"}
    row = turned.rows("SELECT owner, lease_until, published_at FROM runs")[0]
    assert (row.owner, row.lease_until) == (None, None)
    assert row.published_at is not None
    assert outbox.idle
    assert len(outbox.lateness) == 2


def test_an_unconfirmed_run_goes_back_and_is_published_again_under_its_id(
    turned: Turned, broker: Broker, outbox: Outbox
) -> None:
    dispatcher, batch = recorded(turned, "a", "b")
    broker.tell("a", "unknown", "the broker said no")
    outbox.offer(batch, 1)
    done = outbox.run_once(0)
    assert (done.published, done.unconfirmed) == (1, 1)
    row = turned.one("SELECT state, error FROM recent_runs WHERE name = 'a'")
    assert (row.state, row.error) == ("pending", "the broker said no")
    assert dispatcher.take_over().batches == (), "not before its pause has passed"
    turned.turn(seconds=1.5)
    [again] = turned.dispatcher().take_over().batches
    [publication] = again.publications
    assert publication.run.id in {p.run.id for p in batch.publications}
    assert publication.run.attempt == 2
    outbox.offer(again, 1)
    outbox.run_once(0)
    assert states(turned) == {"a": "published", "b": "published"}
    assert turned.rows("SELECT error FROM runs WHERE error IS NOT NULL") == []


def test_a_refused_run_fails_with_the_broker_s_words_and_others_go_on(
    turned: Turned, broker: Broker, outbox: Outbox
) -> None:
    _, batch = recorded(turned, "bad", "good")
    broker.tell("bad", "refused", "no queue takes it")
    outbox.offer(batch, 1)
    outbox.run_once(0)
    assert states(turned) == {"bad": "failed", "good": "published"}
    row = turned.one("SELECT error, reason FROM recent_runs WHERE name = 'bad'")
    assert (row.error, row.reason) == ("no queue takes it", "not published")


def test_an_expired_run_is_marked_and_not_sent(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a", expires="5m")
    turned.turn(minutes=6)
    outbox.offer(batch, 1)
    assert outbox.run_once(0).expired == 1
    assert broker.sent == []
    assert states(turned) == {"a": "expired"}


def test_a_batch_is_kept_while_the_broker_is_away(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a")
    broker.down = True
    outbox.offer(batch, 1)
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            outbox.run_once(0)
    assert states(turned) == {"a": "pending"}
    broker.down = False
    assert outbox.run_once(0).published == 1
    assert broker.sent == ["a"]


def test_a_blocked_broker_is_not_sent_to(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a")
    outbox.run_once(0)
    broker.blocked = True
    outbox.offer(batch, 1)
    outbox.run_once(0)
    assert outbox.blocked
    assert broker.sent == []
    broker.blocked = False
    assert outbox.run_once(0).published == 1


def test_the_queue_before_the_broker_is_bounded(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a")
    offered = [outbox.offer(batch, 0.01) for _ in range(4)]
    assert offered == [True, True, False, False]


def test_what_another_node_took_over_is_not_sent(
    turned: Turned, broker: Broker, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was stopped for longer than its lease wakes up with a batch in its hands."""
    _, batch = recorded(turned, "a", "b")
    turned.turn(seconds=31)
    [taken] = turned.dispatcher(OTHER).take_over().batches
    assert len(taken.publications) == 2
    late = Batch(batch.publications, batch.lease_ends - 31)
    outbox.offer(late, 1)
    done = outbox.run_once(0)
    assert (done.published, done.lease_lost) == (0, 2)
    assert broker.sent == []
    assert {str(row.owner) for row in turned.rows("SELECT owner FROM runs")} == {OTHER}


def test_a_batch_that_waited_renews_its_lease_before_it_is_sent(
    turned: Turned, broker: Broker, outbox: Outbox
) -> None:
    _, batch = recorded(turned, "a")
    before = turned.one("SELECT lease_until FROM runs").lease_until
    outbox.offer(Batch(batch.publications, batch.lease_ends - 20), 1)
    turned.turn(seconds=20)
    leases = []
    broker.on_publish = lambda: leases.append(turned.one("SELECT lease_until FROM runs").lease_until)
    assert outbox.run_once(0).published == 1
    assert leases[0] > before


@pytest.mark.parametrize("trouble", ["down", "blocked"])
def test_a_node_that_cannot_publish_renews_no_lease(
    turned: Turned, broker: Broker, outbox: Outbox, trouble: str
) -> None:
    """Another node may be able to."""
    _, batch = recorded(turned, "a")
    before = turned.one("SELECT lease_until FROM runs").lease_until
    setattr(broker, trouble, True)
    outbox.offer(Batch(batch.publications, batch.lease_ends - 20), 1)
    turned.turn(seconds=20)
    with contextlib.suppress(BrokerUnavailable):
        outbox.run_once(0)
    assert turned.one("SELECT lease_until FROM runs").lease_until == before
    assert broker.sent == []


def test_a_confirmed_run_is_marked_later_when_the_database_fails_and_never_sent_again(
    turned: Turned, broker: Broker, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, batch = recorded(turned, "a")
    outbox.offer(batch, 1)
    write = turned.database.write

    def fails() -> None:
        raise DatabaseUnavailable("database: server closed the connection")

    monkeypatch.setattr(turned.database, "write", fails)
    with pytest.raises(DatabaseUnavailable):
        outbox.run_once(0)
    assert broker.sent == ["a"]
    assert not outbox.idle
    monkeypatch.setattr(turned.database, "write", write)
    outbox.run_once(0)
    assert states(turned) == {"a": "published"}
    assert broker.sent == ["a"]
    assert outbox.idle


def test_a_report_that_overtakes_the_mark_stands(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a")
    turned.sql("UPDATE runs SET state = 'started', owner = NULL, report_rank = 1")
    outbox.offer(batch, 1)
    outbox.run_once(0)
    assert states(turned) == {"a": "started"}


def test_what_was_not_sent_is_free_for_others_at_the_end(
    turned: Turned, broker: Broker, outbox: Outbox
) -> None:
    _, batch = recorded(turned, "a")
    broker.down = True
    outbox.offer(batch, 1)
    with pytest.raises(BrokerUnavailable):
        outbox.run_once(0)
    assert outbox.give_back() == 1
    taken = turned.dispatcher(OTHER).take_over()
    assert taken.taken_over == 1


# What is to end


def to_end(batch: Batch, *run_ids: str) -> Batch:
    return replace(batch, publications=(), to_end=run_ids)


def test_workers_are_asked_once_to_end_what_was_cancelled(
    turned: Turned, broker: Broker, outbox: Outbox
) -> None:
    _, batch = recorded(turned, "a")
    outbox.offer(batch, 1)
    outbox.offer(to_end(batch, "1", "2"), 1)
    assert outbox.run_once(0).published == 1
    outbox.run_once(0)
    assert (broker.sent, broker.ended) == (["a"], ["1", "2"])
    assert outbox.idle


def test_they_are_asked_when_the_broker_is_back(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    _, batch = recorded(turned, "a")
    broker.cannot_end = BrokerUnavailable("broker amqp://localhost//: connection refused")
    outbox.offer(to_end(batch, "1"), 1)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            outbox.run_once(0)
    broker.cannot_end = None
    outbox.run_once(0)
    assert (broker.ended, outbox.idle) == (["1"], True)


def test_where_they_cannot_be_asked_it_is_said_once(
    turned: Turned, broker: Broker, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    _, batch = recorded(turned, "a")
    broker.cannot_end = Conflict("the sql transport cannot broadcast to workers")
    with caplog.at_level("INFO", "beatd"):
        for number in range(3):
            outbox.offer(to_end(batch, str(number)), 1)
            outbox.run_once(0)
    assert outbox.idle
    said = [message for message in caplog.messages if message.startswith("runs.")]
    assert said == ['runs.not_ended reason="the sql transport cannot broadcast to workers"']


def test_lateness_is_publication_minus_due_time(turned: Turned, broker: Broker, outbox: Outbox) -> None:
    """Jitter is none of it."""
    turned.add("a", every="1h", jitter="30m", expires="never")
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    turned.turn(minutes=90, seconds=1)
    [batch] = settle(dispatcher)
    [publication] = batch.publications
    assert publication.run.due_time > publication.run.fire_time
    turned.turn(seconds=7)
    outbox.offer(batch, 1)
    outbox.run_once(0)
    [late] = outbox.lateness
    told = (turned.now() - publication.run.due_time).total_seconds()
    assert told - 5 < late <= told


@pytest.mark.parametrize("fault", ["before-renew=fail", "after-renew=lose"])
def test_a_renewal_that_fails_or_whose_answer_is_lost_is_made_again(
    turned: Turned, broker: Broker, outbox: Outbox, fault: str
) -> None:
    _, batch = recorded(turned, "a")
    outbox.offer(Batch(batch.publications, batch.lease_ends - 20), 1)
    faultpoints.arm(fault)
    with pytest.raises(DatabaseUnavailable):
        outbox.run_once(0)
    assert broker.sent == []
    assert outbox.run_once(0).published == 1
    assert broker.sent == ["a"]


@pytest.mark.parametrize("fault", ["before-give-back=fail", "after-give-back=lose"])
def test_what_could_not_be_given_back_lapses_and_is_never_sent_by_two(
    turned: Turned, broker: Broker, outbox: Outbox, fault: str
) -> None:
    _, batch = recorded(turned, "a")
    outbox.offer(batch, 1)
    faultpoints.arm(fault)
    with pytest.raises(DatabaseUnavailable):
        outbox.give_back()
    outbox.run_once(0)
    assert broker.sent == []
    turned.turn(seconds=31)
    [again] = turned.dispatcher(OTHER).take_over().batches
    assert [publication.run.attempt for publication in again.publications] == [2]
