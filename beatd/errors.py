"""All errors of beatd: one tree. The text of an error lives in its class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class BeatdError(Exception):
    """Something went wrong.

    `permanent` tells whether trying again later, with nothing changed, is pointless.
    """

    permanent = True


#: Characters of a wrong value that an error shows.
_SHOWN = 200


class FieldError(BeatdError):
    """One value that a person gave cannot be used.

    The text is one line: the field, the value, what is wrong or allowed, where it stood, and an
    example that works.
    """

    def __init__(
        self, field: str, value: object, problem: str, *, example: str | None = None, where: str | None = None
    ) -> None:
        super().__init__(field, value, problem)
        self.field = field
        self.value = value
        self.problem = problem
        self.example = example
        self.where = where

    def __str__(self) -> str:
        text = f"{self.field}: {_excerpt(self.value)}: {self.problem}"
        if self.where:
            text = f"{self.where}: {text}"
        if self.example:
            text += f"; for example {self.example!r}"
        return text

    def at(self, where: str) -> FieldError:
        """The same finding, with the place (`file:line`, `entry NAME`) it was found at."""
        return type(self)(self.field, self.value, self.problem, example=self.example, where=where)


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def nearest(name: str, known: Iterable[str], most: int = 1, *, cutoff: float = 0.6) -> list[str]:
    """The known names that may have been meant, the likeliest first; `cutoff`: how like, 1 for equal."""
    return get_close_matches(name, list(known), most, cutoff)


def did_you_mean(near: Sequence[str]) -> str:
    """How the text of an error ends where something else may have been meant."""
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""


class InvalidInput(BeatdError):
    """Input with one finding or more; nothing of it was applied. The text has one line a finding."""

    def __init__(self, findings: Sequence[FieldError]) -> None:
        super().__init__(findings)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class NotFound(BeatdError):
    """No such entry, run, version. `near` holds names that the person may have meant."""

    def __init__(self, kind: str, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name
        self.near = tuple(near)

    def __str__(self) -> str:
        return f"no {self.kind} {self.name!r}{did_you_mean(self.near)}"


class Conflict(BeatdError):
    """The request does not fit the state that was found (a name taken, a run already ended)."""


class DatabaseUnavailable(BeatdError):
    """The database cannot be reached, is locked, or broke off. Waiting can help. Never holds a password."""

    permanent = False


class DatabaseDamaged(DatabaseUnavailable):
    """The database's file is damaged, or another than it was. Waiting does not help, going on may do harm."""

    permanent = True


class TransactionConflict(DatabaseUnavailable):
    """Others held what the transaction wanted (a deadlock, a lock that was not let go); nothing was done.

    Repeating it at once helps, mostly.
    """


class SchemaMismatch(BeatdError):
    """The database's schema is outside the range that this version works with."""


class BrokerUnavailable(BeatdError):
    """The broker cannot be reached, is blocked, or broke off. Waiting can help. Never holds a password."""

    permanent = False


class MessageRefused(BeatdError):
    """The broker or the serializer will never take this message (no such exchange, no queue, too large)."""
