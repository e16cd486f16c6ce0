"""A simulated world: the planner and its policies on a clock that is turned (see `beatd.testing`)."""

from beatd.planning.world.history import Entry, Run, Suppressed, Task, Version
from beatd.planning.world.world import Boot, World

__all__ = ["Boot", "Entry", "Run", "Suppressed", "Task", "Version", "World"]
