"""The operator's Celery app of the suite: a plain task and a run-once task, which write into the ledger.

Messages to real workers and those for the suite's own consumer go through one topic exchange, where the
audit's queue gets a copy of each.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from beatd.worker.run_once import RunOnceTask

EXCHANGE = "faults"
WORK = "faults.work"
AUDIT = "faults.audit"
#: What the broker drops for its age is seen, too.
OLD = "faults.old"

PLAIN = "faults.plain"
ONCE = "faults.once"

app = Celery("faults", set_as_current=False, include=["beatd.worker.plugin", "beatd.worker.tasks"])
app.conf.update(
    task_default_queue=WORK,
    task_queues=[Queue(WORK, Exchange(EXCHANGE, "topic"), routing_key="real.#")],
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=3,
    broker_heartbeat=10,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
)


def audit_queues(*, dead_letters: bool) -> list[Queue]:
    """The witness's queues. `dead_letters`: the broker can hand over what it drops."""
    exchange = Exchange(EXCHANGE, "topic")
    if not dead_letters:
        return [Queue(AUDIT, exchange, routing_key="#")]
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": OLD}
    return [Queue(AUDIT, exchange, routing_key="#", queue_arguments=arguments), Queue(OLD)]


@app.task(name=PLAIN, bind=True, acks_late=True, reject_on_worker_lost=True)
def plain(self: Any) -> None:
    _note(self.request, "plain")


@app.task(name=ONCE, bind=True, base=RunOnceTask)
def once(self: Any) -> None:
    _note(self.request, "once")


def _note(request: Any, kind: str) -> None:
    """One line by one write: whole, whoever else writes, and whenever the process dies."""
    redelivered = int(bool((request.delivery_info or {}).get("redelivered")))
    words = (
        request.id,
        request.beatd_entry,
        request.beatd_fire_time,
        datetime.now(UTC).isoformat(),
        os.getpid(),
        kind,
        redelivered,
    )
    ledger = os.open(os.environ["FAULTS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(ledger, (" ".join(map(str, words)) + "\n").encode())
    os.close(ledger)
