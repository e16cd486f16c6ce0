"""What goes on the wire: made once per entry version by Celery's own code, filled in per run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.backends.base import DisabledBackend
from kombu.entity import Exchange
from kombu.messaging import Producer

from beatd.errors import MessageRefused
from beatd.planning.task import TaskSpec
from beatd.reports import ENTRY_HEADER, FIRE_TIME_HEADER, REPORTS_HEADER, RERUNS_HEADER
from beatd.schedules import format_instant

#: RabbitMQ refuses a longer TTL (2**32 - 1 ms, 49 days); the `expires` header has no such limit.
LONGEST_TTL_MS = 4_294_967_295

_PLACEHOLDER_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Template:
    """One message but for its run: `headers` and `properties` lack what `run_headers` and
    `run_properties` add.

    `declare` holds the kombu queues and exchanges that Celery would declare before it publishes.
    """

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    content_encoding: str
    priority: int
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    declare: tuple[Any, ...]

    @classmethod
    def make(cls, spec: TaskSpec, app: Celery, reports_queue: str | None) -> Template:
        """Raises MessageRefused for what `send_task` would fail on: arguments that cannot be
        serialised, an unknown serializer or compression, a queue that the app does not allow."""
        try:
            wire = _capture(spec, app)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise MessageRefused(f"entry {spec.entry}: task {spec.task}: {reason}") from error
        if "task" not in wire.headers:
            raise MessageRefused(f"entry {spec.entry}: the app has task_protocol = 1; 2 is needed")
        headers = {**wire.headers, "expires": None, ENTRY_HEADER: spec.entry}
        if reports_queue is not None:
            headers[REPORTS_HEADER] = reports_queue
        for of_run in ("id", "root_id", FIRE_TIME_HEADER, RERUNS_HEADER):
            headers.pop(of_run, None)
        properties = dict(wire.properties)
        for of_run in ("correlation_id", "expiration"):
            properties.pop(of_run, None)
        return cls(
            exchange=wire.exchange,
            routing_key=wire.routing_key,
            body=wire.body,
            content_type=wire.content_type,
            content_encoding=wire.content_encoding,
            priority=wire.priority,
            headers=headers,
            properties=properties,
            declare=tuple(wire.declare),
        )

    @property
    def destination(self) -> str:
        return f"exchange {self.exchange!r}, routing key {self.routing_key!r}"


def run_headers(
    run_id: str, fire_time: datetime, expires_at: datetime | None, reruns_left: int = 0
) -> dict[str, Any]:
    headers = {"id": run_id, "root_id": run_id, FIRE_TIME_HEADER: format_instant(fire_time)}
    if expires_at is not None:
        headers["expires"] = expires_at.isoformat()
    if reruns_left:
        headers[RERUNS_HEADER] = str(reruns_left)
    return headers


def ttl_ms(expires_at: datetime | None, now: datetime) -> str | None:
    """The AMQP `expiration` property of a message written `now`."""
    if expires_at is None:
        return None
    left = max(0, int((expires_at - now).total_seconds() * 1000))
    return str(left) if left <= LONGEST_TTL_MS else None


def run_properties(run_id: str, expires_at: datetime | None, now: datetime) -> dict[str, Any]:
    ttl = ttl_ms(expires_at, now)
    return {"correlation_id": run_id} if ttl is None else {"correlation_id": run_id, "expiration": ttl}


class Templates:
    """The templates of the entry versions that were published last."""

    def __init__(self, app: Celery, reports_queue: str | None, size: int = 4096) -> None:
        self._app = app
        self._reports_queue = reports_queue
        self._size = size
        self._known: OrderedDict[Hashable, Template] = OrderedDict()

    def get(self, version: Hashable, spec: TaskSpec) -> Template:
        """Raises MessageRefused."""
        template = self._known.get(version)
        if template is None:
            template = Template.make(spec, self._app, self._reports_queue)
            self._known[version] = template
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(version)
        return template


# How Celery is made to show its message ----------------------------------------------------------


def _capture(spec: TaskSpec, app: Celery) -> _Wire:
    channel = _RecordingChannel()
    producer = _RecordingProducer(channel)
    _without_results(app).send_task(
        spec.task,
        args=spec.args,
        kwargs=dict(spec.kwargs),
        task_id=_PLACEHOLDER_ID,
        producer=producer,
        result_cls=_NoResult,
        expires=None,  # the run's own expiry, filled in later, replaces a default of the task
        add_to_parent=False,
        retry=False,
        link=[app.signature(name) for name in spec.link] or None,
        link_error=[app.signature(name) for name in spec.link_error] or None,
        **_options(spec),
    )
    wire = channel.wire
    wire.declare = producer.declared
    if spec.exchange and spec.exchange_type:
        wire.declare.append(Exchange(spec.exchange, type=spec.exchange_type, durable=True))
    return wire


def _options(spec: TaskSpec) -> dict[str, Any]:
    """Only what the entry sets, so that the app's routes and defaults hold for the rest."""
    given = {
        "queue": spec.queue,
        "exchange": spec.exchange,
        "exchange_type": spec.exchange_type,
        "routing_key": spec.routing_key,
        "priority": spec.priority,
        "headers": dict(spec.headers) or None,
        "serializer": spec.serializer,
        "compression": spec.compression,
        "time_limit": spec.time_limit,
        "soft_time_limit": spec.soft_time_limit,
        "ignore_result": spec.ignore_result,
    }
    return {name: value for name, value in given.items() if value is not None}


@lru_cache(maxsize=1)
def _without_results(app: Celery) -> Any:
    """The same app (state shared) with no result backend: `send_task` on the operator's app would
    subscribe to each result, and a daemon that does so leaks memory."""
    cls: Any = type("Publishing", (type(app),), {"backend": DisabledBackend(app)})
    twin = cls.__new__(cls)
    twin.__dict__ = app.__dict__
    return twin


class _NoResult:
    ignored: bool | None

    def __init__(self, task_id: str) -> None: ...


class _Wire:
    """What Celery and kombu would hand to a transport."""

    body: bytes
    priority: int
    content_type: str
    content_encoding: str
    headers: dict[str, Any]
    properties: dict[str, Any]
    exchange: str
    routing_key: str
    declare: list[Any]


class _RecordingChannel:
    """The part of kombu's channel that a Producer publishes through."""

    connection = SimpleNamespace(client=SimpleNamespace(_reraise_as_library_errors=nullcontext))

    def __init__(self) -> None:
        self.wire = _Wire()

    def prepare_message(
        self,
        body: Any,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
    ) -> None:
        wire = self.wire
        wire.content_type = content_type or ""
        wire.content_encoding = content_encoding or "utf-8"
        wire.body = body.encode(wire.content_encoding) if isinstance(body, str) else body
        wire.priority = priority or 0
        wire.headers = dict(headers or {})
        wire.properties = {k: v for k, v in (properties or {}).items() if v is not None}

    def basic_publish(self, _message: None, *, exchange: str, routing_key: str, **_options: Any) -> None:
        self.wire.exchange = exchange or ""
        self.wire.routing_key = routing_key or ""


class _RecordingProducer(Producer):
    def __init__(self, channel: _RecordingChannel) -> None:
        self.declared: list[Any] = []
        super().__init__(channel, auto_declare=False)  # type: ignore[no-untyped-call]

    def maybe_declare(self, entity: Any, retry: bool = False, **_policy: Any) -> None:
        self.declared.append(entity)
