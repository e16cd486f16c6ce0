"""Why a fire has no run: suppressed, not settled yet, still to come, or no longer on record."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from beatd.durations import span_text
from beatd.planning.definition import Definition
from beatd.planning.explain.records import (
    Advice,
    EverythingPaused,
    Explanation,
    Records,
    Run,
    Statement,
    Suppressed,
    Version,
)
from beatd.planning.explain.run import expiry_setting, in_short, unfinished_at
from beatd.planning.plan import expires_at
from beatd.planning.policies import MISFIRE_AFTER
from beatd.planning.remarks import calendar_of, holiday, remarks
from beatd.planning.wording import zoned, zoned_and_utc
from beatd.schedules import format_duration, format_instant

#: Runs that one look at an entry records have the same instant; the database may cut its microseconds.
_SAME_LOOK = timedelta(milliseconds=1)

_WHY = {
    "misfire": "it was missed",
    "expired": "its expiry came before it could be settled",
    "overlap": "an earlier run was unfinished",
    "calendar": "its calendar drops it",
    "paused": "the entry was paused",
    "all paused": "everything was paused",
    "restored": "it lies between a backup and the restore from it; whether it ran before that is not known",
}


def explain_suppressed(
    records: Records, fire_time: datetime, version: Version, record: Suppressed, runs: Sequence[Run]
) -> Explanation:
    """`record` counts this fire; `runs` are those around it, oldest fire time first."""
    statements = [*_fire(version, fire_time)]
    definition = version.definition
    if definition is not None:
        statements += _reasons(records, fire_time, version, definition, record, runs)
    statements.append(Statement(_counted(records, record), record.recorded_at))
    return Explanation(
        headline=f"it did not run: {_WHY.get(record.reason, record.reason)}",
        verdict="suppressed",
        fire_time=fire_time,
        statements=tuple(statements),
        advice=tuple(_advice(records, fire_time, version, record.reason)),
    )


def explain_unsettled(records: Records, fire_time: datetime, version: Version) -> Explanation:
    """A fire of the past that no scheduler has settled yet."""
    if (pause := _pause(records, fire_time, version)) is not None:
        what, statement, advice = pause
        later = Statement("the fires of a pause are counted when it ends")
        statements = (*_fire(version, fire_time), statement, later)
        return Explanation(f"it did not run: {what}", "paused", fire_time, None, statements, (advice,))
    return Explanation(
        "it has not run: no scheduler has settled this fire yet",
        "unsettled",
        fire_time,
        None,
        (*_fire(version, fire_time), *_obstacles(records)),
        (_help(records),),
    )


def explain_coming(records: Records, fire_time: datetime, version: Version) -> Explanation:
    """A fire that is due in the future, under the version that holds now."""
    if (pause := _pause(records, fire_time, version)) is not None:
        what, statement, advice = pause
        statements = (*_fire(version, fire_time), statement)
        return Explanation(f"it will not run: {what}", "paused", fire_time, None, statements, (advice,))
    due = version.definition.timing.due_time(fire_time) if version.definition else fire_time
    headline = f"it will run in {span_text(due - records.now)}"
    advice = Advice("what comes", f"entry next {shlex.quote(records.entry)}")
    if not records.alive:
        headline += ", if a scheduler runs then"
        advice = Advice("start a scheduler", "scheduler")
    elif all(node.shadow for node in records.alive):
        headline = f"{headline.replace('will', 'would')}: in shadow mode that is recorded, and nothing runs"
    statements = (*_fire(version, fire_time), *([] if records.alive else _schedulers(records)))
    return Explanation(headline, "coming", fire_time, None, statements, (advice,))


def _pause(records: Records, fire_time: datetime, version: Version) -> tuple[str, Statement, Advice] | None:
    """What is paused at the fire, for which no scheduler has counted it yet."""
    resume = Advice("let it fire again", f"entry resume {shlex.quote(records.entry)}")
    paused = Statement(paused_text(records, version), _paused_version(records, version).since)
    until = version.definition.paused_until if version.definition else None
    if not version.enabled:
        return "the entry is paused", paused, resume
    if until is not None and fire_time < until:
        return f"the entry is paused until {zoned_and_utc(until, records.zone)}", paused, resume
    if everything := records.paused_at(fire_time):
        ends = "" if everything.until is None else f" until {zoned_and_utc(everything.until, records.zone)}"
        statement = Statement(everything_text(records, everything), everything.since)
        return f"everything is paused{ends}", statement, Advice("let everything fire again", "resume --all")
    return None


def explain_no_record(records: Records, fire_time: datetime, version: Version) -> Explanation:
    """It was settled, and nothing tells how."""
    text = "finished runs are kept for history.keep_days days, and history.keep_runs of each entry"
    return Explanation(
        headline="what became of this fire is not on record any more",
        verdict="no record",
        fire_time=fire_time,
        statements=(*_fire(version, fire_time), Statement(text)),
        advice=(Advice("what is on record", f"entry history {shlex.quote(records.entry)}"),),
    )


def paused_text(records: Records, version: Version) -> str:
    """`paused by anna: moving house`."""
    first = _paused_version(records, version)
    note = f": {version.note}" if version.note else ""
    return f"paused {first.by}{note}"


def everything_text(records: Records, pause: EverythingPaused) -> str:
    who = f" by {pause.who}" if pause.who else " in SQL"
    until = "" if pause.until is None else f", until {zoned(pause.until, records.zone)}"
    return f"everything paused{who}{until}{f': {pause.note}' if pause.note else ''}"


def _paused_version(records: Records, version: Version) -> Version:
    """The version since which the entry has been paused all the time up to this one."""
    first = version
    for earlier in reversed([other for other in records.versions if other.number < version.number]):
        if earlier.enabled or earlier.removed:
            break
        first = earlier
    return first


def _fire(version: Version, fire_time: datetime) -> Iterator[Statement]:
    yield Statement("fire time", fire_time)
    if version.definition is not None:
        yield from map(Statement, remarks(version.definition.timing, fire_time))


# Suppressed


def _reasons(
    records: Records,
    fire_time: datetime,
    version: Version,
    definition: Definition,
    record: Suppressed,
    runs: Sequence[Run],
) -> Iterator[Statement]:
    match record.reason:
        case "misfire":
            yield from _missed(records, fire_time, definition, record, runs)
        case "expired":
            expiry = expires_at(definition, fire_time, definition.timing.due_time(fire_time))
            yield Statement(f"its expiry{expiry_setting(definition)}", expiry)
        case "overlap":
            yield from _overlapped(records, fire_time, definition, record, runs)
        case "calendar":
            calendared = calendar_of(definition.schedule)
            if calendared is not None:
                yield Statement(f"calendar {calendared.name!r}: {holiday(calendared, fire_time)}")
        case "paused":
            yield Statement(paused_text(records, version), _paused_version(records, version).since)
            if definition.paused_until is not None:
                yield Statement("it was paused until", definition.paused_until)
        case "all paused":
            if pause := records.paused_at(fire_time):
                yield Statement(everything_text(records, pause), pause.since)


def _missed(
    records: Records, fire_time: datetime, definition: Definition, record: Suppressed, runs: Sequence[Run]
) -> Iterator[Statement]:
    due = definition.timing.due_time(fire_time)
    late = span_text(record.recorded_at - due)
    limit = format_duration(MISFIRE_AFTER)
    yield Statement(f"no scheduler settled it within {limit} of when it was due; it was settled {late} late")
    policies = definition.policies
    if policies.misfire_grace is not None and record.recorded_at - due > policies.misfire_grace:
        grace = format_duration(policies.misfire_grace)
        yield Statement(f"misfire_grace = {grace}: later than that it is not made up")
        return
    yield Statement(
        {
            "skip": "misfire = skip: missed fires are not made up",
            "latest": "misfire = latest: of the fires that were missed the newest alone is made up",
            "all": f"misfire = all: the newest {policies.misfire_limit} (misfire_limit) are made up",
        }[policies.misfire]
    )
    for run in runs:
        same_look = abs(run.recorded_at - record.recorded_at) <= _SAME_LOOK
        if same_look and run.origin == "schedule" and run.fire_time > fire_time:
            yield Statement(f"the newest became {in_short(records, run)}")
            return


def _overlapped(
    records: Records, fire_time: datetime, definition: Definition, record: Suppressed, runs: Sequence[Run]
) -> Iterator[Statement]:
    yield Statement(
        {
            "skip": "overlap = skip: while an earlier run is unfinished no other starts",
            "queue": "overlap = queue: of the fires that come meanwhile the newest alone is held back",
            "cancel": "overlap = cancel: of fires that are settled together the newest alone starts",
        }.get(definition.policies.overlap, f"overlap = {definition.policies.overlap}")
    )
    if (run := unfinished_at(runs, fire_time, record.recorded_at)) is not None:
        ended = "" if run.finished_at is None else f" at {zoned(run.finished_at, records.zone)}"
        yield Statement(f"the earlier one: {in_short(records, run)}{ended}")


def _counted(records: Records, record: Suppressed) -> str:
    if record.count == 1 and record.exact:
        return f"counted, reason {record.reason!r}"
    count = f"{record.count:,}{'' if record.exact else ' or more'}"
    first, last = (zoned(at, records.zone) for at in (record.first_fire_at, record.last_fire_at))
    return f"counted, reason {record.reason!r}: {count} fires from {first} to {last}"


def _advice(records: Records, fire_time: datetime, version: Version, reason: str) -> Iterator[Advice]:
    if records.latest.removed:
        return
    name = shlex.quote(records.entry)
    definition = version.definition
    match reason:
        case "misfire":
            yield Advice("whether a scheduler runs now", "status")
            yield Advice("make up more of what is missed", f"entry set {name} --misfire all --expires 7d")
        case "expired":
            yield Advice("let its runs live longer", f"entry set {name} --expires 6h")
        case "overlap":
            yield Advice("hold one back instead", f"entry set {name} --overlap queue")
            yield Advice("the runs around it", f"runs list --entry {name}")
        case "calendar":
            calendared = calendar_of(definition.schedule) if definition else None
            if calendared is not None and calendared.name:
                yield Advice("the dates", f"calendar show {shlex.quote(calendared.name)}")
                yield Advice("let it move instead", f"entry set {name} --calendar-action next")
        case "paused" if not records.latest.enabled:
            yield Advice("let it fire again", f"entry resume {name}")
        case "all paused" if records.paused_at(records.now):
            yield Advice("let everything fire again", "resume --all")
    if reason != "calendar" and _fires_today(records, fire_time):
        at = format_instant(fire_time)
        yield Advice("run this fire after all", f"entry backfill {name} --from {at} --to {at}")


def _fires_today(records: Records, fire_time: datetime) -> bool:
    """Whether the rule that holds now has this fire."""
    definition = records.latest.definition
    if definition is None or definition.timing.fixed_delay:
        return False
    return definition.schedule.next_fire_time(fire_time - timedelta(microseconds=1)) == fire_time


# Not settled


def _obstacles(records: Records) -> Iterator[Statement]:
    timer, latest = records.timer, records.latest
    if pause := records.paused_at(records.now):
        yield Statement(everything_text(records, pause), pause.since)
        yield Statement("meanwhile nothing is planned; what fires inside is counted when it ends")
    if timer is None or timer.planned_version == 0:
        yield Statement("no scheduler has planned the entry yet")
    else:
        yield Statement("it is planned up to here", timer.planned_from)
        if timer.state == "broken":
            yield Statement(f"it is broken: {timer.error}")
        elif timer.planned_version != latest.number:
            yield Statement(f"version {latest.number} {latest.by} is not planned yet", latest.since)
        elif timer.next_due_at is not None and timer.next_due_at <= records.now:
            yield Statement("due since then", timer.next_due_at)
    yield from _schedulers(records)


def _schedulers(records: Records) -> Iterator[Statement]:
    for node in records.alive:
        yield Statement(f"scheduler {node.name} lives: {node.status}", node.heartbeat_at)
    if records.alive:
        return
    if not records.silent:
        yield Statement("no scheduler is on record: none runs, or none could write")
    for node in records.silent:
        yield Statement(f"no scheduler lives; {node.name} was last heard of then", node.heartbeat_at)


def _help(records: Records) -> Advice:
    if records.timer is not None and records.timer.state == "broken":
        return Advice("mend it", f"entry edit {shlex.quote(records.entry)}")
    if records.paused_at(records.now):
        return Advice("let everything fire again", "resume --all")
    if not records.alive:
        return Advice("start a scheduler", "scheduler")
    return Advice("what the schedulers wait for", "status")
