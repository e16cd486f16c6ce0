"""The invariants find what is wrong: a world in which all is well is spoilt in one place."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from beatd.planning.world import Entry, World
from beatd.testing import Simulation, check, violations

HOUR = timedelta(hours=1)


def world() -> Simulation:
    """An hourly entry with runs, missed fires, a pause and a calendar, and others by its side."""
    story = Simulation("2026-03-09T22:00Z")
    story.calendar("closed", dates="2026-03-11")
    common = {"cron": "0 * * * *", "task": "proj.task", "calendar": "closed"}
    story.add("e", **common, expires="never")
    story.add("skips", **common, misfire="skip", misfire_grace="2m", overlap="skip", duration="90m")
    story.add("cancels", **common, overlap="cancel", duration="90m", stops_in="1h", expires="never")
    story.add("few", **common, max_runs=3)
    story.add("delayed", every="1h", fixed_delay=True, task="proj.task", duration="30m")
    story.add("boots", cron="@reboot", task="proj.task")
    story.outage("2026-03-10T03:30Z", "2026-03-10T06:30Z")
    story.pause("2026-03-10T08:30Z", "e")
    story.resume("2026-03-10T10:30Z", "e")
    story.edit("2026-03-10T12:30Z", "e", misfire="all")
    story.pause_all("2026-03-10T14:30Z")
    story.boot("2026-03-10T15:30Z", "north")
    story.resume_all("2026-03-10T16:30Z")
    story.boot("2026-03-10T20:30Z", "north")
    story.run_until("2026-03-12T06:30Z")
    return story


def test_all_is_well() -> None:
    check(world())


def _run(entry: Entry, fire: str) -> Any:
    return next(run for run in entry.runs if f"{run.fire_time:%d %H:%M}" == fire)


def _twice(entry: Entry) -> None:
    entry.runs.append(copy(_run(entry, "10 01:00")))


def _moved(entry: Entry) -> None:
    _run(entry, "10 01:00").fire_time += timedelta(minutes=1)


def _of_another_version(entry: Entry) -> None:
    _run(entry, "10 01:00").version = 2


def _lost_run(entry: Entry) -> None:
    entry.runs.remove(_run(entry, "10 01:00"))


def _lost_record(entry: Entry) -> None:
    entry.suppressed.pop(0)


def _record(**changes: Any) -> Callable[[Entry], None]:
    def spoil(entry: Entry) -> None:
        entry.suppressed[0] = replace(entry.suppressed[0], **changes)

    return spoil


def _counted_twice(entry: Entry) -> None:
    entry.suppressed.append(entry.suppressed[0])


def _lost_second(entry: Entry) -> None:
    entry.runs.pop(1)


def _in_a_pause(entry: Entry) -> None:
    run = copy(_run(entry, "10 08:00"))
    run.id, run.fire_time, run.due_time = "other", run.fire_time + HOUR, run.due_time + HOUR
    run.version = 2
    entry.runs.append(run)


def _reversed(entry: Entry) -> None:
    entry.runs.reverse()


def _early(entry: Entry) -> None:
    run = _run(entry, "10 01:00")
    run.published_at -= HOUR


def _due_early(entry: Entry) -> None:
    _run(entry, "10 01:00").due_time -= HOUR


def _late(entry: Entry) -> None:
    run = _run(entry, "10 20:00")
    run.recorded_at, run.recorded_real = run.recorded_at + HOUR, run.recorded_real + HOUR


def _made_up(entry: Entry) -> None:
    """The missed fires under `skip` become a run."""
    run = copy(_run(entry, "10 03:00"))
    run.id, run.fire_time, run.due_time = "other", run.fire_time + 3 * HOUR, run.due_time + 3 * HOUR
    run.recorded_at, run.recorded_real = run.due_time + HOUR / 2, run.due_time + HOUR / 2
    entry.runs.append(run)


def _beside(entry: Entry) -> None:
    run = _run(entry, "10 03:00")
    run.started_real -= timedelta(minutes=40)
    run.recorded_real = run.started_real


def _impatient(entry: Entry) -> None:
    run = _run(entry, "10 03:00")
    run.started_real = run.recorded_real + timedelta(seconds=9)


def _one_more(entry: Entry) -> None:
    for run in entry.runs:
        timing = replace(run.definition.timing, max_runs=2)
        run.definition = replace(run.definition, timing=timing)


def _expired(entry: Entry) -> None:
    run = _run(entry, "10 01:00")
    run.expires_at = run.started_at


def _broken(entry: Entry) -> None:
    entry.error = "ValueError: no"


def _booted_twice(entry: Entry) -> None:
    entry.runs.append(copy(entry.runs[0]))


def _did_not_boot(entry: Entry) -> None:
    entry.suppressed.clear()


SPOILT = [
    # entry, what is spoilt, what is told
    ("e", _twice, ["is there 2 times", "was recorded after that of"]),
    ("e", _moved, ["a run at 2026-03-10T01:01:00Z, which is no fire of version 1", "is not accounted for"]),
    ("e", _of_another_version, ["a run at 2026-03-10T01:00:00Z, which is no fire of version 2"]),
    ("e", _lost_run, ["the fire of 2026-03-10T01:00:00Z (plain) is not accounted for"]),
    ("e", _lost_record, ["the fire of 2026-03-10T04:00:00Z (plain) is not accounted for"]),
    ("e", _record(count=1), ["the fire of 2026-03-10T05:00:00Z (plain) is not accounted for"]),
    ("e", _record(count=3), ["3 fires from 2026-03-10T04:00:00Z to 2026-03-10T05:00:00Z are counted"]),
    ("e", _record(reason="calendar"), ["are counted (calendar, version 1), but there were 0 such fires"]),
    ("e", _record(reason="paused"), ["are counted (paused, version 1), but there were 0 such fires"]),
    ("e", _record(version=2), ["are counted (misfire, version 2), but there were 0 such fires"]),
    ("e", _counted_twice, ["2 fires from 2026-03-10T04:00:00Z to 2026-03-10T05:00:00Z are counted"]),
    ("e", _in_a_pause, ["a run at 2026-03-10T09:00:00Z, where the fire was paused"]),
    ("e", _reversed, ["was recorded after that of 2026-03-10T01:00:00Z"]),
    ("e", _early, ["the run of 2026-03-10T01:00:00Z (schedule) was due"]),
    ("e", _due_early, ["the run of 2026-03-10T01:00:00Z (schedule) was due"]),
    ("e", _late, ["the run of 2026-03-10T20:00:00Z (schedule) was recorded 1:00:00 late for no reason"]),
    ("e", _expired, ["expired 2026-03-10 01:00:00+00:00 and started 2026-03-10 01:00:00+00:00"]),
    ("e", _broken, ["e: is broken: ValueError: no"]),
    ("skips", _made_up, ["is a run under misfire = 'skip'", "was 0:30:00 late, and its grace is 0:02:00"]),
    ("skips", _beside, ["(schedule) started beside the run of 2026-03-10T01:00:00Z", "overlap = 'skip'"]),
    ("cancels", _impatient, ["(schedule) started beside", "under overlap = 'cancel'"]),
    ("few", _one_more, ["is scheduled run 3, and max_runs is 2"]),
    (
        "delayed",
        _lost_second,
        ["the fire of 2026-03-10T00:30:00Z (plain) is not accounted for", "no fire of"],
    ),
    ("boots", _booted_twice, ["1 boots and 2 accounts of them"]),
    ("boots", _did_not_boot, ["1 boots and 0 accounts of them"]),
]


@pytest.mark.parametrize(("name", "spoil", "told"), SPOILT)
def test_what_is_wrong_is_found(name: str, spoil: Callable[[Entry], None], told: list[str]) -> None:
    spoilt = world()
    spoil(_entry(spoilt.world, name))
    found = violations(spoilt)
    assert all(line.startswith(f"{name}: ") for line in found)
    for text in told:
        assert any(text in line for line in found), found
    with pytest.raises(AssertionError, match=name):
        check(spoilt)


def _entry(world: World, name: str) -> Entry:
    return next(entry for entry in world.entries if entry.name == name)
