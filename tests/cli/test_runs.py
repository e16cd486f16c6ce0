"""`beatd runs` as a person types it, on runs that nobody has published."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd, end


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def test_list_show_revoke(beatd: Beatd) -> None:
    assert "no runs yet" in beatd("runs", "list").stdout
    assert beatd.json("runs", "list") == []
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x", "--timezone", "Asia/Tokyo")
    run = beatd.json("entry", "trigger", "hello")
    assert beatd.json("runs", "list") == [run]
    assert beatd.json("runs", "list", "--entry", "hello", "--state", "pending", "--since", "1h") == [run]
    assert beatd.json("runs", "list", "--state", "failed") == []
    assert beatd("runs", "list", "--state", "failed").stdout == "no such run\n"
    line = beatd("runs", "list").stdout.splitlines()[-1]
    assert "JST" in line
    assert run["id"][:8] in line
    assert beatd.json("runs", "show", run["id"][:6]) == run
    assert run["id"] in beatd("runs", "show", run["id"]).stdout

    assert beatd("runs", "revoke", run["id"][:8]).stdout == f"revoked run {run['id']}\n"
    assert beatd.json("runs", "show", run["id"])["state"] == "revoked"
    assert "has ended already" in beatd("runs", "revoke", run["id"], status=1).stderr


BAD_INPUT = [
    (["list", "--state", "gone"], "state: 'gone': one of held, pending"),
    (["list", "--since", "yesterday"], "since: 'yesterday'"),
    (["list", "--entry", "nobody"], "no entry 'nobody'"),
    (["list", "--limit", "0"], "limit: 0"),
    (["show", "zzz"], "run: 'zzz': not the id of a run"),
    (["revoke", "0000"], "no run '0000'"),
]


def test_bad_input_ends_with_status_2(beatd: Beatd) -> None:
    for arguments, said in BAD_INPUT:
        done = beatd("runs", *arguments, status=2)
        assert done.stderr.startswith(f"beatd: {said}")
        assert done.stdout == ""


def test_a_transport_that_cannot_broadcast_says_so(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--task", "proj.t")
    run = beatd.json("entry", "trigger", "hello")
    beatd.env["BEATD_BROKER_URL"] = f"sqla+sqlite:///{beatd.home}/broker.db"
    with sqlite3.connect(beatd.database) as connection:
        connection.execute("UPDATE runs SET state = 'published'")
    done = beatd("runs", "revoke", run["id"], status=1)
    assert f"run {run['id']} is published and cannot be revoked" in done.stderr
    assert "cannot broadcast" in done.stderr


def test_workers_on_another_broker_are_not_asked(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--task", "proj.t")
    run = beatd.json("entry", "trigger", "hello")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # as SQLite has it
    with sqlite3.connect(beatd.database) as connection:
        connection.execute("UPDATE runs SET state = 'published'")
        connection.execute(
            "INSERT INTO nodes (id, name, host, pid, pid_started, beatd_version, started_at, heartbeat_at,"
            " status, statistics) VALUES ('n', 'n1', 'h', 1, 1, '0', ?, ?, '', ?)",
            [now, now, json.dumps({"broker": "amqp://u:***@mq/beatd"})],
        )
    done = beatd("runs", "revoke", run["id"], status=1)
    assert "the scheduler n1 uses amqp://u:***@mq/beatd, this command beatd://" in done.stderr
    assert "--app" in done.stderr
    assert "asked" not in done.stdout
    with sqlite3.connect(beatd.database) as connection:  # one that is gone says nothing of today
        connection.execute("UPDATE nodes SET heartbeat_at = '2026-01-01T00:00:00.000000Z'")
    assert "asked the workers" in beatd("runs", "revoke", run["id"]).stdout


def test_following_prints_what_comes(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    first = beatd.json("entry", "trigger", "hello")
    process = subprocess.Popen(
        [PROGRAM, "runs", "list", "--follow", "--json"],
        cwd=beatd.home,
        env=beatd.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"] == first["id"]
        second = beatd.json("entry", "trigger", "hello")
        assert json.loads(process.stdout.readline())["id"] == second["id"]
        beatd("runs", "revoke", second["id"])
        ended = json.loads(process.stdout.readline())
        assert (ended["id"], ended["state"]) == (second["id"], "revoked")
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        end(process)
