"""What each run's row says of itself: its id, its instants, its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from beatd.checker.evidence import Claim, Pause, Run
from beatd.checker.verdict import Finding, Kind
from beatd.planning.definition import Definition
from beatd.planning.policies import EXPIRY_SLACK, LONGEST_EXPIRY, SHORTEST_EXPIRY
from beatd.planning.task import run_id
from beatd.schedules import format_instant

FINAL = frozenset({"succeeded", "failed", "revoked", "expired", "lost", "shadow"})
_UNBEGUN = frozenset({"held", "pending"})
_AGAIN = "started again: "

#: How far two clocks may be apart, or the steps of one act, without being an error.
CLOCKS = timedelta(seconds=5)

#: How long after its expiry a run may still be open, before the daemon must have closed it.
_CLOSED_AFTER = EXPIRY_SLACK + timedelta(seconds=60)


def started_again(run: Run) -> bool:
    """Whether it was put back after its worker had vanished (`on_lost: rerun`): it has lost its expiry, and
    what it tells is of its last start.
    """
    return run.reason is not None and run.reason.startswith(_AGAIN)


class RunChecks:
    """What does not hold of single runs of one window."""

    def __init__(
        self, installation: str, now: datetime, pauses: Sequence[Pause], late_after: timedelta
    ) -> None:
        self._installation = installation
        self._now = now
        self._pauses = pauses
        self._late_after = late_after

    def check(
        self, run: Run, entry: str, definition: Definition | None, claim: Claim | None
    ) -> Iterator[Finding]:
        for kind, text in self._all(run, definition, claim):
            yield Finding(kind, entry, run.fire_time, run.id, text)

    def _all(
        self, run: Run, definition: Definition | None, claim: Claim | None
    ) -> Iterator[tuple[Kind, str]]:
        yield from self._identity(run, definition)
        yield from self._state(run)
        yield from self._order(run, claim)
        yield from _after_expiry(run, claim)
        yield from self._late(run, definition)

    def _identity(self, run: Run, definition: Definition | None) -> Iterator[tuple[Kind, str]]:
        if self._installation and run.id != run_id(
            self._installation, run.entry_id, run.fire_time, run.origin
        ):
            yield "orphan", "its id is not that of its entry, fire time and origin"
        if definition is None or not run.scheduled:
            return
        due_time = definition.timing.due_time(run.fire_time)
        if run.due_time != due_time:
            yield (
                "state",
                f"is due {format_instant(run.due_time)}, and the rule says {format_instant(due_time)}",
            )
        expires_at = _expiry(definition, run)
        given_up = run.expires_at is None and (started_again(run) or definition.policies.on_lost == "rerun")
        if run.expires_at != expires_at and not given_up:
            told, rule = (format_instant(at) if at else "never" for at in (run.expires_at, expires_at))
            yield "state", f"expires {told}, and the rule says {rule}"

    def _state(self, run: Run) -> Iterator[tuple[Kind, str]]:
        if run.state == "published" and run.published_at is None:
            yield "state", "is published, and nothing tells when"
        if run.state in FINAL:
            if run.finished_at is None:
                yield "state", f"is {run.state} without an end"
            if run.owner is not None or run.lease_until is not None:
                yield "state", f"is {run.state} and still leased"
        elif run.finished_at is not None:
            yield "state", f"has ended and is {run.state}"
        if run.state == "started" and run.started_at is None:
            yield "state", "is started, and nothing tells when"
        if run.state == "held" and run.published_at is not None:
            yield "state", "is held, and was published"
        if run.state in ("held", "pending", "published") and run.expires_at is not None:
            open_for = self._now - run.expires_at
            if open_for > _CLOSED_AFTER:
                yield "state", f"is {run.state} {_span(open_for)} after its expiry"

    def _order(self, run: Run, claim: Claim | None) -> Iterator[tuple[Kind, str]]:
        if run.published_at is not None and run.published_at < run.due_time - CLOCKS:
            yield "state", f"was published {_span(run.due_time - run.published_at)} before it was due"
        if run.recorded_at < run.fire_time - CLOCKS and run.scheduled:
            yield "state", f"was recorded {_span(run.fire_time - run.recorded_at)} before its fire time"
        if claim is not None and claim.claimed_at < run.recorded_at:
            yield "state", "was claimed before it was recorded"
        if (
            run.started_at is not None
            and run.finished_at is not None
            and run.state in ("succeeded", "failed")
        ):
            ahead = run.started_at - run.finished_at
            if ahead > CLOCKS:
                yield "state", f"ended {_span(ahead)} before it started"

    def _late(self, run: Run, definition: Definition | None) -> Iterator[tuple[Kind, str]]:
        if not run.scheduled:
            return
        if any(pause.covers(run.due_time) for pause in self._pauses):
            return
        if run.recorded_at - run.due_time > self._late_after:
            yield "late", f"was recorded {_span(run.recorded_at - run.due_time)} after it was due"
            return
        if started_again(run) or definition is None or definition.policies.overlap in ("queue", "cancel"):
            return
        if run.published_at is None:
            waits = self._now - run.due_time
            if run.state in _UNBEGUN and waits > self._late_after:
                yield "late", f"is not published {_span(waits)} after it was due"
            return
        late = run.published_at - max(run.due_time, run.recorded_at)
        if late > self._late_after:
            times = f", at attempt {run.attempt}" if run.attempt > 1 else ""
            yield "late", f"was published {_span(late)} late{times}"


def _after_expiry(run: Run, claim: Claim | None) -> Iterator[tuple[Kind, str]]:
    """Expiry governs the first start alone. A claim is the start of a run-once run, by the database's time;
    of others a worker's clock tells, which may be off.
    """
    if run.expires_at is None or run.retries or started_again(run):
        return
    if claim is not None:
        if claim.retries == 0 and not claim.by_hand and claim.claimed_at >= run.expires_at:
            late = _span(claim.claimed_at - run.expires_at)
            yield "expired-yet-executed", f"was claimed {late} after its expiry"
        return
    tolerated = CLOCKS if not run.run_once else timedelta(0)
    if run.started_at is not None and run.started_at >= run.expires_at + tolerated:
        late = _span(run.started_at - run.expires_at)
        yield "expired-yet-executed", f"started {late} after its expiry"


def _expiry(definition: Definition, run: Run) -> datetime | None:
    """What the policy says of a scheduled run."""
    expires = definition.policies.expires
    if expires == "never":
        return None
    if isinstance(expires, timedelta):
        return run.fire_time + expires
    latest = run.fire_time + LONGEST_EXPIRY
    following = definition.timing.following(run.fire_time) or latest
    return max(min(following, latest), run.due_time + SHORTEST_EXPIRY)


def _span(span: timedelta) -> str:
    return f"{span.total_seconds():.3f} s"
