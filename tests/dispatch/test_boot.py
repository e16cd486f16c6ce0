"""Boot entries: one run for each boot of the machine, none for a restart of the daemon."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from beatd import clock
from beatd.dispatch.boot import Boot, fire, this_boot
from beatd.planning.timing import Surroundings
from beatd.store import pauses
from beatd.store.engine import Database
from tests.dispatch.turned import Turned, fire_times, settle

BOOT = Boot("here", "0d6c1a9e-9a8e-4d4f-8f6a-1b0a6f0c2d11", timedelta(minutes=2))
NEXT = replace(BOOT, id="7a0e4c53-2e8b-4a54-93f4-6a1b8f1f9f22")
ELSEWHERE = replace(BOOT, host="elsewhere")


@pytest.fixture
def turned(database: Database) -> Turned:
    """Ten minutes after entries are made: before the boot."""
    turned = Turned(database)
    turned.turn(minutes=10)
    return turned


def boot(turned: Turned, boot: Boot = BOOT) -> int:
    return fire(turned.database, turned.installation, Surroundings(), boot)


def names(turned: Turned) -> list[str]:
    return sorted(row.name for row in turned.rows("SELECT name FROM recent_runs"))


def test_once_for_each_boot_and_host(turned: Turned) -> None:
    turned.add("everywhere", cron="@reboot")
    turned.add("only here", cron="@reboot", host="here")
    turned.add("daily", cron="@daily")
    settle(turned.dispatcher())
    assert boot(turned) == 2
    assert boot(turned) == 0, "the daemon alone was started again"
    assert boot(turned, ELSEWHERE) == 1
    assert boot(turned, NEXT) == 2
    assert names(turned) == ["everywhere"] * 3 + ["only here"] * 2
    origins = {row.origin for row in turned.rows("SELECT origin FROM runs")}
    assert origins == {f"boot:{one.host}:{one.id}" for one in (BOOT, NEXT, ELSEWHERE)}


def test_the_run_goes_out_and_the_entry_waits_for_the_next_boot(turned: Turned) -> None:
    entry_id = turned.add("mount", cron="@reboot", on_lost="rerun", on_failure="pause")
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    timer = turned.one("SELECT state, next_due_at FROM timers")
    assert (timer.state, timer.next_due_at) == ("active", None)
    boot(turned)
    taken = dispatcher.take_over()
    assert len(fire_times(list(taken.batches))) == 1
    run = turned.one("SELECT entry_id, state, awaited, reruns_left, attempt FROM runs")
    assert tuple(run) == (entry_id, "pending", True, 3, 1)
    assert turned.one("SELECT last_fire_at FROM timers").last_fire_at is not None
    assert settle(dispatcher) == []


#: Columns of an entry, and what it leaves: a run, or a record with a reason.
PAUSED: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"enabled": False}, "paused"),
    ({"paused_until": "2999-01-01T00:00:00Z"}, "paused"),
    ({"paused_until": "2001-01-01T00:00:00Z"}, None),
]


@pytest.mark.parametrize(("columns", "reason"), PAUSED)
def test_a_boot_while_paused_is_counted(turned: Turned, columns: dict[str, Any], reason: str | None) -> None:
    turned.add("mount", cron="@reboot", **columns)
    assert boot(turned) == (1 if reason is None else 0)
    records = [(row.reason, row.count) for row in turned.rows("SELECT reason, count FROM suppressions")]
    assert records == ([] if reason is None else [(reason, 1)])


def test_a_boot_while_everything_is_paused_is_counted(turned: Turned) -> None:
    turned.add("mount", cron="@reboot")
    with turned.database.write() as connection:
        pauses.pause(connection, turned.database.now(connection), None, "anna")
    assert boot(turned) == 0
    assert turned.one("SELECT reason FROM suppressions").reason == "all paused"


def test_what_is_younger_than_the_boot_or_cannot_be_read_is_left_alone(turned: Turned) -> None:
    turned.add("young", cron="@reboot")
    turned.add("broken", cron="@reboot", task="beatd.shell")
    assert boot(turned, replace(BOOT, age=timedelta(minutes=30))) == 0
    assert boot(turned, NEXT) == 1
    assert names(turned) == ["young"]


def test_a_long_host_name_fits(turned: Turned) -> None:
    turned.add("mount", cron="@reboot")
    assert boot(turned, replace(BOOT, host="h" * 64)) == 1
    assert boot(turned, replace(BOOT, host="h" * 63)) == 1


def test_of_daemons_that_start_at_once_one_fires(turned: Turned) -> None:
    turned.add("mount", cron="@reboot")
    barrier, made = threading.Barrier(4), []

    def start() -> None:
        barrier.wait(60)
        made.append(boot(turned))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(made) == [0, 0, 0, 1]
    assert names(turned) == ["mount"]


def test_this_machine(turned: Turned) -> None:
    one = this_boot()
    assert one.id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(one.age.total_seconds() - uptime) < 60
    assert one.age.total_seconds() <= clock.monotonic()
