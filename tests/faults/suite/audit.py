"""A witness of what reaches the broker: a consumer of its own on a queue that gets a copy of each message.

It goes straight to the broker, not through what the faults hurt. What the broker hands it a second time,
because an acknowledgement was lost when the broker died, is no second publication: such lines say so.
"""

from __future__ import annotations

import threading
from array import array
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kombu import Connection

import beatd.broker.embedded  # noqa: F401 makes its scheme known
from tests.faults.suite.ledger import Line, Minutes
from tests.faults.suite.project import OLD, audit_queues

_PREFETCH = 500
_PAUSE = 0.2


class Audit:
    """Begins with `start` and ends with `stop`; `arrivals`: publications, in seconds since the epoch."""

    def __init__(self, url: str, minutes: Minutes) -> None:
        self._url = url
        self._amqp = url.startswith("amqp")
        self._minutes = minutes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._unacknowledged: Any = None
        self.arrivals = array("d")
        self.connections = 0

    def start(self) -> None:
        """Returns when the queues exist, so that no message passes them by."""
        with self._connection() as connection:
            for queue in audit_queues(dead_letters=self._amqp):
                queue(connection.default_channel).declare()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=15)
        self._minutes.close()

    def backlog(self) -> int | None:
        """Messages that nobody has taken yet; None: the broker does not say."""
        with suppress(Exception), self._connection() as connection:
            return int(connection.default_channel.queue_declare("faults.audit", passive=True).message_count)
        return None

    def _connection(self) -> Connection:
        return Connection(self._url, connect_timeout=3, heartbeat=10 if self._amqp else 0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._consume()
            except Exception:  # whatever a broker that dies does to its clients
                self._stop.wait(_PAUSE)

    def _consume(self) -> None:
        with self._connection() as connection:
            channel = connection.default_channel
            if self._amqp:
                channel.basic_qos(0, _PREFETCH, False)
            queues = [queue(channel) for queue in audit_queues(dead_letters=self._amqp)]
            for queue in queues:
                queue.declare()
            with connection.Consumer(queues, on_message=self._note, no_ack=not self._amqp, channel=channel):
                self.connections += 1
                while not self._stop.is_set():
                    self._round(connection)

    def _round(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.25)
            for _ in range(_PREFETCH // 4):
                connection.drain_events(timeout=0.01)
        self._minutes.flush()
        if self._unacknowledged is not None:
            self._unacknowledged.ack(multiple=True)
            self._unacknowledged = None
        elif self._amqp:
            connection.heartbeat_check()

    def _note(self, message: Any) -> None:
        headers, now = message.headers, datetime.now(UTC)
        redelivered = bool(message.delivery_info.get("redelivered"))
        kind = "old" if message.delivery_info.get("routing_key") == OLD else "message"
        fire_time = datetime.fromisoformat(headers["beatd_fire_time"]).astimezone(UTC)
        self._minutes.write(
            Line(headers["id"], headers["beatd_entry"], fire_time, now, "audit", kind, redelivered)
        )
        if not redelivered and kind == "message":
            self.arrivals.append(now.timestamp())
        if self._amqp:
            self._unacknowledged = message
