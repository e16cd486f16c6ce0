"""APScheduler triggers, held to our rules: whatever they are, their fires hang on the instant alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from hypothesis import given
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.schedules import CustomSchedule, load_factories, make_custom, parse_zone
from tests.schedules.model import utc

BERLIN = parse_zone("Europe/Berlin")
HERE = "tests.schedules.custom_triggers"
PATHS = {
    "cron": "apscheduler.triggers.cron:CronTrigger",
    "interval": "apscheduler.triggers.interval:IntervalTrigger",
    "calendar": "apscheduler.triggers.calendarinterval:CalendarIntervalTrigger",
    "date": "apscheduler.triggers.date:DateTrigger",
    "office": f"{HERE}:office_hours",
    "quarters": f"{HERE}:quarterly_if_monday",
    "hours": f"{HERE}:hours_and_a_date",
    "never": f"{HERE}:never_agreeing",
    "no-trigger": f"{HERE}:no_trigger",
    "jittered": f"{HERE}:jittered_within",
    **{name: f"{HERE}:{name}" for name in ("naive", "text", "failing", "stuck", "random_one", "counting")},
}
FACTORIES = load_factories(PATHS)


def custom(name: str, **arguments: object) -> CustomSchedule:
    return make_custom(name, arguments, BERLIN, FACTORIES)


@pytest.mark.parametrize(
    ("name", "arguments", "after", "expected"),
    [
        # The entry's zone is handed on; daylight saving begins on 29 March.
        ("office", {"first": 17, "last": 18}, "2026-03-27T00:00Z", "27T16:00 27T17:00 30T15:00 30T16:00"),
        ("cron", {"hour": 9}, "2026-03-28T00:00Z", "28T08:00 29T07:00"),
        ("cron", {"hour": 9, "timezone": "UTC"}, "2026-03-28T00:00Z", "28T09:00 29T09:00"),
        ("cron", {"hour": 9}, "2026-03-28T08:00Z", "29T07:00"),
        ("cron", {"hour": 9, "end_date": "2026-03-28T12:00:00"}, "2026-03-28T00:00Z", "28T08:00 -"),
        (
            "interval",
            {"hours": 7, "start_date": "2026-01-01T00:00:00"},
            "2025-06-01T00:00Z",
            "31T23:00 01T06:00",
        ),
        (
            "interval",
            {"hours": 7, "start_date": "2026-01-01T00:00:00"},
            "2026-01-01T06:00Z",
            "01T13:00 01T20:00",
        ),
        # Daylight saving as with our own rules: skipped ones run after the gap, double ones first.
        ("cron", {"hour": 2, "minute": 30}, "2026-03-28T00:00Z", "28T01:30 29T01:00 30T00:30"),
        ("cron", {"hour": 2, "minute": 30}, "2026-10-24T00:00Z", "24T00:30 25T00:30 26T01:30"),
        ("cron", {"hour": "*", "minute": 30}, "2026-10-24T23:00Z", "24T23:30 25T00:30 25T01:30 25T02:30"),
        ("cron", {"hour": "*", "minute": 30}, "2026-03-29T00:00Z", "29T00:30 29T01:30"),
        # APScheduler alone passes over midnight after a weekend on which clocks changed, if asked before it.
        ("office", {"first": 0, "last": 1}, "2024-03-30T03:00Z", "31T22:00 31T23:00"),
        (
            "calendar",
            {"days": 1, "hour": 2, "minute": 30, "start_date": "2026-03-01"},
            "2026-03-29T00:00Z",
            "29T01:00",
        ),
        # start_date and end_date are wall times of the zone.
        ("cron", {"hour": 9, "start_date": "2026-03-29T09:00:00"}, "2026-03-01T00:00Z", "29T07:00 30T07:00"),
        ("cron", {"hour": 9, "end_date": "2026-03-29T09:00:00"}, "2026-03-28T00:00Z", "28T08:00 29T07:00 -"),
        # These two answer without a look at the time.
        ("date", {"run_date": "2026-03-28T09:00:00"}, "2026-03-28T00:00Z", "28T08:00 -"),
        ("date", {"run_date": "2026-03-28T09:00:00"}, "2026-03-28T08:00Z", "-"),
        (
            "calendar",
            {"months": 1, "hour": 6, "start_date": "2026-01-15"},
            "2026-05-20T00:00Z",
            "15T04:00 15T04:00",
        ),
        ("calendar", {"days": 1, "start_date": "1990-01-01"}, "2026-05-20T00:00Z", "20T22:00 21T22:00"),
        # Combinations
        ("hours", {}, "2025-12-31T23:59Z", "01T00:00 01T02:00 01T03:30 01T04:00"),
        ("hours", {}, "2026-01-01T03:00Z", "01T03:30 01T04:00"),
        ("quarters", {}, "2026-01-01T00:00Z", "01T00:00 01T00:00"),
    ],
)
def test_fire_times(name: str, arguments: dict[str, object], after: str, expected: str) -> None:
    wanted = expected.split()
    fire_times = custom(name, **arguments).fire_times(utc(after))
    shown = [f"{fire_time:%dT%H:%M}" for fire_time in islice(fire_times, len(wanted))]
    assert [*shown, *["-"] * (len(wanted) - len(shown))] == wanted


def test_triggers_agree_where_apscheduler_searches_for_ever() -> None:
    """First days of a quarter that are Mondays."""
    mondays = islice(custom("quarters").fire_times(utc("2026-01-01T00:00Z")), 3)
    assert [f"{monday:%a %Y-%m-%d}" for monday in mondays] == [
        "Mon 2029-01-01",
        "Mon 2029-10-01",
        "Mon 2030-04-01",
    ]


ALL = [
    ("cron", {"minute": "*/20"}),
    ("cron", {"hour": "1-3", "minute": "0,30"}),
    ("cron", {"hour": 2, "minute": 30, "timezone": "America/St_Johns"}),
    ("office", {"first": 0, "last": 3}),
    ("interval", {"minutes": 7, "start_date": "2026-01-01T00:00:00"}),
    ("interval", {"seconds": 86399, "start_date": "1999-03-01T00:00:00"}),
    ("interval", {"weeks": 1, "start_date": "1970-01-01T00:00:07"}),
    ("calendar", {"days": 1, "hour": 2, "minute": 30, "start_date": "2020-01-31"}),
    ("calendar", {"months": 1, "days": 1, "start_date": "2020-01-31"}),
    ("hours", {}),
]


@given(
    st.sampled_from(ALL),
    st.one_of(
        st.datetimes(datetime(2019, 12, 1), datetime(2035, 1, 1)),
        st.datetimes(datetime(2026, 10, 24, 20), datetime(2026, 10, 25, 3)),
        st.datetimes(datetime(2026, 3, 28, 20), datetime(2026, 3, 29, 3)),
    ),
)
def test_fires_increase_and_do_not_hang_on_where_the_search_starts(
    rule: tuple[str, dict[str, object]], naive: datetime
) -> None:
    name, arguments = rule
    schedule, another = custom(name, **arguments), custom(name, **arguments)
    after = naive.replace(tzinfo=UTC)
    fire_times = list(islice(schedule.fire_times(after), 12))
    for before, fire_time in pairwise([after, *fire_times]):
        assert fire_time > before
        assert fire_time.tzinfo is UTC
    for before, fire_time in reversed(list(pairwise([after, *fire_times]))):
        assert another.next_fire_time(before + (fire_time - before) / 2) == fire_time
        assert another.next_fire_time(fire_time - timedelta(microseconds=1)) == fire_time


def test_equal_rules_are_equal() -> None:
    assert custom("office", first=9, last=17) == custom("office", last=17, first=9)
    assert hash(custom("office", first=9, last=17)) == hash(custom("office", last=17, first=9))
    assert custom("office", first=9, last=17) != custom("office", first=9, last=18)
    assert custom("hours") != make_custom("hours", {}, parse_zone("UTC"), FACTORIES)


def test_it_ends_with_time_itself() -> None:
    assert custom("cron", hour=9).next_fire_time(utc("9999-12-31T00:00Z")) is None
    assert (
        custom("interval", hours=1, start_date="2026-01-01").next_fire_time(utc("9999-12-31T00:00Z")) is None
    )


HISTORY = "depend on when it was made or what it was asked before"


@pytest.mark.parametrize(
    ("name", "arguments", "field", "problem"),
    [
        (
            "offices",
            {},
            "custom",
            "is not among the configuration's schedules.custom; allowed are calendar, counting",
        ),
        ("offices", {}, "custom", "did you mean 'office'?"),
        ("office", {}, "custom_args", "'office' does not take them: TypeError: "),
        ("office", {"first": 9, "last": 17, "weekday": 1}, "custom_args", "'weekday'"),
        ("cron", {"hour": 25}, "custom_args", "'cron' does not take them: ValueError: "),
        ("cron", {"hour": 9, "timezone": "Mars"}, "custom_args", "'cron' does not take them: "),
        ("no-trigger", {}, "custom", "made str, which is not an APScheduler trigger"),
        ("cron", {"hour": 9, "jitter": 30}, "custom", "own jitter is random; give the entry's jitter"),
        ("jittered", {}, "custom", "own jitter is random; give the entry's jitter"),
        ("cron", {"month": 2, "day": 30}, "custom_args", "never fires"),
        # What starts when it is made would start anew with each daemon.
        ("interval", {"hours": 1}, "custom_args", HISTORY),
        ("date", {}, "custom_args", HISTORY),
        ("calendar", {"days": 2}, "custom_args", HISTORY),
        ("random_one", {}, "custom_args", HISTORY),
        ("counting", {}, "custom_args", HISTORY),
        ("naive", {}, "custom", "which is not an instant with a zone"),
        ("text", {}, "custom", "the trigger gave 'tomorrow', which is not an instant with a zone"),
        ("failing", {}, "custom", "the trigger failed: ZeroDivisionError: division by zero"),
        ("stuck", {}, "custom", "the trigger gave 1980-01-01 00:00:00+00:00 after 1980-01-01 00:00:00+00:00"),
        ("never", {}, "custom", "its triggers did not agree in 10000 attempts"),
    ],
)
def test_refused(name: str, arguments: dict[str, object], field: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        custom(name, **arguments)
    assert refusal.value.field == field
    assert problem in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nothing_is_allowed_unless_the_configuration_says_so() -> None:
    with pytest.raises(
        FieldError, match=r"^custom: 'cron': is not among .*schedules\.custom; there are none$"
    ):
        make_custom("cron", {"hour": 9}, BERLIN, {})


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("proj.rules", "is not package.module:callable"),
        (":tides", "is not package.module:callable"),
        ("tides:", "is not package.module:callable"),
        ("no_such_package.rules:tides", "cannot be imported: ModuleNotFoundError: "),
        (f"{HERE}:tides", "cannot be imported: AttributeError: "),
        (f"{HERE}:NOT_CALLABLE", "is not callable"),
        ("..rules:tides", "cannot be imported: "),
    ],
)
def test_paths_that_lead_nowhere(path: str, problem: str) -> None:
    with pytest.raises(FieldError) as refusal:
        load_factories({"office": PATHS["office"], "tides": path})
    assert refusal.value.field == "schedules.custom.tides"
    assert problem in refusal.value.problem


def test_of_triggers_that_must_agree_one_that_has_ended_ends_all() -> None:
    until_may = CronTrigger(hour=1, end_date="2026-05-01", timezone="UTC")
    hourly = CronTrigger(minute=0, timezone="UTC")
    both = made(lambda: AndTrigger([until_may, hourly]))
    assert both.next_fire_time(utc("2026-04-29T12:00Z")) == utc("2026-04-30T01:00Z")
    assert both.next_fire_time(utc("2026-05-02T00:00Z")) is None
    either = made(lambda: OrTrigger([until_may, DateTrigger("2026-05-03", timezone="UTC")]))
    assert either.next_fire_time(utc("2026-05-02T00:00Z")) == utc("2026-05-03T00:00Z")
    assert either.next_fire_time(utc("2026-05-04T00:00Z")) is None


def test_a_trigger_that_has_ended_since_is_no_mistake() -> None:
    ended = made(lambda: DateTrigger("2000-01-01", timezone="UTC"))
    assert ended.next_fire_time(utc("2000-01-01T00:00Z")) is None


@pytest.mark.parametrize(
    ("fields", "fires"),
    [
        ({"hour": 2, "minute": 30}, ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
        ({"hour": 2, "minute": "*/30"}, ["2026-03-30T00:00Z", "2026-03-30T00:30Z"]),
        ({"hour": "*", "minute": 30}, ["2026-03-28T23:30Z", "2026-03-29T00:30Z", "2026-03-29T01:30Z"]),
    ],
)
def test_minutes_and_hours_with_a_star_follow_the_clock(fields: dict[str, Any], fires: list[str]) -> None:
    schedule = made(lambda: CronTrigger(**fields, timezone="Europe/Berlin"))
    expected = [utc(fire) for fire in fires]
    assert [*islice(schedule.fire_times(utc("2026-03-28T23:00Z")), len(fires))] == expected


def made(factory: Callable[[], BaseTrigger]) -> CustomSchedule:
    return make_custom("rule", {}, parse_zone("UTC"), {"rule": factory})
