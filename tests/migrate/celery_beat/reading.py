"""Apps made for a test, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from celery.schedules import crontab

from beatd.broker import periodic
from beatd.migrate.celery_beat import app as apps
from beatd.migrate.found import Reading

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def app_of(schedule: Mapping[str, Any] | None = None, **settings: Any) -> Celery:
    app = Celery("shop", set_as_current=False)
    app.conf.update(result_expires=None, **settings)
    if schedule is not None:
        app.conf.beat_schedule = dict(schedule)
    return app


def read_app(app: Celery, now: datetime = NOW) -> Reading:
    periodic.prepare(app, "shop:app")
    return apps.read(app, now)


def options_of(entry: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """The options of the only entry, of which nothing may be refused."""
    reading = read_app(app_of({"one": {"task": "shop.sell", **entry}}, **settings))
    assert reading.refused == ()
    return dict(reading.found[0].options)


def refused(entry: Mapping[str, Any], **settings: Any) -> list[str]:
    reading = read_app(app_of({"one": {"task": "shop.sell", "schedule": 60, **entry}}, **settings))
    assert reading.found == ()
    return [str(finding) for finding in reading.refused]


def celery_runs(schedule: crontab, start: datetime, end: datetime) -> Iterator[datetime]:
    """When beat would run it, had it last done so at `start`: by Celery's own steps from run to run."""
    last = start.astimezone(schedule.tz)
    while True:
        from_last, delta, _ = schedule.remaining_delta(last)
        run = (from_last + delta).astimezone(UTC)
        assert run > last.astimezone(UTC), "Celery does not get on"
        if run > end:
            return
        yield run
        last = run.astimezone(schedule.tz)
