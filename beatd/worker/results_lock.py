"""The lock of the results that a process of Celery's pool may die with.

Where the transport has no event loop, the processes of the pool share one queue of results, with a lock. A
process that is ended from outside at the wrong moment takes the lock with it, and the whole pool stands
still, for ever. Nobody else notices: the worker answers.

The wrong moment was one that billiard makes itself. A process that is told to end (its run was revoked) puts
its death into the queue, and the main process answers that by SIGTERM. The process has blocked it while it
writes, but for its main thread alone: where it has other threads, such as the one that renews a claim, the
signal ends it as soon as the message is out and before the lock is free. So processes leave without that
message (`leave_in_silence`); the main process sees their end anyhow. What is left, an exception between the
taking of the lock and its use, is for ResultsLock to see.
"""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from beatd.logs import get_logger

log = get_logger()

#: Seconds within which a process that lives lets go of the lock of the results, however slow the machine is.
_PATIENCE = 1.0

#: How often in a row a lock is seen stuck before it is freed.
_LOOKS = 3


class ResultsLock:
    """Of one billiard pool; `look` is called again and again, by one thread."""

    def __init__(self, pool: Any) -> None:
        self._lock = pool._outqueue._wlock
        self._jobs_lock = pool._inqueue._rlock
        self._stuck = 0

    @staticmethod
    def is_shared_by(pool: Any) -> bool:
        """Whether it is a pool of processes that share a queue of results."""
        return hasattr(getattr(pool, "_outqueue", None), "_wlock")

    def look(self) -> None:
        """Frees the lock once it has been stuck for some looks in a row."""
        if self._lock.acquire(timeout=_PATIENCE):
            self._lock.release()
            self._stuck = 0
            return
        self._stuck += 1
        if self._stuck >= _LOOKS:
            self._stuck = 0
            self.free()
            log.warning("pool.freed")

    def free(self) -> None:
        """Whoever held it is gone, or shall not write any more."""
        _free(self._lock)

    def free_all(self) -> None:
        """Of a pool without processes. billiard waits for its locks, that of the jobs too, when it exits."""
        _free(self._lock)
        _free(self._jobs_lock)


def _free(lock: Any) -> None:
    lock.acquire(timeout=_PATIENCE)
    lock.release()


def leave_in_silence() -> None:
    """Of the processes that are forked from now on. What else was to be done at their end comes before."""
    signals.worker_process_init.connect(_on_process_init, dispatch_uid="beatd.leave")


def _on_process_init(**_: object) -> None:
    signals.worker_process_shutdown.connect(_leave, dispatch_uid="beatd.leave")


def _leave(exitcode: int, **_: object) -> None:
    os._exit(exitcode & 0xFF)
