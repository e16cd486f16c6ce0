"""Real workers in processes of their own, a message for them, and what they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from celery import Celery
from kombu.entity import Queue

from beatd.broker.app import embedded_broker
from beatd.reports import ENTRY_HEADER, FIRE_TIME_HEADER, QUEUE_OPTIONS, REPORTS_HEADER, Report
from beatd.store import schema
from beatd.store.engine import Database
from tests.services.keeper import Keeper, kill_tree
from tests.waiting import eventually

REPORTS = "beatd.reports.test"


class Bench:
    """One broker and database, workers on it, and the other end: who publishes, and who reads reports."""

    def __init__(self, broker: str, options: dict[str, Any], database_url: str, folder: Path) -> None:
        self.broker = broker
        self.options = options
        self.database_url = database_url
        self.folder = folder
        self.app = Celery("publisher", set_as_current=False, broker=broker)
        self.app.conf.update(broker_transport_options=options, task_default_queue="work")
        self.database = Database.open(database_url)
        schema.upgrade(self.database)
        self.reports: list[Report] = []
        self._connection = self.app.connection_for_read()
        self._channel = self._connection.default_channel
        Queue(REPORTS, **QUEUE_OPTIONS)(self._channel).declare()
        Queue("work", exchange="work", routing_key="work")(self._channel).declare()

    def publish(
        self, task: str, *args: Any, run_id: str | None = None, beatd: bool = True, **options: Any
    ) -> str:
        """Like the daemon, if `beatd`. Returns the id."""
        run_id = run_id or str(uuid4())
        headers = {
            REPORTS_HEADER: REPORTS,
            ENTRY_HEADER: "nightly",
            FIRE_TIME_HEADER: "2026-03-29T01:00:00+00:00",
        }
        options.setdefault("headers", headers if beatd else {})
        self.app.send_task(
            task, args, options.pop("kwargs", None), task_id=run_id, ignore_result=True, **options
        )
        return run_id

    def states(self, run_id: str) -> list[str]:
        """What was reported of a run so far, in the order of arrival."""
        return [report.state for report in self.of(run_id)]

    def of(self, run_id: str) -> list[Report]:
        self._read()
        return [report for report in self.reports if report.run_id == run_id]

    def wait_for(self, run_id: str, state: str, *, timeout: float = 60) -> Report:
        eventually(lambda: state in self.states(run_id), timeout, message=f"{state} of {run_id}")
        return next(report for report in self.of(run_id) if report.state == state)

    def _read(self) -> None:
        while (message := self._channel.basic_get(REPORTS)) is not None:
            report = Report.from_message(json.loads(message.body))
            assert abs(report.at - datetime.now(UTC)).total_seconds() < 120
            self.reports.append(report)
            self._channel.basic_ack(message.delivery_tag)

    def close(self) -> None:
        self._connection.release()
        self.database.close()


class Worker:
    def __init__(self, bench: Bench, keeper: Keeper, **settings: Any) -> None:
        self._keeper = keeper
        self.log = bench.folder / f"worker-{uuid4().hex[:6]}.log"
        argument = {
            "broker": bench.broker,
            "transport_options": bench.options,
            "how": "beatd",
            "pool": "prefork",
            "concurrency": 1,
            **{name: value for name, value in settings.items() if not name.startswith("BEATD_")},
        }
        environment = {
            **os.environ,
            "BEATD_DATABASE_URL": bench.database_url,
            "BEATD_STATE_DIR": str(bench.folder),
            "HOME": str(bench.folder),
            **{name: value for name, value in settings.items() if name.startswith("BEATD_")},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.project", json.dumps(argument)],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        keeper.watch(self.process.pid)
        ready = "worker.ready" if argument["how"] == "beatd" else " ready."
        eventually(lambda: ready in self.text(), message="a ready worker")

    def text(self) -> str:
        assert self.process.poll() is None or "worker.stopping" in self._text(), self._text()
        return self._text()

    def _text(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            kill_tree(psutil.Process(self.process.pid))
        self.process.wait()
        self._keeper.forget(self.process.pid)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Bench]:
    """On RabbitMQ; on another broker where a test is parametrised so."""
    kind = getattr(request, "param", "rabbit")
    options: dict[str, Any] = {}
    if kind == "embedded":
        broker, options = embedded_broker(tmp_path)
    elif kind == "sql":
        broker = f"sqla+sqlite:///{tmp_path}/broker.sqlite"
    else:
        broker = request.getfixturevalue(f"{kind}_url")
    bench = Bench(broker, options, sqlite_url, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def start_worker(
    bench: Bench, keeper: Keeper, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(**settings: Any) -> Worker:
        workers.append(Worker(bench, keeper, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


both_brokers = pytest.mark.parametrize("bench", ["rabbit", "embedded"], indirect=True)
