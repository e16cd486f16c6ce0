"""What holds for every command: exit status, where output goes, how errors read, how quick it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.program import PROGRAM, Beatd

COMMANDS = "init up scheduler worker entry runs apply export crontab status doctor db".split()  # noqa: SIM905


def test_help_lists_every_command(program: Beatd) -> None:
    told = program("--help").stdout
    for command in COMMANDS:
        assert f" {command} " in told


def test_no_arguments_shows_the_help_and_is_bad_input(program: Beatd) -> None:
    done = program(status=2)
    assert "Usage: beatd" in done.stdout + done.stderr


def test_version(program: Beatd) -> None:
    assert program("--version").stdout == f"beatd {version('beatd')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(program: Beatd, command: str) -> None:
    assert f"Usage: beatd {command}" in program(command, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["entyr"], "entry"),
        (["statsu"], "status"),
        (["status", "--jsn"], "--json"),
        (["--config"], "--config"),
        (["worker", "--concurrency", "0"], "concurrency"),
        (["worker", "--pool", "gevent"], "prefork"),
    ],
)
def test_usage_errors_are_bad_input_and_name_what_is_meant(
    beatd: Beatd, arguments: list[str], told: str
) -> None:
    done = beatd(*arguments, status=2)
    assert done.stdout == ""
    assert told in done.stderr


@pytest.mark.parametrize(
    ("config", "env", "lines"),
    [
        (
            "[scheduler]\nbach = 5\n",
            {},
            ["beatd: {file}:2: scheduler.bach: 5: unknown key; did you mean 'batch'?"],
        ),
        ("[scheduler\n", {}, ["beatd: {file}:1: "]),
        ("", {"BEATD_TIMEZONE": "Mars/Olympus"}, ["beatd: BEATD_TIMEZONE: timezone: 'Mars/Olympus': "]),
        ("", {"BEATD_DATABASE_URL": "oracle://x"}, ["beatd: BEATD_DATABASE_URL: database.url: "]),
        ("batch = 1\nzone = 2\n", {}, ["beatd: {file}:1: batch", "beatd: {file}:2: zone"]),
    ],
)
def test_bad_input_is_a_line_each(
    beatd: Beatd, tmp_path: Path, config: str, env: dict[str, str], lines: list[str]
) -> None:
    file = tmp_path / "beatd.toml"
    file.write_text(config)
    beatd.env |= env
    done = beatd("--config", str(file), "status", status=2)
    assert done.stdout == ""
    told = done.stderr.splitlines()
    assert len(told) == len(lines), told
    for line, start in zip(told, lines, strict=True):
        assert line.startswith(start.format(file=file))


def test_a_config_file_that_is_not_there(program: Beatd) -> None:
    done = program("--config", "nowhere.toml", "status", status=2)
    assert done.stderr == "beatd: --config: 'nowhere.toml': no such file\n"


def test_an_entry_that_is_not_there_is_bad_input(program: Beatd) -> None:
    program("init")
    done = program("entry", "show", "nothing", status=2)
    assert done.stderr == "beatd: no entry 'nothing'\n"
    assert done.stdout == ""


READING = [
    "entry list",
    "entry show x",
    "runs list",
    "status",
    "doctor",
    "db check",
    "export",
    "entry add x --every 1h --shell x",
]


@pytest.mark.parametrize("command", READING)
def test_a_database_file_that_is_not_there_is_not_made(beatd: Beatd, command: str) -> None:
    beatd.env["BEATD_DATABASE_URL"] = f"sqlite:///{beatd.home}/typo/x.db"
    done = beatd(*command.split(), status=1)
    assert "there is no such file" in done.stdout + done.stderr
    assert "run 'beatd init'" in done.stdout + done.stderr or command == "status"
    assert not (beatd.home / "typo").exists()


def test_a_file_that_is_made_later_is_found(beatd: Beatd) -> None:
    beatd("entry", "list", status=1)
    beatd("db", "upgrade")
    beatd("entry", "list")


def test_a_database_that_is_not_set_up_is_a_failure_that_says_what_to_do(beatd: Beatd) -> None:
    beatd.state_dir.mkdir(parents=True)
    beatd.database.touch()
    done = beatd("entry", "list", status=1)
    assert done.stderr.startswith("beatd: database ")
    assert done.stderr.endswith("is not set up: run 'beatd db upgrade'\n")


def test_a_database_that_is_down_is_a_failure_in_one_line_without_password(beatd: Beatd) -> None:
    beatd.env["BEATD_DATABASE_URL"] = "postgresql://someone:very-secret@127.0.0.1:9/beatd"
    done = beatd("entry", "list", status=1)
    assert done.stderr.startswith("beatd: database ")
    assert len(done.stderr.splitlines()) == 1
    assert "very-secret" not in done.stderr


def test_with_debugging_an_error_shows_where_it_came_from(program: Beatd) -> None:
    program.env["BEATD_LOG_LEVEL"] = "debug"
    done = subprocess.run(
        [PROGRAM, "entry", "list"], env=program.env, cwd=program.home, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_reader_that_goes_away_is_no_error(beatd: Beatd) -> None:
    beatd("init")
    piped = subprocess.run(
        ["/bin/sh", "-c", f"{PROGRAM} status --json | true; {PROGRAM} status --json | head -c 1"],
        env=beatd.env,
        cwd=beatd.home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert piped.stderr == ""


def test_the_frame_imports_no_library_that_a_command_alone_needs() -> None:
    """What makes `beatd --help` quick."""
    heavy = ("sqlalchemy", "alembic", "celery", "kombu", "pydantic", "apscheduler", "structlog", "httpx")
    program = f"import sys, beatd.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
