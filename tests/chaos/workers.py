"""The simulated workers, with the real claims: plain tasks are acknowledged as they are taken, run-once tasks
late, and both report. Each writes down what it has really begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beatd.broker.publisher import Outgoing
from beatd.checker.evidence import Execution
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.planning.task import RUN_ONCE_TASKS
from beatd.reports import Report
from beatd.store import claims
from beatd.store.claims import Claim
from tests.chaos.broker import Broker
from tests.chaos.database import Plain
from tests.chaos.faults import Faults
from tests.chaos.world import START, World

CLAIM_LEASE = timedelta(seconds=9)


@dataclass(slots=True, eq=False)
class Work:
    """A delivery that a worker has begun."""

    outgoing: Outgoing
    worker: str
    run_once: bool
    over: bool = False
    told_at: datetime = START


class Workers:
    """All of them; each has a name and a life of its own."""

    def __init__(self, world: World, faults: Faults, database: Plain, number: int = 3) -> None:
        self._world = world
        self._faults = faults
        self._database = database
        self.broker: Broker = None  # type: ignore[assignment]
        self.executions: list[Execution] = []
        #: how likely a task fails
        self.failures = 0.05
        self._names = [f"worker{n}" for n in range(1, number + 1)]
        self._frozen: dict[str, float] = dict.fromkeys(self._names, 0.0)
        self._working: dict[str, list[Work]] = {name: [] for name in self._names}
        self._revoked: set[str] = set()
        self._deliveries = 0

    def deliver(self, outgoing: Outgoing) -> None:
        name = self._world.random.choice(self._names)
        self._deliveries += 1
        if fault := self._faults.strikes("worker paused"):
            self._world.tell(name, fault)
            self._frozen[name] = self._world.real + self._world.random.uniform(2.0, 25.0)
        work = Work(outgoing, f"{name} {self._deliveries}", outgoing.spec.task in RUN_ONCE_TASKS)
        self._later(name, 0.0, lambda: self._begin(name, work))

    def ask_to_end(self, run_ids: Sequence[str]) -> None:
        if self.broker.away:
            raise BrokerUnavailable("connection refused")
        self._revoked.update(run_ids)
        asked = frozenset(run_ids)
        for name in self._names:
            for work in self._working[name]:
                if work.outgoing.run_id in asked:
                    self._later(name, 0.3, lambda name=name, work=work: self._end(name, work, "revoked"))

    def _later(self, name: str, delay: float, action: object) -> None:
        """Once that worker runs."""

        def go_on() -> None:
            left = self._frozen[name] - self._world.real
            if left > 0:
                self._world.at(left + 0.001, go_on)
            else:
                action()  # type: ignore[operator]

        if delay == 0.0 and self._frozen[name] <= self._world.real:
            action()  # type: ignore[operator]
        else:
            self._world.at(delay, go_on)

    def _begin(self, name: str, work: Work) -> None:
        outgoing = work.outgoing
        if self._faults.strikes("worker killed before its claim"):
            self._kill(name)
            self.broker.deliver_again(outgoing)
            return
        if outgoing.run_id in self._revoked:
            self._tell(work, "revoked")
            return
        if outgoing.expires_at is not None and outgoing.expires_at < self._world.now:
            self._tell(work, "expired")
            return
        if work.run_once and not self._claimed(name, work):
            return
        self._working[name].append(work)
        if work.run_once and self._faults.strikes("worker killed after its claim"):
            self._kill(name)
            return
        spec = outgoing.spec
        self.executions.append(
            Execution(
                outgoing.run_id, spec.entry, outgoing.fire_time, self._world.now, work.worker, work.run_once
            )
        )
        self._world.tell(work.worker, f"begins {spec.entry} {outgoing.fire_time:%H:%M:%S}")
        self._tell(work, "started")
        random = self._world.random
        seconds = random.uniform(5.0, 25.0) if random.random() < 0.1 else random.uniform(0.05, 1.5)
        if self._faults.strikes("worker killed at work"):
            self._world.at(random.random() * seconds, lambda: self._kill(name, work))
        state = "failed" if random.random() < self.failures else "succeeded"
        self._later(name, seconds, lambda: self._end(name, work, state))
        if work.run_once and seconds > CLAIM_LEASE.total_seconds() / 3:
            self._later(name, CLAIM_LEASE.total_seconds() / 3, lambda: self._renew(name, work))

    def _claimed(self, name: str, work: Work) -> bool:
        outgoing = work.outgoing
        try:
            taken = claims.take(
                self._database,
                outgoing.run_id,
                work.worker,
                CLAIM_LEASE,
                reruns_left=outgoing.reruns_left or None,
            )
        except DatabaseUnavailable:
            self._later(name, 0.5, lambda: self._begin(name, work))
            return False
        if taken is Claim.TAKEN and self._faults.strikes("claim's answer lost"):
            self._world.tell(work.worker, "the claim's answer is lost")
            self._later(name, 0.5, lambda: self._begin(name, work))
            return False
        if taken is Claim.EXPIRED:
            self._tell(work, "expired")
        if taken is not Claim.TAKEN:
            self._world.tell(
                work.worker, f"{outgoing.spec.entry} {outgoing.fire_time:%H:%M:%S}: {taken.value}"
            )
        return taken is Claim.TAKEN

    def _renew(self, name: str, work: Work) -> None:
        if work.over:
            return
        try:
            if not claims.renew(self._database, work.outgoing.run_id, work.worker, CLAIM_LEASE):
                return
        except DatabaseUnavailable:
            pass
        self._later(name, CLAIM_LEASE.total_seconds() / 3, lambda: self._renew(name, work))

    def _end(self, name: str, work: Work, state: str) -> None:
        if work.over:
            return
        if self._faults.strikes("worker killed before its report"):
            self._kill(name)
            return
        work.over = True
        self._working[name].remove(work)
        self._tell(work, state)
        if work.run_once:
            self._end_claim(name, work)

    def _end_claim(self, name: str, work: Work) -> None:
        try:
            claims.end(self._database, work.outgoing.run_id, work.worker)
        except DatabaseUnavailable:
            self._world.tell(work.worker, "its claim lapses")

    def _kill(self, name: str, unless_over: Work | None = None) -> None:
        """What it has not acknowledged is delivered again: run-once tasks acknowledge late."""
        if unless_over is not None and unless_over.over:
            return
        lost, self._working[name] = self._working[name], []
        self._world.tell(name, f"is killed at {len(lost)} runs")
        for work in lost:
            work.over = True
            if work.run_once:
                self.broker.deliver_again(work.outgoing)

    def _tell(self, work: Work, state: str) -> None:
        outgoing = work.outgoing
        left = outgoing.reruns_left or None
        work.told_at = max(work.told_at, self._world.now)  # no task ends before it started
        self.broker.report(Report(outgoing.run_id, state, work.told_at, work.worker, reruns_left=left))
