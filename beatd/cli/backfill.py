"""`beatd entry backfill`: runs for fires of a past range."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_json
from beatd.cli.state import State
from beatd.cli.times import zone_of, zoned
from beatd.operations import backfill as operation
from beatd.operations.backfill import RATE, Backfill

#: More runs than these are made only if somebody says so.
_ASK_ABOVE = 100


def backfill(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The entry.", show_default=False)],
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME|DURATION", help="An instant, or how long ago.", show_default=False
        ),
    ],
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME|DURATION", help="The same; now if not given.")
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap",
            metavar="allow|queue",
            help="At the rate, or one after the other; allow if it is the entry's.",
        ),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s|N/m|N/h", help=f"With allow: how fast ({RATE}).")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Not those that have a run which succeeded or may still.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the fires.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Make runs for the fires of a past range.

    Both bounds are in it; the rule is the entry's present one; 10,000 runs are the most. They are published
    like any others, do not expire, and carry the mark backfill:ID.
    """
    state: State = ctx.obj
    context = context_of(state)
    wanted = operation.backfill(
        context, name, start, end, overlap=overlap, rate=rate, missing=missing, dry_run=True
    )
    if dry_run and not json:
        _list(state, wanted)
    if not dry_run and wanted.fire_times:
        _ask(state, wanted, yes)
        wanted = operation.backfill(
            context, name, wanted.start, wanted.end, overlap=overlap, rate=rate, missing=missing
        )
    if json:
        return print_json({**_document(wanted), "applied": bool(wanted.fire_times) and not dry_run})
    _tell(state, wanted, dry_run=dry_run)
    return None


def _list(state: State, wanted: Backfill) -> None:
    zone = zone_of(wanted.timezone)
    for fire_time in wanted.fire_times:
        state.out.print(Text(f"{fire_time.astimezone(zone):%a} {zoned(fire_time, zone)}"))


def _ask(state: State, wanted: Backfill, yes: bool) -> None:
    count = len(wanted.fire_times)
    if yes or count <= _ASK_ABOVE:
        return
    if not state.interactive:
        state.err.print(
            f"beatd: nothing was done: {count:,} runs are many, so say --yes (or --dry-run to look)"
        )
        raise typer.Exit(2)
    if not typer.confirm(f"Make {count:,} runs of {wanted.entry}, {_range(wanted)}?", err=True):
        state.err.print("nothing was done")
        raise typer.Exit(1)


def _tell(state: State, made: Backfill, *, dry_run: bool) -> None:
    count = len(made.fire_times)
    left_out = f"; {made.left_out:,} have a run already" if made.left_out else ""
    if not count:
        state.out.print(Text(f"nothing to make: {made.entry} has no such fires in that range{left_out}"))
        return
    runs = f"{count:,} run{'s' if count > 1 else ''} of {made.entry}, {_range(made)}"
    how = "one after the other" if made.rate is None else f"{made.rate} at the most"
    if dry_run:
        state.out.print(Text(f"would make {runs}, {how}{left_out}"), soft_wrap=True)
        return
    state.out.print(Text(f"recorded {runs}, {how}{left_out}"), soft_wrap=True)
    follow = state.command(f"runs list --follow --entry {made.entry}")
    stop = state.command(f"runs revoke {made.origin}")
    state.out.print(Text.assemble("follow them: ", (follow, "bold")), soft_wrap=True)
    state.out.print(Text.assemble("revoke what has not begun: ", (stop, "bold")), soft_wrap=True)


def _range(made: Backfill) -> str:
    zone = zone_of(made.timezone)
    first, last = (zoned(fire_time, zone) for fire_time in (made.fire_times[0], made.fire_times[-1]))
    return first if first == last else f"{first} to {last}"


def _document(made: Backfill) -> dict[str, object]:
    return {field: getattr(made, field) for field in made.__dataclass_fields__}
