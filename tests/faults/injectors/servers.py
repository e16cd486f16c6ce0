"""Broker and database are killed and restarted; RabbitMQ raises its alarms."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.faults.injectors.injector import Injector
from tests.faults.injectors.world import World


class _Server(Injector):
    """A fault of a whole server."""

    touched: str

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.server: Any = self._of(world)
        self.touches = frozenset({self.touched})

    @classmethod
    def _of(cls, world: World) -> Any:
        return world.database if cls.touched == "database" else world.broker

    @classmethod
    def applies(cls, world: World) -> bool:
        return cls._of(world) is not None


class _Kill(_Server):
    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.lasts = self.seconds(0.2, 2 * world.lease)

    def inject(self) -> str:
        pid = self.server.pid
        self.server.kill9()
        return f"{self.server.name} (pid {pid}) killed for {self.lasts} s"

    def heal(self) -> str:
        self.server.start()
        return f"{self.server.name} serves again as pid {self.server.pid}"


class _Restart(_Server):
    def inject(self) -> str:
        self.server.stop()
        self.server.start()
        return f"{self.server.name} restarted, now pid {self.server.pid}"

    def heal(self) -> str:
        self.server.start()
        return f"{self.server.name} serves"


class KillDatabase(_Kill):
    name = "kill -9 database"
    touched = "database"


class KillBroker(_Kill):
    name = "kill -9 broker"
    touched = "broker"


class RestartDatabase(_Restart):
    name = "restart database"
    touched = "database"


class RestartBroker(_Restart):
    name = "restart broker"
    touched = "broker"


class _Alarm(_Server):
    """RabbitMQ tells its publishers that they are blocked, and reads nothing more of what they send."""

    touched = "broker"
    raising: str
    ending: str
    what: str

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.lasts = self.seconds(0.5, 2.5 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        return getattr(world.broker, "name", "") == "RabbitMQ"

    def inject(self) -> str:
        self.server.eval(self.raising)
        alarms = self.server.eval("rabbit_alarm:get_alarms().")
        return f"RabbitMQ's {self.what} alarm for {self.lasts} s: {alarms}"

    def heal(self) -> str:
        # a server that died meanwhile starts with its configuration's limits
        if self.server.running:
            self.server.eval(self.ending)
        return f"RabbitMQ's {self.what} alarm is over"


class MemoryAlarm(_Alarm):
    name = "memory alarm"
    what = "memory"
    raising = "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1})."
    ending = 'vm_memory_monitor:set_vm_memory_high_watermark({absolute, "2GB"}).'


class DiskAlarm(_Alarm):
    name = "disk alarm"
    what = "disk"
    raising = "rabbit_disk_monitor:set_disk_free_limit({mem_relative, 1000000.0})."
    ending = 'rabbit_disk_monitor:set_disk_free_limit("50MB").'


INJECTORS = (KillDatabase, KillBroker, RestartDatabase, RestartBroker, MemoryAlarm, DiskAlarm)
