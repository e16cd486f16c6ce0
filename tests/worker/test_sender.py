"""Reports: confirmed, on a connection that survives, and never for long."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from kombu.entity import Queue

from beatd.reports import QUEUE_OPTIONS, Report
from beatd.worker import sender
from tests.services.rabbit import RabbitMQ
from tests.services.server import free_port
from tests.waiting import eventually
from tests.worker.conftest import REPORTS, Bench, both_brokers


def report(state: str = "started") -> Report:
    return Report("0b34e8d2-5d2b-4b6a-9a5f-0a4f3f6d2c11", state, datetime.now(UTC), "here")


def app_of(bench: Bench) -> Celery:
    app = Celery("reporter", set_as_current=False, broker=bench.broker)
    app.conf.broker_transport_options = bench.options
    return app


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A broker that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}//"


@both_brokers
def test_sent_is_sent(bench: Bench) -> None:
    app = app_of(bench)
    for state in ("started", "succeeded"):
        sender.of(app).send(REPORTS, report(state))
        assert bench.states(report().run_id)[-1] == state


@both_brokers
def test_posted_is_sent_soon(bench: Bench) -> None:
    app = app_of(bench)
    for _ in range(50):
        sender.of(app).post(REPORTS, report())
    sender.flush()
    assert len(bench.states(report().run_id)) == 50


def test_the_queue_outlives_the_broker(bench: Bench) -> None:
    sender.of(app_of(bench)).send("beatd.reports.other", report())
    with bench.app.connection_for_write() as connection:
        # Declaring it otherwise would be refused.
        queue = Queue("beatd.reports.other", **QUEUE_OPTIONS)
        declared = queue(connection.default_channel).queue_declare(passive=False)
        message = queue(connection.default_channel).get(no_ack=True)
    assert declared.message_count == 1
    assert message.properties["delivery_mode"] == 2


def test_a_connection_that_the_broker_closed_is_made_anew(
    bench: Bench, rabbit: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of(bench)
    sender.of(app).send(REPORTS, report("started"))
    vhost = bench.broker.rpartition("/")[2]
    rabbit.eval(
        '[rabbit_networking:close_connection(P, "test") || P <- rabbit_networking:connections(),'
        f' element(2, hd(rabbit_networking:connection_info(P, [vhost]))) =:= <<"{vhost}">>].'
    )
    reader = bench.app.connection_for_read()  # the reader's connection was closed too
    bench._channel = reader.default_channel
    sender.of(app).send(REPORTS, report("succeeded"))
    assert bench.states(report().run_id) == ["started", "succeeded"]
    assert not caplog.records
    reader.release()


@both_brokers
def test_a_forked_child_sends_and_leaves_its_parents_connection_alone(bench: Bench) -> None:
    app = app_of(bench)
    sender.of(app).send(REPORTS, report("started"))
    in_parent: Any = sender.of(app)._connection
    child = os.fork()
    if not child:
        status = 1
        try:
            sender.of(app).send(REPORTS, report("retrying"))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    sender.of(app).send(REPORTS, report("succeeded"))
    assert bench.states(report().run_id) == ["started", "retrying", "succeeded"]
    assert sender.of(app)._connection is in_parent


def test_threads_share_it(bench: Bench) -> None:
    app = app_of(bench)
    threads = [threading.Thread(target=lambda: sender.of(app).send(REPORTS, report())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.states(report().run_id)) == 20


@pytest.mark.parametrize("broker", ["nobody listens", "black hole"])
def test_it_gives_up_in_time(
    broker: str, black_hole: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_LONG_PATIENCE", 1.0)
    url = black_hole if broker == "black hole" else f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    app = Celery("reporter", set_as_current=False, broker=url)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        sender.of(app).send(REPORTS, report())
    assert time.monotonic() - began < 4 * sender.PATIENCE
    line = eventually(lambda: [r for r in caplog.records if "reports.unsent" in r.getMessage()])[0]
    assert report().run_id in line.getMessage()
    began = time.monotonic()
    sender.of(app).post(REPORTS, report())
    assert time.monotonic() - began < sender.PATIENCE
    sender.of(app).flush(60)  # or it would be told amid another test
