"""When an entry fires, read from its columns: the rule, its limits, its calendar, its jitter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.errors import FieldError, did_you_mean, nearest
from beatd.planning.examples import EXAMPLES, given
from beatd.planning.policies import LONGEST_EXPIRY
from beatd.planning.reading import Columns, Reader, one_of, table, text
from beatd.schedules import (
    BootSchedule,
    Calendared,
    CustomFactory,
    DateSet,
    IntervalSchedule,
    Limited,
    OnceSchedule,
    Schedule,
    format_instant,
    jitter_of,
    make_custom,
    parse_calendar_interval,
    parse_cron,
    parse_duration,
    parse_instant,
    parse_solar,
    parse_zone,
)

#: The columns of which an entry has exactly one.
KINDS = ("cron", "every", "at", "calendar_every", "solar", "custom")

#: Columns that mean something beside certain kinds only.
BELONGS_TO = {
    "dst_gap": ("cron", "calendar_every"),
    "dst_fold": ("cron", "calendar_every"),
    "fixed_delay": ("every",),
    "time": ("calendar_every",),
    "day": ("calendar_every",),
    "latitude": ("solar",),
    "longitude": ("solar",),
    "custom_args": ("custom",),
    "host": ("cron",),
}

#: What a schedule without fire times ahead cannot have.
_NOT_AT_BOOT = ("start_at", "end_at", "max_runs", "calendar", "jitter", "dst_gap", "dst_fold")

_CALENDAR_ACTIONS = ("drop", "next", "previous")
_MOST_RUNS = 1_000_000_000
_REBOOT = "@reboot"
_ADD_CALENDAR = "beatd calendar add holidays --country DE"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What definitions depend on besides their own columns.

    `calendars` and `custom` are those that entries may name; `reports` tells whether workers say what
    becomes of a run.
    """

    default_timezone: str = "UTC"
    calendars: Mapping[str, DateSet] = field(default_factory=dict)
    custom: Mapping[str, CustomFactory] = field(default_factory=dict)
    reports: bool = True


@dataclass(frozen=True, slots=True)
class Timing:
    """`name` is the entry's, which hashes depend on. With `fixed_delay` the schedule is that of an entry
    that has not run yet; `delayed_from` gives the one after a run.
    """

    name: str
    schedule: Schedule
    timezone: ZoneInfo
    jitter: timedelta | None = None
    max_runs: int | None = None
    fixed_delay: bool = False

    @property
    def at_boot(self) -> bool:
        return isinstance(self.schedule, BootSchedule)

    def due_time(self, fire_time: datetime) -> datetime:
        """When the run of a fire is to be published: the jitter stays below the distance to the next."""
        if self.jitter is None:
            return fire_time
        following = self.following(fire_time)
        limit = self.jitter if following is None else min(self.jitter, following - fire_time)
        return fire_time + jitter_of(self.name, fire_time, limit)

    def following(self, fire_time: datetime) -> datetime | None:
        """The fire after this one, if this one's run takes no time."""
        schedule = self.delayed_from(fire_time) if self.fixed_delay else self.schedule
        return next_fire_time(schedule, fire_time)

    def delayed_from(self, last_end: datetime | None) -> Schedule:
        """The schedule of an entry with `fixed_delay` whose last run ended then."""
        return self.schedule if last_end is None else _anchored(self.schedule, last_end)


def parse_timing(
    reader: Reader, name: str, created_at: datetime, surroundings: Surroundings
) -> Timing | None:
    """None if something is wrong; the reader has the findings.

    `created_at` anchors what has no `start_at`.
    """
    timezone = reader.read("timezone", lambda value: parse_zone(text("timezone", value)))
    if timezone is None:
        # of a zone that cannot be read the finding is kept; the rest is still looked at
        timezone = reader.group(lambda: parse_zone(surroundings.default_timezone))
    if timezone is None:
        return None
    jitter = reader.duration("jitter")
    max_runs = reader.whole("max_runs", 1, _MOST_RUNS)
    fixed_delay = bool(reader.boolean("fixed_delay"))
    schedule = reader.group(lambda: _schedule(reader.columns, name, timezone, created_at, surroundings))
    if jitter is not None and jitter > LONGEST_EXPIRY:
        reader.refuse("jitter", "is longer than a day; allowed are 1s to 1d", EXAMPLES["jitter"])
    if schedule is None:
        return None
    return Timing(name, schedule, timezone, jitter, max_runs, fixed_delay)


@lru_cache(maxsize=50_000)
def next_fire_time(schedule: Schedule, after: datetime) -> datetime | None:
    """Equal rules share one computation: many entries have few distinct rules, due at the same instants."""
    return schedule.next_fire_time(after)


def forget() -> None:
    """Forgets computed fire times: the zone data that they came from is another now."""
    next_fire_time.cache_clear()


