"""What happened, laid before the checker window by window, so that an hour of it is never in memory at once.

Two judges: beatd's own checker, with the rules of all entries and all their versions; and a count of the
suite's own, which knows the steady entries' fires by plain arithmetic, and the promise itself: every run's
message, every run's execution, none twice.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from beatd.checker.check import check
from beatd.checker.evidence import (
    Claim,
    Entry,
    Evidence,
    Execution,
    Message,
    Pause,
    Run,
    Suppressed,
    Timer,
    Version,
)
from beatd.checker.verdict import Finding
from beatd.store.definitions import Definitions
from beatd.store.models import claims, entry_versions, installation, runs, suppressions, timers
from beatd.store.models import pauses as paused
from tests.faults.suite.ledger import Line, Minutes
from tests.faults.suite.workload import Steady
from tests.processes import Installation

WINDOW = timedelta(minutes=2)
#: How long an edit may take from its statement to its commit.
IN_FLIGHT = timedelta(seconds=1)
_KEPT = 200


@dataclass(slots=True)
class Judgement:
    """Sums over all windows. `findings` are the first ones; `lateness` by due time, both in seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    due: array[float] = field(default_factory=lambda: array("d"))
    late: array[float] = field(default_factory=lambda: array("d"))

    @property
    def violations(self) -> int:
        return sum(self.kinds.values()) - self.kinds["late"]

    def add(self, finding: Finding) -> None:
        self.kinds[finding.kind] += 1
        if finding.kind != "late" and len(self.findings) < _KEPT:
            self.findings.append(finding)


