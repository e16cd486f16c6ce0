"""One simulated history: a few nodes and workers, a minute of fires and faults, then everything is
healed and given time, and the checker judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import delete, func, select, update

from beatd import clock
from beatd.checker.check import check
from beatd.checker.verdict import Finding
from beatd.planning.plan import expires_at
from beatd.planning.task import run_id
from beatd.store import history as stored_history
from beatd.store import pauses
from beatd.store.definitions import Definitions, Version
from beatd.store.models import OPEN_STATES, entries, runs
from beatd.store.runs import of_definition
from tests.chaos import workload
from tests.chaos.broker import Broker
from tests.chaos.database import Plain, Server
from tests.chaos.faults import Faults
from tests.chaos.gathered import gather
from tests.chaos.node import Node
from tests.chaos.workers import Workers
from tests.chaos.workload import Workload
from tests.chaos.world import START, World

#: Seconds of fires and faults, and how long then everything may take to settle.
STORM = 60.0
SETTLING = 200.0

#: Faults planned for a history; not each finds its step.
FAULTS = 40

NODES = ("node1", "node2", "node3")


@dataclass(slots=True)
class Told:
    """What came of one history. `events` counts the steps of its scheduler."""

    seed: int
    fires: int = 0
    runs: int = 0
    executions: int = 0
    events: int = 0
    duplicates_explained: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    #: violations, one line each
    violations: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@cache
def server() -> Server:
    return Server()


@cache
def prepared(number: int) -> Workload:
    return workload.prepare(server(), number)


def play(seed: int, *, trace: bool = False) -> Told:
    """The history of that seed; the same one whenever and wherever it is played."""
    number = seed % workload.SETS
    with _History(seed, prepared(number), trace)._patched() as history:
        return history.play()


class _History:
    def __init__(self, seed: int, load: Workload, trace: bool) -> None:
        self.seed = seed
        self.load = load
        self.world = World(seed, trace=trace)
        self.random = self.world.random
        self.server = server()
        self.server.begin_history(self.world, load.image)
        self.plain = Plain(self.server)
        self.faults = Faults(self.world, FAULTS, STORM)
        self.workers = Workers(self.world, self.faults, self.plain)
        self.broker = Broker(self.world, self.faults, self.workers.deliver)
        self.workers.broker = self.broker
        self.nodes: dict[str, Node] = {}
        self.poll = 5.0
        self.triggers = 0
        #: The clock is set back only where nobody edits anything: of an edit made at an instant which comes
        #: again there is no saying what held when. `latest` is the latest that the clock has shown.
        self.steps_back = self.random.random() < 0.5
        self.latest = START
        self._versions: dict[Any, Version] = {}
        self.faults.at_once = {
            "database away": self._database_away,
            "broker away": self._broker_away,
            "broker blocked": self._broker_blocked,
            "clock stepped": self._step_clock,
        }

    @contextmanager
    def _patched(self) -> Iterator[_History]:
        """Every clock is the world's. What a version of an entry means is read once, not by each node."""
        real = clock.monotonic, clock.wall, Definitions._read
        clock.monotonic, clock.wall = lambda: self.world.real, lambda: self.world.now

        def read(definitions: Definitions, row: Any) -> Version:
            known = _first_versions.setdefault(self.load.number, {}) if row.key[1] == 1 else self._versions
            if row.key not in known:
                known[row.key] = real[2](definitions, row)
            return known[row.key]

        Definitions._read = read  # type: ignore[method-assign]
        try:
            yield self
        finally:
            clock.monotonic, clock.wall, Definitions._read = real  # type: ignore[method-assign]

    def play(self) -> Told:
        for name in NODES:
            self._start(name, None)
        self.workers.failures = 0.0 if self.steps_back else 0.05  # they may pause entries, which edits them
        for _ in range(2):
            self._later(self._trigger)
        if not self.steps_back:
            for _ in range(self.random.randrange(4, 9)):
                self._later(self._edit)
            if self.random.random() < 0.3:
                self._later(self._pause_all)
            if self.random.random() < 0.3:
                self._later(self._remove)
        self.world.run_until(STORM)
        self._heal()
        self.world.run_until(STORM + SETTLING)
        told = self._judge()
        for node in self.nodes.values():
            node.kill()
        return told

    def _later(self, action: Any) -> None:
        self.world.at(1.0 + self.random.random() * (STORM - 5), action)

    # Nodes

    def _start(self, name: str, dead: str | None) -> None:
        node = Node(self.world, name, self.server, self.faults, lambda: self.poll)
        self.nodes[name] = node
        node.start(self.load.installation, self.broker, self.workers, dead)
        self._watch(name)

    def _watch(self, name: str) -> None:
        """As systemd does: what died is started again after a while."""
        node = self.nodes[name]
        if node.alive:
            self.world.at(0.5, lambda: self._watch(name))
            return
        sees_it = node.id if self.random.random() < 0.5 else None
        delay = 0.0 if self.faults.ended else self.random.uniform(0.2, 12.0)
        self.world.at(delay, lambda: self._start(name, sees_it))

    # What strikes whatever anybody does

    def _database_away(self) -> None:
        seconds = self.random.uniform(0.5, 12.0)
        self.server.away_until = self.world.real + seconds
        self.world.tell("database", f"away for {seconds:.1f} s")

    def _broker_away(self) -> None:
        seconds = self.random.uniform(0.5, 15.0)
        self.broker.away_until = self.world.real + seconds
        self.world.tell("broker", f"away for {seconds:.1f} s")

    def _broker_blocked(self) -> None:
        seconds = self.random.uniform(0.5, 15.0)
        self.broker.blocked_until = self.world.real + seconds
        self.world.tell("broker", f"blocked for {seconds:.1f} s")

    def _step_clock(self) -> None:
        backward = self.steps_back and self.random.random() < 0.6
        seconds = (
            self.random.uniform(-30, 0)
            if backward
            else self.random.choice((3, 30, 90)) * self.random.random()
        )
        self.latest = max(self.latest, self.world.now)
        self.world.step += seconds
        self.world.tell("database", f"its clock is stepped by {seconds:.1f} s")

    # Operators

    def _operate(self, action: Any) -> None:
        """As soon as the database can be reached."""
        if not self.plain.there:
            self.world.at(0.3, lambda: self._operate(action))
            return
        with self.plain.write() as connection:
            action(connection)

    def _edit(self) -> None:
        id_, values = self.random.choice(self.load.ids), workload.edit(self.random)
        self.world.tell("operator", f"edits {id_}: {values}")
        self._operate(lambda c: c.execute(update(entries).where(entries.c.id == id_).values(**values)))

    def _remove(self) -> None:
        id_ = self.random.choice(self.load.ids)
        self.world.tell("operator", f"removes {id_}")
        self._operate(lambda c: c.execute(delete(entries).where(entries.c.id == id_)))

    def _pause_all(self) -> None:
        self.world.tell("operator", "pauses everything")
        self._operate(lambda c: pauses.pause(c, self.world.now, None, "operator"))
        self.world.at(self.random.uniform(1.0, 8.0), self._resume_all)

    def _resume_all(self) -> None:
        self.world.tell("operator", "resumes everything")
        self._operate(lambda c: pauses.resume(c, self.world.now))

    def _trigger(self) -> None:
        id_, definitions = self.random.choice(self.load.ids), Definitions()
        self.triggers += 1
        origin = f"trigger:{self.seed}-{self.triggers}"

        def trigger(connection: Any) -> None:
            version = connection.execute(select(entries.c.version).where(entries.c.id == id_)).scalar()
            if version is None:
                return
            definition = definitions.get(connection, [(id_, version)])[id_, version].definition
            assert definition is not None
            now = self.world.now
            row = {
                "id": run_id(self.load.installation, id_, now, origin),
                "entry_id": id_,
                "version": version,
                "origin": origin,
                "fire_time": now,
                "due_time": now,
                "expires_at": expires_at(definition, now),
                "state": "pending",
                "recorded_at": now,
                "lease_until": now,
                "attempt": 0,
            }
            stored_history.record_trigger(connection, {**row, **of_definition(definition)})

        self.world.tell("operator", f"triggers {id_}")
        self._operate(trigger)

    # The end

    def _heal(self) -> None:
        """Nothing fails any more, and nothing fires any more; the clock goes on from the latest it showed."""
        self.world.tell("world", "is healed")
        self.faults.end()
        self.server.away_until = self.broker.away_until = self.broker.blocked_until = 0.0
        for node in self.nodes.values():
            node.frozen_until = 0.0
        self.world.step += max(0.0, (self.latest - self.world.now).total_seconds())
        self.world.at(10.0, self._stop_firing)

    def _stop_firing(self) -> None:
        self._operate(lambda c: pauses.resume(c, self.world.now))
        self._operate(lambda c: c.execute(update(entries).values(enabled=False)))
        self.poll = 30.0

    def _judge(self) -> Told:
        with self.plain.read() as connection:
            evidence = gather(
                connection,
                Definitions(),
                self.load.installation,
                START - timedelta(seconds=1),
                self.world.now,
                self.broker.messages,
                self.workers.executions,
            )
            open_runs = connection.execute(
                select(runs.c.state, func.count()).where(runs.c.state.in_(OPEN_STATES)).group_by(runs.c.state)
            ).all()
        verdict = check(evidence)
        told = Told(
            self.seed,
            verdict.fires,
            verdict.runs,
            len(self.workers.executions),
            self.world.events,
            verdict.duplicates_explained,
            self.faults.struck,
        )
        told.violations += [
            f"{f.kind}: {f.entry} {f.fire_time and f.fire_time.isoformat()} {f.text}"
            for f in verdict.findings
            if f.kind != "late" and not self._excused(f)
        ]
        told.violations += [f"not settled: {count} runs are {state}" for state, count in open_runs]
        told.violations += [f"{n.name}: its outbox is not empty" for n in self.nodes.values() if not n.idle]
        told.lines = self.world.lines or []
        return told

    def _excused(self, finding: Finding) -> bool:
        """What the faults themselves make of the evidence, and no scheduler could make better."""
        if self.steps_back and " before it" in finding.text:
            return True  # two instants of a clock that was set back between them
        if finding.kind != "state":
            return False
        return finding.run_id in self.broker.untold  # how it ended was told, and the report was lost


_first_versions: dict[int, dict[Any, Version]] = {}
