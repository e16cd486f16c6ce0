"""What each line of a crontab becomes, and what is told of it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from beatd.migrate.crontab.crons import Cron, Form
from beatd.migrate.crontab.entries import Taking
from beatd.migrate.crontab.lines import read
from beatd.migrate.crontab.tabs import Rules, read_tab
from beatd.migrate.found import Found, Reading

BERLIN = Taking("Europe/Berlin")


def reading(
    text: str | bytes,
    path: str = "tab",
    *,
    cron: Cron = "debian",
    form: Form = "user",
    taking: Taking = BERLIN,
    dialect: str | None = None,
) -> Reading:
    data = text if isinstance(text, bytes) else text.encode()
    return read_tab(data, path, Rules(cron, form, dialect), taking).reading


def one(text: str | bytes, path: str = "tab", **how: Any) -> Found:
    """The only entry of a crontab of which nothing is refused."""
    read = reading(text, path, **how)
    assert read.refused == ()
    [found] = read.found
    return found


TAB = """\
# Edit this file to introduce tasks to be run by cron.
#
# m h  dom mon dow   command
MAILTO=ops@example.com
PATH=/usr/local/bin:/usr/bin
# Nightly dump
0 3 * * *\tpg_dump app > /b/$(date +\\%F).sql
SHELL=/bin/bash
HOME=/srv/app
*/5 * * * * cd /srv/app && ./manage.py clear --all >/dev/null 2>&1

