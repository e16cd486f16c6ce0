"""An entry's definition, read from the plain text that operators write.

Everything wrong with it is found at once, each finding with the field, the value and what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from beatd.errors import FieldError, InvalidInput
from beatd.planning.policies import LOST_AFTER, MISFIRES, OVERLAPS, Policies
from beatd.planning.task import RUN_ONCE_TASKS, TaskSpec
from beatd.schedules import (
    IntervalSchedule,
    Limited,
    OnceSchedule,
    Schedule,
    parse_cron,
    parse_duration,
    parse_instant,
    parse_zone,
)

Columns = Mapping[str, Any]
_T = TypeVar("_T")

NAME_LENGTH = 200
_MISFIRE_LIMIT = 1_000
_PRIORITY = 255


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of an entry, ready to be planned and published."""

    name: str
    enabled: bool
    schedule: Schedule
    timezone: ZoneInfo
    task: TaskSpec
    policies: Policies

    @property
    def run_once(self) -> bool:
        """Whether the task claims its run before it starts."""
        return self.task.task in RUN_ONCE_TASKS


def parse_definition(columns: Columns, *, created_at: datetime, default_timezone: str = "UTC") -> Definition:
    """Reads the columns of `entries` (or their copy in `entry_versions`).

    `created_at` anchors an interval that has no `start_at`. Raises InvalidInput with every finding.
    """
    reader = _Reader(columns)
    name = reader.read("name", _name, "") or ""
    timezone = reader.read("timezone", lambda text: parse_zone(_text("timezone", text)), default_timezone)
    schedule = reader.group(lambda: _schedule(columns, timezone or ZoneInfo("UTC"), created_at))
    task = _task(reader, name)
    policies = _policies(reader, task.time_limit)
    if timezone is None or schedule is None or reader.findings:
        raise InvalidInput(reader.findings)
    return Definition(name, bool(columns.get("enabled", True)), schedule, timezone, task, policies)


