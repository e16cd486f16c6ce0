"""What goes wrong, and when: the seed's plan of faults, each armed at its time, to strike where it fits.

A step is where a process talks to something outside of it, or waits: the begin of a transaction, its
commit, the answer to it, a publication, its confirms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.world import World

#: Struck at the steps of nodes. The weights are how often the plan takes each.
AT_STEPS = {
    "node killed": 5,
    "node paused": 5,
    "commit failed": 3,
    "commit's answer lost": 4,
    "deadlock": 2,
    "commit slow": 2,
    "publication lost": 2,
    "publication torn": 3,
    "confirms lost": 4,
    "messages nacked": 2,
    "worker killed before its claim": 1,
    "worker killed after its claim": 1,
    "worker killed at work": 1,
    "worker killed before its report": 1,
    "worker paused": 2,
    "claim's answer lost": 1,
    "delivered twice": 4,
    "report lost": 3,
    "report late": 3,
    "report doubled": 3,
}

#: Struck at their time, whatever anybody does.
AT_TIMES = {
    "database away": 3,
    "broker away": 3,
    "broker blocked": 3,
    "clock stepped": 2,
}

#: Faults that an installation can see at any moment of a node's life.
ANY_STEP = ("node killed", "node paused")


class Faults:
    """Counts what struck. Nothing strikes any more after `end`."""

    def __init__(self, world: World, number: int, seconds: float) -> None:
        """`number` faults within that many seconds."""
        self._world = world
        self._armed: list[str] = []
        self.struck: Counter[str] = Counter()
        self.ended = False
        #: how faults that need no step are done
        self.at_once: dict[str, Callable[[], None]] = {}
        plan = {**AT_STEPS, **AT_TIMES}
        kinds = world.random.choices(list(plan), list(plan.values()), k=number)
        for kind in kinds:
            world.at(1.0 + world.random.random() * (seconds - 1.0), lambda kind=kind: self._arm(kind))

    def strikes(self, *kinds: str) -> str | None:
        """Which of these strikes at this step, if any."""
        if not self._armed:
            return None
        for kind in kinds:
            if kind in self._armed and self._world.random.random() < 0.4:
                self._armed.remove(kind)
                self.struck[kind] += 1
                return kind
        return None

    def end(self) -> None:
        self.ended = True
        self._armed.clear()

    def _arm(self, kind: str) -> None:
        if self.ended:
            return
        if kind in self.at_once:
            self.struck[kind] += 1
            self.at_once[kind]()
        else:
            self._armed.append(kind)

    def chosen(self, of: Sequence[str]) -> str:
        return self._world.random.choice(of)
