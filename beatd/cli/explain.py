"""`beatd explain`: why an entry did or did not run."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer
from rich.text import Text

from beatd.cli import pause
from beatd.cli.context import context_of
from beatd.cli.output import JsonOption, print_hanging, print_json
from beatd.cli.state import State
from beatd.cli.times import zone_of
from beatd.operations.explain import Answer, explain
from beatd.planning.explain import Explanation
from beatd.planning.wording import zoned_and_utc

_WELL, _BADLY, _NOT_AT_ALL, _OPEN = ("✓", "green"), ("✗", "bold red"), ("!", "bold yellow"), ("●", "blue")
_MARKS = {
    "succeeded": _WELL,
    "failed": _BADLY,
    "lost": _BADLY,
    "broken": _BADLY,
    "running": _OPEN,
    "waiting": _OPEN,
    "coming": _OPEN,
}


def explain_entry(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The entry.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME|DATE|DURATION",
            help="When: a minute ('2026-03-29 02:30', in the entry's zone), a day, or how long ago; "
            "the last fire and the next if not given.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say why an entry did or did not run at a time, or does not run now, from what is on record."""
    state: State = ctx.obj
    context = context_of(state)
    answer = explain(context, name, at)
    if json:
        return print_json(answer)
    pause.print_all_paused(state, context)
    zone = zone_of(answer.timezone)
    state.out.print(Text(f"{answer.entry}, {answer.timezone}", style="bold"), soft_wrap=True)
    if answer.summary:
        state.out.print(Text(answer.summary), soft_wrap=True)
    for number, explanation in enumerate(answer.explanations):
        state.out.print()
        _print(state, answer, explanation, zone, last=number == len(answer.explanations) - 1)
    return None


def _print(state: State, answer: Answer, explanation: Explanation, zone: tzinfo, *, last: bool) -> None:
    mark = Text.assemble(_MARKS.get(explanation.verdict, _NOT_AT_ALL), " ")
    print_hanging(state.out, mark, Text(f"{_when(answer, explanation, zone, last)}{explanation.headline}"))
    instants = [_both(statement.at, zone) for statement in explanation.statements]
    width = max(map(len, instants), default=0)
    for instant, statement in zip(instants, explanation.statements, strict=True):
        print_hanging(state.out, Text(f"  {instant:{width}}  ", style="dim"), Text(statement.text))
    for advice in explanation.advice:
        body = Text.assemble(f"{advice.text}: ", (state.command(advice.command), "bold"))
        print_hanging(state.out, Text("  -> ", style="dim"), body)


def _when(answer: Answer, explanation: Explanation, zone: tzinfo, last: bool) -> str:
    which = ("next: " if last else "last: ") if answer.asked is None else ""
    at = explanation.fire_time or (answer.asked[0] if answer.asked else None)
    return which if at is None else f"{which}{at.astimezone(zone):%a} {zoned_and_utc(at, zone)}: "


def _both(instant: datetime | None, zone: tzinfo) -> str:
    """The instant on both clocks; of UTC the day of the month is enough."""
    if instant is None:
        return ""
    local = instant.astimezone(zone)
    shown = f"{local:%Y-%m-%d %H:%M:%S %Z}"
    return shown if local.tzname() == "UTC" else f"{shown}  {instant.astimezone(UTC):%d %H:%M:%S} UTC"
