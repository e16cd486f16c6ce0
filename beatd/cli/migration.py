"""What `check` and `import` of every source have in common: options, the table, exit statuses."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from beatd import clock
from beatd.cli.context import context_of
from beatd.cli.entry import plain_value
from beatd.cli.output import print_hanging, print_json
from beatd.cli.state import State
from beatd.cli.times import NONE, with_weekday, zone_of, zoned
from beatd.migrate import importing
from beatd.migrate.found import Found, Reading
from beatd.migrate.importing import Import, ImportRefused, Row
from beatd.migrate.places import file_of, line_of
from beatd.operations.context import Offline

if TYPE_CHECKING:
    from beatd.migrate.found import Source

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Remove the entries of these sources that are no longer in them.")
]
PrefixOption = Annotated[
    str,
    typer.Option(
        "--prefix",
        metavar="TEXT",
        help="Before the names of new entries; a name once given stays.",
        show_default=False,
    ),
]
QueueOption = Annotated[
    str | None, typer.Option("--queue", metavar="NAME", help="The queue that they go to.", show_default=False)
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="Where the source names no zone: the machine's if not given.",
        show_default=False,
    ),
]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="Leave out what cannot be carried over, and take the rest.")
]

_STYLES = {
    "add": "green",
    "change": "yellow",
    "unchanged": "dim",
    "remove": "red",
    "left": "bold yellow",
    "refused": "bold red",
}
_COUNTED = {
    "add": "added",
    "change": "changed",
    "remove": "removed",
    "unchanged": "unchanged",
    "left": "left",
    "refused": "refused",
}
#: Told where there is one.
_RARE = ("left", "refused")
_NOTHING_DONE = "nothing was imported: correct these, or leave them out with --partial"

_GAP = "  "
_BELOW = " " * 6
_NARROWEST_NAME = 16
_WIDEST_SCHEDULE = 24
_SHOWN_VALUE = 200


def run_import(
    state: State,
    reading: Reading,
    sources: Collection[Source],
    *,
    prune: bool = False,
    prefix: str = "",
    partial: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> Import:
    """Does it, and prints what was done. Where something is refused, and not `partial`, says what and ends
    the command with 2.
    """
    context = context_of(state)
    try:
        found = importing.compare(
            context, reading, sources=sources, prune=prune, prefix=prefix, partial=partial
        )
    except ImportRefused as error:
        if json:
            print_import(state, error.outcome, json=True, dry_run=True)
        for line in [*str(error).splitlines(), _NOTHING_DONE]:
            state.err.print(Text(f"beatd: {line}"), soft_wrap=True)
        raise typer.Exit(2) from error
    if not dry_run:
        found.execute(context)
    print_import(state, found, json=json, dry_run=dry_run)
    return found


def print_import(state: State, found: Import, *, json: bool = False, dry_run: bool = False) -> None:
    if json:
        document = rows_document(found.rows) | {"notes": found.notes, "applied": not dry_run}
        return print_json(document)
    print_rows(state.out, found.rows)
    _print_notes(state, found.notes)
    counts = [
        f"{count} {told}"
        for action, told in _COUNTED.items()
        if (count := _count(found.rows, action)) or action not in _RARE
    ]
    done = "nothing was done (--dry-run); it would be: " if dry_run else ""
    state.out.print(f"{done}{', '.join(counts)}")
    return None


def run_check(state: State, reading: Reading, *, prefix: str = "", json: bool = False) -> tuple[Row, ...]:
    """Prints what an import into an empty database would do. Raises typer.Exit(1) if anything is refused."""
    rows = importing.check(Offline.of(state.settings), reading, clock.wall(), prefix=prefix)
    print_check(state, rows, reading, json=json)
    return rows


def print_check(state: State, rows: Sequence[Row], reading: Reading, *, json: bool = False) -> None:
    """Raises typer.Exit(1) if anything is refused."""
    refused = _count(rows, "refused")
    if json:
        print_json(rows_document(rows) | {"notes": reading.notes})
    else:
        print_rows(state.out, rows, all_fires=True, told={"add": "ok"}, changes=False)
        _print_notes(state, reading.notes)
        entries = _count(rows, "add")
        state.out.print(f"{entries} {'entry' if entries == 1 else 'entries'}, {refused} refused")
    if refused:
        raise typer.Exit(1)


def queued(reading: Reading, queue: str | None) -> Reading:
    """With everything in this queue; as it was if None."""
    if queue is None:
        return reading

    def to_queue(found: Found) -> Found:
        return replace(found, options={**found.options, "queue": queue})

    return replace(reading, found=tuple(map(to_queue, reading.found)))


def rows_document(rows: Iterable[Row]) -> dict[str, Any]:
    rows = list(rows)
    return {
        "rows": [
            {
                **{name: getattr(row, name) for name in Row.__dataclass_fields__},
                "changes": {key: {"old": old, "new": new} for key, (old, new) in row.changes.items()},
            }
            for row in rows
        ],
        "totals": {told: _count(rows, action) for action, told in _COUNTED.items()},
    }


# The table


def print_rows(
    out: Console,
    rows: Sequence[Row],
    *,
    all_fires: bool = False,
    told: dict[str, str] | None = None,
    changes: bool = True,
) -> None:
    """A table for people: a line for each with what is to say below it, files as headings. `told` are other
    words for actions; `changes` shows what an import changes; `all_fires` also those after the next.
    """
    words = {**{action: action for action in _COUNTED}, **(told or {})}
    lines = [str(line_of(row.where) or "") for row in rows]
    nexts = [_next(row) for row in rows]
    widths = _Widths(
        line=max(map(len, lines), default=0),
        action=max((len(words[row.action]) for row in rows), default=0),
        name=max((cell_len(row.name) for row in rows), default=0),
        schedule=max((cell_len(row.schedule) for row in rows), default=0),
        next=max(map(cell_len, nexts), default=0),
        whole=out.width,
    )
    told_rows = zip(rows, lines, nexts, strict=True)
    for file, group in groupby(told_rows, lambda item: _heading(item[0])):
        if file:
            out.print(Text(file, style="bold"), soft_wrap=True)
        for row, number, coming in group:
            _print_row(out, row, widths, number, words[row.action], coming)
            _print_below(out, row, all_fires, changes)


class _Widths:
    """The columns: what does not fit is cut of schedules, and wrapped of names."""

    def __init__(self, *, line: int, action: int, name: int, schedule: int, next: int, whole: int) -> None:
        self.line, self.action, self.next = line, action, next
        left = whole - line - action - next - (5 if line else 4) * len(_GAP)
        self.schedule = (
            min(schedule, max(_WIDEST_SCHEDULE, left - name)) if name + schedule > left else schedule
        )
        self.name = max(1, min(name, max(_NARROWEST_NAME, left - self.schedule)))


def _heading(row: Row) -> str:
    """The file; nothing where what it comes from has no lines, and its name says enough."""
    if row.action == "remove":
        return f"{row.where} (no longer in it)"
    if row.action == "left":
        return f"{row.where} (not in it as it was)"
    return file_of(row.where) if line_of(row.where) else ""


def _print_row(out: Console, row: Row, widths: _Widths, line: str, action: str, coming: str) -> None:
    names = textwrap.wrap(row.name, widths.name) or [""]
    if row.action == "refused" and not row.name:
        # the reason stands below; a place without a line has to be told
        names = [""] if line else [row.where]
    head = Text(_GAP)
    if widths.line:
        head.append(f"{line:>{widths.line}}{_GAP}")
    before = head.cell_len + widths.action + len(_GAP)
    head.append(f"{action:<{widths.action}}", style=_STYLES[row.action]).append(_GAP)
    schedule = row.schedule
    if cell_len(schedule) > widths.schedule:
        schedule = set_cell_size(schedule, widths.schedule - 1) + "…"
    head.append(_padded(names[0], widths.name)).append(_GAP)
    head.append(_padded(schedule, widths.schedule)).append(_GAP).append(coming)
    head.rstrip()
    out.print(head, soft_wrap=True)
    for rest in names[1:]:
        out.print(Text(" " * before + rest), soft_wrap=True)


def _print_below(out: Console, row: Row, all_fires: bool, changes: bool) -> None:
    if row.problem:
        # with its column, and as an editor takes it
        place = f"{row.where}: " if line_of(row.where) else ""
        print_hanging(out, Text(f"{_BELOW}✗ ", style="bold red"), Text(f"{place}{row.problem}"))
    if all_fires and len(row.next_fires) > 1:
        zone = zone_of(row.timezone)
        later = ", ".join(with_weekday(fire, zone) for fire in row.next_fires[1:])
        print_hanging(out, Text(f"{_BELOW}then ", style="dim"), Text(later, style="dim"))
    if changes and row.action == "change":
        for key, (old, new) in row.changes.items():
            print_hanging(out, Text(f"{_BELOW}{key}: "), Text(f"{_value(old)} → {_value(new)}"))
    for warning in row.warnings:
        print_hanging(out, Text(f"{_BELOW}! ", style="yellow"), Text(warning, style="yellow"))


def _next(row: Row) -> str:
    if not row.enabled:
        return "off"
    if not row.next_fires:
        return NONE if row.action != "refused" else ""
    return zoned(row.next_fires[0], zone_of(row.timezone))


def _value(value: Any) -> str:
    text = plain_value(value)
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _count(rows: Iterable[Row], action: str) -> int:
    return sum(row.action == action for row in rows)


def _print_notes(state: State, notes: Iterable[str]) -> None:
    for note in notes:
        print_hanging(state.err, Text(), Text(note, style="yellow"))
