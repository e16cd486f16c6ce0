"""`beatd kubernetes`: what CronJobs would be as entries. Nothing is imported: a container is no shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from beatd import clock
from beatd.cli.migration import PrefixOption, print_check, rows_document
from beatd.cli.output import JsonOption, print_json
from beatd.cli.state import State
from beatd.errors import FieldError
from beatd.migrate import importing
from beatd.migrate.kubernetes import reader
from beatd.migrate.kubernetes.reader import Source
from beatd.operations.context import Offline
from beatd.operations.export import table
from beatd.schedules import parse_zone

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Say what CronJobs would be as entries.")

_HINT = (
    "nothing is imported: the commands start the containers where they are, with kubectl. Put what follows "
    "into an entries file, edit it, then: beatd apply FILE; and stop Kubernetes from starting them too: "
    'kubectl patch cronjob NAME -p \'{"spec": {"suspend": true}}\''
)


@app.callback()
def _group() -> None:
    """Say what CronJobs would be as entries."""


@app.command("check")
def check(
    ctx: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Manifests in YAML; - is standard input.")
    ],
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="The zone of the cluster's controller.")
    ] = "UTC",
    prefix: PrefixOption = "",
    only_toml: Annotated[bool, typer.Option("--toml", help="Print the entries file alone.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the entries that would do the same as CronJobs, as a table and as an entries file.

    Nothing is stored. Ends with 1 if any CronJob would be lost or mean something else.
    """
    state: State = ctx.obj
    reading = reader.read([_source(path) for path in files], timezone=parse_zone(timezone).key)
    rows = importing.check(Offline.of(state.settings), reading, clock.wall(), prefix=prefix)
    named = {row.where: row.name for row in rows if row.action == "add"}
    entries = "\n".join(
        table("entry", named[found.where], found.options) for found in reading.found if found.where in named
    )
    if json:
        print_json(rows_document(rows) | {"notes": reading.notes, "toml": entries})
        raise typer.Exit(1 if any(row.action == "refused" for row in rows) else 0)
    if only_toml:
        sys.stdout.write(entries)
        problems = [f"{row.where}: {row.problem}" for row in rows if row.problem]
        for problem in problems:
            state.err.print(Text(f"beatd: {problem}"), soft_wrap=True)
        raise typer.Exit(1 if problems else 0)
    try:
        print_check(state, rows, reading)
    finally:
        if entries:
            state.err.print(Text(_HINT, style="yellow"), soft_wrap=True)
            state.out.print()
            sys.stdout.write(entries)


def _source(path: Path) -> Source:
    if str(path) == "-":
        return Source("stdin", sys.stdin.read())
    try:
        return Source(str(path), path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise FieldError("FILE", str(path), problem) from None
