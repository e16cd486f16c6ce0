"""Housekeeping, a step at a time, on each real database."""

from __future__ import annotations

import json
import os
import shutil
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from beatd.config import Settings
from beatd.dispatch.company import Manner
from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.dispatch.zonedata import zone_data
from beatd.planning.timing import Surroundings, forget
from beatd.store.engine import Database
from tests.dispatch.turned import NODE, OTHER, Turned, as_instant, settle


class Daemon:
    """What upkeep asks of its daemon, told by the test."""

    def __init__(self, turned: Turned, **settings: Any) -> None:
        self.turned = turned
        self.settings = Settings(**settings)
        self.woken = 0
        self.shadow = False
        self.broker = "amqp://u:***@mq/v"
        self.dispatcher = turned.dispatcher(zone_data=self.zone_data())

    def status(self) -> str:
        return "published 0"

    def statistics(self) -> Mapping[str, Any]:
        return {"due": 0, "broker": self.manner.broker}

    @property
    def manner(self) -> Manner:
        broker = None if self.shadow else self.broker
        return Manner(self.shadow, broker, self.settings.scheduler.node_timeout)

    def zone_data(self) -> str:
        return zone_data(self.settings)

    def use_zone_data(self) -> None:
        ZoneInfo.clear_cache()
        forget()
        self.dispatcher = self.turned.dispatcher(zone_data=self.zone_data())

    def publish_again_after(self) -> timedelta | None:
        return None

    def wake(self) -> None:
        self.woken += 1

    def surroundings(self) -> Surroundings:
        return Surroundings()


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Path]:
    """Zone data of our own, version 2026a, in which Etc/Moving is GMT-1."""
    shutil.copytree("/usr/share/zoneinfo/Etc", tmp_path / "Etc")
    update(tmp_path, "2026a", "Etc/GMT-1")
    zoneinfo.reset_tzpath([str(tmp_path)])
    ZoneInfo.clear_cache()
    yield tmp_path
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()
    forget()


def update(zones: Path, version: str, moving: str) -> None:
    """As a package manager does it: other files take the places of the old."""
    for name, text in (("Etc/Moving", (zones / moving).read_bytes()), ("tzdata.zi", b"# version %b\n")):
        new = zones / f"{name}.new"
        new.write_bytes(text.replace(b"%b", version.encode()))
        new.rename(zones / name)


