"""How a command and an assignment have to be written, so that cron reads them as they are."""

from __future__ import annotations

import re

from beatd.migrate.crontab.crons import Cron

_BLANKS = " \t\n\v\f\r"
_BACKSLASHES = re.compile(r"(\\+)(%?)")


def command_text(command: str, stdin: str | None, cron: Cron) -> str:
    """The last part of a line. What no line can say comes back otherwise: read it and compare."""
    text = _escaped(command, cron, at_end=stdin is None)
    return text if stdin is None else f"{text}%{_input(stdin)}"


def assignment(name: str, value: str) -> str:
    """A line that sets a variable. What no line can say comes back otherwise: read it and compare."""
    plain = name and not set(name) & set(_BLANKS + "=") and name[0] not in "\"'#"
    return f"{name if plain else _in_quotes(name)}={_value(value)}"


def _escaped(command: str, cron: Cron, *, at_end: bool) -> str:
    if cron == "cronie":
        return command.replace("%", r"\%")

    def doubled(found: re.Match[str]) -> str:
        last = not at_end and found.end() == len(command)
        backslashes = found[1] * (2 if len(found[1]) > 1 or found[2] or last else 1)
        return backslashes + found[2]

    return _BACKSLASHES.sub(doubled, command).replace("%", r"\%")


def _input(stdin: str) -> str:
    """cron ends input by a newline where there is none."""
    if stdin.endswith("\n") and stdin.rstrip("\n") == stdin[:-1] != "":
        stdin = stdin[:-1]
    return stdin.replace("%", r"\%").replace("\n", "%")


def _value(value: str) -> str:
    if value and value[0] not in _BLANKS + "'\"" and value[-1] not in _BLANKS:
        return value
    return _in_quotes(value)


def _in_quotes(text: str) -> str:
    quote = "'" if '"' in text else '"'
    return f"{quote}{text}{quote}"
