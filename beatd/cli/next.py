"""`beatd next`: when a rule fires, without storing anything."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Annotated, Any

import typer
from rich.text import Text

from beatd import clock
from beatd.cli.entry_options import options_given, with_timing_options
from beatd.cli.state import State
from beatd.operations.evaluate import COUNT, Evaluator, Sources
from beatd.planning.timing import Surroundings
from beatd.schedules import DateSet

_CHUNK = 65_536
_CALENDAR = "Not on the dates of a calendar that is given here"


@with_timing_options
def next_fires(
    ctx: typer.Context,
    expression: Annotated[
        str | None,
        typer.Argument(metavar="EXPR", help="A cron expression: '*/5 * * * *'.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many.")] = COUNT,
    after: Annotated[
        str | None,
        typer.Option(
            "--after", metavar="TIME", help="Strictly after this; now if not given.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="The entry's name: H, ~ and jitter hash it.", show_default=False
        ),
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option(
            "--calendar-dates",
            metavar="DATES",
            help="2026-12-24,2026-12-31",
            rich_help_panel=_CALENDAR,
            show_default=False,
        ),
    ] = None,
    weekdays: Annotated[
        str | None,
        typer.Option(
            "--weekdays", metavar="DAYS", help="sat,sun", rich_help_panel=_CALENDAR, show_default=False
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            "--country",
            metavar="CODE",
            help="Its public holidays: DE",
            rich_help_panel=_CALENDAR,
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="CODE",
            help="Of this part of it: BY",
            rich_help_panel=_CALENDAR,
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Answer each line of standard input, a JSON object, with one."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    **flags: Any,
) -> None:
    """Show when a rule fires, as if an entry had been added: beatd next '*/5 2-4 * * MON' -n 10."""
    state: State = ctx.obj
    evaluator = Evaluator(_sources(state))
    given = options_given(flags)
    inline = {"dates": dates, "weekdays": weekdays, "country": country, "region": region}
    inline = {key: value for key, value in inline.items() if value is not None}
    if batch:
        if given or inline or expression or after or name:
            raise typer.BadParameter("--batch takes its rules from standard input alone")
        return _answer_lines(evaluator)
    if expression is not None:
        if "cron" in given:
            raise typer.BadParameter("give the cron expression once")
        given["cron"] = expression
    if inline:
        if "calendar" in given:
            raise typer.BadParameter("give --calendar, or what is in it")
        given["calendar"] = inline
    if name is not None:
        given["name"] = name
    found = evaluator.evaluate(given, count, after)
    if json:
        from beatd.cli.output import print_json

        return print_json(found)
    from beatd.cli.coming import coming_table
    from beatd.cli.times import zone_of

    state.out.print(Text(found.schedule), soft_wrap=True)
    if found.note:
        state.out.print(Text(f"({found.note})", style="dim"), soft_wrap=True)
    if found.coming:
        state.out.print()
        state.out.print(coming_table(found.timezone, zone_of(found.timezone), found.coming))
    if len(found.fire_times) < count and not found.note:
        state.out.print(f"no {'other ' if found.fire_times else ''}fire time will come")
    return None


def _sources(state: State) -> Sources:
    def configured() -> Surroundings:
        from beatd.operations.context import Factories

        settings = state.settings
        return Surroundings(settings.timezone, custom=Factories(settings.schedules.custom))

    def calendars() -> Mapping[str, DateSet]:
        from beatd.cli.context import context_of

        context = context_of(state)
        with context.database.read() as transaction:
            return context.surroundings(transaction).calendars

    return Sources(clock.wall, configured, calendars)


def _answer_lines(evaluator: Evaluator) -> None:
    """What has come is answered before more is waited for."""
    for lines in _arriving():
        sys.stdout.write("".join(f"{json_.dumps(evaluator.answer(line))}\n" for line in lines))
        sys.stdout.flush()


def _arriving() -> Iterator[list[bytes]]:
    """The lines of standard input, as many at a time as are there."""
    stream = getattr(sys.stdin, "buffer", None) or BytesIO(sys.stdin.read().encode())
    begun = bytearray()
    while chunk := stream.read1(_CHUNK):
        searched = len(begun)
        begun += chunk
        end = begun.rfind(b"\n", searched) + 1
        if end:
            yield bytes(begun[: end - 1]).split(b"\n")
            del begun[:end]
    if begun:
        yield bytes(begun).split(b"\n")
