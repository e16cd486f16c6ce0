"""What every source of schedules gives: what would run here, and what cannot be carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beatd.errors import FieldError
from beatd.store.origins import Origin as Origin


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that the source runs, as the options of the entry that does the same.

    `names` are what the entry may be called, best first, each a readable text from which a name is made.
    `where` is its place as messages have it, `file:line`. `warnings` are for the person: what is carried over
    as it is and is probably not what was meant.
    """

    origin: Origin
    where: str
    names: tuple[str, ...]
    options: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one or more sources, in their order. `refused` are things that cannot be carried over
    exactly: `where` is `file:line` or `file:line:column`, the problem says why, and the example what a person
    could write instead. `notes` concern a source as a whole.
    """

    found: tuple[Found, ...] = ()
    refused: tuple[FieldError, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Reading) -> Reading:
        return Reading(self.found + other.found, self.refused + other.refused, self.notes + other.notes)
