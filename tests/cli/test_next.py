"""`beatd next` and `beatd entry next` as a person types them, and `beatd next --batch` as a program does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd

NIGHT = ["30 2 * * *", "--timezone", "Europe/Berlin"]


@pytest.fixture
def inside(tmp_path: Path) -> Beatd:
    """Neither configuration nor database."""
    return InProcess(tmp_path)


def rows(output: str) -> list[list[str]]:
    """The lines of a table, its columns parted where it parts them."""
    lines = output.partition("──\n")[2].splitlines()
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines]


# A rule


def test_a_rule_in_a_sentence_and_its_fires_in_the_zone_and_utc(inside: Beatd) -> None:
    shown = inside("next", *NIGHT, "--after", "2026-03-28T12:00", "-n", "2").stdout
    assert shown.startswith("at 02:30 every day, Europe/Berlin\n")
    assert rows(shown) == [
        [
            "Sun 2026-03-29 03:00 CEST",
            "2026-03-29 01:00 UTC",
            "02:30 is skipped that night: fires at the first instant after the gap",
        ],
        ["Mon 2026-03-30 02:30 CEST", "2026-03-30 00:30 UTC"],
    ]
    assert not list(inside.home.iterdir())  # nothing was made


SHOWN: list[tuple[list[str], list[list[str]]]] = [
    (
        [
            "--cron",
            "30 2 * * *",
            "--timezone",
            "Europe/Berlin",
            "--dst-gap",
            "skip",
            "--after",
            "2026-03-28T12:00",
        ],
        [
            ["Sun 2026-03-29", "–", "no fire: 02:30 is skipped that night"],
            ["Mon 2026-03-30 02:30 CEST", "2026-03-30 00:30 UTC"],
        ],
    ),
    (
        ["0 9 * * *", "--country", "DE", "--region", "BY", "--after", "2026-12-24T12:00"],
        [
            ["Fri 2026-12-25 09:00 UTC", "no run: Christmas Day"],
            ["Sat 2026-12-26 09:00 UTC", "no run: Second Day of Christmas"],
            ["Sun 2026-12-27 09:00 UTC"],
        ],
    ),
    (
        [
            "0 * * * *",
            *["--calendar-dates", "2026-04-01,2026-04-03", "--weekdays", "thu"],
            *["--after", "2026-03-31T23:00"],
        ],
        [
            [
                "Wed 2026-04-01 00:00 UTC",
                "no run: a listed date (24 fires, the last at 2026-04-01 23:00 UTC)",
            ],
            ["Thu 2026-04-02 00:00 UTC", "no run: Thursday (24 fires, the last at 2026-04-02 23:00 UTC)"],
            [
                "Fri 2026-04-03 00:00 UTC",
                "no run: a listed date (24 fires, the last at 2026-04-03 23:00 UTC)",
            ],
            ["Sat 2026-04-04 00:00 UTC"],
        ],
    ),
    (["--every", "90s", "--after", "2026-03-28T12:00"], [["Sat 2026-03-28 12:01:30 UTC"]]),
    (["--at", "2026-04-01T09:00", "--after", "2026-03-28"], [["Wed 2026-04-01 09:00 UTC"]]),
    (
        ["--calendar-every", "1mo", "--day", "last", "--time", "09:00", "--after", "2026-02-10"],
        [["Sat 2026-02-28 09:00 UTC"]],
    ),
    (
        ["--solar", "noon", "--latitude", "0", "--longitude", "0", "--after", "2026-03-28"],
        [["Sat 2026-03-28 12:05:02 UTC"]],
    ),
    (
        ["@daily", "--max-runs", "1", "--after", "2026-03-28"],
        [["Sun 2026-03-29 00:00 UTC", "the last run that max_runs allows"]],
    ),
]


@pytest.mark.parametrize(("arguments", "table"), SHOWN)
def test_what_is_shown_of_a_rule(inside: Beatd, arguments: list[str], table: list[list[str]]) -> None:
    assert rows(inside("next", *arguments, "-n", "1").stdout) == table


def test_jitter_is_shown_where_the_name_is_known(inside: Beatd) -> None:
    asked = ["@daily", "--jitter", "10m", "--after", "2026-03-28", "-n", "1"]
    assert "(jitter is hashed by the entry's name" in inside("next", *asked).stdout
    named = inside("next", *asked, "--name", "backup").stdout
    assert "(jitter" not in named
    assert rows(named)[0][1].startswith("due 00:0")
    document = inside.json("next", *asked, "--name", "backup")
    assert document["fire_times"] == ["2026-03-29T00:00:00Z"]
    assert document["coming"][0]["due_time"] > "2026-03-29T00:00:00Z"
    assert "H is hashed by" in inside("next", "H * * * *", status=2).stderr


def test_a_rule_that_ends_and_one_without_fires_ahead(inside: Beatd) -> None:
    ended = inside("next", "@daily", "--end-at", "2026-03-29T12:00Z", "--after", "2026-03-28").stdout
    assert ended.endswith("Sun 2026-03-29 00:00 UTC\nno other fire time will come\n")
    assert inside("next", "--at", "2020-01-01").stdout.endswith("\nno fire time will come\n")
    boot = inside("next", "@reboot").stdout.splitlines()
    assert boot == ["once after each boot of each machine", "(nobody knows a boot beforehand)"]


BAD: list[tuple[list[str], str]] = [
    ([], "beatd: schedule: None: give exactly one of cron"),
    (["61 * * * *"], "beatd: cron: '61 * * * *': minute '61': 61 is not in 0-59; for example"),
    (["@daily", "--timezone", "Europe/Brelin"], "did you mean 'Europe/Berlin'"),
    (["@daily", "-n", "0"], "beatd: count: 0: a whole number from 1 to 10000"),
    (["@daily", "--after", "soon"], "beatd: after: 'soon'"),
    (["@daily", "--cron", "@hourly"], "give the cron expression once"),
    (["@daily", "--calendar", "x", "--country", "DE"], "give --calendar, or what is in it"),
    (["@daily", "--country", "XX"], "beatd: country: 'XX': "),
    (["@daily", "--batch"], "--batch takes its rules from standard input alone"),
    (["--custom", "x"], "beatd: custom: 'x': is not among the configuration's schedules.custom"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_what_is_wrong_ends_with_status_2(inside: Beatd, arguments: list[str], said: str) -> None:
    done = inside("next", *arguments, status=2)
    assert said in done.stderr
    assert done.stdout == ""


def test_the_configuration_s_zone_and_a_stored_calendar(inside: Beatd) -> None:
    inside.env["BEATD_TIMEZONE"] = "Asia/Tokyo"
    asked = ["0 9 * * *", "--after", "2026-03-28T12:00", "-n", "1"]
    assert rows(inside("next", *asked).stdout) == [["Sun 2026-03-29 09:00 JST", "2026-03-29 00:00 UTC"]]
    missing = inside("next", *asked, "--calendar", "off", status=1)
    assert "there is no such file" in missing.stderr
    inside("db", "upgrade")
    inside("calendar", "add", "off", "--dates", "2026-03-29")
    assert rows(inside("next", *asked, "--calendar", "off").stdout)[0][2] == "no run: a listed date"
    assert "did you mean 'off'" in inside("next", *asked, "--calendar", "of", status=2).stderr


# An entry


def test_the_coming_fires_of_an_entry(inside: Beatd) -> None:
    inside("db", "upgrade")
    inside("entry", "add", "night", "--cron", NIGHT[0], "--timezone", "Europe/Berlin", "--shell", "x")
    after = ["--after", "2027-03-27T02:30"]  # in Berlin: it fires then, so it is not among those after it
    document = inside.json("entry", "next", "night", "-n", "2", *after)
    assert document["fire_times"] == ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    shown = inside("entry", "next", "night", "-n", "1", *after).stdout
    assert shown.splitlines()[0] == "night: at 02:30 every day, Europe/Berlin"
    assert rows(shown)[0][:2] == ["Sun 2027-03-28 03:00 CEST", "2027-03-28 01:00 UTC"]
    inside("entry", "pause", "night", "--note", "moving house")
    assert "moving house; " in inside("entry", "next", "night").stdout
    assert "entry resume night ends it" in inside("entry", "next", "night").stdout
    inside("entry", "pause", "night", "--until", "2100-01-01T12:00")
    paused = rows(inside("entry", "next", "night", "-n", "1").stdout)
    assert paused[0][2].startswith("no run: paused until 2100-01-01 12:00 CET (")
    assert paused[1][0] == "Sat 2100-01-02 02:30 CET"
    inside("pause", "--all", "--note", "fire drill")
    told = inside("entry", "next", "night")
    assert "everything is paused" in told.stderr
    inside("entry", "set", "night", "--max-runs", "1")
    assert "max_runs allows 1 run more" in inside("entry", "next", "night").stdout


# The filter


BATCH = b"""\xef\xbb\xbf{"cron": "30 2 * * *", "timezone": "Asia/Tokyo", "after": "2026-03-28T12Z", "n": 1}\r
{"cron": "61 * * * *"}
\r

