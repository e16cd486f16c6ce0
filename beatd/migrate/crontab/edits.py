"""What of an entry is no longer as the line that it came from has it: edited here, or in the file since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from beatd.migrate.crontab.users import user_of
from beatd.operations.options import (
    OPTIONS,
    TASK_OPTIONS,
    TIMING_COLUMNS,
    Options,
    new_columns,
    options_of,
    same_value,
)
from beatd.store.origins import Kept

#: What runs, or as whom; when it is due; and what may stop a fire, delay it, or follow it.
Kind = Literal["what", "when", "how"]

_WHAT = TASK_OPTIONS - {"expected_exit_status"}
_WHEN = TIMING_COLUMNS - {"jitter"}

#: What nobody who compares fires needs to be told, or is counted.
_PASSED_OVER = frozenset({"description", "enabled", "paused_until", "pause_note", "max_runs"})

#: What a line, and what the file sets above it, says by itself, however it was imported.
_OF_LINE = ("shell", "stdin", "env", "environment", "mailto", "jitter")

_CALLED = {"shell": "the command", "env": "its environment", "stdin": "its standard input"}


@dataclass(frozen=True, slots=True)
class Edit:
    """An option that differs. `text` tells it to people, without what may be secret."""

    option: str
    kind: Kind
    text: str


def edits_of(columns: Mapping[str, Any], kept: Kept, in_file: Options | None) -> tuple[Edit, ...]:
    """`columns` are the entry's now, `in_file` the options that its line would be imported with now; None
    where it has none of its own.
    """
    here, imported = options_of(columns), kept.options
    wanted = dict(imported)
    if in_file is not None and " " not in kept.origin.place:
        now = options_of(new_columns("any", in_file).columns)
        of_line = (*_OF_LINE, "queue") if user_of(now.get("queue")) else _OF_LINE
        wanted |= {key: now.get(key) for key in of_line}
    return tuple(_edits(here, imported, wanted))


def _edits(here: Options, imported: Options, wanted: Options) -> Iterator[Edit]:
    for key in OPTIONS:
        value = here.get(key)
        if key in _PASSED_OVER or same_value(value, wanted.get(key)):
            continue
        called = _CALLED.get(key, key)
        if same_value(value, imported.get(key)):
            text = f"{called} has changed in the file since it was imported"
        elif value is None:
            text = f"{called} was unset here"
        elif key in TASK_OPTIONS or isinstance(value, dict):
            text = f"{called} was edited here"
        else:
            text = f"{called} was edited here: {value}"
        yield Edit(key, _kind(key, value, wanted.get(key)), text)


def _kind(key: str, value: Any, wanted: Any) -> Kind:
    """A queue is of what runs where another user's worker takes it."""
    if key in _WHAT or (key == "queue" and user_of(value) != user_of(wanted)):
        return "what"
    return "when" if key in _WHEN else "how"
