"""The intake of reports: what workers tell goes into the history, and is acknowledged after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from beatd.broker.reports import ReportsConsumer
from beatd.errors import BrokerUnavailable, DatabaseUnavailable
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.store import reported
from beatd.store.engine import Database
from beatd.store.reported import Told

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

    def __init__(
        self,
        database: Database,
        connect: Callable[[], ReportsConsumer],
        tell: Callable[[Sequence[Told]], None] = lambda _: None,
    ) -> None:
        """`tell` is told of the news, after the commit; it must not wait."""
        self._database = database
        self._connect = connect
        self._tell = tell
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
                reach("before-report")
                with self._database.write() as connection:
                    now = self._database.now(connection)
                    applied = reported.apply_reports(connection, batch.reports, now)
                    reach("before-report-commit")
                reach("after-report")
            except DatabaseUnavailable:
                batch.requeue()
                raise
            self._tell(applied.told)
            log.debug("reports.stored", received=len(batch.reports), news=applied.news)
        batch.ack()
        reach("after-ack")
        return IntakePass(len(batch.reports), applied.news, applied.awaited_ends, batch.rejected)

    def reconnect(self) -> None:
        """From the next pass on follows through a new connection. May be called by any thread."""
        self._stale = True

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
