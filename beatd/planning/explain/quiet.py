"""Why nothing fires in a stretch of time: what the rule says instead, and what fires around it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from beatd.planning.definition import Definition
from beatd.planning.explain.fire import paused_text
from beatd.planning.explain.records import Advice, Explanation, Records, Run, Statement, Version
from beatd.planning.explain.run import in_short
from beatd.planning.preview import last_fire_time, sentence
from beatd.planning.remarks import calendar_of, holiday, remarks, skipped_for_good
from beatd.schedules import Limited, format_instant

_TICK = timedelta(microseconds=1)
_MOST_EDITS = 5


def explain_quiet(records: Records, start: datetime, end: datetime, runs: Sequence[Run]) -> Explanation:
    """Nothing fires at f, start <= f < end; `runs` are those around, oldest fire time first."""
    version = records.held_at(end - _TICK)
    if version is None:
        return _before_it_was(records)
    if version.removed:
        return _after_it_was(records, version)
    if version.definition is None:
        return _unreadable(records, version)
    definition = version.definition
    statements = [*_rule(records, version, definition), *_why_not(records, definition, start, end)]
    if not version.enabled:
        statements.append(Statement(f"besides, it was {paused_text(records, version)}", version.since))
    statements += _around(records, version, definition, start, end, runs)
    statements += _edits_since(records, version)
    after = format_instant(start - timedelta(days=1))
    command = f"entry next {shlex.quote(records.entry)} --after {after}"
    advice = () if records.latest.removed else (Advice("its fires around then, by today's rule", command),)
    return Explanation("nothing fires then", "no fire", None, None, tuple(statements), advice)


def _before_it_was(records: Records) -> Explanation:
    first = records.versions[0]
    statement = Statement(f"added {first.by}", first.since)
    return Explanation("there was no such entry yet", "no entry", None, None, (statement,))


def _after_it_was(records: Records, version: Version) -> Explanation:
    command = f"entry restore {shlex.quote(records.entry)} {version.number - 1}"
    advice = (Advice("bring it back", command),) if records.latest.removed else ()
    statement = Statement(f"removed {version.by}", version.since)
    return Explanation("there was no such entry any more", "no entry", None, None, (statement,), advice)


def _unreadable(records: Records, version: Version) -> Explanation:
    statements = (
        Statement(f"version {version.number} came to hold {version.by}", version.since),
        Statement(f"it cannot be read: {version.error}"),
        *_edits_since(records, version),
    )
    mend = Advice("mend it", f"entry edit {shlex.quote(records.entry)}")
    advice = (mend,) if version is records.latest else ()
    return Explanation("the entry was broken: nothing fires", "broken", None, None, statements, advice)


def _rule(records: Records, version: Version, definition: Definition) -> Iterator[Statement]:
    held = "holds" if version is records.latest else "held then"
    yield Statement(f"the rule that {held}, of version {version.number}: {sentence(definition.timing)}")


def _why_not(records: Records, definition: Definition, start: datetime, end: datetime) -> Iterator[Statement]:
    """What else than the rule's own pattern keeps it from firing then."""
    schedule, timing = definition.schedule, definition.timing
    if timing.at_boot:
        yield Statement("it fires when a machine boots, as the daemon starts for the first time after it")
        return
    if timing.fixed_delay:
        yield Statement("each fire is counted from the end of the run before it")
    if isinstance(schedule, Limited):
        if schedule.start_at is not None and end <= schedule.start_at:
            yield Statement("it starts later (start_at)", schedule.start_at)
        if schedule.end_at is not None and start > schedule.end_at:
            yield Statement("it ended before (end_at)", schedule.end_at)
    for skipped in skipped_for_good(timing, start - _TICK, end):
        yield Statement(f"{skipped} (dst_gap = skip)", skipped.instant)
    calendared = calendar_of(schedule)
    moved = calendared and calendared.schedule.next_fire_time(start - _TICK)
    if calendared and moved and moved < end and (why := holiday(calendared, moved)):
        yield Statement(f"calendar {calendared.name!r} moves the fire of this day: {why}", moved)


def _around(
    records: Records,
    version: Version,
    definition: Definition,
    start: datetime,
    end: datetime,
    runs: Sequence[Run],
) -> Iterator[Statement]:
    if definition.timing.fixed_delay or definition.timing.at_boot:
        before = [run for run in runs if run.fire_time < start][-1:]
        after = [run for run in runs if run.fire_time >= end][:1]
        for which, beside in [*(("before", run) for run in before), *(("after", run) for run in after)]:
            yield Statement(f"the run {which}: {in_short(records, beside)}", beside.fire_time)
        return
    by_fire = {run.fire_time: run for run in runs if run.origin == "schedule"}
    # what would have fired before this version held says more than nothing
    earliest = min(version.since, start - timedelta(days=400))
    previous = last_fire_time(definition.schedule, earliest, start - _TICK)
    following = definition.schedule.next_fire_time(end - _TICK)
    for which, fire_time in (("before", previous), ("after", following)):
        if fire_time is None:
            yield Statement(f"no fire {which}")
            continue
        told = "".join(f"; {remark}" for remark in remarks(definition.timing, fire_time))
        if (run := by_fire.get(fire_time)) is not None:
            told += f"; {in_short(records, run)}"
        elif fire_time <= version.since:
            told += ", had the rule held already"
        yield Statement(f"the fire {which}{told}", fire_time)


def _edits_since(records: Records, version: Version) -> Iterator[Statement]:
    later = [other for other in records.versions if other.number > version.number]
    if len(later) > _MOST_EDITS:
        yield Statement(f"edited {len(later)} times since, of which the last")
    for edit in later[-_MOST_EDITS:]:
        what = "removed" if edit.removed else "; ".join(edit.changes) or "changed"
        yield Statement(f"version {edit.number} {edit.by}: {what}", edit.since)
