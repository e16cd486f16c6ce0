"""The verdict on many parts of one window, added up in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from beatd.checker.check import check, lateness
from beatd.checker.evidence import Evidence
from beatd.checker.verdict import Finding, Kind, Lateness, lateness_of

#: Findings that are kept; the others are counted.
MOST_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class Total:
    """As a Verdict. `counts` has all findings by kind, `findings` the first of them: those that are late only
    where there is room.
    """

    fires: int
    runs: int
    suppressed: int
    not_told: int
    counts: dict[Kind, int]
    findings: tuple[Finding, ...]
    lateness: Lateness | None

    @property
    def wrong(self) -> int:
        """How many findings there are that are not `late` alone."""
        return sum(count for kind, count in self.counts.items() if kind != "late")

    @property
    def ok(self) -> bool:
        return not self.wrong


class Tally:
    def __init__(self) -> None:
        self._fires = self._runs = self._suppressed = self._not_told = 0
        self._counts: Counter[Kind] = Counter()
        self._wrong: list[Finding] = []
        self._late: list[Finding] = []
        # seconds
        self._lateness = array("f")

    def add(self, evidence: Evidence) -> None:
        verdict = check(evidence)
        self._fires += verdict.fires
        self._runs += verdict.runs
        self._suppressed += verdict.suppressed
        self._not_told += verdict.not_told
        self._counts.update(finding.kind for finding in verdict.findings)
        for finding in verdict.findings:
            kept = self._late if finding.kind == "late" else self._wrong
            if len(kept) < MOST_FINDINGS:
                kept.append(finding)
        self._lateness.extend(late.total_seconds() for late in lateness(evidence))

    def total(self) -> Total:
        return Total(
            self._fires,
            self._runs,
            self._suppressed,
            self._not_told,
            dict(self._counts),
            tuple([*self._wrong, *self._late][:MOST_FINDINGS]),
            lateness_of(timedelta(seconds=late) for late in self._lateness),
        )
