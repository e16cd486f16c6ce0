"""`status`: what it tells of a database in a known state, and of one that cannot tell."""

from __future__ import annotations

import json
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Beatd

VERSION_OF_THE_SCHEMA = "0004"


@pytest.fixture
def made(beatd: Beatd) -> Beatd:
    beatd.env["BEATD_SCHEDULER_NODE_TIMEOUT"] = "5m"  # alive, however slow this machine is
    beatd("init")
    return beatd


def ago(**span: float) -> str:
    """An instant as SQLite has it."""
    return (datetime.now(UTC) - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write(beatd: Beatd, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join("?" for _ in values)
    with sqlite3.connect(beatd.database) as database:
        database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def node(beatd: Beatd, name: str, heartbeat_at: str, status: str = "published 3", **more: Any) -> None:
    write(
        beatd,
        "nodes",
        id=str(uuid.uuid4()),
        name=name,
        host="here",
        pid=17,
        pid_started=1,
        beatd_version="0.1.0",
        started_at=ago(hours=1),
        heartbeat_at=heartbeat_at,
        status=status,
        **more,
    )


def run(beatd: Beatd, state: str, fire_time: str, **more: Any) -> None:
    values = {
        "id": str(uuid.uuid4()),
        "entry_id": 1,
        "version": 1,
        "origin": "schedule",
        "fire_time": fire_time,
        "due_time": fire_time,
        "state": state,
        "recorded_at": fire_time,
        "lost_after": 86_400,
    }
    write(beatd, "runs", **{**values, **more})


def entry(beatd: Beatd, name: str) -> None:
    beatd("entry", "add", name, "--every", "1h", "--shell", "true")


def timer(beatd: Beatd, next_due_at: str | None, state: str = "active", error: str | None = None) -> None:
    write(
        beatd,
        "timers",
        entry_id=1,
        next_due_at=next_due_at,
        next_fire_at=next_due_at,
        planned_from=ago(hours=1),
        planned_version=1,
        planner=1,
        state=state,
        error=error,
    )


def test_a_new_installation(made: Beatd, program: Beatd) -> None:
    told = program("status").stdout
    assert f"{made.home}/.config/beatd/beatd.toml (user), /etc/beatd/beatd.toml (system)" in told
    assert f"schema {VERSION_OF_THE_SCHEMA}" in told
    assert "embedded" in told
    assert "none is alive" in told
    found = program.json("status")
    assert found["config_file"] == f"{made.home}/.config/beatd/beatd.toml"
    assert [place["source"] for place in found["config_searched"]] == ["user", "system"]
    assert found["activity"]["backlog"] == {
        "entries": 0,
        "enabled": 0,
        "unplanned_edits": 0,
        "due": 0,
        "oldest_due_at": None,
        "pending": 0,
        "oldest_pending_at": None,
        "later": 0,
        "published": 0,
        "running": 0,
        "held": 0,
    }
    assert program.json("status", "--check", status=1)["troubles"] == [
        "schedulers: none is alive: nothing is published"
    ]


def test_a_scheduler_that_lives_and_one_that_does_not(made: Beatd) -> None:
    node(made, "alive", ago(seconds=2), statistics=json.dumps({"published": 3}))
    node(made, "silent", ago(minutes=10))
    found = made.json("status", "--check", status=0)
    nodes = {node["name"]: node for node in found["activity"]["nodes"]}
    assert nodes["alive"]["alive"]
    assert nodes["alive"]["statistics"] == {"published": 3}
    assert not nodes["silent"]["alive"]
    assert 595 < nodes["silent"]["heartbeat_age"] < 660
    assert found["troubles"] == []
    told = made("status").stdout
    assert "silent  pid 17 on here, heard of 10m" in told
    assert "published 3" in told


def test_a_scheduler_that_waits_is_a_trouble(made: Beatd) -> None:
    node(made, "alive", ago(seconds=2), status="waiting: broker amqp://mq: refused; published 0")
    node(made, "gone", ago(minutes=10), status="waiting: nothing that matters any more")
    found = made.json("status", "--check", status=1)
    assert found["troubles"] == ["schedulers: alive is waiting: broker amqp://mq: refused; published 0"]
    assert "✗ schedulers: alive is waiting: broker amqp://mq: refused" in made("status").stdout


def test_a_scheduler_on_another_broker_is_a_trouble(made: Beatd) -> None:
    node(made, "n1", ago(seconds=2), statistics=json.dumps({"broker": "amqp://u:***@mq/beatd"}))
    (trouble,) = made.json("status", "--check", status=1)["troubles"]
    own = f"beatd://{made.state_dir}/broker"
    assert trouble.startswith(f"broker: the scheduler n1 uses amqp://u:***@mq/beatd, this command {own}")
    assert "publishes to amqp://u:***@mq/beatd" in made("status").stdout
    # another user, the port written out: the same broker
    made.env["BEATD_BROKER_URL"] = "amqp://other:very-secret@mq:5672/beatd"
    assert made.json("status", "--check")["troubles"] == []


def test_runs_that_nobody_begins_are_a_trouble(made: Beatd) -> None:
    node(made, "alive", ago(seconds=0))
    entry(made, "hello")
    run(made, "published", ago(seconds=30), published_at=ago(seconds=30))
    assert made.json("status", "--check")["troubles"] == []
    run(made, "published", ago(minutes=5), published_at=ago(minutes=5))
    found = made.json("status", "--check", status=1)
    assert found["activity"]["workers"] == []
    (trouble,) = found["troubles"]
    assert trouble.startswith("runs: 2 published and not begun, the oldest (hello) for 30")
    assert "none was heard of in the last hour" in made("status").stdout
    # a worker that is busy with something long holds a claim that it renews
    held = {"run_id": str(uuid.uuid4()), "claimed_at": ago(hours=1), "lease_until": ago(seconds=-30)}
    write(made, "claims", worker="w1@here 17 abc", **held)
    found = made.json("status", "--check")
    assert [worker["name"] for worker in found["activity"]["workers"]] == ["w1@here"]
    assert "w1@here  heard of " in made("status").stdout
    # and without reports nothing can be told
    with sqlite3.connect(made.database) as database:
        database.execute("DELETE FROM claims")
    made.env["BEATD_CELERY_REPORTS"] = "false"
    assert made.json("status", "--check")["troubles"] == []


def test_what_waits_too_long_is_a_trouble(made: Beatd) -> None:
    node(made, "alive", ago(seconds=0))
    entry(made, "hello")
    timer(made, ago(minutes=5))
    run(made, "pending", ago(minutes=4))
    found = made.json("status", "--check", status=1)
    assert found["activity"]["backlog"]["due"] == 1
    assert found["activity"]["backlog"]["pending"] == 1
    assert found["activity"]["backlog"]["unplanned_edits"] == 1
    assert [trouble.split(",")[0] for trouble in found["troubles"]] == [
        "due entries: 1 waiting",
        "outbox: 1 waiting",
    ]
    assert "1 due (the oldest for 5m" in made("status").stdout


def test_an_edit_that_nobody_plans_is_a_trouble(made: Beatd) -> None:
    """A scheduler that lives and does nothing is seen before the first fire is due."""
    node(made, "alive", ago(seconds=0))
    entry(made, "hello")
    assert made.json("status", "--check")["troubles"] == []
    with sqlite3.connect(made.database) as database:
        then = ago(minutes=5)
        database.execute("UPDATE entry_versions SET changed_at = ?", [then])
        database.execute("UPDATE entries SET created_at = ?, updated_at = ?", [then, then])
    [trouble] = made.json("status", "--check", status=1)["troubles"]
    assert trouble.startswith("edits: 1 waiting, the oldest for 30")


def test_runs_that_were_late_lately_are_a_trouble(made: Beatd) -> None:
    node(made, "alive", ago(seconds=0))
    entry(made, "hello")
    run(made, "succeeded", ago(minutes=9), published_at=ago(minutes=8, seconds=10))
    run(made, "succeeded", ago(minutes=40), published_at=ago(minutes=20))
    assert made.json("status", "--check")["troubles"] == []
    run(made, "succeeded", ago(minutes=11), published_at=ago(minutes=8))
    trouble = "lateness: 1 published more than 60 s late in the last ten minutes"
    assert made.json("status", "--check", status=1)["troubles"] == [trouble]
    assert made("status", "--check", status=1).stdout == f"NOT WELL: {trouble}\n"


TOLD: list[tuple[str, dict[str, Any], str | None]] = [
    ("published 3", {"clock_ahead": 0.4}, None),
    ("published 3", {"clock_ahead": -12.34}, "clocks: that of here is -12.3 s off the database's"),
    ("published 3", {"alerts": {"sent": 1, "failed": 0}, "pulse": {"sent": 1, "trouble": None}}, None),
    ("published 3", {"alerts": {"trouble": "x: y"}}, "alerts: n could not deliver: x: y"),
    ("published 3", {"pulse": {"trouble": "x: y"}}, "alerts: n could not deliver: x: y"),
    ("stalled: dispatch; published 3", {}, "schedulers: n is stalled: dispatch; published 3"),
]


@pytest.mark.parametrize(("status", "statistics", "trouble"), TOLD)
def test_what_a_node_tells_of_itself(
    made: Beatd, status: str, statistics: dict[str, Any], trouble: str | None
) -> None:
    node(made, "n", ago(seconds=0), status, statistics=json.dumps(statistics))
    if trouble is None:
        assert made("status", "--check").stdout == "OK: schedulers alive: 1, entries: 0\n"
    else:
        assert made("status", "--check", status=1).stdout == f"NOT WELL: {trouble}\n"


def test_the_next_entry_and_broken_ones(made: Beatd) -> None:
    node(made, "alive", ago(seconds=0))
    entry(made, "hello")
    timer(made, ago(hours=-2))
    assert made.json("status")["activity"]["next_due"]["entry"] == "hello"
    assert "next: hello, " in made("status").stdout
    with sqlite3.connect(made.database) as database:
        database.execute("UPDATE timers SET state = 'broken', error = 'cron: 61: not a minute'")
    found = made.json("status", "--check", status=1)
    assert found["activity"]["broken"] == [{"entry": "hello", "error": "cron: 61: not a minute"}]
    assert found["troubles"] == ["entries: hello is broken: cron: 61: not a minute"]


def test_the_last_hour(made: Beatd) -> None:
    entry(made, "hello")
    for seconds in range(100):
        fired = datetime.now(UTC) - timedelta(minutes=30, seconds=seconds)
        published = fired + timedelta(milliseconds=10 * (seconds + 1))
        run(
            made,
            "succeeded",
            fired.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            published_at=published.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            finished_at=ago(minutes=29),
        )
    run(made, "failed", ago(minutes=9), finished_at=ago(minutes=9), error="exit status 1\nthe disk is full")
    run(made, "failed", ago(hours=3), finished_at=ago(hours=2), error="long ago")
    activity = made.json("status")["activity"]
    assert activity["ended"] == {"succeeded": 100, "failed": 1}
    assert activity["lateness"] == {
        "runs": 100,
        "median": pytest.approx(0.51, abs=0.001),
        "p99": pytest.approx(1.0, abs=0.001),
        "greatest": pytest.approx(1.0, abs=0.001),
    }
    assert [failing["newest"]["error"] for failing in activity["failed"]] == [
        "exit status 1\nthe disk is full"
    ]
    told = made("status").stdout
    assert "1 failed, 100 succeeded" in told
    assert "hello  failed  exit status 1: the disk is full" in told
    assert "median 510ms, 99% within 1.0s, greatest 1.0s" in told


def test_an_entry_that_fails_again_and_again_has_one_line(made: Beatd) -> None:
    entry(made, "hello")
    for minutes in (30, 20, 10):
        at = ago(minutes=minutes)
        run(made, "failed", at, finished_at=at, error=f"disk full, {minutes} MB left")
    run(made, "lost", ago(minutes=40), finished_at=ago(minutes=40), reason="its worker vanished")
    failed = made.json("status")["activity"]["failed"]
    assert [(of["newest"]["state"], of["count"]) for of in failed] == [("lost", 1), ("failed", 3)]
    told = made("status").stdout
    assert "hello  failed 3 times  disk full, 10 MB left" in told
    assert "disk full, 20" not in told


def test_a_database_that_is_down(beatd: Beatd) -> None:
    beatd.env["BEATD_DATABASE_URL"] = "postgresql://someone:very-secret@127.0.0.1:9/beatd"
    done = beatd("status", status=1)
    assert "very-secret" not in done.stdout + done.stderr
    (trouble,) = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert "127.0.0.1" in trouble
    found = beatd.json("status", status=1)
    assert found["activity"] is None
    assert found["database"] == "postgresql+psycopg://someone:***@127.0.0.1:9/beatd"
    assert len(found["troubles"]) == 1


def test_a_configuration_that_everyone_may_read(made: Beatd, tmp_path: Path) -> None:
    file = tmp_path / "open.toml"
    file.write_text('[broker]\nurl = "amqp://someone:very-secret@127.0.0.1/x"\n')
    file.chmod(0o644)
    done = made("--config", str(file), "status")
    assert f"chmod o-r {file}" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr
    assert "amqp://someone:***@127.0.0.1/x" in done.stdout
    assert f"{file} (--config)" in done.stdout


def test_on_every_database(beatd: Beatd, database_url: str) -> None:
    beatd.env["BEATD_DATABASE_URL"] = database_url
    beatd("db", "upgrade")
    beatd("db", "check")
    beatd("entry", "add", "hello", "--every", "1h", "--shell", "true")
    beatd("entry", "trigger", "hello")
    activity = beatd.json("status")["activity"]
    assert activity["backlog"]["entries"] == 1
    assert activity["backlog"]["pending"] == 1
    assert activity["lateness"] is None
