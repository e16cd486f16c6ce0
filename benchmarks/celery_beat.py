"""Celery beat as the peer: the same rules in its own crontab schedules, its process, the same queue.

Celery imports this module as the app (`celery -A benchmarks.celery_beat`); a file tells it the entries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.schedules import crontab

from beatd.broker import embedded
from benchmarks.places import QUEUE, Corner

_TOLD = "STORM_CELERY_BEAT"
_USED = ("name", "cron", "task", "args", "kwargs")


def start(corner: Corner, entries: list[dict[str, Any]]) -> subprocess.Popen[bytes]:
    """The entries must be in UTC: Celery has one zone for all of them."""
    app = corner.app()
    told = corner.folder / "celery-beat.json"
    told.write_text(
        json.dumps(
            {
                "broker_url": app.conf.broker_url,
                "transport_options": dict(app.conf.broker_transport_options),
                "entries": [
                    {k: entry.get(k) for k in ("name", "cron", "task", "args", "kwargs")} for entry in entries
                ],
            }
        )
    )
    options = [
        "--schedule",
        str(corner.folder / "celerybeat-schedule"),
        "--pidfile",
        "",
        "--loglevel",
        "ERROR",
    ]
    with (corner.folder / "celery-beat.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "benchmarks.celery_beat", "beat", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parent.parent,
            env={"PATH": os.defpath, "HOME": str(corner.folder), _TOLD: str(told)},
            start_new_session=True,
        )
    corner.place.keeper.watch(process.pid)
    return process


def _app(told: dict[str, Any]) -> Celery:
    assert embedded.SCHEME  # importing it is what makes the embedded broker known to kombu
    app = Celery("storm", broker=told["broker_url"])
    app.conf.update(
        broker_transport_options=told["transport_options"],
        task_default_queue=QUEUE,
        timezone="UTC",
        beat_schedule={entry["name"]: _scheduled(entry) for entry in told["entries"]},
    )
    return app


def _scheduled(entry: dict[str, Any]) -> dict[str, Any]:
    minute, hour, day, month, weekday = entry["cron"].split()
    return {
        "task": entry["task"],
        "schedule": crontab(minute, hour, weekday, day, month),
        "args": json.loads(entry["args"] or "[]"),
        "kwargs": json.loads(entry["kwargs"] or "{}"),
        "options": {"expires": 3600},
    }


if _TOLD in os.environ:
    app = _app(json.loads(Path(os.environ[_TOLD]).read_text()))
