"""The policies of an entry, their values and defaults (SEMANTICS: Policies)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Misfire = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip"]

MISFIRES: tuple[Misfire, ...] = ("skip", "latest", "all")
OVERLAPS: tuple[Overlap, ...] = ("allow", "skip")

#: A fire that is more than this late is a misfire.
MISFIRE_AFTER = timedelta(seconds=60)

#: Bounds of an expiry that is set by the next fire; the upper one also holds where there is no next.
SHORTEST_EXPIRY = timedelta(seconds=30)
LONGEST_EXPIRY = timedelta(hours=24)

LOST_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Policies:
    """`expires` is a duration after the fire time, "next" or "never"; `misfire_grace` None: until expiry."""

    expires: timedelta | Literal["next", "never"] = "next"
    misfire: Misfire = "latest"
    misfire_grace: timedelta | None = None
    misfire_limit: int = 100
    overlap: Overlap = "allow"
    lost_after: timedelta = LOST_AFTER
