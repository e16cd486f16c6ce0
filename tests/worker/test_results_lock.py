"""A process of the pool that dies with a lock must not stop the others."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from billiard.pool import Pool
from celery import signals
from celery.concurrency.prefork import process_destructor

from beatd.worker import results_lock
from beatd.worker.results_lock import ResultsLock
from tests.waiting import eventually


@pytest.fixture
def pool() -> Iterator[Any]:
    """As Celery makes it, for a worker of ours."""
    results_lock.leave_in_silence()
    pool = Pool(2, initializer=begin, on_process_exit=process_destructor, threads=True)
    yield pool
    signals.worker_process_init.disconnect(dispatch_uid="beatd.leave")
    pool._worker_handler.terminate()  # it would replace the processes that end
    pool._worker_handler.join(20)
    for process in list(pool._pool):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.join(20)
    pool._terminate.cancel()  # which would wait, at the interpreter's exit, for locks that went with them


def begin() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.worker_process_init.send(sender=None)


def double(number: int) -> int:
    return number * 2


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_lock_of_the_results_that_nobody_holds_is_freed(pool: Any) -> None:
    lock = ResultsLock(pool)
    assert pool.apply_async(double, (2,)).get(timeout=60) == 4
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
    assert pool._outqueue._wlock.acquire(timeout=60)
    pool._outqueue._wlock.release()
    assert pool.apply_async(double, (1,)).get(timeout=60) == 2


def nap_beside_a_thread(seconds: float) -> None:
    """Like a task whose claim is renewed."""
    threading.Thread(target=time.sleep, args=(seconds,), daemon=True).start()
    time.sleep(seconds)


def test_a_process_with_threads_that_is_ended_leaves_the_lock(pool: Any) -> None:
    for _ in range(4):
        begin_and_end(pool)
        assert pool._outqueue._wlock.acquire(timeout=60), "the lock went with the process"
        pool._outqueue._wlock.release()
    assert pool.apply_async(double, (3,)).get(timeout=60) == 6


def begin_and_end(pool: Any) -> None:
    """As Celery does it for a revoked task."""
    begun: list[int] = []
    job = pool.apply_async(nap_beside_a_thread, (300,), accept_callback=lambda pid, _: begun.append(pid))
    [pid] = eventually(lambda: begun)
    eventually(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) > 1)
    job.terminate(signal.SIGTERM)
    pool.terminate_job(pid, signal.SIGTERM)
    job.wait(60)


def test_only_pools_that_share_results_are_looked_at(pool: Any) -> None:
    assert ResultsLock.is_shared_by(pool)
    assert not ResultsLock.is_shared_by(None)


def test_locks_that_went_with_the_last_processes_are_free_at_the_exit(pool: Any) -> None:
    lock = ResultsLock(pool)
    pool.close()
    pool.join()
    pool._inqueue._rlock.acquire()
    pool._outqueue._wlock.acquire()
    lock.free_all()
    for freed in (pool._inqueue._rlock, pool._outqueue._wlock):
        assert freed.acquire(timeout=60)
        freed.release()
