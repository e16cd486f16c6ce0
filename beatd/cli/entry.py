"""`beatd entry`: add, list, show, change, pause, trigger … entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Annotated, Any

import click
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from beatd.cli import backfill, pause, trigger
from beatd.cli.coming import next_of_entry
from beatd.cli.context import context_of
from beatd.cli.entry_options import options_given, with_entry_options
from beatd.cli.fires import print_fires_change, print_outlook
from beatd.cli.output import JsonOption, first_line, print_json, said_by, span_text, styled, table
from beatd.cli.state import State
from beatd.cli.times import NONE, zone_of, zoned
from beatd.errors import BeatdError
from beatd.operations import entries, pausing, previews, runs
from beatd.operations.context import Context
from beatd.operations.entries import Entry
from beatd.operations.previews import Preview
from beatd.store.history import Run, Suppressed

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Add, list, change, pause, trigger … entries."
)

#: Columns that the last column of a table has at least.
_NARROWEST = 12

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The entry.", show_default=False)]


# Edits


@app.command("add")
@with_entry_options
def add(ctx: typer.Context, name: _Name, **flags: Any) -> None:
    """Add an entry.

    Say when it fires (one of --cron, --every, --at, --calendar-every, --solar and --custom) and what it runs
    (one of --shell, --http and --task).
    """
    state: State = ctx.obj
    context = context_of(state)
    _tell(state, "added", entries.add(context, name, options_given(flags)))
    print_outlook(state.out, previews.outlook(context, name))
    _tell_remark(state, context, name)


@app.command("set")
@with_entry_options
def change(
    ctx: typer.Context,
    name: _Name,
    rename: Annotated[
        str | None, typer.Option("--rename", metavar="NAME", help="A new name.", show_default=False)
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="Back to its default.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    **flags: Any,
) -> None:
    """Change options of an entry; what is not named stays. Shows how its next fires change."""
    state: State = ctx.obj
    options = {key.replace("-", "_"): None for key in unset or []} | options_given(flags)
    if rename is not None:
        options["name"] = rename
    if not options:
        raise typer.BadParameter("say what to change, for example --every 5m")
    context = context_of(state)
    before = entries.show(context, name).version
    _show_first(state, previews.preview(context, name, options), options=dry_run)
    if dry_run:
        return
    after = entries.change(context, name, options)
    _tell_changed(state, after, before)
    _tell_remark(state, context, after.name)


@app.command()
def edit(ctx: typer.Context, name: _Name) -> None:
    """Edit an entry as TOML in $EDITOR."""
    from beatd.operations import apply, export

    state: State = ctx.obj
    context = context_of(state)
    before = entries.show(context, name)
    text = export.toml([before])
    while True:
        edited = _edited(text)
        if edited is None:
            state.out.print("nothing changed")
            return
        try:
            wanted = apply.read_one(edited)
            _show_first(state, previews.preview(context, name, wanted, replace=True))
            after = entries.replace(context, name, wanted, version=before.version)
            return _tell_changed(state, after, before.version)
        except BeatdError as error:
            if not state.interactive:
                raise
            state.err.print(Text(str(error)), soft_wrap=True)
            if not typer.confirm("Edit again?", default=True, err=True):
                raise
            text = edited


app.command("pause")(pause.pause_entries)
app.command("resume")(pause.resume_entries)


@app.command()
def remove(ctx: typer.Context, name: _Name) -> None:
    """Remove an entry. Its history stays, and `restore` brings it back."""
    state: State = ctx.obj
    entries.remove(context_of(state), name)
    state.out.print(Text(f"removed {name}"))


@app.command()
def restore(
    ctx: typer.Context,
    name: _Name,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="As `versions` lists them.")],
) -> None:
    """Make an entry what it was at a version; also one that was removed."""
    _tell(ctx.obj, "restored", entries.restore(context_of(ctx.obj), name, version))


app.command("trigger")(trigger.trigger)
app.command("backfill")(backfill.backfill)


# Looking


@app.command("list")
def list_entries(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names or globs.", show_default=False)
    ] = None,
    state_wanted: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help=f"One of {', '.join(entries.STATES)}."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List entries with their state and next fire time."""
    state: State = ctx.obj
    context = context_of(state)
    found = entries.find(context, patterns or [], state_wanted)
    if json:
        return print_json(found)
    pause.print_all_paused(state, context)
    if not found:
        return _nothing(state, "no such entry" if patterns or state_wanted else "no entries yet")
    listed = table("name", "state", "schedule", "next", "runs", whole=["state", "next"])
    for entry in found:
        coming = zoned(entry.next_fire_time, zone_of(entry.timezone))
        what = Text(first_line(entry.what))
        if entry.pause_note:
            what.append(f"  (paused: {first_line(entry.pause_note)})", style="yellow")
        listed.add_row(Text(entry.name), styled(entry.state), Text(entry.schedule), coming, what)
    print_fitted(state.out, listed)
    return None


