"""Lines that set a variable, with the crons' own rules of quoting."""

from __future__ import annotations

import re

from beatd.migrate.crontab.crons import LIMITS, Cron

#: What the crons take for a blank here, in the C locale.
_BLANKS = " \t\n\v\f\r"

_NAME = re.compile(
    rf"""(?: "(?P<double>[^"=]*)" | '(?P<single>[^'=]*)' | (?P<plain>[^"'={_BLANKS}][^={_BLANKS}]*|) )
         [{_BLANKS}]*=[{_BLANKS}]*""",
    re.VERBOSE,
)
_QUOTED = re.compile(rf"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')[{_BLANKS}]*""")


def read_assignment(text: str, cron: Cron) -> tuple[str, str] | None:
    """Name and value, or None where the cron takes the line for an entry. `text` begins at the line's first
    character that is no blank.

    A quote counts only where the name or the value begins with it, and nothing may follow a quoted value;
    `$` means nothing. Without quotes blanks at the end go. To Debian's cron, `NAME=` alone is no assignment.
    """
    text = _cut(text, LIMITS[cron].assignment)
    name = _NAME.match(text)
    if name is None:
        return None
    value = _value(text[name.end() :], cron)
    return None if value is None else (name["double"] or name["single"] or name["plain"] or "", value)


def _value(text: str, cron: Cron) -> str | None:
    if not text:
        return "" if cron == "cronie" else None
    if text[0] in "\"'":
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            return None
        value = quoted["double"] or quoted["single"] or ""
    else:
        value = text.rstrip(_BLANKS)
    return _once_more(value) if cron == "debian" else value


def _once_more(value: str) -> str:
    """Debian's cron looks at a value for quotes a second time, whatever they were within."""
    value = value.rstrip(_BLANKS)
    if len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]:
        return value[1:-1]
    return value


def _cut(text: str, most: int) -> str:
    if len(text) <= most // 4:
        return text
    return text.encode("utf-8", "surrogateescape")[:most].decode("utf-8", "surrogateescape")
