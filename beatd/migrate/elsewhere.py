"""What is in the database and does not come from what is imported: whose names are taken, and what would
run beside what is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from beatd.operations.options import SCHEDULE_OPTIONS, TASK_OPTIONS, options_of
from beatd.store.entries import StoredEntry

_DOES = sorted({*SCHEDULE_OPTIONS, *TASK_OPTIONS, "queue"})


class Elsewhere:
    """`taken` are the names of what was imported, whatever from: what is new is called otherwise. `by_hand`
    are those of others: that they mean the same is for a person to say. `again` are those that are imported
    again.
    """

    def __init__(self, there: Iterable[StoredEntry], again: Iterable[int]) -> None:
        known = frozenset(again)
        entries = list(there)
        self.taken = {entry.name for entry in entries if entry.origin}
        self.by_hand = {entry.name for entry in entries if not entry.origin}
        self._does = {_does(entry.columns): entry for entry in reversed(entries) if entry.id not in known}

    def same(self, columns: Mapping[str, Any]) -> StoredEntry | None:
        """One that does the same at the same times."""
        return self._does.get(_does(columns))


def told(entry: StoredEntry) -> str:
    """The entry, and where it comes from."""
    source = f"from {entry.origin.source}" if entry.origin else "made by hand"
    return f"{entry.name} ({source})"


def _does(columns: Mapping[str, Any]) -> str:
    options = options_of(columns)
    return json.dumps([options.get(option) for option in _DOES], sort_keys=True, default=str)