@app.command()
def show(ctx: typer.Context, name: _Name, json: JsonOption = False) -> None:
    """Show everything about an entry."""
    state: State = ctx.obj
    context = context_of(state)
    entry = entries.show(context, name)
    if json:
        return print_json(entry)
    pause.print_all_paused(state, context)
    zone = zone_of(entry.timezone)
    lines: list[tuple[str, str | Text]] = [
        ("entry", entry.name),
        ("state", styled(entry.state)),
        ("next", zoned(entry.next_fire_time, zone)),
        ("last", zoned(entry.last_fire_time, zone)),
        ("version", f"{entry.version}, of {zoned(entry.updated_at, zone)}"),
    ]
    if entry.origin:
        place = f"{entry.origin.kind} {entry.origin.source}:{entry.origin.place}"
        lines.append(("from", f"{place}, of {zoned(entry.origin.imported_at, zone)}"))
    if entry.error:
        lines.insert(2, ("error", Text(entry.error, style="red")))
    if told := entries.in_words(context, name):
        lines.insert(2, ("fires", told))
    if lasting := pausing.pause_of(context, name):
        lines.insert(2, ("paused", Text(pause.pause_text(lasting, zone), style="yellow")))
    lines += [(key, plain_value(value)) for key, value in entry.options.items()]
    _print_lines(state, lines)
    return None


app.command("next")(next_of_entry)


@app.command()
def history(
    ctx: typer.Context,
    name: _Name,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME|DURATION", help="An instant, or how long ago.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="How many.")] = 50,
    json: JsonOption = False,
) -> None:
    """Show an entry's runs, and the fires that became none with the reason."""
    state: State = ctx.obj
    context = context_of(state)
    found = runs.entry_history(context, name, since, limit)
    if json:
        return print_json([_history_item(item) for item in found])
    pause.print_all_paused(state, context)
    if lasting := pausing.pause_of(context, name):
        paused = f"paused {pause.pause_text(lasting, _zone_in(context, found))}"
        ends = state.command(f"entry resume {name}")
        state.out.print(Text(f"{paused}; {ends} ends it", style="yellow"), soft_wrap=True)
    if not found:
        return _nothing(state, "nothing has happened yet", f"entry trigger {name} --wait")
    listed = table("fire time", "state", "took", "run", "what", whole=["fire time", "state", "took", "run"])
    zone = _zone_in(context, found)
    for item in found:
        if isinstance(item, Run):
            listed.add_row(
                zoned(item.fire_time, zone), styled(item.state), took(item), item.id[:8], outcome(item)
            )
        else:
            count = f"{item.count}{'' if item.exact else ' or more'}"
            listed.add_row(
                zoned(item.last_fire_at, zone),
                Text(f"no run: {item.reason}", style="yellow"),
                NONE,
                NONE,
                "1 fire" if item.count == 1 else f"{count} fires since {zoned(item.first_fire_at, zone)}",
            )
    print_fitted(state.out, listed)
    return None


