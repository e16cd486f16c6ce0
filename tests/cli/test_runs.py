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
    assert run["id"][:8] in beatd("runs", "list").stdout.splitlines()[-1]
    assert beatd.json("runs", "show", run["id"][:6]) == run | {"options": {"shell": "x"}}
    assert run["id"] in beatd("runs", "show", run["id"]).stdout

    assert beatd("runs", "revoke", run["id"][:8]).stdout == f"revoked run {run['id']}\n"
    assert beatd.json("runs", "show", run["id"])["state"] == "revoked"
    assert "has ended already" in beatd("runs", "revoke", run["id"], status=1).stderr


def test_a_run_tells_what_ran_as_it_was_recorded(beatd: Beatd) -> None:
    task = ["--task", "proj.t", "--args", '[1, "two"]', "--kwargs", '{"a": "b"}', "--exchange", "jobs"]
    beatd("entry", "add", "hello", "--every", "5m", *task, "--routing-key", "k")
    run = beatd.json("entry", "trigger", "hello")["id"]
    beatd("entry", "set", "hello", "--task", "proj.other", "--queue", "q")
    shown = beatd("runs", "show", run).stdout
    for line in ("task         proj.t", "args         1, two", "kwargs       a=b", "exchange     jobs"):
        assert line in shown
    assert "proj.other" not in shown
    assert beatd.json("runs", "show", run)["options"] == {
        "task": "proj.t",
        "args": [1, "two"],
        "kwargs": {"a": "b"},
        "exchange": "jobs",
        "routing_key": "k",
    }


@pytest.mark.parametrize(
    ("zone", "said", "fire_time"),
    [
        ("Asia/Tokyo", "fire time (Asia/Tokyo)", "2026-01-01 09:00:00 "),
        ("UTC", "fire time (UTC)", "2026-01-01 00:00:00 "),
    ],
)
def test_a_table_has_one_zone_the_machines(beatd: Beatd, zone: str, said: str, fire_time: str) -> None:
    for name, of in (("a", "Europe/Berlin"), ("b", "America/New_York")):
        beatd("entry", "add", name, "--every", "5m", "--shell", "x", "--timezone", of)
        beatd("entry", "trigger", name)
    with sqlite3.connect(beatd.database) as connection:
        connection.execute("UPDATE runs SET fire_time = '2026-01-01T00:00:00.000000Z'")
    program = Beatd(beatd.home, {"TZ": zone})  # a process finds out its zone once
    heading, *_, first, second = program("runs", "list").stdout.splitlines()
    assert heading.startswith(said)
    assert first.startswith(fire_time)
    assert second.startswith(fire_time)


BAD_INPUT = [
    (["list", "--state", "gone"], "state: 'gone': one of held, pending"),
    (["list", "--since", "yesterday"], "since: 'yesterday'"),
    (["list", "--entry", "nobody"], "no entry 'nobody'"),
    (["list", "--limit", "0"], "limit: 0"),
    (["list", "--limit", "99999999999999999999"], "limit: 99999999999999999999: a whole number from 1 to"),
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


def test_following_has_columns(beatd: Beatd) -> None:
    beatd.env["TZ"] = "Europe/Berlin"
    for name in ("short", "an-entry-of-a-longer-name"):
        beatd("entry", "add", name, "--every", "5m", "--shell", "x")
        beatd("runs", "revoke", beatd.json("entry", "trigger", name)["id"])
    process = beatd.start("runs", "list", "--follow")
    try:
        assert process.stdout is not None
        heading, zone, *lines = [process.stdout.readline() for _ in range(4)]
        assert zone == "(Europe/Berlin)\n"
        for line in lines:
            assert line[heading.index("entry") :].startswith(("short ", "an-entry-of-a-longer-name "))
            assert " revoked  " in line
    finally:
        end(process)


def test_following_prints_what_comes(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--every", "5m", "--shell", "x")
    first = beatd.json("entry", "trigger", "hello")
    process = subprocess.Popen(
        # what is started in the background of a script would ignore SIGINT
        ["env", "--default-signal=INT", PROGRAM, "runs", "list", "--follow", "--json"],
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
        assert process.wait(60) == 130
    finally:
        end(process)
