"""`beatd status`: what runs where, and how late it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from beatd import __version__
from beatd.cli.output import JsonOption, ago, print_hanging, print_json, said_by, span_text, styled
from beatd.cli.pause import pause_text
from beatd.cli.process import App
from beatd.cli.state import State
from beatd.operations import health
from beatd.operations.health import Activity, Lateness, Status


def status(
    ctx: typer.Context,
    app: App = None,
    json: JsonOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="In short; exit with status 1 if anything is not well.")
    ] = False,
) -> None:
    """What runs where, what waits, how late it is. Exit status 1 if the database cannot tell."""
    state: State = ctx.obj
    state.options["celery.app"] = app
    found = health.status(state.loaded, state.open_database(), __version__, lambda: state.celery)
    if json:
        print_json(found)
    elif check:
        _print_check(state.out, found)
    else:
        _print(state.out, found)
    if found.activity is None or (check and found.troubles):
        raise typer.Exit(1)


def _print_check(out: Console, found: Status) -> None:
    """A summary in the first line, which is what monitoring systems show; then a line for each trouble."""
    if not found.troubles and found.activity is not None:
        alive = sum(node.alive for node in found.activity.nodes)
        total = found.activity.backlog.entries
        out.print(f"OK: schedulers alive: {alive}, entries: {total}", soft_wrap=True, highlight=False)
        return
    more = f" (and {len(found.troubles) - 1} more)" if len(found.troubles) > 1 else ""
    out.print(Text(f"NOT WELL: {found.troubles[0]}{more}"), soft_wrap=True)
    for trouble in found.troubles[1:]:
        out.print(Text(trouble), soft_wrap=True)


def _print(out: Console, found: Status) -> None:
    _section(out, "configuration", _configuration(found))
    _section(out, "database", [_database(found)])
    _section(out, "broker", [found.broker])
    if found.activity is not None:
        _print_activity(out, found.activity)
    for trouble in found.troubles:
        print_hanging(out, Text("✗ ", style="bold red"), Text(trouble))


def _section(out: Console, title: str, lines: Iterable[str | Text]) -> None:
    for number, line in enumerate(lines):
        head = Text(f"{'' if number else title:<15}", style="bold")
        print_hanging(out, head, Text(line) if isinstance(line, str) else line)


def _configuration(found: Status) -> Iterable[str | Text]:
    yield found.config_file or "no file: defaults and variables"
    searched = (f"{place['path']} ({place['source']})" for place in found.config_searched)
    yield Text(f"looked for in this order: {', '.join(searched)}", style="dim")
    for warning in found.config_warnings:
        yield Text(warning, style="yellow")


def _database(found: Status) -> str:
    if found.activity is None:
        return found.database
    return f"{found.database}  ({found.activity.server}, schema {found.activity.schema})"


def _print_activity(out: Console, activity: Activity) -> None:
    _section(out, "schedulers", _nodes(activity))
    _section(out, "workers", _workers(activity))
    _section(out, "entries", _entries(activity))
    _section(out, "waiting", _waiting(activity))
    _section(out, "lateness", [_lateness(activity.lateness)])
    _section(out, "last hour", _ended(activity))
    _section(out, "verified", [_verified(activity.verified)])


def _nodes(activity: Activity) -> Iterable[str | Text]:
    if not activity.nodes:
        yield "none"
    for node in activity.nodes:
        mark = ("● ", "green") if node.alive else ("● ", "bold red")
        heard = f"heard of {ago(node.heartbeat_age)}, up {span_text(activity.now - node.started_at)}"
        yield Text.assemble(mark, f"{node.name}  pid {node.pid} on {node.host}, {heard}: {node.status}")
        if node.shadow:
            yield Text("  in shadow mode: records what would have run, publishes nothing", style="magenta")
        if broker := node.statistics.get("broker"):
            yield Text(f"  publishes to {broker}", style="dim")


def _workers(activity: Activity) -> Iterable[str | Text]:
    if not activity.workers:
        yield "none was heard of in the last hour"
    for worker in activity.workers:
        yield f"{worker.name}  heard of {ago(max(activity.now - worker.heard_at, timedelta(0)))}"


def _entries(activity: Activity) -> Iterable[str | Text]:
    total, paused = activity.backlog.entries, activity.paused
    yield f"{total}, of which {paused} paused" if paused else f"{total}"
    if pause := activity.all_paused:
        yield Text(f"everything is paused {pause_text(pause, UTC)}", style="yellow")
    for failing in activity.failing:
        yield Text(f"{failing.entry} is {failing.note}", style="yellow")
    if activity.next_due:
        yield f"next: {activity.next_due.entry}, {_when(activity.next_due.due_at, activity.now)}"


def _when(instant: datetime, now: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC ({ago(now - instant)})"


def _waiting(activity: Activity) -> Iterable[str | Text]:
    waiting = activity.backlog
    parts = [
        f"{waiting.due} due{_since(waiting.oldest_due_at, activity.now)}",
        f"{waiting.pending} in the outbox{_since(waiting.oldest_pending_at, activity.now)}",
        f"{waiting.published} published",
        f"{waiting.running} running",
    ]
    if waiting.later:
        parts.append(f"{waiting.later} recorded for later")
    if waiting.held:
        parts.append(f"{waiting.held} held")
    if waiting.unplanned_edits:
        parts.append(f"{waiting.unplanned_edits} edits to plan")
    yield ", ".join(parts)


def _since(oldest: datetime | None, now: datetime) -> str:
    return f" (the oldest for {span_text(now - oldest)})" if oldest and now > oldest else ""


def _lateness(lateness: Lateness | None) -> str:
    if lateness is None:
        return "nothing was published in the last hour"
    middle, most, worst = (_signed(span) for span in (lateness.median, lateness.p99, lateness.greatest))
    return f"median {middle}, 99% within {most}, greatest {worst} ({lateness.runs} runs of the last hour)"


def _signed(span: timedelta) -> str:
    return f"{'-' if span < timedelta(0) else ''}{span_text(span)}"


def _ended(activity: Activity) -> Iterable[str | Text]:
    counts = [Text.assemble(f"{count} ", styled(state)) for state, count in sorted(activity.ended.items())]
    yield Text(", ").join(counts) if counts else "no run ended"
    for failing in activity.failed:
        run = failing.newest
        said = said_by(run.state, run.result, run.error, run.reason)
        often = f" {failing.count} times" if failing.count > 1 else ""
        yield Text.assemble(
            f"{run.finished_at:%H:%M:%S} UTC  {run.entry}  ", styled(run.state), f"{often}  {said}"
        )


def _verified(last: dict[str, Any] | None) -> str | Text:
    if last is None:
        return "not yet: a scheduler does it every hour"
    found = ", ".join(f"{count} {kind}" for kind, count in last["found"].items() if count) or "nothing wrong"
    part = "" if last["complete"] else f" (of {last['entries']} entries, the others next time)"
    text = f"{found} in {last['fires']} fires from {last['since']} to {last['until']}{part}"
    return Text(text, style="bold red") if last["wrong"] else text
