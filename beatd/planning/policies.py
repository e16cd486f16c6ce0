"""The policies of an entry, their values and defaults (SEMANTICS: Policies)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Misfire = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip", "queue", "cancel"]
OnFailure = Literal["continue", "pause"]
OnLost = Literal["continue", "rerun"]

MISFIRES: tuple[Misfire, ...] = ("skip", "latest", "all")
OVERLAPS: tuple[Overlap, ...] = ("allow", "skip", "queue", "cancel")
ON_FAILURE: tuple[OnFailure, ...] = ("continue", "pause")
ON_LOST: tuple[OnLost, ...] = ("continue", "rerun")

#: A fire that is more than this late is a misfire.
MISFIRE_AFTER = timedelta(seconds=60)

#: Bounds of an expiry that is set by the next fire: at least so long after the run is due, at most so long
#: after its fire, which also holds where there is no next.
SHORTEST_EXPIRY = timedelta(seconds=30)
LONGEST_EXPIRY = timedelta(hours=24)

LOST_AFTER = timedelta(hours=24)

#: How long a run that cancels an earlier one waits for its end.
CANCEL_PATIENCE = timedelta(seconds=10)

#: A run that is still `published` this long after its expiry counts as expired.
EXPIRY_SLACK = timedelta(seconds=60)

#: How often a run that is lost is started again under `on_lost: rerun`: a task that kills its worker must
#: not do so for ever.
RERUNS = 3


@dataclass(frozen=True, slots=True)
class Policies:
    """`expires` is a duration after the fire time, "next" or "never"; `misfire_grace` None: until expiry.

    `failure_limit` is the number of failures in a row after which `on_failure: pause` pauses the entry.
    """

    expires: timedelta | Literal["next", "never"] = "next"
    misfire: Misfire = "latest"
    misfire_grace: timedelta | None = None
    misfire_limit: int = 100
    overlap: Overlap = "allow"
    on_failure: OnFailure = "continue"
    failure_limit: int = 3
    on_lost: OnLost = "continue"
    lost_after: timedelta = LOST_AFTER
