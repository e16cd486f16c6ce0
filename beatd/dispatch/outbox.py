"""The outbox: publishes recorded runs and marks what the broker confirmed.

A run that is recorded cannot be lost from here: what is not confirmed goes back into the database and
is published again, under the same id, until its expiry. What is confirmed is kept here until it is
marked. The queue between the dispatcher and this loop is bounded: a broker that takes nothing stops the
claiming, it does not fill memory.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from beatd import clock
from beatd.broker.publisher import Outgoing, Publisher
from beatd.dispatch.dispatcher import Batch, Publication
from beatd.dispatch.faultpoints import reach
from beatd.logs import get_logger
from beatd.store import runs
from beatd.store.engine import Database

log = get_logger()

#: Batches that may wait to be published.
CAPACITY = 2

#: Seconds before the end of a lease from which on nothing more is sent under it.
_LEASE_MARGIN = 2.0

_FIRST_RETRY = timedelta(seconds=1)
_LONGEST_RETRY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class OutboxPass:
    """What one pass did: how many runs ended how."""

    published: int = 0
    expired: int = 0
    refused: int = 0
    unconfirmed: int = 0
    lease_lost: int = 0


class Outbox:
    """Used by two threads: the dispatcher's calls `offer`, the publishing loop calls `run_once`."""

    def __init__(
        self,
        database: Database,
        node: str,
        connect: Callable[[], Publisher],
        *,
        lease: timedelta = timedelta(seconds=30),
    ) -> None:
        self._database = database
        self._node = node
        self._connect = connect
        self._lease = lease
        self._waiting: queue.Queue[Batch] = queue.Queue(CAPACITY)
        self._held: Batch | None = None
        self._unmarked: list[tuple[list[Publication], datetime]] = []
        self._publisher: Publisher | None = None
        #: how late the runs published last were, in seconds
        self.lateness: deque[float] = deque(maxlen=1000)

    def offer(self, batch: Batch, timeout: float) -> bool:
        """Hands a batch over; False if there was no room within `timeout` seconds."""
        try:
            self._waiting.put(batch, timeout=timeout)
        except queue.Full:
            return False
        return True

    @property
    def idle(self) -> bool:
        return self._held is None and self._waiting.empty() and not self._unmarked

    @property
    def blocked(self) -> bool:
        """Whether the broker is connected, but takes nothing at present."""
        return self._publisher is not None and self._publisher.blocked

    def run_once(self, timeout: float) -> OutboxPass:
        """Publishes and marks one batch, or waits up to `timeout` seconds for one.

        Raises DatabaseUnavailable and BrokerUnavailable; the batch is kept and tried again.
        """
        self._mark_confirmed()
        if self._held is None:
            self._held = self._next(timeout)
        publisher = self._connected()
        if self._held is None or publisher.blocked:
            publisher.pump()
            return OutboxPass()
        self._held, dropped = self._still_ours(self._held)
        done = self._publish(publisher, self._held)
        self._held = None
        return OutboxPass(done.published, done.expired, done.refused, done.unconfirmed, dropped)

    def give_back(self) -> int:
        """At the end: what was not sent goes back to the outbox for other nodes, at once."""
        self._mark_confirmed()
        left = list(self._held.publications) if self._held else []
        self._held = None
        while (batch := self._next(0)) is not None:
            left += batch.publications
        with self._database.write() as connection:
            now = self._database.now(connection)
            return runs.release(connection, self._node, [p.run for p in left], now, None)

    def reconnect(self, connect: Callable[[], Publisher]) -> None:
        """To be called by the publishing loop: from now on publishes through another connection."""
        self._connect = connect
        self._disconnect()

    def close(self) -> None:
        self._disconnect()

    def _next(self, timeout: float) -> Batch | None:
        try:
            return self._waiting.get(timeout=timeout) if timeout > 0 else self._waiting.get_nowait()
        except queue.Empty:
            return None

    def _connected(self) -> Publisher:
        if self._publisher is None:
            self._publisher = self._connect()
        return self._publisher

    def _disconnect(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()

    def _still_ours(self, batch: Batch) -> tuple[Batch, int]:
        """The batch without the runs whose lease was lost, its lease long enough to be sent.

        This loop renews its own leases, no other thread does: a publisher that hangs must lose them.
        """
        left = batch.lease_ends - clock.monotonic()
        if left > self._lease.total_seconds() / 2:
            return batch, 0
        started = clock.monotonic()
        with self._database.write() as connection:
            lease_until = self._database.now(connection) + self._lease
            ours = runs.renew(connection, self._node, [p.run for p in batch.publications], lease_until)
        kept = tuple(p for p in batch.publications if p.run.id in ours)
        dropped = len(batch.publications) - len(kept)
        if dropped:
            log.warning("outbox.lease_lost", count=dropped)
        return Batch(kept, started + self._lease.total_seconds()), dropped

    def _publish(self, publisher: Publisher, batch: Batch) -> OutboxPass:
        now = self._database_time()
        outgoing = [_outgoing(p) for p in batch.publications]
        if batch.lease_ends - clock.monotonic() < _LEASE_MARGIN:
            return OutboxPass(lease_lost=len(outgoing))
        reach("before-publish")
        outcomes = publisher.publish(outgoing, now)
        reach("after-publish")
        by_status: dict[str, list[Publication]] = {
            "confirmed": [],
            "expired": [],
            "refused": [],
            "unknown": [],
        }
        errors: dict[str, str | None] = {}
        for publication, outcome in zip(batch.publications, outcomes, strict=True):
            by_status[outcome.status].append(publication)
            errors[publication.run.id] = outcome.error
        self._unmarked.append((by_status["confirmed"], now()))
        self._mark_confirmed()
        reach("after-mark")
        self._settle(by_status, errors, now())
        return OutboxPass(
            published=len(by_status["confirmed"]),
            expired=len(by_status["expired"]),
            refused=len(by_status["refused"]),
            unconfirmed=len(by_status["unknown"]),
        )

    def _database_time(self) -> Callable[[], datetime]:
        """The database's time, read once and carried on by the monotonic clock."""
        with self._database.read() as connection:
            at, read = clock.monotonic(), self._database.now(connection)
        return lambda: read + timedelta(seconds=clock.monotonic() - at)

    def _mark_confirmed(self) -> None:
        """Confirmed runs are kept until they are marked: published again, they would be doubled."""
        while self._unmarked:
            confirmed, at = self._unmarked[0]
            with self._database.write() as connection:
                runs.mark_published(connection, self._node, [p.run for p in confirmed], at)
            self._unmarked.pop(0)
            for publication in confirmed:
                run = publication.run
                lateness = (at - run.due_time).total_seconds()
                self.lateness.append(lateness)
                log.debug(
                    "run.published",
                    entry=publication.spec.entry,
                    run_id=run.id,
                    fire_time=run.fire_time,
                    lateness_ms=round(lateness * 1000),
                )

    def _settle(
        self, by_status: dict[str, list[Publication]], errors: dict[str, str | None], now: datetime
    ) -> None:
        expired, refused, unknown = by_status["expired"], by_status["refused"], by_status["unknown"]
        if not (expired or refused or unknown):
            return
        with self._database.write() as connection:
            runs.mark_expired(connection, self._node, [p.run for p in expired], now)
            for publication in refused:
                error = errors[publication.run.id] or "refused"
                runs.mark_refused(connection, self._node, publication.run, now, error)
                log.error("run.refused", entry=publication.spec.entry, run_id=publication.run.id, error=error)
            for attempt in {p.run.attempt for p in unknown}:
                same = [p for p in unknown if p.run.attempt == attempt]
                error = errors[same[0].run.id]
                runs.release(connection, self._node, [p.run for p in same], now + _backoff(attempt), error)
                log.warning("run.unconfirmed", count=len(same), attempt=attempt, error=error)
        for publication in expired:
            log.warning("run.expired", entry=publication.spec.entry, run_id=publication.run.id)


def _outgoing(publication: Publication) -> Outgoing:
    run = publication.run
    return Outgoing(run.id, (run.entry_id, run.version), publication.spec, run.fire_time, run.expires_at)


def _backoff(attempt: int) -> timedelta:
    return min(_FIRST_RETRY * 2 ** min(attempt - 1, 10), _LONGEST_RETRY)
