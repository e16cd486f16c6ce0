"""A message delivered twice runs once, none starts after its expiry, nothing runs unclaimed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from beatd.config import DatabaseSettings, Settings
from beatd.store.engine import Database
from beatd.store.models import claims, metadata
from beatd.worker import process, run_once
from tests.services.server import free_port
from tests.store.recording import insert_run, record
from tests.waiting import eventually
from tests.worker import project
from tests.worker.conftest import Bench, Worker, both_brokers

Start = Callable[..., Worker]


def claim_of(bench: Bench, run_id: str) -> Any:
    with bench.database.read() as connection:
        return connection.execute(select(claims).where(claims.c.run_id == run_id)).one_or_none()


@both_brokers
def test_delivered_twice_it_runs_once(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    worker = start_worker(concurrency=2)
    run_id = record(bench.database, expires_in=60)
    for _ in range(3):
        bench.publish("note_once", str(tmp_path / "ran"), "once", 0.5, run_id=run_id)
    bench.wait_for(run_id, "succeeded")
    eventually(lambda: worker.text().count("run.dropped") == 2)
    assert (tmp_path / "ran").read_text() == "once\n"
    assert bench.states(run_id) == ["started", "succeeded"]
    eventually(lambda: claim_of(bench, run_id).ended_at is not None)


def test_none_starts_after_its_expiry_by_the_database(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    run_id = record(bench.database, expires_in=-0.1)
    bench.publish("note_once", str(tmp_path / "ran"), run_id=run_id)
    bench.wait_for(run_id, "expired")
    assert bench.states(run_id) == ["expired"]
    assert not (tmp_path / "ran").exists()
    assert claim_of(bench, run_id) is None


def test_the_lease_is_renewed_while_it_runs(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker(BEATD_WORKER_CLAIM_LEASE="2s")
    run_id = record(bench.database)
    bench.publish("note_once", str(tmp_path / "ran"), "late", 4, run_id=run_id)
    bench.wait_for(run_id, "started")
    first = claim_of(bench, run_id).lease_until
    bench.wait_for(run_id, "succeeded")
    assert claim_of(bench, run_id).lease_until > first + timedelta(seconds=1.5)
    ended = eventually(lambda: claim_of(bench, run_id).ended_at)
    assert abs(ended - datetime.now(UTC)) < timedelta(seconds=10)


@both_brokers
def test_a_run_whose_process_was_killed_is_not_run_again(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    worker = start_worker(BEATD_WORKER_CLAIM_LEASE="1s")
    run_id = record(bench.database)
    bench.publish("note_once", str(tmp_path / "ran"), "late", 60, run_id=run_id)
    bench.wait_for(run_id, "started")
    pid = int(claim_of(bench, run_id).worker.split()[1])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: "run.dropped" in worker.text(), message="the redelivery")
    claim = claim_of(bench, run_id)
    assert claim.ended_at is None
    eventually(lambda: datetime.now(UTC) > claim_of(bench, run_id).lease_until)
    assert claim_of(bench, run_id) == claim
    assert bench.states(run_id) == ["started"]
    assert not (tmp_path / "ran").exists()


def test_a_retry_claims_again_and_runs_after_the_expiry(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    run_id = record(bench.database, expires_in=1.5)
    bench.publish("flaky_once", str(tmp_path / "attempts"), 2, run_id=run_id, expires=1.5)
    assert bench.wait_for(run_id, "succeeded").retries == 2
    assert bench.states(run_id) == ["started", "retrying", "started", "retrying", "started", "succeeded"]
    claim = eventually(lambda: (c := claim_of(bench, run_id)).ended_at and c)
    assert claim.retries == 2


def test_a_run_that_the_database_does_not_know(bench: Bench, start_worker: Start, tmp_path: Path) -> None:
    start_worker()
    run_id = bench.publish("note_once", str(tmp_path / "ran"))
    error = bench.wait_for(run_id, "failed").error
    assert error == (
        f"the database that this worker uses ({bench.database.name}) has no such run: is it the daemon's?"
    )
    assert not (tmp_path / "ran").exists()


def test_a_message_that_beatd_did_not_publish_just_runs(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    start_worker()
    run_id = bench.publish("note_once", str(tmp_path / "ran"), beatd=False)
    eventually((tmp_path / "ran").exists)
    assert claim_of(bench, run_id) is None
    assert bench.states(run_id) == []


def test_called_directly_it_is_a_function(tmp_path: Path) -> None:
    assert project.note_once(str(tmp_path / "ran"), "here") == "here"
    assert (tmp_path / "ran").read_text() == "here\n"


def test_until_the_database_can_be_used_the_message_goes_back(
    bench: Bench, start_worker: Start, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/later.sqlite"
    worker = start_worker(BEATD_DATABASE_URL=url, patience=0.1)
    run_id = bench.publish("note_once", str(tmp_path / "ran"))
    eventually(lambda: worker.text().count("claim.failed") >= 2, message="two deliveries")
    assert bench.states(run_id) == []
    database = Database.open(url)
    with database.write() as connection:  # the run is there as soon as its table is
        metadata.create_all(connection)
        insert_run(connection, run_id, database.now(connection))
    database.close()
    bench.wait_for(run_id, "succeeded")
    assert (tmp_path / "ran").read_text() == "ran\n"


# Without a database -------------------------------------------------------------------------------


@pytest.fixture
def dead_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    monkeypatch.setattr(process, "_settings", Settings(database=DatabaseSettings(url=url)))
    monkeypatch.setattr(process, "_database", None)
    monkeypatch.setattr(run_once, "PATIENCE", 1.0)
    yield
    process.database().close()


@pytest.mark.usefixtures("dead_database")
def test_while_the_database_is_away_the_message_goes_back(tmp_path: Path) -> None:
    request = {"id": "6a1c8c3e-35a5-4f6e-9e4c-0a2d37f7a111", "beatd_entry": "nightly"}
    project.note_once.push_request(**request, is_eager=False)
    try:
        with pytest.raises(run_once.Deferred) as raised:
            project.note_once.before_start(request["id"], [], {})
    finally:
        project.note_once.pop_request()
    assert raised.value.requeue
    assert "127.0.0.1" in str(raised.value.reason)
