"""The broker without a server: nothing lost, nothing seen half, nothing left lying about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from beatd.broker import embedded
from beatd.broker.app import embedded_broker
from tests.waiting import eventually


@pytest.fixture
def url(tmp_path: Path) -> str:
    return embedded_broker(tmp_path)[0]


@pytest.fixture
def channel(url: str) -> Iterator[Any]:
    with Connection(url) as connection:
        yield connection.channel()


def put(channel: Any, body: str, queue: str = "q", **options: Any) -> None:
    message = channel.prepare_message(body, properties={"delivery_mode": 2, **options})
    channel.basic_publish(message, exchange="", routing_key=queue)


def take(channel: Any, queue: str = "q", *, ack: bool = True) -> str | None:
    message = channel.basic_get(queue)
    if message is None:
        return None
    if ack:
        channel.basic_ack(message.delivery_tag)
    return str(message.body.decode() if isinstance(message.body, bytes) else message.body)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_messages_come_in_their_order_and_leave_nothing(channel: Any, tmp_path: Path) -> None:
    for number in range(5):
        put(channel, str(number))
    assert [take(channel) for _ in range(6)] == ["0", "1", "2", "3", "4", None]
    assert [name for name in files(tmp_path) if not name.endswith(".lock")] == []


def test_the_urgent_come_first(channel: Any) -> None:
    for priority in (0, 5, 9, 3):
        put(channel, str(priority), priority=priority)
    assert [take(channel) for _ in range(4)] == ["9", "5", "3", "0"]


@pytest.mark.parametrize("queue", ["a/b", "..", ".hidden", "ü 漢", "a!b", "%2F", "x" * 100, "celery@host.x"])
def test_queues_of_any_name_stay_apart_and_inside(channel: Any, tmp_path: Path, queue: str) -> None:
    put(channel, "one", queue)
    put(channel, "other", "q")
    assert take(channel, queue) == "one"
    assert take(channel, queue) is None
    assert {path.name for path in tmp_path.iterdir()} == {"broker"}
    assert {path.name for path in (tmp_path / "broker").iterdir()} <= {"queues", "taken", "exchanges"}


def test_folders_are_the_owners_alone(channel: Any, tmp_path: Path) -> None:
    channel.queue_declare("q")
    put(channel, "secret")
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "broker", *(tmp_path / "broker").rglob("*"))}
    assert modes == {0}


def test_garbage_among_the_messages_is_dropped(channel: Any, tmp_path: Path) -> None:
    put(channel, "good")
    (tmp_path / "broker/queues/=q/000-garbage").write_text("{half a mess")
    (tmp_path / "broker/queues/=q/001-garbage").write_text("[]")
    assert [take(channel), take(channel)] == ["good", None]


def test_each_message_goes_to_one_of_many_consumers(url: str) -> None:
    with Connection(url) as connection:
        channel = connection.channel()
        for number in range(400):
            put(channel, str(number))

    def consume(_: int) -> list[str]:
        with Connection(url) as connection:
            channel = connection.channel()
            return list(iter(lambda: take(channel), None))

    with ThreadPoolExecutor(4) as pool:
        got = [body for bodies in pool.map(consume, range(4)) for body in bodies]
    assert sorted(got, key=int) == [str(number) for number in range(400)]


def test_nobody_sees_half_a_message(url: str) -> None:
    """A consumer that looks without pause, while large messages are written."""
    with ThreadPoolExecutor(1) as pool, Connection(url) as reading, Connection(url) as writing:
        source, sink = writing.channel(), reading.channel()

        def write() -> None:
            for number in range(300):
                put(source, f"{number}:" + "x" * 50_000)

        writer = pool.submit(write)
        got: list[str] = []
        while len(got) < 300 and not (writer.done() and writer.exception()):
            body = take(sink)
            if body is not None:
                got.append(body)
        assert {len(body.partition(":")[2]) for body in got} == {50_000}


def test_topic_and_fanout_through_another_process_view(url: str) -> None:
    """The second connection has declared nothing: type and bindings are in the folder."""
    topic = Exchange("topic", type="topic")
    fan = Exchange("fan", type="fanout")
    with Connection(url) as declaring, Connection(url) as sending:
        here = declaring.channel()
        for queue in (Queue("errors", topic, "*.error"), Queue("all", topic, "#"), Queue("f", fan)):
            queue(here).declare()
        there = sending.channel()
        for key in ("a.error", "a.info"):
            there.basic_publish(there.prepare_message(key), exchange="topic", routing_key=key)
        there.basic_publish(there.prepare_message("news"), exchange="fan", routing_key="")
        assert [take(here, "errors"), take(here, "errors")] == ["a.error", None]
        assert sorted(str(take(here, "all")) for _ in range(2)) == ["a.error", "a.info"]
        assert take(here, "f") == "news"


def test_bindings_made_at_the_same_time_are_all_kept(url: str) -> None:
    def bind(number: int) -> None:
        with Connection(url) as connection:
            Queue(f"q{number}", Exchange("fan", type="fanout"))(connection.channel()).declare()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bind, range(40)))
    with Connection(url) as connection:
        assert len(connection.channel().get_table("fan")) == 40


def test_what_a_closed_consumer_held_goes_back(url: str, channel: Any) -> None:
    put(channel, "held")
    with Connection(url) as connection:
        assert take(connection.channel(), ack=False) == "held"
        assert take(channel) is None
    assert take(channel) == "held"


def test_rejected_and_requeued(channel: Any) -> None:
    put(channel, "again")
    message = channel.basic_get("q")
    channel.basic_reject(message.delivery_tag, requeue=True)
    message = channel.basic_get("q")
    channel.basic_reject(message.delivery_tag, requeue=False)
    assert take(channel) is None


HOLDER = """
import sys, time
from kombu import Connection
import beatd.broker.embedded
channel = Connection(sys.argv[1]).channel()
print(channel.basic_get("q").body.decode(), flush=True)
time.sleep(60)
"""


def test_what_a_killed_consumer_held_goes_back(
    url: str, channel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_RECOVERY", 0.1)
    put(channel, "held")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert take(channel) is None  # it is alive: the message is its own
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert eventually(lambda: take(channel)) == "held"
    assert len(list((tmp_path / "broker/taken").iterdir())) == 1  # ours; nothing of the dead


def test_a_queue_that_ends_with_its_consumer_ends(url: str, tmp_path: Path) -> None:
    with Connection(url) as connection:
        channel = connection.channel()
        Queue("mine", Exchange("fan", type="fanout"), auto_delete=True)(channel).declare()
        channel.basic_consume("mine", no_ack=True, callback=print, consumer_tag="1")
        assert (tmp_path / "broker/queues/=mine").exists()
    assert not (tmp_path / "broker/queues/=mine").exists()
    with Connection(url) as connection:
        assert connection.channel().get_table("fan") == []


def test_broadcasts_that_nobody_reads_are_swept(
    channel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_SWEEP", 0.0)
    channel.queue_declare("dead", auto_delete=True)
    channel.queue_declare("work")
    for queue in ("dead", "work"):
        put(channel, "old", queue)
        [name] = [name for name in files(tmp_path / "broker/queues" / f"={queue}") if name[0] != "."]
        os.utime(tmp_path / "broker/queues" / f"={queue}" / name, (1, 1))
    put(channel, "new", "dead")
    assert take(channel, "nothing") is None
    assert [take(channel, "dead"), take(channel, "dead")] == ["new", None]
    assert take(channel, "work") == "old"


def test_an_idle_consumer_rests_and_a_busy_one_does_not(url: str) -> None:
    with Connection(url) as connection:
        transport = connection.transport
        transport._delivered_at = 0
        assert transport.polling_interval == embedded.IDLE_POLL
        transport._callbacks["q"] = lambda message: None
        transport._deliver({}, "q")
        assert transport.polling_interval == embedded.BUSY_POLL