class Judge:
    def __init__(
        self, world: Installation, messages: Minutes, executions: Minutes | None, steady: Mapping[str, Steady]
    ) -> None:
        """`executions` None: there were no workers."""
        self._world = world
        self._messages = messages
        self._executions = executions
        self._definitions = Definitions()
        self._steady = steady

    def judge(self, since: datetime, until: datetime) -> Judgement:
        """All that had its fire time in (since, until]."""
        judgement = Judgement()
        self._read_entries()
        while since < until:
            self._window(judgement, since, min(since + WINDOW, until))
            since += WINDOW
        return judgement

    def _window(self, judgement: Judgement, since: datetime, until: datetime) -> None:
        evidence = self._evidence(since, until)
        verdict = check(evidence)
        judgement.counts["fires"] += verdict.fires
        judgement.counts["suppressed"] += verdict.suppressed
        judgement.counts["duplicates explained"] += verdict.duplicates_explained
        by_id = {run.id: run for run in evidence.runs}
        for finding in verdict.findings:
            if finding.kind == "unexpected" and self._in_flight(by_id.get(finding.run_id or "")):
                judgement.counts["edits in flight"] += 1
            else:
                judgement.add(finding)
        self._count(judgement, evidence)

    def _in_flight(self, run: Run | None) -> bool:
        """Whether the run was recorded while the next edit was made, but could not be seen yet: an edit's
        instant is that of its statement, not of its commit.
        """
        if run is None:
            return False
        later = [each for each in self._versions[run.entry_id] if each.number == run.version + 1]
        return any(each.since < run.fire_time <= run.recorded_at <= each.since + IN_FLIGHT for each in later)

    # Evidence

    def _read_entries(self) -> None:
        with self._world.database.read() as connection:
            rows = connection.execute(select(entry_versions.c.entry_id, entry_versions.c.version)).all()
            versions = self._definitions.get(connection, [(row.entry_id, row.version) for row in rows])
            self._timers = {row.entry_id: row for row in connection.execute(select(timers))}
            self._id = connection.execute(select(installation.c.id)).scalar_one()
            names = connection.execute(select(entry_versions.c.entry_id, entry_versions.c.name)).all()
        self._names = {row.entry_id: row.name for row in names}
        self._versions = defaultdict(list)
        for version in sorted(versions.values(), key=lambda each: (each.entry_id, each.version)):
            self._versions[version.entry_id].append(
                Version(version.version, version.changed_at, version.definition)
            )

    def _evidence(self, since: datetime, until: datetime) -> Evidence:
        entries = [self._entry(id_, since, until) for id_ in self._versions]
        with self._world.database.read() as connection:
            now = self._world.database.now(connection)
            within = (runs.c.fire_time > since) & (runs.c.fire_time <= until)
            names = [c for c in runs.c if c.name in Run.__slots__]
            found = [Run(**row._mapping) for row in connection.execute(select(*names).where(within))]
            overlap = (suppressions.c.last_fire_at > since) & (suppressions.c.first_fire_at <= until)
            records = [_suppressed(row) for row in connection.execute(select(suppressions).where(overlap))]
            claimed = select(claims).join_from(claims, runs, claims.c.run_id == runs.c.id).where(within)
            held = [Claim(r.run_id, r.worker, r.claimed_at, r.ended_at) for r in connection.execute(claimed)]
            pauses = [Pause(row.since, row.until) for row in connection.execute(select(paused))]
        return Evidence(
            since=since,
            until=until,
            now=now,
            entries=[entry for entry in entries if entry is not None],
            runs=found,
            suppressions=records,
            pauses=pauses,
            claims=held,
            messages=list(_published(self._messages.read(since, until))),
            executions=None
            if self._executions is None
            else list(_executed(self._executions.read(since, until))),
            installation=str(self._id),
        )

    def _entry(self, id_: int, since: datetime, until: datetime) -> Entry | None:
        versions = self._versions[id_]
        first = max((i for i, version in enumerate(versions) if version.since <= since), default=0)
        valid = tuple(version for version in versions[first:] if version.since <= until)
        if not valid:
            return None
        row = self._timers.get(id_)
        timer = row and Timer(row.planned_from, row.planned_version, row.next_due_at, row.state)
        return Entry(id_, self._names[id_], valid, timer)

    # The suite's own count

    def _count(self, judgement: Judgement, evidence: Evidence) -> None:
        by_id = {run.id: run for run in evidence.runs}
        claimed = {claim.run_id: claim for claim in evidence.claims}
        judgement.counts["runs"] += len(by_id)
        for run in evidence.runs:
            judgement.counts[f"run {run.state}"] += 1
            if run.published_at is not None:
                judgement.due.append(run.due_time.timestamp())
                judgement.late.append((run.published_at - run.due_time).total_seconds())
        self._count_messages(judgement, evidence, by_id)
        if self._executions is not None:
            self._count_executions(judgement, evidence, by_id, claimed)
        self._count_fires(judgement, evidence)

    def _count_messages(self, judgement: Judgement, evidence: Evidence, by_id: dict[str, Run]) -> None:
        sent = Counter(message.run_id for message in evidence.messages or ())
        judgement.counts["messages"] += sum(sent.values())
        for run_id, times in sent.items():
            run = by_id.get(run_id)
            if run is None:
                _tell(judgement, "orphaned messages", run_id, None)
            elif times > 1:
                judgement.counts["messages again, explained"] += min(times, run.attempt) - 1
                if times > run.attempt:
                    _tell(judgement, "messages again, unexplained", run_id, run)
        for run in evidence.runs:
            if run.published_at is not None and run.id not in sent:
                _tell(judgement, "marked, no message", run.id, run)
            if run.published_at is None and run.id not in sent and run.state not in ("expired", "revoked"):
                _tell(judgement, "never sent", run.id, run)

    def _count_executions(
        self, judgement: Judgement, evidence: Evidence, by_id: dict[str, Run], claimed: dict[str, Claim]
    ) -> None:
        sent = Counter(message.run_id for message in evidence.messages or ())
        lines: dict[str, list[Line]] = defaultdict(list)
        assert self._executions is not None
        for line in self._executions.read(evidence.since, evidence.until):
            lines[line.run_id].append(line)
        for run_id, starts in lines.items():
            judgement.counts["executions"] += len(starts)
            run, once = by_id.get(run_id), starts[0].kind == "once"
            if run is None:
                _tell(judgement, "orphaned executions", run_id, None)
                continue
            if len(starts) > 1:
                explained = sent[run_id] > 1 or run.attempt > 1 or any(line.redelivered for line in starts)
                kind = "run-once" if once else "plain explained" if explained else "plain unexplained"
                name = f"doubled {kind}"
                judgement.counts[name] += len(starts) - 1
                if kind != "plain explained":
                    _tell(judgement, name, run_id, run, count=0)
            if once and run.expires_at is not None:
                claim = claimed.get(run_id)
                begun = claim.claimed_at if claim else min(line.at for line in starts)
                if begun > run.expires_at:
                    _tell(judgement, "expired yet executed", run_id, run)
            if once and run_id not in claimed:
                _tell(judgement, "executed unclaimed", run_id, run)
        for run in evidence.runs:
            if run.state == "succeeded" and run.id not in lines:
                _tell(judgement, "succeeded, not executed", run.id, run)

    def _count_fires(self, judgement: Judgement, evidence: Evidence) -> None:
        """Of entries that nobody edited but for the end, when all of them are disabled."""
        recorded = defaultdict(set)
        for run in evidence.runs:
            recorded[run.entry_id].add(run.fire_time)
        kept = {record.entry_id for record in evidence.suppressions}
        for entry in evidence.entries:
            rule = self._steady.get(entry.name)
            if rule is None:
                continue
            fires = set(_fires(rule, evidence.since, evidence.until))
            judgement.counts["steady fires"] += len(fires)
            for fire in fires - recorded[entry.id]:
                judgement.counts["steady suppressed" if entry.id in kept else "steady missed"] += 1
                if entry.id not in kept:
                    judgement.add(Finding("missed", entry.name, fire, None, "by arithmetic it had to fire"))
            for fire in recorded[entry.id] - fires:
                judgement.add(
                    Finding("unexpected", entry.name, fire, None, "by arithmetic it had not to fire")
                )


