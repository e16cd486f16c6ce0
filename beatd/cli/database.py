"""`beatd db`: the database's schema."""

from __future__ import annotations

import typer

from beatd.cli.output import JsonOption, print_findings, print_json
from beatd.cli.state import State
from beatd.operations import doctor, health
from beatd.store import schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Upgrade or check the database.")


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
