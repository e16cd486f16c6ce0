"""What is known of a crontab and of each of its lines once they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from beatd.errors import FieldError
from beatd.migrate.crontab.crons import Cron, Form

Kind = Literal["entry", "environment", "comment", "blank", "refused"]

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line.

    `schedule` is what beatd understands, its fields joined by single blanks (`0 5 * * 1`, `@daily`,
    `@every 5m`): as written, but where an equal text had to stand for it, which a warning says. `command`
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
