"""One instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from beatd.schedules.base import Schedule, as_utc


@dataclass(frozen=True, slots=True)
class OnceSchedule(Schedule):
    """Fires at `at` and never again."""

    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", as_utc(self.at))

    def next_fire_time(self, after: datetime) -> datetime | None:
        return self.at if self.at > after else None
