"""The two crons whose files are read, and where they differ but for their grammar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cron = Literal["debian", "cronie"]
Form = Literal["user", "system"]

#: How messages call them.
CALLED = {"debian": "Debian's cron", "cronie": "cronie"}

#: What may follow an `@`, in both; only in small letters.
NICKNAMES = ("reboot", "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes. Of an assignment the rest is cut off; a longer command or number is refused."""

    assignment: int
    command: int
    number: int
    #: An assignment or entry below this line makes Debian's cron ignore the file.
    last_line: int | None


LIMITS = {
    "debian": Limits(assignment=998, command=998, number=999, last_line=10_003),
    "cronie": Limits(assignment=131_071, command=131_071, number=131_071, last_line=None),
}


def size(text: str) -> int:
    """In bytes, as the file has them."""
    return len(text.encode("utf-8", "surrogateescape"))
