"""What `beatd crontab verify` finds out and prints: whether the entries fire when cron starts their lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from beatd import clock
from beatd.cli.context import context_of
from beatd.cli.output import print_hanging, print_json, span_text
from beatd.cli.state import State
from beatd.cli.times import with_weekday
from beatd.errors import FieldError
from beatd.migrate.crontab import imported
from beatd.migrate.crontab.against_log import Group, LogProof, Matched, Recorded, compare_with_log
from beatd.migrate.crontab.cron_log import read_log
from beatd.migrate.crontab.entries import readable
from beatd.migrate.crontab.imported import Entries
from beatd.migrate.crontab.tabs import Tabs
from beatd.migrate.crontab.verify import Compared, Outcome, Proof, Verdict, verify
from beatd.operations import runs
from beatd.operations.context import Offline
from beatd.operations.moments import ahead

_MARKS: dict[Outcome, tuple[str, str]] = {
    "equal": ("✓ ", "green"),
    "differs": ("✗ ", "bold red"),
    "not compared": ("– ", "dim"),
}

#: Two years have every daylight-saving night twice, and a leap day now and then.
_YEARS = timedelta(days=731)

_MOST_RUNS = 1_000_000
_ROOM = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """`start` and `end` as they were typed; `dry`: against what an import would make; `log` is cron's."""

    tabs: Tabs
    machine: ZoneInfo
    dialect: str | None
    start: str | None = None
    end: str | None = None
    dry: bool = False
    log: Path | None = None
    json: bool = False


def run(state: State, asked: Asked) -> None:
    """Exits with status 1 where the two differ. Raises FieldError."""
    entries = _entries(state, asked)
    proof = _log_proof(state, asked, entries) if asked.log else _proof(asked, entries)
    if asked.json:
        print_json(
            {"holds": proof.holds, "refused": [str(one) for one in asked.tabs.refused], "proof": proof}
        )
    elif isinstance(proof, Proof):
        _print_proof(state.out, proof, asked.machine)
    else:
        _print_log_proof(state.out, proof, asked.machine)
    for finding in () if asked.json else asked.tabs.refused:
        state.err.print(Text(f"✗ {finding}", style="red"), soft_wrap=True)
    if not proof.holds or asked.tabs.refused:
        raise typer.Exit(1)


def _entries(state: State, asked: Asked) -> Entries:
    if asked.dry:
        return imported.would_be(Offline.of(state.settings), asked.tabs, clock.wall())
    return imported.in_database(context_of(state), asked.tabs)


def _proof(asked: Asked, entries: Entries) -> Proof:
    now = clock.wall()
    start = _moment("from", asked.start, now, asked.machine) or _midnight(now, asked.machine)
    end = _moment("to", asked.end, now, asked.machine) or start + _YEARS
    if end <= start:
        problem = f"is not after the beginning, {with_weekday(start, asked.machine)}"
        raise FieldError("to", asked.end, problem, example=f"{start + _YEARS:%Y-%m-%d}")
    return verify(asked.tabs, entries, asked.machine, start, end, asked.dialect)


def _log_proof(state: State, asked: Asked, entries: Entries) -> LogProof:
    assert asked.log is not None  # noqa: S101 (the caller looked)
    try:
        data = asked.log.read_bytes()
    except OSError as error:
        raise FieldError("against-log", str(asked.log), f"cannot be read: {error.strerror}") from None
    now = clock.wall()
    log = read_log(data, asked.machine, now)
    start = _moment("from", asked.start, now, asked.machine)
    end = _moment("to", asked.end, now, asked.machine)
    log = log.between(start, end)
    recorded = None if asked.dry or log.since is None else _recorded(state, entries, log.since)
    return compare_with_log(asked.tabs, entries, log, asked.machine, recorded, asked.dialect)


def _recorded(state: State, entries: Entries, since: datetime) -> Recorded | None:
    """The runs of these entries that a scheduler in shadow mode has recorded."""
    context = context_of(state)
    fires: dict[int, Sequence[datetime]] = {}
    for entry in entries.all():
        found = runs.find(context, entry.name, ["shadow"], since - timedelta(minutes=1), _MOST_RUNS)
        if entry.id is not None and found:
            fires[entry.id] = [one.fire_time for one in found]
    every = [fire for of_entry in fires.values() for fire in of_entry]
    return Recorded(fires, min(every), max(every)) if every else None


