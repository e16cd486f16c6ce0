"""An app with tasks of all tempers, and a worker for it: `python -m tests.worker.project SETTINGS`.

SETTINGS is a JSON object: broker, transport_options, how (`beatd` for `beatd.worker.run`, `celery` for
Celery's own command in a user's app that loads the plugin), pool, concurrency, patience (for the database).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject

import beatd.broker.embedded  # noqa: F401 makes its scheme known
from beatd import config, logs
from beatd.worker import run, run_once
from beatd.worker.run_once import RunOnceTask

app = Celery("project", set_as_current=False)
app.conf.update(
    task_default_queue="work",
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    include=["beatd.worker.plugin"],
)


def configure(broker: str, transport_options: dict[str, Any]) -> None:
    app.conf.update(broker_url=broker, broker_transport_options=transport_options)


@app.task(name="add")
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="fail")
def fail(text: str) -> None:
    raise ValueError(text)


@app.task(name="note")
def note(path: str, text: str = "ran") -> str:
    with Path(path).open("a") as file:
        file.write(text + "\n")
    return text


@app.task(name="note_once", base=RunOnceTask)
def note_once(path: str, text: str = "ran", seconds: float = 0) -> str:
    time.sleep(seconds)
    with Path(path).open("a") as file:
        file.write(text + "\n")
    return text


@app.task(name="wait")
def wait(path: str) -> str:
    """Until the file exists."""
    while not Path(path).exists():
        time.sleep(0.02)
    return "found"


@app.task(name="flaky", bind=True, max_retries=3)
def flaky(self: Any, path: str, succeed_at: int) -> int:
    """Retries until the attempt `succeed_at`; writes down what each attempt's message carried."""
    carried = [self.request.retries, self.request.expires, self.request.get("beatd_entry")]
    with Path(path).open("a") as file:
        file.write(json.dumps(carried) + "\n")
    if self.request.retries < succeed_at:
        raise self.retry(exc=ValueError(f"attempt {self.request.retries}"), countdown=1)
    return int(self.request.retries)


@app.task(name="flaky_once", bind=True, base=RunOnceTask, max_retries=3)
def flaky_once(self: Any, path: str, succeed_at: int) -> int:
    return flaky.run.__func__(self, path, succeed_at)


@app.task(name="die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="ignore")
def ignore() -> None:
    raise Ignore("not my business")


@app.task(name="reject")
def reject() -> None:
    raise Reject("cannot be done", requeue=False)


def main() -> None:
    settings = json.loads(sys.argv[1])
    configure(settings["broker"], settings["transport_options"])
    run_once.PATIENCE = settings.get("patience", run_once.PATIENCE)
    pool, concurrency = settings["pool"], settings["concurrency"]
    if settings["how"] == "beatd":
        logs.configure("info", "text")
        sys.exit(run.run(app, config.load().settings, pool=pool, concurrency=concurrency))
    app.worker_main(["worker", f"--pool={pool}", f"--concurrency={concurrency}", "-O", "fair", "-l", "INFO"])


if __name__ == "__main__":
    main()
