"""What every fault is: chosen and timed by a seeded random, put in, and taken away again."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from tests.faults.injectors.world import Handle, World


class NothingToHurt(Exception):
    """There is no target for this fault just now (every node is down already); choose another one."""


class Injector:
    """One fault on one target.

    Made, it has made up its mind: the target, the form and `lasts` come from the random that it was handed,
    so the same seed in the same world means the same fault. `inject` and `heal` return one line
    each of what they did, for the table and for a replay. `heal` may be called twice, and after an `inject`
    that failed half-way; it leaves things as they were before.
    """

    #: What the table calls it.
    name: ClassVar[str]

    def __init__(self, world: World, random: Random) -> None:
        """Raises NothingToHurt."""
        self.world = world
        self.random = random
        #: Seconds between `inject` and `heal`.
        self.lasts = 0.0
        #: What it works upon: "database", "broker", the name of a process. Two faults at the same time should
        #: have nothing of it in common.
        self.touches: frozenset[str] = frozenset()

    @classmethod
    def applies(cls, world: World) -> bool:
        """Whether a world of this kind can have the fault at all; asked once."""
        return True

    def inject(self) -> str:
        raise NotImplementedError

    def heal(self) -> str:
        raise NotImplementedError

    # For the faults of processes.

    def choose(self, handles: Sequence[Handle]) -> Handle:
        """One that runs. Raises NothingToHurt."""
        running = [handle for handle in handles if handle.running]
        if not running:
            raise NothingToHurt(f"{self.name}: no process of this kind runs")
        chosen = self.random.choice(running)
        self.touches = frozenset({chosen.name})
        return chosen

    def seconds(self, least: float, most: float) -> float:
        """A length by the seed, in steps that read well."""
        return round(self.random.uniform(least, most), 1)