@app.command()
def versions(ctx: typer.Context, name: _Name, json: JsonOption = False) -> None:
    """Show every version of an entry: who, when, what changed."""
    state: State = ctx.obj
    context = context_of(state)
    found = entries.versions(context, name)
    if json:
        return print_json(found)
    listed = table("version", "when", "who", "what", right=["version"], whole=["version", "when"])
    for version in found:
        changes = [
            f"{key}: {plain_value(old)} → {plain_value(new)}" for key, (old, new) in version.changes.items()
        ]
        who = f"{version.changed_by or NONE} ({version.door or 'SQL'})"
        what = "\n".join(changes) or {"insert": "added", "delete": "removed"}.get(version.operation, "")
        listed.add_row(
            str(version.version), zoned(version.changed_at, zone_of(context.timezone)), Text(who), Text(what)
        )
    state.out.print(listed)
    return None


# How it looks


def print_fitted(out: Console, listed: Table) -> None:
    """Prints a table whose last column takes what the others leave of the line."""
    *others, last = listed.columns
    # between columns there are three blanks
    taken = sum(3 + max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in others)
    last.no_wrap, last.overflow, last.max_width = True, "ellipsis", max(out.width - taken, _NARROWEST)
    out.print(listed)


def outcome(run: Run) -> Text:
    """The first line of what a run left behind."""
    return Text(said_by(run.state, run.result, run.error, run.reason))


def took(run: Run) -> str:
    if run.started_at is None or run.finished_at is None:
        return NONE
    return span_text(max(run.finished_at - run.started_at, timedelta(0)))


def _zone_in(context: Context, found: Sequence[Run | Suppressed]) -> tzinfo:
    return zone_of(next((run.timezone for run in found if isinstance(run, Run)), None), context.timezone)


def _history_item(item: Run | Suppressed) -> dict[str, Any]:
    fields = {name: getattr(item, name) for name in item.__dataclass_fields__}
    return {"kind": "run" if isinstance(item, Run) else "suppression"} | fields


def _edited(text: str) -> str | None:
    """None if nothing was saved. Raises BeatdError if the editor failed."""
    try:
        return click.edit(text, extension=".toml")
    except click.ClickException as error:
        raise BeatdError(f"the editor failed, nothing was changed: {error.format_message()}") from error


def _show_first(state: State, preview: Preview, *, options: bool = False) -> None:
    """What an edit is about to change."""
    if options:
        for key, (old, new) in preview.changes.items():
            state.out.print(Text(f"    {key}: {plain_value(old)} → {plain_value(new)}"), soft_wrap=True)
        if not preview.changes:
            state.out.print("nothing would change")
    if preview.fires is not None:
        print_fires_change(state.out, preview.fires)


def _tell(state: State, done: str, entry: Entry, before: int = 0) -> None:
    """`before` is the version that it was at: to pause what is paused changes nothing."""
    if entry.version == before:
        state.out.print(Text(f"{entry.name} was {'not paused' if done == 'resumed' else f'{done} already'}"))
        return
    coming = (
        ""
        if entry.next_fire_time is None
        else f", next {zoned(entry.next_fire_time, zone_of(entry.timezone))}"
    )
    state.out.print(Text(f"{done} {entry.name} ({entry.state}{coming})"))


def _tell_changed(state: State, entry: Entry, before: int) -> None:
    if entry.version == before:
        state.out.print("nothing changed")
    else:
        _tell(state, "changed", entry)


def _tell_remark(state: State, context: Context, name: str) -> None:
    if remark := entries.remark(context, name):
        state.err.print(Text(remark, style="yellow"), soft_wrap=True)


def _nothing(state: State, what: str, then: str = "entry add hello --every 10s --shell 'echo hello'") -> None:
    state.out.print(Text.assemble(f"{what}: ", (state.command(then), "bold")), soft_wrap=True)


def _print_lines(state: State, lines: Sequence[tuple[str, str | Text]]) -> None:
    width = max(len(key) for key, _ in lines) + 2
    for key, value in lines:
        state.out.print(Text.assemble((f"{key:<{width}}", "bold"), value), soft_wrap=True)


def plain_value(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, list):
        return ", ".join(map(plain_value, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={plain_value(inner)}" for key, inner in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
