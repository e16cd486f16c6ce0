"""Reports arrive, are acknowledged after they are recorded, and poison does not stop them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Queue

from beatd.broker.app import driver_type, load_app
from beatd.broker.reports import ReportsConsumer
from beatd.config import BrokerSettings
from beatd.errors import BrokerUnavailable
from beatd.reports import QUEUE_OPTIONS, Report
from beatd.worker.sender import Sender
from tests.broker.conftest import now
from tests.waiting import eventually

QUEUE = "beatd.reports.test"


@pytest.fixture
def consumer(app: Celery) -> Iterator[ReportsConsumer]:
    consumer = ReportsConsumer(app, QUEUE, BrokerSettings())
    yield consumer
    consumer.close()


def report(number: int) -> Report:
    return Report(str(uuid4()), "started", now(), "worker@host", retries=number)


def tell(app: Celery, *bodies: Any, **options: Any) -> None:
    """As a worker does: to the queue by its name, declared alike."""
    queue = Queue(QUEUE, **QUEUE_OPTIONS)
    confirm = {"confirm_publish": True} if driver_type(app) == "amqp" else {}
    with app.connection_for_write(transport_options=confirm) as connection, connection.Producer() as producer:
        for body in bodies:
            producer.publish(body, exchange="", routing_key=QUEUE, declare=[queue], **options)


def receive(consumer: ReportsConsumer, count: int) -> list[Report]:
    got: list[Report] = []
    deadline = time.monotonic() + 60
    while len(got) < count and time.monotonic() < deadline:
        batch = consumer.receive(1.0)
        got += batch.reports
        batch.ack()
    return got


def test_reports_arrive_whole(app: Celery, consumer: ReportsConsumer) -> None:
    sent = [report(number) for number in range(30)]
    tell(app, *(one.to_message() for one in sent))
    assert sorted(receive(consumer, 30), key=lambda one: one.retries) == sent


def test_which_start_it_is_arrives_too_if_it_was_said(app: Celery, consumer: ReportsConsumer) -> None:
    said, unsaid = (Report(str(uuid4()), "started", now(), "w", reruns_left=n) for n in (2, None))
    before = unsaid.to_message()
    del before["reruns_left"]  # a worker of an earlier version
    tell(app, said.to_message(), before, {**said.to_message(), "reruns_left": "many"})
    assert sorted(receive(consumer, 2), key=lambda one: one.at) == [said, unsaid]


def test_the_workers_own_words_are_understood(app: Celery) -> None:
    """Whoever declares the queue first, the daemon or a worker."""
    before, after = report(0), report(1)
    sender = Sender(app)
    sender.send(QUEUE, before)
    consumer = ReportsConsumer(app, QUEUE, BrokerSettings())
    sender.send(QUEUE, after)
    assert sorted(receive(consumer, 2), key=lambda one: one.retries) == [before, after]
    consumer.close()


def test_nothing_comes(consumer: ReportsConsumer) -> None:
    started = time.monotonic()
    batch = consumer.receive(0.2)
    assert time.monotonic() - started > 0.15
    assert (batch.reports, batch.rejected) == ([], 0)
    batch.ack()


def test_poison_is_counted_and_goes(app: Celery, consumer: ReportsConsumer) -> None:
    good = report(1)
    tell(app, {"v": 99}, "text", None, {**good.to_message(), "state": "levitating"}, good.to_message())
    tell(app, "{not json", content_type="application/json", content_encoding="utf-8")
    tell(app, b"\x80\x04N.", content_type="application/x-python-serialize", content_encoding="binary")
    got, rejected = [], 0
    deadline = time.monotonic() + 60
    while rejected < 6 and time.monotonic() < deadline:
        batch = consumer.receive(1.0)
        got += batch.reports
        rejected += batch.rejected
        batch.ack()
    assert (got, rejected) == ([good], 6)
    assert consumer.receive(0.1).reports == []


def test_requeued_reports_come_again(app: Celery, consumer: ReportsConsumer) -> None:
    one = report(1)
    tell(app, one.to_message())
    batch = eventually(lambda: (batch := consumer.receive(1.0)).reports and batch)
    batch.requeue()
    assert receive(consumer, 1) == [one]


def test_what_was_not_acknowledged_comes_again_after_close(app: Celery) -> None:
    one = report(1)
    first = ReportsConsumer(app, QUEUE, BrokerSettings())
    tell(app, one.to_message())
    assert eventually(lambda: first.receive(1.0).reports) == [one]
    first.close()
    second = ReportsConsumer(app, QUEUE, BrokerSettings())
    assert receive(second, 1) == [one]
    second.close()
    third = ReportsConsumer(app, QUEUE, BrokerSettings())
    assert third.receive(0.1).reports == []
    third.close()


def test_no_more_than_the_prefetch_at_a_time(app: Celery) -> None:
    consumer = ReportsConsumer(app, QUEUE, BrokerSettings(), prefetch=4)
    tell(app, *(report(number).to_message() for number in range(9)))
    sizes = []
    while sum(sizes) < 9:
        batch = consumer.receive(2.0)
        sizes.append(len(batch.reports))
        batch.ack()
    assert max(sizes) <= 4
    consumer.close()


@pytest.mark.parametrize("transport", ["rabbitmq"], indirect=True)
def test_many_reports_are_taken_together(app: Celery, consumer: ReportsConsumer) -> None:
    tell(app, *(report(number).to_message() for number in range(500)))
    sizes = []
    while sum(sizes) < 500:
        batch = consumer.receive(2.0)
        sizes.append(len(batch.reports))
        batch.ack()
    assert len(sizes) <= 10


def test_a_broker_that_dies_is_told(rabbit: Any, rabbit_url: str) -> None:
    app = load_app(None, rabbit_url)
    consumer = ReportsConsumer(app, QUEUE, BrokerSettings())
    tell(app, report(1).to_message())
    batch = eventually(lambda: (batch := consumer.receive(1.0)).reports and batch)
    rabbit.kill9()
    with pytest.raises(BrokerUnavailable):
        eventually(lambda: consumer.receive(0.1) and False)
    with pytest.raises(BrokerUnavailable):
        batch.ack()
    rabbit.start()
    again = ReportsConsumer(app, QUEUE, BrokerSettings())
    assert len(receive(again, 1)) == 1
    again.close()
    app.pool.force_close_all()


CRASHER = """
import os, sys
from beatd.broker.app import load_app
from beatd.broker import reports
from beatd.config import BrokerSettings
consumer = reports.ReportsConsumer(load_app(None, sys.argv[1]), "beatd.reports.test", BrokerSettings())
while not consumer.receive(1.0).reports: pass
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("transport", ["rabbitmq", "redis", "embedded"], indirect=True)
def test_what_a_killed_daemon_took_comes_again(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatd.broker.reports._REDIS_VISIBILITY", 1)
    one = report(1)
    tell(app, one.to_message())
    crashed = subprocess.run([sys.executable, "-c", CRASHER, str(app.conf.broker_url)], timeout=60)
    assert crashed.returncode == -9
    consumer = ReportsConsumer(app, QUEUE, BrokerSettings())
    got: list[Report] = []

    def came() -> bool:
        batch = consumer.receive(0.2)
        got.extend(batch.reports)
        batch.ack()
        return got == [one]

    eventually(came)
    consumer.close()
