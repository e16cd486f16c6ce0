"""Simulated time for tests of schedules: "what would have run in March?"

    from beatd.testing import Simulation

    world = Simulation(start="2026-03-01T00:00Z", timezone="Europe/Berlin")
    world.add("backup", cron="30 2 * * *", task="proj.backup", overlap="skip", duration="3h")
    world.run_until("2026-04-01T00:00Z")
    assert len(world.runs("backup")) == 31

Plain Python: no database, no broker, no waiting. What is decided is decided by the code that decides in the
daemon.
"""

from beatd.planning.world import Run, Suppressed
from beatd.testing.invariants import check, violations
from beatd.testing.inventions import between, chances, drawn
from beatd.testing.simulation import Simulation

__all__ = ["Run", "Simulation", "Suppressed", "between", "chances", "check", "drawn", "violations"]
