"""Leaving Celery's beat: what its entries become, from an app or from the tables of a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from beatd.migrate.celery_beat import app, tables
from beatd.migrate.celery_beat.entries import KIND
from beatd.migrate.celery_beat.foreign import refuse_foreign as refuse_foreign
from beatd.migrate.found import Reading, Source


def read_app(path: str, now: datetime) -> tuple[Reading, Source]:
    """What the app at `proj.celery:app` would have beat run. Raises InvalidInput."""
    found = app.load(path)
    return app.read(found, now), (KIND, app.source_of(found))


def read_tables(
    url: str, now: datetime, *, timezone: str | None = None, app_path: str | None = None
) -> tuple[Reading, Source]:
    """What the tables of a scheduler say; `timezone` is that of crontabs which name none, `app_path`
    where the app is that has the tasks.

    Raises FieldError, InvalidInput, DatabaseUnavailable.
    """
    found = app.load(app_path, "celery.app") if app_path else None
    reading, source = tables.read(url, now, timezone=timezone, app=found)
    if found is None and reading.found:
        note = (
            "what the tasks themselves declare of their messages (queue, priority, expires, time limits) is "
            "not in the tables; celery.app = 'proj.celery:app' in the configuration, or BEATD_CELERY_APP, "
            "makes it known"
        )
        reading += Reading(notes=(note,))
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
