"""Importing readings, and looking at what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from beatd.migrate import importing
from beatd.migrate.found import Reading
from beatd.migrate.importing import Import, Row
from beatd.operations import entries
from beatd.operations.context import Context
from tests.migrate.readings import ETC, reading

SOURCE = ("lines", ETC)

#: Most of it is the same on every database.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def compare(context: Context, what: Reading | str, **options: Any) -> Import:
    wanted = reading(what) if isinstance(what, str) else what
    return importing.compare(context, wanted, **{"sources": [SOURCE], **options})


def run(context: Context, what: Reading | str, **options: Any) -> tuple[Row, ...]:
    found_ = compare(context, what, **options)
    found_.execute(context)
    return found_.rows


def told(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row.action, row.name) for row in rows]


def options(context: Context, name: str) -> Mapping[str, Any]:
    return entries.show(context, name).options


def versions(context: Context) -> dict[str, int]:
    return {entry.name: entry.version for entry in entries.find(context)}
