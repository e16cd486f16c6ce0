"""Real faults on real servers and processes, each a small class; the suite drives them.

    for kind in INJECTORS:
        if kind.applies(world):
            fault = kind(world, Random(seed))     # NothingToHurt: no target just now
            print(fault.inject()); wait(fault.lasts); print(fault.heal())

`world` is what `injectors.world.World` says.

    processes   nodes and workers are killed, paused, restarted
    servers     so are broker and database; RabbitMQ raises its alarms
    network     what connections suffer, by way of `proxy`
    sessions    locks, deadlocks, refusals, limits and kills in the database
    failover    the database's standby takes over
    disks       full ones
    clocks      the wall clock of one node, or of the database, steps, by way of `clock`
    versions    another version beside the old one, a migration while all run
"""

from __future__ import annotations

from tests.faults.injectors import clocks, disks, failover, network, processes, servers, sessions, versions
from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.injectors.world import Handle, World

INJECTORS: tuple[type[Injector], ...] = (
    *processes.INJECTORS,
    *servers.INJECTORS,
    *network.INJECTORS,
    *sessions.INJECTORS,
    *failover.INJECTORS,
    *disks.INJECTORS,
    *clocks.INJECTORS,
    *versions.INJECTORS,
)

__all__ = ["INJECTORS", "Handle", "Injector", "NothingToHurt", "World"]
