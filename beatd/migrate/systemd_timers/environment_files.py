"""Files of `EnvironmentFile=`: `NAME=value` lines with a shell's quotes, but nothing else of it
(systemd.exec(5))."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_environment(text: str) -> dict[str, str]:
    """What is set; lines that set nothing are passed over, as systemd does."""
    found = {}
    at = 0
    while at < len(text):
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if text[at : at + 1] in ("#", ";"):
            at = _end_of_comment(text, at)
            continue
        end = at
        while end < len(text) and text[end] not in "=\n":
            end += 1
        name = text[at:end].rstrip(" \t\r")
        if text[end : end + 1] != "=":
            at = end
            continue
        value, at = _value(text, end + 1)
        if _NAME.fullmatch(name):
            found[name] = value
    return found


def _end_of_comment(text: str, at: int) -> int:
    """A backslash at the end continues a comment as well."""
    while at < len(text) and text[at] != "\n":
        at += 2 if text[at] == "\\" else 1
    return at


def _value(text: str, at: int) -> tuple[str, int]:
    """The value from here on, and where its line ends. A quote counts where only blanks and other quoted
    parts stand before it; blanks around quotes and at the end do not."""
    found: list[str] = []
    kept, fresh = 0, True
    while at < len(text) and text[at] not in "\r\n":
        sign = text[at]
        if fresh and sign in " \t":
            at += 1
        elif fresh and sign in "\"'":
            part, at = _quoted(text, at)
            found += part
            kept = len(found)
        elif sign == "\\":
            fresh = False
            if text[at + 1 : at + 2] not in ("\n", ""):
                found.append(text[at + 1])
                kept = len(found)
            at += 2
        else:
            fresh = False
            found.append(sign)
            kept = len(found) if sign not in " \t" else kept
            at += 1
    return "".join(found[:kept]), at


def _quoted(text: str, at: int) -> tuple[list[str], int]:
    quote, found = text[at], []
    at += 1
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and quote == '"':
            at += 1
            following = text[at : at + 1]
            if following not in ('"', "\\", "`", "$", "\n"):
                found.append("\\")
            if following != "\n":
                found.append(following)
        else:
            found.append(text[at])
        at += 1
    return found, at + 1
