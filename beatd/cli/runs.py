"""`beatd runs`: list, follow, show, revoke runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.entry import outcome, plain_value, print_fitted, took
from beatd.cli.output import JsonOption, json_text, plain, print_json, styled, table
from beatd.cli.process import App
from beatd.cli.state import State
from beatd.cli.times import here, plainly, zone_of, zoned
from beatd.operations import backfill, brokers, runs
from beatd.operations.options import OPTIONS
from beatd.store.history import Run

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show, revoke runs.")

_Id = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or enough of its beginning.")]
_LOOK_EVERY = 0.5

#: Options that say what a run runs and where its message went.
_WHAT_AND_WHERE = OPTIONS[OPTIONS.index("shell") : OPTIONS.index("expires")]


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
        _follow(state, follower, found[::-1], set(states or []), json)
    elif json:
        print_json(found)
    elif found:
        print_fitted(state.out, _table(found))
    else:
        _nothing(state, filtered=bool(entry or states or since))


@app.command()
def show(ctx: typer.Context, run: _Id, json: JsonOption = False) -> None:
    """Show everything about a run, its output included."""
    state: State = ctx.obj
    context = context_of(state)
    found = runs.show(context, run)
    options = {
        key: value for key, value in runs.options_run(context, found).items() if key in _WHAT_AND_WHERE
    }
    if json:
        return print_json(plain(found) | {"options": options})
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
    for key, value in options.items():
        state.out.print(Text.assemble((f"{key:<13}", "bold"), plain_value(value)), soft_wrap=True)
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
    """Keep a run from starting, or end it if it has started. Of a backfill (backfill:ID) all that wait."""
    state: State = ctx.obj
    state.options["celery.app"] = app
    context = context_of(state)
    if run.startswith("backfill:"):
        origin, count = backfill.revoke(context, run)
        state.out.print(Text(f"revoked {count:,} runs of {origin}"), soft_wrap=True)
        return

    def broadcast(run: str, *, terminate: bool) -> None:
        from beatd.broker.app import revoke as ask_workers

        brokers.require_same(context, lambda: state.celery)
        ask_workers(state.celery, run, terminate)

    asked = runs.revoke(context, run, broadcast)
    if asked.done:
        state.out.print(f"revoked run {asked.run.id}")
    else:
        state.out.print(f"asked the workers to end run {asked.run.id}, which is {asked.run.state}")


def _follow(state: State, follower: runs.Follower, known: list[Run], states: set[str], json: bool) -> None:
    """Prints what is known, then what comes; ends by Ctrl-C."""
    lines = None if json else _Lines(state)
    fresh = known
    while True:
        for run in fresh:
            if states and run.state not in states:
                continue
            if lines is None:
                print(json_text(run), flush=True)
            else:
                lines.print(run)
        time.sleep(_LOOK_EVERY)
        fresh = follower.news()


class _Lines:
    """A table whose end nobody knows: the columns are as wide as they ever are."""

    _WIDEST_NAME = 30

    def __init__(self, state: State) -> None:
        self._out = state.out
        self._zone_name, self._zone = here()
        self._name_width = 0

    def print(self, run: Run) -> None:
        name = run.entry or "?"
        if not self._name_width:
            self._name_width = 12
            self._heading()
        self._name_width = min(max(self._name_width, len(name)), self._WIDEST_NAME)
        line = Text.assemble(
            f"{plainly(run.fire_time, self._zone)}  {name:<{self._name_width}}  ",
            styled(run.state),
            f"{'':{9 - len(run.state)}}  {took(run):>7}  {run.id[:8]}  ",
            outcome(run),
        )
        self._out.print(line, no_wrap=True, overflow="ellipsis")

    def _heading(self) -> None:
        columns = f"{'entry':<{self._name_width}}  {'state':<9}  {'took':>7}  {'run':<8}  what"
        self._out.print(Text(f"{'fire time':<19}  {columns}", style="bold"))
        self._out.print(Text(f"({self._zone_name})", style="dim"))


def _table(found: list[Run]) -> Table:
    name, zone = here()
    when = f"fire time ({name})"
    listed = table(
        when, "entry", "state", "took", "run", "what", right=["took"], whole=[when, "state", "took", "run"]
    )
    for run in found:
        fire_time = plainly(run.fire_time, zone)
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
