"""The lines of a crontab: what each is to the cron whose file it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from beatd.errors import FieldError

Kind = Literal["entry", "environment", "comment", "blank", "refused"]
Form = Literal["user", "system"]
Cron = Literal["debian", "cronie"]

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line.

    `schedule` is what beatd understands, its fields joined by single blanks (`0 5 * * 1`, `@daily`,
    `@every 5m`): as written, but where an equal text had to stand for it, which a warning then says. `command`
    and `stdin` are what the shell gets. `environment` is what the file set above the line, without any
    default; `timezone` is the zone where the file set one and its cron honours it, None for the machine's.
    A refused line has a `reason`. `never_ran` says why cron itself has not run it either. Bytes that are not
    UTF-8 are lone surrogates.
    """

    number: int
    kind: Kind
    source: str
    schedule: str | None = None
    command: str | None = None
    stdin: str | None = None
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    assignment: tuple[str, str] | None = None
    timezone: str | None = None
    random_delay: int | None = None
    quiet: bool = False
    comment: str | None = None
    reason: FieldError | None = None
    warnings: tuple[str, ...] = ()
    never_ran: str | None = None


@dataclass(frozen=True, slots=True)
class Crontab:
    """A file, with one line for each physical line; `notes` concern it as a whole."""

    path: str
    form: Form
    cron: Cron
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def read(
    data: bytes, path: str, *, form: Form | None = None, cron: Cron = "debian", dialect: str | None = None
) -> Crontab:
    """What a crontab says, line by line; whatever the bytes are, nothing is raised.

    `path` is how messages call the file, and with the content it tells a user's from a system's, which has a
    user in each line, where `form` does not. `dialect` takes lines that were written for another scheduler.
    """
    raise NotImplementedError
