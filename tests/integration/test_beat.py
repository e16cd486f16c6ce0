"""beatd inside Celery's own beat: a small project, its `celery beat` and its workers as real processes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from tests.processes import Installation, Process
from tests.waiting import eventually

SECOND = timedelta(seconds=1)

PROJECT = """
import os

from celery import Celery
from celery.schedules import crontab

import beatd.broker.embedded
from beatd.worker.run_once import RunOnceTask

app = Celery("proj", include=["beatd.worker.plugin"])
app.conf.broker_url = os.environ["PROJ_BROKER_URL"]
app.conf.worker_prefetch_multiplier = 1
app.conf.beat_schedule = {schedule}


@app.task(bind=True, base=RunOnceTask)
def note(self):
    request = self.request
    with open(os.environ["TEST_LEDGER"], "a") as ledger:
        ledger.write(f"{{request.beatd_entry}} {{request.beatd_fire_time}} {{request.id}}\\n")
"""

TICK = "'tick': {'task': 'proj.note', 'schedule': 1.0}"
TOCK = "'tock': {'task': 'proj.note', 'schedule': 1.0}"
AT_THREE = "'daily': {'task': 'proj.note', 'schedule': crontab(minute=0, hour=3)}"
AT_FOUR = "'daily': {'task': 'proj.note', 'schedule': crontab(minute=0, hour=4)}"


@pytest.fixture(params=["PostgreSQL + RabbitMQ", "SQLite + embedded"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """beatd knows the database from its own configuration, and the broker from the app."""
    names = ("postgres_url", "rabbit_url") if "RabbitMQ" in request.param else ("sqlite_url",)
    database, broker = [*map(request.getfixturevalue, names), ""][:2]
    made: Installation = request.getfixturevalue("install")(database, broker)
    made.env["PROJ_BROKER_URL"] = broker or f"beatd://{made.folder}/state/broker"
    made.env["BEATD_BROKER_URL"] = ""
    return made


def test_entries_run_and_follow_the_code(installation: Installation) -> None:
    _write(installation, TICK, AT_THREE)
    beat = _beat(installation, "--pidfile", "beat.pid", "-s", "nowhere/schedule", "--max-interval", "300")
    installation.add("by-hand", cron="0 5 * * *", task="proj.note")
    _worker(installation)
    eventually(lambda: _counted(installation)["tick"] >= 3)
    assert _schedules(installation) == {"tick": "1s", "daily": "0 3 * * *", "by-hand": "0 5 * * *"}
    assert int((installation.folder / "beat.pid").read_text()) == beat.pid
    assert beat.stop() == 0
    assert not (installation.folder / "beat.pid").exists()
    assert installation.rows("SELECT * FROM nodes") == []

    _write(installation, TOCK, AT_FOUR)
    _beat(installation)
    eventually(lambda: _counted(installation)["tock"] >= 3)
    assert _schedules(installation) == {"tock": "1s", "daily": "0 4 * * *", "by-hand": "0 5 * * *"}
    eventually(lambda: installation.states()["succeeded"] >= 6)


def test_killed_and_started_again_it_doubles_nothing_and_loses_nothing(installation: Installation) -> None:
    _write(installation, TICK)
    beat = _beat(installation)
    _worker(installation)
    eventually(lambda: _counted(installation)["tick"] >= 2)
    beat.kill9()
    again = _beat(installation)
    before = _counted(installation)["tick"]
    eventually(lambda: _counted(installation)["tick"] >= before + 5)
    assert again.stop() == 0
    # nobody takes in reports any more; the ledger tells
    eventually(lambda: len(installation.ledger()) >= len(installation.runs()))
    notes = installation.ledger()
    assert Counter(Counter(note.fire_time for note in notes).values()).keys() == {1}
    times = sorted(note.fire_time for note in notes)
    assert times == [times[0] + number * SECOND for number in range(len(times))]
    assert len(installation.runs()) == len(notes)


@pytest.mark.parametrize("installation", ["SQLite + embedded"], indirect=True)
def test_embedded_in_a_worker(installation: Installation) -> None:
    _write(installation, TICK)
    worker = _worker(installation, "-B", "--scheduler", "beatd.beat:Scheduler")
    eventually(lambda: _counted(installation)["tick"] >= 3)
    assert worker.stop() == 0
    assert installation.rows("SELECT * FROM nodes") == []


@pytest.mark.parametrize("installation", ["SQLite + embedded"], indirect=True)
def test_an_entry_that_cannot_be_carried_over_is_one_clear_line(installation: Installation) -> None:
    _write(installation, TICK, "'half': {'task': 'proj.note', 'schedule': 0.5}")
    beat = _start(installation)
    assert beat.wait() == 1
    told = [line for line in beat.text().splitlines() if "CRITICAL" in line]
    assert len(told) == 1
    assert "proj:app beat_schedule['half']: schedule: 'every 0.5 seconds': only whole seconds" in told[0]
    assert "Traceback" not in beat.text()
    assert installation.rows("SELECT name FROM entries") == []


def _write(installation: Installation, *entries: str) -> None:
    schedule = "{" + ", ".join(entries) + "}"
    (installation.folder / "proj.py").write_text(PROJECT.format(schedule=schedule))


def _beat(installation: Installation, *options: str) -> Process:
    beat = _start(installation, *options)
    beat.tells("daemon.ready")
    return beat


def _start(installation: Installation, *options: str) -> Process:
    return installation.celery(
        "beat", "-A", "proj", "beat", "-S", "beatd.beat:Scheduler", "-l", "INFO", *options
    )


def _worker(installation: Installation, *options: str) -> Process:
    worker = installation.celery("celery-worker", "-A", "proj", "worker", "-c", "2", "-l", "INFO", *options)
    worker.tells("ready.")
    return worker


def _counted(installation: Installation) -> Counter[str]:
    return Counter(note.entry for note in installation.ledger())


def _schedules(installation: Installation) -> dict[str, str]:
    query = "SELECT name, COALESCE(cron, every) AS rule FROM entries"
    if installation.database.dialect.name == "postgresql":
        query = 'SELECT name, COALESCE(cron, "every") AS rule FROM entries'
    return {row.name: row.rule for row in installation.rows(query)}
