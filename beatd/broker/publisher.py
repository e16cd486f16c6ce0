"""How the dispatcher publishes, whatever the transport."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from beatd.planning.task import TaskSpec

Status = Literal["confirmed", "refused", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One run to publish. Equal `version` means equal `spec` (its message is prepared once)."""

    run_id: str
    version: Hashable
    spec: TaskSpec
    fire_time: datetime
    expires_at: datetime | None
    #: how often it may start again after its worker vanished; reports of this start carry it
    reruns_left: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`confirmed`: the broker holds it. `refused`: it never will take it, `error` says why.
    `expired`: its expiry had come, nothing was sent. `unknown`: perhaps it holds it; publish again.
    """

    run_id: str
    status: Status
    error: str | None = None


class Publisher(Protocol):
    """Owned by one thread. Reconnects by itself when it is next used."""

    @property
    def blocked(self) -> bool:
        """Whether the broker takes nothing at present (an alarm of memory or disk)."""

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        """One outcome per run, in their order, within `confirm_timeout`.

        No byte of a run is sent from `send_until` on (clock.monotonic): what was not sent is `unknown`.
        A connection that is lost on the way makes the unconfirmed ones `unknown`.
        Raises BrokerUnavailable only when it cannot connect.
        """

    def pump(self) -> None:
        """To be called every few seconds while idle: heartbeats, the broker's notices.

        Raises BrokerUnavailable when the connection was lost or cannot be made again.
        """

    def close(self) -> None: ...
