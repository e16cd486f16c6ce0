"""Takes workers' reports off their queue, many at a time, and acknowledges them once they are recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Consumer

from beatd.broker import app as broker_app
from beatd.clock import monotonic
from beatd.errors import BrokerUnavailable
from beatd.reports import QUEUE_ARGUMENTS, Report

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
        self, app: Celery, queue_name: str, *, prefetch: int = 500, connect_timeout: float = 5.0
    ) -> None:
        self._queue = reports_queue(queue_name)
        self._prefetch = prefetch
        self._arrived: list[Any] = []
        options = _redis_options(queue_name) if broker_app.driver_type(app) == "redis" else {}
        self._connection = broker_app.connect(app, timeout=connect_timeout, options=options)
        self._together = broker_app.driver_type(app) == "amqp"
        self._lifted(self._open)

    def _open(self) -> None:
        _limit_waits(self._connection)
        self._channel = self._connection.channel()
        self._consumer = Consumer(
            self._channel, queues=[self._queue], accept=["json"], on_message=self._arrived.append
        )
        self._consumer.qos(prefetch_count=self._prefetch)
        self._consumer.consume()

    def declare(self) -> None:
        """Makes the queue if it is not there (`receive` needs it; opening the consumer did it too)."""
        self._lifted(lambda: self._queue(self._channel).declare())

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


def reports_queue(name: str) -> Queue:
    """Declared alike by the daemon and by its workers."""
    exchange = Exchange(name, type="direct", durable=True)
    return Queue(name, exchange, routing_key=name, durable=True, queue_arguments=QUEUE_ARGUMENTS)


def _redis_options(queue: str) -> dict[str, Any]:
    """Keys of its own for what is not acknowledged yet: these reports come again soon after a crash,
    and the tasks of workers, which wait an hour for it, are left alone."""
    return {
        "socket_timeout": _PATIENCE,
        "socket_connect_timeout": _PATIENCE,
        "visibility_timeout": _REDIS_VISIBILITY,
        "unacked_key": f"{queue}.unacked",
        "unacked_index_key": f"{queue}.unacked_index",
        "unacked_mutex_key": f"{queue}.unacked_mutex",
    }


def _limit_waits(connection: Connection) -> None:
    """No call over AMQP may wait for ever; what names a timeout of its own keeps it."""
    transport = getattr(connection.connection, "transport", None)
    sock = getattr(transport, "sock", None)
    if sock is not None:
        sock.settimeout(_PATIENCE)
