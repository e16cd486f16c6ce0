"""Which fires there were in a simulated world: the checker's account (`beatd.checker.account`), and up to
where the one node of the world has settled them.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime

from beatd.checker.account import PLAIN, Fire, fate_of, is_over, walk
from beatd.planning.definition import Definition
from beatd.planning.world import Entry, Version, World

__all__ = ["PLAIN", "Fire", "fires"]


def fires(world: World, entry: Entry) -> list[Fire]:
    """All fires of an entry, of every version in its validity, in order. Of one that is not certain: it was
    not due when the node looked last, or the clock was set back over the edit at its side.
    """
    scheduled = sorted((run for run in entry.runs if run.scheduled), key=lambda run: run.fire_time)
    run_times = [run.fire_time for run in scheduled]
    found: list[Fire] = []
    for number, version in enumerate(entry.versions):
        definition, later = version.definition, entry.versions[number + 1 :]
        if definition is None:
            continue
        until = later[0].latest if later else world.clock.latest
        walked = [
            (instant, fate_of(definition, instant, world.pauses, dropped=dropped))
            for instant, dropped in walk(definition, version.since, until, scheduled)
            if not is_over(definition, bisect_left(run_times, instant))
        ]
        settled = _settled(world, version, later)
        found += _certain(world, definition, walked, settled, version)
    return found


def _settled(world: World, version: Version, later: list[Version]) -> datetime | None:
    """The end of what the node has settled of a version by looking at its successor; None: it has not."""
    if not later or later[0].real > world.looked_real:
        return None
    return min(successor.since for successor in later)


def _certain(
    world: World,
    definition: Definition,
    walked: list[tuple[datetime, str]],
    settled: datetime | None,
    version: Version,
) -> list[Fire]:
    """Without a successor the node has settled what was due, and what lies before that; all of it where no
    fire is left but such that a calendar drops."""
    if settled is None:
        due = [
            instant
            for instant, fate in walked
            if fate == PLAIN and definition.timing.due_time(instant) <= world.took_at
        ]
        settled = due[-1] if due else version.since
        if _only_drops_are_left(definition, settled):
            settled = world.took_at
    begin = max(version.since, version.latest)
    return [Fire(version.version, instant, fate, begin < instant <= settled) for instant, fate in walked]


def _only_drops_are_left(definition: Definition, after: datetime) -> bool:
    if not definition.enabled or definition.paused_until is not None or definition.timing.fixed_delay:
        return False
    return definition.schedule.next_fire_time(after) is None
