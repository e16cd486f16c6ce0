"""The least that publishing can cost: messages of a storm's size through the broker's own client.

RabbitMQ: py-amqp, persistent, confirms pipelined in windows of 500. Redis: pipelines of 500. Embedded:
kombu's producer, message by message, for there is nothing below it.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import amqp
import redis
from kombu import Producer

from benchmarks.places import QUEUE, Corner

WINDOW = 500


def publish_raw(corner: Corner, count: int) -> float:
    """Messages a second. Each envelope is built for its message."""
    url = corner.broker_url
    if url.startswith("amqp"):
        return _timed(_through_amqp, corner.app(), count)
    if url.startswith("redis"):
        return _timed(_through_redis, redis.Redis.from_url(url), count)
    return _timed(_through_kombu, corner.app(), count)


def _timed(publish: Any, client: Any, count: int) -> float:
    begun, ended = publish(client, count)
    return float(count / (ended - begun))


def _through_amqp(app: Any, count: int) -> tuple[float, float]:
    with app.connection_for_write(transport_options={"confirm_publish": False}) as connection:
        plain: amqp.Connection = connection.connection
        app.amqp.queues[QUEUE](connection.channel()).declare()
        channel = plain.channel()
        channel.confirm_select()
        unconfirmed: set[int] = set()
        channel.events["basic_ack"].add(lambda tag, multiple: _confirm(unconfirmed, tag, multiple))
        begun = time.perf_counter()
        for tag in range(1, count + 1):
            body, headers, properties = _envelope(tag)
            message = amqp.Message(body, application_headers=headers, **properties)
            channel._basic_publish(message, "", QUEUE)
            unconfirmed.add(tag)
            while len(unconfirmed) >= WINDOW:
                plain.drain_events(timeout=30)
        while unconfirmed:
            plain.drain_events(timeout=30)
        ended = time.perf_counter()
        connection.channel().queue_purge(QUEUE)
    return begun, ended


def _confirm(unconfirmed: set[int], tag: int, multiple: bool) -> None:
    if multiple:
        unconfirmed.difference_update([known for known in unconfirmed if known <= tag])
    else:
        unconfirmed.discard(tag)


def _through_redis(client: redis.Redis, count: int) -> tuple[float, float]:
    begun = time.perf_counter()
    for start in range(0, count, WINDOW):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, min(start + WINDOW, count)):
                body, headers, properties = _envelope(number)
                pipe.lpush(QUEUE, json.dumps({"body": body, "headers": headers, "properties": properties}))
            pipe.execute()
    ended = time.perf_counter()
    client.delete(QUEUE)
    return begun, ended


def _through_kombu(app: Any, count: int) -> tuple[float, float]:
    with app.connection_for_write() as connection:
        channel = connection.channel()
        app.amqp.queues[QUEUE](channel).declare()
        producer = Producer(channel, auto_declare=False)
        begun = time.perf_counter()
        for number in range(count):
            body, headers, properties = _envelope(number)
            properties["expiration"] = 3600  # kombu is told seconds
            producer.publish(
                body,
                routing_key=QUEUE,
                headers=headers,
                **properties,
            )
        ended = time.perf_counter()
        channel.queue_purge(QUEUE)
    return begun, ended


def _envelope(number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Body, headers and properties in the form of Celery's protocol 2."""
    task_id = str(uuid.uuid4())
    args, kwargs = [number, f"customer-{number % 1000}"], {"region": "eu", "dry_run": False}
    headers = {
        "lang": "py",
        "task": "proj.tasks.sync",
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": repr(args),
        "kwargsrepr": repr(kwargs),
        "origin": "storm@localhost",
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "delivery_mode": 2,
        "priority": 0,
        "correlation_id": task_id,
        "expiration": "3600000",
    }
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return body, headers, properties
