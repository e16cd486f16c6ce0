"""Takes workers' reports off their queue, many at a time, and acknowledges them once they are recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.entity import Queue
from kombu.messaging import Consumer

from beatd.broker import app as broker_app
from beatd.clock import monotonic
from beatd.config import BrokerSettings
from beatd.errors import BrokerUnavailable
from beatd.reports import QUEUE_OPTIONS, Report

#: How long to wait for more after the first report.
_GATHER = 0.02
#: How long one wait for the broker may be, so that heartbeats go out.
_TICK = 1.0
#: Seconds after which reports that a crashed daemon took come again on Redis; it outlasts a commit.
_REDIS_VISIBILITY = 60
#: How long any call to the broker may take.
_PATIENCE = 10.0


class Batch:
    """What `receive` took. Reports are delivered again until `ack` was called, and then never."""

    def __init__(self, messages: list[Any], *, together: bool = False) -> None:
        self._messages = messages
        self._together = together  # whether one acknowledgement may stand for all before it
        self.reports: list[Report] = []
        self.rejected = 0
        for message in messages:
            try:
                self.reports.append(Report.from_message(message.decode()))
            except Exception:  # poison: whatever it is, it would be so again
                self.rejected += 1

    def ack(self) -> None:
        """Raises BrokerUnavailable; the reports will come again."""
        if self._together:
            self._messages = self._messages[-1:]
        self._each(lambda message: message.ack(multiple=self._together))

    def requeue(self) -> None:
        self._each(lambda message: message.requeue())

    def _each(self, settle: Callable[[Any], None]) -> None:
        messages, self._messages = self._messages, []
        try:
            for message in messages:
                settle(message)
        except Exception as error:
            raise BrokerUnavailable(f"reports could not be settled: {type(error).__name__}") from error


class ReportsConsumer:
    """Owned by one thread. Raises BrokerUnavailable when the connection is lost; make a new one then."""

    def __init__(
        self, app: Celery, queue_name: str, settings: BrokerSettings, *, prefetch: int = 500
    ) -> None:
        self._queue = Queue(queue_name, **QUEUE_OPTIONS)
        self._prefetch = prefetch
        self._arrived: list[Any] = []
        self._connection = broker_app.connect(
            app,
            timeout=settings.connect_timeout.total_seconds(),
            call_timeout=_PATIENCE,
            heartbeat=settings.heartbeat.total_seconds(),
            options=_redis_options(queue_name) if broker_app.driver_type(app) == "redis" else {},
        )
        self._together = broker_app.driver_type(app) == "amqp"
        self._lifted(self._open)

    def _open(self) -> None:
        self._channel = self._connection.channel()
        self._consumer = Consumer(
            self._channel, queues=[self._queue], accept=["json"], on_message=self._arrived.append
        )
        self._consumer.qos(prefetch_count=self._prefetch)
        self._consumer.consume()

    def receive(self, timeout: float) -> Batch:
        """Waits up to `timeout` seconds for a report, then takes what is there, `prefetch` at most.

        A batch may be empty. Settle it before the next call.
        """
        deadline = monotonic() + timeout
        while not self._arrived and (left := deadline - monotonic()) > 0:
            self._wait(min(left, _TICK))
        gathered = monotonic() + _GATHER
        while self._arrived and len(self._arrived) < self._prefetch and (left := gathered - monotonic()) > 0:
            self._wait(left)
        taken = self._arrived[:]
        self._arrived.clear()
        return Batch(taken, together=self._together)

    def _wait(self, seconds: float) -> None:
        def step() -> None:
            with contextlib.suppress(TimeoutError):
                self._connection.drain_events(timeout=seconds)
            self._connection.heartbeat_check()

        self._lifted(step)

    def close(self) -> None:
        """Unsettled reports go back to the queue."""
        broker_app.release(self._connection)

    def _lifted(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # the transports of kombu raise whatever their libraries raise
            problem = broker_app.unavailable(self._connection, error)
            self.close()
            raise problem from error


def _redis_options(queue: str) -> dict[str, Any]:
    """Keys of its own for what is not acknowledged yet: these reports come again soon after a crash,
    and the tasks of workers, which wait an hour for it, are left alone."""
    return {
        "visibility_timeout": _REDIS_VISIBILITY,
        "unacked_key": f"{queue}.unacked",
        "unacked_index_key": f"{queue}.unacked_index",
        "unacked_mutex_key": f"{queue}.unacked_mutex",
    }
