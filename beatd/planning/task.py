"""What an entry runs and where its message goes: everything Celery needs but the run itself."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SHELL_TASK = "beatd.shell"
HTTP_TASK = "beatd.http"

#: Tasks that ship with beatd claim their run before they start: delivered twice, they run once.
RUN_ONCE_TASKS = frozenset({SHELL_TASK, HTTP_TASK})


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task call and its routing; fields are Celery's `send_task` options. None means Celery's default.

    `time_limit` and `soft_time_limit` are in seconds; `link` and `link_error` are task names.
    """

    entry: str
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    exchange: str | None = None
    exchange_type: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    serializer: str | None = None
    compression: str | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    ignore_result: bool | None = None
    link: tuple[str, ...] = ()
    link_error: tuple[str, ...] = ()


def run_id(installation: str, entry_id: int, fire_time: datetime, origin: str) -> str:
    """The id of a run, known before anything is published: a uuid5 of what makes the run unique.

    `installation` is a UUID, so that two installations on one broker never share an id; `fire_time`
    is aware UTC.
    """
    name = f"{entry_id}/{fire_time.isoformat()}/{origin}"
    return str(uuid.uuid5(uuid.UUID(installation), name))