\xff\xfe
{"every": "1h", "after": "2026-03-28T12:00Z", "n": 2, "timezone": "UTC"}"""


def filtered(beatd: Beatd, given: bytes) -> list[dict[str, Any]]:
    done = subprocess.run(
        [PROGRAM, "next", "--batch"],
        input=given,
        env=beatd.env,
        cwd=beatd.home,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_line_is_answered_in_its_order(beatd: Beatd) -> None:
    answers = filtered(beatd, BATCH)
    assert [list(answer) for answer in answers] == [
        ["fire_times"],
        ["error"],
        ["error"],
        ["error"],
        ["error"],
        ["fire_times"],
    ]
    assert answers[0] == {"fire_times": ["2026-03-28T17:30:00Z"]}
    assert answers[1]["error"].startswith("cron: '61 * * * *': minute '61'")
    assert "is blank" in answers[2]["error"]
    assert "is not UTF-8" in answers[4]["error"]
    assert answers[5] == {"fire_times": ["2026-03-28T13:00:00Z", "2026-03-28T14:00:00Z"]}
    assert filtered(beatd, b"") == []
    assert not (beatd.home / ".local").exists()


def test_a_line_is_answered_before_the_next_is_there(beatd: Beatd) -> None:
    process = subprocess.Popen(
        [PROGRAM, "next", "--batch"],
        env=beatd.env,
        cwd=beatd.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for hour in (1, 2, 3):
            process.stdin.write(f'{{"cron": "0 {hour} * * *", "after": "2026-01-01T00:00Z", "n": 1}}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"fire_times": [f"2026-01-01T0{hour}:00:00Z"]}
    finally:
        out, _ = process.communicate(timeout=60)  # closes its input first
    assert (out, process.returncode) == ("", 0)


def test_a_reader_that_goes_away_ends_it_quietly(beatd: Beatd) -> None:
    line = b'{"cron": "* * * * *", "timezone": "UTC", "n": 1000}\n'
    process = subprocess.Popen(
        [PROGRAM, "next", "--batch"],
        env=beatd.env,
        cwd=beatd.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(line)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b'{"fire_times": ')
    process.stdout.close()
    try:
        process.stdin.write(line)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.wait(timeout=60) in (0, 1)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ten_thousand_rules(beatd: Beatd) -> None:
    rule = '{{"cron": "{} {} * * {}", "timezone": "Europe/Berlin", "after": "2026-01-01T00:00Z"}}\n'
    given = "".join(
        rule.format(minute, hour, day) for day in range(7) for hour in range(24) for minute in range(60)
    )
    answers = filtered(beatd, given.encode())
    assert len(answers) == 7 * 24 * 60
    assert all(len(answer["fire_times"]) == 5 for answer in answers)
    assert answers[0]["fire_times"][0] == "2026-01-03T23:00:00Z"
    assert answers[-1]["fire_times"][-1] == "2026-01-31T22:59:00Z"
