"""What holds in every simulated world, whatever its script: each function tells what does not.

`check` asserts all of them. They look at what was recorded and do not ask the planner, so that a schedule's
own tests may use them beside its own assertions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from beatd.checker.account import JUDGED
from beatd.checker.matching import matched
from beatd.planning.policies import CANCEL_PATIENCE, MISFIRE_AFTER
from beatd.planning.world import Entry, Run, Suppressed, World
from beatd.schedules import BootSchedule, format_instant
from beatd.testing.account import PLAIN, Fire, fires
from beatd.testing.simulation import Simulation

_SHOWN = 20


def check(simulation: Simulation) -> None:
    """Raises AssertionError with the first findings of all invariants."""
    found = violations(simulation)
    if found:
        more = f"\n… and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise AssertionError("\n".join(found[:_SHOWN]) + more)


def violations(simulation: Simulation) -> list[str]:
    """What does not hold of the simulation as it is now, one line each; empty if all is well."""
    return [
        f"{entry.name}: {finding}"
        for entry in simulation.world.entries
        for invariant in INVARIANTS
        for finding in invariant(simulation.world, entry)
    ]


def not_broken(world: World, entry: Entry) -> Iterator[str]:
    """Every entry can be planned."""
    if entry.error is not None:
        yield f"is broken: {entry.error}"


def accounted_once(world: World, entry: Entry) -> Iterator[str]:
    """Every fire of every version in its validity is a run or is counted in a record with its reason, and is
    so once; no other fire is.
    """
    if _cannot_be_told(world, entry):
        return
    expected = fires(world, entry)
    loose = bool(world.clock.set_back)
    runs = {(run.version, run.fire_time) for run in entry.runs if run.scheduled}
    known = {(fire.version, fire.fire_time): fire for fire in expected}
    for number, fire_time in sorted(runs):
        fire = known.get((number, fire_time))
        if fire is None:
            yield f"a run at {format_instant(fire_time)}, which is no fire of version {number}"
        elif fire.fate != PLAIN and not (loose and fire.fate == "all paused"):
            yield f"a run at {format_instant(fire_time)}, where the fire was {fire.fate}"
    left: dict[tuple[int, str], list[Fire]] = defaultdict(list)
    records: dict[tuple[int, str], list[Suppressed]] = defaultdict(list)
    for fire in expected:
        if (fire.version, fire.fire_time) not in runs:
            left[fire.version, _kind(fire.fate, loose=loose)].append(fire)
    for record in entry.suppressed:
        if not _is_of_boot(record, entry):
            records[record.version, _kind(_fate_of(record), loose=loose)].append(record)
    for key in sorted(left.keys() | records.keys()):
        yield from _matched(left[key], records[key])


def boots_accounted_once(world: World, entry: Entry) -> Iterator[str]:
    """Every boot of a machine is one run of each of its boot entries, or one counted record."""
    expected: Counter[datetime] = Counter()
    for boot in world.boots:
        version = [version for version in entry.versions if version.real <= boot.fired_real]
        definition = version[-1].definition if version else None
        if definition is None or not isinstance(definition.schedule, BootSchedule):
            continue
        if entry.versions[0].real < boot.real and definition.schedule.host in (None, boot.host):
            expected[boot.fired_at] += 1
    told = Counter(run.fire_time for run in entry.runs if run.origin.startswith("boot:"))
    told += Counter(record.first for record in entry.suppressed if _is_of_boot(record, entry))
    for fired_at in sorted(expected.keys() | told.keys()):
        if expected[fired_at] != told[fired_at]:
            number = f"{expected[fired_at]} boots and {told[fired_at]} accounts of them"
            yield f"at {format_instant(fired_at)} {number}"


def runs_unique(world: World, entry: Entry) -> Iterator[str]:
    """No two runs have one id, or one fire time and origin."""
    for number, what in (
        (Counter(run.id for run in entry.runs), "run {}"),
        (Counter(f"{format_instant(run.fire_time)} ({run.origin})" for run in entry.runs), "the run of {}"),
    ):
        for name, times in number.items():
            if times > 1:
                yield f"{what.format(name)} is there {times} times"


def fires_increase(world: World, entry: Entry) -> Iterator[str]:
    """The scheduled runs of an entry are recorded in the order of their fire times."""
    for before, after in pairwise(run.fire_time for run in entry.runs if run.scheduled):
        if after <= before:
            yield f"the run of {format_instant(after)} was recorded after that of {format_instant(before)}"


def nothing_early(world: World, entry: Entry) -> Iterator[str]:
    """No run is published before its due time, and its due time is not before its fire time."""
    for run in entry.runs:
        if run.due_time < run.fire_time:
            yield f"{_run(run)} was due {run.due_time}"
        if any(step >= run.recorded_real for step in world.clock.set_back):
            continue  # it may have been published again since
        if run.published_at is not None and run.published_at < run.due_time:
            yield f"{_run(run)} was due {run.due_time} and published {run.published_at}"


def nothing_late(world: World, entry: Entry) -> Iterator[str]:
    """What is due is recorded then, unless there was no scheduler, all was paused or the clock was set."""
    for run in entry.runs:
        if run.scheduled and _without_cause(world, run.due_time, run.recorded_at, run.recorded_real):
            yield f"{_run(run)} was recorded {run.recorded_at - run.due_time} late for no reason"
    for record in entry.suppressed:
        definition = entry.versions[record.version - 1].definition
        if record.reason != "misfire" or definition is None:
            continue
        due_time = definition.timing.due_time(record.last)
        if _without_cause(world, due_time, record.recorded_at, record.recorded_real):
            yield f"{_told(record)}, for no reason"


def misfires_honoured(world: World, entry: Entry) -> Iterator[str]:
    """Missed fires become the runs that the misfire policy allows, and no more."""
    for run in entry.runs:
        policies, late = run.definition.policies, run.recorded_at - run.due_time
        if run.scheduled and late > MISFIRE_AFTER and policies.misfire == "skip":
            yield f"{_run(run)} was missed, and is a run under misfire = 'skip'"
        if run.scheduled and policies.misfire_grace is not None and late > policies.misfire_grace:
            yield f"{_run(run)} was {late} late, and its grace is {policies.misfire_grace}"
    for recorded, some in groupby(
        (run for run in entry.runs if run.scheduled), key=lambda run: run.recorded_real
    ):
        missed = [run for run in some if run.recorded_at - run.due_time > MISFIRE_AFTER]
        latest = sum(run.definition.policies.misfire == "latest" for run in missed)
        if latest > 1:
            yield f"{latest} missed fires became runs at {format_instant(recorded)} under misfire = 'latest'"


def overlaps_honoured(world: World, entry: Entry) -> Iterator[str]:
    """No run of the schedule starts beside an earlier one, unless `overlap` is allow, or it has cancelled the
    earlier one and has waited for it.
    """
    running: list[Run] = []
    for run in sorted(
        (run for run in entry.runs if run.started_real is not None),
        key=lambda run: (run.started_real, run.recorded_real),
    ):
        running = [earlier for earlier in running if not _ended_by(earlier, run.started_real)]
        overlap = run.definition.policies.overlap
        beside = [
            earlier
            for earlier in running
            if earlier.recorded_real <= run.recorded_real and not _clock_set(world, earlier, run)
        ]
        if run.scheduled and overlap != "allow" and beside and not _has_waited(run):
            yield f"{_run(run)} started beside {_run(beside[0])} under overlap = {overlap!r}"
        running.append(run)


def max_runs_honoured(world: World, entry: Entry) -> Iterator[str]:
    """No more scheduled runs are recorded than the version of each allows."""
    for number, run in enumerate((run for run in entry.runs if run.scheduled), 1):
        most = run.definition.timing.max_runs
        if most is not None and number > most:
            yield f"{_run(run)} is scheduled run {number}, and max_runs is {most}"


def expired_never_starts(world: World, entry: Entry) -> Iterator[str]:
    """No run starts at its expiry or later; what starts again has none."""
    for run in entry.runs:
        if run.expires_at is not None and run.started_at is not None and run.started_at >= run.expires_at:
            yield f"{_run(run)} expired {run.expires_at} and started {run.started_at}"


Invariant = Callable[[World, Entry], Iterator[str]]

INVARIANTS: tuple[Invariant, ...] = (
    not_broken,
    accounted_once,
    boots_accounted_once,
    runs_unique,
    fires_increase,
    nothing_early,
    nothing_late,
    misfires_honoured,
    overlaps_honoured,
    max_runs_honoured,
    expired_never_starts,
)


# Records against fires


def _cannot_be_told(world: World, entry: Entry) -> bool:
    """Of an entry that cannot be planned; of a fixed delay where the clock was set back, or where a run
    counted as lost and then started or ended.
    """
    if entry.error is not None:
        return True
    delayed = any(v.definition is not None and v.definition.timing.fixed_delay for v in entry.versions)
    return delayed and (bool(world.clock.set_back) or any(_outlived(run) for run in entry.runs))


def _outlived(run: Run) -> bool:
    if run.given_up_real is not None:
        return True
    if run.started_real is None or run.finished_real is None:
        return False
    return run.finished_real - run.started_real > run.definition.policies.lost_after


def _matched(left: list[Fire], records: list[Suppressed]) -> Iterator[str]:
    found = matched(left, records)
    for fire in found.unaccounted:
        yield f"the fire of {format_instant(fire.fire_time)} ({fire.fate}) is not accounted for"
    for surplus in found.surplus:
        yield f"{_told(surplus.record)}, but there were {surplus.there} such fires in all"


def _kind(fate: str, *, loose: bool) -> str:
    """Where the clock was set back, pauses of everything may have covered more, or less, than they do now."""
    return PLAIN if loose and fate == "all paused" else fate


def _fate_of(record: Suppressed) -> str:
    return PLAIN if record.reason in JUDGED else record.reason


def _is_of_boot(record: Suppressed, entry: Entry) -> bool:
    definition = entry.versions[record.version - 1].definition
    return definition is not None and definition.timing.at_boot


# Causes


def _without_cause(world: World, due_time: datetime, recorded_at: datetime, recorded_real: datetime) -> bool:
    late = recorded_at - due_time
    if late <= timedelta(0) or any(pause.covers(due_time) for pause in world.pauses):
        return False
    if any(step <= recorded_real for step in (*world.clock.set_ahead, *world.clock.set_back)):
        return False
    due_real = recorded_real - late
    return not any(
        since <= recorded_real and (until is None or until >= due_real) for since, until in world.outages
    )


def _ended_by(run: Run, real: datetime | None) -> bool:
    """Or counted as lost by then, for it was not heard of, or for no worker had begun it."""
    if run.given_up_real is not None:
        return True
    if run.finished_real is None or real is None or run.started_real is None:
        return False
    return min(run.finished_real, run.started_real + run.definition.policies.lost_after) <= real


def _has_waited(run: Run) -> bool:
    if run.definition.policies.overlap != "cancel" or run.started_real is None:
        return False
    return run.started_real - run.recorded_real >= CANCEL_PATIENCE


def _clock_set(world: World, earlier: Run, run: Run) -> bool:
    """Whether the earlier one may have been taken for lost; or for expired, and started after all."""
    steps = (*world.clock.set_back, *world.clock.set_ahead)
    return any(earlier.recorded_real <= step <= (run.started_real or step) for step in steps)


def _run(run: Run) -> str:
    return f"the run of {format_instant(run.fire_time)} ({run.origin})"


def _told(record: Suppressed) -> str:
    span = f"{format_instant(record.first)} to {format_instant(record.last)}"
    return f"{record.count} fires from {span} are counted ({record.reason}, version {record.version})"