@daily FOO=1 /usr/bin/mail -s "it's" bob%Dear Bob,%bye
@reboot /srv/app/start
"""


def test_a_users_crontab() -> None:
    dump, clear, mail, boot = reading(TAB).found
    path = {"PATH": "/usr/local/bin:/usr/bin", "MAILTO": "ops@example.com"}
    assert dump.options == {
        "description": "Nightly dump",
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "misfire": "skip",
        "shell": "pg_dump app > /b/$(date +%F).sql",
        "environment": "cron",
        "env": path,
        "mailto": "ops@example.com",
    }
    assert (dump.where, dump.names) == ("tab:7", ("Nightly dump", "pg_dump app"))
    bash = {**path, "SHELL": "/bin/bash", "HOME": "/srv/app"}
    assert clear.options["env"] == mail.options["env"] == boot.options["env"] == bash
    assert clear.names == ("manage.py clear --all",)
    assert (mail.options["shell"], mail.options["stdin"]) == (
        """FOO=1 /usr/bin/mail -s "it's" bob""",
        "Dear Bob,\nbye\n",
    )
    # a boot is never missed, and has no time of day
    assert boot.options == {
        "cron": "@reboot",
        "shell": "/srv/app/start",
        "environment": "cron",
        "env": bash,
        "mailto": "ops@example.com",
    }


def test_where_it_comes_from_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    origin = one("\n 0  3 * * *\tx\n", "./sub/../tab").origin
    assert (origin.kind, origin.source) == ("crontab", str(tmp_path / "tab"))
    assert (origin.place, origin.text) == ("2", " 0  3 * * *\tx")
    assert one("@daily x\n", "stdin").origin.source == "stdin"


def test_bytes_that_are_not_utf_8_are_kept_and_shown_as_escapes() -> None:
    found = one(b"N\xe4me=\xfc\n# f\xfcr alle\n@daily /bin/\xe4 \xf6%\xdf\n")
    assert found.options["shell"] == "/bin/\udce4 \udcf6"
    assert found.options["stdin"] == "\udcdf\n"
    assert found.options["env"] == {"N\udce4me": "\udcfc"}
    assert found.options["description"] == r"f\xfcr alle"
    assert found.names == (r"f\xfcr alle", r"\xe4 \xf6")


# Zones


@pytest.mark.parametrize(
    ("text", "cron", "timezone"),
    [
        ("@daily x\n", "debian", "Europe/Berlin"),
        ("CRON_TZ=Asia/Tokyo\n@daily x\n", "cronie", "Asia/Tokyo"),
        ("CRON_TZ=Asia/Tokyo\n@daily x\n", "debian", "Europe/Berlin"),
        ("TZ=Asia/Tokyo\n@daily x\n", "cronie", "Europe/Berlin"),
        ("TZ=Asia/Tokyo\n@daily x\n", "debian", "Europe/Berlin"),
    ],
)
def test_the_zone_in_force_goes_before_that_of_the_machine(text: str, cron: Cron, timezone: str) -> None:
    found = one(text, cron=cron)
    assert found.options["timezone"] == timezone
    assert found.options.get("env", {}) == dict([text.split("\n")[0].split("=")] if "=" in text else [])


def test_a_zone_that_is_none_is_refused_and_never_utc() -> None:
    read = reading("CRON_TZ=Europe/Brelin\n@daily x\n", cron="cronie")
    assert read.found == ()
    assert "did you mean 'Europe/Berlin'" in str(read.refused[0])


# the machine's zone, CRON_TZ, the schedule -> dst_gap, dst_fold
CHANGES: list[tuple[str, str, str, tuple[str | None, str | None]]] = [
    ("UTC", "Europe/Berlin", "30 2 * * *", ("skip", "both")),
    ("UTC", "Europe/Berlin", "@daily", ("skip", "both")),
    ("UTC", "Europe/Berlin", "*/5 2 * * *", (None, None)),
    ("UTC", "Europe/Berlin", "@hourly", (None, None)),
    ("UTC", "Asia/Tokyo", "30 2 * * *", (None, None)),
    # where both clocks repeat the hour, cronie starts nothing in the repeated one
    ("Europe/Paris", "Europe/Berlin", "30 2 * * *", ("skip", "first")),
    ("Europe/Lisbon", "Europe/Berlin", "30 2 * * *", ("skip", "first")),
    ("America/New_York", "Europe/Berlin", "30 2 * * *", ("skip", "both")),
]


@pytest.mark.parametrize(("machine", "zone", "schedule", "expected"), CHANGES)
def test_what_cronie_does_when_the_clock_of_its_zone_changes(
    machine: str, zone: str, schedule: str, expected: tuple[str | None, str | None]
) -> None:
    text = f"CRON_TZ={zone}\n{schedule} x\n"
    found = one(text, cron="cronie", taking=Taking(machine))
    assert (found.options.get("dst_gap"), found.options.get("dst_fold")) == expected
    assert any("cronie makes up for nothing" in text for text in found.warnings) == (expected[0] is not None)
    assert "dst_gap" not in one(text, dialect="supercronic", taking=Taking(machine)).options


# the machine's zone, CRON_TZ, the schedule, whether cronie drops it in the hour that the machine's repeats
DROPPED = [
    # the machine's clock repeats 01:00 to 02:00 UTC on a Sunday of October
    ("Europe/Berlin", "America/New_York", "0 20 * * *", False),
    ("Europe/Berlin", "America/New_York", "0 21 * * *", True),
    ("Europe/Berlin", "Asia/Kolkata", "0 6 * * *", False),
    ("Europe/Berlin", "Asia/Kolkata", "0,29 6 * * *", False),
    ("Europe/Berlin", "Asia/Kolkata", "30 6 * * *", True),
    ("Europe/Berlin", "Asia/Kolkata", "29 7 * * *", True),
    ("Europe/Berlin", "Asia/Kolkata", "30 7 * * *", False),
    ("Europe/Berlin", "Asia/Kolkata", "30 6 * * 1-6", False),
    ("Europe/Berlin", "Asia/Kolkata", "30 6 1-24 * 0", True),
    ("Europe/Berlin", "Asia/Kolkata", "30 6 * 3 *", False),
    ("Europe/Berlin", "Asia/Kolkata", "30 6-7/1 25-31 10 *", True),
    # what follows the clock is started all the same
    ("Europe/Berlin", "Asia/Kolkata", "*/30 6 * * *", False),
    ("Europe/Berlin", "Asia/Kolkata", "30 * * * *", False),
    ("Asia/Kolkata", "Europe/Berlin", "30 2 * * *", False),
    # both repeat it together: told by dst_fold
    ("Europe/Paris", "Europe/Berlin", "30 2 * * *", False),
    ("Australia/Lord_Howe", "UTC", "10 15 * * *", True),
    ("Australia/Lord_Howe", "UTC", "40 15 * * *", False),
    ("Europe/Berlin", "Asia/Kolkata", "@reboot", False),
]


@pytest.mark.parametrize(("machine", "zone", "schedule", "is_dropped"), DROPPED)
def test_a_time_that_cronie_drops_is_refused_until_it_is_accepted(
    machine: str, zone: str, schedule: str, is_dropped: bool
) -> None:
    text = f"CRON_TZ={zone}\n {schedule} x\n"
    refused = [str(finding) for finding in reading(text, cron="cronie", taking=Taking(machine)).refused]
    assert [finding.split(": ")[:2] for finding in refused] == [["tab:2:2", "CRON_TZ"]] * is_dropped
    assert all("--accept-cron-tz" in finding for finding in refused)
    accepted = one(text, cron="cronie", taking=Taking(machine, accept_cron_tz=True))
    assert any(warning.startswith("accepted: in the hour") for warning in accepted.warnings) == is_dropped
    assert reading(text, taking=Taking(machine)).refused == ()


def test_a_time_that_cronie_draws_is_told_to_be_one_for_good() -> None:
    assert any("by the entry's name" in text for text in one("0~30 3 * * * x\n", cron="cronie").warnings)
    assert not any("by the entry's name" in text for text in one("0 3 * * * x\n", cron="cronie").warnings)


def test_a_folder_that_is_not_split_on_request_is_told(tmp_path: Path) -> None:
    scripts = Taking("UTC", run_parts="scripts")
    (tmp_path / "only").touch(0o755)
    more = one(f"@daily test -x /x || run-parts {tmp_path} > /dev/null\n", taking=scripts)
    assert "it does more than to run a folder's scripts, and so stays one entry" in more.warnings
    alone = reading(f"@daily run-parts {tmp_path}\n", taking=scripts)
    assert any(f"the only script of {tmp_path} is an entry" in note for note in alone.notes)


# Boots


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("/etc/crontab", True),
        ("/etc/cron.d/app", True),
        ("/var/spool/cron/crontabs/root", True),
        ("/var/spool/cron/root", True),
        ("stdin", True),
        ("tab", False),
        ("/backup/etc/crontab", False),
        ("/etc/cron.d/old/app", False),
    ],
)
def test_a_machines_own_crontab_is_for_its_boots(path: str, here: bool) -> None:
    """And that of nobody knows which one for every machine's, as long as nobody says it."""
    form: Form = "system" if path.startswith("/etc") else "user"
    command = "root x" if form == "system" else "x"
    found = one(f"@reboot {command}\n", path, form=form)
    assert found.options.get("host") == (socket.gethostname() if here else None)
    assert any(("this machine" if here else "every machine with") in text for text in found.warnings)
    for host, kept in (("db1", "db1"), ("any", None)):
        asked = one(f"@reboot {command}\n", path, form=form, taking=Taking("UTC", host=host))
        assert (asked.options.get("host"), "host" in "".join(asked.warnings)) == (kept, False)
    assert "host" not in one(f"@daily {command}\n", path, form=form).options


