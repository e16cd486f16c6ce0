"""One run of the suite: the world, its load, the storm, the calm after it, the judgement."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from tests.faults.injectors.injector import Injector
from tests.faults.suite import workload
from tests.faults.suite.audit import Audit
from tests.faults.suite.judging import Judge
from tests.faults.suite.ledger import Minutes, sorted_out
from tests.faults.suite.report import Result
from tests.faults.suite.storm import Storm, named
from tests.faults.suite.workload import Edits, Mix
from tests.faults.suite.world import TIMES, World
from tests.processes import Installation

SECOND = timedelta(seconds=1)
#: Seconds that the world has to come to rest: longer than the lost ones among the runs take to be noticed.
SETTLE = 150.0
#: Seconds from the entries' being written until the first may fire.
_LEAD = 6


@dataclass(frozen=True, slots=True)
class Options:
    pair: str
    seed: int
    seconds: float
    rate: int
    worked: int
    faults: str
    nodes: int
    workers: int
    folder: Path
    log_level: str
    command: str
    first: float = 5.0
    edits: bool = True


def drive(options: Options, injectors: Sequence[type[Injector]], say: Callable[[str], None]) -> Result:
    """Raises ValueError for a fault that does not exist."""
    chosen = [] if options.faults == "none" else named(injectors, options.faults)
    random = Random(options.seed)
    world = World(
        options.pair,
        options.folder,
        nodes=options.nodes,
        workers=options.workers,
        log_level=options.log_level,
    )
    say(f"seed {options.seed}; again: {options.command}")
    say(" ".join(f"{name.removeprefix('BEATD_').lower()}={value}" for name, value in TIMES.items()))
    messages = Minutes(options.folder / "messages")
    try:
        world.open()
        say(f"{world.versions}: {options.nodes} nodes, {options.workers} workers; logs in {options.folder}")
        audit = Audit(world.broker_url, messages)
        audit.start()
        world.start()
        return _run(options, world, chosen, audit, messages, random, say)
    finally:
        world.close()


def _run(
    options: Options,
    world: World,
    chosen: Sequence[type[Injector]],
    audit: Audit,
    messages: Minutes,
    random: Random,
    say: Callable[[str], None],
) -> Result:
    installation = world.installation
    start = _full_ten_seconds(installation.now() + _LEAD * SECOND)
    rows = workload.entries(random, Mix(options.rate, options.worked), start)
    steady = workload.steady(rows)
    for at in range(0, len(rows), 500):
        installation.add_all(rows[at : at + 500])
    if installation.now() >= start:
        raise RuntimeError("this machine is too slow: the entries were written after the first was due")
    edited = [row["name"] for row in rows if row["name"] not in steady]
    edits = Edits(installation, Random(options.seed + 1), edited)
    storm = Storm(world, [kind for kind in chosen if kind.applies(world)], random)
    say(f"{len(rows)} entries, {options.rate} fires a second from {start:%H:%M:%S} on")
    began = time.monotonic()
    try:
        _wait(max(0.0, (start - installation.now()).total_seconds()))
        began = time.monotonic()
        if options.edits:
            edits.start()
        _blow(storm, options, say)
    except KeyboardInterrupt:
        say("interrupted: the world is healed and judged")
    seconds = time.monotonic() - began
    if options.edits:
        edits.stop()
    storm.calm()
    world.revive()
    until = _still(installation)
    say(f"healed; the world settles (until {until:%H:%M:%S})")
    unsettled = _settled(world, audit)
    exits = world.end()
    audit.stop()
    executions = Minutes(options.folder / "executions") if options.workers else None
    if executions is not None:
        sorted_out(world.ledgers, executions)
    judgement = Judge(installation, messages, executions, steady).judge(start - SECOND, until)
    return Result(
        pair=world.versions,
        seed=options.seed,
        command=options.command,
        settings=TIMES,
        seconds=seconds,
        faults=storm.faults,
        judgement=judgement,
        arrivals=audit.arrivals,
        edits=edits.done,
        edits_failed=edits.failed,
        ended=[f"{ended.name}: status {ended.status}, {ended.log}" for ended in world.ended],
        unsettled=unsettled,
        exits=exits,
        notes=[f"edit failed: {problem}" for problem in edits.problems[:5]],
    )


def _blow(storm: Storm, options: Options, say: Callable[[str], None]) -> None:
    end = time.monotonic() + options.seconds
    _wait(min(options.first, options.seconds))
    while time.monotonic() < end:
        if fault := storm.step():
            say(f"{fault.at:%H:%M:%S} {fault.kind}")
        _wait(min(storm.pause(), max(0.0, end - time.monotonic())))


def _still(installation: Installation) -> datetime:
    """Disable everything; the instant before that, up to which is judged."""
    deadline = time.monotonic() + 60
    while True:
        try:
            until = installation.now()
            installation.sql("UPDATE entries SET enabled = :no", no=False)
            return until
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _settled(world: World, audit: Audit) -> dict[str, int]:
    """Wait until the outbox is empty and what workers took has come to its end; what is left open."""
    deadline = time.monotonic() + SETTLE
    still = 0
    while True:
        left = _left(world)
        still = still + 1 if not left and not audit.backlog() else 0
        if still >= 3 or time.monotonic() > deadline:
            return left
        _wait(1.0)


def _left(world: World) -> dict[str, int]:
    """Light runs end at `published`: nobody works on them, nobody reports."""
    real = "(SELECT id FROM entries WHERE routing_key <> 'light')"
    queries = {
        "changes": "SELECT count(*) FROM entry_changes",
        "outbox": "SELECT count(*) FROM runs WHERE state IN ('held', 'pending')",
        "running": "SELECT count(*) FROM runs WHERE state IN ('started', 'retrying')",
        "unheard of": f"""SELECT count(*) FROM runs WHERE state = 'published' AND entry_id IN {real}
                          AND (expires_at IS NULL OR expires_at > :now)""",
    }
    left = {}
    with suppress(KeyboardInterrupt):
        for name, query in queries.items():
            try:
                parameters = {"now": world.installation.now()} if ":now" in query else {}
                [(count,)] = world.installation.rows(query, **parameters)
            except Exception:
                count = 1
            if count:
                left[name] = count
    return left


def _full_ten_seconds(instant: datetime) -> datetime:
    """The next one."""
    whole = instant.replace(second=instant.second // 10 * 10, microsecond=0)
    return whole + 10 * SECOND


def _wait(seconds: float) -> None:
    time.sleep(seconds)
