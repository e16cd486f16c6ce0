"""Any other kombu transport, message by message: confirmed means that kombu's `put` returned."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import ChannelError
from kombu.transport.virtual import Channel as VirtualChannel

from beatd.broker import app as broker_app
from beatd.broker.message import Template, Templates, run_headers, run_properties
from beatd.broker.publisher import Outcome, Outgoing
from beatd.clock import monotonic
from beatd.config import BrokerSettings
from beatd.errors import MessageRefused
from beatd.faultpoints import reach


class GenericPublisher:
    """Publisher through kombu's channel interface."""

    def __init__(self, app: Celery, settings: BrokerSettings, *, reports_queue: str | None) -> None:
        self._app = app
        self._settings = settings
        self._templates = Templates(app, reports_queue)
        self._confirm_timeout = settings.confirm_timeout.total_seconds()
        self._connection: Connection | None = None
        self._channel: Any = None
        self._connected()

    @property
    def blocked(self) -> bool:
        return False

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        deadline = monotonic() + self._confirm_timeout
        self._connected()
        destinations = Destinations(self._channel)
        outcomes: list[Outcome] = []
        lost: str | None = None
        for run in batch:
            instant = now()
            if lost is None and monotonic() >= min(deadline, send_until):
                lost = "not sent in time"
            if lost is not None:
                outcomes.append(Outcome(run.run_id, "unknown", lost))
                continue
            outcome, lost = self._publish_one(run, destinations, instant)
            outcomes.append(outcome)
        return outcomes

    def _publish_one(
        self, run: Outgoing, destinations: Destinations, now: datetime
    ) -> tuple[Outcome, str | None]:
        """Its outcome, and why the connection is lost if it is."""
        if run.expires_at is not None and run.expires_at <= now:
            return Outcome(run.run_id, "expired"), None
        try:
            template = self._templates.get(run.version, run.spec)
            if problem := destinations.problem(template):
                return Outcome(run.run_id, "refused", problem), None
            send(self._channel, template, run, now)
            reach("after-send", ConnectionError)
        except MessageRefused as refusal:
            return Outcome(run.run_id, "refused", str(refusal)), None
        except Exception as error:  # the transports of kombu raise whatever their libraries raise
            why = broker_app.without_secret(self._connection, error)
            self.close()
            return Outcome(run.run_id, "unknown", why), why
        return Outcome(run.run_id, "confirmed"), None

    def pump(self) -> None:
        connection = self._connected()
        try:
            connection.heartbeat_check()
        except Exception as error:
            problem = broker_app.unavailable(connection, error)
            self.close()
            raise problem from error

    def close(self) -> None:
        self._channel = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            broker_app.release(connection)

    def _options(self) -> dict[str, Any]:
        """Of the transport, on top of the app's."""
        return {}

    def _connected(self) -> Connection:
        if self._connection is not None:
            return self._connection
        connection = broker_app.connect(
            self._app,
            timeout=self._settings.connect_timeout.total_seconds(),
            call_timeout=self._confirm_timeout,
            heartbeat=self._settings.heartbeat.total_seconds(),
            options=self._options(),
        )
        self._channel = broker_app.open_channel(connection)
        self._connection = connection
        return connection


def envelope(channel: Any, template: Template, run: Outgoing, now: datetime) -> Any:
    """The message as the transport takes it."""
    return channel.prepare_message(
        template.body,
        template.priority,
        template.content_type,
        template.content_encoding,
        {
            **template.headers,
            **run_headers(run.run_id, run.fire_time, run.expires_at, run.reruns_left),
        },
        {**template.properties, **run_properties(run.run_id, run.expires_at, now)},
    )


def send(channel: Any, template: Template, run: Outgoing, now: datetime) -> None:
    message = envelope(channel, template, run, now)
    channel.basic_publish(message, exchange=template.exchange, routing_key=template.routing_key)


class Destinations:
    """Declares what templates need, once, and tells which of them no queue would take."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._problems: dict[tuple[Any, ...], str | None] = {}

    def problem(self, template: Template) -> str | None:
        key = (template.exchange, template.routing_key, *map(hash, template.declare))
        if key not in self._problems:
            self._problems[key] = self._find_problem(template)
        return self._problems[key]

    def _find_problem(self, template: Template) -> str | None:
        for entity in template.declare:
            try:
                entity(self._channel).declare()
            except ChannelError as error:
                return f"cannot declare {entity.name!r}: {error}"
        if not queues_of(self._channel, template):
            return f"no queue takes it: {template.destination}"
        return None


def queues_of(channel: Any, template: Template) -> list[str]:
    """Where a virtual transport would put it (it drops silently what no queue takes)."""
    if not template.exchange or not isinstance(channel, VirtualChannel):
        return [template.routing_key]
    with contextlib.suppress(KeyError):
        table = channel.get_table(template.exchange)
        kind = channel.typeof(template.exchange)
        return sorted(kind.lookup(table, template.exchange, template.routing_key, None))
    return []
