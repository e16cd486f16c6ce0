"""How results look: one JSON document, or tables and times that people read."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# what everything that prints takes from here
from beatd.durations import span_text as span_text
from beatd.planning.wording import first_line as first_line
from beatd.planning.wording import said_by as said_by

if TYPE_CHECKING:
    from beatd.operations.health import Finding

#: The option of every command that reads: `json: JsonOption = False`.
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_SURROGATE = re.compile("[\ud800-\udfff]")

_STATE_STYLES = {
    "succeeded": "green",
    "failed": "bold red",
    "lost": "bold red",
    "revoked": "yellow",
    "expired": "yellow",
    "shadow": "magenta",
    "retrying": "yellow",
    "started": "cyan",
    "pending": "blue",
    "published": "blue",
    "held": "blue",
    # entries and findings
    "active": "green",
    "paused": "yellow",
    "completed": "dim",
    "broken": "bold red",
    "ok": "green",
    "warning": "yellow",
    "problem": "bold red",
}

_MARKS = {
    "ok": Text("✓", style="green"),
    "warning": Text("!", style="bold yellow"),
    "problem": Text("✗", style="bold red"),
}


def print_json(document: object) -> None:
    """One document on stdout. Instants are ISO texts in UTC, durations seconds; dataclasses are objects."""
    sys.stdout.write(json_text(document, indent=2) + "\n")


def json_text(document: object, indent: int | None = None) -> str:
    """JSON that stdout can take. Bytes that are not UTF-8 are `\\udcff`, as JSON says them."""
    as_ascii = (sys.stdout.encoding or "utf-8").lower() != "utf-8"
    text = json.dumps(plain(document), indent=indent, ensure_ascii=as_ascii)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(value: object) -> Any:
    """`value` as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [plain(inner) for inner in value]
    return str(value)


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """An empty table. Columns in `right` hold numbers; those in `whole` are never wrapped or cut."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name in whole,
            overflow="fold",
        )
    return made


def print_hanging(out: Console, head: Text, body: Text) -> None:
    """`body` beside `head`, and where the terminal is too narrow for it, below itself."""
    for line in body.wrap(out, max(20, out.width - head.cell_len), overflow="fold"):
        line.rstrip()
        out.print(Text.assemble(head, line), soft_wrap=True)
        head = Text(" " * head.cell_len)


def print_findings(out: Console, findings: Iterable[Finding]) -> None:
    """One line a finding, what to do about it below."""
    for finding in findings:
        print_hanging(out, Text.assemble(_MARKS[finding.level], f" {finding.check:<13} "), Text(finding.text))
        if finding.hint:
            print_hanging(out, Text(" " * 16 + "-> ", style="dim"), Text(finding.hint, style="dim"))


def styled(state: str) -> Text:
    """The word for a state, in its colour."""
    return Text(state, style=_STATE_STYLES.get(state, ""))


def ago(span: timedelta) -> str:
    """`3s ago`, `in 2h`: how far a past (positive) or coming instant is from now."""
    return f"in {span_text(-span)}" if span < timedelta(0) else f"{span_text(span)} ago"
