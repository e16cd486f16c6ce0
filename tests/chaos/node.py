"""A simulated node: the real dispatcher, feed, outbox, intake and sweep, in loops like the daemon's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from beatd.dispatch.deadlines import find_forgotten, sweep
from beatd.dispatch.dispatcher import Batch, Dispatcher
from beatd.dispatch.feed import Feed
from beatd.dispatch.outbox import CAPACITY, Outbox
from beatd.dispatch.reports import Intake
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.store import runs
from tests.chaos.broker import Broker, Consumer, Publisher
from tests.chaos.database import Faulty, Server
from tests.chaos.faults import Faults
from tests.chaos.workers import Workers
from tests.chaos.world import Process, World

LEASE = timedelta(seconds=10)
BATCH = 40


class WaitingOutbox(Outbox):
    """Waits in simulated time for room."""

    process: Node

    def offer(self, batch: Batch, timeout: float) -> bool:
        if not super().offer(batch, 0):
            self.process.sleep(timeout)
            if not super().offer(batch, 0):
                return False
        self.process.wake("publish")
        assert self._waiting.qsize() <= CAPACITY
        return True


class Node(Process):
    """One life of it. Its loops rest `poll` seconds at most where nothing is to be done."""

    def __init__(self, world: World, name: str, server: Server, faults: Faults, poll: Callable[[], float]):
        super().__init__(world, name)
        self.id = str(UUID(int=world.random.getrandbits(128), version=4))
        self._poll = poll
        self._troubled = False
        self._database = Faulty(server, self, faults)

    def start(self, installation: str, broker: Broker, workers: Workers, dead: str | None) -> None:
        """`dead`: the node of this host that this one has seen to be no more."""
        self._dispatcher = Dispatcher(self._database, self.id, installation, batch=BATCH, lease=LEASE)
        self._outbox = WaitingOutbox(
            self._database, self.id, lambda: Publisher(broker, self), workers.ask_to_end, lease=LEASE
        )
        self._outbox.process = self
        self._feed = Feed(self._outbox, self._publishes, lambda: None)
        self._consumer: Consumer | None = None
        self._broker = broker
        self._intake = Intake(self._database, self._connect)
        self._dead = dead
        self.spawn("dispatch", self._loop(self._dispatch))
        self.spawn("publish", self._loop(self._publish, publishes=True))
        self.spawn("reports", self._loop(self._take_in))
        self.spawn("upkeep", self._loop(self._sweep))
        self.world.tell(self.name, "starts")

    def kill(self) -> None:
        super().kill()
        self.world.tell(self.name, "is dead")
        if self._consumer is not None:
            self._consumer.requeue()

    @property
    def idle(self) -> bool:
        return self._outbox.idle

    def _connect(self) -> Consumer:
        self._consumer = Consumer(self._broker, self)
        return self._consumer

    def _publishes(self) -> bool:
        return not self._troubled and not self._outbox.blocked

    # As `beatd.dispatch.loop.Loop` does it

    def _loop(self, step: Callable[[], float], *, publishes: bool = False) -> Callable[[], None]:
        def run() -> None:
            pause = 0.2
            while True:
                try:
                    rest = step()
                except (DatabaseUnavailable, BrokerUnavailable) as error:
                    self.world.tell(self.name, f"{step.__name__}: {error}")
                    rest, pause = pause, min(pause * 2, 5.0)
                    if publishes:
                        self._troubled = True
                    self.sleep(rest)
                    continue
                pause = 0.2
                if publishes:
                    self._troubled = False
                self.rest(rest)

        return run

    def _dispatch(self) -> float:
        idle = self._feed.run_once(self._dispatcher)
        return max(0.01, min(idle, self._poll() * (0.7 + 0.3 * self.world.random.random())))

    def _publish(self) -> float:
        done = self._outbox.run_once(0)
        if done.published or done.unconfirmed or not self._outbox.idle:
            return 0.02
        return self._poll()

    def _take_in(self) -> float:
        if self._intake.run_once(self._poll() / 2).awaited_ends:
            self._feed.wake()
            self.wake("dispatch")
        return 1.0 + self.world.random.random() * 2

    def _sweep(self) -> float:
        if self._dead is not None:
            with self._database.write() as connection:
                runs.release_owned_by(connection, [self._dead], self._database.now(connection))
            self._dead = None
        sweep(self._database, reports=True, publish_again_after=None)
        if self.world.random.random() < 0.2:
            find_forgotten(self._database)
        return self._poll() * 2.5 * (0.7 + 0.3 * self.world.random.random())
