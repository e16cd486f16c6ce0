"""What will come of a rule, in words: each row has the rule, where to look from, and what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.planning.preview import Closed, Coming, Withheld, last_fire_time, preview, sentence
from beatd.planning.reading import Reader
from beatd.planning.remarks import skipped_for_good
from beatd.planning.timing import Surroundings, Timing, parse_timing
from beatd.schedules import IntervalSchedule, Limited, OnceSchedule, parse_cron, parse_date_set

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
CALENDARS = Surroundings(
    calendars={
        "holidays": parse_date_set(None, None, "DE"),
        "off": parse_date_set("2026-12-28", "sat,sun", "DE"),
        "week": parse_date_set("2026-05-04 2026-05-05 2026-05-06 2026-05-07 2026-05-08", "sat,sun"),
        "thursday": parse_date_set("2026-03-26", None),
    }
)
BERLIN = {"timezone": "Europe/Berlin"}
NIGHTLY = {"cron": "30 2 * * *", **BERLIN}
MORNING = {"cron": "0 9 * * *", **BERLIN}


def timing(**columns: Any) -> Timing:
    reader = Reader(columns)
    parsed = parse_timing(reader, "backup", CREATED, CALENDARS)
    assert parsed is not None, reader.findings
    return parsed


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(parsed: Timing, after: str, count: int, **limits: Any) -> list[str]:
    """`25 01:00 remark; remark` for a fire, `25 01:00 ×3 - reason: why` for what becomes none."""
    lines = []
    for item in preview(parsed, at(after), count, **limits):
        if isinstance(item, Coming):
            lines.append(" ".join([item.fire_time.strftime("%d %H:%M"), "; ".join(item.remarks)]).rstrip())
        else:
            assert isinstance(item, Withheld)
            many = f" ×{item.count}{'' if item.exact else '+'}" if item.count > 1 else ""
            lines.append(f"{item.first:%d %H:%M}{many} - {item.reason}: {item.why}")
    return lines


CASES: list[tuple[dict[str, Any], str, list[str]]] = [
    # a fixed time that is skipped, and one that comes twice
    (
        NIGHTLY,
        "2026-03-28T12:00",
        ["29 01:00 02:30 is skipped that night: fires at the first instant after the gap", "30 00:30"],
    ),
    (NIGHTLY, "2026-10-24T12:00", ["25 00:30 02:30 comes twice that night: the first", "26 01:30"]),
    (
        NIGHTLY | {"dst_gap": "skip"},
        "2026-03-28T12:00",
        ["29 01:00 - skipped: 02:30 is skipped that night", "30 00:30"],
    ),
    (
        NIGHTLY | {"dst_fold": "second"},
        "2026-10-24T12:00",
        ["25 01:30 02:30 comes twice that night: the second", "26 01:30"],
    ),
    (
        NIGHTLY | {"dst_fold": "both"},
        "2026-10-24T12:00",
        [
            "25 00:30 02:30 comes twice that night and fires both times: the first",
            "25 01:30 02:30 comes twice that night and fires both times: the second",
        ],
    ),
    # several wall times in one gap
    (
        {"cron": "0,30 2 * * *", **BERLIN},
        "2026-03-28T12:00",
        [
            "29 01:00 02:00 and 02:30 are skipped that night: one fire, at the first instant after the gap",
            "30 00:00",
        ],
    ),
    (
        {"cron": "0 2,3 * * *", **BERLIN},
        "2026-03-28T12:00",
        [
            "29 01:00 02:00 is skipped that night: one fire, at the first instant after the gap",
            "30 00:00",
        ],
    ),
    # limits that the shift lies within change nothing
    (
        NIGHTLY | {"start_at": "2026-03-01", "end_at": "2026-04-15"},
        "2026-03-28T12:00",
        ["29 01:00 02:30 is skipped that night: fires at the first instant after the gap", "30 00:30"],
    ),
    (
        NIGHTLY | {"dst_gap": "skip", "start_at": "2026-03-01", "end_at": "2026-04-15"},
        "2026-03-28T12:00",
        ["29 01:00 - skipped: 02:30 is skipped that night", "30 00:30"],
    ),
    (
        {"cron": "* * 2 * * *", **BERLIN, "dst_gap": "skip"},
        "2026-03-29T00:59:59",
        ["29 01:00 ×3600 - skipped: 02:00 to 02:59:59 (3600 times) are skipped that night", "30 00:00"],
    ),
    # a wildcard follows the clock
    (
        {"cron": "*/5 * * * *", **BERLIN},
        "2026-03-29T00:50",
        [
            "29 00:55",
            "29 01:00 ×12 - skipped: 02:00 to 02:55 (12 times) are skipped that night",
            "29 01:00",
        ],
    ),
    (
        {"calendar_every": "1d", "time": "02:30", **BERLIN},
        "2026-03-28T12:00",
        ["29 01:00 02:30 is skipped that night: fires at the first instant after the gap", "30 00:30"],
    ),
    # at noon no clock is set; a limit that ends before the shift leaves nothing to skip
    (MORNING, "2026-03-28T12:00", ["29 07:00", "30 07:00"]),
    (
        NIGHTLY | {"dst_gap": "skip", "start_at": "2026-03-30"},
        "2026-03-28T12:00",
        ["30 00:30", "31 00:30"],
    ),
    # calendars
    (
        MORNING | {"calendar": "holidays"},
        "2026-12-24T12:00",
        ["25 08:00 - calendar: Christmas Day", "26 08:00 - calendar: Second Day of Christmas", "27 08:00"],
    ),
    (
        {"cron": "0 * * * *", **BERLIN, "calendar": "holidays"},
        "2026-12-24T22:00",
        [
            "24 23:00 ×24 - calendar: Christmas Day",
            "25 23:00 ×24 - calendar: Second Day of Christmas",
            "26 23:00",
        ],
    ),
    (
        MORNING | {"calendar": "holidays"},
        "2026-12-23T12:00",
        [
            "24 08:00",
            "25 08:00 - calendar: Christmas Day",
            "26 08:00 - calendar: Second Day of Christmas",
            "27 08:00",
        ],
    ),
    (
        {"cron": "0 9 25 * *", **BERLIN, "calendar": "off", "calendar_action": "previous"},
        "2026-12-01T00:00",
        ["24 08:00 moved from Fri 2026-12-25 (Christmas Day)"],
    ),
    # a Sunday that is not in the calendar keeps its own fire, and takes none
    (
        MORNING | {"calendar": "holidays", "calendar_action": "next"},
        "2026-12-24T12:00",
        [
            "27 08:00",
            "28 08:00 one fire with that moved from Fri 2026-12-25 (Christmas Day) and "
            "Sat 2026-12-26 (Second Day of Christmas)",
        ],
    ),
    (
        MORNING | {"calendar": "week", "calendar_action": "next"},
        "2026-05-01T12:00",
        [
            "11 07:00 one fire with that moved from "
            "Sat 2026-05-02 (Saturday) to Sun 2026-05-10 (Sunday) (9 times)"
        ],
    ),
    # moved into a gap: Jerusalem's clocks skip 02:00 to 03:00 on a Friday
    (
        {
            "cron": "30 2 26 3 *",
            "timezone": "Asia/Jerusalem",
            "calendar": "thursday",
            "calendar_action": "next",
        },
        "2026-03-20T00:00",
        ["27 00:00 moved from Thu 2026-03-26 (a listed date)"],
    ),
    # a rule that is no wall clock's
    (
        {
            "every": "1d",
            "start_at": "2026-12-20T08:00Z",
            **BERLIN,
            "calendar": "off",
            "calendar_action": "next",
        },
        "2026-12-24T12:00",
        [
            "29 08:00 one fire with that moved from Fri 2026-12-25 (Christmas Day), "
            "Sat 2026-12-26 (Second Day of Christmas), Sun 2026-12-27 (Sunday) and "
            "Mon 2026-12-28 (a listed date)",
            "30 08:00",
        ],
    ),
    (
        {"cron": "0 9 26 * *", **BERLIN, "calendar": "off", "calendar_action": "previous"},
        "2026-12-01T00:00",
        ["24 08:00 moved from Sat 2026-12-26 (Second Day of Christmas)", "26 08:00"],
    ),
    (
        MORNING | {"calendar": "off", "calendar_action": "next"},
        "2026-12-24T12:00",
        [
            "29 08:00 one fire with that moved from Fri 2026-12-25 (Christmas Day), "
            "Sat 2026-12-26 (Second Day of Christmas), Sun 2026-12-27 (Sunday) and "
            "Mon 2026-12-28 (a listed date)",
            "30 08:00",
        ],
    ),
    # never on a working day: the calendar keeps all of them
    (
        {"cron": "0 9 25 12 *", **BERLIN, "calendar": "holidays", "end_at": "2028-01-01"},
        "2026-12-01T00:00",
        ["25 08:00 - calendar: Christmas Day"],
    ),
    # intervals have no wall time
    ({"every": "90s", "start_at": "2026-03-29T00:59:30Z"}, "2026-03-29T00:59", ["29 00:59", "29 01:01"]),
    ({"at": "2026-03-29T01:00Z"}, "2026-03-28T00:00", ["29 01:00"]),
    ({"cron": "@reboot"}, "2026-03-28T00:00", []),
]


@pytest.mark.parametrize(("columns", "after", "lines"), CASES)
def test_what_is_said_of_coming_fires(columns: dict[str, Any], after: str, lines: list[str]) -> None:
    fires = sum(" - " not in line for line in lines)
    assert shown(timing(**columns), after, max(fires, 1)) == lines


def test_jitter_tells_when_the_run_is_due() -> None:
    jittered = timing(**MORNING, jitter="10m")
    [coming] = preview(jittered, at("2026-03-28T12:00"), 1)
    assert isinstance(coming, Coming)
    assert coming.due_time == jittered.due_time(coming.fire_time)
    late = (coming.due_time - coming.fire_time).total_seconds()
    assert 0 < late < 600
    minutes, seconds = divmod(late, 60)
    assert coming.remarks[0].startswith(f"due 09:{minutes:02.0f}:{seconds:06.3f} (+")


def test_a_pause_that_ends_is_counted_and_what_comes_after_it_runs() -> None:
    until = at("2027-01-22T02:00")
    paused = Closed(at("2026-03-28T00:00"), until, "paused", "paused until then")
    lines = shown(timing(cron="* * * * *"), "2026-03-28T02:00", 2, closed=[paused])
    assert lines == ["28 02:01 ×431999 - paused: paused until then", "22 02:00", "22 02:01"]
    # a second one, later, and a calendar in between
    all_paused = Closed(at("2026-12-27T00:00"), at("2026-12-28T00:00"), "all paused", "drill")
    lines = shown(timing(**MORNING, calendar="holidays"), "2026-12-24T12:00", 1, closed=[all_paused])
    assert lines == [
        "25 08:00 - calendar: Christmas Day",
        "26 08:00 - calendar: Second Day of Christmas",
        "27 08:00 - all paused: drill",
        "28 08:00",
    ]


def test_what_a_calendar_drops_within_a_pause_is_the_pause_s() -> None:
    begins = at("2026-12-26T08:00")
    paused = Closed(begins, at("2026-12-28T00:00"), "all paused", "drill")
    assert shown(timing(**MORNING, calendar="holidays"), "2026-12-24T12:00", 1, closed=[paused]) == [
        "25 08:00 - calendar: Christmas Day",
        "27 08:00 - all paused: drill",
        "28 08:00",
    ]


def test_a_fire_at_the_very_beginning_or_end_of_a_pause() -> None:
    paused = Closed(at("2026-03-29T09:00"), at("2026-03-30T09:00"), "paused", "drill")
    lines = shown(timing(cron="0 9 * * *"), "2026-03-28T12:00", 1, closed=[paused])
    assert lines == ["29 09:00 - paused: drill", "30 09:00"]


def test_the_first_and_the_last_of_what_becomes_no_run() -> None:
    pause = Closed(at("2026-03-30T00:00"), at("2026-03-31T00:00"), "paused", "drill")
    hourly = timing(cron="0 * * * *", **BERLIN, calendar="thursday")
    items = preview(hourly, at("2026-03-25T22:30"), 120, closed=[pause])
    withheld = [item for item in items if isinstance(item, Withheld)]
    assert [(item.reason, item.first, item.last) for item in withheld] == [
        ("calendar", at("2026-03-25T23:00"), at("2026-03-26T22:00")),
        ("skipped", at("2026-03-29T01:00"), at("2026-03-29T01:00")),
        ("paused", at("2026-03-30T00:00"), at("2026-03-30T23:00")),
    ]


DROPPED = [
    # fires that the calendar has all of, and how they are told
    ("0 9 1-14 1 *", [f"{day:02} 09:00 - calendar: a listed date" for day in range(1, 15)]),
    ("0 9 1-15 1 *", ["01 09:00 ×15 - calendar: 15 days of the calendar"]),
    ("* * 0-1 1 1 *", ["01 00:00 ×7200 - calendar: a listed date"]),
    ("* * 0-2 1 1 *", ["01 00:00 ×10000+ - calendar: a listed date"]),
    (
        "*/10 * * 1-15 1 *",
        ["01 00:00 ×8640 - calendar: a listed date", "02 00:00 ×1360+ - calendar: a listed date"],
    ),
]


@pytest.mark.parametrize(("cron", "lines"), DROPPED)
def test_very_many_dropped_fires_are_told_in_short(cron: str, lines: list[str]) -> None:
    january = " ".join(f"2027-01-{day:02}" for day in range(1, 16))
    reader = Reader({"cron": cron, "calendar": "c"})
    known = Surroundings(calendars={"c": parse_date_set(january, None)})
    parsed = parse_timing(reader, "x", CREATED, known)
    assert parsed is not None
    assert shown(parsed, "2026-12-31T23:59:59", 1)[: len(lines)] == lines
    dropped = preview(parsed, at("2026-12-31T23:59:59"), 1)[len(lines) - 1]
    assert isinstance(dropped, Withheld)
    *_, last = islice(parsed.schedule.dropped(at("2026-12-31T23:59:59"), at("2027-06-01T00:00")), 10_000)
    assert dropped.last == last


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({}, True),
        ({"start_at": "2026-03-29T01:00Z"}, True),
        ({"start_at": "2026-03-29T01:00:01Z"}, False),
        ({"end_at": "2026-03-29T01:00Z"}, True),
        ({"end_at": "2026-03-29T00:59:59Z"}, False),
        ({"start_at": "2026-03-01", "end_at": "2026-05-01"}, True),
    ],
)
def test_what_a_shift_outside_of_the_limits_skips_is_not_told(limits: dict[str, str], told: bool) -> None:
    skipping = timing(**NIGHTLY, dst_gap="skip", **limits)
    assert bool([*skipped_for_good(skipping, at("2026-03-28T12:00"), at("2026-03-30T12:00"))]) is told


def test_max_runs_ends_it() -> None:
    limited = timing(cron="0 9 * * *", max_runs=3)
    last = "the last run that max_runs allows"
    assert shown(limited, "2026-03-28T12:00", 5, runs_left=2) == ["29 09:00", f"30 09:00 {last}"]
    assert shown(limited, "2026-03-28T12:00", 2, runs_left=2) == ["29 09:00", f"30 09:00 {last}"]
    assert shown(limited, "2026-03-28T12:00", 5, runs_left=3) == ["29 09:00", "30 09:00", f"31 09:00 {last}"]
    assert shown(limited, "2026-03-28T12:00", 2, runs_left=3) == ["29 09:00", "30 09:00"]
    assert shown(limited, "2026-03-28T12:00", 5, runs_left=0) == []


def test_very_many_days_of_a_calendar_are_one_record() -> None:
    every_working_day = Surroundings(calendars={"c": parse_date_set(None, "mon,tue,wed,thu,fri")})
    reader = Reader({"cron": "0 9 * * 1-5", "calendar": "c"})
    parsed = parse_timing(reader, "x", CREATED, every_working_day)
    assert parsed is not None
    assert shown(parsed, "2026-01-01T00:00", 1) == ["01 09:00 ×262 - calendar: 262 days of the calendar"]


SENTENCES = [
    ({"cron": "30 2 * * *"}, "at 02:30 every day, UTC"),
    ({"cron": "0 * * * *", "jitter": "5m"}, "every hour, UTC, plus up to 5 minutes of jitter"),
    ({"every": "5m", "fixed_delay": True}, "5 minutes after the end of the run before"),
    ({"cron": "@daily", "max_runs": 3}, "at 00:00 every day, UTC, 3 times at most"),
]


@pytest.mark.parametrize(("columns", "text"), SENTENCES)
def test_a_timing_in_plain_english(columns: dict[str, Any], text: str) -> None:
    assert sentence(timing(**columns)) == text


UNTIL = at("2026-06-01T00:00")
LAST = [
    (parse_cron("* * * * *", ZoneInfo("UTC")), "2026-06-01T00:00"),
    (parse_cron("0 0 29 2 *", ZoneInfo("UTC")), "2024-02-29T00:00"),
    (IntervalSchedule(timedelta(days=7), at("2026-05-30T00:00")), None),
    (OnceSchedule(at("1999-01-01T00:00")), "1999-01-01T00:00"),
    (Limited(parse_cron("* * * * *", ZoneInfo("UTC")), None, at("1980-05-05T05:05")), "1980-05-05T05:05"),
]


@pytest.mark.parametrize(("schedule", "last"), LAST)
def test_the_last_fire_up_to_an_instant(schedule: Any, last: str | None) -> None:
    assert last_fire_time(schedule, at("1970-01-01T00:00"), UNTIL) == (last and at(last))


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 20_000))
def test_the_last_fire_is_the_last_of_all(every: int, begun: int, until: int) -> None:
    schedule = IntervalSchedule(timedelta(seconds=every), UNTIL + timedelta(seconds=begun))
    end = UNTIL + timedelta(seconds=until)
    assert last_fire_time(schedule, UNTIL, end) == max(schedule.fire_times(UNTIL, end), default=None)
