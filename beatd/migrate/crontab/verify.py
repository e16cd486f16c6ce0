"""Whether entries fire when cron starts the lines that they came from: each side worked out by itself, every
instant compared.

What cron would do is told by `evaluator`, from the line as it stands in the file; what beatd does by the
entries as they are now, with all that was edited since they were imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from beatd.migrate.crontab.entries import where
from beatd.migrate.crontab.evaluator import NotEvaluated, Times, read_times, starts
from beatd.migrate.crontab.imported import Entries, Imported
from beatd.migrate.crontab.model import Line
from beatd.migrate.crontab.tabs import Tab, Tabs
from beatd.schedules import Schedule

Outcome = Literal["equal", "differs", "not compared"]

#: Of each line so many differences are told one by one.
SHOWN = 5

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """An instant at which only one of the two would start something."""

    at: datetime
    only: Literal["cron", "beatd"]


@dataclass(frozen=True, slots=True)
class Compared:
    """`starts` and `fires` count the instants of either side, `differing` those that only one has; `merged`
    the processes that cron starts at one instant with another one of the same line, which are one run here.
    """

    starts: int = 0
    fires: int = 0
    merged: int = 0
    differing: int = 0
    first: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one line and an entry of it; `entry` is None where it has none, `note` says what there is to say."""

    where: str
    line: int | None
    source: str
    entry: str | None
    outcome: Outcome
    note: str | None = None
    compared: Compared = Compared()


@dataclass(frozen=True, slots=True)
class Proof:
    """On all lines that run something, for start <= t < end."""

    start: datetime
    end: datetime
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        return all(verdict.outcome != "differs" for verdict in self.verdicts)


def verify(
    tabs: Tabs,
    entries: Entries,
    machine: ZoneInfo,
    start: datetime,
    end: datetime,
    dialect: str | None = None,
) -> Proof:
    """`machine` is the zone in which cron's clock goes; `dialect` the one that lines were taken from."""
    proving = _Proving(entries, machine, start, end)
    verdicts = [
        verdict
        for tab in tabs.tabs
        for line in tab.crontab.lines
        for verdict in proving.of_line(tab, line, dialect)
    ]
    return Proof(start, end, (*verdicts, *proving.of_gone()))


def cron_starts(
    line: Line, times: Times, machine: ZoneInfo, start: datetime, end: datetime
) -> Iterator[tuple[int, int]]:
    """Seconds since 1970 and number of processes of each instant."""
    return starts(times, machine, start, end, ZoneInfo(line.timezone) if line.timezone else None)


def not_evaluated(tab: Tab, dialect: str | None) -> NotEvaluated | None:
    """Why nothing of this file is compared, if so."""
    if tab.is_anacron:
        return NotEvaluated("anacron starts it by the days that have passed", expected=True)
    if dialect is not None:
        return NotEvaluated(f"it was written for {dialect}, not for cron", expected=True)
    return None


@dataclass(slots=True)
class _Proving:
    entries: Entries
    machine: ZoneInfo
    start: datetime
    end: datetime
    _known: dict[tuple[Times, str | None, Schedule], Compared] = field(default_factory=dict)

    def of_line(self, tab: Tab, line: Line, dialect: str | None) -> Iterator[Verdict]:
        if line.kind not in ("entry", "refused"):
            return
        verdict = Verdict(where(tab.crontab, line), line.number, line.source, None, "differs")
        if line.kind == "refused":
            if line.never_ran is None:
                yield replace(verdict, note=f"it is not carried over: {line.reason}")
            return
        imported = self.entries.of_line(tab.crontab, line)
        if not imported:
            yield replace(verdict, note="no entry was imported from it")
        for entry in imported:
            yield self._of_entry(replace(verdict, entry=entry.name), tab, line, entry, dialect)

    def of_gone(self) -> Iterator[Verdict]:
        for source, entry in self.entries.gone():
            note = "its line is no longer there as it was imported"
            yield Verdict(source, None, "", entry.name, "differs", note)

    def _of_entry(
        self, verdict: Verdict, tab: Tab, line: Line, entry: Imported, dialect: str | None
    ) -> Verdict:
        if entry.problem:
            return replace(verdict, note=entry.problem)
        try:
            if (reason := not_evaluated(tab, dialect)) is not None:
                raise reason
            compared = self._compared(read_times(line.source, tab.crontab.cron), line, entry)
        except NotEvaluated as reason:
            outcome: Outcome = "not compared" if reason.expected else "differs"
            return replace(verdict, outcome=outcome, note=f"not compared: {reason}")
        notes = _notes(line, compared, entry)
        return replace(
            verdict,
            outcome="differs" if compared.differing else "equal",
            note="; ".join(notes) or None,
            compared=compared,
        )

    def _compared(self, times: Times, line: Line, entry: Imported) -> Compared:
        """Many lines have the same times: each pair of rules is gone through once."""
        if entry.schedule is None:
            return self._gone_through(times, line, ())
        key = times, line.timezone, entry.schedule
        if key not in self._known:
            fires = entry.schedule.fire_times(self.start - _TICK, self.end - _TICK)
            self._known[key] = self._gone_through(times, line, fires)
        return self._known[key]

    def _gone_through(self, times: Times, line: Line, fires: Iterable[datetime]) -> Compared:
        return compare(cron_starts(line, times, self.machine, self.start, self.end), fires)


def compare(by_cron: Iterable[tuple[int, int]], by_beatd: Iterable[datetime]) -> Compared:
    """Both in order. `by_cron`: seconds since 1970, and how many processes."""
    cron, beatd = iter(by_cron), map(datetime.timestamp, by_beatd)
    start, fire = next(cron, None), next(beatd, None)
    numbers = {"cron": 0, "beatd": 0, "both": 0}
    merged = 0
    first: list[Difference] = []
    while start is not None or fire is not None:
        if start is not None and start[0] == fire:
            numbers["both"] += 1
            merged += start[1] - 1
            start, fire = next(cron, None), next(beatd, None)
            continue
        only: Literal["cron", "beatd"]
        if fire is None or (start is not None and start[0] < fire):
            assert start is not None  # noqa: S101 (one of the two is left)
            only, at, start = "cron", float(start[0]), next(cron, None)
        else:
            only, at, fire = "beatd", fire, next(beatd, None)
        numbers[only] += 1
        if len(first) < SHOWN:
            first.append(Difference(datetime.fromtimestamp(at, UTC), only))
    return Compared(
        starts=numbers["cron"] + numbers["both"],
        fires=numbers["beatd"] + numbers["both"],
        merged=merged,
        differing=numbers["cron"] + numbers["beatd"],
        first=tuple(first),
    )


def _notes(line: Line, compared: Compared, entry: Imported) -> Sequence[str]:
    notes = [] if entry.note is None else [entry.note]
    if compared.merged:
        notes.append(
            f"where the clock is put forward, cron starts {compared.merged} more at the same instant: one run"
        )
    if line.timezone and compared.differing:
        notes.append(
            "in the hour that the machine's clock repeats, cronie drops what CRON_TZ="
            f"{line.timezone} gives a fixed time then; here it runs"
        )
    if line.random_delay:
        notes.append(f"up to {line.random_delay} minutes late, in cron as here")
    return notes
