"""Holds what happened against what had to: `check`."""

from __future__ import annotations

from datetime import timedelta

from beatd.checker.evidence import Evidence
from beatd.checker.verdict import Finding, Lateness, Verdict, lateness_of

__all__ = ["LATE_AFTER", "Finding", "Lateness", "Verdict", "check"]

#: What is recorded or published so long after it was due is told as late.
LATE_AFTER = timedelta(seconds=60)


def check(evidence: Evidence, *, late_after: timedelta = LATE_AFTER) -> Verdict:
    """The verdict on a window; never raises for what it finds."""
    late = (run.published_at - run.due_time for run in evidence.runs if run.published_at is not None)
    messages = None if evidence.messages is None else len(evidence.messages)
    executions = None if evidence.executions is None else len(evidence.executions)
    return Verdict(0, len(evidence.runs), 0, messages, executions, (), 0, lateness_of(late))
