"""An entry's definition, read from the plain text that operators write.

Everything wrong with it is found at once, each finding with the field, the value and what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from beatd import weburls
from beatd.errors import FieldError, InvalidInput
from beatd.planning.examples import EXAMPLES, given
from beatd.planning.policies import LOST_AFTER, MISFIRES, ON_FAILURE, ON_LOST, OVERLAPS, Policies
from beatd.planning.reading import Columns, Reader, text
from beatd.planning.task import RUN_ONCE_TASKS, TaskSpec
from beatd.planning.timing import Surroundings, Timing, parse_timing
from beatd.schedules import Schedule, format_duration, parse_duration, parse_instant

NAME_LENGTH = 200
_LIMIT = 1_000
_PRIORITY = 255
_HOUR = timedelta(hours=1)
_UTC = ZoneInfo("UTC")
_ALONE = Surroundings()

#: What each must be where workers do not report.
_WITHOUT_REPORTS = {"overlap": "allow", "fixed_delay": "false", "on_failure": "continue"}


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of an entry, ready to be planned and published.

    It is paused where `enabled` is false, and before `paused_until`.
    """

    name: str
    enabled: bool
    timing: Timing
    task: TaskSpec
    policies: Policies
    paused_until: datetime | None = None

    @property
    def schedule(self) -> Schedule:
        return self.timing.schedule

    @property
    def timezone(self) -> ZoneInfo:
        return self.timing.timezone

    @property
    def run_once(self) -> bool:
        """Whether the task claims its run before it starts."""
        return self.task.task in RUN_ONCE_TASKS

    @property
    def awaits_end(self) -> bool:
        """Whether something is to happen when a run ends."""
        return (
            self.policies.overlap in ("queue", "cancel")
            or self.policies.on_failure == "pause"
            or self.timing.fixed_delay
        )


def parse_definition(
    columns: Columns, *, created_at: datetime, surroundings: Surroundings = _ALONE
) -> Definition:
    """Reads the columns of `entries` (or their copy in `entry_versions`).

    `created_at` anchors what has no `start_at`. Raises InvalidInput with every finding.
    """
    reader = Reader(columns)
    name = reader.read("name", _name, "") or ""
    timing = parse_timing(reader, name, created_at, surroundings)
    task = _task(reader, name)
    policies = _policies(reader, task.time_limit)
    reader.read("mailto", _mailto)
    for column in ("ping_url", "alert_url"):
        reader.read(column, partial(_web_url, column))
    zone = timing.timezone if timing is not None else reader.known.get("timezone", _UTC)
    paused_until = reader.read("paused_until", lambda value: _instant("paused_until", value, zone))
    _refuse_contradictions(reader, policies, surroundings)
    if timing is None or reader.findings:
        raise InvalidInput(reader.findings)
    return Definition(name, bool(columns.get("enabled", True)), timing, task, policies, paused_until)


def _refuse_contradictions(reader: Reader, policies: Policies, surroundings: Surroundings) -> None:
    expires, jitter, fixed_delay = policies.expires, *map(reader.known.get, ("jitter", "fixed_delay"))
    if jitter is not None and isinstance(expires, timedelta) and expires <= jitter:
        longer = format_duration(max(2 * jitter, _HOUR))
        reader.refuse("expires", f"is not longer than jitter {reader.columns['jitter']!r}", longer)
    if fixed_delay and policies.overlap != "allow":
        problem = "means nothing beside fixed_delay, whose runs follow each other; allowed is 'allow'"
        reader.refuse("overlap", problem, "allow")
    if "failure_limit" in reader.known and reader.columns.get("on_failure") in (None, "continue"):
        reader.refuse("failure_limit", "is of no use without on_failure = 'pause'", given("on_failure"))
    if surroundings.reports:
        return
    wants_reports = {
        "overlap": policies.overlap != "allow",
        "fixed_delay": fixed_delay,
        "on_failure": policies.on_failure != "continue",
    }
    for column in (column for column, wanted in wants_reports.items() if wanted):
        without = _WITHOUT_REPORTS[column]
        problem = f"needs workers that report, and celery.reports is false; allowed is {without!r}"
        reader.refuse(column, problem, without)


