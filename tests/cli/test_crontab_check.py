"""`beatd crontab check` as a person types it: every physical line is told of, in text and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import PROGRAM, Beatd

SYSTEM = """\
# comment

PATH=/usr/bin
17 * * * * root cd / && run-parts --report /etc/cron.hourly
# Mind the percent
0 3 * * * no-such-user date +\\%F%in
* */3 * * * root x
"""


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    """Without any database: none is needed."""
    beatd = InProcess(tmp_path)
    beatd.env["TZ"] = "Europe/Berlin"
    return beatd


def write(beatd: Beatd, name: str, text: str | bytes) -> Path:
    path = beatd.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def checked(beatd: Beatd, *arguments: str, status: int = 0) -> Any:
    return beatd.json("crontab", "check", *arguments, status=status)


def test_every_physical_line_is_an_object(beatd: Beatd) -> None:
    write(beatd, "etc/crontab", SYSTEM)
    document = checked(beatd, "etc/crontab", "--cron", "debian")
    [file] = document["files"]
    assert (file["path"], file["form"]) == ("etc/crontab", "system")
    lines = file["lines"]
    assert [line["line"] for line in lines] == list(range(1, 8))
    assert [line["kind"] for line in lines] == [
        "comment",
        "blank",
        "environment",
        "entry",
        "comment",
        "entry",
        "entry",
    ]
    assert "\n".join(line["source"] for line in lines) + "\n" == SYSTEM
    date = lines[5]
    assert {key: date[key] for key in ("schedule", "command", "stdin", "user", "environment", "name")} == {
        "schedule": "0 3 * * *",
        "command": "date +%F",
        "stdin": "in\n",
        "user": "no-such-user",
        "environment": {"PATH": "/usr/bin"},
        "name": "mind-the-percent",
    }
    assert (date["queue"], date["timezone"], len(date["next_fires"])) == (
        "user.no-such-user",
        "Europe/Berlin",
        3,
    )
    assert "there is no user no-such-user on this machine" in date["warnings"]
    assert any("every minute" in warning for warning in lines[6]["warnings"])
    assert document["totals"] == {
        "files": 1,
        "lines": 7,
        "entry": 3,
        "refused": 0,
        "environment": 1,
        "comment": 2,
        "blank": 1,
        "warned": 2,
        "never_ran": 0,
    }
    root = {"user": "root", "queue": "user.root", "unit": "beatd-worker@root.service", "known": True}
    assert document["workers"][1] == root


def test_the_document_has_what_the_page_shows(beatd: Beatd) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "crontab.md").read_text()
    [shown] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    [file] = shown["files"]
    [line] = file["lines"]
    write(beatd, "php", f"{line['source']}\n")
    document = checked(beatd, "php", "--cron", "debian")
    [its_file] = document["files"]
    [its_line] = its_file["lines"]
    changing = {"line": 1, "next_fires": its_line["next_fires"]}
    assert {key: its_line[key] for key in line} == line | changing
    assert {key: its_file[key] for key in file if key not in ("path", "lines")} == {
        key: file[key] for key in file if key not in ("path", "lines")
    }
    assert {key: document["totals"][key] for key in shown["totals"]} == shown["totals"]
    assert document["workers"] == shown["workers"]


def test_the_same_as_text(beatd: Beatd) -> None:
    write(beatd, "etc/crontab", SYSTEM)
    out = beatd("crontab", "check", "etc/crontab", "--cron", "debian").stdout
    assert out.startswith(
        "etc/crontab: system crontab, as Debian's cron reads it\n      1 comment\n      2 blank\n"
    )
    assert "\n      3 environment PATH=/usr/bin\n" in out
    assert "\n        → cron-hourly: at minute 17 of every hour, Europe/Berlin; queue user.root\n" in out
    assert "\n        ! there is no user no-such-user on this machine\n" in out
    assert "systemctl enable --now beatd-worker@root.service\n" in out
    assert "nothing runs as root unless a root worker is started" in out
    assert out.endswith("7 lines: 3 entries, 1 assignment, 2 comments, 1 blank line\n")


def test_what_is_lost_is_told_and_ends_with_1(beatd: Beatd) -> None:
    write(beatd, "tab", "@daily good\n61 * * * * bad\n")
    document = checked(beatd, "tab", "--cron", "debian", status=1)
    good, bad = document["files"][0]["lines"]
    assert (bad["kind"], bad["where"], bad["name"]) == ("refused", "tab:2:1", None)
    assert "61" in bad["reason"]
    assert "never ran" in bad["never_ran"]
    assert (good["kind"], "ignores the whole file" in good["never_ran"]) == ("entry", True)
    assert document["totals"]["never_ran"] == 2
    out = beatd("crontab", "check", "tab", "--cron", "debian", status=1).stdout
    assert out.endswith("2 lines: 1 entry, 1 refused line; 2 of them cron itself never ran\n")


def test_an_entry_that_beatd_would_not_take_is_refused_too(beatd: Beatd) -> None:
    write(beatd, "anacrontab", "1 5 good x\n0 5 bad x\n")
    document = checked(beatd, "anacrontab", status=1)
    good, bad = document["files"][0]["lines"]
    assert (good["kind"], good["name"], bad["kind"], bad["name"]) == (
        "entry",
        "anacron-good",
        "refused",
        None,
    )
    assert bad["reason"].startswith("period: '0': 1 to 1000 days")


def test_bytes_that_are_not_utf_8_come_through_as_escapes(tmp_path: Path) -> None:
    """As a process, whose output is bytes."""
    write(Beatd(tmp_path), "tab", b"N=\xe4\n@daily \xff\x80 ok\n")
    done = subprocess.run(
        [PROGRAM, "crontab", "check", "tab", "--json", "--timezone", "UTC", "--user"],
        cwd=tmp_path,
        env=Beatd(tmp_path).env,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("utf-8")
    assert "\\udcff\\udc80 ok" in text
    line = json.loads(text)["files"][0]["lines"][1]
    assert line["source"].encode("utf-8", "surrogateescape") == b"@daily \xff\x80 ok"
    assert line["environment"] == {"N": "\udce4"}


@pytest.mark.parametrize(
    ("arguments", "text", "form", "commands"),
    [
        ((), "@daily root x y\n@daily root z\n", "system", ["x y", "z"]),
        ((), "@daily /bin/x\n", "user", ["/bin/x"]),
        (("--user",), "@daily bob x\n", "user", ["bob x"]),
        (("--system",), "@daily tar x\n", "system", ["x"]),
    ],
)
def test_the_form_is_told_from_the_file_unless_it_is_given(
    beatd: Beatd, arguments: tuple[str, ...], text: str, form: str, commands: list[str]
) -> None:
    [file] = json.loads(beatd("crontab", "check", "-", "--json", *arguments, input=text).stdout)["files"]
    assert (file["path"], file["form"]) == ("stdin", form)
    assert [line["command"] for line in file["lines"]] == commands


def test_whose_cron_it_is_matters(beatd: Beatd) -> None:
    write(beatd, "tab", "CRON_TZ=Asia/Tokyo\n@daily x\n")
    zones = {
        cron: checked(beatd, "tab", "--cron", cron)["files"][0]["lines"][1]["timezone"]
        for cron in ("debian", "cronie")
    }
    assert zones == {"debian": "Europe/Berlin", "cronie": "Asia/Tokyo"}


def test_the_zone_is_the_machines_or_the_one_that_is_given(beatd: Beatd) -> None:
    write(beatd, "tab", "@daily x\n")
    beatd.env["BEATD_TIMEZONE"] = "Asia/Tokyo"
    line = checked(beatd, "tab", "--timezone", "America/New_York")["files"][0]["lines"][0]
    assert line["timezone"] == "America/New_York"
    assert checked(beatd, "tab")["files"][0]["lines"][0]["timezone"] == "Europe/Berlin"
    assert (
        "'Europe/Berlin'" in beatd("crontab", "check", "tab", "--timezone", "Europe/Brelin", status=2).stderr
    )


def test_what_is_refused_is_told_with_its_column(beatd: Beatd) -> None:
    write(beatd, "tab", "0 61 * * * x\n  0 5 * FOO * y\n")
    told = beatd("crontab", "check", "tab", "--user", status=1).stdout
    assert "        ✗ tab:1:3: hour: '61'" in told
    assert "        ✗ tab:2:9: month: 'FOO'" in told


def test_what_a_file_as_a_whole_is_about_is_told_once(beatd: Beatd) -> None:
    write(beatd, "tab", "@daily x\n@daily y\n@daily z\n61 * * * * bad\n")
    told = beatd("crontab", "check", "tab", "--user", "--cron", "debian", status=1).stdout
    assert told.count("Debian's cron ignores the whole file") == 1
    assert told.count("cron has never run it") == 3


def test_the_options_of_an_entry_are_in_the_document(beatd: Beatd) -> None:
    write(beatd, "tab", "MAILTO=me\nRANDOM_DELAY=45\n@daily x\n")
    line = checked(beatd, "tab", "--user", "--cron", "cronie")["files"][0]["lines"][-1]
    options = {key: line["options"][key] for key in ("mailto", "jitter", "misfire", "environment", "shell")}
    assert options == {
        "mailto": "me",
        "jitter": "45m",
        "misfire": "skip",
        "environment": "cron",
        "shell": "x",
    }


def test_a_machine_without_a_zone_that_has_a_name(tmp_path: Path) -> None:
    beatd = Beatd(tmp_path)
    write(beatd, "tab", "@daily x\n")
    beatd.env["TZ"] = "CET-1CEST"
    assert "say which zone it is with --timezone" in beatd("crontab", "check", "tab", status=2).stderr
    beatd("crontab", "check", "tab", "--timezone", "UTC")


def test_folders_are_read_as_cron_reads_them(beatd: Beatd) -> None:
    for name in ("good", "with.dot", "old~", ".hidden"):
        write(beatd, f"etc/cron.d/{name}", f"@daily root {name}\n")
    document = checked(beatd, "etc/cron.d", "--cron", "debian")
    assert [file["path"] for file in document["files"]] == ["etc/cron.d/good"]
    assert [note.split(": ")[0] for note in document["notes"]] == [
        "etc/cron.d/.hidden",
        "etc/cron.d/old~",
        "etc/cron.d/with.dot",
    ]
    cronie = checked(beatd, "etc/cron.d", "--cron", "cronie")
    assert [file["path"] for file in cronie["files"]] == ["etc/cron.d/good", "etc/cron.d/with.dot"]


def test_a_file_that_is_named_twice_is_read_once(beatd: Beatd) -> None:
    write(beatd, "etc/cron.d/good", "@daily root x\n")
    document = checked(beatd, "etc/cron.d/good", "etc/cron.d", "./etc/../etc/cron.d/good")
    assert [file["path"] for file in document["files"]] == ["etc/cron.d/good"]


def test_nobody_is_named_and_that_is_told(beatd: Beatd) -> None:
    write(beatd, "tab", "@daily x\n")
    write(beatd, "var/spool/cron/crontabs/root", "@daily x\n")
    [mine, roots] = [file["notes"] for file in checked(beatd, "tab", "var/spool/cron/crontabs/root")["files"]]
    assert "the worker that takes the default queue" in mine[0]
    assert roots == []
    assert checked(beatd, "tab", "--queue", "user.root")["files"][0]["notes"] == []


def test_a_spool_is_of_users(beatd: Beatd) -> None:
    write(beatd, "var/spool/cron/crontabs/root", "@daily x\n")
    write(beatd, "var/spool/cron/crontabs/a.b", "@daily x\n")
    document = checked(beatd, "var/spool/cron/crontabs", "--cron", "debian")
    assert [(worker["user"], worker["known"]) for worker in document["workers"]] == [
        ("a.b", False),
        ("root", True),
    ]


def test_what_cannot_be_read_is_told(beatd: Beatd) -> None:
    write(beatd, "cron.daily/script", "#!/bin/sh\n")
    document = checked(beatd, "none", "cron.daily", status=1)
    missing, scripts = document["refused"]
    assert missing == "file: 'none': cannot be read: No such file or directory"
    assert scripts.startswith(
        "file: 'cron.daily': is a folder of scripts; name the crontab whose line runs it"
    )


def test_another_schedulers_lines_on_request(beatd: Beatd) -> None:
    write(beatd, "tab", "*/10 * * * * * * x\n")
    assert checked(beatd, "tab", status=1)["totals"]["refused"] == 1
    [line] = checked(beatd, "tab", "--dialect", "supercronic")["files"][0]["lines"]
    assert (line["kind"], line["schedule"]) == ("entry", "*/10 * * * * *")
    assert "must be one of" in beatd("crontab", "check", "tab", "--dialect", "x", status=2).stderr


@pytest.mark.parametrize("arguments", [("--system", "--user"), ("--cron", "fcron"), ("--run-parts", "some")])
def test_options_that_mean_nothing(beatd: Beatd, arguments: tuple[str, ...]) -> None:
    write(beatd, "tab", "@daily x\n")
    assert beatd("crontab", "check", "tab", *arguments, status=2).stderr.startswith("beatd: ")
