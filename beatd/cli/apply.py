"""`beatd apply` and `beatd export`: the entries as TOML files have them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.entry import plain_value
from beatd.cli.output import JsonOption, print_json
from beatd.cli.state import State
from beatd.operations import apply as operation
from beatd.operations import entries
from beatd.operations.apply import Changes, Comparison
from beatd.operations.export import toml


def apply(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Entries files; - is standard input.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove entries that are in none of the files.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Make the entries as TOML files say: show the changes, ask, then do it in one transaction."""
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
    """Print the entries as TOML; applying that changes nothing. With --json the same as JSON has it."""
    state: State = ctx.obj
    found = entries.find(context_of(state), patterns or [])
    if json:
        return print_json({"entry": {entry.name: entry.options for entry in found}})
    sys.stdout.write(toml(found))
    return None


def print_changes(out: Console, changes: Changes) -> None:
    for sign, style, group in (
        ("+", "green", changes.added),
        ("~", "yellow", changes.changed),
        ("-", "red", changes.removed),
    ):
        for change in group:
            out.print(Text(f"{sign} {change.name}", style=style), soft_wrap=True)
            for key, (old, new) in change.options.items():
                before = "" if sign == "+" else f"{plain_value(old)} → "
                out.print(Text(f"    {key}: {before}{plain_value(new)}"), soft_wrap=True)
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
            {"name": c.name, "options": {k: {"old": old, "new": new} for k, (old, new) in c.options.items()}}
            for c in group
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
