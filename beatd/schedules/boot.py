"""Once per boot of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from beatd.schedules.base import Schedule


@dataclass(frozen=True, slots=True)
class BootSchedule(Schedule):
    """`@reboot`. Nobody knows a boot beforehand: it has no fire times ahead, and the daemon that starts first
    after a boot makes the run. `host`: the one machine that it is for; None: every one."""

    host: str | None = None

    def next_fire_time(self, after: datetime) -> datetime | None:
        return None
