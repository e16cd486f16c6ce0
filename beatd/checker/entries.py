"""One entry's fires against its runs and its records."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from beatd.checker.account import JUDGED, PLAIN, TICK, Fire, fate_of, is_over, walk
from beatd.checker.evidence import Entry, Evidence, Pause, Run, Suppressed, Version
from beatd.checker.matching import Surplus, matched
from beatd.checker.verdict import Finding, Kind
from beatd.planning.definition import Definition
from beatd.planning.policies import MISFIRE_AFTER
from beatd.schedules import format_instant

#: How much time the dispatcher has had for what is due at the end of the window, at the least.
_SOON = timedelta(minutes=1)

#: A run that ended so tells itself when; another's end was inferred, and may have been told later.
_TOLD = frozenset({"succeeded", "failed"})


@dataclass(slots=True)
class Accounted:
    """What came of one entry's fires."""

    fires: int = 0
    suppressed: int = 0
    not_told: int = 0
    findings: list[Finding] = field(default_factory=list)


def account_for(
    evidence: Evidence, entry: Entry, runs: Sequence[Run], records: Sequence[Suppressed]
) -> Accounted:
    """`runs` are the entry's scheduled ones, `records` its own; those of boots are left out here."""
    return _Entry(evidence, entry, runs, records).accounted()


