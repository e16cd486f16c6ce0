"""Waiting for a condition, with a deadline: the only way in which a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    predicate: Callable[[], T], timeout: float = 60, *, interval: float = 0.02, message: str = ""
) -> T:
    """Call until the answer is truthy, and return it; fail the test after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{message or 'condition'} not met within {timeout} s; last: {answer!r}")
        time.sleep(interval)
    return answer
