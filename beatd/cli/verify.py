"""`beatd verify`: every fire of a stretch of the past against what came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from beatd.checker.verdict import Finding, Lateness
from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_json, span_text, table
from beatd.cli.state import State
from beatd.cli.times import here, plainly
from beatd.operations.verify import Verified, verify

_SHOWN = 100


def verify_history(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="DURATION|TIME",
            help="From when on: how long ago (24h), or a time.",
            show_default="24h",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="DURATION|TIME",
            help="Until when; what is younger than two minutes is not settled yet.",
            show_default="two minutes ago",
        ),
    ] = None,
    entry: Annotated[
        str | None, typer.Option("--entry", metavar="NAME", help="Of this entry only.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Work out from the rules which fires there had to be, and hold the history against them.

    Exit status 1 if a fire was missed or doubled, a run started after its expiry, or a run is in a state
    that cannot be; what is late alone is told. (`beatd crontab verify` is something else: it looks ahead,
    and compares entries with the crontab lines that they were imported from.)
    """
    state: State = ctx.obj
    history = state.settings.history
    found = verify(
        context_of(state),
        keep=timedelta(days=history.keep_days),
        keep_runs=history.keep_runs,
        since=since,
        until=until,
        entry=entry,
    )
    if json:
        print_json({"ok": found.total.ok, "verified": found})
    else:
        _print(state.out, found)
    if not found.total.ok:
        raise typer.Exit(1)


def _print(out: Console, found: Verified) -> None:
    name, zone = here()
    span = f"{plainly(found.since, zone)} to {plainly(found.until, zone)} ({name})"
    out.print(Text(f"{found.entries} entries, {span}", style="bold"), soft_wrap=True)
    if found.cut:
        out.print(
            Text("what lies before is older than the history that is kept", style="dim"), soft_wrap=True
        )
    findings = found.total.findings
    if findings:
        when = f"fire time ({name})"
        listed = table("finding", when, "entry", "run", "what", whole=["finding", when, "run"])
        for finding in findings[:_SHOWN]:
            at = "" if finding.fire_time is None else plainly(finding.fire_time, zone)
            listed.add_row(
                _kind(finding), at, Text(finding.entry), (finding.run_id or "")[:8], Text(finding.text)
            )
        out.print(listed)
    if (more := sum(found.total.counts.values()) - min(len(findings), _SHOWN)) > 0:
        out.print(Text(f"and {more} more", style="dim"))
    out.print(_summary(found), soft_wrap=True)


def _kind(finding: Finding) -> Text:
    return Text(finding.kind, style="yellow" if finding.kind == "late" else "bold red")


def _summary(found: Verified) -> Text:
    total = found.total
    others = {kind: count for kind, count in total.counts.items() if kind not in ("missed", "doubled")}
    parts = [
        f"{total.fires} fires",
        f"{total.runs} runs",
        f"{total.suppressed} counted",
        f"{total.counts.get('missed', 0)} missed",
        f"{total.counts.get('doubled', 0)} doubled",
        *(f"{count} {kind}" for kind, count in others.items()),
    ]
    if total.not_told:
        parts.append(f"{total.not_told} cannot be told")
    mark = ("✓ ", "green") if total.ok else ("✗ ", "bold red")
    return Text.assemble(mark, ", ".join(parts), _lateness(total.lateness))


def _lateness(late: Lateness | None) -> str:
    if late is None:
        return ""
    median, p99, greatest = (
        span_text(max(one, timedelta(0))) for one in (late.median, late.p99, late.greatest)
    )
    return f"; late: median {median}, 99% within {p99}, greatest {greatest}"
