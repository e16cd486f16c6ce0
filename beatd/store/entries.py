"""The SQL of entries: read with what their timers say, insert, update, delete.

Validation is the caller's matter. Triggers keep versions; whoever edits here signs the version that a
statement made (`history.sign`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exc, insert, or_, select, update

from beatd.errors import Conflict, FieldError
from beatd.store.models import DEFINITION_COLUMNS, entries, origins, timers
from beatd.store.origins import Imported

#: What callers without SQLAlchemy hand from one function of the store to the next.
Transaction = Connection

#: Columns that an edit may set.
EDITABLE_COLUMNS = tuple(
    name for name in DEFINITION_COLUMNS if name not in ("calendar_changes", "created_at")
)

_ORIGIN = ("kind", "source", "place", "text", "imported_at")
_NAMES_LOOKED_AT = 5000
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Timer:
    """What the dispatcher last planned for an entry."""

    version: int
    state: str
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    error: str | None
    runs_made: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One row of `entries`; `columns` are the editable ones. `timer` is None until a node planned it,
    `origin` where it was not imported.
    """

    id: int
    version: int
    created_at: datetime
    updated_at: datetime
    columns: Mapping[str, Any]
    timer: Timer | None
    origin: Imported | None = None

    @property
    def name(self) -> str:
        return str(self.columns["name"])


def get(transaction: Transaction, name: str, *, lock: bool = False) -> StoredEntry | None:
    """The entry of this name; with `lock` no other edit gets between this and the end of the transaction."""
    if lock:
        _lock(transaction, [name])
    row = transaction.execute(_query().where(entries.c.name == name)).one_or_none()
    return None if row is None else _entry(row)


def find(transaction: Transaction, patterns: Sequence[str] = ()) -> list[StoredEntry]:
    """Entries whose name is, or matches, one of the globs (`*`, `?`, `[…]`); all without any. By name."""
    query = _query().order_by(entries.c.name)
    if patterns:
        query = query.where(or_(*(entries.c.name.like(_prefix(p), escape="\\") for p in patterns)))
    found = (_entry(row) for row in transaction.execute(query))
    return [entry for entry in found if not patterns or any(matches(entry.name, p) for p in patterns)]


def find_named(transaction: Transaction, names: Sequence[str], *, lock: bool = False) -> list[StoredEntry]:
    """Those entries of exactly these names that exist."""
    found: list[StoredEntry] = []
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        if lock:
            _lock(transaction, some)
        found += map(_entry, transaction.execute(_query().where(entries.c.name.in_(some))))
    return found


def find_ids(transaction: Transaction, ids: Collection[int]) -> dict[int, StoredEntry]:
    """Those of them that exist, by id."""
    found: dict[int, StoredEntry] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        query = _query().where(entries.c.id.in_(wanted[start : start + 500]))
        found |= {row.id: _entry(row) for row in transaction.execute(query)}
    return found


def matches(name: str, pattern: str) -> bool:
    """Whether a name is meant by a pattern: a glob, or the name itself, which may hold glob characters."""
    return name == pattern or fnmatchcase(name, pattern)


def names(transaction: Transaction) -> list[str]:
    """Names to suggest from; not all of them where there are very many."""
    query = select(entries.c.name).order_by(entries.c.name).limit(_NAMES_LOOKED_AT)
    return list(transaction.execute(query).scalars())


def add(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts entries. Raises Conflict for a name that is taken, FieldError for a value that does not fit."""
    if not rows:
        return
    complete = [{name: row.get(name) for name in EDITABLE_COLUMNS} for row in rows]
    with _explained(str(rows[0]["name"])):
        transaction.execute(insert(entries), complete)


def change(transaction: Transaction, edits: Sequence[tuple[StoredEntry, Mapping[str, Any]]]) -> None:
    """Sets columns of entries, of those that get the same columns at once. Raises as `add` does."""
    alike: dict[tuple[str, ...], list[tuple[StoredEntry, Mapping[str, Any]]]] = defaultdict(list)
    for entry, values in edits:
        # by itself, for the order of new names counts, and it is to be told which is taken
        alike[tuple(sorted(values)) if "name" not in values else (str(entry.id),)].append((entry, values))
    for some in alike.values():
        entry, values = some[0]
        statement = update(entries).where(entries.c.id == bindparam("b_id"))
        statement = statement.values({key: bindparam(f"b_{key}_") for key in values})
        rows = [{"b_id": one.id, **{f"b_{key}_": new[key] for key in values}} for one, new in some]
        with _explained(str(values.get("name", entry.name))):
            transaction.execute(statement, rows)


def remove(transaction: Transaction, ids: Sequence[int]) -> None:
    if ids:
        statement = delete(entries).where(entries.c.id == bindparam("b_id"))
        transaction.execute(statement, [{"b_id": id_} for id_ in ids])


def _lock(transaction: Transaction, names: Sequence[str]) -> None:
    # by itself, for a joined query would lock the timers too, and in the order of ids, as everybody does
    query = select(entries.c.id).where(entries.c.name.in_(names)).order_by(entries.c.id)
    transaction.execute(query.with_for_update()).all()


def _query() -> Select[Any]:
    planned = [
        timers.c.planned_version,
        timers.c.state.label("timer_state"),
        timers.c.next_fire_at,
        timers.c.last_fire_at,
        timers.c.error.label("timer_error"),
        timers.c.runs_made,
    ]
    imported = [origins.c[name].label(f"origin_{name}") for name in _ORIGIN]
    return (
        select(*entries.columns, *planned, *imported)
        .outerjoin(timers, timers.c.entry_id == entries.c.id)
        .outerjoin(origins, origins.c.entry_id == entries.c.id)
    )


def _entry(row: Any) -> StoredEntry:
    values = row._mapping
    timer = None
    if row.timer_state is not None:
        timer = Timer(
            row.planned_version,
            row.timer_state,
            row.next_fire_at,
            row.last_fire_at,
            row.timer_error,
            row.runs_made,
        )
    columns = {name: values[name] for name in EDITABLE_COLUMNS}
    origin = None
    if row.origin_kind is not None:
        origin = Imported(*(values[f"origin_{name}"] for name in _ORIGIN))
    return StoredEntry(row.id, row.version, row.created_at, row.updated_at, columns, timer, origin)


def _prefix(pattern: str) -> str:
    """A LIKE pattern that lets through at least what the glob, or the name itself, means."""
    literal = _GLOB.split(pattern, maxsplit=1)[0]
    return re.sub(r"([\\%_])", r"\\\1", literal) + "%"


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict(f"there is an entry {name!r} already: another name, or 'beatd entry set'") from error
    except exc.DataError as error:
        problem = f"a value does not fit into the database: {str(error.orig).splitlines()[0]}"
        raise FieldError("entry", name, problem) from error
