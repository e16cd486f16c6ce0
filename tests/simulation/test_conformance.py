"""The same stories through a simulated world and through the real dispatcher: the same runs and records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from beatd.testing import Simulation, check
from tests.simulation.installation import Installation, record_line, run_line, shown
from tests.simulation.scripts import CUSTOM, small

START = "2026-03-10T00:00Z"
HOURLY = {"cron": "0 * * * *", "task": "proj.task"}


def at(text: str) -> str:
    return f"2026-03-10T{text}Z"


def an_outage(world: Any) -> None:
    for misfire in ("skip", "latest", "all"):
        world.add(misfire, **HOURLY, misfire=misfire, expires="never", misfire_limit=2)
    world.add("grace", **HOURLY, misfire="all", misfire_grace="90m", expires="never")
    world.add("expired", **HOURLY, misfire="all", expires="2h")
    world.outage(at("01:30"), at("05:30"))
    world.run_until(at("06:30"))


def edits_in_an_outage(world: Any) -> None:
    world.add("e", **HOURLY, misfire="all", expires="never")
    world.outage(at("01:30"), at("05:45"))
    world.edit(at("02:30"), "e", cron="30 * * * *")
    world.edit(at("04:00"), "e", misfire="latest")
    world.edit(at("04:10"), "e", overlap="skip")
    world.run_until(at("07:00"))


def disabled_for_a_while(world: Any) -> None:
    world.add("e", **HOURLY)
    world.add("until", **HOURLY)
    world.pause(at("01:30"), "e")
    world.pause(at("01:30"), "until", until=at("03:00"))
    world.resume(at("04:30"), "e")
    world.run_until(at("06:00"))


def overlaps(world: Any) -> None:
    for overlap in ("allow", "skip", "queue", "cancel"):
        for stops_in in ("0s", "4s", "20m"):
            world.add(
                f"{overlap} {stops_in}",
                **HOURLY,
                overlap=overlap,
                expires="never",
                duration="150m",
                stops_in=stops_in,
            )
    world.run_until(at("06:20"))


def what_is_held_back_expires(world: Any) -> None:
    world.add("e", **HOURLY, overlap="queue", expires="40m", duration="150m")
    world.run_until(at("06:20"))


def overlaps_after_an_outage(world: Any) -> None:
    for overlap in ("skip", "queue", "cancel"):
        world.add(
            overlap, **HOURLY, overlap=overlap, misfire="all", expires="never", duration="100m", stops_in="1s"
        )
    world.outage(at("01:30"), at("05:30"))
    world.run_until(at("08:00"))


def calendars(world: Any) -> None:
    world.calendar("some days", dates="2026-03-11 2026-03-12", weekdays="sun")
    for action in ("drop", "next", "previous"):
        world.add(action, cron="0 */8 * * *", task="proj.task", calendar="some days", calendar_action=action)
    world.run_until("2026-03-14T12:00Z")


def an_edit_of_a_calendar(world: Any) -> None:
    world.calendar("some days", dates="2026-03-11 2026-03-12")
    for misfire in ("latest", "all"):
        common = {"misfire": misfire, "expires": "never", "calendar": "some days"}
        world.add(misfire, cron="0 */8 * * *", task="proj.task", **common)
    world.edit_calendar("2026-03-12T10:00Z", "some days", dates="2026-03-13")
    world.outage("2026-03-12T20:00Z", "2026-03-13T20:00Z")
    world.edit_calendar("2026-03-13T12:00Z", "some days", dates="2026-03-15")
    world.run_until("2026-03-14T12:00Z")


def jitter_and_an_edit_between(world: Any) -> None:
    world.add("e", **HOURLY, jitter="50m")
    world.edit(at("01:00:30"), "e", cron="30 * * * *")
    world.edit(at("03:30:10"), "e", jitter=None)
    world.run_until(at("06:00"))


def fixed_delays(world: Any) -> None:
    for misfire in ("skip", "latest", "all"):
        world.add(misfire, every="30m", fixed_delay=True, task="proj.task", misfire=misfire, duration="20m")
    world.outage(at("01:40"), at("04:10"))
    world.edit(at("05:00"), "all", every="1h")
    world.run_until(at("07:00"))


def failures(world: Any) -> None:
    def outcome(fire_time: datetime) -> str:
        return "succeeded" if fire_time.hour in (1, 4) else "failed"

    world.add("three", **HOURLY, on_failure="pause", outcome=outcome, duration="5m")
    world.add("two", **HOURLY, on_failure="pause", failure_limit=2, outcome=outcome, duration="5m")
    world.resume(at("05:30"), "two")
    world.run_until(at("09:00"))


def boots(world: Any) -> None:
    world.add("everywhere", cron="@reboot", task="proj.task")
    world.add("north", cron="@reboot", host="north", task="proj.task")
    world.add("paused", cron="@reboot", task="proj.task", enabled=False)
    world.run_until(at("00:10"))
    world.boot(at("01:00"), "north")
    world.boot(at("01:30"), "south")
    world.pause_all(at("02:00"))
    world.boot(at("02:10"), "north")
    world.resume_all(at("02:30"))
    world.outage(at("03:00"), at("03:10"))
    world.boot(at("03:05"), "south")
    world.run_until(at("04:00"))


def pausing_everything(world: Any) -> None:
    world.add("e", **HOURLY, misfire="all", expires="never")
    world.add("jitter", **HOURLY, misfire="all", expires="never", jitter="1h")
    world.add("long", **HOURLY, overlap="queue", expires="never", duration="90m")
    world.pause_all(at("02:30"))
    world.edit(at("03:30"), "e", expires="1d")
    world.resume_all(at("05:30"))
    world.pause_all(at("07:30"), until=at("09:00"))
    world.run_until(at("10:30"))


def a_number_of_runs(world: Any) -> None:
    world.add("e", **HOURLY, max_runs=3)
    world.add("queued", **HOURLY, max_runs=3, overlap="queue", duration="100m", expires="never")
    world.edit(at("05:30"), "e", max_runs=5)
    world.run_until(at("09:00"))


def lost_and_started_again(world: Any) -> None:
    common = {**HOURLY, "lost_after": "10m", "outcome": "lost", "duration": "1m"}
    world.add("lost", **common)
    world.add("again", **common, on_lost="rerun", overlap="skip")
    world.add("held", **common, on_lost="rerun", overlap="queue", expires="never")
    world.run_until(at("04:00"))


def workers_away(world: Any) -> None:
    world.add("short", **HOURLY, expires="30m")
    world.add("long", **HOURLY, expires="3h", overlap="skip")
    world.add("delayed", every="20m", fixed_delay=True, task="proj.task", expires="10m")
    world.workers_away(at("01:30"), at("04:10"))
    world.run_until(at("06:00"))


def workers_away_for_long(world: Any) -> None:
    common = {**HOURLY, "expires": "never", "lost_after": "90m", "duration": "50m"}
    for overlap in ("allow", "skip", "queue"):
        world.add(overlap, **common, overlap=overlap)
    world.add("delayed", every="20m", fixed_delay=True, task="proj.task", expires="never", lost_after="50m")
    world.add("pausing", **{**common, "overlap": "skip", "on_failure": "pause", "failure_limit": 2})
    world.workers_away(at("01:30"), at("06:10"))
    world.run_until(at("10:00"))


def clocks(world: Any) -> None:
    world.add("e", **HOURLY, misfire="skip")
    world.add("long", **HOURLY, overlap="skip", duration="70m")
    world.set_clock(at("02:30"), "-2h")
    world.edit(at("03:10"), "e", expires="5m")
    world.set_clock(at("06:30"), "4h")
    world.run_until(at("08:30"))


def triggers(world: Any) -> None:
    for overlap in ("skip", "queue", "cancel"):
        world.add(overlap, **HOURLY, overlap=overlap, duration="80m", expires="never")
        world.trigger(at("01:50"), overlap)
        world.trigger(at("05:50"), overlap)
    world.run_until(at("09:30"))


def removals(world: Any) -> None:
    world.add("e", **HOURLY, overlap="queue", duration="90m", expires="never")
    world.outage(at("02:10"), at("04:10"))
    world.remove(at("03:30"), "e")
    world.run_until(at("06:00"))


STORIES = [
    an_outage,
    edits_in_an_outage,
    disabled_for_a_while,
    overlaps,
    what_is_held_back_expires,
    overlaps_after_an_outage,
    calendars,
    an_edit_of_a_calendar,
    jitter_and_an_edit_between,
    fixed_delays,
    failures,
    boots,
    pausing_everything,
    a_number_of_runs,
    lost_and_started_again,
    workers_away,
    workers_away_for_long,
    clocks,
    triggers,
    removals,
]


@pytest.fixture
def open_installation(tmp_path: Path) -> Iterator[Callable[[Any], Installation]]:
    made: list[Installation] = []

    def make(start: Any) -> Installation:
        made.append(Installation(f"sqlite:///{tmp_path}/{len(made)}.sqlite", start, CUSTOM))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_node_does_what_the_world_does(
    story: Callable[[Any], None], open_installation: Callable[[Any], Installation]
) -> None:
    simulation = Simulation(START)
    story(simulation)
    check(simulation)
    installation = open_installation(START)
    story(installation)
    assert installation.told() == told(simulation)
    assert simulation.runs()


@pytest.mark.parametrize("seed", range(6))
def test_chance_scripts(seed: int, open_installation: Callable[[Any], Installation]) -> None:
    script = small(Random(1000 + seed), days=1)
    simulation = script.simulation()
    installation = open_installation(script.start)
    script.play(installation)
    assert installation.told() == told(simulation)


def told(simulation: Simulation) -> list[str]:
    found = [run_line(run.entry, run) for run in simulation.runs()]
    found += [record_line(one.entry, one, one.first, one.last) for one in simulation.suppressions()]
    found += [
        f"{entry.name} {entry.id} is {entry.state}, next {shown(entry.next_fire)}"
        for entry in simulation.world.entries
    ]
    return sorted(found)
