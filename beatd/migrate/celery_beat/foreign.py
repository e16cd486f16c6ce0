"""Two projects may be called the same, and share a database: neither may take the other's entries for its own
that vanished.
"""

from __future__ import annotations

from collections.abc import Collection

from beatd.broker.periodic import CLEANUP
from beatd.errors import FieldError, InvalidInput
from beatd.migrate.found import Reading, Source
from beatd.operations.context import Context
from beatd.store import entries, origins
from beatd.store.origins import Kept

_NAMED = 5


def refuse_foreign(context: Context, reading: Reading, sources: Collection[Source]) -> None:
    """Before a prune. Raises InvalidInput where of all entries of a source none is known in it, by its
    key or by the task that it runs. What beat adds to every app says nothing.
    """
    tasks = {str(found.options.get("task")) for found in reading.found}
    findings = []
    with context.database.read() as transaction:
        for source in sorted(set(sources)):
            kept = origins.of_sources(transaction, [source])
            keys = reading.keys.get(source, frozenset())
            own = {id_: one for id_, one in kept.items() if one.origin.place != CLEANUP}
            if own and not any(_is_known(one, keys, tasks) for one in own.values()):
                names = sorted(entry.name for entry in entries.find_ids(transaction, own).values())
                findings.append(_finding(source, names))
    if findings:
        raise InvalidInput(findings)


def _is_known(kept: Kept, keys: Collection[str], tasks: Collection[str]) -> bool:
    return kept.origin.place in keys or kept.options.get("task") in tasks


def _finding(source: Source, names: list[str]) -> FieldError:
    some = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    problem = (
        f"none of the entries that came from it ({some}) is in it any more, so it may be another project "
        "of the same name: nothing was removed; give each project a database of its own, or remove them"
    )
    return FieldError("source", source[1], problem, example=f"beatd entry remove {names[0]}")
