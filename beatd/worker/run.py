"""Runs a Celery worker in this process, with the plugin and the shipped tasks in it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning

from beatd.config import Settings
from beatd.logs import get_logger
from beatd.worker import plugin, process, results_lock
from beatd.worker.results_lock import ResultsLock

#: Transports over which workers tell each other what was revoked before one of them started.
_MINGLING = ("amqp", "redis")

#: Seconds within which a request to stop is noticed.
_STOP_NOTICED = 0.5

#: Seconds between looks whether a process of the pool died with the lock.
_LOCK_LOOKED_AT = 1.0

log = get_logger()


def run(
    app: Celery,
    settings: Settings,
    *,
    queues: Sequence[str] = (),
    concurrency: int | None = None,
    hostname: str | None = None,
    pool: str = "prefork",
) -> int:
    """Works until SIGTERM or SIGINT, finishes the runs it has begun, and returns the exit status.

    `queues`: the app's own where none are named. A second SIGINT, or SIGQUIT, does not wait: messages of
    what was begun go back to the broker. Must be called in the main thread.
    """
    process.use(settings)
    plugin.install(app)
    warnings.simplefilter("ignore", SecurityWarning)  # cron's jobs run as root too; pickle is refused as ever
    app.set_current()
    app.loader.import_task_module("beatd.worker.tasks")
    signals.setup_logging.connect(_keep_logging, dispatch_uid="beatd.logging")
    signals.worker_ready.connect(_on_ready, dispatch_uid="beatd.ready")
    signals.worker_shutting_down.connect(_on_stopping, dispatch_uid="beatd.stopping")
    transport = app.connection_for_read().transport  # asked, not connected
    if not transport.implements.asynchronous:
        results_lock.leave_in_silence()
    worker = app.Worker(
        hostname=hostname,
        pool_cls=pool,
        concurrency=concurrency or settings.worker.processes,
        queues=list(queues) or None,
        optimization="fair",
        prefetch_multiplier=1,
        # Without an event loop a message that must wait for a process would otherwise keep the worker from
        # everything else, such as revoking what runs.
        pool_putlocks=transport.implements.asynchronous,
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=transport.driver_type not in _MINGLING,
    )
    worker.start()
    _free_queues()
    return int(worker.exitcode or 0)


def _keep_logging(**_: object) -> None:
    """That somebody listens keeps Celery from arranging the process's logging anew."""


def _on_ready(sender: Any, **_: object) -> None:
    log.info("worker.ready", worker=str(sender.hostname))
    # Celery's loop looks whether it shall stop when it wakes; the next timer may be seconds away.
    sender.timer.call_repeatedly(_STOP_NOTICED, lambda: None)
    pool = getattr(sender.pool, "_pool", None)
    if ResultsLock.is_shared_by(pool):
        lock = ResultsLock(pool)
        _locks.append(lock)
        sender.timer.call_repeatedly(_LOCK_LOOKED_AT, lock.look)


def _on_stopping(sender: object, how: object, **_: object) -> None:
    log.info("worker.stopping", worker=str(sender), how=str(how))


#: Of pools whose processes share a queue of results.
_locks: list[ResultsLock] = []


def _free_queues() -> None:
    """Else billiard waits, for ever, for the lock of a process that died with it when it exits."""
    for lock in _locks:
        lock.free_all()