def test_new_zone_data_is_used_and_what_it_moves_is_told(
    turned: Turned, zones: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = Daemon(turned)
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("noon", cron="0 12 * * *", timezone="Etc/Moving")
    turned.add("noon elsewhere", cron="0 12 * * *", timezone="Etc/GMT+3")
    turned.add("often", every="10m")
    settle(daemon.dispatcher)
    upkeep.check_zones()
    assert (next_fire(turned).hour, daemon.woken) == (11, 0)

    update(zones, "2026b", "Etc/GMT-5")
    with caplog.at_level("INFO", "beatd"):
        upkeep.check_zones()
        settle(daemon.dispatcher)
        daemon.dispatcher.run_once()
    assert (next_fire(turned).hour, daemon.woken) == (7, 1)
    assert f"zones.changed zone_data={json.dumps(daemon.zone_data())} entries=3" in caplog.messages
    assert "zones.replanned entries=3 moved=1" in caplog.messages
    assert daemon.zone_data().startswith("2026b UTC holidays ")
    caplog.clear()
    for _ in range(3):
        upkeep.check_zones()
        settle(daemon.dispatcher)
    assert caplog.messages == []


def test_a_pass_that_was_under_way_with_the_old_data_is_made_up_for(turned: Turned, zones: Path) -> None:
    daemon = Daemon(turned)
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("noon", cron="0 12 * * *", timezone="Etc/Moving")
    old = daemon.dispatcher
    settle(old)
    update(zones, "2026b", "Etc/GMT-5")
    upkeep.check_zones()
    settle(old)  # it took the change before it was replaced
    upkeep.check_zones()
    settle(daemon.dispatcher)
    assert next_fire(turned).hour == 7


def test_nodes_with_different_zone_data_do_not_plan_in_turns(turned: Turned, zones: Path) -> None:
    """While the machines of a cluster are brought up to date, one after the other."""
    daemon, old = Daemon(turned), turned.dispatcher(OTHER, zone_data="2025z UTC")
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("noon", every="10m", timezone="Etc/Moving")
    settle(daemon.dispatcher)
    for _ in range(2):
        upkeep.check_zones()
    for _ in range(3):
        turned.turn(minutes=10)
        settle(old)
        upkeep.check_zones()
        assert turned.one("SELECT zone_data FROM timers").zone_data == "2025z UTC"
    assert daemon.woken == 0


def test_zone_data_without_a_version_is_told_by_its_date(zones: Path) -> None:
    (zones / "tzdata.zi").unlink()
    shutil.copy(zones / "Etc/UTC", zones / "UTC")
    before = zone_data(Settings())
    os.utime(zones, (1e9, 1e9))
    after = zone_data(Settings())
    assert before != after
    assert "unknown" in after
    assert len(after) <= 80


def test_what_else_plans_depend_on() -> None:
    own = {"schedules": {"custom": {"office": "proj:office"}}}
    other = {"schedules": {"custom": {"office": "proj:other"}}}
    told = [zone_data(Settings(**values)) for values in ({}, {"timezone": "Asia/Tokyo"}, own, other)]
    assert len(set(told)) == 4
    longest = "America/Argentina/ComodRivadavia"
    assert len(zone_data(Settings(timezone=longest, **own))) <= 80


def next_fire(turned: Turned) -> datetime:
    query = "SELECT t.next_fire_at FROM timers t JOIN entries e ON e.id = t.entry_id WHERE e.name = 'noon'"
    return as_instant(turned.one(query).next_fire_at)


def test_a_node_joins_beats_and_leaves(turned: Turned) -> None:
    upkeep = Upkeep(turned.database, NODE, this_process(), Daemon(turned))
    upkeep.join()
    upkeep.join()  # as after a database that went away in between
    told = json.dumps({"due": 0, "broker": "amqp://u:***@mq/v"})
    assert turned.one("SELECT status, statistics FROM nodes") == ("published 0", told)
    turned.sql("UPDATE nodes SET statistics = NULL")
    upkeep.beat()
    beaten = json.loads(turned.one("SELECT statistics FROM nodes").statistics)
    assert abs(beaten.pop("clock_ahead")) < 60
    assert beaten == json.loads(told)
    upkeep.leave()
    assert turned.rows("SELECT id FROM nodes") == []


def test_a_node_that_was_taken_for_dead_comes_back(turned: Turned) -> None:
    upkeep = Upkeep(turned.database, NODE, this_process(), Daemon(turned))
    upkeep.join()
    turned.sql("DELETE FROM nodes")
    upkeep.beat()
    assert len(turned.rows("SELECT id FROM nodes")) == 1


def test_a_node_that_stops_does_not_come_back(turned: Turned) -> None:
    upkeep = Upkeep(turned.database, NODE, this_process(), Daemon(turned))
    upkeep.join()
    upkeep.stop()
    upkeep.leave()
    upkeep.beat()
    assert turned.rows("SELECT id FROM nodes") == []


def test_history_is_cut_by_age_and_by_number(turned: Turned) -> None:
    daemon = Daemon(turned, history={"keep_days": 30, "keep_runs": 3})
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("poll", every="1m", expires="never", misfire="all")
    settle(daemon.dispatcher)
    turned.turn(minutes=5, seconds=1)
    settle(daemon.dispatcher)
    end = turned.now().astimezone(UTC).replace(tzinfo=None)
    shown = {"sqlite": f"{end:%Y-%m-%dT%H:%M:%S.%fZ}"}.get(turned.database.dialect.name, f"{end:%Y-%m-%d %T}")
    turned.sql("UPDATE runs SET state = 'succeeded', finished_at = :end", end=shown)
    upkeep.cut_history()
    assert turned.one("SELECT count(*) AS n FROM runs").n == 5
    upkeep.cut_long_histories()
    assert turned.one("SELECT count(*) AS n FROM runs").n == 3
    turned.turn(days=31)
    upkeep.cut_history()
    assert turned.one("SELECT count(*) AS n FROM runs").n == 0


def test_runs_that_nobody_reports_on_are_cut_too(turned: Turned) -> None:
    daemon = Daemon(turned, celery={"reports": False})
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("poll", every="1m", expires="never", misfire="skip")
    settle(daemon.dispatcher)
    turned.turn(minutes=1, seconds=1)
    settle(daemon.dispatcher)
    turned.sql("UPDATE runs SET state = 'published', published_at = recorded_at")
    upkeep.cut_history()
    assert turned.one("SELECT count(*) AS n FROM runs").n == 1
    turned.turn(days=31)
    upkeep.cut_history()
    assert turned.one("SELECT count(*) AS n FROM runs").n == 0
