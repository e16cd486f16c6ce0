"""The history checked by the daemon itself: every hour one node holds what fired in it against the rules.

It is the node that is there the longest. It takes a bounded time; where that does not suffice for all
entries, the next hour goes on with those that were left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from beatd import clock
from beatd.checker.tally import Tally, Total
from beatd.checker.verdict import Finding
from beatd.config import Settings
from beatd.logs import get_logger
from beatd.planning.timing import Surroundings
from beatd.schedules import format_instant
from beatd.store import evidence, nodes
from beatd.store.definitions import Definitions
from beatd.store.engine import Database
from beatd.worker import arguments

log = get_logger()

HOUR = timedelta(hours=1)

#: What fired so long ago is settled: nodes, brokers and workers have had the time to tell.
SETTLED_AFTER = timedelta(minutes=5)

#: Seconds that one look may take, and how long it rests between two pages of entries.
_BUDGET = 60.0
_REST = 0.05

#: Findings that are told one by one.
_TOLD = 20


class Verification:
    """One node's part; `statistics` has its last verdict, and how many findings there were in all."""

    def __init__(
        self,
        database: Database,
        node: str,
        settings: Callable[[], Settings],
        surroundings: Callable[[], Surroundings],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._node = node
        self._settings = settings
        self._surroundings = surroundings
        self._stopping = stopping
        self._until: datetime | None = None
        #: the last entry that was looked at, where the time did not suffice for all
        self._after = 0
        self._findings = 0
        self._told: dict[str, Any] = {}

    @property
    def statistics(self) -> Mapping[str, Any]:
        return self._told

    def run_once(self) -> Total | None:
        """None where it is another node's to do, or nothing is settled. Raises DatabaseUnavailable."""
        settings = self._settings()
        with self._database.read() as connection:
            now = self._database.now(connection)
            oldest = nodes.oldest(connection, now - settings.scheduler.node_timeout)
        if oldest != self._node:
            return None
        until = now - SETTLED_AFTER
        since = max(self._until or until - HOUR, until - 2 * HOUR)
        if since >= until:
            return None
        tally, entries, self._after = self._judge(settings, since, until)
        self._until = until
        total = tally.total()
        self._findings += total.wrong
        self._told = _told(total, now, since, until) | {
            "entries": entries,
            "complete": not self._after,
            "findings_since_start": self._findings,
        }
        _log(total, since, until)
        return total

    def _judge(self, settings: Settings, since: datetime, until: datetime) -> tuple[Tally, int, int]:
        """What was found, how many entries were looked at, and the last of them if some were left out."""
        tally, entries = Tally(), 0
        definitions = Definitions(self._surroundings(), arguments.check, size=2 * evidence.ENTRIES_A_PAGE)
        ends_at = clock.monotonic() + _BUDGET
        pages = evidence.pages(
            self._database,
            definitions,
            since,
            until,
            keep_runs=settings.history.keep_runs,
            after=self._after,
        )
        for page in pages:
            tally.add(page.evidence)
            entries += page.entries
            if self._stopping.wait(_REST) or clock.monotonic() > ends_at:
                return tally, entries, page.entry_id
        return tally, entries, 0


def _told(total: Total, now: datetime, since: datetime, until: datetime) -> dict[str, Any]:
    return {
        "at": format_instant(now),
        "since": format_instant(since),
        "until": format_instant(until),
        "fires": total.fires,
        "runs": total.runs,
        "suppressed": total.suppressed,
        "not_told": total.not_told,
        "found": dict(total.counts),
        "wrong": total.wrong,
    }


def _log(total: Total, since: datetime, until: datetime) -> None:
    wrong = [finding for finding in total.findings if finding.kind != "late"]
    for finding in wrong[:_TOLD]:
        log.error("verify.found", **_fields(finding))
    figures = {
        "since": since,
        "until": until,
        "fires": total.fires,
        "runs": total.runs,
        "suppressed": total.suppressed,
        "wrong": total.wrong,
        "late": total.counts.get("late", 0),
    }
    if total.wrong:
        log.warning("verify.done", **figures)
    else:
        log.info("verify.done", **figures)


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "entry": finding.entry,
        "fire_time": finding.fire_time,
        "run_id": finding.run_id,
        "text": finding.text,
    }
