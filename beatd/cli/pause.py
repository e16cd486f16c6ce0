"""`beatd entry pause` and `resume`, `beatd pause --all` and `resume --all`."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated

import typer
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.state import State
from beatd.cli.times import zone_of, zoned
from beatd.operations import pausing
from beatd.operations.context import Context
from beatd.operations.pausing import AllPaused, Pause, Switched
from beatd.store.pauses import StoredPause

_Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Entries: names or globs.")]
_Note = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="Why, for whoever finds it paused.")
]
_Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME|DURATION",
        help="It fires again from then on; until it is resumed if not given.",
    ),
]
_All = Annotated[bool, typer.Option("--all", help="Everything.")]


def pause_entries(ctx: typer.Context, names: _Names, note: _Note = None, until: _Until = None) -> None:
    """Stop entries from firing; their fires are counted as paused.

    Of one that is paused already this changes the note and the end.
    """
    state: State = ctx.obj
    for switched in pausing.pause(context_of(state), names, note, until, globs=True):
        state.out.print(Text(_paused(switched)), soft_wrap=True)


def resume_entries(ctx: typer.Context, names: _Names) -> None:
    """Let entries fire again, from their next fire times on."""
    state: State = ctx.obj
    context = context_of(state)
    for switched in pausing.resume(context, names, globs=True):
        state.out.print(Text(_resumed(switched)), soft_wrap=True)
    print_all_paused(state, context)


def pause_all(ctx: typer.Context, everything: _All = False, note: _Note = None, until: _Until = None) -> None:
    """Stop everything from firing.

    What is recorded already is still published, and a trigger still runs. Fires are counted as all paused.
    """
    state: State = ctx.obj
    if not everything:
        raise typer.BadParameter("say --all for everything, or 'beatd entry pause NAME' for an entry")
    context = context_of(state)
    told = pausing.pause_all(context, note, until)
    state.out.print(Text(_everything(told, zone_of(context.timezone))), soft_wrap=True)


def resume_all(ctx: typer.Context, everything: _All = False) -> None:
    """End the pause of everything. Entries that are paused by themselves stay so."""
    state: State = ctx.obj
    if not everything:
        raise typer.BadParameter("say --all for everything, or 'beatd entry resume NAME' for an entry")
    context = context_of(state)
    ended = pausing.resume_all(context)
    if ended is None:
        state.out.print("nothing was done: not everything was paused")
    else:
        said = f"resumed everything; it was paused {pause_text(ended, zone_of(context.timezone))}"
        state.out.print(Text(said), soft_wrap=True)


def pause_text(pause: Pause | StoredPause, zone: tzinfo) -> str:
    """`since 2026-03-29 03:00 CEST by anna, until 2026-03-30 03:00 CEST: moving house`."""
    who = f" by {pause.who}" if pause.who else " in SQL"
    return f"since {zoned(pause.since, zone)}{who}{_end(pause.until, pause.note, zone, ', until ')}"


def print_all_paused(state: State, context: Context) -> None:
    """A word for whoever wonders why nothing happens, if it is for that."""
    if pause := pausing.all_paused(context):
        said = f"everything is paused {pause_text(pause, zone_of(context.timezone))}"
        state.err.print(
            Text(f"{said}; {state.command('resume --all')} ends it", style="yellow"), soft_wrap=True
        )


def _paused(switched: Switched) -> str:
    entry = switched.after
    said = _end(entry.paused_until, entry.pause_note, zone_of(entry.timezone))
    if switched.before.state != "paused":
        return f"paused {entry.name}{said}"
    return f"{entry.name} was paused already{'; now it is paused' if switched.changed else ''}{said}"


def _resumed(switched: Switched) -> str:
    entry = switched.after
    if not switched.changed:
        return f"{entry.name} was not paused"
    coming = entry.next_fire_time
    then = "" if coming is None else f", next {zoned(coming, zone_of(entry.timezone))}"
    return f"resumed {entry.name} ({entry.state}{then})"


def _everything(told: AllPaused, zone: tzinfo) -> str:
    said = _end(told.pause.until, told.pause.note, zone)
    if told.before is None:
        return f"paused everything{said}"
    if told.pause == told.before:
        return f"everything was paused already, {pause_text(told.pause, zone)}"
    return f"everything was paused already; now it is paused{said}"


def _end(until: datetime | None, note: str | None, zone: tzinfo, before: str = " until ") -> str:
    end = "" if until is None else f"{before}{zoned(until, zone)}"
    return f"{end}: {note}" if note else end
