"""Sends reports: persistent, confirmed, on a connection of its own, and never for long.

Each process has one thread that sends, so that whoever reports can stop waiting whatever the network
does. The thread is started at the first report; after a fork the child starts its own.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass, field

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer

from beatd import clock, waits
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.reports import QUEUE_OPTIONS, Report

#: Seconds that a task waits for its report to be confirmed.
PATIENCE = 5.0
#: Seconds after which a report that nobody waits for is given up.
_LONG_PATIENCE = 60.0
_MOST_WAITING = 10_000
_PAUSE = 0.2

log = get_logger()


@dataclass(slots=True)
class _Item:
    queue: str
    report: Report
    deadline: float
    waited_for: bool
    done: threading.Event = field(default_factory=threading.Event)
    problem: str | None = None

    @property
    def left(self) -> float:
        return self.deadline - clock.monotonic()


class Sender:
    """Sends over the broker of one Celery app. Threads may share it; processes do not (see `of`)."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._waiting: queue.Queue[_Item] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._declared: set[str] = set()

    def send(self, queue_name: str, report: Report) -> None:
        """Returns when the broker has confirmed it, or after PATIENCE with a line in the log."""
        item = _Item(queue_name, report, clock.monotonic() + PATIENCE, waited_for=True)
        self._put(item)
        if not item.done.wait(PATIENCE):
            item.problem = item.problem or f"no confirmation within {PATIENCE:g} s"
        if item.problem:
            _tell(item)

    def post(self, queue_name: str, report: Report) -> None:
        """The same without waiting: for a process that must not stand still."""
        self._put(_Item(queue_name, report, clock.monotonic() + _LONG_PATIENCE, waited_for=False))

    def flush(self, timeout: float = PATIENCE) -> None:
        """Wait until everything was sent or given up, at most `timeout` seconds."""
        last = clock.monotonic() + timeout
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks and (left := last - clock.monotonic()) > 0:
                self._waiting.all_tasks_done.wait(left)

    def _put(self, item: _Item) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="beatd-reports", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            item.problem = f"{_MOST_WAITING} reports wait already"
            item.done.set()
            if not item.waited_for:
                _tell(item)

    def _work(self) -> None:
        while True:
            item = self._waiting.get()
            item.problem = self._deliver(item)
            item.done.set()
            self._waiting.task_done()
            if item.problem and not item.waited_for:
                _tell(item)

    def _deliver(self, item: _Item) -> str | None:
        """Try until the item's deadline. Returns what went wrong."""
        problem = "no time was left to send it"
        while item.left > 0:
            try:
                self._publish(item)
                return None
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                self._drop_connection()
                time.sleep(min(_PAUSE, max(0.0, item.left)))
        return problem

    def _publish(self, item: _Item) -> None:
        producer = self._producer or self._connect(item.left)
        if item.queue not in self._declared:
            Queue(item.queue, **QUEUE_OPTIONS)(producer.channel).declare()
            self._declared.add(item.queue)
        timeout = max(0.1, item.left)
        reach("before-send", ConnectionError)
        producer.publish(
            item.report.to_message(),
            exchange="",
            routing_key=item.queue,
            serializer="json",
            delivery_mode="persistent",
            retry=False,
            timeout=timeout,
            confirm_timeout=timeout,
        )
        reach("after-sent", ConnectionError)

    def _connect(self, timeout: float) -> Producer:
        connection = self._app.connection_for_write(connect_timeout=timeout)
        driver = connection.transport.driver_type
        connection.transport_options = {
            **connection.transport_options,
            **waits.transport_options(driver, connect=PATIENCE, call=PATIENCE),
            **({"confirm_publish": True} if driver == "amqp" else {}),
        }
        self._connection = connection
        connection.connect()
        waits.limit_calls(connection, PATIENCE)
        self._producer = Producer(connection.default_channel, auto_declare=False)
        return self._producer

    def _drop_connection(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        self._declared.clear()
        if connection is not None:
            connection.collect(socket_timeout=0.1)


def _tell(item: _Item) -> None:
    report = item.report
    log.warning(
        "reports.unsent", run=report.run_id, state=report.state, queue=item.queue, reason=item.problem
    )


# One sender a process and app


_senders: dict[Celery, Sender] = {}
_inherited: list[dict[Celery, Sender]] = []
_lock = threading.Lock()


def of(app: Celery) -> Sender:
    """This process's sender for the app."""
    with _lock:
        return _senders.setdefault(app, Sender(app))


def flush() -> None:
    for sender in list(_senders.values()):
        sender.flush()


def _forget_senders() -> None:
    """A forked child starts anew. The parent's are kept unused: to close them would end the parent's
    connections."""
    global _senders, _lock
    _inherited.append(_senders)
    _senders = {}
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_senders)
