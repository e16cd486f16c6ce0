"""Lines with a byte 0, which ends a string to the crons: a variable, a command, a user, but no time field."""

from __future__ import annotations

import re
from collections.abc import Iterator

from beatd.migrate.crontab.assignments import read_assignment
from beatd.migrate.crontab.crons import Cron
from beatd.migrate.crontab.fields import RefusedByCronError, after_blanks, take_fields


def parts(text: str, cron: Cron) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """What the cron reads of a line one after the other: entries, and those that assign, with what."""
    while (text := text[after_blanks(text, 0) :]) and not text.startswith("#"):
        before, _, behind = text.partition("\0")
        assignment = read_assignment(before, cron)
        if assignment is None:
            end = text.find("\0", _command(text, cron))
            before, behind = (text[:end], text[end + 1 :]) if end >= 0 else (text, "")
            before = before.replace("\0", " " if text.startswith("@") else "\1")
        yield before, assignment
        text = behind


def _command(text: str, cron: Cron) -> int:
    """Where it begins; before it a byte 0 is one of a field, of which Debian's cron passes over the end."""
    if text.startswith("@"):
        return len(re.split("[ \t\0]", text, maxsplit=1)[0]) + (cron == "cronie")
    try:
        return take_fields(text, 0, cron)[1]
    except RefusedByCronError:
        return len(text)
