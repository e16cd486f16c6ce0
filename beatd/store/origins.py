"""The SQL of origins: where entries were imported from, and with what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from beatd.store.models import entries, origins

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry comes from. It is kept beside the entry, so that importing again finds it.

    `kind` names the sort of source (`crontab`, `celery`, `systemd`, …), `source` the one among them: a file
    with its whole path, an app, a database without its password. `place` is the line, unit or key in it, and
    `text` what stands there; bytes that are not UTF-8 are lone surrogates, as of `surrogateescape`.
    """

    kind: str
    source: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Imported(Origin):
    """The origin of an entry, and when it was last imported otherwise than before."""

    imported_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """The origin of an entry as it is kept. `options` are those that it was imported with, its `name` too,
    whatever became of the entry since.
    """

    entry_id: int
    origin: Origin
    options: Mapping[str, Any]
    imported_at: datetime


def of_sources(transaction: Connection, sources: Collection[tuple[str, str]]) -> dict[int, Kept]:
    """Those of the entries that are there and come from these sources, each a kind and its source; by id,
    in the order in which the entries were made.
    """
    found: dict[int, Kept] = {}
    wanted = set(sources)
    for kind in sorted({kind for kind, _ in wanted}):
        query = select(*origins.columns).join(entries, entries.c.id == origins.c.entry_id)
        query = query.where(origins.c.kind == kind).order_by(origins.c.entry_id)
        named = sorted(source for of, source in wanted if of == kind)
        for start in range(0, len(named), _AT_ONCE):
            some = named[start : start + _AT_ONCE]
            found |= _by_id(transaction.execute(query.where(origins.c.source.in_(some))))
    # a database may take letters of either case for the same
    return {id_: kept for id_, kept in found.items() if (kept.origin.kind, kept.origin.source) in wanted}


def put(
    transaction: Connection, kept: Sequence[tuple[int, Origin, Mapping[str, Any]]], now: datetime
) -> None:
    """Writes what entries were imported from, in place of what was known of them."""
    if not kept:
        return
    transaction.execute(
        delete(origins).where(origins.c.entry_id == bindparam("b_id")), [{"b_id": id_} for id_, _, _ in kept]
    )
    rows = [
        {
            "entry_id": id_,
            "kind": origin.kind,
            "source": origin.source,
            "place": origin.place,
            "text": origin.text,
            "options": dict(options),
            "imported_at": now,
        }
        for id_, origin, options in kept
    ]
    transaction.execute(insert(origins), rows)


def _by_id(rows: Any) -> dict[int, Kept]:
    return {
        row.entry_id: Kept(
            row.entry_id, Origin(row.kind, row.source, row.place, row.text), row.options, row.imported_at
        )
        for row in rows
    }
