"""`beatd runs`: list, follow, show, revoke runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from beatd.cli.entry import context_of, outcome, print_fitted, took
from beatd.cli.output import JsonOption, plain, print_json, styled, table
from beatd.cli.process import App
from beatd.cli.state import State
from beatd.cli.times import zone_of, zoned
from beatd.operations import brokers, runs
from beatd.operations.context import Context
from beatd.store.history import Run

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show, revoke runs.")

_Id = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or enough of its beginning.")]
_LOOK_EVERY = 0.5


@app.command("list")
def list_runs(
    ctx: typer.Context,
    entry: Annotated[str | None, typer.Option("--entry", metavar="NAME", help="Of this entry only.")] = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state", metavar="STATE", help=f"One of {', '.join(runs.STATES)}; several are possible."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME|DURATION", help="An instant, or how long ago.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="How many.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then print each run as it is recorded and as it ends.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the newest runs. With --follow and --json it prints one JSON object a line, until Ctrl-C."""
    state: State = ctx.obj
    context = context_of(state)
    follower = runs.Follower(context, entry) if follow else None
    found = runs.find(context, entry, states or [], since, limit)
    if follower is not None:
        _follow(state, context, follower, found[::-1], set(states or []), json)
    elif json:
        print_json(found)
    elif found:
        print_fitted(state.out, _table(context, found))
    else:
        _nothing(state, filtered=bool(entry or states or since))


@app.command()
def show(ctx: typer.Context, run: _Id, json: JsonOption = False) -> None:
    """Show everything about a run, its output included."""
    state: State = ctx.obj
    context = context_of(state)
    found = runs.show(context, run)
    if json:
        return print_json(found)
    zone = zone_of(found.timezone, context.timezone)
    times = (
        "fire_time",
        "due_time",
        "recorded_at",
        "published_at",
        "started_at",
        "finished_at",
        "expires_at",
    )
    state.out.print(Text.assemble(("run          ", "bold"), found.id))
    state.out.print(Text.assemble(("entry        ", "bold"), f"{found.entry}, version {found.version}"))
    state.out.print(Text.assemble(("state        ", "bold"), styled(found.state)))
    if found.reason:
        state.out.print(Text.assemble(("reason       ", "bold"), found.reason), soft_wrap=True)
    state.out.print(Text.assemble(("origin       ", "bold"), found.origin))
    for name in times:
        label = name.replace("_at", "").replace("_", " ")
        state.out.print(Text.assemble((f"{label:<13}", "bold"), zoned(getattr(found, name), zone)))
    state.out.print(Text.assemble(("took         ", "bold"), took(found)))
    if found.worker:
        retries = f", after {found.retries} retries" if found.retries else ""
        state.out.print(Text.assemble(("worker       ", "bold"), f"{found.worker}{retries}"))
    for label, text in (("error", found.error), ("result", found.result)):
        if text:
            state.out.print(Text(f"\n{label}:", style="bold"))
            state.out.print(Text(text), soft_wrap=True)
    return None


@app.command()
def revoke(ctx: typer.Context, run: _Id, app: App = None) -> None:
    """Keep a run from starting, or end it if it has started."""
    state: State = ctx.obj
    state.options["celery.app"] = app
    context = context_of(state)

    def broadcast(run: str, *, terminate: bool) -> None:
        from beatd.broker.app import revoke as ask_workers

        brokers.require_same(context, lambda: state.celery)
        ask_workers(state.celery, run, terminate)

    asked = runs.revoke(context, run, broadcast)
    if asked.done:
        state.out.print(f"revoked run {asked.run.id}")
    else:
        state.out.print(f"asked the workers to end run {asked.run.id}, which is {asked.run.state}")


def _follow(
    state: State, context: Context, follower: runs.Follower, known: list[Run], states: set[str], json: bool
) -> None:
    """Prints what is known, then what comes; ends by Ctrl-C."""
    fresh = known
    while True:
        for run in fresh:
            if not states or run.state in states:
                _print_line(state, context, run, json)
        time.sleep(_LOOK_EVERY)
        fresh = follower.news()


def _print_line(state: State, context: Context, run: Run, json: bool) -> None:
    if json:
        from json import dumps

        print(dumps(plain(run), ensure_ascii=False), flush=True)
        return
    fire_time = zoned(run.fire_time, zone_of(run.timezone, context.timezone))
    line = Text.assemble(
        f"{fire_time}  {run.id[:8]}  ",
        styled(f"{run.state:<9}"),
        f"  {took(run):>6}  {run.entry}  ",
        outcome(run),
    )
    state.out.print(line, no_wrap=True, overflow="ellipsis")


def _table(context: Context, found: list[Run]) -> Table:
    whole = ["fire time", "state", "took", "run"]
    listed = table("fire time", "entry", "state", "took", "run", "what", right=["took"], whole=whole)
    for run in found:
        fire_time = zoned(run.fire_time, zone_of(run.timezone, context.timezone))
        listed.add_row(
            fire_time, Text(run.entry or "?"), styled(run.state), took(run), run.id[:8], outcome(run)
        )
    return listed


def _nothing(state: State, *, filtered: bool) -> None:
    if filtered:
        state.out.print("no such run")
        return
    hint = state.command("up")
    state.out.print(Text.assemble("no runs yet: ", (hint, "bold"), " runs what is due"), soft_wrap=True)
