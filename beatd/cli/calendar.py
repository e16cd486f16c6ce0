"""`beatd calendar`: named sets of dates on which entries do not fire, or on another day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from beatd.cli.context import context_of
from beatd.cli.entry import plain_value, print_fitted
from beatd.cli.fires import print_all_fires
from beatd.cli.output import JsonOption, print_hanging, print_json, table
from beatd.cli.state import State
from beatd.errors import FieldError
from beatd.operations import calendars
from beatd.operations.calendars import Calendar

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Dates on which entries do not fire, or on another day."
)

#: Of so many entries the fires before and after are shown, of more only where they begin to differ.
_SHOWN_WHOLE = 3

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The calendar.", show_default=False)]
_Dates = Annotated[
    str | None,
    typer.Option("--dates", metavar="DATES", help="2026-12-24,2026-12-31: all of them.", show_default=False),
]
_File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Dates, one or several a line, # begins a comment."),
]
_Weekdays = Annotated[
    str | None, typer.Option("--weekdays", metavar="DAYS", help="sat,sun: every week.", show_default=False)
]
_Country = Annotated[
    str | None,
    typer.Option("--country", metavar="CODE", help="Its public holidays: DE, US …", show_default=False),
]
_Region = Annotated[
    str | None,
    typer.Option("--region", metavar="CODE", help="And those of a part of it: BY, CA …", show_default=False),
]
_Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="For people.", show_default=False)
]


@app.command()
def add(
    ctx: typer.Context,
    name: _Name,
    dates: _Dates = None,
    file: _File = None,
    weekdays: _Weekdays = None,
    country: _Country = None,
    region: _Region = None,
    description: _Description = None,
) -> None:
    """Add a calendar: dates, weekdays, public holidays, or several of these."""
    state: State = ctx.obj
    options = _options(dates, file, weekdays, country, region, description)
    calendars.add(context_of(state), name, options)
    hint = state.command(f"entry set ENTRY --calendar {name}")
    state.out.print(Text(f"added calendar {name}; {hint} uses it"), soft_wrap=True)


@app.command("set")
def change(
    ctx: typer.Context,
    name: _Name,
    dates: _Dates = None,
    file: _File = None,
    add_dates: Annotated[
        str | None, typer.Option("--add-dates", metavar="DATES", help="Beside those that it has.")
    ] = None,
    drop_dates: Annotated[
        str | None, typer.Option("--drop-dates", metavar="DATES", help="Of those that it has.")
    ] = None,
    weekdays: _Weekdays = None,
    country: _Country = None,
    region: _Region = None,
    description: _Description = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", metavar="KEY", help="Of dates, weekdays, country …")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Change a calendar; what is not named stays. Shows how fires change of the entries that use it."""
    state: State = ctx.obj
    options: dict[str, Any] = dict.fromkeys(unset or [])
    options |= _options(dates, file, weekdays, country, region, description)
    more = {"add_dates": _words(add_dates), "drop_dates": _words(drop_dates)}
    if not options and not any(more.values()):
        raise typer.BadParameter("say what to change, for example --add-dates 2026-12-24")
    context = context_of(state)
    preview = calendars.preview(context, name, options, **more)
    if not preview.changes:
        state.out.print("nothing changed")
        return
    if dry_run:
        for key, (old, new) in preview.changes.items():
            state.out.print(Text(f"    {key}: {plain_value(old)} → {plain_value(new)}"), soft_wrap=True)
    print_all_fires(state.out, preview.fires, whole=len(preview.fires) <= _SHOWN_WHOLE)
    if not dry_run:
        after = calendars.change(context, name, options, **more)
        state.out.print(Text(f"changed calendar {name} ({_used_by(after)})"), soft_wrap=True)


@app.command()
def remove(ctx: typer.Context, name: _Name) -> None:
    """Remove a calendar that no entry uses."""
    state: State = ctx.obj
    calendars.remove(context_of(state), name)
    state.out.print(Text(f"removed calendar {name}"))


@app.command("list")
def list_calendars(ctx: typer.Context, json: JsonOption = False) -> None:
    """List calendars: what they hold, and how many entries use each."""
    state: State = ctx.obj
    found = calendars.find(context_of(state))
    if json:
        return print_json(found)
    if not found:
        hint = state.command("calendar add holidays --country DE")
        state.out.print(Text.assemble("no calendars yet: ", (hint, "bold")), soft_wrap=True)
        return None
    listed = table("name", "entries", "holds", right=["entries"], whole=["entries"])
    for calendar in found:
        holds = Text(calendar.error, style="red") if calendar.error else Text(_holds(calendar))
        listed.add_row(Text(calendar.name), str(len(calendar.entries)), holds)
    print_fitted(state.out, listed)
    return None


@app.command()
def show(
    ctx: typer.Context,
    name: _Name,
    year: Annotated[int | None, typer.Option("--year", metavar="YEAR", help="This one if not given.")] = None,
    json: JsonOption = False,
) -> None:
    """Show a calendar: its dates of a year with their names, and the entries that use it."""
    state: State = ctx.obj
    shown = calendars.show(context_of(state), name, year)
    if json:
        return print_json(shown)
    calendar = shown.calendar
    lines: list[tuple[str, str | Text]] = [("calendar", calendar.name)]
    if calendar.error:
        lines.append(("error", Text(calendar.error, style="red")))
    lines += [(key, plain_value(value)) for key, value in calendar.options.items() if key != "dates"]
    lines.append(("entries", ", ".join(calendar.entries) or "none"))
    for key, value in lines:
        print_hanging(
            state.out, Text(f"{key:<13}", style="bold"), Text(value) if isinstance(value, str) else value
        )
    if not calendar.error:
        _print_days(state, shown)
    return None


def _print_days(state: State, shown: calendars.CalendarYear) -> None:
    if weekdays := shown.calendar.options.get("weekdays"):
        state.out.print(Text(f"\nevery {', '.join(weekdays)}; and in {shown.year}:"))
    else:
        state.out.print(Text(f"\nin {shown.year}:"))
    for day in shown.days:
        state.out.print(Text(f"  {day.date:%a %Y-%m-%d}  {day.why}"), soft_wrap=True)
    if not shown.days:
        state.out.print("  no dates")


def _options(
    dates: str | None,
    file: Path | None,
    weekdays: str | None,
    country: str | None,
    region: str | None,
    description: str | None,
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "weekdays": weekdays,
        "country": country,
        "region": region,
        "description": description,
    }
    options = {key: value for key, value in options.items() if value is not None}
    if dates is not None or file is not None:
        options["dates"] = [*_words(dates), *(_words(_without_comments(_read(file))) if file else ())]
    return options


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FieldError("file", str(file), f"is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise FieldError("file", str(file), f"cannot be read: {error.strerror}") from error


def _without_comments(text: str) -> str:
    return "\n".join(line.partition("#")[0] for line in text.splitlines())


def _words(text: str | None) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text or "") if word]


def _holds(calendar: Calendar) -> str:
    options = calendar.options
    dates = options.get("dates", ())
    parts: Iterable[str | None] = (
        f"{len(dates)} date{'s' if len(dates) > 1 else ''}" if dates else None,
        ",".join(options["weekdays"]) if "weekdays" in options else None,
        "-".join(options[key] for key in ("country", "region") if key in options) or None,
        options.get("description"),
    )
    return "; ".join(part for part in parts if part)


def _used_by(calendar: Calendar) -> str:
    count = len(calendar.entries)
    return "no entry uses it" if not count else f"{count} {'entry uses' if count == 1 else 'entries use'} it"
