"""What an app's own beat would run, as plain data.

What belongs to Celery (schedules, queues, signatures) is read here and goes no further: whoever turns it into
entries needs no Celery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from celery import Celery, schedules
from celery.backends.base import DisabledBackend
from kombu.utils.functional import maybe_evaluate

from beatd.broker.app import failed_at
from beatd.broker.task_options import OPTION_NAMES, collected, shown, with_declared
from beatd.errors import FieldError, InvalidInput
from beatd.redaction import redact

#: What beat adds to every schedule, unless the result backend forgets by itself.
CLEANUP = "celery.backend_cleanup"

#: Fields of a crontab in cron's order, with the names that Celery gives them.
CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


@dataclass(frozen=True, slots=True)
class Crontab:
    """The values of each field and what was written for them, in the order of `CRONTAB_FIELDS`.

    Sunday is weekday 0. A time matches when every one of the five does. `timezone` is an IANA name.
    `starting_deadline` is how many seconds late a run may still start.
    """

    values: tuple[frozenset[int], ...]
    written: tuple[Any, ...]
    timezone: str
    starting_deadline: float | None = None

    def __str__(self) -> str:
        given = zip(CRONTAB_FIELDS, self.written, strict=True)
        return f"crontab({', '.join(f'{name}={shown(value)}' for name, value in given if value != '*')})"


@dataclass(frozen=True, slots=True)
class Every:
    """`relative`: rounded down to whole days, hours or minutes of the zone's clock."""

    every: timedelta
    relative: bool = False
    timezone: str = "UTC"

    def __str__(self) -> str:
        text = f"{self.every.total_seconds():g} seconds"
        return f"every {text}, relative" if self.relative else f"every {text}"


@dataclass(frozen=True, slots=True)
class Solar:
    event: str
    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"solar({self.event!r}, {self.latitude:g}, {self.longitude:g})"


@dataclass(frozen=True, slots=True)
class Clocked:
    """Once, at an aware instant."""

    at: datetime

    def __str__(self) -> str:
        return f"clocked({self.at.isoformat()})"


Rule = Crontab | Every | Solar | Clocked


@dataclass(frozen=True, slots=True)
class Periodic:
    """One entry of beat. `rule` is None where its schedule cannot be read.

    `options` are `apply_async`'s, those of the task itself among them, as plain values. `findings` say what
    of it is not plain, each of the field as beat calls it: `schedule`, `args`, `options.link`.
    """

    key: str
    task: str
    rule: Rule | None
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_runs: int | None = None
    description: str | None = None
    findings: tuple[FieldError, ...] = ()
    warnings: tuple[str, ...] = ()
    added_by_beat: bool = False


# The app's schedule ------------------------------------------------------------------------------


def prepare(app: Celery, path: str, field: str = "--app") -> None:
    """Does what `celery beat` does before it looks at the schedule: imports all modules of tasks and finishes
    the app, so that whatever adds periodic tasks has done so. `field` is what named the app.

    Raises InvalidInput.
    """
    try:
        app.loader.init_worker()
        app.finalize()
        maybe_evaluate(app.conf.beat_schedule)
    except Exception as error:
        place = failed_at(error)
        told = f"{type(error).__name__}: {' '.join(str(error).split())}" + (f" ({place})" if place else "")
        raise InvalidInput([FieldError(field, path, f"its tasks cannot be imported: {told}")]) from error


def read(app: Celery) -> list[Periodic]:
    """What beat would run for an app that is prepared, in the order of its schedule. Imports nothing."""
    schedule = maybe_evaluate(app.conf.beat_schedule)
    found = [_periodic(app, str(key), entry) for key, entry in schedule.items()]
    if CLEANUP not in schedule:
        found += _cleanup(app)
    return found


def timezone_of(app: Celery) -> str:
    """The IANA name of the zone that the app's crontabs are in. Raises FieldError."""
    return _zone_name(app.timezone)


