"""`beatd systemd`: what timer units become, with the services that they start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatd.cli.context import context_of
from beatd.cli.migration import (
    DryRunOption,
    PartialOption,
    PrefixOption,
    PruneOption,
    QueueOption,
    TimezoneOption,
    queued,
    run_check,
    run_import,
)
from beatd.cli.output import JsonOption
from beatd.cli.state import State
from beatd.errors import FieldError
from beatd.migrate.found import Reading
from beatd.migrate.machine import local_zone
from beatd.migrate.systemd_timers import reader
from beatd.migrate.systemd_timers.sources import sources_of
from beatd.schedules import parse_zone

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bring systemd's timers over.")

_PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE|DIR", help="Timers, or folders of which all timers are read.")
]
_RunOption = Annotated[
    str,
    typer.Option(
        "--run",
        metavar="HOW",
        help="What an entry runs: command, what the service would run; unit, `systemctl start` of the "
        "service; auto, the command where that is all there is to the service, else the unit.",
    ),
]


@app.callback()
def _group() -> None:
    """Bring systemd's timers over."""


@app.command("check")
def check(
    ctx: typer.Context,
    paths: _PathsArgument,
    run: _RunOption = "auto",
    timezone: TimezoneOption = None,
    queue: QueueOption = None,
    prefix: PrefixOption = "",
    json: JsonOption = False,
) -> None:
    """Say what each timer would become, when that would fire, and what is odd about it.

    Nothing is stored. Ends with 1 if any timer would be lost or mean something else.
    """
    run_check(ctx.obj, _read(paths, run, timezone, queue), prefix=prefix, json=json)


@app.command("import")
def import_(
    ctx: typer.Context,
    paths: _PathsArgument,
    run: _RunOption = "auto",
    timezone: TimezoneOption = None,
    queue: QueueOption = None,
    dry_run: DryRunOption = False,
    prune: PruneOption = False,
    prefix: PrefixOption = "",
    partial: PartialOption = False,
    json: JsonOption = False,
) -> None:
    """Make an entry of each timer, or several. Again, it changes what changed there."""
    state: State = ctx.obj
    reading = _read(paths, run, timezone, queue)
    sources = sources_of(context_of(state), paths, reading)
    run_import(
        state, reading, sources, prune=prune, prefix=prefix, partial=partial, dry_run=dry_run, json=json
    )


def _read(paths: list[Path], run: str, timezone: str | None, queue: str | None) -> Reading:
    if run not in reader.RUNS:
        raise FieldError("run", run, f"must be one of {', '.join(reader.RUNS)}", example="unit")
    zone = parse_zone(timezone).key if timezone else local_zone()
    return queued(reader.read(paths, timezone=zone, run=run), queue)
