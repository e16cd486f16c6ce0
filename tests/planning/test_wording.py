"""How instants and what runs had to say are told: what is given, what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from beatd.planning.wording import (
    clock_time,
    first_line,
    listed,
    said_by,
    that_day,
    zoned,
    zoned_and_utc,
)

BERLIN = ZoneInfo("Europe/Berlin")
TOKYO = ZoneInfo("Asia/Tokyo")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "zone", "alone", "beside_utc"),
    [
        ("2026-03-29T01:00", BERLIN, "2026-03-29 03:00 CEST", "2026-03-29 03:00 CEST (01:00 UTC)"),
        (
            "2026-03-29T01:00:07",
            BERLIN,
            "2026-03-29 03:00:07 CEST",
            "2026-03-29 03:00:07 CEST (01:00:07 UTC)",
        ),
        (
            "2026-03-29T01:00:00.5",
            BERLIN,
            "2026-03-29 03:00:00 CEST",
            "2026-03-29 03:00:00 CEST (01:00:00 UTC)",
        ),
        ("2026-03-28T20:00", TOKYO, "2026-03-29 05:00 JST", "2026-03-29 05:00 JST (2026-03-28 20:00 UTC)"),
        ("2026-03-28T20:00", UTC, "2026-03-28 20:00 UTC", "2026-03-28 20:00 UTC"),
    ],
)
def test_instants(instant: str, zone: ZoneInfo, alone: str, beside_utc: str) -> None:
    assert zoned(at(instant), zone) == alone
    assert zoned_and_utc(at(instant), zone) == beside_utc


@pytest.mark.parametrize(
    ("wall", "shown", "day"),
    [
        (time(2, 30), "02:30", "that night"),
        (time(5, 59, 59), "05:59:59", "that night"),
        (time(6), "06:00", "that day"),
        (time(12), "12:00", "that day"),
    ],
)
def test_wall_times(wall: time, shown: str, day: str) -> None:
    assert clock_time(wall) == shown
    assert that_day(datetime.combine(datetime(2026, 3, 29), wall)) == day


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a to d (4 times)"),
    ],
)
def test_lists(texts: list[str], shown: str) -> None:
    assert listed(texts) == shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ""),
        ("", ""),
        ("\n  \n", ""),
        ("\n  first \nsecond", "first"),
        ("red\x1b[31m alert", "red�[31m alert"),
        ("caf\udce9 \udc80\udcff \ud800", r"caf\xe9 \x80\xff �"),
    ],
)
def test_the_first_line_that_says_something(text: str | None, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("state", "result", "error", "reason", "said"),
    [
        ("succeeded", "exit status 0\n42 rows", None, None, "42 rows"),
        ("succeeded", "status 204", None, None, ""),
        ("succeeded", None, "an error", "a reason", ""),
        ("failed", "exit status 3\n\nno space left\nmore", None, None, "exit status 3: no space left"),
        ("failed", "a result", "an error", "a reason", "an error"),
        ("revoked", "a result", None, "a reason", "a reason"),
        ("failed", None, None, None, ""),
        ("expired", None, None, None, "no worker started it before its expiry"),
        ("expired", None, None, "its queue was full", "its queue was full"),
    ],
)
def test_what_a_run_had_to_say(
    state: str, result: str | None, error: str | None, reason: str | None, said: str
) -> None:
    assert said_by(state, result, error, reason) == said