def _task(reader: Reader, entry: str) -> TaskSpec:
    reader.group(lambda: _routed(reader.columns))
    return TaskSpec(
        entry=entry,
        task=reader.read("task", _task_name, "") or "",
        args=tuple(reader.array("args") or ()),
        kwargs=reader.table("kwargs") or {},
        headers=reader.table("headers") or {},
        link=reader.read("link", lambda value: _names("link", value)) or (),
        link_error=reader.read("link_error", lambda value: _names("link_error", value)) or (),
        queue=reader.text("queue"),
        exchange=reader.text("exchange"),
        routing_key=reader.text("routing_key"),
        serializer=reader.text("serializer"),
        compression=reader.text("compression"),
        priority=reader.whole("priority", 0, _PRIORITY),
        time_limit=reader.seconds("time_limit"),
        soft_time_limit=reader.seconds("soft_time_limit"),
        ignore_result=reader.boolean("ignore_result"),
        exchange_type=reader.one_of("exchange_type", ("direct", "topic")),
    )


def _routed(columns: Columns) -> None:
    """Celery takes an exchange without a routing key for no exchange at all, and says nothing."""
    if columns.get("exchange") is not None and columns.get("routing_key") is None:
        problem = f"is wanted with exchange {columns['exchange']!r}"
        raise FieldError("routing_key", None, problem, example=EXAMPLES["routing_key"])
    if columns.get("exchange_type") is not None and columns.get("exchange") is None:
        problem = "is of no use without exchange"
        raise FieldError("exchange_type", columns["exchange_type"], problem, example=given("exchange"))


def _policies(reader: Reader, time_limit: float | None) -> Policies:
    default = Policies()
    lost_after = max(LOST_AFTER, timedelta(seconds=2 * time_limit)) if time_limit else LOST_AFTER
    return Policies(
        expires=reader.read("expires", _expires) or default.expires,
        misfire=reader.one_of("misfire", MISFIRES) or default.misfire,
        misfire_grace=reader.duration("misfire_grace"),
        misfire_limit=reader.whole("misfire_limit", 1, _LIMIT) or default.misfire_limit,
        overlap=reader.one_of("overlap", OVERLAPS) or default.overlap,
        on_failure=reader.one_of("on_failure", ON_FAILURE) or default.on_failure,
        failure_limit=reader.whole("failure_limit", 1, _LIMIT) or default.failure_limit,
        on_lost=reader.one_of("on_lost", ON_LOST) or default.on_lost,
        lost_after=reader.duration("lost_after") or lost_after,
    )


def _name(value: Any) -> str:
    name = text("name", value)
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        problem = f"1 to {NAME_LENGTH} printable characters, none of them blank at either end"
        raise FieldError("name", value, problem, example=EXAMPLES["name"])
    return name


def _task_name(value: Any) -> str:
    name = text("task", value)
    if not name or any(character.isspace() for character in name):
        problem = "the name of a Celery task (or --shell, --http)"
        raise FieldError("task", value, problem, example=EXAMPLES["task"])
    return name


def _mailto(value: Any) -> str:
    """Checked and kept: nothing is mailed yet."""
    addresses = text("mailto", value)
    if not addresses.strip() or not addresses.isprintable():
        problem = "whom the output is mailed to, in one line"
        raise FieldError("mailto", value, problem, example=EXAMPLES["mailto"])
    return addresses


def _web_url(field: str, value: Any) -> str:
    """Checked here, so that a ping that could never be sent is refused; the daemon reads it when it sends."""
    try:
        return weburls.check(text(field, value))
    except ValueError as error:
        raise FieldError(field, value, str(error), example=EXAMPLES[field]) from None


def _instant(field: str, value: Any, timezone: ZoneInfo) -> datetime:
    return parse_instant(text(field, value), timezone, field)


def _expires(value: Any) -> timedelta | Any:
    written = text("expires", value)
    if written in ("next", "never"):
        return written
    try:
        return parse_duration(written, "expires")
    except FieldError as error:
        example = EXAMPLES["expires"]
        raise FieldError("expires", value, "a duration, 'next' or 'never'", example=example) from error


def _names(field: str, value: Any) -> tuple[str, ...]:
    names = [name.strip() for name in text(field, value).split(",")]
    if not all(names):
        raise FieldError(field, value, "task names separated by commas", example=EXAMPLES[field])
    return tuple(names)
