"""Anacrontabs become entries at the time at which anacron comes to a job on a machine that is always up."""

from __future__ import annotations

from typing import Any

import pytest

from beatd.migrate.crontab.anacron import read_anacron_entries, read_anacrontab
from beatd.migrate.crontab.crons import Cron, Form
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.model import Line
from beatd.migrate.crontab.tabs import Rules, read_tab
from beatd.migrate.found import Reading

#: As Fedora ships it.
FEDORA = """\
# /etc/anacrontab: configuration file for anacron

SHELL=/bin/sh
PATH=/sbin:/bin:/usr/sbin:/usr/bin
MAILTO=root
# the maximal random delay added to the base delay of the jobs
RANDOM_DELAY=45
# the jobs will be started during the following hours only
START_HOURS_RANGE=3-22

#period in days   delay in minutes   job-identifier   command
1\t5\tcron.daily\t\tnice run-parts /etc/cron.daily
7\t25\tcron.weekly\t\tnice run-parts /etc/cron.weekly
@monthly 45\tcron.monthly\t\tnice run-parts /etc/cron.monthly
"""


def read(text: str, cron: Cron = "cronie", queue: str | None = None) -> Reading:
    tab = read_anacrontab(text.encode(), "/etc/anacrontab", cron=cron)
    return read_anacron_entries(tab, Taking("Europe/Berlin", queue))


def one(text: str, cron: Cron = "cronie") -> dict[str, Any]:
    reading = read(text, cron)
    assert not reading.refused, reading.refused
    [found] = reading.found
    return dict(found.options)


def test_fedoras_own() -> None:
    daily, weekly, monthly = read(FEDORA).found
    assert daily.options == {
        "cron": "6 3 * * *",
        "timezone": "Europe/Berlin",
        "jitter": "45m",
        "misfire": "latest",
        "overlap": "skip",
        "shell": "nice run-parts /etc/cron.daily",
        "cwd": "/",
        "environment": "cron",
        "env": {
            "PATH": "/sbin:/bin:/usr/sbin:/usr/bin",
            "MAILTO": "root",
            "RANDOM_DELAY": "45",
            "START_HOURS_RANGE": "3-22",
        },
        "queue": "user.root",
        "mailto": "root",
    }
    assert (daily.names[0], daily.where, daily.origin.place) == (
        "anacron cron.daily",
        "/etc/anacrontab:12",
        "12",
    )
    assert "03:06 is when it comes to this job on a machine that is always up" in daily.warnings[0]
    weekly_says = {key: weekly.options[key] for key in ("calendar_every", "time", "expires")}
    assert weekly_says == {"calendar_every": "7d", "time": "03:26", "expires": "7d"}
    assert "counted from the day of the import" in weekly.warnings[-1]
    assert (monthly.options["cron"], monthly.options["expires"]) == ("46 3 1 * *", "28d")


# START_HOURS_RANGE, delay, cron -> the time of day
TIMES = [
    (None, 0, "cronie", "1 0 * * *"),
    (None, 5, "debian", "35 7 * * *"),
    (None, 45, "debian", "15 8 * * *"),
    ("3-22", 5, "cronie", "6 3 * * *"),
    # the hour that counts is the one at which the job begins: of the start before two, with an hour's delay
    ("3-22", 60, "cronie", "1 3 * * *"),
    ("20-23", 10, "debian", "40 20 * * *"),
    ("0-1", 1410, "cronie", "31 0 * * *"),
]


@pytest.mark.parametrize(("hours", "delay", "cron", "expected"), TIMES)
def test_the_first_start_of_the_day_that_fits(
    hours: str | None, delay: int, cron: Cron, expected: str
) -> None:
    text = f"1 {delay} job true\n" + (f"START_HOURS_RANGE={hours}\n" if hours else "")
    assert one(text, cron)["cron"] == expected


@pytest.mark.parametrize(
    ("period", "options"),
    [
        ("1", {"cron": "35 7 * * *"}),
        ("@daily", {"cron": "35 7 * * *"}),
        ("7", {"calendar_every": "7d", "time": "07:35", "expires": "7d"}),
        ("@weekly", {"calendar_every": "7d", "time": "07:35", "expires": "7d"}),
        ("030", {"calendar_every": "30d", "time": "07:35", "expires": "30d"}),
        ("@monthly", {"cron": "35 7 1 * *", "expires": "28d"}),
        ("@yearly", {"cron": "35 7 1 1 *", "expires": "365d"}),
    ],
)
def test_periods(period: str, options: dict[str, str]) -> None:
    found = one(f"{period} 5 job true\n", "debian")
    assert {
        key: found[key] for key in found if key in {"cron", "calendar_every", "time", "expires"}
    } == options