class _Reader:
    """Reads one column after the other and keeps what is wrong with each."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.findings: list[FieldError] = []

    def read(self, column: str, parse: Callable[[Any], _T], default: Any = None) -> _T | None:
        value = self.columns.get(column)
        value = default if value is None else value
        return None if value is None else self.group(lambda: parse(value))

    def group(self, parse: Callable[[], _T]) -> _T | None:
        try:
            return parse()
        except FieldError as finding:
            self.findings.append(finding)
        except InvalidInput as several:
            self.findings += several.findings
        return None


def _schedule(columns: Columns, timezone: ZoneInfo, created_at: datetime) -> Schedule:
    given = [name for name in ("cron", "every", "at") if columns.get(name) is not None]
    if len(given) != 1:
        problem = "give exactly one of cron, every and at"
        raise FieldError("schedule", " and ".join(given) or None, problem, example="*/5 * * * *")
    kind = given[0]
    text = _text(kind, columns[kind])
    limits = {
        name: parse_instant(_text(name, columns[name]), timezone, name)
        for name in ("start_at", "end_at")
        if columns.get(name) is not None
    }
    start_at, end_at = limits.get("start_at"), limits.get("end_at")
    if start_at and end_at and end_at < start_at:
        raise FieldError("end_at", columns["end_at"], f"before start_at {columns['start_at']!r}")
    for name in ("dst_gap", "dst_fold"):
        if columns.get(name) is not None and kind != "cron":
            raise FieldError(name, columns[name], "only a cron schedule follows the wall clock")

    schedule: Schedule
    if kind == "cron":
        schedule = parse_cron(
            text, timezone, dst_gap=columns.get("dst_gap"), dst_fold=columns.get("dst_fold")
        )
    elif kind == "every":
        anchor = start_at or created_at
        schedule = IntervalSchedule(
            parse_duration(text, "every"), anchor, include_anchor=start_at is not None
        )
        start_at = None
    else:
        schedule = OnceSchedule(parse_instant(text, timezone, "at"))
    if start_at is None and end_at is None:
        return schedule
    return Limited(schedule, start_at, end_at)


def _task(reader: _Reader, entry: str) -> TaskSpec:
    def word(column: str) -> str | None:
        return reader.read(column, lambda text: _text(column, text))

    reader.group(lambda: _routed(reader.columns))
    return TaskSpec(
        entry=entry,
        task=reader.read("task", _task_name, "") or "",
        args=tuple(reader.read("args", lambda text: _json("args", text, list, "[1, 2]")) or ()),
        kwargs=reader.read("kwargs", lambda text: _json("kwargs", text, dict, '{"key": "value"}')) or {},
        headers=reader.read("headers", lambda text: _json("headers", text, dict, '{"key": "value"}')) or {},
        link=reader.read("link", lambda text: _names("link", text)) or (),
        link_error=reader.read("link_error", lambda text: _names("link_error", text)) or (),
        queue=word("queue"),
        exchange=word("exchange"),
        routing_key=word("routing_key"),
        serializer=word("serializer"),
        compression=word("compression"),
        priority=reader.read("priority", lambda value: _whole("priority", value, 0, _PRIORITY)),
        time_limit=_seconds(reader, "time_limit"),
        soft_time_limit=_seconds(reader, "soft_time_limit"),
        ignore_result=reader.read("ignore_result", bool),
        exchange_type=reader.read(
            "exchange_type", lambda text: _one_of("exchange_type", text, ("direct", "topic"))
        ),
    )


def _routed(columns: Columns) -> None:
    """Celery takes an exchange without a routing key for no exchange at all, and says nothing."""
    if columns.get("exchange") is not None and columns.get("routing_key") is None:
        problem = f"is wanted with exchange {columns['exchange']!r}"
        raise FieldError("routing_key", None, problem, example="jobs.slow")
    if columns.get("exchange_type") is not None and columns.get("exchange") is None:
        raise FieldError("exchange_type", columns["exchange_type"], "is of no use without exchange")


def _policies(reader: _Reader, time_limit: float | None) -> Policies:
    default = Policies()
    lost_after = max(LOST_AFTER, timedelta(seconds=2 * time_limit)) if time_limit else LOST_AFTER
    return Policies(
        expires=reader.read("expires", _expires) or default.expires,
        misfire=reader.read("misfire", lambda text: _one_of("misfire", text, MISFIRES)) or default.misfire,
        misfire_grace=reader.read("misfire_grace", lambda text: _duration("misfire_grace", text)),
        misfire_limit=reader.read("misfire_limit", lambda n: _whole("misfire_limit", n, 1, _MISFIRE_LIMIT))
        or default.misfire_limit,
        overlap=reader.read("overlap", lambda text: _one_of("overlap", text, OVERLAPS)) or default.overlap,
        lost_after=reader.read("lost_after", lambda text: _duration("lost_after", text)) or lost_after,
    )


def _name(value: Any) -> str:
    text = _text("name", value)
    if not text.strip() or text != text.strip() or not text.isprintable() or len(text) > NAME_LENGTH:
        problem = f"1 to {NAME_LENGTH} printable characters, none of them blank at either end"
        raise FieldError("name", value, problem, example="nightly-backup")
    return text


def _task_name(value: Any) -> str:
    text = _text("task", value)
    if not text or any(character.isspace() for character in text):
        problem = "the name of a Celery task (or --shell, --http)"
        raise FieldError("task", value, problem, example="proj.tasks.cleanup")
    return text


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(field, value, "text is wanted")
    return value


def _duration(field: str, value: Any) -> timedelta:
    return parse_duration(_text(field, value), field)


def _seconds(reader: _Reader, field: str) -> float | None:
    duration = reader.read(field, lambda text: _duration(field, text))
    return None if duration is None else duration.total_seconds()


def _expires(value: Any) -> timedelta | Any:
    text = _text("expires", value)
    if text in ("next", "never"):
        return text
    try:
        return parse_duration(text, "expires")
    except FieldError as error:
        raise FieldError("expires", value, "a duration, 'next' or 'never'", example="10m") from error


def _one_of(field: str, value: Any, allowed: tuple[_T, ...]) -> _T:
    for choice in allowed:
        if choice == value:
            return choice
    raise FieldError(field, value, f"one of {', '.join(map(str, allowed))}", example=str(allowed[0]))


def _whole(field: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise FieldError(field, value, f"a whole number from {least} to {most}")
    return value


def _json(field: str, value: Any, kind: type[_T], example: str) -> _T:
    wanted = "a JSON array" if kind is list else "a JSON object"
    try:
        parsed = json.loads(_text(field, value), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FieldError(field, value, f"not {wanted}: {error}", example=example) from error
    if not isinstance(parsed, kind):
        raise FieldError(field, value, f"not {wanted}", example=example)
    return parsed


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _names(field: str, value: Any) -> tuple[str, ...]:
    names = [name.strip() for name in _text(field, value).split(",")]
    if not all(names):
        raise FieldError(field, value, "task names separated by commas", example="proj.tasks.notify")
    return tuple(names)
