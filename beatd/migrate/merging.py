"""What an entry that was imported becomes when it is imported again: what the source changed since, and what
people changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beatd.operations.options import (
    OPTIONS,
    SCHEDULE_OPTIONS,
    TASK_OPTIONS,
    Options,
    Written,
    changed_columns,
    options_of,
    same_value,
)
from beatd.planning.timing import KINDS

_KNOWN = frozenset(OPTIONS)
_KINDS_OF_TASK = ("shell", "http", "task")


@dataclass(frozen=True, slots=True)
class Merged:
    """The columns that an entry gets. `warnings` tell what was kept, and what was not."""

    written: Written
    warnings: tuple[str, ...]


def merge(columns: Mapping[str, Any], imported: Options, wanted: Options) -> Merged:
    """`imported` are the options that the entry had by its source when it was last imported, `wanted` those
    that it has by it now, both as `options_of` gives them.

    What the source changed is taken over, and what people changed here is kept; of what both changed the
    source's holds.
    """
    here = options_of(columns)
    by_source = _differing(imported, wanted)
    by_people = _differing(imported, here)
    for group, kinds in ((SCHEDULE_OPTIONS, KINDS), (TASK_OPTIONS, _KINDS_OF_TASK)):
        # what belongs to a kind means nothing beside another
        if by_source & group and any((key in here) != (key in wanted) for key in kinds):
            by_source |= group
    delta = {key: wanted.get(key) for key in OPTIONS if key in by_source}
    written = changed_columns(columns, delta) if delta else Written(columns)
    after = options_of(written.columns) if delta else here
    overruled = by_source & by_people & _differing(here, after)
    both = [key for key in OPTIONS if key in overruled]
    different = by_people & _differing(after, wanted)
    kept = [key for key in OPTIONS if key in different]
    warnings = [f"{key} was edited here, too: the source's holds" for key in both]
    if kept:
        warnings.append(f"kept: {', '.join(kept)} {'was' if len(kept) == 1 else 'were'} edited here")
    return Merged(written, tuple(warnings))


def _differing(one: Options, other: Options) -> set[str]:
    named = one.keys() | other.keys()
    return {key for key in named if key in _KNOWN and not same_value(one.get(key), other.get(key))}
