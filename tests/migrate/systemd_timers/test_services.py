"""What a service runs, as a command; or the service itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.migrate.systemd_timers.units import TIMER, only, reading, write

SHOW = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps([sys.argv[1:], {name: os.environ[name] for name in sys.argv if name in os.environ}]))
"""


def service(folder: Path, lines: str) -> Path:
    return write(folder, job_timer=TIMER, job_service=f"[Service]\n{lines}\n")


def command(folder: Path, lines: str) -> dict[str, Any]:
    """The options that the service makes, as a command."""
    options = dict(only(service(folder, lines), "command").options)
    return {
        key: value for key, value in options.items() if key not in ("cron", "timezone", "misfire", "overlap")
    }


def ran(options: dict[str, Any]) -> str:
    """What the command prints where it runs."""
    done = subprocess.run(
        ["/bin/sh", "-c", options["shell"]],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/home/me", "USER": "me", **options.get("env", {})},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A program that prints its arguments."""
    program = tmp_path / "show me"
    program.write_text(SHOW)
    program.chmod(0o755)
    return program


ARGUMENTS = [
    ("one two", ["one", "two"]),
    ("'one two' \"three four\"", ["one two", "three four"]),
    ("a'b c'd", ["ab cd"]),
    (r"a\sb \x41 \102 \u00e9 \t.", ["a b", "A", "B", "é", "\t."]),
    (r"'\n' \q", ["\n", "\\q"]),
    ("''", [""]),
    ("*.txt ~ `id` x$(id) | & > < #x", ["*.txt", "~", "`id`", "x$(id)", "|", "&", ">", "<", "#x"]),
    ("100%% %n %p %N", ["100%", "job.service", "job", "job"]),
    ("%z 5%", ["%z", "5%"]),
    ("$$ONE a$ONE $$", ["$ONE", "a$ONE", "$"]),
    ("$ONE ${ONE} $TWO ${TWO} x${TWO}x", ["one", "one", "two", "two", "two two", "xtwo twox"]),
    ("'${TWO}' '$TWO'", ["two two", "two", "two"]),
    ("$THREE ${THREE}", [""]),
    ("${QUOTED} $QUOTED", ["'a b' c", "a b", "c"]),
    (r"\; / ;x", [";", "/", ";x"]),
]
VARIABLES = """Environment="ONE=one" 'TWO=two two'
Environment=THREE= "QUOTED='a b' c"
"""


@pytest.mark.parametrize(("written", "arguments"), ARGUMENTS, ids=[written for written, _ in ARGUMENTS])
def test_a_program_gets_the_arguments_that_systemd_gives_it(
    tmp_path: Path, show: Path, written: str, arguments: list[str]
) -> None:
    line = f'ExecStart="{show}" {written}'
    options = command(tmp_path / "units", f"{VARIABLES}{line}")
    assert json.loads(ran(options))[0] == arguments


def test_variables_of_the_user_are_those_of_the_worker(tmp_path: Path, show: Path) -> None:
    options = command(tmp_path / "units", f'User=me\nExecStart="{show}" ${{HOME}}/x $USER')
    assert json.loads(ran(options))[0] == ["/home/me/x", "me"]


def test_commands_run_one_after_the_other_until_one_fails(tmp_path: Path) -> None:
    lines = """Type=oneshot
ExecStartPre=-/bin/false
ExecStart=echo one ; /bin/echo two
ExecStart=/bin/sh -c 'echo three; exit 3'
ExecStartPost=/bin/echo never"""
    assert ran(command(tmp_path, lines)) == "one\ntwo\nthree\n"


def test_what_fails_with_a_dash_did_not(tmp_path: Path) -> None:
    options = command(tmp_path, "ExecStart=-/bin/false")
    assert subprocess.run(["/bin/sh", "-c", options["shell"]]).returncode == 0


CARRIED = [
    ("", {"cwd": "/", "queue": "user.root"}),
    ("User=www-data", {"cwd": "/", "queue": "user.www-data"}),
    ("User=app\nGroup=app\nWorkingDirectory=/srv/app", {"cwd": "/srv/app", "queue": "user.app"}),
    ("User=app\nWorkingDirectory=~", {"queue": "user.app"}),
    ("Environment=A=1 B=2\nEnvironment=B=3", {"env": {"A": "1", "B": "3"}, "cwd": "/", "queue": "user.root"}),
    ("Environment=A=1\nEnvironment=\n", {"cwd": "/", "queue": "user.root"}),
    ("RuntimeMaxSec=10min", {"timeout": "10m", "cwd": "/", "queue": "user.root"}),
    ("TimeoutStartSec=10min", {"cwd": "/", "queue": "user.root"}),
    ("Type=oneshot\nTimeoutStartSec=1.5", {"timeout": 1.5, "cwd": "/", "queue": "user.root"}),
    ("Type=oneshot\nTimeoutStartSec=infinity", {"cwd": "/", "queue": "user.root"}),
    (
        "SuccessExitStatus=1 TEMPFAIL",
        {"expected_exit_status": [0, 1, 75], "cwd": "/", "queue": "user.root"},
    ),
]


@pytest.mark.parametrize(("lines", "expected"), CARRIED, ids=[lines for lines, _ in CARRIED])
def test_settings_that_are_options_of_entries(tmp_path: Path, lines: str, expected: dict[str, Any]) -> None:
    """In the default way, too: nothing else is in the service."""
    service(tmp_path, f"ExecStart=/bin/true\n{lines}")
    found = only(tmp_path)
    assert found.warnings == ()
    options = {
        key: found.options[key] for key in found.options.keys() - {"cron", "timezone", "misfire", "overlap"}
    }
    assert options == {"shell": "/bin/true", **expected}


def test_priorities_and_the_mask_are_set_by_the_command(tmp_path: Path) -> None:
    lines = "ExecStart=/bin/sh -c 'umask; nice'\nNice=5\nUMask=0027\nIOSchedulingClass=idle"
    options = command(tmp_path, lines)
    assert options["shell"].startswith("umask 0027; nice -n 5 ionice -c 3 /bin/sh -c ")
    assert ran(options | {"shell": options["shell"].replace("ionice -c 3 ", "")}) == "0027\n5\n"


def test_a_program_that_the_shell_has_as_well_is_the_program(tmp_path: Path) -> None:
    assert command(tmp_path, "ExecStart=echo -e x")["shell"] == "/usr/bin/env echo -e x"


# What a command would lose

BETTER_AS_UNIT = [
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "Type=notify",
    "DynamicUser=yes",
    "StateDirectory=job",
    "ExecStopPost=/bin/true",
    "Group=adm",
    "ExecStart=@/bin/sh shell",
    "ExecStart=/bin/echo ${LANG}",
    "ExecStart=/bin/echo %m",
    "ExecStart=/bin/echo $(id)",
    "Restart=on-failure",
    "StandardOutput=file:/var/log/job",
    "[Unit]\nConditionPathExists=/etc/job",
    "[Unit]\nRequires=postgresql.service",
    "[Unit]\nOnFailure=alert@%n.service",
]


@pytest.mark.parametrize("lines", BETTER_AS_UNIT)
def test_a_service_that_is_more_than_its_commands_is_started_itself(tmp_path: Path, lines: str) -> None:
    found = only(service(tmp_path, f"ExecStart=/bin/true\n{lines}"))
    assert found.options["shell"] == "systemctl start --wait job.service"
    assert found.options["queue"] == "user.root"
    assert "cwd" not in found.options
    key = lines.splitlines()[-1].partition("=")[0]
    assert any(f"would lose {key}" in warning for warning in found.warnings)


HARMLESS = [
    "ProtectSystem=no",
    "PrivateTmp=false",
    "Restart=no",
    "StandardOutput=journal",
    "SyslogIdentifier=job",
    "KillMode=process",
    "X-Note=for people",
    "[Unit]\nDescription=A job\nAfter=network.target postgresql.service\nWants=network-online.target",
    "[Install]\nWantedBy=multi-user.target",
]


@pytest.mark.parametrize("lines", HARMLESS)
def test_what_changes_nothing_is_no_reason(tmp_path: Path, lines: str) -> None:
    assert only(service(tmp_path, f"ExecStart=/bin/true\n{lines}")).options["shell"] == "/bin/true"


def test_asked_for_the_command_what_is_lost_is_told(tmp_path: Path) -> None:
    service(tmp_path, "ExecStart=/bin/true\nProtectSystem=strict\nPrivateTmp=yes\nUser=job")
    found = only(tmp_path, "command")
    assert found.options["shell"] == "/bin/true"
    assert found.options["queue"] == "user.job"
    assert found.warnings == ("not carried over: ProtectSystem=strict, PrivateTmp=yes",)


@pytest.mark.parametrize(
    "line", ["Type=notify", "DynamicUser=yes", "ExecStart=+/bin/x\nUser=job", "Group=adm"]
)
def test_asked_for_the_command_what_would_be_another_is_refused(tmp_path: Path, line: str) -> None:
    (problem,) = reading(service(tmp_path, f"ExecStart=/bin/true\n{line}"), "command").refused
    assert "--run unit starts the service itself" in str(problem)
    assert str(problem).startswith(f"{tmp_path}/job.service:3: {line.partition('=')[0]}")


def test_a_file_of_variables_is_read_when_a_command_is_asked_for(tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.write_text(
        "# comment\nPLAIN = a b  \n"
        "QUOTED=\"a 'b' \\\"c\\\" \\n\"\nSINGLE='x\\y'\nLONG=one \\\ntwo\nexport NO=1\nnothing\n"
    )
    service(tmp_path, f"ExecStart=/bin/true\nEnvironmentFile={values}\nEnvironmentFile=-{tmp_path}/missing")
    found = only(tmp_path, "command")
    assert found.options["env"] == {
        "PLAIN": "a b",
        "QUOTED": "a 'b' \"c\" \\n",
        "SINGLE": "x\\y",
        "LONG": "one two",
    }
    assert "not read again" in found.warnings[0]
    # of itself it stays with the service, which may hold secrets
    assert only(tmp_path).options["shell"] == "systemctl start --wait job.service"


def test_a_file_of_variables_that_is_missing_is_refused(tmp_path: Path) -> None:
    service(tmp_path, f"ExecStart=/bin/true\nEnvironmentFile={tmp_path}/missing")
    (problem,) = reading(tmp_path, "command").refused
    assert "is not there" in str(problem)


def test_the_unit_is_started_where_that_is_asked_for(tmp_path: Path) -> None:
    found = only(service(tmp_path, "ExecStart=/bin/true\nUser=job"), "unit")
    assert (found.options["shell"], found.options["queue"]) == (
        "systemctl start --wait job.service",
        "user.root",
    )


def test_a_service_that_stays_active_is_not_waited_for(tmp_path: Path) -> None:
    found = only(service(tmp_path, "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true"))
    assert found.options["shell"] == "systemctl start job.service"
    assert any("RemainAfterExit" in warning for warning in found.warnings)


def test_a_timer_without_its_service_starts_it_by_name(tmp_path: Path) -> None:
    found = only(write(tmp_path, job_timer=TIMER))
    assert found.options["shell"] == "systemctl start job.service"
    assert found.warnings == ("job.service was not found: the entry starts it by name",)
    (problem,) = reading(tmp_path, "command").refused
    assert "--run unit" in str(problem)


def test_a_timer_may_start_another_unit(tmp_path: Path) -> None:
    write(
        tmp_path, job_timer=f"{TIMER}Unit=other.service\n", other_service="[Service]\nExecStart=/bin/other\n"
    )
    assert only(tmp_path).options["shell"] == "/bin/other"
    write(tmp_path, job_timer=f"{TIMER}Unit=daily.target\n")
    assert only(tmp_path).options["shell"] == "systemctl start daily.target"


def test_a_service_that_nobody_may_start_is_refused(tmp_path: Path) -> None:
    service(tmp_path, "ExecStart=/bin/true\nType=notify\n[Unit]\nRefuseManualStart=yes")
    (problem,) = reading(tmp_path).refused
    assert "RefuseManualStart" in str(problem)
