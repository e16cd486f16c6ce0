"""An operator who types SQL at a client of the database's own: no SQLAlchemy, no settings of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from beatd.store.engine import Database
from beatd.store.models import entry_changes, entry_versions


class Operator:
    def __init__(self, connection: Any, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect
        self._closed = False

    def type(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs one statement as it stands; returns its rows. Each commits by itself."""
        cursor = self._connection.cursor()
        cursor.execute(self._quoted(sql))
        return list(cursor.fetchall()) if cursor.description else []

    def close(self) -> None:
        """May be repeated."""
        if not self._closed:
            self._connection.close()
        self._closed = True

    def _quoted(self, sql: str) -> str:
        """As it is typed at that database's client: MariaDB has other quotes, and escapes by backslash."""
        if self.dialect != "mariadb":
            return sql
        return sql.replace("\\", "\\\\").replace('"at"', "`at`")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of `entry_versions`, its definition parsed."""

    entry_id: int
    version: int
    name: str
    operation: str
    definition: dict[str, Any]
    changed_at: datetime
    changed_by: str | None


def recorded_versions(database: Database) -> list[Recorded]:
    """All of them, in the order in which they were made."""
    table = entry_versions
    wanted = [table.c[name] for name in Recorded.__dataclass_fields__]
    query = select(*wanted).order_by(table.c.entry_id, table.c.version)
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [Recorded(**{**row, "definition": json.loads(row["definition"])}) for row in rows]


def queued_changes(database: Database) -> list[int]:
    """Ids of the entries that the dispatcher has yet to plan, in the order of their edits."""
    with database.read() as connection:
        return list(
            connection.execute(select(entry_changes.c.entry_id).order_by(entry_changes.c.id)).scalars()
        )


def created_at(definition: dict[str, Any]) -> datetime:
    """As `Definitions` reads it."""
    instant = datetime.fromisoformat(definition["created_at"])
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
