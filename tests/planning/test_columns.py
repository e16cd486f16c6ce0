"""Every column that is refused is named, and the example beside the refusal works."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from beatd.errors import FieldError, InvalidInput
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import KINDS as TIMING_KINDS
from beatd.planning.timing import Surroundings
from beatd.schedules import (
    BootSchedule,
    CalendarIntervalSchedule,
    IntervalSchedule,
    jitter_of,
    make_custom,
    parse_cron,
    parse_date_set,
)

UTC_ZONE = ZoneInfo("UTC")
CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
KNOWN = Surroundings(
    calendars={"works": parse_date_set("2026-12-25", None), "fairs": parse_date_set("2026-05-05", None)},
    custom={"hourly": IntervalTrigger, "noon": lambda: CronTrigger(hour=12, timezone="UTC")},
)

KINDS: dict[str, dict[str, Any]] = {
    "cron": {"cron": "0 3 * * *"},
    "every": {"every": "5m"},
    "at": {"at": "2026-04-01"},
    "calendar_every": {"calendar_every": "1mo"},
    "solar": {"solar": "dawn", "latitude": "52.52", "longitude": "13.4"},
    "custom": {"custom": "shifts"},
    "boot": {"cron": "@reboot"},
    "jittered": {"cron": "0 3 * * *", "jitter": "10m"},
    "routed": {"cron": "0 3 * * *", "exchange": "jobs", "routing_key": "jobs.slow"},
    "calendar": {"cron": "0 3 * * *", "calendar": "works"},
}


def read(columns: dict[str, Any]) -> Definition:
    return parse_definition(
        {"name": "backup", "task": "t", **columns}, created_at=CREATED, surroundings=KNOWN
    )


def refused(columns: dict[str, Any]) -> FieldError:
    [finding] = refused_all({"name": "backup", "task": "t", **columns}, KNOWN)
    return finding


def refused_all(columns: dict[str, Any], surroundings: Surroundings) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidInput) as caught:
        parse_definition(columns, created_at=CREATED, surroundings=surroundings)
    return caught.value.findings


TEXTS = [
    ("cron", "name task cron timezone start_at end_at jitter dst_gap dst_fold calendar paused_until"),
    ("cron", "args kwargs headers link link_error queue serializer compression time_limit soft_time_limit"),
    ("cron", "expires misfire_grace lost_after"),
    ("routed", "exchange routing_key"),
    ("every", "every"),
    ("at", "at"),
    ("calendar_every", "calendar_every time day dst_gap dst_fold"),
    ("solar", "solar latitude longitude"),
    ("custom", "custom custom_args"),
    ("boot", "host"),
]


@pytest.mark.parametrize(
    ("kind", "column"), [(kind, column) for kind, columns in TEXTS for column in columns.split()]
)
def test_what_is_no_text(kind: str, column: str) -> None:
    finding = refused({**KINDS[kind], column: 5})
    assert (finding.field, finding.value) == (column, 5)
    assert "text is wanted" in finding.problem
    mended = {**KINDS[kind], column: finding.example}
    # the configuration says which triggers there are, and which calendars somebody has added
    if column not in ("custom", "custom_args", "calendar"):
        read(mended)


EXAMPLES: list[tuple[str, str, Any]] = [
    # kind, column, a value that is refused
    ("cron", "name", ""),
    ("cron", "name", "backup\x00"),
    ("cron", "name", "b" * 201),
    ("cron", "task", ""),
    ("cron", "task", "two words"),
    ("cron", "cron", "61 * * * *"),
    ("cron", "timezone", "Berlin"),
    ("cron", "start_at", "soon"),
    ("cron", "end_at", "later"),
    ("cron", "jitter", "often"),
    ("cron", "jitter", "25h"),
    ("cron", "dst_gap", "often"),
    ("cron", "dst_fold", "often"),
    ("cron", "args", "{}"),
    ("cron", "args", "[1"),
    ("cron", "kwargs", "[]"),
    ("cron", "kwargs", "{1"),
    ("cron", "headers", "[]"),
    ("cron", "link", "a,,b"),
    ("cron", "link_error", ","),
    ("cron", "time_limit", "long"),
    ("cron", "soft_time_limit", "long"),
    ("cron", "expires", "soon"),
    ("cron", "misfire", "often"),
    ("cron", "misfire_grace", "often"),
    ("cron", "overlap", "often"),
    ("cron", "on_failure", "stop"),
    ("cron", "on_lost", "again"),
    ("cron", "lost_after", "late"),
    ("cron", "paused_until", "soon"),
    ("jittered", "expires", "10m"),
    ("routed", "exchange_type", "fanout"),
    ("routed", "routing_key", None),
    ("calendar", "calendar_action", "last"),
    ("every", "every", "0s"),
    ("at", "at", "tomorrow"),
    ("calendar_every", "calendar_every", "5m"),
    ("calendar_every", "time", "25:00"),
    ("calendar_every", "day", "32"),
    ("solar", "solar", "tea"),
    ("solar", "latitude", "91"),
    ("solar", "latitude", None),
    ("solar", "longitude", None),
]


@pytest.mark.parametrize(("kind", "column", "value"), EXAMPLES)
def test_the_example_beside_a_refusal_works(kind: str, column: str, value: Any) -> None:
    finding = refused({**KINDS[kind], column: value})
    assert (finding.field, finding.value) == (column, value)
    assert finding.example is not None
    read({**KINDS[kind], column: finding.example})


BESIDE: list[tuple[dict[str, Any], str, str, str | None]] = [
    # columns, the one that is refused, how the problem begins, the example if it is not of this column
    ({}, "schedule", "give exactly one of cron, every, at, ", "cron = '30 6 * * 1-5'"),
    ({**KINDS["cron"], **KINDS["every"]}, "schedule", "give exactly one of", "cron = '30 6 * * 1-5'"),
    (
        {**KINDS["every"], "dst_gap": "skip"},
        "dst_gap",
        "is for cron and calendar_every only",
        "calendar_every = '1mo'",
    ),
    (
        {**KINDS["every"], "dst_fold": "both"},
        "dst_fold",
        "is for cron and calendar_every only",
        "calendar_every = '1mo'",
    ),
    ({**KINDS["cron"], "fixed_delay": True}, "fixed_delay", "is for every only", "every = '10m'"),
    ({**KINDS["cron"], "time": "09:00"}, "time", "is for calendar_every only", "calendar_every = '1mo'"),
    ({**KINDS["cron"], "day": "last"}, "day", "is for calendar_every only", "calendar_every = '1mo'"),
    (
        {**KINDS["calendar_every"], "calendar_every": "2w", "day": "5"},
        "day",
        "only months and years",
        "calendar_every = '1mo'",
    ),
    ({**KINDS["cron"], "host": "db1"}, "host", "is for cron '@reboot'", "cron = '@reboot'"),
    *(
        ({**KINDS["boot"], **columns}, column, "means nothing for cron '@reboot'", "cron = '30 6 * * 1-5'")
        for columns in (
            {"start_at": "2026-04-01"},
            {"end_at": "2026-04-01"},
            {"max_runs": 3},
            {"calendar": "works"},
            {"jitter": "5m"},
            {"dst_gap": "skip"},
            {"dst_fold": "both"},
        )
        for column in columns
    ),
    (
        {**KINDS["cron"], "calendar": "work"},
        "calendar",
        "there is no such calendar; did you mean 'works'?",
        None,
    ),
    (
        {**KINDS["cron"], "calendar": "x"},
        "calendar",
        "there is no such calendar; there are: fairs, works",
        None,
    ),
    (
        {**KINDS["cron"], "calendar_action": "next"},
        "calendar_action",
        "is of no use without calendar",
        "calendar = 'fairs'",
    ),
    (
        {**KINDS["every"], "fixed_delay": True, "calendar": "works", "calendar_action": "next"},
        "calendar_action",
        "must be 'drop' beside fixed_delay",
        None,
    ),
    (
        {**KINDS["every"], "fixed_delay": True, "overlap": "skip"},
        "overlap",
        "means nothing beside fixed_delay",
        None,
    ),
    (
        {**KINDS["cron"], "failure_limit": 5},
        "failure_limit",
        "is of no use without on_failure = 'pause'",
        "on_failure = 'pause'",
    ),
    (
        {**KINDS["cron"], "failure_limit": 5, "on_failure": "continue"},
        "failure_limit",
        "is of no use without on_failure = 'pause'",
        "on_failure = 'pause'",
    ),
    (
        {**KINDS["cron"], "exchange_type": "topic"},
        "exchange_type",
        "is of no use without exchange",
        "exchange = 'jobs'",
    ),
    (
        {**KINDS["cron"], "start_at": "2026-05-01", "end_at": "2026-04-01"},
        "end_at",
        "before start_at '2026-05-01'",
        None,
    ),
    (
        {**KINDS["cron"], "end_at": "2026-03-02"},
        "end_at",
        "no fire time comes before it; the first is 2026-03-02T03:00:00Z",
        None,
    ),
    (
        {**KINDS["at"], "end_at": "2026-03-02"},
        "end_at",
        "no fire time comes before it; the first is 2026-04-01T00:00:00Z",
        None,
    ),
    ({**KINDS["every"], "start_at": "2026-04-01", "end_at": "2026-03-31"}, "end_at", "before start_at", None),
    ({**KINDS["jittered"], "expires": "5m"}, "expires", "is not longer than jitter '10m'", None),
    (
        {**KINDS["cron"], "jitter": "20h", "expires": "19h"},
        "expires",
        "is not longer than jitter '20h'",
        None,
    ),
    ({**KINDS["cron"], "jitter": "25h"}, "jitter", "is longer than a day; allowed are 1s to 1d", None),
]


@pytest.mark.parametrize(("columns", "column", "problem", "example"), BESIDE)
def test_what_does_not_go_together_says_what_does(
    columns: dict[str, Any], column: str, problem: str, example: str | None
) -> None:
    finding = refused(columns)
    assert finding.field == column
    assert finding.problem.startswith(problem)
    assert finding.example is not None
    if example is None:
        read({**columns, column: finding.example})
        return
    assert finding.example == example
    mending = tomllib.loads(example)
    if mending.keys() & set(TIMING_KINDS):
        columns = {key: value for key, value in columns.items() if key not in TIMING_KINDS}
    mended = {**columns, **mending}
    if column == "exchange_type":
        mended["routing_key"] = "jobs.slow"
    read(mended)


def test_without_reports_what_needs_them_says_what_does_not() -> None:
    columns = {**KINDS["cron"], "name": "backup", "task": "t", "overlap": "skip", "on_failure": "pause"}
    findings = refused_all(columns, Surroundings(reports=False))
    assert {finding.field: finding.example for finding in findings} == {
        "overlap": "allow",
        "on_failure": "continue",
    }
    assert all(
        finding.problem
        == f"needs workers that report, and celery.reports is false; allowed is {finding.example!r}"
        for finding in findings
    )
    delayed = {**KINDS["every"], "name": "backup", "task": "t", "fixed_delay": True}
    [finding] = refused_all(delayed, Surroundings(reports=False))
    assert (finding.field, finding.example) == ("fixed_delay", "false")


def test_where_there_is_no_calendar_the_example_adds_one() -> None:
    columns = {**KINDS["cron"], "name": "backup", "task": "t"}
    [unknown] = refused_all({**columns, "calendar": "works"}, Surroundings())
    assert unknown.problem == "there is no such calendar; there are: none"
    assert unknown.example == "beatd calendar add holidays --country DE"
    [alone] = refused_all({**columns, "calendar_action": "next"}, Surroundings())
    assert alone.example == "calendar = 'holidays'"


def test_contradictions_are_told_beside_what_keeps_the_schedule_from_being_read() -> None:
    columns = {
        "name": "backup",
        "task": "t",
        "cron": "0 3 * * *",
        "calendar": "work",
        "jitter": "10m",
        "expires": "5m",
        "failure_limit": 5,
        "paused_until": "soon",
        "overlap": "skip",
    }
    findings = refused_all(columns, replace(KNOWN, reports=False))
    fields = ["calendar", "paused_until", "expires", "failure_limit", "overlap"]
    assert sorted(finding.field for finding in findings) == sorted(fields)
    delayed = {"name": "b", "task": "t", "every": "often", "fixed_delay": True, "overlap": "skip"}
    assert [finding.field for finding in refused_all(delayed, KNOWN)] == ["every", "overlap"]


def test_what_cannot_be_read_itself_is_no_contradiction_besides() -> None:
    for columns in (
        {"jitter": "often", "expires": "5m"},
        {"failure_limit": 0},
        {"failure_limit": 3, "on_failure": "stop"},
    ):
        refused({**KINDS["cron"], **columns})


@pytest.mark.parametrize("column", ["name", "task"])
def test_an_entry_without_a_name_or_a_task(column: str) -> None:
    assert refused({**KINDS["cron"], column: None}).field == column


def test_an_unknown_calendar_among_several() -> None:
    assert refused({**KINDS["cron"], "calendar": "zzz"}).problem.endswith("there are: fairs, works")


def test_a_calendar_that_would_move_a_fixed_delay() -> None:
    moved = {"every": "5m", "fixed_delay": True, "calendar": "works", "calendar_action": "next"}
    finding = refused(moved)
    assert (finding.field, finding.value) == ("calendar_action", "next")
    assert finding.problem.startswith("must be 'drop'")


@pytest.mark.parametrize("columns", [{}, {"cron": "0 3 * * *", "every": "5m"}])
def test_of_a_schedule_one_kind_is_given(columns: dict[str, Any]) -> None:
    finding = refused(columns)
    assert (finding.field, finding.value) == ("schedule", " and ".join(columns) or None)


@pytest.mark.parametrize("number", [0, 1_000_000_001, "10", True])
def test_the_example_of_a_number_of_runs_is_one(number: Any) -> None:
    finding = refused({**KINDS["cron"], "max_runs": number})
    assert read({**KINDS["cron"], "max_runs": int(finding.example or "")}).timing.max_runs == 10


BOUNDS = [
    ("max_runs", 1, 1_000_000_000),
    ("misfire_limit", 1, 1_000),
    ("failure_limit", 1, 1_000),
    ("priority", 0, 255),
]


@pytest.mark.parametrize(("column", "least", "most"), BOUNDS)
def test_numbers_and_their_bounds(column: str, least: int, most: int) -> None:
    entry = {**KINDS["cron"], "on_failure": "pause"}
    for number in (least, most):
        assert read({**entry, column: number})
    for number in (least - 1, most + 1):
        finding = refused({**entry, column: number})
        assert finding.problem == f"a whole number from {least} to {most}"
        assert read({**entry, column: int(finding.example or "")})


def test_the_bounds_of_texts_and_durations() -> None:
    assert len(read({**KINDS["cron"], "name": "b" * 200}).name) == 200
    assert read({**KINDS["cron"], "jitter": "24h"}).timing.jitter == timedelta(days=1)
    assert read({**KINDS["jittered"], "expires": "601s"}).policies.expires == timedelta(seconds=601)
    instant = "2026-04-01T03:00Z"
    assert [
        *read({**KINDS["cron"], "start_at": instant, "end_at": instant}).schedule.fire_times(CREATED)
    ] == [datetime(2026, 4, 1, 3, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("columns", "expires"), [({}, "next"), ({"expires": "next"}, "next"), ({"expires": "never"}, "never")]
)
def test_words_of_expiry(columns: dict[str, Any], expires: str) -> None:
    assert read({**KINDS["cron"], **columns}).policies.expires == expires


POLICIES = {
    "on_failure": "pause",
    "failure_limit": 7,
    "on_lost": "rerun",
    "lost_after": "36h",
}


def test_what_else_a_policy_says() -> None:
    policies = read({**KINDS["cron"], **POLICIES, "time_limit": "1h"}).policies
    assert (policies.on_failure, policies.failure_limit, policies.on_lost) == ("pause", 7, "rerun")
    assert policies.lost_after == timedelta(hours=36)


@pytest.mark.parametrize(("time_limit", "hours"), [("1h", 24), ("12h", 24), ("13h", 26)])
def test_a_run_is_lost_after_twice_its_time_limit_but_not_within_a_day(time_limit: str, hours: int) -> None:
    assert read({**KINDS["cron"], "time_limit": time_limit}).policies.lost_after == timedelta(hours=hours)


# What the columns of a kind make


def test_hashed_values_hang_on_the_name() -> None:
    schedules = [read({"name": name, "cron": "H H * * *"}).schedule for name in ("backup", "report")]
    assert schedules == [parse_cron("H H * * *", UTC_ZONE, name=name) for name in ("backup", "report")]
    assert schedules[0] != schedules[1]


def test_the_start_of_an_interval_is_its_anchor_and_no_limit_besides() -> None:
    start = datetime(2026, 3, 5, 9, tzinfo=UTC)
    schedule = read({"every": "90s", "start_at": "2026-03-05T09:00Z"}).schedule
    assert schedule == IntervalSchedule(timedelta(seconds=90), start, include_anchor=True)


def test_calendar_intervals_take_policies_of_daylight_saving() -> None:
    policies = {"dst_gap": "skip", "dst_fold": "both"}
    columns = {"calendar_every": "1d", "time": "02:30", "timezone": "Europe/Berlin", **policies}
    schedule = read(columns).schedule
    assert isinstance(schedule, CalendarIntervalSchedule)
    assert (schedule.dst_gap, schedule.dst_fold) == ("skip", "both")


def test_custom_triggers_are_those_of_the_configuration() -> None:
    start = "2026-03-01T00:30:00+00:00"
    arguments = {"hours": 2, "start_date": start}
    columns = {"custom": "hourly", "custom_args": json.dumps(arguments), "timezone": "Europe/Berlin"}
    schedule = read(columns).schedule
    assert schedule == make_custom("hourly", arguments, ZoneInfo("Europe/Berlin"), KNOWN.custom)
    assert schedule.next_fire_time(CREATED) == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert read({"custom": "noon"}).schedule == make_custom("noon", {}, UTC_ZONE, KNOWN.custom)


def test_a_boot_is_of_a_host_or_of_any() -> None:
    assert read({"cron": "@reboot"}).schedule == BootSchedule()
    assert read({"cron": "@reboot", "host": "db1"}).schedule == BootSchedule("db1")


def test_a_fixed_delay_keeps_its_limits_and_its_calendar() -> None:
    timing = read({"every": "12h", "fixed_delay": True, "end_at": "2026-12-26", "calendar": "works"}).timing
    after = timing.delayed_from(datetime(2026, 12, 24, 7, tzinfo=UTC))
    ended = datetime(2026, 12, 24, 7, tzinfo=UTC)
    assert [*after.fire_times(ended)] == [datetime(2026, 12, 24, 19, tzinfo=UTC)]
    assert [*after.dropped(ended, datetime(2027, 1, 1, tzinfo=UTC))] == [
        datetime(2026, 12, 25, hour, tzinfo=UTC) for hour in (7, 19)
    ]


def test_the_only_fire_is_jittered_in_full() -> None:
    timing = read({"at": "2026-04-01T09:00Z", "jitter": "10m"}).timing
    fire_time = datetime(2026, 4, 1, 9, tzinfo=UTC)
    assert timing.due_time(fire_time) == fire_time + jitter_of("backup", fire_time, timedelta(minutes=10))


@pytest.mark.parametrize(("task", "once"), [("beatd.shell", True), ("beatd.http", True), ("proj.t", False)])
def test_which_tasks_claim_their_run(task: str, once: bool) -> None:
    assert read({**KINDS["cron"], "task": task}).run_once is once
