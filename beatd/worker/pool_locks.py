"""Locks that a process of Celery's pool died with.

Where the transport has no event loop, the processes of the pool share one queue of jobs and one of results,
each with a lock. A process that is ended from outside (a run is revoked or cancelled) at the wrong moment
takes a lock with it, and the whole pool stands still, for ever. Nobody else notices: the worker answers.
"""

from __future__ import annotations

from typing import Any

from beatd.logs import get_logger

log = get_logger()

#: Seconds within which a process that lives lets go of the lock of the results, however slow the machine is.
_PATIENCE = 1.0

#: How often in a row a lock is seen stuck before it is freed.
_LOOKS = 3


class PoolLocks:
    """Of one billiard pool; `look` is called again and again, by one thread."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._jobs_stuck = 0
        self._results_stuck = 0

    @staticmethod
    def are_shared_by(pool: Any) -> bool:
        """Whether it is a pool of processes that share their queues."""
        return hasattr(getattr(pool, "_inqueue", None), "_rlock") and hasattr(
            getattr(pool, "_outqueue", None), "_wlock"
        )

    def look(self) -> None:
        """Frees what has been stuck for some looks in a row."""
        self._jobs_stuck = self._jobs_stuck + 1 if self._nobody_takes_jobs() else 0
        if self._jobs_stuck >= _LOOKS:
            self._jobs_stuck = 0
            self._free(self._pool._inqueue._rlock, "jobs")
        lock = self._pool._outqueue._wlock
        if lock.acquire(timeout=_PATIENCE):
            lock.release()
            self._results_stuck = 0
        else:
            self._results_stuck += 1
        if self._results_stuck >= _LOOKS:
            self._results_stuck = 0
            self._free(lock, "results")

    def free_results(self) -> None:
        """At the end, when no process of the pool is to write any more."""
        lock = self._pool._outqueue._wlock
        lock.acquire(timeout=_PATIENCE)
        lock.release()

    def _nobody_takes_jobs(self) -> bool:
        """Whether a job lies there and a process is idle: one that waits for jobs would have taken it."""
        accepted = [job.accepted() for job in list(self._pool._cache.values())]
        return not all(accepted) and sum(accepted) < len(self._pool._pool)

    def _free(self, lock: Any, queue: str) -> None:
        lock.acquire(timeout=0)
        lock.release()
        log.warning("pool.freed", queue=queue)
