"""One entry of beat as an entry that does the same: what it runs, where its message goes, until when."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from beatd.broker.periodic import Periodic
from beatd.errors import FieldError
from beatd.migrate.celery_beat import timing
from beatd.migrate.found import Found, Origin, Reading
from beatd.schedules import format_duration, format_instant, parse_instant, parse_zone

KIND = "celery"


def reading(
    source: str, periodics: Sequence[Periodic], where: Callable[[Periodic], str], now: datetime
) -> Reading:
    """What becomes of all of a source's entries. `where` is the place of each as messages have it, with its
    name; an end that is before `now` has passed."""
    found: list[Found] = []
    refused: list[FieldError] = []
    for periodic in periodics:
        place = where(periodic)
        one = _Entry(periodic, now)
        if one.findings:
            refused += [finding.at(place) for finding in one.findings]
            continue
        origin = Origin(KIND, source, periodic.key, _text(periodic))
        found.append(Found(origin, place, (periodic.key, periodic.task), one.options, tuple(one.warnings)))
    keys = {(KIND, source): frozenset(periodic.key for periodic in periodics)}
    return Reading(tuple(found), tuple(refused), tuple(_notes(found)), keys)


def _notes(found: Sequence[Found]) -> Iterator[str]:
    held = [one.names[0] for one in found if one.options.get("dst_fold")]
    if held:
        have = "has" if len(held) == 1 else "have"
        yield (
            f"{len(held)} of them {have} dst_fold = first: when the clock is set back, Celery runs nothing "
            "in the hour that comes again, nor do they; beatd entry set NAME --dst-fold both changes that"
        )


def _text(periodic: Periodic) -> str:
    """What stands there, in one line that is the same as long as the entry is."""
    call = f"{periodic.task}({', '.join([*map(repr, periodic.args), *_pairs(periodic.kwargs)])})"
    return " ".join([f"{periodic.rule}: {call}", *_pairs(periodic.options)])


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in values.items()]


class _Entry:
    """Reads one; what is wrong with it is all found at once."""

    def __init__(self, periodic: Periodic, now: datetime) -> None:
        self.options: dict[str, Any] = {}
        self.warnings = list(periodic.warnings)
        self.findings = list(periodic.findings)
        self._now = now
        self._collect(lambda: self._when(periodic))
        self.options["task"] = periodic.task
        self._collect(lambda: self._argument("args", list(periodic.args)))
        self._collect(lambda: self._argument("kwargs", dict(periodic.kwargs)))
        self.options["expires"] = "never"  # a message of beat's waits until a worker takes it
        for name, value in periodic.options.items():
            if value is not None:
                self._collect(partial(self._option, name, value))
        self._routing()
        for name in ("description", "max_runs"):
            if value := getattr(periodic, name):
                self.options[name] = value
        if not periodic.enabled:
            self.options["enabled"] = False
        if periodic.added_by_beat:
            self.warnings.append("beat adds it by itself: it makes the result backend forget old results")

    def _collect(self, step: Callable[[], None]) -> None:
        try:
            step()
        except FieldError as finding:
            self.findings.append(finding)

    def _when(self, periodic: Periodic) -> None:
        if periodic.rule is None:
            return  # there is a finding of it
        options, warnings = timing.options_of(periodic.rule, self._now)
        self.options |= options
        self.warnings += warnings
        if periodic.start_at is not None:
            self.options["start_at"] = format_instant(periodic.start_at)
        if periodic.end_at is not None:
            self._end(periodic.end_at, "expires")

    def _end(self, instant: datetime, field: str) -> None:
        if instant <= self._now:
            problem = "that has passed: beat runs it no more"
            raise FieldError(
                field, format_instant(instant), problem, example="a number of seconds, or no expiry"
            )
        self.options["end_at"] = timing.before(instant)
        self.warnings.append(
            f"{field} is one instant: nothing is due from it on (end_at), but a message that still waits "
            "then is run, which Celery would drop; --expires says how long one may wait"
        )

    def _argument(self, name: str, value: Any) -> None:
        if value:
            self.options[name] = _plain(name, value)

    # Options of apply_async

    def _option(self, name: str, value: Any) -> None:
        read = _OPTIONS.get(name)
        if read is not None:
            self.options |= {name: read(f"options.{name}", value)}
        elif name in ("expires", "expire_seconds"):
            self._expires(value)
        elif name == "headers":
            self.options["headers"] = _plain("options.headers", dict(value)) or None
        elif name in _OF_PUBLISHING | _ELSEWHERE or (name == "delivery_mode" and value in (2, "persistent")):
            return
        else:
            problem = _NOT_HERE.get(name, "beatd sends no message with this option")
            raise FieldError(f"options.{name}", value, problem)

    def _expires(self, value: Any) -> None:
        if isinstance(value, str):
            value = parse_instant(value, parse_zone("UTC"), "options.expires")
        if isinstance(value, datetime):
            instant = (
                value
                if value.tzinfo is not None
                else parse_instant(value.isoformat(), parse_zone("UTC"), "x")
            )
            self._end(instant, "options.expires")
        else:
            self.options["expires"] = _seconds("options.expires", value)

    def _routing(self) -> None:
        """Celery takes an exchange without a routing key for none."""
        if self.options.get("exchange") is not None and self.options.get("routing_key") is None:
            exchange = self.options.pop("exchange")
            self.options.pop("exchange_type", None)
            self.warnings.append(
                f"exchange {exchange!r} has no routing_key: Celery passes over it, so it is left out"
            )


def _plain(name: str, value: Any) -> Any:
    """The value as JSON has it. Raises FieldError for one that it has not."""
    _refuse_other(name, value)
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise FieldError(name, repr(value), f"cannot be written as JSON: {error}") from None


def _refuse_other(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise FieldError(
                    name, repr(key), "a key that is no text, which JSON has not", example=f'"{key}"'
                )
            _refuse_other(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_other(name, inner)
    elif value is not None and not isinstance(value, str | int | float):
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        problem = (
            f"a {kind}, which JSON has not; what a message holds must be texts, numbers, lists and dicts"
        )
        if type(value).__name__ == "BeatLazyFunc":
            problem = "BeatLazyFunc makes it anew for every message; let the task do that"
        raise FieldError(name, type(value).__qualname__, problem)


def _seconds(name: str, value: Any) -> str:
    """A number of seconds or a timedelta as a duration."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(name, repr(value), "a number of seconds is wanted", example="60")
    if value <= 0 or value != int(value):
        problem = "a whole number of seconds, at least 1, is wanted"
        raise FieldError(name, value, problem, example=str(max(1, math.ceil(value))))
    return format_duration(timedelta(seconds=int(value)))


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(name, repr(value), "text is wanted")
    return value


