"""The schedule that an app declares: `beat_schedule`, `add_periodic_task`, and what beat adds by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from beatd.broker import periodic
from beatd.broker.app import operators_app
from beatd.broker.periodic import Every, Periodic
from beatd.migrate.celery_beat import entries
from beatd.migrate.celery_beat.module import module_path
from beatd.migrate.found import Reading

#: An interval of which people know at what time of the day it runs.
_LONG = timedelta(hours=1)


def load(path: str, field: str = "--app") -> Any:
    """The app at `proj.celery:app`, found as `celery --app` finds it, with all that adds periodic tasks done.
    `field` is what named it. Raises InvalidInput.
    """
    with _solar_without_ephem():
        app = operators_app(path, field)
        periodic.prepare(app, path, field)
    return app


def source_of(app: Any) -> str:
    """What its entries come from: the same for the command line and for beat itself, however it was found."""
    return module_path(app) or str(app.main or "app")


def read(app: Any, now: datetime) -> Reading:
    """What beat would run for an app that is prepared."""
    source = source_of(app)
    found = periodic.read(app)
    reading = entries.reading(source, found, lambda one: f"{source} beat_schedule[{one.key!r}]", now)
    return reading + Reading(notes=tuple(_notes(found)))


def _notes(found: Sequence[Periodic]) -> Iterator[str]:
    """Of short intervals nobody minds where they are counted from."""
    long = [
        one.key
        for one in found
        if isinstance(one.rule, Every) and one.rule.every >= _LONG and not one.start_at
    ]
    if long:
        yield (
            f"{', '.join(long)}: beat counts intervals from its last run, which the app does not tell; here "
            "they count from the import; beatd entry set NAME --start-at INSTANT has them count from another"
        )


@contextmanager
def _solar_without_ephem() -> Iterator[None]:
    """Celery's `solar` wants a library to be made, for what it calculates; here its event and place count."""
    if not _is_missing("ephem"):
        yield
        return
    before = {name: sys.modules[name] for name in ("ephem",) if name in sys.modules}
    stub: Any = ModuleType("ephem")
    stub.Observer = SimpleNamespace
    sys.modules["ephem"] = stub
    try:
        yield
    finally:
        del sys.modules["ephem"]
        sys.modules.update(before)


def _is_missing(library: str) -> bool:
    try:
        import_module(library)
    except ImportError:
        return True
    return False
