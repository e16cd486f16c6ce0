"""Tasks that claim their run before they start, so that a message delivered twice runs once.

    from beatd.worker.run_once import RunOnceTask

    @app.task(base=RunOnceTask)
    def rebuild_index(): ...

The claim is made in beatd's database (the worker needs `BEATD_DATABASE_URL` or a configuration file), in
the statement that also tests that the run has not expired. It is a lease, renewed while the task runs. A
delivery that finds the run claimed or finished is acknowledged and dropped. A message that beatd did not
publish just runs. While the database cannot be reached the message goes back to its queue: nothing runs
unclaimed. A task that overrides `before_start` must call this one's first.

A run whose worker dies is not run again, for it may have had its effect: its lease lapses, and the daemon
closes it as lost. Under `on_lost: rerun` it is published again, and what the first worker may still say or
take does not count.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery import Task, signals
from celery.exceptions import Ignore, Reject

from beatd import clock
from beatd.errors import BeatdError, DatabaseUnavailable, SchemaMismatch
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.reports import ENTRY_HEADER
from beatd.store import claims
from beatd.store.claims import Claim
from beatd.store.engine import Database
from beatd.worker import process
from beatd.worker.plugin import Followed, Quiet, report, reruns_left

#: Seconds that a delivery waits for the database before it goes back to its queue.
PATIENCE = 30.0
_PAUSE = 0.5

log = get_logger()


class Dropped(Quiet, Ignore):  # type: ignore[misc]
    """A delivery of a run that is claimed, finished or expired."""


class Deferred(Quiet, Reject):  # type: ignore[misc]
    """A delivery that could not be claimed for want of the database; the broker delivers it again."""


class UnknownRunError(BeatdError):
    """A message names a run that the worker's database does not hold."""

    def __init__(self, database: str) -> None:
        super().__init__(database)
        self.database = database

    def __str__(self) -> str:
        return f"the database that this worker uses ({self.database}) has no such run: is it the daemon's?"


class RunOnceTask(Task):  # type: ignore[misc]
    """Base of tasks that run once for each run, however often their message is delivered."""

    abstract = True
    acks_late = True
    reject_on_worker_lost = True

    #: for the plugin: `started` is only true once the run is claimed
    reports_its_start = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        if self.request.get(ENTRY_HEADER) and not self.request.is_eager:
            _begin(self)

    def describe_result(self, result: Any) -> Any:
        """What the history shows of a result."""
        return result


def _begin(task: Task) -> None:
    request, run = task.request, Followed.of(task.request)
    worker = _worker_name(request.hostname)
    outcome = _take(request, worker)
    if outcome is Claim.UNKNOWN_RUN:
        raise UnknownRunError(process.database().name)
    if outcome is Claim.EXPIRED:
        report(run, task.app, "expired")
        raise Dropped("expired")
    if outcome is Claim.HELD:
        log.info("run.dropped", run=request.id, entry=request.get(ENTRY_HEADER))
        raise Dropped("claimed already")
    _held[request.id] = _Held(request.id, worker)
    report(run, task.app, "started")
    reach("before-start")


def _take(request: Any, worker: str) -> Claim:
    """Raises Deferred when the database stays away."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            database, lease = process.database(), _lease()
            reach("before-claim")
            claim = claims.take(
                database, request.id, worker, lease, request.retries or 0, reruns_left(request)
            )
            reach("after-claim")
            return claim
        except (DatabaseUnavailable, SchemaMismatch) as error:
            if clock.monotonic() + _PAUSE > deadline:
                log.error("claim.failed", run=request.id, entry=request.get(ENTRY_HEADER), reason=str(error))
                raise Deferred(str(error), requeue=True) from None
            time.sleep(_PAUSE)


def _worker_name(hostname: str | None) -> str:
    """Another for each delivery: see `claims.take`."""
    return f"{hostname or socket.gethostname()} {os.getpid()} {uuid4().hex[:12]}"


def _lease() -> timedelta:
    return process.settings().worker.claim_lease


# While it runs


class _Held:
    """A claim that this process holds, and the thread that renews it."""

    def __init__(self, run_id: str, worker: str) -> None:
        self._run_id = run_id
        self._worker = worker
        self._done = threading.Event()
        threading.Thread(target=self._keep, name="beatd-claim", daemon=True).start()

    def stop(self) -> None:
        self._done.set()

    def end(self) -> None:
        self.stop()
        try:
            reach("before-end")
            claims.end(process.database(), self._run_id, self._worker)
            reach("after-end")
        except BeatdError as error:
            # The run's report says that it has ended; the lease lapses unnoticed.
            log.warning("claim.failed", run=self._run_id, reason=str(error))

    def _keep(self) -> None:
        while not self._done.wait(_lease() / timedelta(seconds=3)):
            if not self._renewed(process.database()):
                return

    def _renewed(self, database: Database) -> bool:
        try:
            renewed = claims.renew(database, self._run_id, self._worker, _lease())
        except BeatdError as error:
            log.warning("claim.failed", run=self._run_id, reason=str(error))
            return True
        if not renewed and not self._done.is_set():
            log.error("claim.failed", run=self._run_id, reason="the claim is not this worker's any more")
        return renewed


_held: dict[str, _Held] = {}


def _on_postrun(task_id: str, state: str | None, **_: Any) -> None:
    held = _held.pop(task_id, None)
    if held is None:
        return
    if state is None:
        # The process is being ended. Without its revocation nobody knows what became of the run: the
        # lease shall lapse.
        held.stop()
    else:
        held.end()


signals.task_postrun.connect(_on_postrun, dispatch_uid="beatd.run_once")
