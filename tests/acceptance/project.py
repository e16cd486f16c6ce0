"""An operator's Celery app: queues of its own, tasks that write into the ledger that they ran."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from beatd.worker.run_once import RunOnceTask

app = Celery("acceptance", set_as_current=False, include=["beatd.worker.plugin", "beatd.worker.tasks"])
app.conf.update(
    task_default_queue="work",
    task_queues=[
        Queue("work"),
        Queue("other"),
        Queue("direct", Exchange("acceptance.direct", "direct"), routing_key="left"),
        Queue("topic", Exchange("acceptance.topic", "topic"), routing_key="site.*.load"),
    ],
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)


@app.task(name="record", bind=True)
def record(self: Any, *args: Any, seconds: float = 0, **kwargs: Any) -> list[Any]:
    time.sleep(seconds)
    _note(self.request)
    return [*args, kwargs]


@app.task(name="record_once", bind=True, base=RunOnceTask)
def record_once(self: Any) -> None:
    _note(self.request)


def _note(request: Any) -> None:
    line = f"{request.beatd_entry} {request.beatd_fire_time} {request.id}\n"
    ledger = os.open(os.environ["TEST_LEDGER"], os.O_WRONLY | os.O_APPEND)
    os.write(ledger, line.encode())
    os.close(ledger)
