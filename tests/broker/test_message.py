"""Ours and Celery's message, both through a real broker, are the same message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection

from beatd.broker.message import LONGEST_TTL_MS, Template, Templates, ttl_ms
from beatd.broker.publisher import Outgoing
from beatd.errors import MessageRefused
from beatd.planning.task import TaskSpec
from tests.broker.cases import CASES, Case, send_with_celery
from tests.broker.conftest import publisher_of
from tests.waiting import eventually

RUN = "5b5d4c5e-0000-5000-8000-000000000001"
FIRE = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
OURS = {
    "beatd_entry": "nightly",
    "beatd_fire_time": "2026-03-29T01:00:00Z",
    "beatd_reports": "beatd.reports.x",
}


def now() -> datetime:
    return datetime.now(UTC)


def publish(app: Celery, case: Case) -> None:
    publisher = publisher_of(app, reports_queue="beatd.reports.x")
    try:
        [outcome] = publisher.publish([Outgoing(RUN, 1, case.spec, FIRE, case.expires)], now)
    finally:
        publisher.close()
    assert (outcome.status, outcome.error) == ("confirmed", None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message_on_rabbitmq_equals_send_task(case: Case, rabbit: Any, rabbit_url: str) -> None:
    app = case.app(rabbit_url)
    with Connection(rabbit_url) as connection:
        declare(connection, case)
        publish(app, case)
        ours = take_from_rabbit(connection, app, case)
        send_with_celery(app, case, RUN)
        celerys = take_from_rabbit(connection, app, case)
    app.pool.force_close_all()
    assert_same(ours, celerys)


#: On Redis neither Celery nor we can know the type of an exchange that the entry does not tell.
ON_REDIS = [case for case in CASES if case.name != "exchange and key"]


@pytest.mark.parametrize("case", ON_REDIS, ids=lambda case: case.name)
def test_message_on_redis_equals_send_task(case: Case, redis_url: str) -> None:
    app = case.app(redis_url)
    client = redis.Redis.from_url(redis_url)
    with Connection(redis_url) as connection:
        declare(connection, case)
        publish(app, case)
        ours = take_from_redis(client)
        send_with_celery(app, case, RUN)
        celerys = take_from_redis(client)
    app.pool.force_close_all()
    assert [queue for queue, _ in ours] == [queue for queue, _ in celerys]
    assert ours
    for (_, our), (_, theirs) in zip(ours, celerys, strict=True):
        assert our.keys() == theirs.keys()
        assert our["properties"].pop("delivery_tag") != theirs["properties"].pop("delivery_tag")
        assert_same(our, theirs)


def declare(connection: Connection, case: Case) -> None:
    with connection.channel() as channel:
        for queue in case.there_before:
            queue(channel).declare()


def take_from_rabbit(connection: Connection, app: Celery, case: Case) -> dict[str, Any]:
    """The one message that is somewhere in the vhost."""
    names = {queue.name for queue in case.there_before} | set(app.amqp.queues) | {"logs", "mine"}
    names |= {queue.name for queue in app.amqp.queues.values()}
    existing = set(names)

    def look() -> Any:
        for name in sorted(existing):
            with connection.channel() as channel:
                try:
                    message = channel.basic_get(name, no_ack=True)
                except connection.channel_errors:
                    existing.discard(name)
                    continue
            if message is not None:
                return message
        return None

    message = eventually(look)
    properties = dict(message.properties)
    return {
        "body": message.body,
        "headers": properties.pop("application_headers"),
        "properties": properties,
        "exchange": message.delivery_info["exchange"],
        "routing_key": message.delivery_info["routing_key"],
    }


def take_from_redis(client: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for key in sorted(client.keys("*")):
        if client.type(key) == b"list":
            found += [(key.decode(), json.loads(item)) for item in client.lrange(key, 0, -1)]
            client.delete(key)
    return found


def assert_same(ours: dict[str, Any], celerys: dict[str, Any]) -> None:
    added = {name: ours["headers"].pop(name, None) for name in OURS}
    assert added == OURS
    our_ttl, their_ttl = (message["properties"].pop("expiration", None) for message in (ours, celerys))
    if their_ttl is None or int(their_ttl) > LONGEST_TTL_MS:
        assert our_ttl is None
    else:
        assert int(our_ttl) == pytest.approx(int(their_ttl), abs=5_000)
    assert ours == celerys


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (TaskSpec("e", "t", args=(object(),)), "object"),
        (TaskSpec("e", "t", kwargs={"x": {1, 2}.__iter__()}), "set_iterator"),
        (TaskSpec("e", "t", serializer="nonesuch"), "nonesuch"),
        (TaskSpec("e", "t", compression="nonesuch"), "nonesuch"),
        (TaskSpec("e", "t", args="text"), "list or tuple"),  # type: ignore[arg-type]
    ],
)
def test_what_send_task_cannot_send_is_refused(spec: TaskSpec, said: str) -> None:
    app = Celery("x", broker="memory://", set_as_current=False)
    with pytest.raises(MessageRefused, match=said):
        Template.make(spec, app, None)


def test_protocol_1_is_refused() -> None:
    app = Celery("x", broker="memory://", set_as_current=False)
    app.conf.task_protocol = 1
    with pytest.raises(MessageRefused, match="task_protocol"):
        Template.make(TaskSpec("e", "t"), app, None)


def test_a_queue_that_the_app_does_not_allow_is_refused() -> None:
    app = Celery("x", broker="memory://", set_as_current=False)
    app.conf.task_create_missing_queues = False
    with pytest.raises(MessageRefused, match="nonesuch"):
        Template.make(TaskSpec("e", "t", queue="nonesuch"), app, None)


def test_headers_of_an_entry_cannot_forge_what_a_run_is() -> None:
    app = Celery("x", broker="memory://", set_as_current=False)
    names = ("id", "root_id", "expires", "beatd_entry", "beatd_fire_time", "beatd_reruns_left")
    forged = dict.fromkeys(names, "forged")
    template = Template.make(TaskSpec("real", "t", headers=forged), app, "queue")
    assert template.headers.keys().isdisjoint({"id", "root_id", "beatd_fire_time", "beatd_reruns_left"})
    assert template.headers["expires"] is None
    assert template.headers["beatd_entry"] == "real"


@pytest.mark.parametrize("broker", ["rabbit_url", "redis_url"])
@pytest.mark.parametrize("reruns_left", [0, 3])
def test_a_run_that_may_start_again_says_how_often(
    broker: str, reruns_left: int, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(broker)
    app = Celery("x", broker=url, set_as_current=False)
    publisher = publisher_of(app, reports_queue="beatd.reports.x")
    publisher.publish([Outgoing(RUN, 1, TaskSpec("nightly", "t"), FIRE, None, reruns_left)], now)
    publisher.close()
    with Connection(url) as connection, connection.channel() as channel:
        raw = eventually(lambda: channel.basic_get("celery", no_ack=True))
    told = {0: None, 3: "3"}
    assert raw.headers.get("beatd_reruns_left") == told[reruns_left]
    app.pool.force_close_all()


def test_the_result_backend_is_never_asked_nor_changed(tmp_path: Any) -> None:
    app = Celery("x", broker="memory://", backend="rpc://", set_as_current=False)
    asked: list[str] = []
    app.backend.on_task_call = lambda producer, task_id: asked.append(task_id)
    Template.make(TaskSpec("e", "t"), app, None)
    assert asked == []
    assert type(app.backend).__name__ == "RPCBackend"


@pytest.mark.parametrize(
    ("left", "ttl"),
    [
        (None, None),
        (timedelta(seconds=1.5), "1500"),
        (timedelta(0), "0"),
        (timedelta(seconds=-3), "0"),
        (timedelta(milliseconds=LONGEST_TTL_MS), str(LONGEST_TTL_MS)),
        (timedelta(milliseconds=LONGEST_TTL_MS + 1), None),
    ],
)
def test_ttl(left: timedelta | None, ttl: str | None) -> None:
    assert ttl_ms(None if left is None else FIRE + left, FIRE) == ttl


@pytest.fixture
def counting() -> Iterator[list[int]]:
    from celery.signals import before_task_publish

    calls: list[int] = []

    def count(**_: Any) -> None:
        calls.append(1)

    before_task_publish.connect(count)
    yield calls
    before_task_publish.disconnect(count)


def test_templates_are_made_once_and_the_oldest_forgotten(counting: list[int]) -> None:
    app = Celery("x", broker="memory://", set_as_current=False)
    templates = Templates(app, None, size=2)
    for version in (1, 2, 1, 1, 3, 1, 2):
        templates.get(version, TaskSpec(f"e{version}", "t"))
    assert len(counting) == 4  # 1, 2, 3, and 2 once more
