"""What entries can ask of Celery: the matrix over which a message must equal `send_task`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from beatd.broker.app import load_app
from beatd.planning.task import TaskSpec

EXPIRES = datetime(2033, 3, 29, 1, 2, 3, 456789, tzinfo=UTC)


def own_app(url: str) -> Celery:
    return load_app(None, url)


def routed_app(url: str) -> Celery:
    """An operator's app with queues, exchanges and routes of its own."""
    app = Celery("proj", broker=url, set_as_current=False)
    topics = Exchange("topics", type="topic")
    app.conf.update(
        task_queues=[
            Queue("plain", Exchange("plain", type="direct"), routing_key="plain"),
            Queue("reports", topics, routing_key="report.#"),
            Queue("transient", Exchange("transient", delivery_mode=1), routing_key="transient"),
        ],
        task_default_queue="plain",
        task_routes={
            "proj.report.*": {"queue": "reports", "routing_key": "report.daily"},
            "proj.urgent": {"queue": "plain", "priority": 9},
            "proj.transient": "transient",
            "proj.expiring": {"queue": "plain", "expires": 30},
        },
        task_compression="gzip",
        task_ignore_result=True,
    )

    @app.task(name="proj.registered", priority=3, ignore_result=True, time_limit=11)
    def registered() -> None: ...

    return app


def yaml_like_app(url: str) -> Celery:
    """An app with other defaults: not persistent, another serializer, priorities."""
    app = Celery("proj", broker=url, set_as_current=False)
    app.conf.update(
        task_default_queue="other",
        task_default_delivery_mode=1,
        task_serializer="pickle",
        accept_content=["pickle", "json"],
        task_queue_max_priority=10,
        task_default_priority=4,
    )
    return app


@dataclass(frozen=True)
class Case:
    name: str
    spec: TaskSpec
    app: Callable[[str], Celery] = own_app
    expires: datetime | None = None
    there_before: tuple[Queue, ...] = field(default=())


def _spec(task: str = "proj.add", **fields: Any) -> TaskSpec:
    return TaskSpec(entry="nightly", task=task, **fields)


_LOGS = Exchange("logs", type="topic")

CASES = (
    Case("nothing but a name", _spec()),
    Case("arguments", _spec(args=(1, "zwei", None, [3.5, {"a": True}]), kwargs={"key": {"deep": ["er"]}})),
    Case("unicode", _spec(args=("Ünï 漢字 🕐", '\u0000\n"'), kwargs={"größe": "µ"})),
    Case("long arguments", _spec(args=("x" * 300_000,), kwargs={"y": "z" * 5_000})),
    Case("expires", _spec(), expires=EXPIRES),
    Case("expires soon", _spec(), expires=datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=900)),
    Case("priority", _spec(priority=7)),
    Case("priority zero", _spec(priority=0)),
    Case("hard limit", _spec(time_limit=30.0)),
    Case("both limits", _spec(time_limit=30, soft_time_limit=20.5)),
    Case("link", _spec(link=("proj.done", "proj.tell"))),
    Case("errback", _spec(link_error=("proj.failed",))),
    Case("both links", _spec(link=("proj.done",), link_error=("proj.failed",))),
    Case("headers", _spec(headers={"tenant": "a", "trace": "été"})),
    Case("results wanted", _spec(ignore_result=False)),
    Case("results ignored", _spec(ignore_result=True)),
    Case("gzip", _spec(args=("x" * 2000,), compression="gzip")),
    Case("zlib and expires", _spec(compression="zlib"), expires=EXPIRES),
    Case("pickle serializer", _spec(args=(1,), serializer="pickle")),
    Case("queue", _spec(queue="mine")),
    Case("queue and key", _spec(queue="mine", routing_key="mine")),
    Case(
        "exchange and key",
        _spec(exchange="logs", routing_key="a.b"),
        there_before=(Queue("logs", _LOGS, routing_key="a.*"),),
    ),
    Case(
        "exchange, its type and key",
        _spec(exchange="logs", exchange_type="topic", routing_key="a.b"),
        there_before=(Queue("logs", _LOGS, routing_key="#"),),
    ),
    Case(
        "topic exchange and queue",
        _spec(queue="mine", exchange="logs", exchange_type="topic", routing_key="x.y"),
        there_before=(Queue("mine2", _LOGS, routing_key="x.#"),),
    ),
    Case(
        "direct exchange",
        _spec(exchange="straight", exchange_type="direct", routing_key="left"),
        there_before=(Queue("left", Exchange("straight", type="direct"), routing_key="left"),),
    ),
    Case("exchange without key", _spec(exchange="straight", exchange_type="direct")),
    Case("route: default queue", _spec(), app=routed_app),
    Case("route: topic", _spec("proj.report.daily"), app=routed_app),
    Case("route: topic, own key", _spec("proj.report.daily", routing_key="report.x.y"), app=routed_app),
    Case("route: priority", _spec("proj.urgent"), app=routed_app),
    Case("route: priority overridden", _spec("proj.urgent", priority=1), app=routed_app),
    Case("route: transient", _spec("proj.transient"), app=routed_app),
    Case("route: queue overridden", _spec("proj.transient", queue="plain"), app=routed_app),
    Case("route: compression overridden", _spec(compression="bzip2"), app=routed_app),
    Case("options of a registered task", _spec("proj.registered"), app=routed_app),
    Case("limit over a registered task's", _spec("proj.registered", time_limit=5), app=routed_app),
    Case("other defaults", _spec(args=({1: 2},)), app=yaml_like_app),
    Case("other defaults, json", _spec(serializer="json"), app=yaml_like_app, expires=EXPIRES),
)


OPTIONS = (
    "queue",
    "exchange",
    "exchange_type",
    "routing_key",
    "priority",
    "serializer",
    "compression",
    "time_limit",
    "soft_time_limit",
    "ignore_result",
)


def send_with_celery(app: Celery, case: Case, task_id: str) -> None:
    """The same call, as a person would write it, from a process that knows the exchanges in use."""
    spec = case.spec
    options = {name: getattr(spec, name) for name in OPTIONS if getattr(spec, name) is not None}
    if spec.headers:
        options["headers"] = dict(spec.headers)
    if spec.link:
        options["link"] = [app.signature(name) for name in spec.link]
    if spec.link_error:
        options["link_error"] = [app.signature(name) for name in spec.link_error]
    with app.producer_or_acquire() as producer:
        for queue in case.there_before:
            queue(producer.channel).declare()
        app.send_task(
            spec.task,
            args=spec.args,
            kwargs=dict(spec.kwargs),
            task_id=task_id,
            expires=case.expires,
            producer=producer,
            **options,
        )
