"""The policies that act on runs, with real workers on real brokers."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from beatd.store import runs as outbox
from beatd.store.models import runs
from tests.processes import Installation
from tests.waiting import eventually

SECOND = timedelta(seconds=1)

BROKERS = ["PostgreSQL + RabbitMQ", "MariaDB + Redis", "SQLite + embedded"]


@pytest.fixture(params=BROKERS)
def installation(request: pytest.FixtureRequest) -> Installation:
    fixtures = {
        "PostgreSQL + RabbitMQ": ("postgres_url", "rabbit_url"),
        "MariaDB + Redis": ("mariadb_url", "redis_url"),
        "SQLite + embedded": ("sqlite_url",),
    }
    database, broker = [*map(request.getfixturevalue, fixtures[request.param]), ""][:2]
    made: Installation = request.getfixturevalue("install")(database, broker)
    made.upgrade()
    return made


#: Tells when it begins and when it is ended before its time, and which processes it consists of.
LONG = """echo "begin $$" >> {journal}
trap 'echo ended >> {journal}; exit 9' TERM
sleep 300 & echo "sleep $!" >> {journal}
wait"""


def all_runs(installation: Installation) -> list[Any]:
    with installation.database.read() as connection:
        return list(connection.execute(select(runs).order_by(runs.c.fire_time)).all())


def in_seconds(installation: Installation, seconds: float) -> str:
    return (installation.now() + seconds * SECOND).isoformat()


def test_cancel_ends_what_runs_and_then_starts_the_new_run(installation: Installation) -> None:
    installation.scheduler()
    installation.worker(concurrency=2)
    journal = installation.folder / "journal"
    start = in_seconds(installation, 2)
    command = LONG.format(journal=journal)
    installation.add("long", overlap="cancel", every="5s", start_at=start, **installation.shell(command))
    eventually(lambda: [run.state for run in all_runs(installation)][:2] == ["revoked", "started"])
    installation.sql("UPDATE entries SET enabled = :off", off=False)

    first, second = all_runs(installation)[:2]
    assert first.reason == "cancelled for a newer run"
    assert "terminated" in first.error
    assert second.published_at >= first.finished_at - SECOND, "the worker's clock, and the database's"
    assert second.published_at < second.due_time + 10 * SECOND, "at its end, not when patience was over"
    told = [line.split() for line in journal.read_text().splitlines()]
    sleeper = next(int(line[1]) for line in told if line[0] == "sleep")
    eventually(lambda: not Path(f"/proc/{sleeper}").exists())
    assert ["ended"] in told


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ", "SQLite + embedded"], indirect=True)
def test_queue_runs_one_after_the_other(installation: Installation) -> None:
    installation.scheduler()
    installation.worker(concurrency=3)
    journal = installation.folder / "journal"
    start = installation.now().replace(microsecond=0) + 2 * SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "end_at": (start + 5 * SECOND).isoformat()}
    command = f"echo begin >> {journal}; sleep 1.7; echo end >> {journal}"
    installation.add("long", overlap="queue", expires="1m", **rule, **installation.shell(command))
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'completed'"))
    installation.await_runs(6)

    lines = journal.read_text().split()
    assert lines == ["begin", "end"] * (len(lines) // 2)
    found = all_runs(installation)
    assert found[-1].state == "succeeded", "of those that were held back the newest"
    for run in found:
        assert run.state == "succeeded" or run.reason == "superseded by a newer run"
    assert installation.states()["succeeded"] == len(lines) // 2
    assert installation.rows("SELECT * FROM suppressions") == []


@pytest.mark.parametrize("installation", ["SQLite + embedded"], indirect=True)
def test_a_fixed_delay_counts_from_the_end(installation: Installation) -> None:
    scheduler = installation.scheduler()
    installation.worker()
    installation.add("paced", every="1s", fixed_delay=True, expires="1m", **installation.shell("sleep 0.5"))
    installation.await_runs(2)
    assert scheduler.stop() == 0
    before = len(all_runs(installation))
    installation.scheduler()
    installation.await_runs(before + 2)
    found = [run for run in all_runs(installation) if run.finished_at is not None]
    for earlier, later in pairwise(found):
        assert later.fire_time == earlier.finished_at + SECOND


@pytest.mark.parametrize("installation", ["MariaDB + Redis"], indirect=True)
def test_a_task_that_always_fails_is_paused(installation: Installation) -> None:
    installation.scheduler()
    installation.worker()
    installation.add("bad", every="1s", on_failure="pause", expires="1m", **installation.shell("exit 1"))
    [(note,)] = eventually(
        lambda: installation.rows("SELECT pause_note FROM entries WHERE pause_note IS NOT NULL"), 30
    )
    assert note == "paused after 3 failures in a row"
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'paused'"))
    count = len(all_runs(installation))
    installation.await_runs(count)
    assert installation.states().keys() == {"failed"}


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ", "MariaDB + Redis"], indirect=True)
def test_a_backfill_goes_out_at_its_rate(installation: Installation) -> None:
    """None before its time; those of a queue one after the other, the oldest first."""
    installation.scheduler()
    installation.worker(concurrency=3)
    rule = {"every": "1d", "expires": "never"}
    installation.add("throttled", **rule, **installation.shell())
    installation.add("queued", **rule, **installation.shell())
    [(first,), (second,)] = installation.rows("SELECT id FROM entries ORDER BY name DESC")
    with installation.database.write() as connection:
        now = installation.database.now(connection)
        made = [_of_the_past(first, n, now, now + n * SECOND / 5, "pending") for n in range(10)]
        outbox.record_backfill(connection, made)
        outbox.record_backfill(connection, [_of_the_past(second, n, now, now, "held") for n in range(5)])
    installation.await_runs(15)
    found = all_runs(installation)
    throttled = [run for run in found if run.entry_id == first]
    assert len(throttled) == 10
    assert all(run.published_at >= run.due_time for run in throttled)
    queued = [run for run in found if run.entry_id == second]
    for earlier, later in pairwise(queued):
        assert later.published_at >= earlier.started_at - SECOND / 10
        assert later.started_at >= earlier.finished_at
    notes = [note.entry for note in installation.ledger()]
    assert (notes.count("throttled"), notes.count("queued")) == (10, 5)


def _of_the_past(entry_id: int, number: int, now: datetime, due_time: datetime, state: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "entry_id": entry_id,
        "version": 1,
        "origin": "backfill:1",
        "fire_time": now - timedelta(days=100 - number),
        "due_time": due_time,
        "expires_at": None,
        "state": state,
        "recorded_at": now,
        "owner": None,
        "lease_until": due_time if state == "pending" else None,
        "attempt": 0,
        "run_once": True,
        "lost_after": 3600,
        "awaited": state == "held",
        "reruns_left": 0,
    }


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ"], indirect=True)
def test_a_boot_is_fired_once(installation: Installation) -> None:
    installation.add("mount", cron="@reboot", **installation.shell())
    installation.add("elsewhere", cron="@reboot", host="no-such-host", **installation.shell())
    installation.sql("ALTER TABLE entries DISABLE TRIGGER USER")
    installation.sql("UPDATE entries SET created_at = '2020-01-01Z'")
    installation.sql("ALTER TABLE entries ENABLE TRIGGER USER")
    installation.worker()
    scheduler = installation.scheduler()
    installation.await_runs(1)
    scheduler.kill9()
    again = installation.scheduler()
    assert again.stop() == 0
    assert [note.entry for note in installation.ledger()] == ["mount"]
    assert installation.states() == {"succeeded": 1}


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ"], indirect=True)
def test_the_zone_data_of_the_machine_is_brought_up_to_date(installation: Installation) -> None:
    zones = installation.folder / "zoneinfo"
    for version, moving in (("2026a", "GMT-1"), ("2026b", "GMT-5")):
        (zones / "Etc").mkdir(parents=True, exist_ok=True)
        (zones / "UTC").write_bytes(Path("/usr/share/zoneinfo/UTC").read_bytes())
        (zones / "Etc/Moving").write_bytes(Path(f"/usr/share/zoneinfo/Etc/{moving}").read_bytes())
        (zones / "tzdata.zi").write_text(f"# version {version}\n")
        if version == "2026a":
            installation.add("noon", cron="0 12 * * *", timezone="Etc/Moving", task="t")
            installation.add("often", every="1h", task="t")
            scheduler = installation.scheduler(PYTHONTZPATH=str(zones))
            eventually(lambda: _next_fires(installation)["noon"].hour == 11)
    scheduler.signal(signal.SIGHUP)  # else it looks by itself, every minute
    eventually(lambda: _next_fires(installation)["noon"].hour == 7)
    scheduler.tells("zones.replanned entries=2 moved=1")


def _next_fires(installation: Installation) -> dict[str, datetime]:
    return {
        row.name: row.next_fire_at for row in installation.rows("SELECT * FROM upcoming") if row.next_fire_at
    }


@pytest.mark.parametrize("installation", ["SQLite + embedded"], indirect=True)
def test_cancelling_again_and_again_holds_nothing_up(installation: Installation) -> None:
    """Each time a process of the pool is ended; what runs beside goes on."""
    installation.scheduler()
    worker = installation.worker(concurrency=2)
    installation.add("long", overlap="cancel", every="2s", expires="1m", **installation.shell("sleep 300"))
    installation.add("bystander", every="1s", expires="1m", **installation.shell("true"))

    def ended(name: str, state: str) -> int:
        return sum((run.name, run.state) == (name, state) for run in installation.runs())

    for cancelled in range(1, 7):
        eventually(lambda count=cancelled: ended("long", "revoked") >= count)
        before = ended("bystander", "succeeded")
        eventually(lambda count=before: ended("bystander", "succeeded") > count)
    assert ended("bystander", "failed") == ended("bystander", "lost") == 0
    assert worker.stop() == 0
