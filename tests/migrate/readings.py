"""Sources for tests: a few lines, each a schedule and a command, a comment above which names it."""

from __future__ import annotations

from typing import Any

from beatd.migrate.found import Found, Origin, Reading

ETC = "/etc/jobs"


def found(line: str, *, number: int = 1, comment: str | None = None, source: str = ETC, **more: Any) -> Found:
    """`0 5 * * * backup --all`: five fields, or an `@`-name, and a command."""
    fields = line.split(" ")
    many = 1 if line.startswith("@") else 5
    command = " ".join(fields[many:])
    options = {"cron": " ".join(fields[:many]), "shell": command, "timezone": "UTC", **more}
    names = (comment, command) if comment else (command,)
    return Found(Origin("lines", source, str(number), line), f"{source}:{number}", names, options)


def reading(text: str, *, source: str = ETC, **more: Any) -> Reading:
    """Of a text with a line for each; what begins with `#` is the comment of the line below."""
    items, comment = [], None
    for number, line in enumerate(map(str.strip, text.strip().splitlines()), 1):
        if line.startswith("#"):
            comment = line.strip("# ")
        elif line:
            items.append(found(line, number=number, comment=comment, source=source, **more))
            comment = None
    return Reading(tuple(items))
