"""The database's standby takes over, and the old primary becomes the new one's standby."""

from __future__ import annotations

from random import Random

from tests.faults.injectors.injector import Injector
from tests.faults.injectors.world import World


class Failover(Injector):
    """The primary dies, or is ended in good order; the synchronous standby is promoted at once."""

    name = "database failover"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.touches = frozenset({"database"})
        self.orderly = random.random() < 0.25
        self.lasts = self.seconds(1, 2 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        return hasattr(world.database, "fail_over")

    def inject(self) -> str:
        old = self.world.database.port
        self.world.database.fail_over(orderly=self.orderly)
        how = "ended" if self.orderly else "killed"
        return f"primary at port {old} {how}, standby at {self.world.database.port} promoted"

    def heal(self) -> str:
        self.world.database.rejoin()
        return f"the one at port {self.world.database.standby.port} follows as standby"


class StandbyAway(Injector):
    """The synchronous standby is dead: no COMMIT is answered until it is back."""

    name = "standby away"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.touches = frozenset({"database"})
        self.lasts = self.seconds(0.5, 1.5 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        return hasattr(world.database, "standby")

    def inject(self) -> str:
        self.world.database.standby.kill9()
        return f"synchronous standby killed for {self.lasts} s"

    def heal(self) -> str:
        self.world.database.start()
        return "the standby has caught up"


INJECTORS = (Failover, StandbyAway)
