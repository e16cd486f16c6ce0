"""Commands: what they leave as a result, and that they leave nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from beatd.worker.shell import Command, CommandError
from tests.services.keeper import is_alive
from tests.store.recording import record
from tests.waiting import eventually
from tests.worker.conftest import Bench, Worker, both_brokers

Start = Callable[..., Worker]

#: Told apart from what other tests, or other runs of these, have sleeping.
SLEEP = f"sleep 1000.{os.getpid()}"


@pytest.mark.parametrize(
    ("command", "options", "status", "output"),
    [
        ("echo out; echo err >&2; echo out", {}, 0, "out\nerr\nout\n"),
        ("exit 3", {}, 3, ""),
        ("kill -9 $$", {}, -9, ""),
        ("cat", {"stdin": "grüße\n"}, 0, "grüße\n"),
        ("cat", {}, 0, ""),
        ("echo $NAME", {"env": {"NAME": "value"}}, 0, "value\n"),
        ("pwd", {"cwd": "/usr"}, 0, "/usr\n"),
        ("pwd", {}, 0, f"{Path.home()}\n"),
        (r"printf '\377\000ok'", {}, 0, "��ok"),
        ("exec <&-", {"stdin": "x" * 1_000_000}, 0, ""),
        ("exec >&- 2>&-; sleep 0.1", {}, 0, ""),
        ("no-such-command-at-all", {}, 127, "/bin/sh: 1: no-such-command-at-all: not found\n"),
    ],
)
def test_a_command(command: str, options: dict[str, object], status: int, output: str) -> None:
    job = Command(command, **options)  # type: ignore[arg-type]
    assert job.run(40 * 86_400) == status
    assert job.output == output


@pytest.mark.parametrize("option", ["cwd", "shell"])
def test_a_command_that_cannot_start(option: str) -> None:
    with pytest.raises(CommandError) as raised:
        Command("true", **{option: "/no/such"}).run()
    assert str(raised.value) == "could not be started: /no/such: No such file or directory"


def test_of_much_output_the_ends_are_kept_and_little_memory_is_used() -> None:
    script = (
        "import resource; from beatd.worker.shell import Command\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "job = Command('echo first; yes | head -c 200000000; echo last', output_limit=100)\n"
        "assert job.run(60) == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        "print(job.output)"
    )
    grown, output = subprocess.check_output([sys.executable, "-c", script], text=True).split("\n", 1)
    assert output.startswith("first\n")
    assert "[... 199999911 bytes cut ...]" in output
    assert output.endswith("last\n\n")
    assert int(grown) < 8_000


def test_what_is_left_in_the_background_does_not_hold_the_run() -> None:
    began = time.monotonic()
    job = Command("sleep 30 & echo $!")
    assert job.run() == 0
    assert time.monotonic() - began < 25
    left = psutil.Process(int(job.output))
    assert left.is_running()
    left.kill()


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    job = Command(f"{SLEEP} | ({SLEEP}; true) & echo begun; wait")
    with pytest.raises(TimeoutError):
        job.run(0.5)
    assert job.output.startswith("begun\n")
    assert not sleepers()


def test_who_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatd.worker.shell.GRACE", 0.5)
    with pytest.raises(TimeoutError):
        Command(f"trap '' TERM; {SLEEP}; {SLEEP}").run(0.3)
    assert not sleepers()


def test_who_heeds_sigterm_may_say_so() -> None:
    job = Command("trap 'echo cleaned up; exit' TERM; while :; do sleep 0.05; done")
    with pytest.raises(TimeoutError):
        job.run(0.3)
    assert job.output.endswith("cleaned up\n")


def test_when_the_worker_is_killed_the_group_is_ended() -> None:
    script = f"from beatd.worker.shell import Command; Command('{SLEEP} | {SLEEP}').run()"
    worker = subprocess.Popen([sys.executable, "-c", script])
    eventually(lambda: len(sleepers()) == 2)
    worker.kill()
    worker.wait()
    eventually(lambda: not sleepers(), message="the end of the command")


# In a real worker ---------------------------------------------------------------------------------


@both_brokers
def test_the_shell_task(bench: Bench, start_worker: Start) -> None:
    start_worker()
    script = "echo $BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID"
    run_id = bench.publish("beatd.shell", script, run_id=record(bench.database))
    result = bench.wait_for(run_id, "succeeded").result
    assert result == f"exit status 0\nnightly 2026-03-29T01:00:00+00:00 {run_id}\n"
    assert bench.states(run_id) == ["started", "succeeded"]


def test_shell_tasks_that_fail(bench: Bench, start_worker: Start) -> None:
    start_worker(BEATD_WORKER_OUTPUT_LIMIT="40")
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"command": "echo no; exit 3"}, "failed", "exit status 3\nno\n"),
        (
            {"command": "exit 3", "expected_exit_status": [0, 3]},
            "succeeded",
            "exit status 3",
        ),
        ({"command": "kill -9 $$"}, "failed", "ended by signal SIGKILL"),
        (
            {"command": f"echo hi; {SLEEP}", "timeout": "1s"},
            "failed",
            "ended: not done after 1 s\nhi\n",
        ),
        (
            {"command": "true", "cwd": "/no/such"},
            "failed",
            "could not be started: /no/such: No such file or directory",
        ),
        (
            {"command": "yes | head -c 1000"},
            "succeeded",
            "exit status 0\n" + "y\n" * 10 + "\n[... 960 bytes cut ...]\n" + "y\n" * 10,
        ),
    ]
    runs = [
        (bench.publish("beatd.shell", run_id=record(bench.database), kwargs=kwargs), state, text)
        for kwargs, state, text in cases
    ]
    for run_id, state, text in runs:
        report = bench.wait_for(run_id, state)
        assert (report.error or report.result or "").removesuffix("Terminated\n") == text


@both_brokers
@pytest.mark.parametrize("end", ["revoke", "hard", "soft", "SIGKILL", "SIGQUIT"])
def test_whatever_ends_the_run_ends_the_group(bench: Bench, start_worker: Start, end: str) -> None:
    worker = start_worker()
    limits = {"hard": {"time_limit": 2}, "soft": {"soft_time_limit": 2}}.get(end, {})
    script = f"{SLEEP} | {SLEEP}"
    run_id = bench.publish("beatd.shell", script, run_id=record(bench.database), **limits)
    bench.wait_for(run_id, "started")
    eventually(lambda: len(sleepers()) == 2)
    if end == "revoke":
        bench.app.control.revoke(run_id, terminate=True, signal="SIGTERM")
        bench.wait_for(run_id, "revoked")
    elif end == "soft":
        assert bench.wait_for(run_id, "failed").error.startswith("ended by the soft time limit")
    elif end == "hard":
        assert bench.wait_for(run_id, "failed").error.startswith("TimeLimitExceeded")
    else:
        os.kill(worker.process.pid, getattr(signal, end))
        worker.process.wait(60)
    eventually(lambda: not sleepers(), message="the end of the command")


def sleepers() -> list[psutil.Process]:
    """Processes that this file's commands started, dead ones aside."""
    found = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == SLEEP.split()]
    return [p for p in found if is_alive(p)]


def test_a_command_is_not_told_the_worker_s_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEATD_DATABASE_URL", "postgresql://beatd:secret@localhost/beatd")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    command = Command("env", env={"BEATD_ENTRY": "backup"})
    command.run()
    told = dict(line.split("=", 1) for line in command.output.splitlines() if "=" in line)
    assert told["BEATD_ENTRY"] == "backup"
    assert told["LANG"] == "de_DE.UTF-8"
    assert not {"BEATD_DATABASE_URL", "NOTIFY_SOCKET"} & set(told)
