"""How coming fires look, of a rule and of an entry: in the zone and in UTC, with what there is to say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from beatd.cli import pause
from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_json, table
from beatd.cli.state import State
from beatd.cli.times import NONE, with_weekday, zone_of, zoned
from beatd.operations import pausing
from beatd.operations.upcoming import COUNT, upcoming
from beatd.planning.preview import Coming, Withheld


def coming_table(zone_name: str, zone: tzinfo, coming: Iterable[Coming | Withheld]) -> Table:
    rows = [(_fire(item, zone) if isinstance(item, Coming) else _no_run(item, zone)) for item in coming]
    headings = [zone_name] if zone_name == "UTC" else [zone_name, "UTC"]
    with_remarks = any(str(row[2]) for row in rows)
    listed = table(*headings, *([""] if with_remarks else []), whole=headings)
    for local, utc, remark in rows:
        times = [local] if zone_name == "UTC" else [local, utc]
        listed.add_row(*times, *([remark] if with_remarks else []))
    return listed


def _fire(fire: Coming, zone: tzinfo) -> tuple[str, str, Text]:
    return with_weekday(fire.fire_time, zone), zoned(fire.fire_time, UTC), Text("\n".join(fire.remarks))


def _no_run(withheld: Withheld, zone: tzinfo) -> tuple[str, str, Text]:
    if withheld.reason == "skipped":
        told = Text(f"no fire: {withheld.why}", style="yellow")
        return f"{withheld.first.astimezone(zone):%a %Y-%m-%d}", NONE, told
    fires = ""
    if withheld.count > 1 or not withheld.exact:
        count = f"{withheld.count:,}{'' if withheld.exact else ' or more'}"
        fires = f" ({count} fires, the last at {zoned(withheld.last, zone)})"
    told = Text(f"no run: {withheld.why}{fires}", style="yellow")
    return with_weekday(withheld.first, zone), zoned(withheld.first, UTC), told


def next_of_entry(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The entry.", show_default=False)],
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many.")] = COUNT,
    after: Annotated[
        str | None,
        typer.Option(
            "--after", metavar="TIME", help="Strictly after this; now if not given.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show the coming fires, in the entry's zone and in UTC, and why others become no runs."""
    state: State = ctx.obj
    context = context_of(state)
    found = upcoming(context, name, count, after)
    if json:
        return print_json(found)
    pause.print_all_paused(state, context)
    state.out.print(Text(f"{found.entry}: {found.schedule}"), soft_wrap=True)
    zone = zone_of(found.timezone)
    if lasting := pausing.pause_of(context, name):
        ends = f"; {state.command(f'entry resume {name}')} ends it"
        said = f"it is paused {pause.pause_text(lasting, zone)}{ends}"
        state.out.print(Text(said, style="yellow"), soft_wrap=True)
    if found.note:
        state.out.print(Text(f"({found.note})", style="dim"), soft_wrap=True)
    if found.runs_left:
        runs = "1 run" if found.runs_left == 1 else f"{found.runs_left:,} runs"
        state.out.print(Text(f"max_runs allows {runs} more", style="dim"))
    if found.coming:
        state.out.print(coming_table(found.timezone, zone, found.coming))
    if len(found.fire_times) < count and not found.note:
        state.out.print(f"no {'other ' if found.fire_times else ''}fire time will come")
    return None
