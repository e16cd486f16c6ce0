"""`beatd apply` and `beatd export`: entries and calendars as TOML files have them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.entry import plain_value
from beatd.cli.fires import print_all_fires
from beatd.cli.output import JsonOption, print_json
from beatd.cli.state import State
from beatd.operations import apply as operation
from beatd.operations.apply import Changes, Comparison
from beatd.operations.export import exported, toml

#: Of so many entries the fires before and after are shown, of more only where they begin to differ.
_SHOWN_WHOLE = 3


def apply(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Entries files; - is standard input.")],
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove entries that are in none of the files, and calendars that none uses then."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Make entries and calendars as TOML files say: show what changes, the next fires too, ask, then do it
    in one transaction."""
    state: State = ctx.obj
    stdin = sys.stdin.read() if Path("-") in files else None
    context = context_of(state)
    comparison = operation.compare(context, operation.load(files, stdin), prune=prune)
    if not json:
        print_changes(state.out, comparison.changes)
    for remark in comparison.remarks:
        state.err.print(Text(remark, style="yellow"), soft_wrap=True)
    done = not dry_run and _may(state, comparison, yes)
    if done:
        comparison.execute(context)
    if json:
        print_json(changes_document(comparison.changes) | {"applied": done})
    elif done:
        state.out.print("done")


def export(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names or globs.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the entries and the calendars that they name as TOML; applying that changes nothing. With --json
    the same as JSON has it."""
    state: State = ctx.obj
    found, calendars = exported(context_of(state), patterns or [])
    if json:
        document: dict[str, Any] = {"entry": {entry.name: entry.options for entry in found}}
        if calendars:
            document["calendar"] = {calendar.name: calendar.options for calendar in calendars}
        return print_json(document)
    sys.stdout.write(toml(found, calendars))
    return None


def print_changes(out: Console, changes: Changes) -> None:
    fires = [change for group in (changes.added, changes.changed) for one in group for change in one.fires]
    for sign, style, group in (
        ("+", "green", changes.added),
        ("~", "yellow", changes.changed),
        ("-", "red", changes.removed),
    ):
        for change in group:
            what = "calendar " if change.kind == "calendar" else ""
            out.print(Text(f"{sign} {what}{change.name}", style=style), soft_wrap=True)
            for key, (old, new) in change.options.items():
                before = "" if sign == "+" else f"{plain_value(old)} → "
                out.print(Text(f"    {key}: {before}{plain_value(new)}"), soft_wrap=True)
            print_all_fires(out, change.fires, whole=len(fires) <= _SHOWN_WHOLE, named=bool(what))
    if len(fires) > _SHOWN_WHOLE:
        out.print(f"the fires of {len({change.entry for change in fires})} entries change")
    counts = [
        (len(changes.added), "added"),
        (len(changes.changed), "changed"),
        (len(changes.removed), "removed"),
        (changes.unchanged, "unchanged"),
    ]
    out.print(", ".join(f"{count} {what}" for count, what in counts))


def changes_document(changes: Changes) -> dict[str, Any]:
    def items(group: Any) -> list[dict[str, Any]]:
        return [
            {
                "kind": change.kind,
                "name": change.name,
                "options": {key: {"old": old, "new": new} for key, (old, new) in change.options.items()},
                "fires": change.fires,
            }
            for change in group
        ]

    return {
        "added": items(changes.added),
        "changed": items(changes.changed),
        "removed": items(changes.removed),
        "unchanged": changes.unchanged,
    }


def _may(state: State, comparison: Comparison, yes: bool) -> bool:
    if comparison.changes.nothing:
        return False
    if yes:
        return True
    if not state.interactive:
        state.err.print(
            "beatd: nothing was done: nobody can be asked here, so say --yes (or --dry-run to look)"
        )
        raise typer.Exit(2)
    if not typer.confirm("Do this?", err=True):
        state.err.print("nothing was done")
        raise typer.Exit(1)
    return True
