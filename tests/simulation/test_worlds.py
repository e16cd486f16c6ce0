"""Worlds made by chance: whatever happens in them, every fire is accounted for once, policies are honoured.

The short form is part of all tests; `make simulation` plays a whole year, a day of ten thousand entries, and
small worlds by the thousand.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatd.testing import check
from tests.simulation.scripts import Script, day, small, year


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--simulation"))


def explore(random: Random) -> None:
    script = small(random)
    try:
        check(script.simulation())
    except Exception as error:
        error.add_note(repr(script))
        raise


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_small_worlds(random: Random) -> None:
    explore(random)


@pytest.mark.parametrize("thousand", range(5))
def test_small_worlds_by_the_thousand(thousand: int, long: bool) -> None:
    for seed in range(1000 * thousand, 1000 * thousand + (1000 if long else 20)):
        explore(Random(seed))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_year_of_mixed_entries(seed: int, long: bool) -> None:
    if long:
        everything_happens(year(Random(seed), entries=200))
    else:
        check(year(Random(seed), entries=40, days=45).simulation())


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_of_very_many_entries(seed: int, long: bool) -> None:
    if long:
        everything_happens(day(Random(seed), entries=10_000))
    else:
        check(day(Random(seed), entries=300).simulation())


def everything_happens(script: Script) -> None:
    """All is well in the world of a script, in which there is something of every kind."""
    world = script.simulation()
    check(world)
    runs, records = world.runs(), world.suppressions()
    assert len(runs) + sum(record.count for record in records) > 100_000
    assert {run.origin.partition(":")[0] for run in runs} == {"schedule", "trigger", "boot"}
    assert {run.state for run in runs} >= {"succeeded", "failed", "expired", "lost", "revoked"}
    assert {record.reason for record in records} == {
        *{"misfire", "expired", "overlap"},
        *{"paused", "all paused", "calendar"},
    }
    assert any(run.version > 1 for run in runs)
    clock = world.world.clock
    assert all((world.world.outages, world.world.boots, clock.set_back, clock.set_ahead))


def test_the_same_script_makes_the_same_history() -> None:
    def history() -> list[tuple[object, ...]]:
        runs = year(Random(3), entries=20, days=10).simulation().runs()
        return [(run.id, run.state, run.started_at, run.finished_at) for run in runs]

    assert history() == history()
