"""`beatd agenda`: the load of all entries, drawn or listed."""

from __future__ import annotations

import shlex
from datetime import UTC, tzinfo
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_hanging, print_json, table
from beatd.cli.state import State
from beatd.cli.times import with_weekday, zone_of, zoned
from beatd.operations.agenda import LISTED, Agenda, Bucket, Listing, agenda, listing
from beatd.planning.agenda import Peak, Share
from beatd.planning.wording import zoned_and_utc

_WIDEST_BAR = 60
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = " ▁▂▃▄▅▆▇█"
_MINUTES_A_ROW = 60

#: Rules that are told of the worst minute.
_SHARES = 8


def show_agenda(
    ctx: typer.Context,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME|DURATION",
            help="Now if not given; 2h is in two hours.",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME|DURATION", help="A day later if not given.", show_default=False),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="minute|hour", help="How finely.")] = "hour",
    as_list: Annotated[bool, typer.Option("--list", help="List the fires one by one.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="How many are listed.")] = LISTED,
    json: JsonOption = False,
) -> None:
    """Show when how many fires are due, which minutes are the worst and what to spread. Of entries as they
    are now, of those that are paused none."""
    state: State = ctx.obj
    context = context_of(state)
    if as_list:
        listed = listing(context, start, end, limit)
        return print_json(listed) if json else _print_listing(state.out, listed)
    found = agenda(context, start, end, by)
    if json:
        return print_json(found)
    _print_load(state.out, found)
    for number, peak in enumerate(found.peaks):
        _print_peak(state.out, found, peak, whole=number == 0)
    if not found.peaks and found.fires:
        state.out.print("no minute stands out")
    for suggestion in found.suggestions:
        options = " ".join(f"--{key} {shlex.quote(value)}" for key, value in suggestion.options.items())
        command = state.command(f"entry set {shlex.quote(suggestion.example)} {options}")
        body = Text.assemble(f"{suggestion.text}; for example: ", (command, "bold"))
        print_hanging(state.out, Text("-> ", style="dim"), body)
    return None


def _print_load(out: Console, found: Agenda) -> None:
    zone = zone_of(found.timezone)
    span = f"{zoned(found.start, zone)} to {zoned(found.end, zone)}"
    of = f"{_counted(found.fires, 'fire', 'fires')} of {_counted(found.entries, 'entry', 'entries')}"
    out.print(Text(f"{of}, {span}", style="bold"), soft_wrap=True)
    if found.left_out:
        left_out = ", ".join(f"{count:,} {why}" for why, count in sorted(found.left_out.items()))
        out.print(Text(f"not counted: {left_out}", style="dim"), soft_wrap=True)
    if found.everything_paused:
        since = zoned(found.everything_paused, zone)
        out.print(Text(f"everything is paused since {since}; this is what it would be", style="yellow"))
    if not found.fires:
        return
    out.print()
    if found.by == "minute":
        _draw_minutes(out, found.buckets, zone)
    else:
        _draw_hours(out, found.buckets, zone)
    out.print()


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _draw_hours(out: Console, buckets: tuple[Bucket, ...], zone: tzinfo) -> None:
    labels = [_label(bucket, zone) for bucket in buckets]
    width = max(len(label) for label in labels)
    most = max(bucket.fires for bucket in buckets)
    digits = len(f"{most:,}")
    room = max(10, min(_WIDEST_BAR, out.width - width - digits - 4))
    for label, bucket in zip(labels, buckets, strict=True):
        bar = _bar(bucket.fires, most, room)
        style = "red" if bucket.fires == most else "cyan"
        line = Text.assemble(f"{label:{width}}  {bucket.fires:{digits},}  ", (bar, style))
        line.rstrip()
        out.print(line, soft_wrap=True)


def _label(bucket: Bucket, zone: tzinfo) -> str:
    local = bucket.start.astimezone(zone)
    shown = f"{local:%a %d %H:%M}"
    return (
        shown if local.tzname() == "UTC" else f"{shown} {local:%Z}  {bucket.start.astimezone(UTC):%H:%M} UTC"
    )


def _bar(number: int, most: int, room: int) -> str:
    """In eighths of a character; what is there at all is seen."""
    eighths = max(round(number * room * 8 / most), 1 if number else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _draw_minutes(out: Console, buckets: tuple[Bucket, ...], zone: tzinfo) -> None:
    """An hour a line, a minute a character."""
    most = max(bucket.fires for bucket in buckets)
    out.print(Text(f"a character a minute, █ for {most:,}; then the sum of the hour", style="dim"))
    for first in range(0, len(buckets), _MINUTES_A_ROW):
        row = buckets[first : first + _MINUTES_A_ROW]
        cells = "".join(_level(bucket.fires, most) for bucket in row)
        label = f"{row[0].start.astimezone(zone):%a %H:%M}"
        total = sum(bucket.fires for bucket in row)
        out.print(
            Text.assemble(f"{label} ", (f"{cells:{_MINUTES_A_ROW}}", "cyan"), f" {total:,}"), soft_wrap=True
        )


def _level(number: int, most: int) -> str:
    return _LEVELS[0] if number == 0 else _LEVELS[max(1, round(number * 8 / most))]


def _print_peak(out: Console, found: Agenda, peak: Peak, *, whole: bool) -> None:
    zone = zone_of(found.timezone)
    minutes = (found.end - found.start).total_seconds() / 60
    times = peak.fires / (found.fires / minutes)
    at = f"{peak.minute.astimezone(zone):%a} {zoned_and_utc(peak.minute, zone)}"
    head = Text("! ", style="bold yellow")
    print_hanging(out, head, Text(f"{at}: {peak.fires:,} fires in a minute, {times:,.1f} times the average"))
    if not whole:
        return
    for share in peak.shares[:_SHARES]:
        print_hanging(out, Text(f"  {share.fires:>9,}  "), Text(f"{share.schedule}: {_names(share)}"))
    if others := peak.shares[_SHARES:]:
        fires = sum(share.fires for share in others)
        out.print(Text(f"  {fires:>9,}  of {len(others):,} other rules"), soft_wrap=True)


def _names(share: Share) -> str:
    rest = share.entries - len(share.names)
    return ", ".join(share.names) + (f" and {rest:,} more" if rest else "")


def _print_listing(out: Console, listed: Listing) -> None:
    zone = zone_of(listed.timezone)
    if not listed.fires:
        out.print("nothing fires")
        return
    with_utc = listed.timezone != "UTC"
    headings = [listed.timezone, *(["UTC"] if with_utc else []), "due", "entry"]
    made = table(*headings, whole=headings[:-1])
    for fire in listed.fires:
        jitter = fire.due_time - fire.fire_time
        due = f"+{jitter.total_seconds():.3f}s" if jitter else ""
        times = [with_weekday(fire.fire_time, zone), *([zoned(fire.fire_time, UTC)] if with_utc else [])]
        made.add_row(*times, due, Text(fire.entry))
    out.print(made)
    if not listed.complete:
        out.print(f"and more: --limit {len(listed.fires) * 10} lists more of them")
