"""`beatd agenda` as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd

DAY = ["--from", "2098-03-29T00:00Z", "--to", "2098-03-29T04:00Z"]


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def test_nothing_yet(beatd: Beatd) -> None:
    lines = beatd("agenda", *DAY).stdout.splitlines()
    assert lines == ["0 fires of 0 entries, 2098-03-29 00:00 UTC to 2098-03-29 04:00 UTC"]
    assert beatd("agenda", "--list", *DAY).stdout == "nothing fires\n"


def test_few_fires_are_no_even_load(beatd: Beatd) -> None:
    beatd("entry", "add", "once", "--at", "2098-03-29T01:00Z", "--shell", "x")
    beatd("entry", "add", "later", "--at", "2098-03-29T05:00Z", "--shell", "x")
    lines = beatd("agenda", *DAY).stdout.splitlines()
    assert lines[0] == "1 fire of 2 entries, 2098-03-29 00:00 UTC to 2098-03-29 04:00 UTC"
    assert lines[-1] == "no minute stands out"
    beatd("entry", "remove", "later")
    assert beatd("agenda", *DAY).stdout.startswith("1 fire of 1 entry, ")


def test_a_histogram_the_worst_minute_and_what_to_spread(beatd: Beatd) -> None:
    for number in range(12):
        beatd("entry", "add", f"report {number}", "--cron", "0 2 * * *", "--shell", "x")
    beatd("entry", "add", "tick", "--cron", "*/30 * * * *", "--shell", "x")
    beatd("entry", "add", "off", "--cron", "*/30 * * * *", "--shell", "x", "--disabled")
    assert beatd("agenda", *DAY).stdout.splitlines() == [
        "20 fires of 13 entries, 2098-03-29 00:00 UTC to 2098-03-29 04:00 UTC",
        "not counted: 1 paused",
        "",
        "Sat 29 00:00   2  ████████▋",
        "Sat 29 01:00   2  ████████▋",
        "Sat 29 02:00  14  ████████████████████████████████████████████████████████████",
        "Sat 29 03:00   2  ████████▋",
        "",
        "! Sat 2098-03-29 02:00 UTC: 13 fires in a minute, 156.0 times the average",
        "         12  at 02:00 every day, UTC: report 0, report 1, report 10, report 11, report 2 and 7 more",
        "          1  every 30 minutes, UTC: tick",
        "-> 12 of the 13 fires come of minute 0 in cron: H in its place spreads them over 60 minutes, "
        f"about 1 in each; for example: {beatd_command(beatd)} entry set 'report 0' --cron 'H 2 * * *'",
    ]
    document = beatd.json("agenda", *DAY)
    assert [bucket["fires"] for bucket in document["buckets"]] == [2, 2, 14, 2]
    assert document["peaks"][0]["minute"] == "2098-03-29T02:00:00Z"
    assert document["suggestions"][0]["options"] == {"cron": "H 2 * * *"}


def beatd_command(beatd: Beatd) -> str:
    """How this process calls itself in hints."""
    hint = beatd("entry", "list", "nothing").stdout
    return hint.partition(": ")[2].partition(" entry add")[0]


def test_a_minute_a_character(beatd: Beatd) -> None:
    beatd("entry", "add", "tick", "--cron", "*/15 * * * *", "--shell", "x")
    beatd("entry", "add", "tock", "--cron", "0 1 * * *", "--shell", "x")
    lines = beatd("agenda", "--by", "minute", *DAY).stdout.splitlines()
    quarter = " " * 14
    assert lines[2:7] == [
        "a character a minute, █ for 2; then the sum of the hour",
        f"Sat 00:00 {f'▄{quarter}' * 4} 4",
        f"Sat 01:00 █{quarter}{f'▄{quarter}' * 3} 5",
        f"Sat 02:00 {f'▄{quarter}' * 4} 4",
        f"Sat 03:00 {f'▄{quarter}' * 4} 4",
    ]
    assert lines[-1] == "no minute stands out"
    assert max(map(len, lines)) <= 80


def test_the_configuration_s_zone_is_shown_beside_utc(beatd: Beatd) -> None:
    beatd.env["BEATD_TIMEZONE"] = "Asia/Kolkata"
    beatd("entry", "add", "noon", "--cron", "0 12 * * *", "--shell", "x")
    drawn = beatd("agenda", "--from", "2098-03-29T12:00", "--to", "2098-03-29T13:00").stdout
    assert "\nSat 29 12:00 IST  06:30 UTC  1  ████" in drawn
    listed = beatd("agenda", "--list", "--from", "2098-03-29T12:00", "--to", "2098-03-29T13:00").stdout
    assert listed.splitlines()[0].split() == ["Asia/Kolkata", "UTC", "due", "entry"]
    assert listed.splitlines()[-1].split() == [
        *["Sat", "2098-03-29", "12:00", "IST"],
        *["2098-03-29", "06:30", "UTC", "noon"],
    ]


def test_a_list_says_that_there_is_more(beatd: Beatd) -> None:
    beatd("entry", "add", "tick", "--cron", "* * * * *", "--shell", "x")
    lines = beatd("agenda", "--list", "-n", "2", *DAY).stdout.splitlines()
    assert [line.split()[2] for line in lines[2:4]] == ["00:00", "00:01"]
    assert lines[4] == "and more: --limit 20 lists more of them"
    assert len(beatd.json("agenda", "--list", *DAY)["fires"]) == 100


def test_bad_input_and_everything_paused(beatd: Beatd) -> None:
    assert "beatd: by: 'day': one of minute, hour" in beatd("agenda", "--by", "day", status=2).stderr
    assert "beatd: to: 'x': is not a date" in beatd("agenda", "--to", "x", status=2).stderr
    beatd("pause", "--all")
    assert "this is what it would be" in beatd("agenda").stdout
