"""The outbox: publishes recorded runs and marks what the broker confirmed.

A run that is recorded cannot be lost from here: what is not confirmed goes back into the database and
is published again, under the same id, until its expiry. What is confirmed is kept here until it is
marked. The queue between the dispatcher and this loop is bounded: a broker that takes nothing stops the
claiming, it does not fill memory.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from beatd import clock
from beatd.broker.publisher import Outgoing, Publisher, Status
from beatd.dispatch import events
from beatd.dispatch.dispatcher import Batch, Publication
from beatd.dispatch.events import Tell
from beatd.errors import BrokerUnavailable, Conflict
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.store import runs
from beatd.store.engine import Database
from beatd.store.runs import OutboxRun

log = get_logger()

#: Batches that may wait to be published.
CAPACITY = 2

#: Seconds before the end of a lease from which on no batch is begun under it; at most this part of a lease.
_LEASE_MARGIN = 2.0
_LEASE_MARGIN_PART = 1 / 4

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

    @property
    def anything(self) -> bool:
        return any(asdict(self).values())


@dataclass(slots=True)
class _Ended:
    """How the publication of one batch ended, at an instant of the database's time."""

    at: datetime
    by_status: dict[Status, list[Publication]] = field(
        default_factory=lambda: {"confirmed": [], "expired": [], "refused": [], "unknown": []}
    )
    errors: dict[str, str | None] = field(default_factory=dict)

    def runs(self, status: Status) -> list[OutboxRun]:
        return [publication.run for publication in self.by_status[status]]

    def counted(self, done: OutboxPass) -> OutboxPass:
        return replace(
            done,
            published=done.published + len(self.by_status["confirmed"]),
            expired=done.expired + len(self.by_status["expired"]),
            refused=done.refused + len(self.by_status["refused"]),
            unconfirmed=done.unconfirmed + len(self.by_status["unknown"]),
        )


