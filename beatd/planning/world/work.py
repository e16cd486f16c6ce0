"""From the outbox to the end of a run: what broker and workers make of what the node has recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from beatd.planning.policies import EXPIRY_SLACK
from beatd.planning.reasons import (
    CANCELLED,
    HELD_TOO_LONG,
    NEVER_STARTED,
    UNHEARD,
    UNPUBLISHED,
    UNSTARTED,
    VANISHED,
)
from beatd.planning.world.clock import Agenda, SimulatedClock
from beatd.planning.world.history import Run, Task

#: How long a worker's claim on a run-once run holds after the worker has vanished.
CLAIM_LEASE = timedelta(seconds=60)


class Work:
    """One broker, and workers without number, each of which begins what it gets at once.

    `invent` says what becomes of a run when a worker starts it, `ended` is told of every run that has
    ended, `reopened` of one that was given up and is started after all. On `deadlines`, by the database's
    time, is what a node does, if there is one then.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        agenda: Agenda,
        deadlines: Agenda,
        invent: Callable[[Run], Task],
        ended: Callable[[Run], None],
        reopened: Callable[[Run], None],
    ) -> None:
        self._clock = clock
        self._agenda = agenda
        self._deadlines = deadlines
        self._invent = invent
        self._ended = ended
        self._reopened = reopened
        self._absent = 0
        self._messages: list[Run] = []

    # The outbox

    def publish(self, run: Run, instant: datetime) -> None:
        """Publishes a run at an instant of the database's time, which may have come already."""
        now = self._clock.now
        run.state = "pending"
        if instant > now:
            run.lease_until = instant
            self._deadlines.put(instant, partial(self._publish_leased, run, instant))
        elif run.expires_at is not None and run.expires_at <= now:
            self.finish(run, "expired", UNPUBLISHED)
        else:
            run.lease_until, run.state, run.published_at = None, "published", now
            self._deliver(run)

    def hold(self, run: Run) -> None:
        """Keeps a run back, until somebody publishes it."""
        run.state = "held"
        if run.expires_at is not None:
            self._deadlines.put(run.expires_at, partial(self._expire, run, "held", HELD_TOO_LONG))

    def cancel(self, run: Run) -> bool:
        """Ends a run; False if a worker may have begun it, which is then asked to end it."""
        if run.state in ("held", "pending") or (run.state == "published" and run.definition.run_once):
            self.finish(run, "revoked", CANCELLED)
            return True
        run.reason = CANCELLED
        if run.working:
            stops = self._clock.real + self._invent(run).stops_in
            self._agenda.put(stops, partial(self._end, run, run.starts, "revoked"))
        return False

    def finish(self, run: Run, state: str, reason: str | None) -> None:
        run.state, run.reason, run.lease_until = state, reason, None
        run.finished_at, run.finished_real = self._clock.now, self._clock.real
        self._ended(run)

    def _publish_leased(self, run: Run, lease_until: datetime) -> None:
        if run.state == "pending" and run.lease_until == lease_until:
            self.publish(run, self._clock.now)

    # Workers

    def leave(self) -> None:
        self._absent += 1

    def come_back(self) -> None:
        """Of several absences at once the last that ends brings them back."""
        self._absent -= 1
        if not self._absent:
            messages, self._messages = self._messages, []
            for run in messages:
                self._deliver(run)

    def _deliver(self, run: Run) -> None:
        if run.state == "lost" and run.given_up_real is not None and not run.definition.run_once:
            run.finished_at, run.finished_real, run.reason = None, None, None
            self._reopened(run)
            self._start(run)
        if run.state != "published":
            return
        if self._absent:
            self._messages.append(run)
            self._await_start(run)
        elif run.expires_at is None or run.expires_at > self._clock.now:
            self._start(run)

    def _start(self, run: Run) -> None:
        run.state, run.working = "started", True
        run.started_at, run.started_real = self._clock.now, self._clock.real
        run.starts += 1
        task = self._invent(run)
        self._agenda.put(self._clock.real + task.duration, partial(self._end, run, run.starts, task.outcome))
        if task.outcome == "lost" or task.duration >= run.definition.policies.lost_after:
            self.expect_to_hear(run)

    def _end(self, run: Run, start: int, outcome: str) -> None:
        """A worker tells how a run ended, or vanishes. What it tells overrules what was inferred."""
        if not run.working or run.starts != start:
            return
        run.working = False
        if outcome != "lost":
            self.finish(run, outcome, None if run.ended else run.reason)
        elif run.definition.run_once:
            self._deadlines.put(self._clock.now + CLAIM_LEASE, partial(self._give_up, run, start, VANISHED))

    # What the node closes itself

    def _await_start(self, run: Run) -> None:
        """Of a run that no worker has begun: it does not stay open for ever."""
        if run.expires_at is not None:
            closed_at = run.expires_at + EXPIRY_SLACK
            self._deadlines.put(closed_at, partial(self._expire, run, "published", UNSTARTED))
        elif run.published_at is not None:
            lost_at = run.published_at + run.definition.policies.lost_after
            self._deadlines.put(lost_at, partial(self._give_up_unstarted, run, run.published_at))

    def _give_up_unstarted(self, run: Run, published_at: datetime) -> None:
        if run.state == "published" and run.published_at == published_at:
            run.given_up_real = self._clock.real
            self.finish(run, "lost", NEVER_STARTED)

    def expect_to_hear(self, run: Run) -> None:
        """Of a run that has started: unless its worker tells something in time it is lost."""
        if run.state == "started" and run.started_at is not None:
            lost_at = run.started_at + run.definition.policies.lost_after
            self._deadlines.put(lost_at, partial(self._give_up, run, run.starts, UNHEARD))

    def _give_up(self, run: Run, start: int, why: str) -> None:
        if run.state != "started" or run.starts != start:
            return
        alive = run.working and run.definition.run_once
        if run.reruns_left and run.reason != CANCELLED and not alive:
            run.reruns_left -= 1
            run.working, run.expires_at, run.reason = False, None, f"started again: {why}"
            self.publish(run, self._clock.now)
        else:
            self.finish(run, "lost", why)

    def _expire(self, run: Run, state: str, why: str) -> None:
        if run.state == state:
            self.finish(run, "expired", why)
