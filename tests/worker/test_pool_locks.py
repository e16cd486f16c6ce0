"""A process of the pool that dies with a lock must not stop the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.pool import Pool

from beatd.worker.pool_locks import PoolLocks
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


def test_a_lock_of_the_jobs_that_nobody_holds_is_freed(pool: Any) -> None:
    locks = PoolLocks(pool)
    assert pool.apply_async(double, (2,)).get(timeout=30) == 4
    # as if taken by a process that died: those that live stay at the lock
    for process in list(pool._pool):
        os.kill(process.pid, signal.SIGKILL)
    pool._inqueue._rlock.acquire(timeout=5)
    waiting = pool.apply_async(double, (21,))

    def answered() -> bool:
        locks.look()
        return waiting.ready()

    eventually(answered, timeout=60)
    assert waiting.get() == 42


def test_a_lock_of_the_results_that_nobody_holds_is_freed(pool: Any) -> None:
    locks = PoolLocks(pool)
    assert pool.apply_async(double, (2,)).get(timeout=30) == 4
    pool._outqueue._wlock.acquire()
    waiting = pool.apply_async(double, (21,))

    def answered() -> bool:
        locks.look()
        return waiting.ready()

    eventually(answered, timeout=60)
    assert waiting.get() == 42


def test_a_pool_that_works_keeps_its_locks(pool: Any) -> None:
    locks = PoolLocks(pool)
    jobs = [pool.apply_async(nap, (0.5,)) for _ in range(8)]

    def done() -> bool:
        locks.look()
        return all(job.ready() for job in jobs)

    eventually(done, timeout=60)
    # the lock of the jobs is held by the one process that waits for the next, and by nobody twice
    assert pool._outqueue._wlock.acquire(timeout=5)
    pool._outqueue._wlock.release()
    assert pool.apply_async(double, (1,)).get(timeout=30) == 2


def test_only_pools_that_share_queues_are_looked_at(pool: Any) -> None:
    assert PoolLocks.are_shared_by(pool)
    assert not PoolLocks.are_shared_by(None)
