"""The table at the end, and the same as JSON."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.suite.judging import Judgement
from tests.faults.suite.storm import Fault

#: What comes after a fault is told of this long after it was healed.
AFTERMATH = timedelta(seconds=7)


@dataclass(slots=True)
class Kind:
    """What one kind of fault did. Seconds; `gap`: the longest time from one of them in which nothing was
    published; lateness of what was due from then until a while after."""

    count: int = 0
    failed: int = 0
    gap: float = 0.0
    late: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class Result:
    pair: str
    seed: int
    command: str
    settings: dict[str, str]
    seconds: float
    faults: Sequence[Fault]
    judgement: Judgement
    arrivals: array[float]
    edits: Counter[str]
    edits_failed: int
    ended: list[str]
    unsettled: dict[str, int]
    exits: dict[str, int]
    notes: list[str]

    def by_kind(self) -> dict[str, Kind]:
        kinds: dict[str, Kind] = defaultdict(Kind)
        arrivals = sorted(self.arrivals)
        order = sorted(range(len(self.judgement.due)), key=self.judgement.due.__getitem__)
        due = [self.judgement.due[i] for i in order]
        for fault in self.faults:
            kind = kinds[fault.kind]
            if fault.error:
                kind.failed += 1
            kind.count += 1
            since, until = fault.at, (fault.healed_at or fault.at) + AFTERMATH
            kind.gap = max(kind.gap, gap(arrivals, since, until))
            first, last = bisect_left(due, since.timestamp()), bisect_left(due, until.timestamp())
            kind.late.extend(self.judgement.late[order[i]] for i in range(first, last))
        return dict(sorted(kinds.items()))

    def figures(self) -> dict[str, int]:
        """The lines of violations; all of them have to be 0."""
        counts, kinds = self.judgement.counts, self.judgement.kinds
        return {
            "missed": kinds["missed"],
            "unexpected": kinds["unexpected"],
            "doubled run-once": counts["doubled run-once"],
            "doubled, unexplained": kinds["doubled"],
            "expired yet executed": kinds["expired-yet-executed"],
            "orphaned": kinds["orphan"],
            "state errors": kinds["state"],
            "not settled": sum(self.unsettled.values()),
        }

    @property
    def ok(self) -> bool:
        return not any(self.figures().values()) and not self.crashes

    @property
    def crashes(self) -> list[str]:
        """Ends that nobody asked for, and orderly ones that went wrong."""
        return [*self.ended, *(f"{name}: status {status}" for name, status in self.exits.items() if status)]

    def first_findings(self, most: int, folder: Path) -> Iterator[str]:
        """In full: each with what the processes logged about its run."""
        for finding in self.judgement.findings[:most]:
            instant = finding.fire_time.isoformat() if finding.fire_time else "-"
            yield f"\n{finding.kind}: {finding.entry} {instant} run {finding.run_id}\n  {finding.text}"
            if finding.run_id:
                yield from (f"  {line}" for line in log_lines(folder, finding.run_id))

    def as_json(self) -> dict[str, Any]:
        kinds = {
            name: {
                "faults": kind.count,
                "failed": kind.failed,
                "gap": round(kind.gap, 3),
                **lateness(kind.late),
            }
            for name, kind in self.by_kind().items()
        }
        return {
            "pair": self.pair,
            "seed": self.seed,
            "command": self.command,
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "faults": kinds,
            "counts": dict(self.judgement.counts),
            "violations": self.figures(),
            "lateness": lateness(self.judgement.late),
            "edits": {**self.edits, "failed": self.edits_failed},
            "crashes": self.crashes,
            "unsettled": self.unsettled,
            "notes": self.notes,
            "findings": [
                {
                    "kind": finding.kind,
                    "entry": finding.entry,
                    "fire_time": finding.fire_time and finding.fire_time.isoformat(),
                    "run": finding.run_id,
                    "text": finding.text,
                }
                for finding in self.judgement.findings
            ],
            "storm": [
                {
                    "kind": fault.kind,
                    "at": fault.at.isoformat(),
                    "healed": fault.healed_at and fault.healed_at.isoformat(),
                    "told": fault.told,
                    "error": fault.error,
                }
                for fault in self.faults
            ],
        }


def log_lines(folder: Path, word: str, most: int = 40) -> list[str]:
    """What the processes logged that names a run, by file."""
    found: list[str] = []
    for log in sorted(folder.glob("*.log")):
        with log.open(errors="replace") as stream:
            found += [f"{log.stem}: {line.rstrip()}" for line in stream if word in line]
    return found[:most]


def gap(arrivals: Sequence[float], since: datetime, until: datetime) -> float:
    """The longest silence that began or went on between the two."""
    first = max(bisect_left(arrivals, since.timestamp()), 1)
    last = min(bisect_left(arrivals, until.timestamp()), len(arrivals) - 1)
    return max(
        (arrivals[i] - max(arrivals[i - 1], since.timestamp()) for i in range(first, last + 1)), default=0.0
    )


def lateness(late: Sequence[float]) -> dict[str, float]:
    if not late:
        return {}
    ordered = sorted(late)
    last = len(ordered) - 1
    figures = {"p50": ordered[last // 2], "p99": ordered[-(-last * 99 // 100)], "max": ordered[-1]}
    return {name: round(value, 3) for name, value in figures.items()}


def table(result: Result) -> str:
    counts = result.judgement.counts
    lines = [f"{result.pair}, seed {result.seed}, {result.seconds:.0f} s of faults", ""]
    lines += [f"{'fault':28}{'number':>8}{'failed':>8}{'gap s':>8}{'p50 s':>8}{'p99 s':>8}{'max s':>8}"]
    for name, kind in result.by_kind().items():
        late = lateness(kind.late)
        shown = "".join(f"{late.get(key, 0):8.2f}" for key in ("p50", "p99", "max"))
        lines.append(f"{name:28}{kind.count:8}{kind.failed:8}{kind.gap:8.2f}{shown}")
    late = lateness(result.judgement.late)
    shown = "".join(f"{late.get(key, 0):8.2f}" for key in ("p50", "p99", "max"))
    lines += [f"{'all':28}{len(result.faults):8}{'':16}{shown}", ""]
    for name, value in (
        ("fires due (checker)", counts["fires"]),
        ("fires of steady entries", counts["steady fires"]),
        ("suppressed (in records)", counts["suppressed"]),
        ("runs", counts["runs"]),
        ("messages", counts["messages"]),
        ("executions", counts["executions"]),
        ("messages again, explained", counts["messages again, explained"]),
        ("doubled plain, explained", counts["doubled plain explained"]),
        ("edits", result.edits.total()),
        ("runs recorded amid an edit", counts["edits in flight"]),
        *result.figures().items(),
    ):
        lines.append(f"{name:28}{value:12,}")
    states = ", ".join(
        f"{key[4:]} {value:,}" for key, value in sorted(counts.items()) if key.startswith("run ")
    )
    lines += ["", f"states: {states}"]
    if result.unsettled:
        lines.append(f"not settled: {result.unsettled}")
    lines += [f"ended: {crash}" for crash in result.crashes]
    lines += result.notes
    lines.append(f"again: {result.command}")
    return "\n".join(lines)