def _tell(judgement: Judgement, what: str, run_id: str, run: Run | None, count: int = 1) -> None:
    judgement.counts[what] += count
    kind = "orphan" if run is None else "doubled" if "again" in what or "doubled" in what else "state"
    if what == "expired yet executed":
        kind = "expired-yet-executed"
    told = "no such run" if run is None else f"{run}"
    entry = "" if run is None else str(run.entry_id)
    judgement.add(Finding(kind, entry, run and run.fire_time, run_id, f"{what}: {told}"))  # type: ignore[arg-type]


def _fires(rule: Steady, since: datetime, until: datetime) -> Iterator[datetime]:
    """In (since, until]."""
    fire = rule.anchor
    if since >= fire:
        fire += ((since - fire) // rule.step + 1) * rule.step
    while fire <= until:
        yield fire
        fire += rule.step


def _published(lines: Iterator[Line]) -> Iterator[Message]:
    """Each publication once: what the broker handed over again, it had handed over before; unless nobody had
    noted it then.
    """
    again: dict[str, Line] = {}
    noted = set()
    for line in lines:
        if line.redelivered or line.kind == "old":
            again[line.run_id] = line
        else:
            noted.add(line.run_id)
            yield Message(line.run_id, line.entry, line.fire_time, line.at)
    for line in again.values():
        if line.run_id not in noted:
            yield Message(line.run_id, line.entry, line.fire_time, line.at)


def _executed(lines: Iterator[Line]) -> Iterator[Execution]:
    """Without those of plain tasks whose message the broker, by its own word, delivered again: what explains
    them is not in the database. The suite counts them itself.
    """
    again: dict[str, Execution] = {}
    seen = set()
    for line in lines:
        start = Execution(line.run_id, line.entry, line.fire_time, line.at, line.who, line.kind == "once")
        if line.redelivered and not start.run_once:
            again[line.run_id] = start
        else:
            seen.add(line.run_id)
            yield start
    yield from (start for run_id, start in again.items() if run_id not in seen)


def _suppressed(row: Row[Any]) -> Suppressed:
    return Suppressed(
        row.entry_id,
        row.version,
        row.reason,
        row.count,
        row.exact,
        row.first_fire_at,
        row.last_fire_at,
        row.recorded_at,
    )