def _priority(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(name, repr(value), "a whole number from 0 to 255", example="5")
    return value


def _names(_name: str, value: Any) -> list[str]:
    return list(value)


_OPTIONS: Mapping[str, Callable[[str, Any], Any]] = {
    "queue": _word,
    "exchange": _word,
    "exchange_type": _word,
    "routing_key": _word,
    "serializer": _word,
    "compression": _word,
    "priority": _priority,
    "time_limit": _seconds,
    "soft_time_limit": _seconds,
    "ignore_result": lambda _name, value: bool(value),
    "link": _names,
    "link_error": _names,
}

#: How beat publishes. beatd publishes until the broker has confirmed it.
_OF_PUBLISHING = frozenset({"retry", "retry_policy", "mandatory", "immediate", "confirm_timeout"})

#: Of the schedulers that keep entries in a database; read with the entry.
_ELSEWHERE = frozenset({"one_off"})

_NOT_HERE = {
    "countdown": "beatd publishes when a run is due, and delays no message; shift the schedule",
    "eta": "beatd publishes when a run is due, and delays no message; shift the schedule",
    "task_id": "every run has an id of its own: one id for all would make their results one",
    "shadow": "beatd gives a task no other name; the entry's name is in the header beatd_entry",
    "chain": "an entry runs one task; let a task start the chain",
    "chord": "an entry runs one task; let a task start the chord",
}