def _schedule(
    columns: Columns, name: str, timezone: ZoneInfo, created_at: datetime, surroundings: Surroundings
) -> Schedule:
    kind = _kind(columns)
    if kind == "cron" and text("cron", columns["cron"]).strip() == _REBOOT:
        return _boot(columns)
    _refuse(columns, ("host",), f"is for cron {_REBOOT!r}", f"cron = {_REBOOT!r}")
    start_at, end_at = _limits(columns, timezone)
    rule = _rule(kind, columns, name, timezone, start_at or created_at, surroundings)
    # the anchor of an interval is its start
    limited_from = None if kind == "every" else start_at
    if end_at is not None:
        first = Limited(rule, limited_from).next_fire_time((start_at or created_at) - _TICK)
        if first is None or first > end_at:
            soonest = None if first is None else format_instant(first)
            problem = "no fire time comes before it" + (f"; the first is {soonest}" if soonest else "")
            raise FieldError("end_at", columns["end_at"], problem, example=soonest)
    calendar = _calendar(columns, surroundings)
    if calendar is not None:
        action = one_of("calendar_action", columns.get("calendar_action") or "drop", _CALENDAR_ACTIONS)
        if action != "drop" and columns.get("fixed_delay"):
            problem = "must be 'drop' beside fixed_delay: a fire that hangs on the run before cannot be moved"
            raise FieldError("calendar_action", action, problem, example="drop")
        rule = Calendared(rule, calendar, action, timezone, columns["calendar"])
    if limited_from is None and end_at is None:
        return rule
    return Limited(rule, limited_from, end_at)


def _kind(columns: Columns) -> str:
    named = [kind for kind in KINDS if columns.get(kind) is not None]
    if len(named) != 1:
        problem = f"give exactly one of {', '.join(KINDS[:-1])} and {KINDS[-1]}"
        raise FieldError("schedule", " and ".join(named) or None, problem, example=given("cron"))
    for column, kinds in BELONGS_TO.items():
        if columns.get(column) not in (None, False) and named[0] not in kinds:
            problem = f"is for {' and '.join(kinds)} only"
            raise FieldError(column, columns[column], problem, example=given(kinds[-1]))
    return named[0]


def _rule(
    kind: str,
    columns: Columns,
    name: str,
    timezone: ZoneInfo,
    anchor: datetime,
    surroundings: Surroundings,
) -> Schedule:
    def word(column: str) -> str | None:
        return None if columns.get(column) is None else text(column, columns[column])

    value = text(kind, columns[kind])
    dst = {"dst_gap": word("dst_gap"), "dst_fold": word("dst_fold")}
    if kind == "cron":
        return parse_cron(value, timezone, name=name or None, **dst)
    if kind == "every":
        started = columns.get("start_at") is not None
        return IntervalSchedule(parse_duration(value, "every"), anchor, include_anchor=started)
    if kind == "at":
        return OnceSchedule(parse_instant(value, timezone, "at"))
    if kind == "calendar_every":
        return parse_calendar_interval(
            value, timezone, time=word("time"), day=word("day"), anchor=anchor, **dst
        )
    if kind == "solar":
        latitude, longitude = word("latitude"), word("longitude")
        if latitude is None or longitude is None:
            missing = "longitude" if latitude else "latitude"
            raise FieldError(missing, None, "is wanted with solar", example=EXAMPLES[missing])
        return parse_solar(value, latitude, longitude)
    written = columns.get("custom_args")
    arguments = {} if written is None else table("custom_args", written)
    return make_custom(value, arguments, timezone, surroundings.custom)


def _boot(columns: Columns) -> BootSchedule:
    problem = f"means nothing for cron {_REBOOT!r}, which has no fire times ahead"
    _refuse(columns, _NOT_AT_BOOT, problem, given("cron"))
    host = columns.get("host")
    if host is not None and not text("host", host).strip():
        raise FieldError("host", host, "the name of a machine", example=EXAMPLES["host"])
    return BootSchedule(host)


def _refuse(columns: Columns, names: tuple[str, ...], problem: str, example: str) -> None:
    for name in names:
        if columns.get(name) is not None:
            raise FieldError(name, columns[name], problem, example=example)


def _limits(columns: Columns, timezone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    limits = {
        name: parse_instant(text(name, columns[name]), timezone, name)
        for name in ("start_at", "end_at")
        if columns.get(name) is not None
    }
    start_at, end_at = limits.get("start_at"), limits.get("end_at")
    if start_at and end_at and end_at < start_at:
        problem = f"before start_at {columns['start_at']!r}"
        raise FieldError("end_at", columns["end_at"], problem, example=EXAMPLES["end_at"])
    return start_at, end_at


def _calendar(columns: Columns, surroundings: Surroundings) -> DateSet | None:
    name, known = columns.get("calendar"), sorted(surroundings.calendars)
    if name is None:
        example = f"calendar = {(known or [EXAMPLES['calendar']])[0]!r}"
        _refuse(columns, ("calendar_action",), "is of no use without calendar", example)
        return None
    found = surroundings.calendars.get(text("calendar", name))
    if found is None:
        near = nearest(name, known)
        hint = did_you_mean(near) or f"; there are: {', '.join(known) or 'none'}"
        example = next(iter(near or known), _ADD_CALENDAR)
        raise FieldError("calendar", name, f"there is no such calendar{hint}", example=example)
    return found


def _anchored(schedule: Schedule, anchor: datetime) -> Schedule:
    if isinstance(schedule, IntervalSchedule):
        return IntervalSchedule(schedule.every, anchor.astimezone(UTC))
    if isinstance(schedule, Limited | Calendared):
        return replace(schedule, schedule=_anchored(schedule.schedule, anchor))
    return schedule