class _Entry:
    def __init__(
        self, evidence: Evidence, entry: Entry, runs: Sequence[Run], records: Sequence[Suppressed]
    ) -> None:
        self._entry, self._pauses = entry, evidence.pauses
        self._since = max(evidence.since, entry.judged_from or evidence.since)
        self._until = evidence.until
        self._runs = sorted(
            (run for run in runs if self._since < run.fire_time <= self._until),
            key=lambda run: (run.fire_time, run.recorded_at),
        )
        self._definitions = {version.number: version.definition for version in entry.versions}
        self._records = [self._within(record) for record in records if self._counts(record)]
        self._run_times = [run.fire_time for run in self._runs]
        self._waits_from = _waits_from(evidence.pauses, self._until)
        self._done = Accounted()
        #: whether some of the fires hang on what the evidence does not tell
        self._doubtful = False

    def accounted(self) -> Accounted:
        if any(later.since < earlier.since for earlier, later in pairwise(self._entry.versions)):
            # the clock was set back between two edits: which held when is not told
            self._done.not_told += len(self._runs)
            return self._done
        fires = {fire.fire_time: fire for fire in self._fires()}
        self._match_runs(fires)
        ran = set(self._run_times)
        self._match_records([fire for at, fire in sorted(fires.items()) if at not in ran])
        self._done.fires = len(ran & fires.keys()) + self._done.suppressed
        self._done.fires += sum(finding.kind == "missed" for finding in self._done.findings)
        return self._done

    # Fires

    def _fires(self) -> Iterator[Fire]:
        versions = self._entry.versions
        for version, following in zip(versions, (*versions[1:], None), strict=True):
            definition = version.definition
            after = max(self._since, version.since)
            until = self._until if following is None else min(self._until, following.since)
            if definition is None or definition.timing.at_boot or until <= after:
                continue
            for fire in self._of_version(version, definition, after, until):
                if not self._is_over(definition, fire.fire_time):
                    yield fire

    def _of_version(
        self, version: Version, definition: Definition, after: datetime, until: datetime
    ) -> Iterator[Fire]:
        walked = [
            self._fire(version, definition, at, fate_of(definition, at, self._pauses, dropped=dropped))
            for at, dropped in walk(definition, after, until, self._runs)
        ]
        if not definition.timing.fixed_delay:
            yield from walked
            return
        found = {fire.fire_time: fire for fire in walked}
        for begin, end in self._untold_gaps(until):
            self._doubtful = True
            for at in [at for at in found if begin < at <= end]:
                found[at] = replace(found[at], certain=False)
            if end in self._run_times and after < end <= until and end not in found:
                found[end] = Fire(version.number, end, PLAIN, certain=False)
        yield from found.values()

    def _untold_gaps(self, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Between runs of a fixed delay, where it is not told when the delay began."""
        times = [*self._run_times, until]
        if self._entry.versions[0].since < self._since:
            yield self._since, times[0]
        for run, following in zip(self._runs, times[1:], strict=True):
            if run.state not in _TOLD or run.started_at is None:
                yield run.fire_time, following

    def _fire(self, version: Version, definition: Definition, at: datetime, fate: str) -> Fire:
        return Fire(version.number, at, fate, self._is_certain(version, definition, at, fate))

    def _is_certain(self, version: Version, definition: Definition, at: datetime, fate: str) -> bool:
        timer, versions = self._entry.timer, self._entry.versions
        if timer is None:
            settled = versions[-1].definition is None and version is not versions[-1]
        else:
            settled = timer.planned_version > version.number or (
                timer.planned_version == version.number and at <= timer.planned_from
            )
        if settled or fate != PLAIN or (timer is not None and timer.state == "broken"):
            return settled
        due_time = definition.timing.due_time(at)
        return due_time <= self._until and (self._waits_from is None or due_time < self._waits_from)

    def _is_over(self, definition: Definition, at: datetime) -> bool:
        if definition.timing.max_runs is None:
            return False
        if self._entry.made_before is None:
            self._doubtful = True
            return at not in self._run_times
        return is_over(definition, self._entry.made_before + bisect_left(self._run_times, at))

    # Runs

    def _match_runs(self, fires: dict[datetime, Fire]) -> None:
        for before, run in zip((None, *self._runs), self._runs, strict=False):
            definition = self._definitions.get(run.version)
            if definition is None:
                self._done.not_told += 1
                continue
            fire = fires.get(run.fire_time)
            if before is not None and before.fire_time == run.fire_time:
                self._find("doubled", run, "a second run of this fire")
            elif fire is None:
                self._find("unexpected", run, f"a run of what is no fire of version {run.version}")
            elif fire.version != run.version:
                text = f"a run of version {run.version}, where version {fire.version} held"
                self._find("unexpected", run, text)
            elif fire.fate != PLAIN:
                self._find("unexpected", run, f"a run of a fire that was kept back: {fire.fate}")
            else:
                self._hold_to_policies(run, definition)

    def _hold_to_policies(self, run: Run, definition: Definition) -> None:
        late, policies = run.recorded_at - run.due_time, definition.policies
        if late > MISFIRE_AFTER and policies.misfire == "skip":
            self._find("unexpected", run, "was missed, and is a run under misfire = 'skip'")
        elif policies.misfire_grace is not None and late > policies.misfire_grace:
            text = f"was recorded {late} late, and misfire_grace is {policies.misfire_grace}"
            self._find("unexpected", run, text)

    # Records

    def _match_records(self, left: Sequence[Fire]) -> None:
        fires: dict[tuple[int, str], list[Fire]] = defaultdict(list)
        records: dict[tuple[int, str], list[Suppressed]] = defaultdict(list)
        for fire in left:
            fires[fire.version, fire.fate].append(fire)
        for record in self._records:
            records[record.version, PLAIN if record.reason in JUDGED else record.reason].append(record)
        for key in sorted(fires.keys() | records.keys()):
            found = matched(fires[key], records[key])
            self._done.suppressed += found.taken
            self._done.not_told += found.uncertain
            for fire in found.unaccounted:
                self._missed(fire)
            for surplus in () if self._doubtful else found.surplus:
                self._surplus(surplus)

    def _missed(self, fire: Fire) -> None:
        timer = self._entry.timer
        text = f"a fire ({fire.fate}) with neither a run nor a record"
        if timer is not None and timer.next_due_at is not None and timer.planned_from < fire.fire_time:
            text += f"; its timer is due since {format_instant(timer.next_due_at)} and was not taken yet"
        self._done.findings.append(Finding("missed", self._entry.name, fire.fire_time, None, text))

    def _surplus(self, surplus: Surplus[Suppressed]) -> None:
        record = surplus.record
        if not (self._since < record.first and record.last <= self._until):
            return
        ran = sum(record.first <= run.fire_time <= record.last for run in self._runs)
        again = any(
            other is not record and other.first <= record.last and record.first <= other.last
            for other in self._records
        )
        span = f"{format_instant(record.first)} to {format_instant(record.last)}"
        text = (
            f"{record.count} fires from {span} are counted ({record.reason}), but {surplus.there} such "
            f"were left beside {ran} runs"
        )
        kind: Kind = "doubled" if ran or again else "unexpected"
        self._done.findings.append(Finding(kind, self._entry.name, record.first, None, text))

    def _counts(self, record: Suppressed) -> bool:
        definition = self._definitions.get(record.version)
        outside = record.last <= self._since or record.first > self._until
        return definition is not None and not definition.timing.at_boot and not outside

    def _within(self, record: Suppressed) -> Suppressed:
        """A record that reaches over the window's ends may count any number of fires in it."""
        if self._since < record.first and record.last <= self._until:
            return record
        return replace(record, count=0, exact=False)

    def _find(self, kind: Kind, run: Run, text: str) -> None:
        self._done.findings.append(Finding(kind, self._entry.name, run.fire_time, run.id, text))


def _waits_from(pauses: Sequence[Pause], until: datetime) -> datetime | None:
    """From when on what is due may not have been taken yet: while everything is paused no timers are."""
    lasting = [pause.since for pause in pauses if pause.until is None or pause.until > until - _SOON]
    return min(lasting) - _SOON if lasting else None


def timer_findings(evidence: Evidence, entry: Entry) -> Iterator[Finding]:
    """Whether the timer shows the next fire by the rule. Where that hangs on runs it is not looked at."""
    timer, version = entry.timer, entry.versions[-1] if entry.versions else None
    if timer is None or version is None or timer.planned_version != version.number:
        return
    definition = version.definition
    if definition is None or timer.state == "broken":
        return
    timing = definition.timing
    if timing.fixed_delay or timing.at_boot or timing.max_runs is not None:
        return
    expected = None
    if definition.enabled:
        after = max(timer.planned_from, version.since)
        if definition.paused_until is not None:
            after = max(after, definition.paused_until - TICK)
        fire_time = definition.schedule.next_fire_time(after)
        if fire_time is None:
            # the timer may still look after what a calendar drops
            return
        expected = timing.due_time(fire_time)
    if timer.next_due_at == expected:
        return
    told = "no next fire" if timer.next_due_at is None else f"due at {format_instant(timer.next_due_at)}"
    rule = "none" if expected is None else format_instant(expected)
    text = f"the timer shows {told}, and the rule gives {rule}"
    yield Finding("state", entry.name, expected, None, text)
