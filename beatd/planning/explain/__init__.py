"""Why an entry did or did not run at a time, or does not now: from what is on record, in words.

Pure: the same records give the same explanation.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge

from beatd.planning.explain.fire import (
    explain_coming,
    explain_no_record,
    explain_suppressed,
    explain_unsettled,
)
from beatd.planning.explain.quiet import explain_quiet
from beatd.planning.explain.records import (
    Advice,
    Explanation,
    Records,
    Run,
    Statement,
    Suppressed,
    Version,
)
from beatd.planning.explain.run import explain_run, in_short
from beatd.planning.timing import next_fire_time

__all__ = [
    "Advice",
    "Explanation",
    "Fire",
    "Records",
    "Run",
    "Statement",
    "Suppressed",
    "Version",
    "explain_fire",
    "explain_next",
    "explain_quiet",
    "explain_run",
    "explain_suppressed",
    "fires_between",
]

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire of a rule, under the version that decides about it; `dropped` by its calendar."""

    fire_time: datetime
    version: Version
    dropped: bool = False


def fires_between(records: Records, start: datetime, end: datetime) -> Iterator[Fire]:
    """The fires f with start <= f < end, in order, each under the version that held then.

    None of what the end of a run or a boot decides: no rule knows it beforehand.
    """
    for version, following in zip(records.versions, [*records.versions[1:], None], strict=True):
        definition = version.definition
        if definition is None or definition.timing.fixed_delay or definition.timing.at_boot:
            continue
        after = max(start - _TICK, version.since)
        until = end - _TICK if following is None else min(end - _TICK, following.since)
        if after >= until:
            continue
        schedule = definition.schedule
        kept = (Fire(fire_time, version) for fire_time in schedule.fire_times(after, until))
        dropped = (Fire(fire_time, version, True) for fire_time in schedule.dropped(after, until))
        yield from merge(kept, dropped, key=lambda fire: fire.fire_time)


def explain_fire(
    records: Records, fire: Fire, runs: Sequence[Run], suppressed: Sequence[Suppressed]
) -> Explanation:
    """`runs` are those around the fire, oldest fire time first, `suppressed` the records that cover it."""
    of_it = [run for run in runs if run.fire_time == fire.fire_time]
    for run in of_it:
        if run.origin == "schedule":
            return explain_run(records, run, fire.version)
    explanation = _without_run(records, fire, runs, suppressed)
    others = tuple(Statement(in_short(records, run), run.recorded_at) for run in of_it)
    return replace(explanation, statements=(*explanation.statements, *others))


def _without_run(
    records: Records, fire: Fire, runs: Sequence[Run], suppressed: Sequence[Suppressed]
) -> Explanation:
    if (record := _counting(fire, suppressed)) is not None:
        return explain_suppressed(records, fire.fire_time, fire.version, record, runs)
    if fire.fire_time > records.now or _is_due_later(records, fire):
        return explain_coming(records, fire.fire_time, fire.version)
    timer = records.timer
    if timer is None or timer.planned_from < fire.fire_time:
        return explain_unsettled(records, fire.fire_time, fire.version)
    if (completed := _completed(records, fire.version, fire.fire_time, runs)) is not None:
        return completed
    return explain_no_record(records, fire.fire_time, fire.version)


def _counting(fire: Fire, suppressed: Sequence[Suppressed]) -> Suppressed | None:
    """The record that counts this fire. Those of several fires may lie around one that they do not count; and
    the calendar may have been edited since."""
    of_version = [record for record in suppressed if record.version == fire.version.number]
    alike = (record for record in of_version if (record.reason == "calendar") == fire.dropped)
    at_its_end = (
        record for record in of_version if fire.fire_time in (record.first_fire_at, record.last_fire_at)
    )
    return next(alike, None) or next(at_its_end, None)


def _is_due_later(records: Records, fire: Fire) -> bool:
    definition = fire.version.definition
    return definition is not None and definition.timing.due_time(fire.fire_time) > records.now


def _completed(
    records: Records, version: Version, fire_time: datetime | None, runs: Sequence[Run] = ()
) -> Explanation | None:
    """If `max_runs` was reached before this fire."""
    most = version.definition.timing.max_runs if version.definition else None
    if most is None or records.timer is None or records.timer.runs_made < most:
        return None
    if fire_time and any(run.fire_time >= fire_time and run.origin == "schedule" for run in runs):
        return None
    name = shlex.quote(records.entry)
    return Explanation(
        f"it has made the {most} runs that max_runs allows",
        "completed",
        fire_time,
        statements=(Statement(f"max_runs = {most}, and {records.timer.runs_made} scheduled runs were made"),),
        advice=(Advice("let it make more", f"entry set {name} --max-runs {2 * most}"),),
    )


# What comes


def explain_next(records: Records) -> Explanation:
    """Why the entry does not run at this very moment, and what comes."""
    latest, timer = records.latest, records.timer
    name = shlex.quote(records.entry)
    if latest.removed or latest.definition is None:
        return explain_quiet(records, records.now, records.now + _TICK, ())
    definition = latest.definition
    if timer is not None and timer.state == "broken" and timer.planned_version == latest.number:
        return Explanation(
            "the entry is broken: nothing fires",
            "broken",
            statements=(Statement(str(timer.error)),),
            advice=(Advice("mend it", f"entry edit {name}"),),
        )
    if (completed := _completed(records, latest, None)) is not None:
        return completed
    if definition.timing.at_boot:
        return Explanation("it runs when a machine boots", "coming")
    planned = timer if timer is not None and timer.planned_version == latest.number else None
    if definition.timing.fixed_delay and planned is not None:
        if planned.next_fire_at is None and latest.enabled:
            headline = "the next fire is counted from the end of the run that is under way"
            return Explanation(headline, "coming")
        fire_time = planned.next_fire_at
    elif planned is not None and planned.next_fire_at is not None:
        fire_time = planned.next_fire_at
    else:
        fire_time = next_fire_time(definition.schedule, records.now)
    if fire_time is None:
        command = f"entry set {name} --cron '0 3 * * *'"
        advice = (Advice("give it another rule, for example", command),)
        return Explanation("no fire comes any more", "completed", advice=advice)
    if fire_time <= records.now and not _is_due_later(records, Fire(fire_time, latest)):
        return explain_unsettled(records, fire_time, latest)
    return explain_coming(records, fire_time, latest)
