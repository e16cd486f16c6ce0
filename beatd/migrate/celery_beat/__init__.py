"""Leaving Celery's beat: what its entries become, from an app or from the tables of a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from beatd.migrate.celery_beat import app, tables
from beatd.migrate.celery_beat.entries import KIND
from beatd.migrate.celery_beat.foreign import refuse_foreign as refuse_foreign
from beatd.migrate.found import Reading

#: A kind of source and the one among them, as origins have them.
Source = tuple[str, str]


def read_app(path: str, now: datetime) -> tuple[Reading, Source]:
    """What the app at `proj.celery:app` would have beat run. Raises InvalidInput."""
    found = app.load(path)
    return app.read(found, now), (KIND, app.source_of(found))


def read_tables(url: str, now: datetime, *, timezone: str | None = None) -> tuple[Reading, Source]:
    """What the tables of a scheduler say; `timezone` is that of crontabs which name none.

    Raises FieldError, InvalidInput, DatabaseUnavailable.
    """
    reading, source = tables.read(url, now, timezone=timezone)
    return reading, (KIND, source)


def routing_notes(
    reading: Reading, configured: str, app_path: str | None, queue: str | None
) -> Iterator[str]:
    """Where messages go that named no destination, where that is not what it was under beat."""
    if configured or queue is not None:
        return
    routed = ("queue", "exchange", "routing_key")
    left = [one for one in reading.found if not any(one.options.get(name) for name in routed)]
    if left:
        name = "names" if len(left) == 1 else "name"
        yield (
            f"{len(left)} of them {name} no queue, and celery.app is not set: such messages go to "
            "beatd's own queue; "
            f"celery.app = {app_path or 'proj.celery:app'!r} in the configuration makes your routes hold"
        )
