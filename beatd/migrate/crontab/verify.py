"""Whether entries fire when cron starts the lines that they came from: each side worked out by itself, every
instant compared.

What cron would do is told by `evaluator`, from the line as it stands in the file; what beatd does by the
entries as they are now, with all that was edited since they were imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from beatd.migrate.crontab.entries import where
from beatd.migrate.crontab.evaluator import NotEvaluated, Times, read_times, starts
from beatd.migrate.crontab.imported import Entries, Imported, Limits
from beatd.migrate.crontab.model import Line
from beatd.migrate.crontab.tabs import Tab, Tabs
from beatd.schedules import Schedule

Outcome = Literal["equal", "differs", "not compared"]

#: Of each line so many differences are told one by one.
SHOWN = 5

#: What a reason may speak of that the evaluator judges, too.
_TIME_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week", "schedule")


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
    """On one line and an entry of it; `entry` is None where it has none, `note` says what there is to say.
    `compared` is None where nothing could be; `edited` are the entry's options that are not as the line has
    them.
    """

    where: str
    line: int | None
    source: str
    entry: str | None
    outcome: Outcome
    note: str | None = None
    compared: Compared | None = None
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """On all lines but comments and assignments, for start <= t < end."""

    start: datetime
    end: datetime
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Lines of which none became an entry prove nothing: they may have been read as what they are not."""
        differs = any(verdict.outcome == "differs" for verdict in self.verdicts)
        return not differs and (not self.verdicts or any(verdict.entry for verdict in self.verdicts))


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
    _known: dict[tuple[Times | None, str | None, Schedule, Limits | None], Compared] = field(
        default_factory=dict
    )

    def of_line(self, tab: Tab, line: Line, dialect: str | None) -> Iterator[Verdict]:
        verdict = Verdict(where(tab.crontab, line), line.number, line.source, None, "differs")
        if line.kind == "refused":
            yield self._of_refused(verdict, tab, line, dialect)
        elif line.kind == "entry":
            imported = self.entries.of_line(tab.crontab, line)
            for entry in imported:
                yield self._of_entry(replace(verdict, entry=entry.name), tab, line, entry, dialect)
            if not imported:
                yield self._of_entry(verdict, tab, line, _NOTHING, dialect)

    def of_gone(self) -> Iterator[Verdict]:
        for source, entry in self.entries.gone():
            note = "its line is no longer there as it was imported"
            compared = compare((), entry.fires(self.start, self.end))
            yield Verdict(source, None, "", entry.name, "differs", note, compared)

    def _of_entry(
        self, verdict: Verdict, tab: Tab, line: Line, entry: Imported, dialect: str | None
    ) -> Verdict:
        verdict = replace(verdict, edited=tuple(edit.option for edit in entry.edits))
        edits = [edit.text for edit in entry.edits]
        stopped = [text for text in (line.never_ran, entry.problem, entry.note) if text]
        try:
            compared = self._compared(self._times(tab, line, dialect), line, entry)
        except NotEvaluated as reason:
            # the line's times are not known, but that the entry keeps to them no more is
            as_imported = entry.schedule is not None and all(edit.kind == "how" for edit in entry.edits)
            outcome: Outcome = "not compared" if reason.expected and as_imported else "differs"
            note = "; ".join([*stopped, *edits, f"not compared: {reason}"])
            return replace(verdict, outcome=outcome, note=note)
        runs_the_same = all(edit.kind != "what" for edit in entry.edits) and entry is not _NOTHING
        return replace(
            verdict,
            outcome="equal" if runs_the_same and not compared.differing else "differs",
            note="; ".join([*stopped, *edits, *self._notes(line, compared)]) or None,
            compared=compared,
        )

    def _of_refused(self, verdict: Verdict, tab: Tab, line: Line, dialect: str | None) -> Verdict:
        """There is no entry of it, so it differs where cron starts something."""
        if line.assignment is not None:
            note = f"not compared: to cron an assignment, which starts nothing; {line.reason}"
            return replace(verdict, outcome="not compared", note=note)
        never_ran = _never_ran(tab, line)
        try:
            times = None if never_ran else self._times(tab, line, dialect)
            compared = compare(self._starts(times, line), ())
        except NotEvaluated as reason:
            if line.never_ran is None or not_evaluated(tab, dialect):
                note = f"it is not carried over: {line.reason}; not compared: {reason}"
                return replace(verdict, note=note)
            never_ran, compared = line.never_ran, Compared()
        says = never_ran or line.never_ran
        if compared.starts or says is None:
            return replace(verdict, note=f"it is not carried over: {line.reason}", compared=compared)
        return replace(verdict, outcome="equal", note=says, compared=compared)

    def _times(self, tab: Tab, line: Line, dialect: str | None) -> Times | None:
        """None where cron starts nothing. Raises NotEvaluated."""
        if (reason := not_evaluated(tab, dialect)) is not None:
            raise reason
        return None if line.kind == "entry" and line.never_ran else read_times(line.source, tab.crontab.cron)

    def _compared(self, times: Times | None, line: Line, entry: Imported) -> Compared:
        """Many lines have the same times: each pair of rules is gone through once."""
        if entry.schedule is None:
            return compare(self._starts(times, line), ())
        key = times, line.timezone, entry.schedule, entry.limits
        if key not in self._known:
            self._known[key] = compare(self._starts(times, line), entry.fires(self.start, self.end))
        return self._known[key]

    def _starts(self, times: Times | None, line: Line) -> Iterable[tuple[int, int]]:
        return () if times is None else cron_starts(line, times, self.machine, self.start, self.end)

    def _notes(self, line: Line, compared: Compared) -> Iterator[str]:
        if compared.merged:
            yield (
                f"where the clock is put forward, cron starts {compared.merged} more at the same instant: "
                "one run"
            )
        if line.timezone and any(self._is_repeated(difference) for difference in compared.first):
            yield (
                "in the hour that the machine's clock repeats, cronie drops what CRON_TZ="
                f"{line.timezone} gives a fixed time then; here it runs"
            )
        if line.random_delay:
            yield f"up to {line.random_delay} minutes late, in cron as here"

    def _is_repeated(self, difference: Difference) -> bool:
        return difference.only == "beatd" and difference.at.astimezone(self.machine).fold == 1


_NOTHING = Imported("", None, note="no entry was imported from it")


def _never_ran(tab: Tab, line: Line) -> str | None:
    """Why cron starts nothing of a refused line, where that is not for the evaluator to judge."""
    lines = tab.crontab.lines
    if ignored := next((one.never_ran for one in lines if one.kind == "entry" and one.never_ran), None):
        return line.never_ran or ignored
    is_of_times = line.reason is not None and line.reason.field in _TIME_FIELDS
    return None if is_of_times else line.never_ran


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
