"""`beatd crontab`: bring crontab lines over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from beatd.cli.apply import changes_document, print_changes
from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_json
from beatd.cli.state import State
from beatd.errors import InvalidInput
from beatd.migrate.crontab import importer
from beatd.operations.apply import Source

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bring crontab lines over.")


_NOTHING_DONE = "nothing was imported: correct these lines, or leave them out with --skip-bad"


@app.callback()
def _group() -> None:
    """Bring crontab lines over."""


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `crontab -l` prints; - is standard input.")
    ],
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="The zone of its times; the machine's if not given."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that cannot be taken, and say which.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace entries of the same names that differ.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be added.")] = False,
    json: JsonOption = False,
) -> None:
    """Add a shell entry for every line of a user's crontab. A second time it changes nothing."""
    state: State = ctx.obj
    source = Source("stdin", sys.stdin.read()) if str(file) == "-" else Source.read(file)
    try:
        done = importer.import_crontab(
            context_of(state),
            source.text,
            source.name,
            timezone=timezone,
            skip_bad=skip_bad,
            replace_entries=replace,
            dry_run=dry_run,
        )
    except InvalidInput as error:
        for line in [*str(error).splitlines(), _NOTHING_DONE]:
            state.err.print(Text(f"beatd: {line}"), soft_wrap=True)
        raise typer.Exit(2) from error
    if json:
        document = {"timezone": done.timezone, "notes": done.notes, "applied": not dry_run}
        document["skipped"] = [str(finding) for finding in done.skipped]
        return print_json(changes_document(done.changes) | document)
    print_changes(state.out, done.changes)
    state.out.print(f"times are those of {done.timezone}")
    for note in (*done.notes, *(f"left out: {finding}" for finding in done.skipped)):
        state.err.print(Text(note, style="yellow"), soft_wrap=True)
    if done.changes.added and not dry_run:
        hint = "cron still runs these lines too: take them out of the crontab once beatd runs them"
        state.err.print(Text(hint, style="yellow"), soft_wrap=True)
    return None
