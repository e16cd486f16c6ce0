"""Nodes and workers are killed, paused and started again."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import psutil

from tests.faults.injectors.injector import Injector, NothingToHurt
from tests.faults.injectors.world import Handle, World


class KillNode(Injector):
    """kill -9 of a scheduler node, which stays away for a while."""

    name = "kill -9 node"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose(world.nodes)
        # now shorter, now longer than it takes the others to notice
        self.lasts = self.seconds(0.2, 2 * world.lease)

    def inject(self) -> str:
        pid = self.handle.pid
        self.handle.kill9()
        return f"{self.handle.name} (pid {pid}) killed, back in {self.lasts} s"

    def heal(self) -> str:
        self.handle.restart()
        return f"{self.handle.name} started again as pid {self.handle.pid}"


class KillWorker(Injector):
    """kill -9 of a worker with its pool and what they run."""

    name = "kill -9 worker"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose(world.workers)
        self.lasts = self.seconds(0.2, world.lease)

    def inject(self) -> str:
        pid = self.handle.pid
        self.handle.kill9()
        return f"{self.handle.name} (pid {pid}) and its pool killed, back in {self.lasts} s"

    def heal(self) -> str:
        self.handle.restart()
        return f"{self.handle.name} started again as pid {self.handle.pid}"


class KillPoolChild(Injector):
    """kill -9 of one process of a worker's pool, and of what it runs; the worker itself makes a new one."""

    name = "kill -9 pool process"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose(world.workers)

    def inject(self) -> str:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.handle.pid).children()
            for child in sorted(children, key=lambda _: self.random.random()):
                family = [child, *child.children(recursive=True)]
                for member in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        member.kill()
                return (
                    f"pool process {child.pid} of {self.handle.name} killed, with {len(family) - 1} below it"
                )
        raise NothingToHurt(f"{self.handle.name} has no pool just now")

    def heal(self) -> str:
        return f"{self.handle.name} sees to it itself"


class _Pause(Injector):
    """SIGSTOP, and SIGCONT a while later."""

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self._chosen()
        lease = world.lease
        # a hiccup, about as long as the others wait, or far beyond
        least, most = random.choice([(0.1, 1.0), (0.7 * lease, 1.3 * lease), (1.5 * lease, 3 * lease)])
        self.lasts = self.seconds(least, most)
        self._stopped: list[psutil.Process] = []

    def _chosen(self) -> Handle:
        raise NotImplementedError

    def inject(self) -> str:
        try:
            process = psutil.Process(self.handle.pid)
            # the parent first, so that it makes no new child behind our back
            process.send_signal(signal.SIGSTOP)
            self._stopped = [process]
            for child in process.children(recursive=True):
                child.send_signal(signal.SIGSTOP)
                self._stopped.append(child)
        except psutil.NoSuchProcess:
            if not self._stopped:
                raise NothingToHurt(f"{self.handle.name} has ended") from None
        return f"{self.handle.name} paused for {self.lasts} s ({len(self._stopped)} processes)"

    def heal(self) -> str:
        woken = 0
        for process in self._stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
                woken += 1
        self._stopped = []
        return f"{self.handle.name} goes on ({woken} processes)"


class PauseNode(_Pause):
    """A node stands still, and wakes when its work may long be another's."""

    name = "SIGSTOP node"

    def _chosen(self) -> Handle:
        return self.choose(self.world.nodes)


class PauseWorker(_Pause):
    name = "SIGSTOP worker"

    def _chosen(self) -> Handle:
        return self.choose(self.world.workers)


class RestartNode(Injector):
    """SIGTERM, and a new process at once: what a deploy or systemd does."""

    name = "restart node"
    patience: ClassVar[float] = 60

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose(self._handles(world))

    def _handles(self, world: World) -> Sequence[Handle]:
        return world.nodes

    def inject(self) -> str:
        status = self.handle.stop(self.patience)
        self.handle.restart()
        return f"{self.handle.name} ended with {status}, started again as pid {self.handle.pid}"

    def heal(self) -> str:
        self.handle.restart()
        return f"{self.handle.name} is back"


class RestartWorker(RestartNode):
    name = "restart worker"

    def _handles(self, world: World) -> Sequence[Handle]:
        return world.workers


INJECTORS = (KillNode, KillWorker, KillPoolChild, PauseNode, PauseWorker, RestartNode, RestartWorker)
