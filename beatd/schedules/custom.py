"""APScheduler triggers that the configuration allows, behind our Schedule and held to our rules.

A trigger is asked (previous fire time, now) and may let its answer hang on both; a Schedule's hangs on the
instant alone. So a trigger is asked without a previous fire time, as if just started. One that then says its
first fire time, whatever the time is (CalendarIntervalTrigger, DateTrigger), is stepped from there, and the
row is kept. Combinations are made here: APScheduler's own hand the previous fire time of one trigger to the
others, and its AndTrigger searches for ever where two never agree.
"""

from __future__ import annotations

import inspect
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from beatd.errors import FieldError, did_you_mean, nearest
from beatd.schedules.base import MICROSECOND, Schedule, as_utc

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

CustomFactory = Callable[..., "BaseTrigger"]

#: Instants at which a new trigger is tried out.
_PROBES = tuple(datetime(year, 3, 17, 12, 34, 56, tzinfo=UTC) for year in (1990, 2024, 2031, 2077))
#: How often triggers that must agree are asked before it is an error.
_MOST_ROUNDS = 10_000
#: How many fire times are stepped over from the first one on before it is an error.
_MOST_STEPS = 200_000


def load_factories(paths: Mapping[str, str]) -> dict[str, CustomFactory]:
    """The callables that the configuration names, `package.module:callable`.

    Raises FieldError of the field `schedules.custom`.
    """
    return {name: _load(name, path) for name, path in paths.items()}


def make_custom(
    name: str, arguments: Mapping[str, Any], timezone: ZoneInfo, factories: Mapping[str, CustomFactory]
) -> CustomSchedule:
    """The schedule of the trigger that the factory of this name makes of the arguments (as of JSON).

    The factory is given the entry's `timezone`, too, if it takes one and the arguments have none.
    Raises FieldError of the field `custom` or `custom_args`, also for a trigger whose answers are not its
    rule's alone: of jitter, of an anchor that is the time at which it was made, of a memory.
    """
    from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger

    factory = factories.get(name)
    if factory is None:
        known = f"allowed are {', '.join(sorted(factories))}" if factories else "there are none"
        problem = f"is not among the configuration's schedules.custom; {known}"
        raise FieldError("custom", name, problem + did_you_mean(nearest(name, factories)))
    text = json.dumps(arguments, sort_keys=True)
    rule, again = (_rule(_make(name, factory, arguments, text, timezone), name) for _ in range(2))
    if (
        inspect.isclass(factory)
        and issubclass(factory, CalendarIntervalTrigger)
        and "start_date" not in arguments
    ):
        raise FieldError("custom_args", text, _HISTORY, example='{"start_date": "2026-01-01"}')
    answers = [rule.next_fire_time(instant) for instant in _PROBES]
    if answers != [again.next_fire_time(instant) for instant in _PROBES[::-1]][::-1]:
        raise FieldError("custom_args", text, _HISTORY, example='{"start_date": "2026-01-01"}')
    return CustomSchedule(name, text, timezone, rule)


_HISTORY = (
    "the trigger's fire times depend on when it was made or what it was asked before: "
    "give it its start_date, no jitter and no memory"
)


@dataclass(frozen=True, slots=True)
class CustomSchedule(Schedule):
    """Made by `make_custom`. `arguments` is their JSON text, keys sorted. Equal when name, arguments and zone
    are equal."""

    name: str
    arguments: str
    timezone: ZoneInfo
    rule: Schedule = field(compare=False, repr=False)

    def next_fire_time(self, after: datetime) -> datetime | None:
        """Raises FieldError of the field `custom` where the trigger breaks our rules after all."""
        return self.rule.next_fire_time(as_utc(after))


def _load(name: str, path: str) -> CustomFactory:
    field, example = f"schedules.custom.{name}", "proj.rules:office_hours"
    module_name, colon, callable_name = path.partition(":")
    if not (module_name and colon and callable_name):
        raise FieldError(field, path, "is not package.module:callable", example=example)
    try:
        factory = getattr(import_module(module_name), callable_name)
    except Exception as error:
        raise FieldError(field, path, f"cannot be imported: {_said(error)}", example=example) from error
    if not callable(factory):
        raise FieldError(field, path, "is not callable", example=example)
    return cast(CustomFactory, factory)


