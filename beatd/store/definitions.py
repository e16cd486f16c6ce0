"""Definitions of entry versions, read from `entry_versions` and kept, for versions never change."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from beatd.errors import FieldError, InvalidInput
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import Surroundings
from beatd.store.calendars import carried
from beatd.store.models import entry_versions

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entry. `definition` is None where `error` says why, or `deleted`."""

    entry_id: int
    version: int
    changed_at: datetime
    deleted: bool
    definition: Definition | None
    error: str | None


#: Raises FieldError unless a task can be called with these args and kwargs.
CheckArguments = Callable[[str, Sequence[Any], Mapping[str, Any]], None]


def _any_arguments(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Of tasks that are not ours nothing is known."""


_ALONE = Surroundings()


class Definitions:
    """Reads versions by (entry id, version); keeps the `size` used last. For one thread.

    What was written in plain SQL is checked here for the first time: `check_arguments` with the rest.
    A version carries its calendar: those of `surroundings` are not looked at.
    """

    def __init__(
        self,
        surroundings: Surroundings = _ALONE,
        check_arguments: CheckArguments = _any_arguments,
        size: int = 100_000,
    ) -> None:
        self._surroundings = surroundings
        self._check_arguments = check_arguments
        self._size = size
        self._kept: OrderedDict[Key, Version] = OrderedDict()

    def get(self, connection: Connection, keys: Iterable[Key]) -> dict[Key, Version]:
        """The versions that exist of those asked for."""
        wanted = set(keys)
        missing = [key for key in wanted if key not in self._kept]
        for start in range(0, len(missing), 500):
            for row in _rows(connection, missing[start : start + 500]):
                self._kept[row.key] = self._read(row)
        found = {key: self._kept[key] for key in wanted if key in self._kept}
        for key in found:
            self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return found

    def _read(self, row: _Stored) -> Version:
        if row.deleted:
            return Version(*row.key, row.changed_at, True, None, None)
        surroundings = replace(self._surroundings, calendars=carried(row.columns))
        try:
            parsed = parse_definition(
                row.columns, created_at=_created_at(row.columns), surroundings=surroundings
            )
            self._check_arguments(parsed.task.task, parsed.task.args, parsed.task.kwargs)
        except (InvalidInput, FieldError) as error:
            return Version(*row.key, row.changed_at, False, None, str(error))
        return Version(*row.key, row.changed_at, False, parsed, None)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A row of `entry_versions`."""

    key: Key
    changed_at: datetime
    deleted: bool
    columns: dict[str, Any]


def _rows(connection: Connection, keys: Sequence[Key]) -> list[_Stored]:
    table = entry_versions
    query = select(
        table.c.entry_id, table.c.version, table.c.changed_at, table.c.operation, table.c.definition
    ).where(tuple_(table.c.entry_id, table.c.version).in_(keys))
    return [
        _Stored(
            (row.entry_id, row.version), row.changed_at, row.operation == "delete", json.loads(row.definition)
        )
        for row in connection.execute(query)
    ]


def _created_at(columns: dict[str, Any]) -> datetime:
    """Databases write the instant into JSON with their own offset, or without one where it is UTC."""
    instant = datetime.fromisoformat(columns["created_at"])
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
