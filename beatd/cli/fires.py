"""How coming fires look, and how they change by an edit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from itertools import zip_longest

from rich.console import Console
from rich.text import Text

from beatd.cli.output import print_hanging, span_text
from beatd.cli.times import zone_of, zoned
from beatd.operations.previews import Fire, FiresChange, Outlook

_INDENT = "    "

#: Entries whose change is shown.
_MOST = 10

_STYLES = {"same": "", "gone": "red", "new": "green"}


def print_outlook(out: Console, outlook: Outlook) -> None:
    """When an entry fires, below what was said of it."""
    print_hanging(out, Text(_INDENT), Text(outlook.sentence))
    for fire in outlook.fires:
        out.print(Text(f"{_INDENT}{_at(fire, zone_of(outlook.timezone))}"), soft_wrap=True)


def print_fires_change(out: Console, change: FiresChange, name: str = "") -> None:
    """The rule and the next fires before and after; `name` goes before the rule."""
    before, after = change.before, change.after
    if before is None:
        return print_outlook(out, after)
    if before.sentence == after.sentence:
        print_hanging(out, Text(_INDENT), Text(f"{name}{after.sentence}"))
    else:
        if name:
            out.print(Text(f"{_INDENT}{name}".rstrip()))
        print_hanging(out, Text(f"{_INDENT}- ", style="red"), Text(before.sentence))
        print_hanging(out, Text(f"{_INDENT}+ ", style="green"), Text(after.sentence))
    if before.fires != after.fires:
        _print_both(out, before, after)
    elif after.fires:
        _print_later(out, change)
    return None


def print_all_fires(
    out: Console, changes: Sequence[FiresChange], *, whole: bool = True, named: bool = True
) -> None:
    """How the fires of several entries change, with their names or without; in one line each but for
    `whole`, and not of very many.
    """
    for change in changes[:_MOST]:
        if whole:
            print_fires_change(out, change, f"{change.entry}: " if named else "")
        else:
            name = f"{change.entry}: " if named else ""
            out.print(Text(f"{_INDENT}{name}{_next_change(change)}"), soft_wrap=True)
    if len(changes) > _MOST:
        out.print(f"{_INDENT}… and {len(changes) - _MOST} more entries")


def _next_change(change: FiresChange) -> str:
    if change.later:
        fire = change.later[0]
        return f"first change {_at(fire, zone_of(change.after.timezone))} {fire.mark}"
    old, new = (
        _at(outlook.fires[0], zone_of(outlook.timezone)) if outlook and outlook.fires else "not known"
        for outlook in (change.before, change.after)
    )
    return f"next fire {new}" if old == new else f"next fire {old} → {new}"


def _print_both(out: Console, before: Outlook, after: Outlook) -> None:
    """Side by side; where the terminal is too narrow for that, below each other."""
    old = [_cell(fire, zone_of(before.timezone)) for fire in before.fires]
    new = [_cell(fire, zone_of(after.timezone)) for fire in after.fires]
    indent = Text(f"{_INDENT}  ")
    width = max((cell.cell_len for cell in old), default=-2) + 2
    widest = max((cell.cell_len for cell in new), default=0)
    if indent.cell_len + width + widest > out.width:
        for cell in (*old, *new):
            out.print(Text.assemble(indent, cell), soft_wrap=True)
        return
    for left, right in zip_longest(old, new):
        line = Text.assemble(indent, left or "")
        if right:
            line.append(" " * (indent.cell_len + width - line.cell_len)).append_text(right)
        out.print(line, soft_wrap=True)


def _print_later(out: Console, change: FiresChange) -> None:
    same = "the next fires stay the same"
    out.print(Text(f"{_INDENT}  {same}{'; the first that change:' if change.later else ''}"))
    for fire in change.later:
        cell = _cell(fire, zone_of(change.after.timezone))
        out.print(Text.assemble(f"{_INDENT}  ", cell), soft_wrap=True)


def _cell(fire: Fire, zone: tzinfo) -> Text:
    mark = "" if fire.mark == "same" else f" {fire.mark}"
    return Text(f"{_at(fire, zone)}{mark}", style=_STYLES[fire.mark])


def _at(fire: Fire, zone: tzinfo) -> str:
    """`Sun 2026-03-29 03:00 CEST +2m`, the jitter behind it."""
    jitter = fire.due_time - fire.fire_time
    behind = f" +{span_text(jitter)}" if jitter else ""
    return f"{fire.fire_time.astimezone(zone):%a} {zoned(fire.fire_time, zone)}{behind}"
