"""What the shell gets of a line's command, and what it reads."""

from __future__ import annotations

from beatd.migrate.crontab.crons import Cron


def split_command(text: str, cron: Cron) -> tuple[str, str | None]:
    """A command at its first `%`: what the shell runs, and its standard input, where further ones are
    newlines. `\\%` is a percent sign; in the command, Debian's cron takes `\\\\` for one backslash too.
    """
    dropped = "%\\" if cron == "debian" else "%"
    command, position = "", 0
    while position < len(text) and text[position] != "%":
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            character = text[position] if text[position] in dropped else "\\" + text[position]
        command += character
        position += 1
    if position == len(text):
        return command, None
    return command, _input(text[position + 1 :])


def _input(text: str) -> str:
    """In input `\\\\` stays as it is, and a backslash behind another one still escapes a `%`."""
    written, escaped, ended = "", False, True
    for character in text:
        if escaped and character != "%":
            written += "\\"
        is_newline = character == "%" and not escaped
        escaped = character == "\\"
        if not escaped:
            written += "\n" if is_newline else character
            ended = is_newline
    if escaped:
        written += "\\"
    return written if ended else written + "\n"