def _make(
    name: str, factory: CustomFactory, arguments: Mapping[str, Any], text: str, timezone: ZoneInfo
) -> BaseTrigger:
    from apscheduler.triggers.base import BaseTrigger

    given = dict(arguments)
    if "timezone" in _parameters(factory):
        given.setdefault("timezone", timezone)
    try:
        trigger = factory(**given)
    except Exception as error:
        raise FieldError("custom_args", text, f"{name!r} does not take them: {_said(error)}") from error
    if not isinstance(trigger, BaseTrigger):
        problem = f"made {type(trigger).__name__}, which is not an APScheduler trigger"
        raise FieldError("custom", name, problem)
    return trigger


def _parameters(factory: CustomFactory) -> Mapping[str, Any]:
    try:
        return inspect.signature(factory).parameters
    except ValueError:
        return {}


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _rule(trigger: BaseTrigger, name: str) -> Schedule:
    from apscheduler.triggers.combining import AndTrigger, OrTrigger

    if getattr(trigger, "jitter", None):
        raise FieldError(
            "custom", name, "the trigger's own jitter is random; give the entry's jitter instead"
        )
    if isinstance(trigger, AndTrigger | OrTrigger):
        parts = tuple(_rule(part, name) for part in trigger.triggers)
        return _Both(parts, name) if isinstance(trigger, AndTrigger) else _Either(parts)
    return _Asked(trigger, name)


class _Either(Schedule):
    """Whenever one of the parts fires."""

    def __init__(self, parts: Sequence[Schedule]) -> None:
        self._parts = parts

    def next_fire_time(self, after: datetime) -> datetime | None:
        fire_times = (part.next_fire_time(after) for part in self._parts)
        return min((fire_time for fire_time in fire_times if fire_time is not None), default=None)


class _Both(Schedule):
    """When all parts fire at one instant."""

    def __init__(self, parts: Sequence[Schedule], name: str) -> None:
        self._parts = parts
        self._name = name

    def next_fire_time(self, after: datetime) -> datetime | None:
        for _ in range(_MOST_ROUNDS):
            fire_times = [part.next_fire_time(after) for part in self._parts]
            known = [fire_time for fire_time in fire_times if fire_time is not None]
            if not known or len(known) < len(fire_times):
                return None
            if min(known) == max(known):
                return known[0]
            after = max(known) - MICROSECOND
        raise FieldError("custom", self._name, f"its triggers did not agree in {_MOST_ROUNDS} attempts")


class _Asked(Schedule):
    """A trigger, asked as if it had just started."""

    def __init__(self, trigger: BaseTrigger, name: str) -> None:
        self._trigger = trigger
        self._name = name
        self._row: list[datetime] = []
        self._lock = Lock()

    def next_fire_time(self, after: datetime) -> datetime | None:
        if after >= _END:
            return None
        fire_time = self._ask(None, after + MICROSECOND)
        if fire_time is None or fire_time > after:
            return fire_time
        return self._next_in_row(fire_time, after)

    def _next_in_row(self, first: datetime, after: datetime) -> datetime | None:
        """The first after an instant of those that follow one another from `first` on."""
        with self._lock:
            if self._row[:1] != [first]:
                self._row = [first]
            row = self._row
            while row[-1] <= after:
                following = self._ask(row[-1], row[-1])
                if following is None:
                    return None
                if following <= row[-1]:
                    raise self._broken(f"gave {following} after {row[-1]}")
                if len(row) == _MOST_STEPS:
                    raise self._broken(f"is more than {_MOST_STEPS} fire times from its first, {first}")
                row.append(following)
            return row[bisect_right(row, after)]

    def _ask(self, previous: datetime | None, now: datetime) -> datetime | None:
        try:
            answer = self._trigger.get_next_fire_time(previous, now)
        except Exception as error:
            raise self._broken(f"failed: {_said(error)}") from error
        if answer is None:
            return None
        if not isinstance(answer, datetime) or answer.tzinfo is None:
            raise self._broken(f"gave {answer!r}, which is not an instant with a zone")
        return as_utc(answer)

    def _broken(self, problem: str) -> FieldError:
        return FieldError("custom", self._name, f"the trigger {problem}")


_END = datetime(9000, 1, 1, tzinfo=UTC)