def crontab(written: Mapping[str, Any], timezone: str) -> Crontab:
    """What Celery reads in the fields of a crontab, by their names. Raises FieldError."""
    fields = {name: written[name] for name in CRONTAB_FIELDS}
    try:
        return _crontab(schedules.crontab(**fields), timezone)
    except (ValueError, TypeError, schedules.ParseException) as error:
        shown = " ".join(str(value) for value in fields.values())
        raise FieldError("schedule", shown, f"Celery's crontab refuses it: {error}") from error


_KEYS = {"task", "schedule", "args", "kwargs", "options", "relative"}
#: What beat keeps in an entry for itself.
_ITS_OWN = {"app", "name", "last_run_at", "total_run_count"}
#: What the schedulers that keep their entries in a database know besides.
_OF_DATABASES = {"enabled", "one_off", "start_time", "description"}


def _periodic(app: Celery, key: str, entry: Any) -> Periodic:
    findings: list[FieldError] = []
    try:
        given = dict(entry)
    except (TypeError, ValueError):
        problem = "an entry is a dict with task and schedule"
        return Periodic(key, "", None, findings=(FieldError("entry", shown(entry), problem),))
    for name in sorted(given.keys() - _KEYS - _ITS_OWN - _OF_DATABASES, key=str):
        meant = f"; in options it is {name!r}'s place" if name in OPTION_NAMES else ""
        problem = f"no such key: an entry of beat has {', '.join(sorted(_KEYS))}{meant}"
        findings.append(FieldError(str(name), shown(given[name]), problem))
    rule = collected(findings, lambda: _rule(app, given.get("schedule"), bool(given.get("relative"))))
    task = collected(findings, lambda: _task_name(given.get("task"))) or ""
    options = collected(findings, lambda: _mapping("options", given.get("options"))) or {}
    sent = with_declared(app, task, options)
    args = collected(findings, lambda: _arguments(given.get("args"))) or ()
    kwargs = collected(findings, lambda: _mapping("kwargs", given.get("kwargs"))) or {}
    return Periodic(
        key,
        task,
        rule,
        args=args,
        kwargs=kwargs,
        options=sent.options,
        enabled=bool(given.get("enabled", True)),
        start_at=collected(findings, lambda: _instant("start_time", given.get("start_time"))),
        max_runs=1 if given.get("one_off") or options.get("one_off") else None,
        description=str(given.get("description") or "") or None,
        findings=(*findings, *sent.findings),
        warnings=(*sent.warnings, *_made_lists(app, sent.options, args, kwargs)),
    )


def _task_name(task: Any) -> str:
    name = task if isinstance(task, str) else getattr(task, "name", None)
    if not isinstance(name, str) or not name:
        raise FieldError("task", shown(task), "the name of a task is wanted", example="proj.tasks.cleanup")
    return name


def _arguments(args: Any) -> tuple[Any, ...]:
    if isinstance(args, str | bytes | Mapping):
        raise FieldError("args", args, "a list is wanted", example="[16, 16]")
    return tuple(args or ())


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value and not isinstance(value, Mapping):
        raise FieldError(name, shown(value), "a dict is wanted", example='{"key": "value"}')
    return dict(value or {})


def _instant(name: str, value: Any) -> datetime | None:
    if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
        return value
    raise FieldError(name, shown(value), "a datetime with its zone is wanted")


def _made_lists(app: Celery, options: Mapping[str, Any], *arguments: Any) -> Iterator[str]:
    """Of messages that keep tuples as they are."""
    serializer = options.get("serializer") or app.conf.task_serializer
    if serializer in _KEEPING_TUPLES and any(map(_has_tuple, arguments)):
        yield f"a tuple inside args or kwargs becomes a list, where {serializer} keeps it a tuple"


_KEEPING_TUPLES = ("pickle", "application/x-python-serialize")


def _has_tuple(arguments: Any) -> bool:
    inner = arguments.values() if isinstance(arguments, Mapping) else arguments
    return any(
        isinstance(one, tuple) or (isinstance(one, list | Mapping) and _has_tuple(one)) for one in inner
    )


# Schedules


