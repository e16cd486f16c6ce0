"""The disk of a server is full."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.faults.injectors.injector import Injector
from tests.faults.injectors.world import World
from tests.services.disk import Disk


class FullDisk(Injector):
    """No room for a server's files for a while; one that dies of it is started again."""

    name = "full disk"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.side, self.server = random.choice(_with_disk(world))
        self.touches = frozenset({self.side})
        self.disk: Disk = self.server.disk
        self.leave = random.choice([0, 64 * 1024, 1024 * 1024])
        self.lasts = self.seconds(1, 2 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        return bool(_with_disk(world))

    def inject(self) -> str:
        self.disk.fill(self.leave)
        return f"the {self.side}'s disk is full up to {self.leave} bytes for {self.lasts} s"

    def heal(self) -> str:
        self.disk.empty()
        if self.server is self.world:  # SQLite
            return "there is room again"
        lived = "lived through it"
        if not self._answers():
            self.server.kill9()
            lived = "is started again"
        self.server.start()
        return f"there is room again; {self.server.name} {lived}"

    def _answers(self) -> bool:
        try:
            self.server.ask_version()
        except Exception:
            return False
        return bool(self.server.running)


def _with_disk(world: World) -> list[tuple[str, Any]]:
    """The servers whose data lies on a `tests.services.disk.Disk`; the world itself for SQLite's file."""
    sides = [("database", world.database or world), ("broker", world.broker)]
    return [(side, server) for side, server in sides if getattr(server, "disk", None) is not None]


INJECTORS = (FullDisk,)
