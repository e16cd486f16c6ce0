"""Calendar events become schedules that fire when systemd says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from beatd.errors import FieldError
from beatd.migrate.systemd_timers.calendar_entries import entries_of
from beatd.migrate.systemd_timers.calendar_events import parse_event
from beatd.planning.definition import parse_definition
from beatd.schedules import Schedule
from tests.migrate.systemd_timers import oracle

BERLIN = "Europe/Berlin"
NOON = datetime(2025, 3, 7, 12, tzinfo=UTC)


def options_of(*events: str, zone: str = "UTC") -> tuple[dict[str, Any], ...]:
    return tuple(dict(options) for options in entries_of([parse_event(event) for event in events], zone))


def cron_of(*events: str) -> str:
    (options,) = options_of(*events)
    assert options.pop("timezone") == "UTC"
    assert list(options) == ["cron"], options
    return str(options["cron"])


def schedule_of(options: dict[str, Any]) -> Schedule:
    columns = {"name": "x", "task": "beatd.shell", "kwargs": '{"command": "true"}', **options}
    return parse_definition(columns, created_at=NOON).schedule


def fire_times(
    all_options: Sequence[dict[str, Any]], after: datetime, number: int, until: datetime | None = None
) -> list[datetime]:
    """Of all entries together; an instant that two have comes twice."""
    found: list[datetime] = []
    for options in all_options:
        schedule, last = schedule_of(options), after
        for _ in range(number):
            following = schedule.next_fire_time(last)
            if following is None or (until is not None and following > until):
                break
            found.append(following)
            last = following
    return sorted(found)[:number]


def problem_of(*events: str) -> FieldError:
    with pytest.raises(FieldError) as raised:
        options_of(*events)
    return raised.value


EVENTS = [
    ("minutely", "* * * * *"),
    ("hourly", "0 * * * *"),
    ("daily", "0 0 * * *"),
    ("weekly", "0 0 * * 1"),
    ("monthly", "0 0 1 * *"),
    ("quarterly", "0 0 1 */3 *"),
    ("semiannually", "0 0 1 1,7 *"),
    ("yearly", "0 0 1 1 *"),
    ("Bi-Annually", "0 0 1 1,7 *"),
    ("00:00", "0 0 * * *"),
    ("*:0/15", "*/15 * * * *"),
    ("*-*-* *:00/10:00", "*/10 * * * *"),
    ("*-*-* *:*:00/20", "*/20 * * * * *"),
    ("*:*:*", "* * * * * *"),
    ("06:30:15", "15 30 6 * * *"),
    ("Mon..Fri 08,18:00", "0 8,18 * * 1-5"),
    ("Mon-Fri 8:00", "0 8 * * 1-5"),
    ("Sat,Sun 10:30", "30 10 * * 0,6"),
    ("sunday", "0 0 * * 0"),
    ("Wed, 17:48", "48 17 * * 3"),
    ("Mon *-*-* 0:15:0", "15 0 * * 1"),
    ("*-*-1 00:00:00", "0 0 1 * *"),
    ("10-15", "0 0 15 10 *"),
    ("*-1/2-1,3 *:30", "30 * 1,3 */2 *"),
    ("8..18/2:00", "0 8-18/2 * * *"),
    ("5..5:00", "0 5 * * *"),
    # days from the end
    ("*-*~01", "0 0 L * *"),
    ("*-04~03", "0 0 28 4 *"),
    ("Mon *-05~07/1", "0 0 * 5 1L"),
    ("*-*~07/1 12:00", "0 12 * * 0L,1L,2L,3L,4L,5L,6L"),
    # a weekday that must be a certain day as well
    ("Mon *-*-1..7 09:00", "0 9 * * 1#1"),
    ("Tue,Thu *-*-8..14", "0 0 * * 2#2,4#2"),
    ("Sun *-*-8..21", "0 0 * * 0#2,0#3"),
    ("Fri *-*-29..31", "0 0 * * 5#5"),
    ("Sat *-*-1..2 05:00", "0 5 */31,2 * 6"),
    ("Wed *-*-1/2 05:00", "0 5 */2 * 3"),
    ("Sun *-*-13", "0 0 13 * */7"),
    ("Sat,Sun *-*-13..14", "0 0 13,14 * */7,6"),
]


@pytest.mark.parametrize(("event", "cron"), EVENTS, ids=[event for event, _ in EVENTS])
def test_an_event_as_cron(event: str, cron: str) -> None:
    assert cron_of(event) == cron


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"])
def test_the_events_of_the_table_fire_when_systemd_says(zone: str) -> None:
    """Through both nights of daylight saving, in the year for those that fire seldom."""
    for after, number in ((NOON, 30), (datetime(2025, 10, 24, 12, tzinfo=UTC), 60)):
        expected = oracle.fires([event for event, _ in EVENTS], zone, after, number)
        for event, _ in EVENTS:
            options = options_of(event, zone=zone)
            assert fire_times(options, after, number) == expected[event], (event, options)


def test_what_daylight_saving_skips_is_left_out_and_what_it_repeats_fires_once() -> None:
    assert options_of("02:30", zone=BERLIN) == (
        {"cron": "30 2 * * *", "timezone": BERLIN, "dst_gap": "skip"},
    )
    assert options_of("*:0/30", zone=BERLIN) == (
        {"cron": "0,30 * * * *", "timezone": BERLIN, "dst_fold": "first"},
    )
    night = datetime(2025, 10, 26, 0, 15, tzinfo=UTC)
    half_past, three = fire_times(options_of("*:0/30", zone=BERLIN), night, 2)
    assert three - half_past == timedelta(minutes=90)


SPECIAL = [
    ("2030-03-01 10:00", {"at": "2030-03-01T10:00:00"}),
    ("Fri 2030-03-01", {"at": "2030-03-01T00:00:00"}),
    ("@1900000000", {"at": "2030-03-17T17:46:40"}),
    (
        "2030..2031-*-01 00:00",
        {"cron": "0 0 1 * *", "start_at": "2030-01-01T00:00:00", "end_at": "2031-12-31T23:59:59"},
    ),
    ("2030/1-*-* 05:00", {"cron": "0 5 * * *", "start_at": "2030-01-01T00:00:00"}),
    ("daily UTC", {"cron": "0 0 * * *"}),
    ("*:0/15 utc", {"cron": "*/15 * * * *"}),
]


@pytest.mark.parametrize(("event", "options"), SPECIAL, ids=[event for event, _ in SPECIAL])
def test_instants_and_years(event: str, options: dict[str, str]) -> None:
    assert options_of(event) == ({**options, "timezone": "UTC"},)
    expected = oracle.fires([event], "UTC", NOON, 3)
    assert fire_times(options_of(event), NOON, 3) == expected[event]


def test_an_event_names_its_own_zone() -> None:
    (options,) = options_of("Mon 09:00 America/New_York", zone=BERLIN)
    assert options["timezone"] == "America/New_York"


def test_a_name_of_half_the_year_is_no_zone() -> None:
    with pytest.raises(FieldError, match="name the zone instead"):
        parse_event("03:00 CET", ("CET", "CEST"))
    assert parse_event("03:00 CET").timezone == "CET"


SEVERAL = [
    (["*:05", "*:35"], ["5,35 * * * *"]),
    (["06:00", "18:00"], ["0 6,18 * * *"]),
    (["Mon 08:00", "Tue..Thu 08:00"], ["0 8 * * 1-4"]),
    (["*:0/15", "12:00", "*:*"], ["* * * * *"]),
    (["*-*-01", "*-*~01"], ["0 0 1,L * *"]),
    (["*-*-01 05:00", "Mon 05:00"], ["0 5 1 * 1"]),
    (["06:30", "18:45"], ["30 6 * * *", "45 18 * * *"]),
    (["Mon..Fri 08:00", "Sat,Sun 10:00"], ["0 10 * * 0,6", "0 8 * * 1-5"]),
    # both name midnight: the second leaves it out
    (["*:0/20", "00:0/15"], ["*/20 * * * *", "15-45/15 0 * * *"]),
    (["*-*~01 00:00", "*-*-* 00:00"], ["0 0 * * *"]),
]


@pytest.mark.parametrize(("events", "crons"), SEVERAL, ids=[" + ".join(events) for events, _ in SEVERAL])
def test_several_lines_fire_once_at_an_instant(events: list[str], crons: list[str]) -> None:
    options = options_of(*events, zone=BERLIN)
    assert sorted(one["cron"] for one in options) == sorted(crons)
    expected = [times for times in oracle.fires(events, BERLIN, NOON, 60).values() if times]
    until = min(times[-1] for times in expected)
    instants = {time for times in expected for time in times if time <= until}
    assert fire_times(options, NOON, 1000, until) == sorted(instants)


MISTAKES = [
    (
        "0/5:00",
        "0..23/5:00",
        datetime(2025, 4, 30, 20, tzinfo=UTC),
        "leaves out hour 0 on the first of a month",
    ),
    ("*:0/7", "*:0..59/7", datetime(2025, 4, 15, 21, 57, tzinfo=UTC), "leaves out minute 0 after midnight"),
    (
        "*:*:0/7",
        "*:*:0..59/7",
        datetime(2025, 4, 15, 20, 59, 57, tzinfo=UTC),
        "leaves out second 0 of an hour",
    ),
]


@pytest.mark.parametrize(("step", "span", "after", "text"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_where_systemd_leaves_out_what_its_manual_has_it_is_told(
    step: str, span: str, after: datetime, text: str
) -> None:
    """The range that means the same has all of them."""
    expected = oracle.fires([step, span], BERLIN, after, 2)
    assert expected[span] == fire_times(options_of(step, zone=BERLIN), after, 2) != expected[step]
    (warning,) = parse_event(step).warnings
    assert text in warning


@pytest.mark.parametrize("event", ["0/6:00", "1/2:00", "0..23/5:00", "*:0/15", "*:5/10", "*:*:0/20", "daily"])
def test_of_steps_that_end_with_the_field_nothing_is_told(event: str) -> None:
    assert parse_event(event).warnings == ()


REFUSED = [
    ("Fri *-*-13", "cron cannot say"),
    ("Mon *-*~01", "cron cannot say"),
    ("*-*~03", "whose length differs"),
    ("2030/2-01-01", "in some years only"),
    ("*-02-30", "never fires"),
    ("Mon 2030-03-01", "never fires"),
    ("*:*:0/0.5", "whole seconds"),
    ("*:*/5", "'0/15', not '*/15'"),
    ("10", "has a colon"),
    ("", "is empty"),
    ("24:00", "the hour 24 is not in 0-23"),
    ("*:0/60", "the step 60 of minutes leads out of 0-59"),
    ("*:10..5", "runs backwards"),
    ("Fri..Mon", "the week begins with Monday"),
    ("Mon..", "has no end"),
    ("Mo 10:00", "is not understood"),
    ("10:00 Europe/Berln", "is not an IANA time zone; did you mean 'Europe/Berlin'"),
    ("2030-01-01T10:00", "'T10:00' (character 11) is not understood"),
    ("1969-01-01", "the year 1969"),
    ("Mon *~~01", "is not understood"),
    ("@x", "seconds since 1970"),
]


@pytest.mark.parametrize(("event", "text"), REFUSED, ids=[event for event, _ in REFUSED])
def test_what_cannot_be_is_refused_with_an_example_that_can(event: str, text: str) -> None:
    problem = problem_of(event)
    assert problem.field == "OnCalendar"
    assert text in problem.problem
    assert problem.example is not None
    assert options_of(problem.example)


@pytest.mark.parametrize(
    "events",
    [
        ["03:00 Europe/Berlin", "03:00 Asia/Tokyo"],
        ["*-*~01 *:0/15", "*-*-31 *:0/10"],
    ],
)
def test_lines_that_may_name_an_instant_twice_are_refused(events: list[str]) -> None:
    assert "make" in problem_of(*events).problem


# Whatever people may write

numbers = {"hour": (0, 23), "minute": (0, 59), "second": (0, 59), "day": (1, 31), "month": (1, 12)}


def chains(name: str) -> st.SearchStrategy[str]:
    low, high = numbers[name]
    value = st.integers(low, high)
    plain = value.map(str)
    spans = st.tuples(value, value).map(lambda pair: f"{min(pair)}..{max(pair)}")
    steps = st.tuples(value, st.integers(1, high // 2)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    stepped = st.tuples(spans, st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    lists = st.lists(st.one_of(plain, spans, steps, stepped), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists)


weekdays = st.sampled_from(["", "", "", "Mon ", "Sun ", "Sat,Sun ", "Mon..Fri ", "Tue,Thu ", "Wed, "])
last_days = st.sampled_from(["~01", "~07/1", "~1..7", "~3", "~2..5/2"])
days = st.one_of(chains("day").map(lambda text: f"-{text}"), last_days)
dates = st.one_of(
    st.just(""),
    st.just(""),
    st.tuples(st.sampled_from(["*", "*", "2025..2026"]), chains("month"), days).map(
        lambda parts: f"{parts[0]}-{parts[1]}{parts[2]} "
    ),
)
times = st.one_of(
    st.tuples(chains("hour"), chains("minute")).map(":".join),
    st.tuples(chains("hour"), chains("minute"), chains("second")).map(":".join),
)
expressions = st.tuples(weekdays, dates, times).map("".join).filter(lambda event: not has_mistake(event))


def has_mistake(event: str) -> bool:
    """Whether it is one of those that systemd itself gets wrong."""
    try:
        return bool(parse_event(event).warnings)
    except FieldError:
        return False


@given(
    st.lists(expressions, min_size=25, max_size=25),
    st.sampled_from(["UTC", BERLIN, "America/New_York"]),
    st.sampled_from([NOON, datetime(2025, 3, 29, tzinfo=UTC), datetime(2025, 10, 25, 20, tzinfo=UTC)]),
)
# each look at an example starts a process: what fails is not made smaller
@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_any_event_fires_when_systemd_says_or_is_refused(some: list[str], zone: str, after: datetime) -> None:
    expected = oracle.fires(some, zone, after, 40)
    for event in (event for event in some if event in expected):
        options = options_or_problem(event, zone)
        if isinstance(options, FieldError):
            assert expected[event] is None or any(text in options.problem for text in UNSAYABLE), str(options)
        else:
            assert fire_times(options, after, 40) == expected[event], (event, options)


UNSAYABLE = ("cannot say", "whose length", "whole seconds", "never fires")


def options_or_problem(event: str, zone: str) -> tuple[dict[str, Any], ...] | FieldError:
    try:
        return options_of(event, zone=zone)
    except FieldError as problem:
        return problem