def _rule(app: Celery, schedule: Any, relative: bool) -> Rule:
    if isinstance(schedule, bool) or schedule is None:
        problem = "a number of seconds, a timedelta or a schedule is wanted"
        raise FieldError("schedule", schedule, problem, example="crontab(minute=0, hour=3)")
    if isinstance(schedule, int | float):
        schedule = _seconds(schedule)
    if isinstance(schedule, timedelta):
        return Every(schedule, relative, timezone_of(app) if relative else "UTC")
    if _is_zoned_crontab(schedule):
        return _crontab(schedule, _zone_name(schedule.tz))
    _refuse_other_clock(schedule)
    if type(schedule) is schedules.crontab:
        read = _crontab(schedule, timezone_of(app))
        return replace(read, starting_deadline=app.conf.beat_cron_starting_deadline)
    if type(schedule) is schedules.schedule and isinstance(schedule.run_every, timedelta):
        return Every(schedule.run_every, schedule.relative, timezone_of(app) if schedule.relative else "UTC")
    if type(schedule) is schedules.solar:
        return Solar(schedule.event, float(schedule.lat), float(schedule.lon))
    if at := _clocked_time(schedule):
        return Clocked(at)
    cls = f"{type(schedule).__module__}.{type(schedule).__qualname__}"
    problem = "a schedule class of your own: only its code knows when it is due"
    raise FieldError("schedule", cls, problem, example=_instead_of(schedule))


def _seconds(number: float) -> timedelta:
    try:
        return timedelta(seconds=number)
    except (OverflowError, ValueError):
        raise FieldError("schedule", number, "so many seconds cannot be counted", example="3600") from None


def _instead_of(schedule: Any) -> str:
    if isinstance(schedule, schedules.schedule):
        return "an entry with every = '5m' and start_at, counted from there"
    return "an entry with custom, a trigger of APScheduler's that the configuration names"


def _is_zoned_crontab(schedule: Any) -> bool:
    """django-celery-beat and its like have a crontab with a zone of its own, and no other difference."""
    return isinstance(schedule, schedules.crontab) and type(schedule).__name__ == "TzAwareCrontab"


def _clocked_time(schedule: Any) -> datetime | None:
    at = getattr(schedule, "clocked_time", None) if type(schedule).__name__ == "clocked" else None
    return at if isinstance(at, datetime) and at.tzinfo is not None else None


def _refuse_other_clock(schedule: Any) -> None:
    if getattr(schedule, "nowfun", None) is not None:
        problem = "it has a clock of its own (nowfun), of which beatd knows nothing; leave it out"
        raise FieldError("schedule", shown(schedule), problem, example="timezone = 'Europe/Berlin'")


def _crontab(schedule: Any, timezone: str) -> Crontab:
    values = tuple(frozenset(getattr(schedule, name)) for name in CRONTAB_FIELDS)
    written = tuple(getattr(schedule, f"_orig_{name}") for name in CRONTAB_FIELDS)
    for name, found in zip(CRONTAB_FIELDS, values, strict=True):
        if not found or any(isinstance(value, bool) or not isinstance(value, int) for value in found):
            raise FieldError("schedule", shown(schedule), f"{name} has no whole numbers: it never fires")
    return Crontab(values, written, timezone)


def _zone_name(zone: Any) -> str:
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if not isinstance(name, str):
        problem = "the zone's name cannot be found out; name it in the app's configuration"
        raise FieldError("timezone", shown(zone), problem, example="timezone = 'Europe/Berlin'")
    return name


# What beat adds by itself


def _cleanup(app: Celery) -> Iterator[Periodic]:
    """As `celery.beat.Scheduler.install_default_entries` has it; none where there is nothing to clean up."""
    if not app.conf.result_expires:
        return
    findings: list[FieldError] = []
    rule = collected(findings, lambda: _crontab(schedules.crontab("0", "4", "*"), timezone_of(app)))
    try:
        backend = app.backend
        if backend.supports_autoexpire or isinstance(backend, DisabledBackend):
            return
    except Exception as error:
        told = " ".join(str(error).split())
        problem = f"whether beat would clean it up cannot be told: {type(error).__name__}: {told}"
        findings.append(FieldError("result_backend", redact(str(app.conf.result_backend)), problem))
    yield Periodic(
        CLEANUP,
        CLEANUP,
        rule,
        options={"expires": 12 * 3600},
        added_by_beat=True,
        findings=tuple(findings),
    )
