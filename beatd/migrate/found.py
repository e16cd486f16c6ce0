"""What every source of schedules gives: what would run here, and what cannot be carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from beatd.errors import FieldError
from beatd.store.origins import Origin as Origin

#: A kind of source and the one among them, as origins have them.
Source = tuple[str, str]


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

    `keys` are of sources whose places are keys, which say what is the same: all that are there, those too of
    what is refused. `exported` are sources that beatd wrote itself: what is in them may well be here.
    """

    found: tuple[Found, ...] = ()
    refused: tuple[FieldError, ...] = ()
    notes: tuple[str, ...] = ()
    keys: Mapping[Source, frozenset[str]] = field(default_factory=dict)
    exported: frozenset[Source] = frozenset()

    def __add__(self, other: Reading) -> Reading:
        sources = [*self.keys, *other.keys]
        return Reading(
            self.found + other.found,
            self.refused + other.refused,
            self.notes + other.notes,
            {one: self.keys.get(one, frozenset()) | other.keys.get(one, frozenset()) for one in sources},
            self.exported | other.exported,
        )
