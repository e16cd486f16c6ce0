"""Entries and calendars as TOML: what `apply` reads. Applying an export changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tomlkit

from beatd.operations import calendars, entries
from beatd.operations.calendars import Calendar
from beatd.operations.context import Context
from beatd.operations.entries import Entry
from beatd.operations.options import OPTIONS, SHELL_ARGUMENTS
from beatd.planning.task import SHELL_TASK
from beatd.store.types import json_text

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def exported(context: Context, patterns: Sequence[str] = ()) -> tuple[list[Entry], list[Calendar]]:
    """The entries of these names or globs with the calendars that they name; all of both without any."""
    found = entries.find(context, patterns)
    named = {entry.options.get("calendar") for entry in found}
    known = calendars.find(context)
    return found, [calendar for calendar in known if not patterns or calendar.name in named]


def toml(found: Iterable[Entry], named: Iterable[Calendar] = ()) -> str:
    """An entries file with one table for each, in the order given, calendars first."""
    tables = [table("calendar", calendar.name, calendar.options) for calendar in named]
    return "\n".join([*tables, *(table("entry", entry.name, _sayable(entry.options)) for entry in found)])


def table(kind: str, name: str, options: Mapping[str, Any]) -> str:
    """One table of an entries file."""
    lines = [f"[{kind}.{_key(name)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _sayable(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """TOML has no way to write bytes that are not UTF-8. The arguments of a command that holds some are given
    as what they become, the task's JSON."""
    own = {option: name for option, name in SHELL_ARGUMENTS.items() if option in options}
    if "shell" not in own or not any(_unsayable(options[option]) for option in own):
        return options
    kwargs = {name: options[option] for option, name in own.items()} | options.get("kwargs", {})
    written = {key: value for key, value in options.items() if key not in own}
    written |= {"task": SHELL_TASK, "kwargs": kwargs}
    return {key: written[key] for key in OPTIONS if key in written}


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else _string(text)


def _value(value: Any) -> str:
    # a JSON text is taken as well
    return _string(json_text(value)) if _unsayable(value) else _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_inline(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, str):
        return _string(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _string(text: str) -> str:
    lines = "\n" in text and text.isascii() and all(c.isprintable() or c in "\n\t" for c in text)
    return tomlkit.string(text, multiline=lines).as_string()


def _unsayable(value: Any) -> bool:
    """Whether it holds what TOML has no way to write: null, or bytes that are not UTF-8."""
    if isinstance(value, Mapping):
        return any(map(_unsayable, (*value, *value.values())))
    if isinstance(value, list):
        return any(map(_unsayable, value))
    return value is None or (isinstance(value, str) and bool(_SURROGATE.search(value)))
