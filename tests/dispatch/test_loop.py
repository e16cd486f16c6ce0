"""The shape of every loop: it goes on after errors, tells its trouble, and stops when asked."""

from __future__ import annotations

import threading

from beatd.dispatch.loop import Loop
from beatd.errors import BrokerUnavailable, TransactionConflict
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
    assert done.wait(60)
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


# Progress, by which the watchdog is fed


def one_pass(loop: Loop, passes: list[int], more: int = 2) -> None:
    before = len(passes)
    eventually(lambda: len(passes) >= before + more)


def test_waiting_for_a_server_is_progress() -> None:
    """To start the process anew would not bring it back."""
    passes: list[int] = []

    def step() -> None:
        passes.append(1)
        raise BrokerUnavailable("gone")

    loop = Loop("publish", step)
    began = loop.progressed
    loop.start()
    one_pass(loop, passes)
    assert loop.progressed > began
    loop.stop()
    loop.join(5)


def test_an_error_that_stays_is_none() -> None:
    passes: list[int] = []

    def step() -> None:
        passes.append(1)
        raise ValueError("the same for ever")

    loop = Loop("dispatch", step)
    began = loop.progressed
    loop.start()
    one_pass(loop, passes)
    assert loop.progressed == began
    loop.stop()
    loop.join(5)


def test_a_step_that_got_nothing_done_is_none() -> None:
    passes: list[int] = []

    def step() -> bool:
        passes.append(1)
        threading.Event().wait(0.001)
        return False

    loop = Loop("publish", step)
    began = loop.progressed
    loop.start()
    one_pass(loop, passes)
    assert loop.progressed == began
    loop.stop()
    loop.join(5)


def test_a_transaction_that_was_rolled_back_in_favour_of_others_is_repeated_at_once() -> None:
    """A few times without a word of trouble; a conflict that stays is one."""
    passes: list[int] = []
    over = threading.Event()
    troubles: list[str | None] = []

    def step() -> None:
        passes.append(1)
        troubles.append(loop.trouble)
        if not over.is_set():
            raise TransactionConflict("deadlock detected")
        threading.Event().wait(0.01)

    loop = Loop("dispatch", step)
    loop.start()
    eventually(lambda: loop.trouble == "deadlock detected")
    assert troubles[:4] == [None] * 4
    over.set()
    eventually(lambda: loop.trouble is None)
    loop.stop()
    loop.join(5)
