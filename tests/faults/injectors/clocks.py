"""The wall clock of one node steps."""

from __future__ import annotations

from random import Random

from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.injectors.world import World

HOUR = 3600


class ClockStep(Injector):
    """One node's clock is set, forward or back, by seconds, an hour or a day, and set right later."""

    name = "clock step"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose([node for node in world.nodes if node.clock is not None])
        if self.handle.clock is None:
            raise NothingToHurt(f"{self.handle.name} has the machine's clock")
        self.clock = self.handle.clock
        self.by = random.choice([-1, 1]) * random.choice([0.3, 2, 2, HOUR, 24 * HOUR])
        self.lasts = self.seconds(0.5, 3 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        # SQLite has no clock of its own: the nodes' is the database's, and then they are one machine
        return world.database is not None and any(node.clock is not None for node in world.nodes)

    def inject(self) -> str:
        self.clock.set(self.by)
        return f"the clock of {self.handle.name} steps by {self.by:+g} s for {self.lasts} s"

    def heal(self) -> str:
        self.clock.set(0)
        return f"the clock of {self.handle.name} is right again"


class DatabaseClockStep(Injector):
    """The database server's clock, by which all is decided, steps a little: as NTP might set it."""

    name = "clock step of the database"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.touches = frozenset({"database"})
        self.by = random.choice([-2.0, -0.5, 0.5, 2.0])
        self.lasts = self.seconds(1, 2 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        return getattr(world.database, "clock", None) is not None

    def inject(self) -> str:
        self.world.database.clock.set(self.by)
        return f"the clock of {self.world.database.name} steps by {self.by:+g} s for {self.lasts} s"

    def heal(self) -> str:
        self.world.database.clock.set(0)
        return f"the clock of {self.world.database.name} is right again"


INJECTORS = (ClockStep, DatabaseClockStep)
