"""`doctor`: every finding, and what it says to do."""

from __future__ import annotations

import signal
import socket
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.program import Beatd, end
from tests.waiting import eventually


def findings(beatd: Beatd, status: int | None = None) -> dict[str, dict[str, Any]]:
    """By what was checked; of several, the last that is not ok."""
    found: dict[str, dict[str, Any]] = {}
    for finding in beatd.json("doctor", status=status)["findings"]:
        if finding["check"] not in found or finding["level"] != "ok":
            found[finding["check"]] = finding
    return found


@pytest.fixture
def made(beatd: Beatd) -> Beatd:
    beatd("init")
    return beatd


@pytest.fixture
def running(made: Beatd) -> Iterator[Beatd]:
    """With a scheduler and a worker."""
    processes = [made.start("scheduler"), made.start("worker", "--concurrency", "1")]
    try:
        eventually(lambda: made.json("status")["activity"]["nodes"], interval=0.2)
        yield made
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.communicate(timeout=60)
            end(process)


def test_all_is_well(running: Beatd) -> None:
    def answered() -> bool:
        return findings(running)["workers"]["level"] == "ok"

    eventually(answered, interval=0.2, message="the worker answers")
    found = findings(running, status=0)
    assert {finding["level"] for finding in found.values()} == {"ok"}
    assert list(found) == [
        "configuration",
        "state folder",
        "zone data",
        "database",
        "data",
        "schema",
        "tables",
        "triggers",
        "clock",
        "broker",
        "schedulers",
        "due entries",
        "outbox",
        "edits",
        "entries",
        "workers",
    ]
    assert f"beatd@{socket.gethostname()}" in found["workers"]["text"]
    told = running("doctor").stdout
    assert told.count("✓") == len(found)
    assert "->" not in told


def test_a_queue_that_no_worker_takes(running: Beatd) -> None:
    """A line of a system crontab goes to its user's queue, and waits there until that user has a worker."""
    running("entry", "add", "hello", "--every", "1h", "--shell", "true")
    for name, queue in (("logs", "user.www-data"), ("mail", "user.www-data"), ("report", "reports")):
        running("entry", "add", name, "--every", "1h", "--shell", "true", "--queue", queue)
    running("entry", "add", "off", "--every", "1h", "--shell", "true", "--queue", "user.bob", "--disabled")

    def untaken() -> list[tuple[str, str]]:
        told = running.json("doctor", status=None)["findings"]
        return [
            (of["text"], of["hint"]) for of in told if of["check"] == "workers" and of["level"] == "warning"
        ]

    assert eventually(untaken, interval=0.2) == [
        (
            "1 entry goes to the queue reports, which none of them takes",
            "start one: beatd worker --queue reports",
        ),
        (
            "2 entries go to the queue user.www-data, which none of them takes",
            "start one: systemctl enable --now beatd-worker@www-data",
        ),
    ]


def test_nothing_runs(made: Beatd, program: Beatd) -> None:
    found = findings(made, status=1)
    assert found["schedulers"]["level"] == found["workers"]["level"] == "problem"
    assert "beatd scheduler" in found["schedulers"]["hint"]
    assert "beatd worker" in found["workers"]["hint"]
    told = program("doctor", status=1).stdout
    assert "✗ schedulers    none is alive" in told
    assert "-> start one" in told


def test_a_database_that_is_not_there(beatd: Beatd) -> None:
    found = findings(beatd, status=1)
    assert found["database"]["text"].endswith("beatd.db: there is no such file")
    assert found["database"]["hint"].startswith("run 'beatd init'")
    assert not beatd.database.exists()


def test_a_database_that_is_not_set_up(beatd: Beatd) -> None:
    beatd.state_dir.mkdir(parents=True)
    beatd.database.touch()
    found = findings(beatd, status=1)
    assert found["schema"]["hint"] == "run 'beatd db upgrade'"
    assert found["broker"]["level"] == "ok"


def test_servers_that_are_down(beatd: Beatd) -> None:
    beatd.env |= {
        "BEATD_DATABASE_URL": "postgresql://someone:very-secret@127.0.0.1:9/beatd",
        "BEATD_BROKER_URL": "amqp://someone:very-secret@127.0.0.1:9/beatd",
    }
    done = beatd("doctor", status=1)
    assert "very-secret" not in done.stdout + done.stderr
    found = findings(beatd, status=1)
    for what, variable in (("database", "BEATD_DATABASE_URL"), ("broker", "BEATD_BROKER_URL")):
        assert found[what]["level"] == "problem"
        assert variable in found[what]["hint"]
    assert "schedulers" not in found


def test_a_missing_trigger(made: Beatd) -> None:
    with sqlite3.connect(made.database) as database:
        database.execute("DROP TRIGGER beatd_entries_insert")
    found = findings(made, status=1)
    assert found["triggers"]["level"] == "problem"
    assert found["triggers"]["text"].endswith(": beatd_entries_insert")


def test_a_state_folder_that_others_may_write_to(made: Beatd) -> None:
    made.state_dir.chmod(0o777)
    found = findings(made)
    assert found["state folder"]["level"] == "warning"
    assert found["state folder"]["hint"] == f"chmod go-w {made.state_dir}"


def test_a_celery_app_that_is_not_there(made: Beatd) -> None:
    made.env["BEATD_CELERY_APP"] = "no_such_module:app"
    found = findings(made, status=1)
    assert "no_such_module:app" in found["broker"]["text"]
    assert found["broker"]["hint"] == "correct the configuration"


def test_real_servers(beatd: Beatd, postgres_url: str, rabbit_url: str) -> None:
    beatd.env |= {"BEATD_DATABASE_URL": postgres_url, "BEATD_BROKER_URL": rabbit_url}
    beatd("db", "upgrade")
    found = findings(beatd, status=1)
    assert found["database"]["text"].startswith("postgresql 1")
    assert found["broker"]["text"].startswith("RabbitMQ 3")
    assert {found[what]["level"] for what in ("schema", "tables", "triggers", "clock", "broker")} == {"ok"}


def test_in_shadow_mode_no_broker_is_needed(made: Beatd) -> None:
    """However it was turned on: by the configuration, or for the scheduler alone."""
    made.env["BEATD_BROKER_URL"] = "amqp://someone:very-secret@127.0.0.1:9/"
    assert findings(made, status=1)["broker"]["level"] == "problem"
    shadow = made.start("scheduler", "--shadow")
    try:
        eventually(lambda: made.json("status")["activity"]["nodes"], interval=0.2)
        assert findings(made, status=0)["broker"]["level"] == "warning"
    finally:
        shadow.send_signal(signal.SIGTERM)
        shadow.communicate(timeout=60)
        end(shadow)
