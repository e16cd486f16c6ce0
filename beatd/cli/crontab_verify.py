"""What `beatd crontab verify` finds out and prints: whether the entries fire when cron starts their lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
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
from beatd.migrate.crontab.cron_log import CronLog, read_log
from beatd.migrate.crontab.entries import STDIN, readable
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

#: How a file begins that gzip has packed, as logrotate has it do with older logs.
_GZIP = b"\x1f\x8b"

_MOST_RUNS = 1_000_000
_ROOM = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """`start` and `end` as they were typed; `dry`: against what an import would make; `log` is cron's, of
    which the lines of `host` count. `stdin` reads all of standard input.
    """

    tabs: Tabs
    machine: ZoneInfo
    dialect: str | None
    start: str | None = None
    end: str | None = None
    dry: bool = False
    log: Path | None = None
    host: str | None = None
    json: bool = False
    stdin: Callable[[], bytes] = bytes


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
    data = _log_data(asked.log, asked)
    now = clock.wall()
    log = _of_one_host(read_log(data, asked.machine, now, asked.host), asked.host)
    start = _moment("from", asked.start, now, asked.machine)
    end = _moment("to", asked.end, now, asked.machine)
    log = log.between(start, end)
    recorded = None if asked.dry or log.since is None else _recorded(state, entries, log.since)
    return compare_with_log(asked.tabs, entries, log, asked.machine, recorded, asked.dialect)


def _log_data(path: Path, asked: Asked) -> bytes:
    """What the log holds; `-` is standard input. Raises FieldError."""
    called = str(path)
    is_stdin = called == "-"
    if is_stdin and any(tab.crontab.path == STDIN for tab in asked.tabs.tabs):
        raise FieldError("against-log", called, "a crontab is read from standard input already")
    try:
        data = asked.stdin() if is_stdin else path.read_bytes()
    except OSError as error:
        raise FieldError("against-log", called, f"cannot be read: {error.strerror}") from None
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FieldError("against-log", called, f"cannot be unpacked: {error}") from None


def _of_one_host(log: CronLog, host: str | None) -> CronLog:
    """Raises FieldError if cron ran on others, and nobody said which is meant."""
    told = ", ".join(f"{name} ({count} starts)" for name, count in log.hosts.items())
    example = f"--host {next(iter(log.hosts), 'web1')}"
    if host is None and len(log.hosts) > 1:
        problem = f"the log is of several hosts, say of which this crontab is: {told}"
        raise FieldError("host", None, problem, example=example)
    if host is not None and log.hosts and host not in log.hosts:
        problem = f"cron started nothing there by this log, which is of {told}"
        raise FieldError("host", host, problem, example=example)
    return log


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
    of_host = f" of {proof.host}" if proof.host else ""
    out.print(Text(f"cron's log{of_host} and beatd, from {span}", style="bold"), soft_wrap=True)
    if proof.other_hosts:
        left_out = f"what the log has of {', '.join(proof.other_hosts)} is left out"
        out.print(Text(left_out, style="dim"), soft_wrap=True)
    if proof.shadow_since and proof.shadow_until:
        shadow = f"{with_weekday(proof.shadow_since, zone)} to {with_weekday(proof.shadow_until, zone)}"
        out.print(Text(f"runs recorded in shadow mode, from {shadow}"), soft_wrap=True)
    for group in proof.groups:
        _print_group(out, group, zone)
    if proof.strangers:
        out.print(Text(f"{proof.strangers} starts in the log are of other crontabs", style="dim"))


def _print_group(out: Console, group: Group, zone: ZoneInfo) -> None:
    outcome: Outcome = "differs" if group.differs else "not compared" if group.by_rule is None else "equal"
    name = ", ".join(dict.fromkeys(group.entries)) or _short(group.command)
    print_hanging(out, Text.assemble(_MARKS[outcome]), Text(f"{', '.join(group.where)}: {name}"))
    for remark in group.remarks:
        print_hanging(out, Text("    "), Text(remark, style="yellow"))
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