class Outbox:
    """Used by two threads: the dispatcher's calls `offer`, the publishing loop calls `run_once`."""

    def __init__(
        self,
        database: Database,
        node: str,
        connect: Callable[[], Publisher],
        ask_to_end: Callable[[Sequence[str]], None],
        *,
        lease: timedelta = timedelta(seconds=30),
        tell: Tell = events.nobody,
        late_after: timedelta = timedelta(seconds=60),
    ) -> None:
        """`tell` is told of what was published later than `late_after`, and of what never can be.
        `ask_to_end` tells all workers to end these runs; it raises Conflict where they cannot be told,
        BrokerUnavailable.
        """
        self._database = database
        self._node = node
        self._connect = connect
        self._ask_to_end = ask_to_end
        self._cannot_ask: str | None = None
        #: how long a batch is leased when its lease is renewed
        self.lease = lease
        self._tell_of = tell
        self.late_after = late_after
        self._waiting: queue.Queue[Batch] = queue.Queue(CAPACITY)
        self._held: Batch | None = None
        self._unsettled: list[_Ended] = []
        self._publisher: Publisher | None = None
        self._stale = False
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
        return self._held is None and self._waiting.empty() and not self._unsettled

    @property
    def blocked(self) -> bool:
        """Whether the broker is connected, but takes nothing at present."""
        return self._publisher is not None and self._publisher.blocked

    def run_once(self, timeout: float) -> OutboxPass:
        """Publishes and marks one batch, or waits up to `timeout` seconds for one.

        Raises DatabaseUnavailable and BrokerUnavailable; what is unsent or unmarked is kept for the next
        call.
        """
        self._settle()
        # Before a lease is renewed: a node that cannot publish must leave its runs to one that can.
        publisher = self._connected()
        if self._held is None:
            self._held = self._next(timeout)
        if self._held is None or publisher.blocked:
            publisher.pump()
            return OutboxPass()
        self._end_cancelled(self._held)
        self._held, dropped = self._still_ours(self._held)
        self._publish(publisher, self._held)
        reach("after-confirm")
        done = self._settle()
        log.debug("outbox.pass", **asdict(done))
        return replace(done, lease_lost=done.lease_lost + dropped)

    def give_back(self, batches: Sequence[Batch] = ()) -> int:
        """At the end, when nothing is sent any more: what was not, `batches` too, is free for others at once.

        Returns how many runs. Raises DatabaseUnavailable: then their leases lapse.
        """
        self._settle()
        left = [*batches, *([self._held] if self._held is not None else [])]
        self._held = None
        while (waiting := self._next(0)) is not None:
            left.append(waiting)
        given_back = 0
        with self._database.write() as connection:
            now = self._database.now(connection)
            for batch in left:
                unsent = [publication.run for publication in batch.publications]
                given_back += runs.release(connection, self._node, unsent, now, None)
            # and whatever a commit whose answer was lost may have left in this node's name
            given_back += runs.release_owned_by(connection, [self._node], now)
            reach("before-give-back")
        reach("after-give-back")
        return given_back

    def reconnect(self) -> None:
        """From the next pass on publishes through a new connection. May be called by any thread."""
        self._stale = True

    def close(self) -> None:
        self._disconnect()

    def _next(self, timeout: float) -> Batch | None:
        try:
            return self._waiting.get(timeout=timeout) if timeout > 0 else self._waiting.get_nowait()
        except queue.Empty:
            return None

    def _connected(self) -> Publisher:
        if self._stale:
            self._stale = False
            self._disconnect()
        if self._publisher is None:
            self._publisher = self._connect()
        return self._publisher

    def _disconnect(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()

    def _end_cancelled(self, batch: Batch) -> None:
        """The runs for which they were to make room start after a while anyway."""
        if not batch.to_end:
            return
        try:
            self._ask_to_end(batch.to_end)
        except Conflict as error:
            if self._cannot_ask != str(error):
                self._cannot_ask = str(error)
                log.warning("runs.not_ended", reason=str(error))
        else:
            log.info("runs.cancelled", count=len(batch.to_end))
        self._held = replace(batch, to_end=())

    def _still_ours(self, batch: Batch) -> tuple[Batch, int]:
        """The batch without the runs whose lease was lost, its lease long enough to be sent.

        This loop renews its own leases, no other thread does: a publisher that hangs must lose them.
        """
        left = batch.lease_ends - clock.monotonic()
        if left > self.lease.total_seconds() / 2:
            return batch, 0
        started = clock.monotonic()
        with self._database.write() as connection:
            lease_until = self._database.now(connection) + self.lease
            reach("before-renew")
            ours = runs.renew(connection, self._node, [p.run for p in batch.publications], lease_until)
        reach("after-renew")
        kept = tuple(p for p in batch.publications if p.run.id in ours)
        dropped = len(batch.publications) - len(kept)
        if dropped:
            log.warning("outbox.lease_lost", count=dropped)
        return Batch(kept, started + self.lease.total_seconds()), dropped

    def _publish(self, publisher: Publisher, batch: Batch) -> None:
        """Sends a batch and keeps how it ended; from then on the batch is not sent again from here.

        Too late in its lease it is kept, and its lease renewed by the next pass.
        """
        if not batch.publications:
            self._held = None
            return
        now = self._database_time()
        margin = min(_LEASE_MARGIN, self.lease.total_seconds() * _LEASE_MARGIN_PART)
        if batch.lease_ends - clock.monotonic() < margin:
            return
        reach("before-publish", BrokerUnavailable)
        outcomes = publisher.publish([_outgoing(p) for p in batch.publications], now, batch.lease_ends)
        self._held = None
        ended = _Ended(now())
        for publication, outcome in zip(batch.publications, outcomes, strict=True):
            ended.by_status[outcome.status].append(publication)
            ended.errors[publication.run.id] = outcome.error
        self._unsettled.append(ended)

    def _database_time(self) -> Callable[[], datetime]:
        """The database's time, read once and carried on by the monotonic clock."""
        with self._database.read() as connection:
            at, read = clock.monotonic(), self._database.now(connection)
        return lambda: read + timedelta(seconds=clock.monotonic() - at)

    def _settle(self) -> OutboxPass:
        """Writes how publications ended. Kept until it is written: confirmed runs must not be sent again."""
        done = OutboxPass()
        while self._unsettled:
            ended = self._unsettled[0]
            with self._database.write() as connection:
                self._write(connection, ended)
                reach("before-mark")
            reach("after-mark")
            self._unsettled.pop(0)
            self._tell(ended)
            done = ended.counted(done)
        return done

    def _write(self, connection: Any, ended: _Ended) -> None:
        runs.mark_published(connection, self._node, ended.runs("confirmed"), ended.at)
        runs.mark_expired(connection, self._node, ended.runs("expired"), ended.at)
        for run in ended.runs("refused"):
            runs.mark_refused(connection, self._node, run, ended.at, ended.errors[run.id] or "refused")
        unknown = ended.runs("unknown")
        for attempt in {run.attempt for run in unknown}:
            same = [run for run in unknown if run.attempt == attempt]
            retry_at = ended.at + _backoff(attempt)
            runs.release(connection, self._node, same, retry_at, ended.errors[same[0].id])

    def _tell(self, ended: _Ended) -> None:
        for publication in ended.by_status["confirmed"]:
            run = publication.run
            late = ended.at - run.due_time
            lateness = late.total_seconds()
            self.lateness.append(lateness)
            if late > self.late_after:
                self._tell_of([events.published_late(run, late)])
            log.debug(
                "run.published",
                entry=publication.spec.entry,
                run_id=run.id,
                fire_time=run.fire_time,
                lateness_ms=round(lateness * 1000),
            )
        for publication in ended.by_status["expired"]:
            log.warning("run.expired", entry=publication.spec.entry, run_id=publication.run.id)
        for publication in ended.by_status["refused"]:
            error = ended.errors[publication.run.id]
            log.error("run.refused", entry=publication.spec.entry, run_id=publication.run.id, error=error)
            self._tell_of([events.refused(publication.run, error)])
        if unknown := ended.by_status["unknown"]:
            log.warning("run.unconfirmed", count=len(unknown), error=ended.errors[unknown[0].run.id])


def _outgoing(publication: Publication) -> Outgoing:
    run = publication.run
    version = run.entry_id, run.version
    return Outgoing(run.id, version, publication.spec, run.fire_time, run.expires_at, run.reruns_left)


def _backoff(attempt: int) -> timedelta:
    doublings: int = min(attempt - 1, 10)
    return min(_FIRST_RETRY * (1 << doublings), _LONGEST_RETRY)
