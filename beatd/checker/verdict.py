"""What the checker finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["missed", "doubled", "unexpected", "late", "expired-yet-executed", "orphan", "state"]

KINDS: tuple[Kind, ...] = (
    "missed",
    "doubled",
    "unexpected",
    "late",
    "expired-yet-executed",
    "orphan",
    "state",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it has to be; `text` says it in one sentence, without the entry's name."""

    kind: Kind
    entry: str
    fire_time: datetime | None
    run_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of publications after their due times: how many, and how late."""

    count: int
    median: timedelta
    p99: timedelta
    greatest: timedelta


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fires` had to happen; `suppressed` of them are counted in records, and `not_told` are such of which
    the evidence does not tell whether they had to. Messages and executions are None where nobody looked.

    `duplicates_explained`: messages and executions beyond the first of their run, by a publication of which
    the outcome was unknown.
    """

    fires: int
    runs: int
    suppressed: int
    messages: int | None
    executions: int | None
    findings: tuple[Finding, ...]
    duplicates_explained: int
    lateness: Lateness | None
    not_told: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found; what is late alone is no fault."""
        return all(finding.kind == "late" for finding in self.findings)

    def count(self, kind: Kind) -> int:
        return sum(finding.kind == kind for finding in self.findings)


def lateness_of(late: Iterable[timedelta]) -> Lateness | None:
    """None where nothing was published."""
    ordered = sorted(late)
    if not ordered:
        return None
    last = len(ordered) - 1
    return Lateness(len(ordered), ordered[last // 2], ordered[-(-last * 99 // 100)], ordered[-1])
