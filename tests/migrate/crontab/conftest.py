from __future__ import annotations

from collections.abc import Iterator

import pytest

from beatd.operations.context import Context
from beatd.store import schema
from beatd.store.engine import Database


@pytest.fixture
def context(sqlite_url: str) -> Iterator[Context]:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    yield Context(database, "alice", "cli")
    database.close()
