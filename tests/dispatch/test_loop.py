"""The shape of every loop: it goes on after errors, tells its trouble, and stops when asked."""

from __future__ import annotations

import threading

from beatd.dispatch.loop import Loop
from beatd.errors import BrokerUnavailable
from tests.waiting import eventually


def test_a_loop_tells_its_trouble_and_recovers() -> None:
    failing = threading.Event()
    failing.set()
    passes: list[int] = []

    def step() -> None:
        passes.append(1)
        if failing.is_set():
            raise BrokerUnavailable("broker amqp://localhost//: connection refused")
        threading.Event().wait(0.01)

    loop = Loop("publish", step)
    loop.start()
    eventually(lambda: loop.trouble == "broker amqp://localhost//: connection refused")
    failing.clear()
    eventually(lambda: loop.trouble is None and len(passes) > 3)
    loop.stop()
    loop.join(5)
    assert not loop.is_alive()


def test_a_loop_survives_what_nobody_foresaw() -> None:
    answers = iter([ValueError("odd")])
    done = threading.Event()

    def step() -> None:
        error = next(answers, None)
        if error is not None:
            raise error
        done.set()
        threading.Event().wait(0.01)

    loop = Loop("dispatch", step)
    loop.start()
    assert done.wait(5)
    loop.stop()
    loop.join(5)


def test_a_pause_is_cut_short_by_stop() -> None:
    def step() -> None:
        raise BrokerUnavailable("gone")

    loop = Loop("publish", step)
    loop.start()
    eventually(lambda: loop.trouble is not None)
    loop.stop()
    loop.join(0.5)
    assert not loop.is_alive()
