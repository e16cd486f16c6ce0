"""`beatd entry trigger`: a run now, followed to its end if wanted."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_json, styled
from beatd.cli.state import State
from beatd.operations import entries, runs
from beatd.operations.context import Context
from beatd.operations.entries import Entry
from beatd.schedules import parse_duration
from beatd.store.history import Run

#: After this a run that nobody has begun deserves a word.
_PATIENCE = timedelta(seconds=5)


def trigger(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The entry.", show_default=False)],
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run to its end; status 1 if it fails.")
    ] = False,
    wait_limit: Annotated[
        str, typer.Option("--wait-limit", metavar="DURATION", help="How long to follow it.")
    ] = "1h",
    json: JsonOption = False,
) -> None:
    """Run an entry now, whatever its schedule says."""
    state: State = ctx.obj
    limit = parse_duration(wait_limit, "wait-limit")
    context = context_of(state)
    run = runs.trigger(context, name)
    if wait:
        run = _follow(state, context, run, limit, quiet=json)
    if json:
        print_json(run)
    elif not wait:
        state.out.print(Text(f"run {run.id} is recorded: {state.command(f'runs show {run.id[:8]}')}"))
    if wait and run.state != "succeeded" and not (run.state == "published" and not context.reports):
        raise typer.Exit(1)


def _follow(state: State, context: Context, run: Run, limit: timedelta, *, quiet: bool) -> Run:
    told: set[str] = set()

    def tell(changed: Run) -> None:
        if not quiet and changed.state not in told:
            state.err.print(Text.assemble(f"run {changed.id[:8]} ", styled(changed.state)))
        told.add(changed.state)

    ended = runs.wait(context, run.id, min(limit, _PATIENCE), tell)
    if ended.state in ("pending", "published") and context.reports:
        queue = _queue_of(state, entries.show(context, str(run.entry)))
        hint = f"nobody has begun it yet: does a worker take {queue}? {state.command('doctor')} may say why"
        state.err.print(Text(hint, style="yellow"), soft_wrap=True)
    if not ended.ended and limit > _PATIENCE:
        ended = runs.wait(context, run.id, limit - _PATIENCE, tell)
    if not quiet and (output := ended.error or ended.result or ended.reason):
        state.out.print(Text(output), soft_wrap=True)
    if not ended.ended:
        state.err.print(Text(f"run {ended.id} is still {ended.state}"), soft_wrap=True)
    return ended


def _queue_of(state: State, entry: Entry) -> str:
    options = entry.options
    if queue := options.get("queue"):
        return f"the queue {queue!r}"
    if exchange := options.get("exchange"):
        return f"a queue bound to the exchange {exchange!r}"
    if app := state.settings.celery.app:
        return f"the queue to which {app} sends it"
    return f"the queue {state.settings.celery.default_queue!r}"
