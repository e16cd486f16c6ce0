"""What every publisher does, on every transport."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import ChannelError

from beatd.broker.app import load_app
from beatd.broker.publisher import Publisher
from beatd.clock import monotonic
from beatd.errors import BrokerUnavailable, InvalidInput
from beatd.planning.task import TaskSpec
from tests.broker.conftest import now, publisher_of, run_of
from tests.waiting import eventually

GOOD = TaskSpec("good", "proj.add", args=(1, "zwei"), kwargs={"x": None})


@pytest.fixture
def publisher(app: Celery) -> Publisher:
    return publisher_of(app, reports_queue="beatd.reports.x")


def taken(app: Celery, queue: str = "beatd") -> list[str]:
    ids = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        try:
            while message := channel.basic_get(queue):
                ids.append(message.headers["id"])
                channel.basic_ack(message.delivery_tag)
        except ChannelError:
            pass
    return ids


def test_each_run_is_confirmed_and_there_once(app: Celery, publisher: Publisher) -> None:
    runs = [run_of(GOOD) for _ in range(60)]
    outcomes = publisher.publish(runs, now)
    assert [(outcome.run_id, outcome.status) for outcome in outcomes] == [
        (run.run_id, "confirmed") for run in runs
    ]
    assert sorted(taken(app)) == sorted(run.run_id for run in runs)
    publisher.close()


def test_bad_runs_are_told_from_good_ones(app: Celery, publisher: Publisher) -> None:
    at = now()
    good = run_of(GOOD, at + timedelta(seconds=60))
    expired = run_of(GOOD, at)
    unserialisable = run_of(TaskSpec("bad", "t", args=(object(),)))
    unroutable = run_of(TaskSpec("lost", "t", exchange="x", exchange_type="topic", routing_key="a.b"))
    outcomes = publisher.publish([expired, unserialisable, unroutable, good], lambda: at)
    assert [outcome.status for outcome in outcomes] == ["expired", "refused", "refused", "confirmed"]
    assert "object" in str(outcomes[1].error)
    assert outcomes[2].error == "no queue takes it: exchange 'x', routing key 'a.b'"
    assert taken(app) == [good.run_id]
    publisher.close()


def test_nothing_is_sent_once_the_lease_has_ended(app: Celery, publisher: Publisher) -> None:
    """The process was paused with a batch in its hands; the connection is as good as ever."""
    late = [run_of(GOOD) for _ in range(3)]
    assert [outcome.status for outcome in publisher.publish(late, now, monotonic())] == ["unknown"] * 3
    in_time = run_of(GOOD)
    assert publisher.publish([in_time], now, monotonic() + 60)[0].status == "confirmed"
    assert taken(app) == [in_time.run_id]
    publisher.close()


def test_nothing_to_do(publisher: Publisher) -> None:
    assert publisher.publish([], now) == []
    assert publisher.blocked is False
    publisher.pump()
    publisher.close()
    publisher.close()


def test_it_works_again_after_close(app: Celery, publisher: Publisher) -> None:
    publisher.close()
    run = run_of(GOOD)
    assert publisher.publish([run], now)[0].status == "confirmed"
    assert taken(app) == [run.run_id]
    publisher.close()


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:s3cret@127.0.0.1:1//",
        "redis://:s3cret@127.0.0.1:1/0",
        "sqla+sqlite:////nonexistent/broker.sqlite",
        "beatd:///proc/nonexistent",
    ],
)
def test_no_broker_is_one_error_without_the_password(url: str) -> None:
    with pytest.raises(BrokerUnavailable) as found:
        publisher_of(load_app(None, url))
    assert "s3cret" not in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("url", ["nonesuch://host", "a.b.c://x", "qpid://user:s3cret@host"])
def test_a_url_that_kombu_cannot_use(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"broker\.url") as found:
        load_app(None, url)
    assert "s3cret" not in str(found.value)


def test_redis_that_dies_makes_the_runs_unknown_and_is_found_again(
    redis_server: object, redis_url: str, tmp_path: Path
) -> None:
    publisher = publisher_of(load_app(None, redis_url), connect_timeout=1)
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    redis_server.kill9()  # type: ignore[attr-defined]
    statuses = [outcome.status for outcome in publisher.publish([run_of(GOOD), run_of(GOOD)], now)]
    assert statuses == ["unknown", "unknown"]
    with pytest.raises(BrokerUnavailable):
        publisher.publish([run_of(GOOD)], now)
    with pytest.raises(BrokerUnavailable):
        publisher.pump()
    redis_server.start()  # type: ignore[attr-defined]
    publisher.pump()
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    publisher.close()


def test_redis_replies_are_looked_at_one_by_one(redis_server: object, redis_url: str) -> None:
    """A key that is no list refuses; memory that is used up may be free again later."""
    client = redis_server.client(int(redis_url.rpartition("/")[2]))  # type: ignore[attr-defined]
    client.set("taken", "text")
    publisher = publisher_of(load_app(None, redis_url))
    good, wrong = run_of(GOOD), run_of(TaskSpec("wrong", "t", queue="taken"))
    outcomes = publisher.publish([wrong, good], now)
    assert [outcome.status for outcome in outcomes] == ["refused", "confirmed"]
    assert "WRONGTYPE" in str(outcomes[0].error)
    client.config_set("maxmemory", 1)
    try:
        [outcome] = publisher.publish([run_of(GOOD)], now)
    finally:
        client.config_set("maxmemory", 0)
    assert outcome.status == "unknown"
    assert "maxmemory" in str(outcome.error)
    publisher.close()


def test_redis_broadcasts_reach_who_listens(redis_url: str) -> None:
    app = load_app(None, redis_url)
    publisher = publisher_of(app)
    got: list[str] = []
    spec = TaskSpec("fan", "t", exchange="fan", exchange_type="fanout")
    with app.connection_for_read() as connection:
        queue = Queue("listener", Exchange("fan", type="fanout"), auto_delete=True)
        with connection.Consumer([queue], on_message=lambda message: got.append(message.headers["id"])):
            run = run_of(spec)

            def reached() -> bool:
                [outcome] = publisher.publish([run], now)
                assert outcome.status == "confirmed"
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)
                return got[:1] == [run.run_id]

            eventually(reached)
    publisher.close()


def test_what_a_pause_made_late_is_not_sent(app: Celery) -> None:
    """A process that was stopped and goes on must not send what another node may have taken over."""
    publisher = publisher_of(app, confirm_timeout=0.5)
    assert publisher.publish([run_of(GOOD)], now)[0].status == "confirmed"
    taken(app)

    def paused() -> datetime:
        threading.Event().wait(0.6)
        return now()

    outcomes = publisher.publish([run_of(GOOD) for _ in range(3)], paused)
    assert {outcome.status for outcome in outcomes} == {"unknown"}
    assert taken(app) == []
    publisher.close()
