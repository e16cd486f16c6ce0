"""`beatd doctor`: checks everything, and says what to do about what it finds."""

from __future__ import annotations

import typer

from beatd.cli.output import JsonOption, print_findings, print_json
from beatd.cli.process import App
from beatd.cli.state import State
from beatd.operations import doctor as operation
from beatd.operations import health


def doctor(ctx: typer.Context, app: App = None, json: JsonOption = False) -> None:
    """Check everything, say what to do about each finding. Exit status 1 if there is a problem."""
    state: State = ctx.obj
    state.options["celery.app"] = app
    examined = operation.examine(state.loaded, state.open_database(), lambda: state.celery)
    findings = []
    for finding in examined:
        findings.append(finding)
        if not json:
            print_findings(state.out, [finding])
    if json:
        print_json({"findings": findings})
    if not health.well(findings):
        raise typer.Exit(1)
