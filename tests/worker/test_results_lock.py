"""A process of the pool that dies with a lock must not stop the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.pool import Pool

from beatd.worker.results_lock import ResultsLock
from tests.waiting import eventually


@pytest.fixture
def pool() -> Iterator[Any]:
    pool = Pool(2)
    yield pool
    for process in list(pool._pool):
        os.kill(process.pid, signal.SIGKILL)
    pool._state = 2  # terminated: its threads end by themselves


def double(number: int) -> int:
    return number * 2


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_lock_of_the_results_that_nobody_holds_is_freed(pool: Any) -> None:
    lock = ResultsLock(pool)
    assert pool.apply_async(double, (2,)).get(timeout=30) == 4
    pool._outqueue._wlock.acquire()
    waiting = pool.apply_async(double, (21,))

    def answered() -> bool:
        lock.look()
        return waiting.ready()

    eventually(answered, timeout=60)
    assert waiting.get() == 42


def test_a_pool_that_works_keeps_its_lock(pool: Any) -> None:
    lock = ResultsLock(pool)
    jobs = [pool.apply_async(nap, (0.5,)) for _ in range(8)]

    def done() -> bool:
        lock.look()
        return all(job.ready() for job in jobs)

    eventually(done, timeout=60)
    assert pool._outqueue._wlock.acquire(timeout=5)
    pool._outqueue._wlock.release()
    assert pool.apply_async(double, (1,)).get(timeout=30) == 2


def test_only_pools_that_share_results_are_looked_at(pool: Any) -> None:
    assert ResultsLock.is_shared_by(pool)
    assert not ResultsLock.is_shared_by(None)
