"""The intake of reports: what workers tell goes into the history, and is acknowledged after the commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from beatd.broker.reports import ReportsConsumer
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.store import reported
from beatd.store.engine import Database

log = get_logger()


@dataclass(frozen=True, slots=True)
class IntakePass:
    """`awaited_ends`: how many runs have ended for whose end something waits."""

    received: int = 0
    news: int = 0
    awaited_ends: int = 0
    refused: int = 0


class Intake:
    """Follows the reports queue. Used by one thread."""

    def __init__(self, database: Database, connect: Callable[[], ReportsConsumer]) -> None:
        self._database = database
        self._connect = connect
        self._consumer: ReportsConsumer | None = None
        self._stale = False

    def run_once(self, timeout: float) -> IntakePass:
        """Stores what has arrived, or waits up to `timeout` seconds for something.

        Raises BrokerUnavailable, and DatabaseUnavailable: then the reports stay with the broker.
        """
        try:
            return self._take_in(timeout)
        except BrokerUnavailable:
            self.close()
            raise

    def _take_in(self, timeout: float) -> IntakePass:
        if self._stale:
            self._stale = False
            self.close()
        if self._consumer is None:
            self._consumer = self._connect()
        batch = self._consumer.receive(timeout)
        if batch.rejected:
            log.warning("reports.refused", count=batch.rejected)
        applied = reported.Applied()
        if batch.reports:
            try:
                with self._database.write() as connection:
                    now = self._database.now(connection)
                    applied = reported.apply_reports(connection, batch.reports, now)
            except DatabaseUnavailable:
                batch.requeue()
                raise
            reach("after-report")
            log.debug("reports.stored", received=len(batch.reports), news=applied.news)
        batch.ack()
        return IntakePass(len(batch.reports), applied.news, applied.awaited_ends, batch.rejected)

    def reconnect(self) -> None:
        """From the next pass on follows through a new connection. May be called by any thread."""
        self._stale = True

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
