"""Schedules that are kept in a database: django-celery-beat, sqlalchemy-celery-beat, and the older
celery-sqlalchemy-scheduler. None of them needs to be installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from beatd.broker.periodic import CRONTAB_FIELDS, Clocked, Every, Periodic, Rule, Solar, crontab
from beatd.broker.task_options import Sent, with_declared
from beatd.errors import FieldError, InvalidInput
from beatd.migrate.celery_beat import entries
from beatd.migrate.found import Reading
from beatd.schedules import format_instant, parse_zone
from beatd.store import foreign

Row = Mapping[str, Any]

_KINDS = ("crontab", "interval", "solar", "clocked")
_PERIODS = ("days", "hours", "minutes", "seconds", "microseconds")


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a scheduler calls its tables. `names_itself`: it sends the entry's name in a header."""

    scheduler: str
    tasks: str
    schedules: Mapping[str, str]
    names_itself: bool = False

    @property
    def tables(self) -> Sequence[str]:
        return (self.tasks, *self.schedules.values())


_LAYOUTS = (
    _Layout(
        "django-celery-beat",
        "django_celery_beat_periodictask",
        {kind: f"django_celery_beat_{kind}schedule" for kind in _KINDS},
        names_itself=True,
    ),
    _Layout(
        "sqlalchemy-celery-beat", "celery_periodictask", {kind: f"celery_{kind}schedule" for kind in _KINDS}
    ),
    _Layout(
        "celery-sqlalchemy-scheduler",
        "celery_periodic_task",
        {kind: f"celery_{kind}_schedule" for kind in _KINDS},
    ),
)


def read(url: str, now: datetime, *, timezone: str | None = None, app: Any = None) -> tuple[Reading, str]:
    """What the tables in a database say, and what the source is called: the URL without its password.

    `timezone` is that of crontabs which name none; `app` the Celery app that has the tasks.

    Raises FieldError, InvalidInput, DatabaseUnavailable.
    """
    database = foreign.open_foreign(url)
    try:
        found = foreign.read_tables(database, [name for layout in _LAYOUTS for name in layout.tables])
    finally:
        database.close()
    source = database.name
    readings = [
        _read(layout, tables, source if schema is None else f"{source} {schema}", now, timezone, app)
        for schema, tables in found.items()
        for layout in _LAYOUTS
        if layout.tasks in tables
    ]
    if not readings:
        wanted = " or ".join(layout.tasks for layout in _LAYOUTS)
        problem = f"there is no table {wanted} in it"
        raise InvalidInput([FieldError("database", source, problem)])
    return sum(readings, Reading()), source


def _read(
    layout: _Layout,
    tables: Mapping[str, Sequence[Row]],
    source: str,
    now: datetime,
    timezone: str | None,
    app: Any,
) -> Reading:
    schedules = {
        kind: {row["id"]: row for row in tables.get(table, ())} for kind, table in layout.schedules.items()
    }
    rows = tables[layout.tasks]
    done = {row["name"] for row in rows if _is_done(_Task(row, schedules, timezone), now)}
    periodics = [
        _Task(row, schedules, timezone).periodic(layout, now, app) for row in rows if row["name"] not in done
    ]
    reading = entries.reading(source, periodics, lambda one: f"{layout.tasks} {one.key!r}", now)
    notes = []
    if done:
        notes.append(f"{layout.scheduler}: these are over (run once, or expired): {', '.join(sorted(done))}")
    return reading + Reading(notes=tuple(notes))


def _is_done(task: _Task, now: datetime) -> bool:
    """Whether the scheduler would never look at it again."""
    if _has_passed("expires", task.row.get("expires"), now):
        return True
    if not task.flag("one_off"):
        return False
    if task.flag("enabled"):
        return bool(task.row.get("total_run_count"))
    kind, row = task.schedule()
    return kind == "clocked" and row is not None and _has_passed("at", row.get("clocked_time"), now)


def _has_passed(name: str, value: Any, now: datetime) -> bool:
    try:
        instant = _instant(name, value)
    except FieldError:  # told when the entry is read
        return False
    return instant is not None and instant <= now


