"""Holds what happened against what had to: `check`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from beatd.checker.arrivals import Arrivals
from beatd.checker.entries import account_for, timer_findings
from beatd.checker.evidence import Evidence, Run, Suppressed
from beatd.checker.runs import RunChecks, started_again
from beatd.checker.verdict import Finding, Lateness, Verdict, lateness_of

__all__ = ["LATE_AFTER", "Finding", "Lateness", "Verdict", "check"]

#: What is recorded or published so long after it was due is told as late.
LATE_AFTER = timedelta(seconds=60)


def check(evidence: Evidence, *, late_after: timedelta = LATE_AFTER) -> Verdict:
    """The verdict on a window; never raises for what it finds."""
    runs: dict[int, list[Run]] = defaultdict(list)
    records: dict[int, list[Suppressed]] = defaultdict(list)
    for run in evidence.runs:
        if run.scheduled:
            runs[run.entry_id].append(run)
    for record in evidence.suppressions:
        records[record.entry_id].append(record)
    findings: list[Finding] = []
    fires = suppressed = not_told = 0
    for entry in evidence.entries:
        accounted = account_for(evidence, entry, runs[entry.id], records[entry.id])
        fires += accounted.fires
        suppressed += accounted.suppressed
        not_told += accounted.not_told
        findings += accounted.findings
        findings += timer_findings(evidence, entry)
    names = {entry.id: entry.name for entry in evidence.entries}
    definitions = {
        (entry.id, version.number): version.definition
        for entry in evidence.entries
        for version in entry.versions
        if version.definition is not None
    }
    claims = {claim.run_id: claim for claim in evidence.claims}
    checks = RunChecks(evidence.installation, evidence.now, evidence.pauses, late_after)
    for run in evidence.runs:
        name = names.get(run.entry_id)
        if name is None:
            text = "a run of an entry that there never was"
            findings.append(Finding("orphan", f"entry {run.entry_id}", run.fire_time, run.id, text))
            continue
        definition = definitions.get((run.entry_id, run.version))
        findings += checks.check(run, name, definition, claims.get(run.id))
    arrivals = Arrivals(evidence, names, definitions)
    findings += arrivals.findings()
    return Verdict(
        fires,
        len(evidence.runs),
        suppressed,
        None if evidence.messages is None else len(evidence.messages),
        None if evidence.executions is None else len(evidence.executions),
        tuple(findings),
        arrivals.explained,
        lateness_of(lateness(evidence)),
        not_told,
    )


def lateness(evidence: Evidence) -> Iterator[timedelta]:
    """Of all that was published; of what starts again the first publication is not told any more."""
    for run in evidence.runs:
        if run.published_at is not None and not started_again(run):
            yield run.published_at - run.due_time
