"""The boot schedule has no fire times; what makes its runs is the daemon's start."""

from __future__ import annotations

from beatd.schedules import BootSchedule
from beatd.schedules.base import Count
from tests.schedules.model import utc


def test_nobody_knows_a_boot_beforehand() -> None:
    schedule = BootSchedule("db1")
    assert schedule.next_fire_time(utc("2026-01-01T00:00Z")) is None
    assert schedule.count(utc("1970-01-01T00:00Z"), utc("2099-01-01T00:00Z")) == Count(0, exact=True)


def test_boots_of_one_machine_are_not_those_of_another() -> None:
    assert BootSchedule("db1") == BootSchedule("db1") != BootSchedule("db2")
    assert len({BootSchedule(), BootSchedule(None), BootSchedule("db1")}) == 2
