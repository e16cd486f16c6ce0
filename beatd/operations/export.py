"""Entries and calendars as TOML: what `apply` reads. Applying an export changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tomlkit

from beatd.operations import calendars, entries
from beatd.operations.calendars import Calendar
from beatd.operations.context import Context
from beatd.operations.entries import Entry

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def exported(context: Context, patterns: Sequence[str] = ()) -> tuple[list[Entry], list[Calendar]]:
    """The entries of these names or globs with the calendars that they name; all of both without any."""
    found = entries.find(context, patterns)
    named = {entry.options.get("calendar") for entry in found}
    known = calendars.find(context)
    return found, [calendar for calendar in known if not patterns or calendar.name in named]


def toml(found: Iterable[Entry], named: Iterable[Calendar] = ()) -> str:
    """An entries file with one table for each, in the order given, calendars first."""
    tables = [_table("calendar", calendar.name, calendar.options) for calendar in named]
    return "\n".join([*tables, *(_table("entry", entry.name, entry.options) for entry in found)])


def _table(kind: str, name: str, options: Mapping[str, Any]) -> str:
    lines = [f"[{kind}.{_key(name)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else _string(text)


def _value(value: Any) -> str:
    if _holds_null(value):
        # TOML has no null; a JSON text is taken as well
        return _string(json.dumps(value, ensure_ascii=False))
    return _inline(value)


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


def _holds_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None