def _moment(field: str, given: str | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    return None if given is None else ahead(given, now, zone, field)


def _midnight(now: datetime, zone: ZoneInfo) -> datetime:
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


# Text


def _print_proof(out: Console, proof: Proof, zone: ZoneInfo) -> None:
    span = f"{with_weekday(proof.start, zone)} to {with_weekday(proof.end, zone)}"
    out.print(Text(f"cron and beatd, each by itself, from {span}", style="bold"), soft_wrap=True)
    for verdict in proof.verdicts:
        mark = Text.assemble(_MARKS[verdict.outcome])
        print_hanging(out, mark, Text(f"{verdict.where}: {_verdict(verdict)}"))
        if verdict.note:
            print_hanging(out, Text("    "), Text(verdict.note, style="yellow"))
        if verdict.compared:
            _print_differences(out, verdict.compared, zone)
    counts = {outcome: sum(one.outcome == outcome for one in proof.verdicts) for outcome in _MARKS}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    out.print(Text(told or "no line runs anything", style="bold"), soft_wrap=True)
    if proof.verdicts and not any(verdict.entry for verdict in proof.verdicts):
        problem = "no line has an entry, so nothing is shown; is it what it is read as (--system, --user)?"
        out.print(Text(problem, style="red"), soft_wrap=True)


def _print_differences(out: Console, compared: Compared, zone: ZoneInfo) -> None:
    for difference in compared.first:
        out.print(Text(f"    only {difference.only:<5}  {with_weekday(difference.at, zone)}"), soft_wrap=True)
    if (more := compared.differing - len(compared.first)) > 0:
        out.print(Text(f"    and {more} more"), soft_wrap=True)


def _verdict(verdict: Verdict) -> str:
    name, compared = verdict.entry or _short(verdict.source), verdict.compared
    if compared is None:
        return name
    if verdict.outcome == "equal":
        return f"{name}: {compared.starts} times, equal"
    if compared.starts and not compared.differing:
        return f"{name}: {compared.starts} times, at the same instants, but not the same"
    differ = f"; {compared.differing} differ" if compared.differing else ""
    return f"{name}: cron starts it {compared.starts} times, beatd {compared.fires}{differ}"


def _print_log_proof(out: Console, proof: LogProof, zone: ZoneInfo) -> None:
    if proof.since is None or proof.until is None:
        out.print(Text("the log has no line of which the time can be read", style="red"))
        return
    span = f"{with_weekday(proof.since, zone)} to {with_weekday(proof.until, zone)}"
    out.print(Text(f"cron's log and beatd, from {span}", style="bold"), soft_wrap=True)
    if proof.shadow_since and proof.shadow_until:
        shadow = f"{with_weekday(proof.shadow_since, zone)} to {with_weekday(proof.shadow_until, zone)}"
        out.print(Text(f"runs recorded in shadow mode, from {shadow}"), soft_wrap=True)
    for group in proof.groups:
        _print_group(out, group, zone)
    if proof.strangers:
        out.print(Text(f"{proof.strangers} starts in the log are of other crontabs", style="dim"))


def _print_group(out: Console, group: Group, zone: ZoneInfo) -> None:
    outcome: Outcome = "not compared" if group.by_rule is None else "differs" if group.differs else "equal"
    name = ", ".join(dict.fromkeys(group.entries)) or _short(group.command)
    print_hanging(out, Text.assemble(_MARKS[outcome]), Text(f"{', '.join(group.where)}: {name}"))
    if group.note:
        print_hanging(
            out, Text("    "), Text(f"{group.starts} starts, not compared: {group.note}", style="dim")
        )
    for basis, matched in (("by its rule", group.by_rule), ("recorded", group.recorded)):
        if matched is not None:
            _print_matched(out, basis, matched, zone)


def _print_matched(out: Console, basis: str, matched: Matched, zone: ZoneInfo) -> None:
    late = f", at most {span_text(matched.latest)} late" if matched.matched else ""
    merged = f", {matched.merged} more at the same instant" if matched.merged else ""
    text = f"{basis}: {matched.matched} matched{late}{merged}"
    if matched.differs:
        text += f"; {matched.only_in_log} only in the log, {matched.only_in_beatd} only here"
    print_hanging(out, Text("    "), Text(text))
    for only, instants in (("log ", matched.first_in_log), ("here", matched.first_in_beatd)):
        for at in instants:
            out.print(Text(f"      only {only}  {with_weekday(at, zone)}"), soft_wrap=True)


def _short(text: str) -> str:
    shown = readable(text)
    return shown if len(shown) <= _ROOM else f"{shown[:_ROOM]}…"
