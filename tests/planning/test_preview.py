"""What will come of a rule, in words: each row has the rule, where to look from, and what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatd.planning.preview import Closed, Coming, Withheld, last_fire_time, preview, sentence
from beatd.planning.reading import Reader
from beatd.planning.timing import Surroundings, Timing, parse_timing
from beatd.schedules import IntervalSchedule, Limited, OnceSchedule, parse_cron, parse_date_set

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
CALENDARS = Surroundings(
    calendars={
        "holidays": parse_date_set(None, None, "DE"),
        "off": parse_date_set("2026-12-28", "sat,sun", "DE"),
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
    jittered = timing(cron="0 9 * * *", jitter="10m")
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


def test_max_runs_ends_it() -> None:
    limited = timing(cron="0 9 * * *", max_runs=3)
    last = "the last run that max_runs allows"
    assert shown(limited, "2026-03-28T12:00", 5, runs_left=2) == ["29 09:00", f"30 09:00 {last}"]
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
