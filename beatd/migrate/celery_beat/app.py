"""The schedule that an app declares: `beat_schedule`, `add_periodic_task`, and what beat adds by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from beatd.broker import periodic
from beatd.broker.app import operators_app
from beatd.migrate.celery_beat import entries
from beatd.migrate.found import Reading


def load(path: str) -> Any:
    """The app at `proj.celery:app`, found as `celery --app` finds it, with all that adds periodic tasks done.

    Raises InvalidInput.
    """
    app = operators_app(path)
    periodic.prepare(app, path)
    return app


def source_of(app: Any, path: str) -> str:
    """What its entries come from: the same for the command line and for beat itself."""
    return periodic.app_name(app, path)


def read(app: Any, path: str, now: datetime) -> Reading:
    """`path` is how messages call the app."""
    found = periodic.read(app)
    return entries.reading(source_of(app, path), found, lambda one: f"{path} beat_schedule[{one.key!r}]", now)
