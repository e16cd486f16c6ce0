"""What happens to the connections of one process, by way of the proxies that it talks through."""

from __future__ import annotations

from random import Random

from tests.faults.injectors import proxy as wire
from tests.faults.injectors.injector import Injector
from tests.faults.injectors.proxy import Proxy
from tests.faults.injectors.world import Handle, World


class _Network(Injector):
    """A fault of all connections of one process to the database, to the broker, or to both."""

    #: Which sides it may hit.
    sides: tuple[str, ...] = ("database", "broker", "both")

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose([*world.nodes, *world.workers])
        sides = [side for side in self.sides if side != "both" and proxies_of(self.handle, side)]
        if len(sides) == 2 and "both" in self.sides:
            sides.append("both")
        self.side = random.choice(sides)
        self.proxies = proxies_of(self.handle, self.side)
        self.lasts = self.seconds(0.3, 2.5 * world.lease)

    @classmethod
    def applies(cls, world: World) -> bool:
        handles = [*world.nodes, *world.workers]
        sides = [side for side in cls.sides if side != "both"]
        return all(any(proxies_of(handle, side) for side in sides) for handle in handles)

    @property
    def where(self) -> str:
        return f"{self.handle.name} and " + ("both servers" if self.side == "both" else f"its {self.side}")

    def inject(self) -> str:
        for proxy in self.proxies:
            self._hurt(proxy)
        return f"{self._what()} between {self.where} for {self.lasts} s"

    def heal(self) -> str:
        for proxy in self.proxies:
            proxy.set()
        return f"all is well between {self.where}"

    def _hurt(self, proxy: Proxy) -> None:
        raise NotImplementedError

    def _what(self) -> str:
        return self.name


class BlackHole(_Network):
    """Nothing passes, nobody is told. When it ends, either what was sent arrives late, or all is reset."""

    name = "black hole"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.forgets = random.random() < 0.3

    def _hurt(self, proxy: Proxy) -> None:
        proxy.set("blackhole")

    def heal(self) -> str:
        # a firewall in between that has forgotten its connections
        forgotten = sum(proxy.reset() for proxy in self.proxies) if self.forgets else 0
        return super().heal() + (f"; {forgotten} connections reset" if self.forgets else "")


class HalfOpen(_Network):
    """Requests arrive, answers do not."""

    name = "half-open"

    def _hurt(self, proxy: Proxy) -> None:
        proxy.set("halfopen")


class Latency(_Network):
    name = "latency"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.latency = round(random.choice([0.005, 0.03, 0.2]), 3)

    def _hurt(self, proxy: Proxy) -> None:
        proxy.set(latency=self.latency, jitter=self.latency)

    def _what(self) -> str:
        return f"{self.latency * 1000:g} to {self.latency * 2000:g} ms each way"


class Refused(_Network):
    """What is connected is reset, and nobody gets in."""

    name = "refused"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.mode = random.choice(["refuse", "reset"])

    def _hurt(self, proxy: Proxy) -> None:
        proxy.set(self.mode)
        proxy.reset()

    def _what(self) -> str:
        return f"connections are {'refused' if self.mode == 'refuse' else 'taken and reset'}"


class Reset(_Network):
    """All connections are reset, in the middle of whatever they carry; new ones work."""

    name = "reset"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.lasts = 0.0

    def inject(self) -> str:
        count = sum(proxy.reset() for proxy in self.proxies)
        return f"{count} connections between {self.where} reset"


class Cut(_Network):
    """A connection is reset when it has sent a number of bytes more: half a message has arrived."""

    name = "cut"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.after = random.randint(1, 5000)

    def _hurt(self, proxy: Proxy) -> None:
        proxy.cut(self.after)

    def _what(self) -> str:
        return f"cut after {self.after} bytes more"


class _Lost(_Network):
    """Armed for a while: the next answers of a kind are swallowed, and their connections reset."""

    before = False

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.times = random.choice([1, 1, 3])
        self.lasts = self.seconds(1, 3)
        self.sought = self._sought(world)
        self._lost_already = 0

    def _sought(self, world: World) -> tuple[bytes, bytes]:
        raise NotImplementedError

    def inject(self) -> str:
        self._lost_already = self._lost()
        return super().inject()

    def _hurt(self, proxy: Proxy) -> None:
        proxy.lose(self.sought, before=self.before, times=self.times)

    def heal(self) -> str:
        return f"{self._lost() - self._lost_already} lost; " + super().heal()

    def _lost(self) -> int:
        return sum(proxy.seen()["lost"] for proxy in self.proxies)


class LostCommitAnswer(_Lost):
    """COMMIT has taken effect, and who said it does not hear so."""

    name = "lost answer to COMMIT"
    sides = ("database",)

    def _sought(self, world: World) -> tuple[bytes, bytes]:
        # PostgreSQL says "COMMIT" when it is done; MariaDB says OK, as it does of everything
        return wire.MARIADB_COMMIT if world.database.name == "MariaDB" else wire.POSTGRES_COMMITTED


class LostCommit(_Lost):
    """COMMIT does not arrive: nothing has taken effect, and who said it cannot know."""

    name = "COMMIT that fails"
    sides = ("database",)
    before = True

    def _sought(self, world: World) -> tuple[bytes, bytes]:
        return wire.MARIADB_COMMIT if world.database.name == "MariaDB" else wire.POSTGRES_COMMIT


class LostConfirm(_Lost):
    """The broker has taken a message, and the publisher does not hear so."""

    name = "lost confirm"
    sides = ("broker",)

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose(world.nodes)
        self.proxies = proxies_of(self.handle, "broker")

    def _sought(self, world: World) -> tuple[bytes, bytes]:
        return wire.REDIS_PUSH if world.broker.name == "Redis" else wire.AMQP_CONFIRM


def proxies_of(handle: Handle, side: str) -> list[Proxy]:
    broker = [handle.broker_proxy] if handle.broker_proxy is not None else []
    return [
        *(handle.database_proxies if side in ("database", "both") else []),
        *(broker if side in ("broker", "both") else []),
    ]


INJECTORS = (
    BlackHole, HalfOpen, Latency, Refused, Reset, Cut, LostCommitAnswer, LostCommit, LostConfirm,
)  # fmt: skip
