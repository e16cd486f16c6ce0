"""Two addresses, one broker?"""

from __future__ import annotations

import pytest

from beatd.broker.addresses import same

SAME = [
    ("amqp://u:***@mq/v", "amqp://other:***@mq:5672/v"),
    ("amqp://mq", "amqp://mq//"),
    ("amqp://mq/", "pyamqp://mq/%2F"),
    ("amqp://mq/v", "amqps://mq/v"),
    ("amqp://localhost", "amqp://127.0.0.1:5672//"),
    ("amqp://a/v;amqp://b/v", "amqp://b/v"),
    ("redis://r", "redis://:***@r:6379/0"),
    ("beatd:///var/lib/beatd/broker", "beatd:///var/lib/beatd/broker"),
]
DIFFERENT = [
    ("amqp://mq/v", "amqp://mq/w"),
    ("amqp://mq/v", "amqp://mq:5673/v"),
    ("amqp://a/v;amqp://b/v", "amqp://c/v"),
    ("redis://r/0", "redis://r/1"),
    ("amqp://h", "redis://h"),
    ("beatd:///home/a/broker", "beatd:///home/b/broker"),
    ("amqp://mq/v", "beatd:///home/a/broker"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: str, other: str) -> None:
    assert not same(one, other)
