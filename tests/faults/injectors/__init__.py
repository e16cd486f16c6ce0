"""Real faults on real servers and processes, each a small class; the suite drives them.

    for kind in INJECTORS:
        if kind.applies(world):
            fault = kind(world, Random(seed))     # NothingToHurt: no target just now
            print(fault.inject()); wait(fault.lasts); print(fault.heal())

`world` is what `injectors.world.World` says. `processes` kills, pauses and restarts nodes and workers;
`servers` does so with broker and database, and raises RabbitMQ's alarms.
"""

from __future__ import annotations

from tests.faults.injectors import processes, servers
from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.injectors.world import Handle, World

INJECTORS: tuple[type[Injector], ...] = (*processes.INJECTORS, *servers.INJECTORS)

__all__ = ["INJECTORS", "Handle", "Injector", "NothingToHurt", "World"]
