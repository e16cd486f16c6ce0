"""What a real worker reports of each fate that a run can have."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from beatd.reports import ENTRY_HEADER, REPORTS_HEADER
from tests.store.recording import record
from tests.waiting import eventually
from tests.worker.conftest import REPORTS, Bench, Worker, both_brokers

Start = Callable[..., Worker]

# task, arguments, the states reported in order, what the last one says
FATES = [
    ("add", [2, 3], ["started", "succeeded"], "5"),
    ("note", ["/dev/null", "done"], ["started", "succeeded"], "done"),
    ("fail", ["boom"], ["started", "failed"], "ValueError: boom"),
    ("ignore", [], ["started", "succeeded"], "ignored: not my business"),
    ("reject", [], ["started", "failed"], "cannot be done"),
    ("no.such.task", [], ["failed"], "knows no task 'no.such.task'"),
]


@pytest.mark.parametrize(
    ("bench", "settings"),
    [
        ("rabbit", {"how": "beatd", "pool": "prefork"}),
        ("rabbit", {"how": "celery", "pool": "prefork"}),
        ("rabbit", {"how": "beatd", "pool": "threads"}),
        ("redis", {"how": "beatd", "pool": "prefork"}),
        ("embedded", {"how": "beatd", "pool": "prefork"}),
        ("embedded", {"how": "celery", "pool": "solo"}),
        ("sql", {"how": "beatd", "pool": "prefork"}),
    ],
    indirect=["bench"],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else value,
)
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_each_fate(bench: Bench, start_worker: Start, settings: dict[str, str]) -> None:
    start_worker(**settings)
    by_hand = bench.publish("add", 1, 1, beatd=False)
    runs = [(bench.publish(task, *args), states, text) for task, args, states, text in FATES]
    for run_id, states, text in runs:
        last = bench.wait_for(run_id, states[-1])
        assert list(dict.fromkeys(bench.states(run_id))) == states
        assert text in str(last.result or last.error)
        assert (last.retries, last.worker.partition("@")[0]) == (0, "celery")
    assert bench.states(by_hand) == []


def test_a_failure_shows_its_traceback(bench: Bench, start_worker: Start) -> None:
    start_worker()
    error = bench.wait_for(bench.publish("fail", "boom"), "failed").error
    assert error is not None
    assert error.startswith("ValueError: boom\n\nTraceback (most recent call last):")
    assert "raise ValueError(text)" in error


@both_brokers
def test_a_retry_keeps_reporting_and_loses_its_expiry(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    run_id = bench.publish("flaky", str(tmp_path / "attempts"), 2, expires=1.5)
    assert bench.wait_for(run_id, "succeeded").retries == 2
    seen = [(report.retries, report.state) for report in bench.of(run_id)]
    assert seen == [
        (0, "started"),
        (0, "retrying"),
        (1, "started"),
        (1, "retrying"),
        (2, "started"),
        (2, "succeeded"),
    ]
    assert "ValueError: attempt 0" in str(bench.of(run_id)[1].error)
    carried = [json.loads(line) for line in (tmp_path / "attempts").read_text().splitlines()]
    assert carried == [[0, None, "nightly"], [1, None, "nightly"], [2, None, "nightly"]]


@both_brokers
def test_what_has_expired_is_not_run(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker()
    past = datetime.now(UTC) - timedelta(seconds=1)
    run_id = bench.publish("note", str(tmp_path / "ran"), headers=expiring(past))
    bench.wait_for(run_id, "expired")
    assert bench.states(run_id) == ["expired"]
    assert not (tmp_path / "ran").exists()


def test_what_expires_while_it_waits_for_a_process_is_not_run(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    first = bench.publish("wait", str(tmp_path / "go on"))
    bench.wait_for(first, "started")
    expires = datetime.now(UTC) + timedelta(seconds=1)
    headers = {
        "beatd_reports": "beatd.reports.test",
        "beatd_entry": "nightly",
        "expires": expires.isoformat(),
    }
    second = bench.publish("note", str(tmp_path / "ran"), headers=headers)
    eventually(lambda: datetime.now(UTC) > expires)
    (tmp_path / "go on").touch()
    bench.wait_for(second, "expired")
    assert bench.states(second) == ["expired"]
    assert not (tmp_path / "ran").exists()


@both_brokers
def test_a_process_that_is_killed(bench: Bench, start_worker: Start) -> None:
    start_worker()
    error = bench.wait_for(bench.publish("die"), "failed").error
    assert error is not None
    assert error.startswith("WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL)")
    bench.wait_for(bench.publish("add", 1, 1), "succeeded")


@both_brokers
def test_the_time_limits(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker(concurrency=2)
    hard = bench.publish("wait", str(tmp_path / "never"), time_limit=1)
    soft = bench.publish("wait", str(tmp_path / "never"), soft_time_limit=1)
    assert str(bench.wait_for(hard, "failed").error).startswith("TimeLimitExceeded: ")
    assert str(bench.wait_for(soft, "failed").error).startswith("SoftTimeLimitExceeded: ")


def test_revoking(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker()
    running = bench.publish("wait", str(tmp_path / "never"))
    waiting = bench.publish("note", str(tmp_path / "ran"))
    revoke_both(bench, running, waiting)
    assert not (tmp_path / "ran").exists()


@both_brokers
def test_revoking_run_once_tasks(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker()
    running = bench.publish("note_once", "", "", 1000, run_id=record(bench.database))
    waiting = bench.publish("note_once", str(tmp_path / "ran"), run_id=record(bench.database))
    revoke_both(bench, running, waiting)
    assert not (tmp_path / "ran").exists()


def revoke_both(bench: Bench, running: str, waiting: str) -> None:
    bench.wait_for(running, "started")
    bench.app.control.revoke(waiting)
    bench.app.control.revoke(running, terminate=True, signal="SIGTERM")
    assert "terminated by signal" in str(bench.wait_for(running, "revoked").error)
    assert bench.wait_for(waiting, "revoked").error == "revoked before it started"
    assert bench.states(waiting) == ["revoked"]


def test_a_worker_that_is_stopped_finishes_what_it_has_begun(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    worker = start_worker()
    run_id = bench.publish("wait", str(tmp_path / "go on"))
    bench.wait_for(run_id, "started")
    worker.process.terminate()
    eventually(lambda: "worker.stopping" in worker.text())
    (tmp_path / "go on").touch()
    assert worker.process.wait(60) == 0
    assert bench.wait_for(run_id, "succeeded").result == "found"


def expiring(instant: datetime) -> dict[str, str]:
    """Headers of a message that only the worker drops: without the broker's own time limit."""
    return {REPORTS_HEADER: REPORTS, ENTRY_HEADER: "nightly", "expires": instant.isoformat()}
