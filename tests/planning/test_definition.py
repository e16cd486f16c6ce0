"""What operators write is read with every mistake found at once, each in one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from beatd.errors import InvalidInput
from beatd.planning.definition import parse_definition
from beatd.planning.policies import Policies
from beatd.planning.task import TaskSpec, run_id
from beatd.planning.timing import Surroundings
from beatd.schedules import IntervalSchedule, Limited, OnceSchedule, parse_date_set

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINIMAL = {"name": "backup", "cron": "0 3 * * *", "task": "proj.backup"}


def test_everything_has_a_default() -> None:
    definition = parse_definition(MINIMAL, created_at=CREATED)
    assert definition.enabled
    assert definition.timezone == ZoneInfo("UTC")
    assert definition.task == TaskSpec(entry="backup", task="proj.backup")
    assert definition.policies == Policies()
    assert definition.policies.lost_after == timedelta(hours=24)


def test_the_zone_of_an_entry_that_names_none_is_the_configuration_s() -> None:
    definition = parse_definition(MINIMAL, created_at=CREATED, surroundings=Surroundings("Europe/Berlin"))
    assert definition.timezone == ZoneInfo("Europe/Berlin")
    assert definition.schedule.next_fire_time(CREATED) == datetime(2026, 3, 2, 2, tzinfo=UTC)


def test_all_columns_are_read() -> None:
    columns = {
        **MINIMAL,
        "enabled": 0,
        "args": '[1, "two"]',
        "kwargs": '{"three": 3}',
        "queue": "slow",
        "exchange": "jobs",
        "exchange_type": "topic",
        "routing_key": "jobs.slow",
        "priority": 7,
        "headers": '{"team": "data"}',
        "serializer": "json",
        "compression": "zlib",
        "time_limit": "26h",
        "soft_time_limit": "1h",
        "ignore_result": 1,
        "link": "proj.notify, proj.log",
        "link_error": "proj.alarm",
        "expires": "10m",
        "misfire": "all",
        "misfire_grace": "1h",
        "misfire_limit": 5,
        "overlap": "skip",
    }
    definition = parse_definition(columns, created_at=CREATED)
    assert not definition.enabled
    assert definition.task == TaskSpec(
        entry="backup",
        task="proj.backup",
        args=(1, "two"),
        kwargs={"three": 3},
        queue="slow",
        exchange="jobs",
        exchange_type="topic",
        routing_key="jobs.slow",
        priority=7,
        headers={"team": "data"},
        serializer="json",
        compression="zlib",
        time_limit=26 * 3600,
        soft_time_limit=3600,
        ignore_result=True,
        link=("proj.notify", "proj.log"),
        link_error=("proj.alarm",),
    )
    assert definition.policies == Policies(
        expires=timedelta(minutes=10),
        misfire="all",
        misfire_grace=timedelta(hours=1),
        misfire_limit=5,
        overlap="skip",
        lost_after=timedelta(hours=52),
    )


def test_an_interval_is_anchored_at_its_start_or_at_the_entry_s_creation() -> None:
    every = {"name": "poll", "task": "t", "every": "90s"}
    created = parse_definition(every, created_at=CREATED).schedule
    assert created == IntervalSchedule(timedelta(seconds=90), CREATED, include_anchor=False)
    assert created.next_fire_time(CREATED) == CREATED + timedelta(seconds=90)
    start = datetime(2026, 3, 5, 9, tzinfo=UTC)
    started = parse_definition({**every, "start_at": "2026-03-05T09:00:00Z"}, created_at=CREATED).schedule
    assert started.next_fire_time(CREATED) == start


def test_once_and_limits() -> None:
    once = parse_definition(
        {"name": "a", "task": "t", "at": "2026-03-05T09:00", "timezone": "Europe/Berlin"}, created_at=CREATED
    )
    assert once.schedule == OnceSchedule(datetime(2026, 3, 5, 8, tzinfo=UTC))
    limited = parse_definition({**MINIMAL, "end_at": "2026-03-03T00:00:00Z"}, created_at=CREATED).schedule
    assert isinstance(limited, Limited)
    assert [f.day for f in limited.fire_times(CREATED)] == [2]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": " backup"}, "name: ' backup': 1 to 200 printable characters"),
    ({"name": "a\nb"}, "name: 'a\\nb'"),
    ({"name": None}, "name"),
    ({"cron": "61 * * * *"}, "cron: '61 * * * *'"),
    ({"cron": None}, "schedule: None: give exactly one of cron, every, at, calendar_every, solar and custom"),
    ({"every": "5m"}, "schedule: 'cron and every': give exactly one"),
    ({"cron": None, "every": "5"}, "every: '5'"),
    ({"cron": None, "at": "tomorrow"}, "at: 'tomorrow'"),
    ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
    ({"task": "two words"}, "task: 'two words': the name of a Celery task"),
    ({"task": ""}, "task"),
    ({"args": "{}"}, "args: '{}': not a JSON array"),
    ({"args": "[1,"}, "args: '[1,': not a JSON array: "),
    ({"args": "[NaN]"}, "NaN is not JSON"),
    ({"kwargs": "[]"}, "kwargs: '[]': not a JSON object"),
    ({"priority": 256}, "priority: 256: a whole number from 0 to 255"),
    ({"priority": True}, "priority: True: a whole number"),
    ({"time_limit": "1.5h"}, "time_limit: '1.5h'"),
    ({"expires": "10"}, "expires: '10': a duration, 'next' or 'never'; for example '10m'"),
    ({"misfire": "often"}, "misfire: 'often': one of skip, latest, all"),
    ({"misfire_limit": 0}, "misfire_limit: 0: a whole number from 1 to 1000"),
    ({"overlap": "maybe"}, "overlap: 'maybe': one of allow, skip"),
    (
        {"exchange": "jobs", "routing_key": "slow", "exchange_type": "fanout"},
        "exchange_type: 'fanout': one of direct, topic",
    ),
    ({"exchange": "jobs"}, "routing_key: None: is wanted with exchange 'jobs'"),
    ({"exchange_type": "topic"}, "exchange_type: 'topic': is of no use without exchange"),
    ({"link": "a,,b"}, "link: 'a,,b': task names separated by commas"),
    ({"start_at": "2026-03-03", "end_at": "2026-03-02"}, "end_at: '2026-03-02': before start_at"),
    (
        {"cron": None, "every": "1h", "dst_gap": "skip"},
        "dst_gap: 'skip': is for cron and",
    ),
    ({"queue": 5}, "queue: 5: text is wanted"),
    ({"jitter": "25h"}, "jitter: '25h': is longer than a day; allowed are 1s to 1d; for example '5m'"),
    ({"jitter": "10m", "expires": "10m"}, "expires: '10m': is not longer than jitter '10m'"),
    ({"max_runs": 0}, "max_runs: 0: a whole number from 1 to 1000000000; for example '10'"),
    ({"failure_limit": 0}, "failure_limit: 0: a whole number from 1 to 1000"),
    ({"on_failure": "stop"}, "on_failure: 'stop': one of continue, pause"),
    ({"on_lost": "again"}, "on_lost: 'again': one of continue, rerun"),
    ({"fixed_delay": True}, "fixed_delay: True: is for every only"),
    ({"time": "09:00"}, "time: '09:00': is for calendar_every only"),
    ({"day": "last"}, "day: 'last': is for calendar_every only"),
    ({"latitude": "52"}, "latitude: '52': is for solar only"),
    ({"cron": None, "solar": "dawn", "latitude": "52"}, "longitude: None: is wanted with solar"),
    ({"cron": None, "solar": "dawn", "longitude": "13"}, "latitude: None: is wanted with solar"),
    ({"custom_args": "{}"}, "custom_args: '{}': is for custom only"),
    ({"cron": None, "custom": "shifts", "custom_args": "[]"}, "custom_args: '[]': not a JSON object"),
    ({"host": "db1"}, "host: 'db1': is for cron '@reboot'"),
    ({"cron": "@reboot", "host": " "}, "host: ' ': the name of a machine; for example 'db1'"),
    ({"cron": "@reboot", "host": 5}, "host: 5: text is wanted"),
    ({"cron": "@reboot", "jitter": "5m"}, "jitter: '5m': means nothing for cron '@reboot'"),
    ({"cron": "@reboot", "end_at": "2027-01-01"}, "end_at: '2027-01-01': means nothing for cron '@reboot'"),
    ({"calendar": "works"}, "calendar: 'works': there is no such calendar; there are: none"),
    ({"calendar_action": "next"}, "calendar_action: 'next': is of no use without calendar"),
    ({"cron": "0 0 1 1 *", "end_at": "2026-12-01"}, "end_at: '2026-12-01': no fire time comes before it"),
    ({"cron": None, "at": "2026-04-01", "end_at": "2026-03-31"}, "end_at: '2026-03-31': no fire time comes"),
    (
        {"cron": None, "every": "5m", "fixed_delay": True, "overlap": "skip"},
        "overlap: 'skip': means nothing beside fixed_delay",
    ),
    ({"paused_until": "soon"}, "paused_until: 'soon': is not a date and time"),
]


@pytest.mark.parametrize(("columns", "message"), WRONG)
def test_what_is_wrong_is_one_line(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_definition({**MINIMAL, **columns}, created_at=CREATED)
    [finding] = caught.value.findings
    assert message in str(finding)
    assert "\n" not in str(finding)


def test_all_findings_come_at_once() -> None:
    columns = {**MINIMAL, "cron": "61 * * * *", "timezone": "Nowhere", "args": "x", "misfire": "often"}
    with pytest.raises(InvalidInput) as caught:
        parse_definition(columns, created_at=CREATED)
    assert [finding.field for finding in caught.value.findings] == ["timezone", "cron", "args", "misfire"]


def test_a_run_s_id_is_a_function_of_what_makes_it_unique() -> None:
    installation = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    ids = {
        run_id(installation, 1, CREATED, "schedule"),
        run_id(installation, 2, CREATED, "schedule"),
        run_id(installation, 1, CREATED + timedelta(microseconds=1), "schedule"),
        run_id(installation, 1, CREATED, "trigger:5"),
        run_id("6ba7b811-9dad-11d1-80b4-00c04fd430c8", 1, CREATED, "schedule"),
    }
    assert len(ids) == 5
    assert run_id(installation, 1, CREATED, "schedule") in ids


def test_a_long_wrong_value_is_shown_in_part() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_definition({**MINIMAL, "args": "x" * 100_000}, created_at=CREATED)
    assert len(str(caught.value)) < 500
    assert "(100002 characters)" in str(caught.value)


WITHOUT_REPORTS = [
    ({"overlap": "skip"}, "overlap: 'skip': needs workers that report, and celery.reports is false"),
    ({"on_failure": "pause"}, "on_failure: 'pause': needs workers that report"),
    ({"cron": None, "every": "5m", "fixed_delay": True}, "fixed_delay: True: needs workers that report"),
]


@pytest.mark.parametrize(("columns", "message"), WITHOUT_REPORTS)
def test_what_hangs_on_the_end_of_runs_needs_reports(columns: dict[str, Any], message: str) -> None:
    assert parse_definition({**MINIMAL, **columns}, created_at=CREATED).name == MINIMAL["name"]
    with pytest.raises(InvalidInput) as caught:
        parse_definition({**MINIMAL, **columns}, created_at=CREATED, surroundings=Surroundings(reports=False))
    [finding] = caught.value.findings
    assert message in str(finding)


@pytest.mark.parametrize("action", ["next", "previous"])
def test_a_fire_that_hangs_on_the_run_before_cannot_be_moved(action: str) -> None:
    known = Surroundings(calendars={"works": parse_date_set("2026-12-25", None, None, None)})
    columns = {**MINIMAL, "cron": None, "every": "5m", "fixed_delay": True, "calendar": "works"}
    assert parse_definition(columns, created_at=CREATED, surroundings=known).timing.fixed_delay
    with pytest.raises(InvalidInput, match="must be 'drop' beside fixed_delay"):
        parse_definition({**columns, "calendar_action": action}, created_at=CREATED, surroundings=known)


def test_a_calendar_that_drops_all_fires_up_to_the_end_is_no_error() -> None:
    known = Surroundings(calendars={"works": parse_date_set("2026-03-05", None, None, None)})
    columns = {
        **MINIMAL,
        "cron": None,
        "at": "2026-03-05T12:00Z",
        "end_at": "2026-03-06",
        "calendar": "works",
    }
    parsed = parse_definition(columns, created_at=CREATED, surroundings=known)
    assert parsed.schedule.next_fire_time(CREATED) is None


def test_an_unknown_calendar_names_one_that_may_have_been_meant() -> None:
    known = Surroundings(calendars={"holidays-de": parse_date_set("2026-12-25", None, None, None)})
    with pytest.raises(InvalidInput, match="did you mean 'holidays-de'"):
        parse_definition({**MINIMAL, "calendar": "holiday-de"}, created_at=CREATED, surroundings=known)


@pytest.mark.parametrize(
    ("columns", "awaits"),
    [
        ({}, False),
        ({"overlap": "skip"}, False),
        ({"overlap": "queue"}, True),
        ({"overlap": "cancel"}, True),
        ({"on_failure": "pause"}, True),
        ({"on_lost": "rerun"}, False),
        ({"cron": None, "every": "5m", "fixed_delay": True}, True),
    ],
)
def test_which_entries_await_the_end_of_their_runs(columns: dict[str, Any], awaits: bool) -> None:
    assert parse_definition({**MINIMAL, **columns}, created_at=CREATED).awaits_end is awaits
