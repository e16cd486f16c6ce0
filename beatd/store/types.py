"""Column types that read the same in every database: aware UTC instants and run ids."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, String, Text, types
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Dialect


class Instant(types.TypeDecorator[datetime]):
    """An aware UTC instant with microseconds.

    `timestamptz` on PostgreSQL, `datetime(6)` holding UTC on MariaDB, and on SQLite text of one
    fixed form (`2026-03-29T01:00:00.000000Z`), which sorts as time does and which people can read.
    Naive datetimes are refused with ValueError.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r} where an aware instant is stored")
        value = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return value
        if dialect.name == "sqlite":
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return value.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


#: Text of any length. MariaDB's TEXT ends at 64 KB, which arguments, outputs and the errors that quote
#: them can pass; a version holds them once more, escaped as JSON.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _long_text(dialect: Dialect) -> types.TypeEngine[Any]:
    return mysql.MEDIUMTEXT() if dialect.name in ("mysql", "mariadb") else Text()


#: What no database takes in text: lone surrogates, which stand for bytes that are not UTF-8, and NUL.
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")
_ESCAPE = re.compile(r"\\u(005c|0000|d[89a-f][0-9a-f]{2})")
_LIKE_AN_ESCAPE = re.compile(r"\\(?=u(?:005c|0000|d[89a-f][0-9a-f]{2}))")


class AnyText(types.TypeDecorator[str]):
    """Text that comes back as it was given, whatever it holds: what cannot be stored is written as
    `\\udcff`, and a backslash that would begin such a thing itself as `\\u005c`.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        return _long_text(dialect)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return _escaped(_LIKE_AN_ESCAPE.sub(lambda _: r"\u005c", value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)


class Json(types.TypeDecorator[Any]):
    """A value as `json_text` writes it, in text that people can read."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        return _long_text(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def json_text(value: Any) -> str:
    """JSON that every database takes. Raises TypeError, ValueError for what JSON cannot say."""
    return _escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escaped(text: str) -> str:
    return _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


#: A run's id, which is the Celery task id: a UUID in its usual hyphenated form.
RunId = (
    String(36)
    .with_variant(postgresql.UUID(as_uuid=False), "postgresql")
    .with_variant(mysql.CHAR(36, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)


def is_run_id(text: str) -> bool:
    """Whether it is in that form. PostgreSQL refuses a whole statement for one value that is no UUID."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


#: Names that are compared byte by byte, as cron and Celery compare theirs.
Name = String(200).with_variant(
    mysql.VARCHAR(200, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)

#: Short machine words: states, reasons, owners.
Word = String(80).with_variant(mysql.VARCHAR(80, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