def test_the_shell_is_always_sh_and_quotes_and_percent_signs_are_nothing_special() -> None:
    [found] = read('SHELL=/bin/bash\nA= "x" \n1 5 job date +%F\n').found
    assert found.options["env"] == {"A": ' "x" '}
    assert (found.options["shell"], "stdin" in found.options) == ("date +%F", False)
    assert "SHELL=/bin/bash is left out: anacron gives every command to /bin/sh" in found.warnings


def test_assignments_hold_from_their_line_on() -> None:
    first, second = read("A=1\n1 5 a x\nA=2\nRANDOM_DELAY=3\n1 5 b y\n").found
    assert (first.options["env"], first.options.get("jitter")) == ({"A": "1"}, None)
    assert (second.options["env"]["A"], second.options["jitter"]) == ("2", "3m")


def test_another_queue_on_request() -> None:
    [found] = read("1 5 a x\n", queue="user.bob").found
    assert found.options["queue"] == "user.bob"


REFUSED = [
    ("hello", "neither a setting nor period"),
    ("1 5 a/b x", "neither a setting nor period"),
    ("1 5 job", "neither a setting nor period"),
    ("0 5 job x", "1 to 1000 days"),
    ("1001 5 job x", "1 to 1000 days"),
    ("@hourly 5 job x", "anacron knows a number of days, @daily, @weekly, @monthly, @yearly"),
    ("START_HOURS_RANGE=22-3", "two hours, the earlier one first"),
    ("START_HOURS_RANGE = 3-22", "two hours, the earlier one first"),
    ("RANDOM_DELAY=many", "a number of minutes"),
    ("START_HOURS_RANGE=3-3\n1 5 job x", "no start of anacron is within"),
]


def test_a_byte_order_mark_counts_where_it_is_before_something() -> None:
    comment, job = lines_of(b"\xef\xbb\xbf# c\n1 5 a x\n")
    assert (comment.kind, comment.source, job.kind) == ("comment", "\ufeff# c", "entry")
    [job] = lines_of(b"\xef\xbb\xbf1 5 a x\n")
    assert job.kind == "refused"
    assert "byte order mark" in str(job.reason)


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_cannot_be_taken(text: str, problem: str) -> None:
    reading = read(f"# first\n{text}\n")
    [finding] = reading.refused
    assert problem in str(finding)
    assert str(finding.where).startswith("/etc/anacrontab:")
    assert reading.found == ()


def test_what_cronies_anacron_makes_of_backslashes() -> None:
    text = "1 5 a echo a\\b\n1 5 b x \\\n  y\n1 5 c z\n"
    joined = read(text)
    assert [str(finding.where) for finding in joined.refused] == ["/etc/anacrontab:2", "/etc/anacrontab:3"]
    assert [found.options["shell"] for found in joined.found] == ["echo ab", "z"]
    assert r"takes every \ out of a line" in joined.found[0].warnings[0]
    # Debian's leaves them to the shell
    debians = read("1 5 a echo a\\b\n1 5 b x \\\n", "debian")
    assert [found.options["shell"] for found in debians.found] == ["echo a\\b", "x \\"]


def lines_of(text: bytes) -> tuple[Line, ...]:
    return read_anacrontab(text, "tab").lines


def test_every_physical_line_is_told() -> None:
    lines = lines_of(b"\xef\xbb\xbf# c\n\n \t\nA=\xff\n1 5 a \xff\r\nno\n1 5 b last")
    assert [line.kind for line in lines] == [
        "comment",
        "blank",
        "blank",
        "environment",
        "entry",
        "refused",
        "entry",
    ]
    assert (lines[4].command, lines[4].environment) == ("\udcff\r", {"A": "\udcff"})
    assert "takes the CR for part of the command" in lines[4].warnings[0]
    assert [line.number for line in lines] == list(range(1, 8))


# path, text, the form that was given -> whether it is one
KNOWN: list[tuple[str, str, Form | None, bool]] = [
    ("/etc/anacrontab", "", None, True),
    ("/etc/anacrontab", "", "system", True),
    ("anacrontab", "0 5 * * * x\n", "user", False),
    ("anacrontab.bak", "0 5 * * * x\n", None, True),
    ("tab", FEDORA, None, True),
    ("tab", FEDORA, "system", False),
    ("tab", "1 5 cron.daily x\n", None, True),
    ("tab", "A=1\n", None, False),
    ("tab", "", None, False),
    ("tab", "1 5 * * * x\n", None, False),
    ("tab", "1 5 1 * * x\n", None, False),
    ("tab", "@daily 5 x y\n@daily x\n", None, False),
    ("tab", "1 5 job x\n1 5 * * * x\n", None, False),
]


@pytest.mark.parametrize(("path", "text", "form", "is_one"), KNOWN)
def test_how_one_is_known(path: str, text: str, form: Form | None, is_one: bool) -> None:
    assert read_tab(text.encode(), path, Rules("debian", form), Taking("UTC")).is_anacron is is_one
