"""The SQL that docs/entries.md shows works as it stands, on each database."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import text

from beatd.operations import entries
from beatd.operations.context import Context

PAGE = Path(__file__).parent.parent.parent / "docs" / "entries.md"


def test_entries_are_added_as_the_page_says(context: Context) -> None:
    statements = re.findall(r"^INSERT .*?;$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(statements) == 2
    with context.database.write() as connection:
        for statement in statements:
            connection.execute(text(re.sub(r"(?<=[\w\"]):", r"\\:", statement)))
    backup, newsletter = entries.find(context)
    assert (backup.state, newsletter.state) == ("active", "active")
    assert backup.options == {
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "shell": "pg_dump shop > /backup/shop.sql",
        "timeout": "2h",
    }
    assert newsletter.options["args"] == ["customers"]
    assert newsletter.options["kwargs"] == {"test": False}
