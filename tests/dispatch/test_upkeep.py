"""Housekeeping, a step at a time, on each real database."""

from __future__ import annotations

import shutil
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from beatd.config import Settings
from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.planning.timing import forget
from beatd.store.engine import Database
from tests.dispatch.turned import NODE, Turned, settle


class Daemon:
    """What upkeep asks of its daemon, told by the test."""

    def __init__(self, turned: Turned, **settings: Any) -> None:
        self.turned = turned
        self.settings = Settings(**settings)
        self.zones = "2026a UTC"
        self.woken = 0
        self.dispatcher = turned.dispatcher(zone_data=self.zones)

    def status(self) -> str:
        return "published 0"

    def statistics(self) -> Mapping[str, Any]:
        return {"due": 0}

    def zone_data(self) -> str:
        return self.zones

    def use_zone_data(self) -> None:
        ZoneInfo.clear_cache()
        forget()
        self.dispatcher = self.turned.dispatcher(zone_data=self.zones)

    def publish_again_after(self) -> timedelta | None:
        return None

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Path]:
    """Zone data of our own, in which Etc/Moving can be moved."""
    shutil.copytree("/usr/share/zoneinfo/Etc", tmp_path / "Etc")
    zoneinfo.reset_tzpath([str(tmp_path)])
    ZoneInfo.clear_cache()
    yield tmp_path
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()
    forget()


def test_new_zone_data_is_used_at_once(turned: Turned, zones: Path) -> None:
    shutil.copy(zones / "Etc/GMT-1", zones / "Etc/Moving")
    daemon = Daemon(turned)
    upkeep = Upkeep(turned.database, NODE, this_process(), daemon)
    turned.add("noon", cron="0 12 * * *", timezone="Etc/Moving")
    settle(daemon.dispatcher)
    assert next_fire(turned).hour == 11
    shutil.copy(zones / "Etc/GMT-5", zones / "Etc/Moving")
    daemon.zones = "2026b UTC"
    upkeep.check_zones()
    settle(daemon.dispatcher)
    assert next_fire(turned).hour == 7
    assert daemon.woken == 1
    upkeep.check_zones()
    assert daemon.woken == 1


def next_fire(turned: Turned) -> datetime:
    shown = turned.one("SELECT next_fire_at FROM timers").next_fire_at
    instant = datetime.fromisoformat(shown) if isinstance(shown, str) else shown
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def test_a_node_joins_beats_and_leaves(turned: Turned) -> None:
    upkeep = Upkeep(turned.database, NODE, this_process(), Daemon(turned))
    upkeep.join()
    upkeep.join()  # as after a database that went away in between
    assert turned.one("SELECT status, statistics FROM nodes") == ("published 0", None)
    upkeep.beat()
    assert turned.one("SELECT statistics FROM nodes").statistics == '{"due": 0}'
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
