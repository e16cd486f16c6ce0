"""What a worker tells about a run, and how two reports of one run are ordered (SEMANTICS: Runs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

VERSION = 1

#: Header of every message that beatd publishes: the name of the queue that reports go to.
REPORTS_HEADER = "beatd_reports"
ENTRY_HEADER = "beatd_entry"
FIRE_TIME_HEADER = "beatd_fire_time"
#: Of runs that start again when their worker vanishes: how often they still may. It tells their starts apart.
RERUNS_HEADER = "beatd_reruns_left"

#: The reports queue is on no exchange: reports are published to its name through the default one, which
#: every transport has. Whoever declares it, the daemon or a worker, does it in these words: RabbitMQ
#: refuses others. When full, the oldest reports go (its default): workers are never held up by a daemon
#: that is away.
QUEUE_OPTIONS: Mapping[str, Any] = {
    "durable": True,
    "queue_arguments": {"x-max-length-bytes": 256 * 1024 * 1024},
}

#: Later states of one attempt have higher ranks; one is news if its (retries, rank) is greater. `expired`
#: is told of one delivery: of one that came twice the other may have started, and that counts.
RANKS = {"started": 1, "retrying": 2, "succeeded": 3, "failed": 3, "revoked": 3, "expired": 1}


@dataclass(frozen=True, slots=True)
class Report:
    """One state change of one run.

    `run_id` is the Celery task id; `at` the worker's clock, aware UTC; `retries` Celery's count;
    `result` and `error` are text excerpts, cut by the worker to its configured limit; `reruns_left` is
    what the message said of it, None where it said nothing.
    """

    run_id: str
    state: str
    at: datetime
    worker: str
    retries: int = 0
    result: str | None = None
    error: str | None = None
    reruns_left: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        return (self.retries, RANKS[self.state])

    def to_message(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "id": self.run_id,
            "state": self.state,
            "at": self.at.astimezone(UTC).isoformat(),
            "worker": self.worker,
            "retries": self.retries,
            "result": self.result,
            "error": self.error,
            "reruns_left": self.reruns_left,
        }

    @classmethod
    def from_message(cls, message: Any) -> Report:
        """Raises ValueError for anything that is not a report of a version that is understood."""
        if not isinstance(message, dict) or message.get("v") != VERSION:
            raise ValueError(f"not a version {VERSION} report")
        if message.get("state") not in RANKS:
            raise ValueError(f"unknown state {message.get('state')!r}")
        try:
            at = datetime.fromisoformat(message["at"])
            report = cls(
                run_id=str(message["id"]),
                state=message["state"],
                at=at,
                worker=str(message["worker"]),
                retries=int(message["retries"]),
                result=message.get("result"),
                error=message.get("error"),
                reruns_left=None if message.get("reruns_left") is None else int(message["reruns_left"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"malformed report: {error}") from error
        if at.tzinfo is None:
            raise ValueError("a report's time has no zone")
        return report