# Cronie's delay


@pytest.mark.parametrize(
    ("text", "cron", "jitter"),
    [
        ("RANDOM_DELAY=45\n@daily x\n", "cronie", "45m"),
        ("RANDOM_DELAY=45\nRANDOM_DELAY=0\n@daily x\n", "cronie", None),
        ("RANDOM_DELAY=45\n@daily x\n", "debian", None),
    ],
)
def test_a_random_delay_is_jitter(text: str, cron: Cron, jitter: str | None) -> None:
    assert one(text, cron=cron).options.get("jitter") == jitter


# Users


@pytest.mark.parametrize(
    ("path", "queue", "expected"),
    [
        ("tab", None, None),
        ("tab", "mail", "mail"),
        ("/var/spool/cron/crontabs/alice", None, "user.alice"),
        ("/var/spool/cron/alice.smith", None, "user.alice.smith"),
        ("/var/spool/cron/tabs/alice", None, "user.alice"),
        ("/etc/crontabs/alice", None, "user.alice"),
        ("/backup/var/spool/cron/crontabs/alice", None, "user.alice"),
        ("/var/spool/cron/crontabs/alice", "mail", "mail"),
        ("/srv/cron/alice", None, None),
    ],
)
def test_whose_worker_runs_a_users_line(path: str, queue: str | None, expected: str | None) -> None:
    found = one("@daily x\n", path, taking=Taking("UTC", queue))
    assert found.options.get("queue") == expected


def test_a_system_line_goes_to_its_user_whatever_was_asked_for() -> None:
    text = "@daily root x\n@daily no-such-user y\n"
    root, other = reading(text, form="system", taking=Taking("UTC", "mail")).found
    assert (root.options["queue"], other.options["queue"]) == ("user.root", "user.no-such-user")
    assert root.warnings == ()
    assert other.warnings == ("there is no user no-such-user on this machine",)


def test_nobody_sets_who_the_user_is() -> None:
    text = "LOGNAME=root\nUSER=root\nA=1\n@daily x\n"
    assert one(text).options["env"] == {"USER": "root", "A": "1"}
    assert one(text, cron="cronie").options["env"] == {"A": "1"}


@pytest.mark.parametrize(
    ("line", "mailto"), [("MAILTO=a@b.example", "a@b.example"), ('MAILTO=""', None), ("A=1", None)]
)
def test_whom_output_is_mailed_to(line: str, mailto: str | None) -> None:
    options = one(f"{line}\n@daily x\n").options
    assert options.get("mailto") == mailto
    assert options["env"] == {line.split("=")[0]: line.split("=")[1].strip('"')}


