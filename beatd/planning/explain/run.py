"""What became of one run, in the order in which it came about, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from beatd.durations import span_text
from beatd.planning.definition import Definition
from beatd.planning.explain.records import Advice, Explanation, Records, Run, Statement, Verdict, Version
from beatd.planning.policies import MISFIRE_AFTER
from beatd.planning.remarks import remarks
from beatd.planning.wording import first_line, said_by, zoned_and_utc
from beatd.schedules import format_duration

_NOTHING = timedelta(0)

#: State of a run: the verdict, and what that means in a sentence.
_MEANINGS: dict[str, tuple[Verdict, str]] = {
    "held": ("waiting", "its run is held back until an earlier one has ended"),
    "pending": ("waiting", "its run is recorded, and not published yet"),
    "published": ("waiting", "its run is published, and no worker has begun it"),
    "started": ("running", "its run is under way"),
    "retrying": ("running", "its run failed, and is tried again"),
    "succeeded": ("succeeded", "it ran, and succeeded"),
    "failed": ("failed", "it ran, and failed"),
    "revoked": ("revoked", "its run was revoked"),
    "expired": ("expired", "its run expired before a worker began it"),
    "lost": ("lost", "its run was lost"),
    "shadow": ("shadow", "it would have run: the scheduler was in shadow mode, and published nothing"),
}


def explain_run(records: Records, run: Run, version: Version | None, who: str | None = None) -> Explanation:
    """`version` is the one that the run was recorded with, if it is known still; `who` triggered it."""
    verdict, headline = _MEANINGS[run.state]
    if run.state == "failed" and run.started_at is None:
        headline = "its run failed before it started"
    if run.reason and run.state in ("failed", "revoked", "lost"):
        headline += f": {run.reason}"
    definition = version.definition if version else None
    statements = [Statement(_fired(run, who), run.fire_time)]
    if definition is not None and run.origin == "schedule":
        statements += map(Statement, remarks(definition.timing, run.fire_time))
    statements += sorted(_dated(run, definition), key=lambda statement: statement.at or records.now)
    statements += _open(records, run)
    if version is not None and version.number != records.latest.number:
        now_at = "it was removed since" if records.latest.removed else f"it is at {records.latest.number} now"
        statements.append(Statement(f"recorded with version {version.number} of the entry; {now_at}"))
    advice = tuple(_advice(records, run, definition))
    return Explanation(headline, verdict, run.fire_time, run.id, tuple(statements), advice)


def in_short(records: Records, run: Run) -> str:
    """`run 1a2b3c4d of 2026-03-29 03:00 CEST (01:00 UTC), which succeeded`."""
    at = zoned_and_utc(run.fire_time, records.zone)
    return f"run {run.id[:8]} of {at}, which {_is_or_did(run)}"


def unfinished_at(runs: Sequence[Run], fire_time: datetime, looked_at: datetime) -> Run | None:
    """The run that fired before and was unfinished when that was looked at; of several the newest."""
    before = [run for run in runs if run.fire_time < fire_time]
    open_runs = (run for run in reversed(before) if run.finished_at is None or run.finished_at > looked_at)
    return next(open_runs, None)


def _is_or_did(run: Run) -> str:
    if run.state == "shadow":
        return "would have run (shadow mode)"
    if run.state in ("succeeded", "failed", "expired"):
        return run.state
    return f"{'was' if run.state in ('revoked', 'lost') else 'is'} {run.state}"


def _fired(run: Run, who: str | None) -> str:
    kind, _, rest = run.origin.partition(":")
    return {
        "schedule": "fire time",
        "trigger": f"triggered by {who or 'hand'}",
        "backfill": "a fire of the past that a backfill runs",
        "boot": f"the boot of {rest.rpartition(':')[0]}",
    }.get(kind, run.origin)


def _dated(run: Run, definition: Definition | None) -> Iterator[Statement]:
    late = run.recorded_at - run.due_time
    made_up = ""
    if run.origin == "schedule" and late > MISFIRE_AFTER:
        policy = f" (misfire = {definition.policies.misfire})" if definition else ""
        made_up = f": a missed fire that is made up{policy}"
    yield Statement(f"recorded{_lateness(late)}{made_up}", run.recorded_at)
    if run.published_at is not None:
        times = f", at attempt {run.attempt}" if run.attempt > 1 else ""
        yield Statement(f"published{_lateness(run.published_at - run.due_time)}{times}", run.published_at)
    if run.started_at is not None:
        retries = f", after {run.retries} retries" if run.retries else ""
        yield Statement(f"started{f' on {run.worker}' if run.worker else ''}{retries}", run.started_at)
    if run.expires_at is not None and run.state == "expired":
        yield Statement(f"its expiry{expiry_setting(definition)}", run.expires_at)
    if run.finished_at is not None and run.state != "shadow":
        yield Statement(_end(run, run.finished_at), run.finished_at)


def expiry_setting(definition: Definition | None) -> str:
    """` (expires = 3h)`, nothing where it is not known."""
    if definition is None:
        return ""
    expires = definition.policies.expires
    return f" (expires = {format_duration(expires) if isinstance(expires, timedelta) else expires})"


def _lateness(late: timedelta) -> str:
    return f", {span_text(late)} {'before it is' if late < _NOTHING else 'after it was'} due"


def _end(run: Run, finished_at: datetime) -> str:
    said = said_by(run.state, run.result, run.error, run.reason)
    lasted = ""
    if run.started_at is not None and run.state in ("succeeded", "failed"):
        lasted = f" after {span_text(max(finished_at - run.started_at, _NOTHING))}"
    return f"{run.state}{lasted}{f': {said}' if said else ''}"


def _open(records: Records, run: Run) -> Iterator[Statement]:
    """What it waits for now."""
    if run.finished_at is not None:
        return
    if run.state == "pending" and run.due_time > records.now:
        yield Statement("it is to be published then", run.due_time)
    elif run.state == "pending" and run.error:
        yield Statement(f"the broker did not take it: {first_line(run.error)}")
    elif run.state == "pending":
        yield Statement("it waits in the outbox for a scheduler to publish it")
    if run.state in ("held", "pending", "published"):
        yield Statement(_expiry_ahead(records, run), run.expires_at)
    elif run.started_at is not None:
        yield Statement(f"it has been under way for {span_text(records.now - run.started_at)}")
    if run.reason:
        yield Statement(run.reason)


def _expiry_ahead(records: Records, run: Run) -> str:
    if run.expires_at is None:
        return "it never expires"
    return "it expires" if run.expires_at > records.now else "its expiry has come: it counts as expired soon"


def _advice(records: Records, run: Run, definition: Definition | None) -> Iterator[Advice]:
    name = shlex.quote(records.entry)
    if run.state == "held":
        yield Advice("the runs that it waits for", f"runs list --entry {name}")
    elif run.state == "pending":
        yield Advice("whether schedulers live and reach the broker", "status")
    elif run.state == "published":
        queue = definition.task.queue if definition else None
        queues = f"the queue {queue!r}" if queue else "its queue"
        yield Advice(f"whether a worker takes {queues}", "doctor")
    else:
        yield Advice("all about it, its output included", f"runs show {run.id[:8]}")
    if run.state == "expired":
        yield Advice("whether workers keep up", "status")
        yield Advice("let its runs live longer", f"entry set {name} --expires 6h")
    if run.state in ("failed", "lost", "expired", "revoked") and not records.latest.removed:
        yield Advice("run it now", f"entry trigger {name} --wait")
