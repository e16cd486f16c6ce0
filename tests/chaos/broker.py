"""The simulated broker: takes messages, confirms them in any order, delivers them at least once, and can be
away, blocked, or cut off in the middle of a publication.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from beatd.broker.confirms import Confirms
from beatd.broker.publisher import Outcome, Outgoing, Status
from beatd.checker.evidence import Message
from beatd.errors import BrokerUnavailable
from beatd.planning.task import RUN_ONCE_TASKS
from beatd.reports import Report
from tests.chaos.faults import ANY_STEP, Faults
from tests.chaos.world import Process, World

#: Seconds that a publisher waits for its confirms.
CONFIRM_TIMEOUT = 4.0


class Broker:
    def __init__(self, world: World, faults: Faults, deliver: Callable[[Outgoing], None]) -> None:
        self.world = world
        self.faults = faults
        self.away_until = 0.0
        self.blocked_until = 0.0
        #: everything that ever reached it
        self.messages: list[Message] = []
        self.reports: list[Report] = []
        #: runs of which nobody may know the end
        self.untold: set[str] = set()
        self._deliver = deliver

    @property
    def away(self) -> bool:
        return self.world.real < self.away_until

    @property
    def blocked(self) -> bool:
        return self.world.real < self.blocked_until

    def take(self, outgoing: Outgoing) -> None:
        spec = outgoing.spec
        self.messages.append(Message(outgoing.run_id, spec.entry, outgoing.fire_time, self.world.now))
        self._arrive(outgoing)
        # of other tasks it would be a second execution that nobody can prevent, and that is no fault of beatd
        if outgoing.spec.task in RUN_ONCE_TASKS and self.faults.strikes("delivered twice"):
            self._arrive(outgoing)

    def _arrive(self, outgoing: Outgoing) -> None:
        self.world.at(self._delay(), lambda: self._deliver(outgoing))

    def deliver_again(self, outgoing: Outgoing) -> None:
        """Its worker went away without acknowledging it."""
        self.world.at(0.5 + self.world.random.random() * 3, lambda: self._deliver(outgoing))

    def _delay(self) -> float:
        random = self.world.random
        return 0.005 + random.random() * (2.0 if random.random() < 0.1 else 0.1)

    def report(self, report: Report) -> None:
        """On its way from a worker to the queue of reports."""
        fault = self.faults.strikes("report lost", "report late", "report doubled")
        said = f"{report.worker} reports {report.state}{f': {fault}' if fault else ''}"
        self.world.tell("broker", f"{said} ({report.run_id})")
        if fault == "report lost":
            self.untold.add(report.run_id)
            return
        random = self.world.random
        late = random.uniform(2.0, 40.0) if fault == "report late" else 0.0
        self.world.at(late + self._delay(), lambda: self.reports.append(report))
        if fault == "report doubled":
            self.world.at(random.uniform(0.1, 20.0), lambda: self.reports.append(report))


class Publisher:
    """A node's connection to it, with the contract of `beatd.broker.publisher.Publisher`."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self._process = process
        self._require()

    @property
    def blocked(self) -> bool:
        return self._broker.blocked

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        self._require()
        broker, world = self._broker, self._broker.world
        confirms: Confirms[Outgoing] = Confirms()
        self._reach()
        instant = now()
        sent = [o for o in batch if o.expires_at is None or o.expires_at > instant]
        dropped = {o.run_id for o in batch} - {o.run_id for o in sent}
        arriving, fault = len(sent), None
        if broker.blocked or broker.away:
            arriving = 0
            self._process.sleep(CONFIRM_TIMEOUT)
        else:
            fault = broker.faults.strikes(
                "publication lost", "publication torn", "confirms lost", "messages nacked"
            )
            if fault == "publication lost":
                arriving = 0
            elif fault == "publication torn":
                arriving = world.random.randrange(len(sent) + 1)
        tags = [confirms.add(outgoing, outgoing.run_id, 100) for outgoing in sent]
        nacked = set()
        if fault == "messages nacked":
            nacked = {tag for tag in tags if world.random.random() < 0.3}
        taken = [(tag, o) for tag, o in zip(tags, sent, strict=True) if tag <= arriving and tag not in nacked]
        for _, outgoing in taken:
            broker.take(outgoing)
        if fault is not None:
            world.tell(self._process.name, f"{fault}: {len(taken)} of {len(sent)} arrived")
        self._reach()
        answers = [(tag, True) for tag, _ in taken] + [(tag, False) for tag in sorted(nacked)]
        world.random.shuffle(answers)
        if fault == "confirms lost" or (fault == "publication torn" and answers):
            heard = world.random.randrange(len(answers)) if answers else 0
            answers = answers[:heard]
            if world.random.random() < 0.5:
                self._process.sleep(CONFIRM_TIMEOUT)
        for tag, confirmed in answers:
            confirms.answer(tag, multiple=False, confirmed=confirmed)
        statuses: dict[str, Status] = {
            sent.item.run_id: "confirmed" if sent.confirmed else "unknown" for sent in confirms.take()
        }
        world.tell(
            self._process.name, f"published {len(batch)}, {len(answers)} answers, {len(dropped)} expired"
        )
        return [
            Outcome(o.run_id, "expired" if o.run_id in dropped else statuses.get(o.run_id, "unknown"))
            for o in batch
        ]

    def pump(self) -> None:
        self._require()

    def close(self) -> None: ...

    def _require(self) -> None:
        if self._broker.away:
            raise BrokerUnavailable("connection refused")

    def _reach(self) -> None:
        fault = self._broker.faults.strikes(*ANY_STEP)
        if fault is not None:
            self._broker.world.tell(self._process.name, f"while publishing: {fault}")
            if fault == "node killed":
                self._process.crash()
            self._process.freeze(self._broker.world.random.uniform(1.0, 30.0))
        self._process.sleep(self._broker.world.random.random() * 0.02)


class Consumer:
    """Of the queue of reports, for one node; what it took and did not acknowledge comes again."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self._process = process
        self._taken: list[Report] = []
        self.close_with_process()

    def close_with_process(self) -> None:
        if self._broker.away:
            raise BrokerUnavailable("connection refused")

    def receive(self, timeout: float) -> Consumer:
        if self._broker.away:
            raise BrokerUnavailable("connection lost")
        if not self._broker.reports:
            self._process.sleep(timeout)
        self._taken, self._broker.reports = self._broker.reports, []
        return self

    # what `receive` gives

    rejected = 0

    @property
    def reports(self) -> list[Report]:
        return self._taken

    def ack(self) -> None:
        if self._broker.away:
            self.requeue()
            raise BrokerUnavailable("connection lost")
        self._taken = []

    def requeue(self) -> None:
        taken, self._taken = self._taken, []
        self._broker.reports += taken

    def close(self) -> None:
        self.requeue()