# Other schedulers


def test_lines_of_another_scheduler_on_request() -> None:
    assert one("@every 90s x\n", dialect="supercronic").options["every"] == "90s"
    seconds = one("*/10 * * * * * * x\n", dialect="supercronic").options
    assert (seconds["cron"], seconds["misfire"]) == ("*/10 * * * * *", "skip")
    assert reading("@every 90s x\n").refused


# What cron itself does not run


def test_good_lines_of_a_file_that_cron_ignores_are_told_of() -> None:
    read = reading("@daily good\n61 * * * * bad\n")
    assert [(finding.where or "")[:5] for finding in read.refused] == ["tab:2"]
    [good] = read.found
    assert "cron has never run it, for it ignores the whole file; here it will run" in good.warnings[0]
    # cronie leaves out the line alone
    assert reading("@daily good\n61 * * * * bad\n", cron="cronie").found[0].warnings == ()


def test_a_file_that_cron_ignores_without_any_bad_line_is_refused_as_a_whole() -> None:
    read = reading("#\n" * 10_010 + "@daily x\n")
    [finding] = read.refused
    assert str(finding).startswith("file: 'tab': Debian's cron ignores the whole file, for it has more than")
    assert len(read.found) == 1


def test_a_last_line_without_newline_never_ran() -> None:
    read = reading("@daily a\n@daily b")
    assert [(finding.where or "")[:5] for finding in read.refused] == ["tab:2"]
    assert [found.options["shell"] for found in read.found] == ["a"]


# Names


NAMES = [
    ("/usr/bin/php -q /srv/cron.php >/dev/null 2>&1", "php -q cron.php"),
    ("cd /srv; ./run now | mail bob", "run now"),
    ("LANG=C backup", "backup"),
    ("/opt/a/b/c/", "c"),
    (">/tmp/x", ""),
    ("[ -x /usr/bin/x ] && x", "x"),
    ("test -x /usr/bin/x || y", "y"),
    ("test -e a && b c", "b c"),
    ("[ -d /a ] && [ -d /b ] && cd /c && x -y", "x -y"),
    ("a b c d e f", "a b c d"),
    ("( x y )", "x y"),
]


@pytest.mark.parametrize(("command", "name"), NAMES)
def test_names_of_commands(command: str, name: str) -> None:
    assert one(f"@daily {command}\n").names == ((name,) if name else ())


# Folders of scripts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cron.daily"
    folder.mkdir()
    (folder / "logrotate").touch(0o755)
    (folder / "a b").touch(0o755)
    (folder / "man-db").touch(0o755)
    return folder


def test_a_folder_is_one_entry(folder: Path) -> None:
    line = f"25 6 * * * root test -x /usr/sbin/anacron || {{ cd / && run-parts --report {folder}; }}"
    found = one(f"# All of a day\n{line}\n", form="system")
    assert found.names == ("cron.daily",)
    assert found.options["description"] == "All of a day"
    assert found.options["shell"] == line.partition("root ")[2]
    assert "anacron" in found.warnings[0]


def test_or_one_entry_for_each_script(folder: Path) -> None:
    text = f"A=1\n25 6 * * * root cd / && run-parts --report {folder}\n"
    read = reading(text, form="system", taking=Taking("UTC", run_parts="scripts"))
    assert [(found.names, found.options["shell"], found.origin.place) for found in read.found] == [
        (("cron.daily logrotate",), f"cd / && {folder}/logrotate", "2 logrotate"),
        (("cron.daily man-db",), f"cd / && {folder}/man-db", "2 man-db"),
    ]
    assert {found.options["queue"] for found in read.found} == {"user.root"}
    assert {found.options["cron"] for found in read.found} == {"25 6 * * *"}
    left_out, side_by_side = read.notes
    assert left_out.startswith(f"tab:2: {folder}/a b is never run: run-parts takes names of letters")
    assert "the 2 scripts of" in side_by_side


def test_a_folder_that_cannot_be_split_is_refused(folder: Path) -> None:
    how = Taking("UTC", run_parts="scripts")
    read = reading(f"@daily run-parts {folder}/none\n@daily other\n", taking=how)
    assert [finding.where for finding in read.refused] == ["tab:1"]
    assert [found.options["shell"] for found in read.found] == ["other"]


def test_the_reader_and_the_entries_agree_on_every_line() -> None:
    """Each line of the kind entry is an entry, and no other is."""
    lines = read(TAB.encode(), "tab").lines
    numbers = [f"tab:{line.number}" for line in lines if line.kind == "entry"]
    assert [found.where for found in reading(TAB).found] == numbers
