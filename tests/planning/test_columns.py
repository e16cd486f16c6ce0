"""Every column that is refused is named, and the example beside the refusal works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from beatd.errors import FieldError, InvalidInput
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import Surroundings
from beatd.schedules import parse_date_set

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
KNOWN = Surroundings(calendars={"works": parse_date_set("2026-12-25", None, None, None)})

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
    with pytest.raises(InvalidInput) as caught:
        read(columns)
    [finding] = caught.value.findings
    return finding


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


@pytest.mark.parametrize("columns", [{}, {"cron": "0 3 * * *", "every": "5m"}])
def test_the_example_of_a_schedule_is_a_cron_expression(columns: dict[str, Any]) -> None:
    finding = refused(columns)
    assert finding.field == "schedule"
    read({"cron": finding.example})


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
    for number in (least, most):
        assert read({**KINDS["cron"], column: number})
    for number in (least - 1, most + 1):
        assert f"from {least} to {most}" in refused({**KINDS["cron"], column: number}).problem


def test_the_bounds_of_texts_and_durations() -> None:
    assert len(read({**KINDS["cron"], "name": "b" * 200}).name) == 200
    assert read({**KINDS["cron"], "jitter": "24h"}).timing.jitter == timedelta(days=1)
    assert read({**KINDS["jittered"], "expires": "601s"}).policies.expires == timedelta(seconds=601)
    assert read({**KINDS["cron"], "start_at": "2026-04-01", "end_at": "2026-04-02"})


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
