"""Publishing to a real RabbitMQ, and what it does when it will not take something."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from beatd.broker.amqp import AmqpPublisher
from beatd.broker.app import load_app
from beatd.broker.publisher import Outcome, Outgoing
from beatd.errors import BrokerUnavailable
from beatd.planning.task import TaskSpec
from tests.broker.conftest import now, publisher_of, run_of
from tests.services.rabbit import RabbitMQ
from tests.waiting import eventually

GOOD = TaskSpec("good", "proj.add", args=(1, 2))


class Broker:
    """A vhost, looked at from the other side."""

    def __init__(self, rabbit: RabbitMQ, url: str) -> None:
        self.rabbit = rabbit
        self.url = url
        self.vhost = url.rpartition("/")[2]
        self.publisher = self.open()

    def open(self, **options: Any) -> AmqpPublisher:
        publisher = publisher_of(load_app(None, self.url), reports_queue="beatd.reports.x", **options)
        assert isinstance(publisher, AmqpPublisher)
        return publisher

    def publish(self, runs: Sequence[Outgoing]) -> dict[str, Outcome]:
        return {outcome.run_id: outcome for outcome in self.publisher.publish(runs, now)}

    def taken(self, queue: str = "beatd") -> list[str]:
        """The ids of the messages in the queue, which is empty thereafter."""
        ids = []
        with Connection(self.url) as connection, connection.channel() as channel:
            while message := channel.basic_get(queue, no_ack=True):
                ids.append(message.properties["correlation_id"])
        return ids

    def do(self, action: Callable[[Any], None]) -> None:
        with Connection(self.url) as connection, connection.channel() as channel:
            action(channel)


@pytest.fixture
def broker(rabbit: RabbitMQ, rabbit_url: str) -> Iterator[Broker]:
    broker = Broker(rabbit, rabbit_url)
    yield broker
    broker.publisher.close()


def statuses(outcomes: dict[str, Outcome]) -> set[str]:
    return {outcome.status for outcome in outcomes.values()}


def test_each_of_many_is_confirmed_and_there_once(broker: Broker) -> None:
    runs = [run_of(GOOD) for _ in range(1_700)]
    outcomes = broker.publisher.publish(runs, now)
    assert [outcome.run_id for outcome in outcomes] == [run.run_id for run in runs]
    assert {outcome.status for outcome in outcomes} == {"confirmed"}
    assert sorted(broker.taken()) == sorted(run.run_id for run in runs)


def test_an_empty_batch_is_nothing(broker: Broker) -> None:
    assert broker.publisher.publish([], now) == []


def test_large_messages_pass_a_window_of_bytes(broker: Broker) -> None:
    large = TaskSpec("large", "proj.add", args=("x" * 3_000_000,))
    runs = [run_of(large) for _ in range(8)] + [run_of(GOOD)]
    assert statuses(broker.publish(runs)) == {"confirmed"}
    assert len(broker.taken()) == 9


def test_an_expired_run_is_not_sent(broker: Broker) -> None:
    at = now()
    expired, alive = run_of(GOOD, at), run_of(GOOD, at + timedelta(seconds=60))
    outcomes = broker.publisher.publish([expired, alive], lambda: at)
    assert [outcome.status for outcome in outcomes] == ["expired", "confirmed"]
    assert broker.taken() == [alive.run_id]


def test_the_broker_drops_what_expired_in_its_queue(broker: Broker) -> None:
    broker.publish([run_of(GOOD, now() + timedelta(milliseconds=1_500))])

    def count() -> int:
        with Connection(broker.url) as connection, connection.channel() as channel:
            return int(channel.queue_declare("beatd", passive=True).message_count)

    assert count() == 1
    eventually(lambda: count() == 0)


def unroutable() -> TaskSpec:
    return TaskSpec("unroutable", "t", exchange="logs", exchange_type="topic", routing_key="nobody.listens")


def missing_exchange() -> TaskSpec:
    return TaskSpec("missing", "t", exchange="nonesuch", routing_key="x")


def other_arguments() -> TaskSpec:
    return TaskSpec("other", "t", queue="other")


def other_type() -> TaskSpec:
    return TaskSpec("type", "t", exchange="fan", exchange_type="direct", routing_key="x")


def bad_header() -> TaskSpec:
    return TaskSpec("cc", "t", headers={"CC": "must be a list, says RabbitMQ"})


def long_header() -> TaskSpec:
    return TaskSpec("long", "t", headers={"note": "x" * 200_000})


def long_key() -> TaskSpec:
    return TaskSpec("key", "t", exchange="amq.topic", routing_key="x" * 256)


def huge_priority() -> TaskSpec:
    return TaskSpec("priority", "t", priority=256)


def unserialisable() -> TaskSpec:
    return TaskSpec("args", "t", args=(object(),))


def internal_exchange() -> TaskSpec:
    return TaskSpec("internal", "t", exchange="inside", routing_key="x")


@pytest.mark.parametrize(
    ("poison", "said"),
    [
        (unroutable, "no queue takes it: exchange 'logs', routing key 'nobody.listens'"),
        (missing_exchange, "no such exchange: exchange 'nonesuch', routing key 'x'"),
        (other_arguments, "cannot declare 'other': PRECONDITION_FAILED"),
        (other_type, "cannot declare 'fan': PRECONDITION_FAILED"),
        (bad_header, "PRECONDITION_FAILED"),
        (internal_exchange, "ACCESS_REFUSED"),
        (long_header, "its headers take"),
        (long_key, "AMQP cannot carry"),
        (huge_priority, "AMQP cannot carry"),
        (unserialisable, "object"),
    ],
)
def test_a_poison_run_is_refused_and_the_others_confirmed(
    broker: Broker, poison: Callable[[], TaskSpec], said: str
) -> None:
    broker.do(lambda channel: channel.queue_declare("other", arguments={"x-max-length": 7}))
    broker.do(lambda channel: channel.exchange_declare("fan", "fanout", durable=True, auto_delete=False))
    broker.rabbit.eval(
        f'rabbit_exchange:declare({{resource, <<"{broker.vhost}">>, exchange, <<"inside">>}},'
        ' direct, true, false, true, [], <<"test">>).'
    )
    good = [run_of(GOOD) for _ in range(40)]
    bad = [run_of(poison()) for _ in range(2)]
    outcomes = broker.publish([*good[:20], bad[0], *good[20:30], bad[1], *good[30:]])
    assert {outcomes[run.run_id].status for run in good} == {"confirmed"}
    assert {outcomes[run.run_id].status for run in bad} == {"refused"}
    for run in bad:
        assert said in str(outcomes[run.run_id].error)
    assert set(broker.taken()) == {run.run_id for run in good}
    # and the publisher is as good as before
    assert statuses(broker.publish([run_of(GOOD)])) == {"confirmed"}


def test_a_frame_that_is_too_large_closes_the_connection_for_nobody_else(broker: Broker) -> None:
    """As if our own check of the size were wrong: RabbitMQ answers 501 and closes the connection."""
    session = broker.publisher._session
    assert session is not None
    amqp = session._amqp
    broker.publish([run_of(GOOD)])
    amqp.frame_max = 10_000_000
    good = [run_of(GOOD) for _ in range(10)]
    bad = run_of(long_header())
    outcomes = broker.publish([*good[:5], bad, *good[5:]])
    assert {outcomes[run.run_id].status for run in good} == {"confirmed"}
    assert outcomes[bad.run_id].status == "refused"


def test_an_exchange_deleted_under_us_is_found_out(broker: Broker) -> None:
    straight = Queue("left", Exchange("straight", type="direct"), routing_key="left")
    broker.do(lambda channel: straight(channel).declare())
    spec = TaskSpec("straight", "t", exchange="straight", routing_key="left")
    assert statuses(broker.publish([run_of(spec)])) == {"confirmed"}
    broker.do(lambda channel: channel.exchange_delete("straight"))
    bad, good = run_of(spec), run_of(GOOD)
    outcomes = broker.publish([bad, good])
    assert outcomes[bad.run_id].status == "refused"
    assert "no exchange 'straight'" in str(outcomes[bad.run_id].error)
    assert outcomes[good.run_id].status == "confirmed"


def test_a_queue_deleted_under_us_is_declared_anew(broker: Broker) -> None:
    broker.publish([run_of(GOOD)])
    broker.do(lambda channel: channel.queue_delete("beatd"))
    run = run_of(GOOD)
    assert statuses(broker.publish([run])) == {"confirmed"}
    assert broker.taken() == [run.run_id]


def test_a_queue_that_another_connection_owns_is_unknown(broker: Broker) -> None:
    spec = TaskSpec("owned", "t", queue="owned")
    with Connection(broker.url) as connection, connection.channel() as channel:
        channel.queue_declare("owned", exclusive=True, durable=True, auto_delete=False)
        owned, good = run_of(spec), run_of(GOOD)
        outcomes = broker.publish([owned, good])
        assert outcomes[owned.run_id].status == "unknown"
        assert "RESOURCE_LOCKED" in str(outcomes[owned.run_id].error)
        assert outcomes[good.run_id].status == "confirmed"
    eventually(lambda: statuses(broker.publish([owned])) == {"confirmed"})


def test_a_full_queue_that_rejects_is_unknown_and_can_be_tried_again(broker: Broker) -> None:
    """RabbitMQ answers nack: the outbox publishes it again later."""
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    full = Queue("full", Exchange("full", type="direct"), routing_key="full", queue_arguments=arguments)
    broker.do(lambda channel: full(channel).declare())
    runs = [run_of(TaskSpec("full", "t", exchange="full", routing_key="full")) for _ in range(5)]
    outcomes = broker.publisher.publish(runs, now)
    assert [outcome.status for outcome in outcomes].count("unknown") == 4
    assert {outcome.error for outcome in outcomes if outcome.status == "unknown"} == {
        "the broker refused it for now (nack)"
    }


def test_a_message_of_49_days_and_more_has_no_ttl(broker: Broker) -> None:
    assert statuses(broker.publish([run_of(GOOD, now() + timedelta(days=400))])) == {"confirmed"}


def test_a_connection_closed_by_the_broker_is_made_again(broker: Broker) -> None:
    broker.publisher.pump()
    close_connections(broker.rabbit)
    with pytest.raises(BrokerUnavailable, match="CONNECTION_FORCED"):
        eventually(broker.publisher.pump)
    broker.publisher.pump()
    close_connections(broker.rabbit)
    runs = [run_of(GOOD) for _ in range(3)]

    def all_confirmed() -> bool:
        outcomes = broker.publish(runs)
        assert statuses(outcomes) in ({"unknown"}, {"confirmed"})
        return statuses(outcomes) == {"confirmed"}

    eventually(all_confirmed)


def close_connections(rabbit: RabbitMQ) -> None:
    rabbit.eval(
        '[catch rabbit_networking:close_connection(C, "test") || C <- rabbit_networking:connections()].'
    )


def test_heartbeats_keep_an_idle_connection(broker: Broker) -> None:
    publisher = broker.open(heartbeat=1)
    until = time.monotonic() + 5  # RabbitMQ gives up on a silent peer after two intervals
    while time.monotonic() < until:
        publisher.pump()
        threading.Event().wait(0.2)
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    publisher.close()


def test_an_alarm_blocks_and_its_end_unblocks(broker: Broker) -> None:
    publisher = broker.open(confirm_timeout=2.0)
    assert not publisher.blocked
    publisher.publish([run_of(GOOD)], now)
    broker.rabbit.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.00001).")
    try:
        eventually(lambda: "memory" in broker.rabbit.eval("rabbit_alarm:get_alarms()."))
        first = publisher.publish([run_of(GOOD)], now)  # the alarm is told to those who publish
        eventually(lambda: (publisher.pump(), publisher.blocked)[1])
        started = time.monotonic()
        outcomes = publisher.publish([run_of(GOOD) for _ in range(5)], now)
        took = time.monotonic() - started
        assert [outcome.status for outcome in first] == ["unknown"]
        assert {(outcome.status, outcome.error) for outcome in outcomes} == {
            ("unknown", "the broker is blocked")
        }
        assert took < 20
    finally:
        broker.rabbit.eval("vm_memory_monitor:set_vm_memory_high_watermark({absolute, 2000000000}).")
    eventually(lambda: (publisher.pump(), not publisher.blocked)[1])
    broker.taken()
    run = run_of(GOOD)
    assert [outcome.status for outcome in publisher.publish([run], now)] == ["confirmed"]
    assert broker.taken() == [run.run_id]
    publisher.close()


def test_a_killed_broker_loses_nothing_confirmed(broker: Broker) -> None:
    confirmed: list[str] = []
    killed = threading.Timer(0.3, broker.rabbit.kill9)
    killed.start()
    while True:
        try:
            outcomes = broker.publisher.publish([run_of(GOOD) for _ in range(500)], now)
        except BrokerUnavailable:
            break
        confirmed += [outcome.run_id for outcome in outcomes if outcome.status == "confirmed"]
        assert {outcome.status for outcome in outcomes} <= {"confirmed", "unknown"}
    killed.join()
    assert confirmed
    with pytest.raises(BrokerUnavailable):
        broker.publisher.pump()
    broker.rabbit.start()
    assert set(confirmed) <= set(broker.taken())
    broker.publisher.pump()
    assert statuses(broker.publish([run_of(GOOD)])) == {"confirmed"}


@pytest.mark.parametrize("url", ["amqp://guest:s3cret@127.0.0.1:1//", "amqp://guest:s3cret@{host}/"])
def test_a_broker_that_cannot_be_reached_is_named_without_its_password(rabbit: RabbitMQ, url: str) -> None:
    with pytest.raises(BrokerUnavailable) as found:
        publisher_of(load_app(None, url.format(host=f"127.0.0.1:{rabbit.port}")))
    assert "s3cret" not in str(found.value)
    assert "amqp://guest:**@127.0.0.1" in str(found.value)


def test_the_second_of_two_hosts_is_tried(rabbit_url: str) -> None:
    app = load_app(None, f"amqp://guest:guest@127.0.0.1:1//;{rabbit_url}")
    publisher = publisher_of(app)
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    publisher.close()


class Valve:
    """A TCP relay in front of the broker that can stop passing bytes on, in silence."""

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.open = threading.Event()
        self.open.set()
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.open.set()
        for end in self._sockets:
            end.close()


@pytest.fixture
def valve(rabbit: RabbitMQ) -> Iterator[Valve]:
    valve = Valve(rabbit.port)
    yield valve
    valve.close()


def test_a_network_that_swallows_everything(broker: Broker, valve: Valve) -> None:
    """No answer in time makes the runs unknown, and the connection is not trusted again."""
    url = f"amqp://guest:guest@127.0.0.1:{valve.port}/{broker.vhost}"
    options: dict[str, Any] = {"confirm_timeout": 1.5, "connect_timeout": 1.0}
    publisher = publisher_of(load_app(None, url), **options)
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    valve.open.clear()
    started = time.monotonic()
    outcomes = publisher.publish([run_of(GOOD) for _ in range(700)], now)
    assert {outcome.status for outcome in outcomes} == {"unknown"}
    assert time.monotonic() - started < 30
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publisher.publish([run_of(GOOD)], now)
    assert time.monotonic() - started < 30
    valve.open.set()
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    publisher.close()


def test_a_network_that_swallows_more_than_the_buffers_hold(broker: Broker, valve: Valve) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{valve.port}/{broker.vhost}"
    publisher = publisher_of(load_app(None, url), confirm_timeout=1.5)
    large = TaskSpec("large", "proj.add", args=("x" * 6_000_000,))
    valve.open.clear()
    started = time.monotonic()
    outcomes = publisher.publish([run_of(large) for _ in range(5)], now)
    assert {outcome.status for outcome in outcomes} == {"unknown"}
    assert time.monotonic() - started < 30
    valve.open.set()
    publisher.close()


def test_a_silent_network_is_noticed_while_idle(broker: Broker, valve: Valve) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{valve.port}/{broker.vhost}"
    publisher = publisher_of(load_app(None, url), heartbeat=1)
    publisher.pump()
    valve.open.clear()
    with pytest.raises(BrokerUnavailable):
        eventually(publisher.pump, interval=0.2)
    publisher.close()
