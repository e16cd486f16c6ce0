"""What cron started, by its log, beside what beatd would have started: by the rules of the entries, and by
the runs that a scheduler in shadow mode recorded meanwhile.

Lines of one user with one command cannot be told apart in a log: they are compared together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from beatd.migrate.crontab.cron_log import CronLog, Started, moved, of_commands
from beatd.migrate.crontab.entries import source_of, where
from beatd.migrate.crontab.evaluator import NotEvaluated, Times, read_times
from beatd.migrate.crontab.imported import Entries, Imported
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.tabs import Tabs
from beatd.migrate.crontab.users import owner_of
from beatd.migrate.crontab.verify import SHOWN, cron_starts, not_evaluated

#: A start may be logged so much before its minute (a clock that is set) and after it (a busy machine).
_EARLY, _LATE = timedelta(seconds=2), timedelta(seconds=59)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Matched:
    """`merged` are starts beside another one of the same instant, which are one run here. Of what only one
    side has, the first few are told.
    """

    matched: int
    merged: int
    only_in_log: int
    only_in_beatd: int
    latest: timedelta
    first_in_log: tuple[datetime, ...] = ()
    first_in_beatd: tuple[datetime, ...] = ()

    @property
    def differs(self) -> bool:
        return bool(self.only_in_log or self.only_in_beatd)


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one user and command. `note` says why they are not compared, if so; `recorded` is None
    where no runs were recorded in shadow mode. `remarks` are on the entries: what was edited here, and what
    keeps them from firing; `runs_the_same` tells whether what they run is still what the lines do.
    """

    where: tuple[str, ...]
    entries: tuple[str, ...]
    user: str | None
    command: str
    starts: int
    by_rule: Matched | None = None
    recorded: Matched | None = None
    note: str | None = None
    remarks: tuple[str, ...] = ()
    runs_the_same: bool = True

    @property
    def differs(self) -> bool:
        return not self.runs_the_same or any(
            one is not None and one.differs for one in (self.by_rule, self.recorded)
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """The fire times of runs recorded in shadow mode, by entry, and the stretch in which that went on."""

    fires: Mapping[int, Sequence[datetime]]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class LogProof:
    """`strangers` counts what the log has of other commands; `since` and `until` are what it covers, `host`
    is the one whose lines were looked at, `other_hosts` those on which cron started something, too.
    """

    since: datetime | None
    until: datetime | None
    shadow_since: datetime | None
    shadow_until: datetime | None
    groups: tuple[Group, ...]
    strangers: int
    host: str | None = None
    other_hosts: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Nothing is shown by a log in which cron started nothing."""
        return self.since is not None and not any(group.differs for group in self.groups)


@dataclass(slots=True)
class _Lines:
    """The lines of a group in the making."""

    user: str | None
    command: str
    lines: list[tuple[Crontab, Line, Sequence[Imported]]] = field(default_factory=list)
    #: of each of them, unless a note says why not
    times: list[Times] = field(default_factory=list)
    note: str | None = None


def compare_with_log(
    tabs: Tabs,
    entries: Entries,
    log: CronLog,
    machine: ZoneInfo,
    recorded: Recorded | None = None,
    dialect: str | None = None,
) -> LogProof:
    """For the time that the log covers."""
    groups = _groups(tabs, entries, dialect)
    starts: dict[int, list[Started]] = defaultdict(list)
    strangers = 0
    for started, command in of_commands(log, {group.command for group in groups}):
        number = _group_of(groups, started, command)
        if number is None:
            strangers += 1
        else:
            starts[number].append(started)
    told = [_compared(group, starts[number], log, machine, recorded) for number, group in enumerate(groups)]
    return LogProof(
        log.since,
        log.until,
        recorded.since if recorded else None,
        recorded.until if recorded else None,
        tuple(told),
        strangers,
        log.host,
        tuple(host for host in log.hosts if host != log.host),
    )


def match(
    starts: Sequence[Started],
    fires: Sequence[datetime],
    several: Mapping[datetime, int],
    since: datetime,
    until: datetime,
    late: timedelta = _LATE,
) -> Matched:
    """Each fire with the first start that may be its, both in order, for since <= t <= until. `several`: how
    many processes cron starts at an instant, where it is more than one.
    """
    taken: dict[datetime, Started] = {}
    left = _pair(starts, fires, taken, late)
    other = sorted(filter(None, map(moved, left)), key=lambda one: one.at)
    still = {one.line for one in _pair(other, fires, taken, late)}
    left = [one for one in left if one.or_else is None or one.line in still]
    room = {at: count - 1 for at, count in several.items() if at in taken}
    merged = 0
    only_in_log = []
    for one in left:
        at = next((at for at, free in room.items() if free and at - _EARLY <= one.at <= at + late), None)
        if at is None:
            only_in_log.append(one.at)
        else:
            room[at] -= 1
            merged += 1
    only_in_log = [at for at in only_in_log if since <= at <= until]
    # what was started within the first and the last minute may stand in the log before or after this one
    missing = [fire for fire in fires if fire not in taken and since <= fire and fire + late <= until]
    lateness = [one.at - fire for fire, one in taken.items()]
    return Matched(
        len(taken),
        merged,
        len(only_in_log),
        len(missing),
        max(lateness, default=timedelta()),
        tuple(only_in_log[:SHOWN]),
        tuple(missing[:SHOWN]),
    )


def _pair(
    starts: Sequence[Started], fires: Sequence[datetime], taken: dict[datetime, Started], late: timedelta
) -> list[Started]:
    """Fills `taken`; returns the starts that are of no fire."""
    left = []
    place = 0
    for one in starts:
        while place < len(fires) and (fires[place] in taken or fires[place] + late < one.at):
            place += 1
        if place < len(fires) and fires[place] - _EARLY <= one.at:
            taken[fires[place]] = one
        else:
            left.append(one)
    return left


def _groups(tabs: Tabs, entries: Entries, dialect: str | None) -> list[_Lines]:
    found: dict[tuple[str | None, str], _Lines] = {}
    for tab in tabs.tabs:
        owner = owner_of(source_of(tab.crontab.path))
        for line in tab.crontab.lines:
            if line.kind != "entry" or line.command is None:
                continue
            user = line.user or owner
            group = found.setdefault((user, line.command), _Lines(user, line.command))
            group.lines.append((tab.crontab, line, entries.of_line(tab.crontab, line)))
            try:
                if (reason := not_evaluated(tab, dialect)) is not None:
                    raise reason
                group.times.append(read_times(line.source, tab.crontab.cron))
            except NotEvaluated as reason:
                group.note = group.note or str(reason)
            if line.quiet:
                group.note = group.note or "a leading - keeps it out of the log"
    return list(found.values())


def _group_of(groups: Sequence[_Lines], started: Started, command: str | None) -> int | None:
    """The one of its user, else one of which nobody knows the user."""
    if command is None:
        return None
    same = [number for number, group in enumerate(groups) if group.command == command]
    of_user = [number for number in same if groups[number].user == started.user]
    unknown = [number for number in same if groups[number].user is None]
    return next(iter([*of_user, *unknown]), None)


def _compared(
    group: _Lines, starts: Sequence[Started], log: CronLog, machine: ZoneInfo, recorded: Recorded | None
) -> Group:
    # each line has one, but where the scripts of a folder are apart, which cron starts as one
    imported = [entry for _, _, of_line in group.lines for entry in of_line[:1]]
    told = Group(
        where=tuple(where(crontab, line) for crontab, line, _ in group.lines),
        entries=tuple(entry.name for entry in imported),
        user=group.user,
        command=group.command,
        starts=len(starts),
        note=group.note,
        remarks=tuple(dict.fromkeys(text for entry in imported for text in _remarks(entry))),
        runs_the_same=all(edit.kind != "what" for entry in imported for edit in entry.edits),
    )
    if group.note is not None or log.since is None or log.until is None:
        return told
    delay = max((line.random_delay or 0 for _, line, _ in group.lines), default=0)
    late = _LATE + timedelta(minutes=delay)
    several = _several(group, log.since - late, log.until, machine)
    by_rule = match(
        starts,
        _fires(imported, log.since - late, log.until),
        several,
        log.since,
        log.until,
        late,
    )
    by_record = None
    if recorded is not None:
        since, until = max(log.since, recorded.since), min(log.until, recorded.until + late)
        ids = [entry.id for entry in imported if entry.id is not None]
        fires = sorted({fire for id_ in ids for fire in recorded.fires.get(id_, ())})
        within = [one for one in starts if since <= one.at <= until]
        by_record = match(within, fires, several, since, until, late)
    return replace(told, by_rule=by_rule, recorded=by_record)


def _remarks(entry: Imported) -> Iterator[str]:
    yield from filter(None, (entry.problem, entry.note))
    yield from (edit.text for edit in entry.edits)


def _fires(imported: Iterable[Imported], start: datetime, end: datetime) -> list[datetime]:
    """Of all of them; of two that fire at once the log has two starts, and `_several` counts them."""
    fires: set[datetime] = set()
    for entry in imported:
        fires.update(entry.fires(start, end + _TICK))
    return sorted(fires)


def _several(group: _Lines, start: datetime, end: datetime, machine: ZoneInfo) -> dict[datetime, int]:
    """At which instants cron starts more than one process for the lines of a group, and how many."""
    counts: dict[int, int] = defaultdict(int)
    for (_, line, _), times in zip(group.lines, group.times, strict=True):
        for at, count in cron_starts(line, times, machine, start, end):
            counts[at] += count
    return {datetime.fromtimestamp(at, UTC): count for at, count in counts.items() if count > 1}
