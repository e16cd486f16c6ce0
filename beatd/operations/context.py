"""Who asks, by which door, and what their requests are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from beatd.config import Settings
from beatd.store.engine import Database
from beatd.worker import arguments

Door = Literal["cli", "api", "crontab"]
ArgumentCheck = Callable[[str, Sequence[Any], Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Context:
    """`timezone` is the zone of entries that name none; `check_arguments(task, args, kwargs)` raises
    FieldError; `reports` tells whether workers report what becomes of a run; a scheduler that was not
    heard of within `node_timeout` is gone.
    """

    database: Database
    who: str
    door: Door
    timezone: str = "UTC"
    check_arguments: ArgumentCheck = arguments.check
    reports: bool = True
    node_timeout: timedelta = timedelta(seconds=30)

    @classmethod
    def of(cls, settings: Settings, database: Database, who: str, door: Door) -> Context:
        return cls(
            database,
            who,
            door,
            settings.timezone,
            reports=settings.celery.reports,
            node_timeout=settings.scheduler.node_timeout,
        )
