"""APScheduler triggers that the configuration allows, behind our Schedule and held to our rules.

A trigger is asked (previous fire time, now) and may let its answer hang on both; a Schedule's hangs on the
instant alone. So:

- A trigger is asked without a previous fire time, as if just started. One that then says its first fire
  time, whatever the time is, is stepped from there, and the row is kept.
- CronTrigger and CalendarIntervalTrigger count on a wall clock without shifts, and `wallclock` maps to UTC.
  By themselves they pass over hours after a shift, or do not, as the question comes from far or near.
- Combinations are made here. APScheduler's own hand the previous fire time of one trigger to the others, and
  its AndTrigger searches for ever where two never agree.
"""

from __future__ import annotations

import inspect
import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from beatd.errors import FieldError, did_you_mean, nearest
from beatd.schedules import wallclock
from beatd.schedules.base import MICROSECOND, Schedule, as_utc

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

CustomFactory = Callable[..., "BaseTrigger"]

#: Instants at which a new trigger is tried out.
_PROBES = tuple(datetime(year, 3, 17, 12, 34, 56, tzinfo=UTC) for year in (1990, 2024, 2031))
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
    factory = factories.get(name)
    if factory is None:
        known = f"allowed are {', '.join(sorted(factories))}" if factories else "there are none"
        problem = f"is not among the configuration's schedules.custom; {known}"
        raise FieldError("custom", name, problem + did_you_mean(nearest(name, factories)))
    return _schedule(name, json.dumps(arguments, sort_keys=True), timezone, factory)


@lru_cache(maxsize=1024)
def _schedule(name: str, arguments: str, timezone: ZoneInfo, factory: CustomFactory) -> CustomSchedule:
    """Equal ones are made and tried once, and share what they have stepped over."""
    from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger

    rule, again = (_rule(_make(name, factory, arguments, timezone), name) for _ in range(2))
    if rule.next_fire_time(_PROBES[0]) is None:
        raise FieldError("custom_args", arguments, f"never fires after {_PROBES[0]:%Y}")
    answers = [rule.next_fire_time(instant) for instant in _PROBES]
    is_steady = answers == [again.next_fire_time(instant) for instant in _PROBES[::-1]][::-1]
    # This one starts on the day on which it is made: no two of one day differ.
    starts_today = factory is CalendarIntervalTrigger and "start_date" not in json.loads(arguments)
    if starts_today or not is_steady:
        raise FieldError("custom_args", arguments, _HISTORY, example='{"start_date": "2026-01-01"}')
    return CustomSchedule(name, arguments, timezone, rule)


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


def _make(name: str, factory: CustomFactory, arguments: str, timezone: ZoneInfo) -> BaseTrigger:
    from apscheduler.triggers.base import BaseTrigger

    given = json.loads(arguments)
    if "timezone" in _parameters(factory):
        given.setdefault("timezone", timezone)
    try:
        trigger = factory(**given)
    except Exception as error:
        raise FieldError("custom_args", arguments, f"{name!r} does not take them: {_said(error)}") from error
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
    from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
    from apscheduler.triggers.combining import AndTrigger, OrTrigger
    from apscheduler.triggers.cron import CronTrigger

    if getattr(trigger, "jitter", None):
        raise FieldError(
            "custom", name, "the trigger's own jitter is random; give the entry's jitter instead"
        )
    if isinstance(trigger, AndTrigger | OrTrigger):
        parts = tuple(_rule(part, name) for part in trigger.triggers)
        return _Both(parts, name) if isinstance(trigger, AndTrigger) else _Either(parts)
    if type(trigger) in (CronTrigger, CalendarIntervalTrigger):
        return _OnWall(trigger, name)
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


class _OnWall(Schedule):
    """A CronTrigger or CalendarIntervalTrigger under the rules of our own: times that are skipped run after
    the gap and those that come twice run first, unless minute or hour begin with `*`."""

    def __init__(self, trigger: BaseTrigger, name: str) -> None:
        self._zone = trigger.timezone
        fields = {field.name: str(field) for field in getattr(trigger, "fields", ())}
        wildcard = any(fields.get(name, "").startswith("*") for name in ("hour", "minute"))
        self._gap, self._fold = ("skip", "both") if wildcard else ("run_after", "first")
        self._walls = _Asked(self._without_shifts(trigger), name)

    def next_fire_time(self, after: datetime) -> datetime | None:
        return wallclock.next_instant(self, self._zone, after, gap=self._gap, fold=self._fold)

    def next_wall(self, after: datetime) -> datetime | None:
        """The first wall time (naive) strictly after a wall time (naive)."""
        wall = self._walls.next_fire_time(after.replace(tzinfo=UTC))
        return None if wall is None else wall.replace(tzinfo=None)

    def _without_shifts(self, trigger: BaseTrigger) -> BaseTrigger:
        """The same in UTC, of which each instant stands for the wall time that it shows."""
        state = trigger.__getstate__() | {"timezone": UTC}
        for limit in ("start_date", "end_date"):
            if isinstance(state[limit], datetime):
                state[limit] = state[limit].astimezone(self._zone).replace(tzinfo=UTC)
        moved = copy(trigger)
        moved.__setstate__(state)
        return moved


class _Asked(Schedule):
    """A trigger, asked as if it had just started."""

    def __init__(self, trigger: BaseTrigger, name: str) -> None:
        self._trigger = trigger
        self._name = name
        #: Fire times that follow one another, and the last as the trigger gave it, in its own zone.
        self._row: list[datetime] = []
        self._last: datetime | None = None
        self._lock = Lock()

    def next_fire_time(self, after: datetime) -> datetime | None:
        if after >= _END:
            return None
        answer = self._ask(None, after + MICROSECOND)
        if answer is None or as_utc(answer) > after:
            return answer and as_utc(answer)
        return self._next_in_row(answer, after)

    def _next_in_row(self, first: datetime, after: datetime) -> datetime | None:
        """The first after an instant of the fire times that follow one another from `first` on."""
        with self._lock:
            if self._row[:1] != [as_utc(first)]:
                self._row, self._last = [as_utc(first)], first
            row = self._row
            while row[-1] <= after:
                following = self._ask(self._last, row[-1])
                if following is None:
                    return None
                if as_utc(following) <= row[-1]:
                    raise self._broken(f"gave {following} after {self._last}")
                if len(row) == _MOST_STEPS:
                    raise self._broken(f"is more than {_MOST_STEPS} fire times from its first, {first}")
                row.append(as_utc(following))
                self._last = following
            return row[bisect_right(row, after)]

    def _ask(self, previous: datetime | None, now: datetime) -> datetime | None:
        try:
            answer = self._trigger.get_next_fire_time(previous, now)
        except Exception as error:
            raise self._broken(f"failed: {_said(error)}") from error
        if answer is not None and not (isinstance(answer, datetime) and answer.tzinfo is not None):
            raise self._broken(f"gave {answer!r}, which is not an instant with a zone")
        return answer

    def _broken(self, problem: str) -> FieldError:
        return FieldError("custom", self._name, f"the trigger {problem}")


_END = datetime(9000, 1, 1, tzinfo=UTC)