class _Task:
    """One row of the table of tasks."""

    def __init__(self, row: Row, schedules: Mapping[str, Mapping[Any, Row]], timezone: str | None) -> None:
        self.row = row
        self._schedules = schedules
        self._timezone = timezone
        self._findings: list[FieldError] = []

    def periodic(self, layout: _Layout, now: datetime, app: Any) -> Periodic:
        row, name = self.row, str(self.row["name"])
        headers = self._collected(lambda: _json("headers", row.get("headers"), dict)) or {}
        if layout.names_itself:
            headers = {**headers, "periodic_task_name": name}
        options = {key: row.get(key) or None for key in ("queue", "exchange", "routing_key")}
        options |= {"priority": row.get("priority"), "headers": headers or None}
        end_at = self._collected(lambda: _instant("expires", row.get("expires")))
        # of a task that declares one, too, the row's holds
        options["expires"] = end_at or row.get("expire_seconds")
        options = {key: value for key, value in options.items() if value is not None}
        sent = with_declared(app, str(row["task"]), options) if app is not None else Sent(options)
        rule = self._collected(lambda: self._rule(now))
        return Periodic(
            key=name,
            task=str(row["task"] or ""),
            rule=rule,
            args=self._collected(lambda: _json("args", row.get("args"), list)) or (),
            kwargs=self._collected(lambda: _json("kwargs", row.get("kwargs"), dict)) or {},
            options={key: value for key, value in sent.options.items() if value is not end_at},
            enabled=self.flag("enabled"),
            start_at=self._collected(lambda: self._start(rule, now)),
            end_at=end_at,
            max_runs=1 if self.flag("one_off") and self.schedule()[0] != "clocked" else None,
            description=row.get("description") or None,
            findings=(*self._findings, *sent.findings),
            warnings=tuple(sent.warnings),
        )

    def _start(self, rule: Rule | None, now: datetime) -> datetime | None:
        """An interval goes on counting from its last run, unless its start is to come."""
        start = _instant("start_time", self.row.get("start_time"))
        if not isinstance(rule, Every) or (start is not None and start > now):
            return start
        last = _instant("last_run_at", self.row.get("last_run_at"))
        return start if last is None or last > now else last.replace(microsecond=0)

    def flag(self, name: str) -> bool:
        return bool(self.row.get(name))

    def schedule(self) -> tuple[str | None, Row | None]:
        """Its kind, and its row: None where that is gone."""
        kind, id_ = next(self._references(), (None, None))
        return kind, None if kind is None else self._schedules.get(kind, {}).get(id_)

    def _references(self) -> Iterator[tuple[str, Any]]:
        if discriminator := self.row.get("discriminator"):
            yield str(discriminator).removesuffix("schedule"), self.row.get("schedule_id")
        for kind in _KINDS:
            if (id_ := self.row.get(f"{kind}_id")) is not None:
                yield kind, id_

    def _collected(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except FieldError as finding:
            self._findings.append(finding)
        return None

    def _rule(self, now: datetime) -> Rule:
        kind, row = self.schedule()
        if kind is None:
            problem = f"the row names no schedule; one of {', '.join(_KINDS)} is wanted"
            raise FieldError("schedule", None, problem)
        if row is None:
            raise FieldError("schedule", kind, "the schedule that it names is not there any more")
        match kind:
            case "crontab":
                return crontab({name: str(row.get(name)) for name in CRONTAB_FIELDS}, self._zone(row))
            case "interval":
                return _every(row)
            case "solar":
                latitude, longitude = (_degrees(name, row.get(name)) for name in ("latitude", "longitude"))
                return Solar(str(row.get("event")), latitude, longitude)
        return Clocked(_time_to_come("clocked_time", row.get("clocked_time"), now))

    def _zone(self, row: Row) -> str:
        name = row.get("timezone") or self._timezone
        if not name:
            raise FieldError("timezone", None, "the table has none; say which with --timezone", example="UTC")
        return parse_zone(str(name)).key


def _every(row: Row) -> Every:
    every, period = row.get("every"), row.get("period")
    if period not in _PERIODS:
        raise FieldError("period", period, f"one of {', '.join(_PERIODS)}", example="minutes")
    try:
        return Every(timedelta(**{period: int(str(every))}))
    except ValueError:
        raise FieldError("every", every, "a whole number is wanted", example="10") from None
    except OverflowError:
        raise FieldError(
            "every", f"{every} {period}", "so long cannot be counted", example="365 days"
        ) from None


def _degrees(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FieldError(name, value, "a number of degrees is wanted", example="52.52") from None


def _time_to_come(name: str, value: Any, now: datetime) -> datetime:
    at = _instant(name, value)
    if at is None:
        raise FieldError(name, None, "it says no time", example="2026-03-29 09:30:00")
    if at <= now:
        problem = "that time has passed, and it has not run: the scheduler would run it at once"
        raise FieldError(name, format_instant(at), problem)
    return at


def _instant(name: str, value: Any) -> datetime | None:
    """Drivers give datetimes, or texts; without an offset they are in UTC, as both schedulers keep them."""
    if value in (None, ""):
        return None
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FieldError(name, value, "not a date and time", example="2026-03-29 09:30:00") from None


def _json(name: str, value: Any, kind: type) -> Any:
    if value in (None, ""):
        return kind()
    wanted, example = ("an array", "[1, 2]") if kind is list else ("an object", '{"key": "value"}')
    try:
        parsed = value if isinstance(value, kind) else json.loads(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise FieldError(name, value, f"not JSON: {error}", example=example) from None
    if not isinstance(parsed, kind):
        raise FieldError(name, value, f"not {wanted} of JSON", example=example)
    return parsed
