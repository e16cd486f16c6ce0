"""`beatd db`: the database's schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_findings, print_json
from beatd.cli.state import State
from beatd.cli.times import zone_of
from beatd.operations import backup as backups
from beatd.operations import doctor, health
from beatd.planning.wording import zoned
from beatd.store import schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Upgrade, check or back up the database.")


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database's schema to this version. Repeating it does nothing."""
    state: State = ctx.obj
    database = state.open_database(create=True)
    before = schema.state(database).current
    found = schema.upgrade(database)
    if before == found.current:
        state.out.print(f"{database.name} has schema {found.current} already")
    else:
        state.out.print(f"{database.name}: schema {before or '(none)'} -> {found.current}")


@app.command()
def check(ctx: typer.Context, json: JsonOption = False) -> None:
    """Check schema, triggers and what the server must be able to do. Exit status 1 if something is wrong."""
    state: State = ctx.obj
    findings = doctor.check_database(state.open_database())
    if json:
        print_json({"findings": findings})
    else:
        print_findings(state.out, findings)
    if not health.well(findings):
        raise typer.Exit(1)


@app.command()
def backup(ctx: typer.Context, file: Annotated[Path, typer.Argument(help="a new file")]) -> None:
    """Copy a SQLite database into a new file, whole and consistent, also while schedulers and workers run.

    PostgreSQL and MariaDB have their own tools for it; which, it says. What to do after a restore: beatd db
    restored.
    """
    state: State = ctx.obj
    database = state.database()
    size = backups.backup(database, file)
    state.out.print(Text(f"{database.name} is copied to {file} ({size:,} bytes)"), soft_wrap=True)


@app.command()
def restored(
    ctx: typer.Context,
    until: Annotated[
        str | None,
        typer.Option(
            help="when the last scheduler died: fires since are made up as misfires are; an instant, or how "
            "long ago: 2h"
        ),
    ] = None,
) -> None:
    """After a restore from a backup, before anything is started: nothing of the time since the backup runs.

    Its fires are counted with the reason `restored`, for they may have run before; runs that were under way
    are lost. `beatd entry backfill` makes up those that are wanted.
    """
    state: State = ctx.obj
    context = context_of(state)
    told = backups.settle_restored(context, until)
    zone = zone_of(context.timezone)
    end = zoned(told.until, zone)
    if told.since is None:
        said = f"no fire up to {end} is unsettled"
    else:
        said = f"fires from {zoned(told.since, zone)} to {end} make no runs: they count as restored"
    state.out.print(Text(said), soft_wrap=True)
    if told.closed:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(told.closed.items()))
        state.out.print(Text(f"lost, for what became of them is not known: {counts}"), soft_wrap=True)
    state.out.print("now start schedulers and workers")
