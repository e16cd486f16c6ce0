"""Which fault comes when: chosen by the seed, one at a time or several at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.suite.world import World

#: Seconds from one fault to the next, by the seed: about one every six, so that several overlap at times.
APART = (3.0, 9.0)
_TRIES = 12
#: So many at a time at the most: a world in which all is broken shows nothing.
_AT_ONCE = 4


@dataclass(slots=True)
class Fault:
    """One that was injected. `told` is what the injector said of it."""

    kind: str
    at: datetime
    told: str = ""
    healed_at: datetime | None = None
    error: str = ""


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def named(kinds: Sequence[type[Injector]], words: str) -> list[type[Injector]]:
    """`all`, or names between commas: whole (`kill-9-node`), or a few words of one (`kill-node`).

    Raises ValueError, which tells those that there are.
    """
    if words == "all":
        return list(kinds)
    chosen: list[type[Injector]] = []
    for word in filter(None, words.split(",")):
        exact = [kind for kind in kinds if slug(kind.name) == slug(word)]
        parts = set(slug(word).split("-"))
        found = exact or [kind for kind in kinds if parts <= set(slug(kind.name).split("-"))]
        if not found:
            raise ValueError(f"no fault {word!r}; there are: {', '.join(slug(kind.name) for kind in kinds)}")
        chosen += [kind for kind in found if kind not in chosen]
    return chosen


class Storm:
    """`step` after `step` until it is time; then `calm`."""

    def __init__(self, world: World, kinds: Sequence[type[Injector]], random: Random) -> None:
        self.faults: list[Fault] = []
        self._world = world
        self._kinds = list(kinds)
        self._random = random
        self._lock = threading.Lock()
        self._touched: list[frozenset[str]] = []
        self._calm = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="fault")
        self._running: set[Future[None]] = set()

    def pause(self) -> float:
        """Seconds until the next one."""
        return self._random.uniform(*APART)

    def step(self) -> Fault | None:
        """Begin a fault that can be had now; None if there is none."""
        self._running = {future for future in self._running if not future.done()}
        if len(self._running) >= _AT_ONCE:
            return None
        for _ in range(_TRIES):
            kind = self._random.choice(self._kinds)
            try:
                injector = kind(self._world, self._random)
            except NothingToHurt:
                continue
            with self._lock:
                if any(injector.touches & touched for touched in self._touched):
                    continue
                self._touched.append(injector.touches)
            fault = Fault(kind.name, datetime.now(UTC))
            self.faults.append(fault)
            self._running.add(self._pool.submit(self._suffer, injector, fault))
            return fault
        return None

    def calm(self) -> None:
        """Heal everything; returns when it is."""
        self._calm.set()
        self._pool.shutdown(wait=True)

    def _suffer(self, injector: Injector, fault: Fault) -> None:
        try:
            fault.told = injector.inject()
            self._calm.wait(injector.lasts)
        except NothingToHurt as nothing:
            fault.error = f"nothing to hurt: {nothing}"
        except Exception as error:
            fault.error = f"inject: {error!r}"[:500]
        try:
            fault.told += f"; {injector.heal()}"
        except Exception as error:
            fault.error += f" heal: {error!r}"[:500]
        fault.healed_at = datetime.now(UTC)
        with self._lock:
            self._touched.remove(injector.touches)
