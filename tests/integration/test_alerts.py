"""The real daemon, worker and an HTTP server that listens to what they tell the outside."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.processes import Installation
from tests.receiver import Receiver, receiving
from tests.waiting import eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def installation(sqlite_url: str, install: Callable[..., Installation], receiver: Receiver) -> Installation:
    installation = install(
        sqlite_url,
        "",
        BEATD_ALERTS_URL=f"{receiver.url}/all",
        BEATD_ALERTS_PING_URL=f"{receiver.url}/node",
        BEATD_ALERTS_PING_EVERY="1s",
        BEATD_ALERTS_LATE_AFTER="1s",
    )
    installation.upgrade()
    return installation


def test_what_the_outside_is_told(installation: Installation, receiver: Receiver) -> None:
    """A success, a failure, late starts, a lost run; each told once, with two nodes at work."""
    hooks = {"ping_url": f"{receiver.url}/ok", "alert_url": f"{receiver.url}/own"}
    first, _ = installation.scheduler(), installation.scheduler(BEATD_SCHEDULER_NODE="second")
    soon = {"at": (installation.now() + timedelta(seconds=1)).isoformat()}
    installation.add_all(
        [
            {"name": "good", **soon, **hooks, **installation.shell("sleep 2")},
            {"name": "bad", **soon, **hooks, **installation.shell("sleep 2; echo no such backup; exit 3")},
            {"name": "silent", **soon, **installation.shell("sleep 2")},
            {"name": "lost", "lost_after": "2s", **soon, **hooks, **installation.shell("sleep 60")},
        ]
    )
    eventually(lambda: installation.states()["published"] == 4)
    [published] = {run.due_time for run in installation.runs() if run.name == "good"}
    eventually(lambda: installation.now() > published + timedelta(seconds=2))
    installation.worker(concurrency=4)

    def told() -> list[tuple[str, str]]:
        return sorted(receiver.events("/all"))

    late = [("run.late", name) for name in ("bad", "good", "lost", "silent")]
    everything = [("run.failed", "bad"), *late, ("run.missing", "lost")]
    eventually(lambda: len(told()) >= len(everything) and receiver.to("/ok"))
    assert first.stop() == 0  # all that it has to tell is told by then
    assert told() == everything
    assert sorted(receiver.events("/own")) == [event for event in everything if event[1] != "silent"]
    assert [request.method for request in receiver.to("/ok")] == ["GET"]
    bodies = {(r.json["event"], r.json["entry"]): r.json for r in receiver.to("/all")}
    bad = bodies["run.failed", "bad"]
    assert bad["run_id"] == next(str(run.id) for run in installation.runs() if run.name == "bad")
    assert "nothing was heard of it" in bodies["run.missing", "lost"]["text"]


def test_a_node_that_does_its_work_pings_and_one_that_does_not_is_silent(
    installation: Installation, receiver: Receiver
) -> None:
    node = installation.scheduler(BEATD_ALERTS_PING_TASK="proj.alive")
    eventually(lambda: len(receiver.to("/node")) >= 2)
    sent = json.loads(installation.rows("SELECT statistics FROM nodes")[0].statistics)["pulse"]
    assert sent["trouble"] is None
    eventually(lambda: installation.broker().count("beatd") >= 1)

    # one entry that is due and that nobody takes: by a planner that no node has
    installation.add("stuck", every="1h", **installation.shell("true"))
    eventually(lambda: installation.rows("SELECT 1 FROM timers"))
    installation.sql("UPDATE timers SET planner = 99, next_due_at = '2026-01-01T00:00:00.000000Z'")
    node.tells("pulse.withheld")
    count = len(receiver.to("/node"))
    installation.sql("DELETE FROM entries")
    node.tells("pulse.resumed")
    eventually(lambda: len(receiver.to("/node")) > count)

    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert "alert.failed" not in node.text()
