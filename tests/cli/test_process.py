"""`up`, `scheduler` and `worker` as real processes, on the embedded default."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO

import psutil
import pytest

from tests.cli.program import PROGRAM, Beatd, end
from tests.services.keeper import is_alive
from tests.services.postgres import Postgres
from tests.waiting import eventually


class Running:
    """A process that was started, and what it has told so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told = ""
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.told += line

    def tells(self, text: str, times: int = 1) -> None:
        eventually(
            lambda: self.told.count(text) >= times or self.process.poll() is not None,
            timeout=60,
            message=f"{text!r} in\n{self.told}",
        )
        assert self.told.count(text) >= times, f"{text!r} is not {times} times in\n{self.told}"

    def ends(self, status: int, within: float = 60) -> None:
        assert self.process.wait(timeout=within) == status, self.told
        self._reader.join(timeout=60)

    def child(self, role: str) -> psutil.Process:
        return eventually(lambda: next(iter(_called(role, self._below())), None), message=role)

    def tree(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *self._below()]

    def _below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def _called(role: str, processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are `beatd ROLE`, their leader first."""
    found = []
    for process in processes:
        try:
            if role in process.cmdline()[2:4]:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def start(beatd: Beatd) -> Iterator[Callable[..., Running]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Running:
        started.append(beatd.start(*arguments))
        return Running(started[-1])

    yield start
    for process in started:
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        end(process)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(map(is_alive, processes))


def test_up_in_an_empty_home_runs_the_samples_and_stops_cleanly(
    beatd: Beatd, start: Callable[..., Running]
) -> None:
    up = start("up", "--demo")
    up.tells("9 samples added")
    up.tells("hello         succeeded")
    tree = up.tree()
    up.process.send_signal(signal.SIGINT)
    up.ends(0)
    assert "Hello from beatd" in up.told
    last = up.told.splitlines()[-1]
    assert "succeeded" in last
    assert "in " in last
    eventually(lambda: all_gone(tree), message="nothing is left")
    assert "node" not in up.told  # what goes well is not logged here
    status = beatd.json("status")
    assert status["activity"]["nodes"] == []
    assert status["activity"]["ended"]["succeeded"] >= 1


def test_up_keeps_what_was_edited_and_adds_what_is_missing(
    beatd: Beatd, start: Callable[..., Running]
) -> None:
    beatd("init")
    beatd("entry", "add", "hello", "--every", "1s", "--shell", "echo mine")
    up = start("up", "--demo")
    up.tells("9 (8 samples added)")
    up.tells("mine", times=2)
    up.process.terminate()
    up.ends(0)
    assert "Hello from beatd" not in up.told


def test_a_second_up_joins_the_first(beatd: Beatd, start: Callable[..., Running]) -> None:
    beatd("init")
    beatd("entry", "add", "tick", "--every", "1s", "--shell", "echo tock")
    first = start("up")
    first.tells("tock")
    second = start("up")
    second.tells("1 at work already; this one joins")
    second.tells("tock", times=2)
    first.process.send_signal(signal.SIGINT)
    first.ends(0)
    seen = second.told.count("tock")
    second.tells("tock", times=seen + 2)
    second.process.send_signal(signal.SIGINT)
    second.ends(0)


def test_failed_runs_say_why(beatd: Beatd, start: Callable[..., Running]) -> None:
    beatd("init")
    beatd("entry", "add", "full", "--every", "1s", "--shell", "echo the disk is full >&2; exit 3")
    up = start("up")
    up.tells("exit status 3: the disk is full")
    up.process.terminate()
    up.ends(0)
    assert " failed" in up.told.splitlines()[-1]
    assert "Traceback" not in up.told


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_a_child_that_is_killed_is_started_again(
    beatd: Beatd, start: Callable[..., Running], role: str
) -> None:
    beatd("init")
    beatd("entry", "add", "tick", "--every", "1s", "--shell", "echo tock")
    up = start("up")
    up.tells("tock")
    up.child(role).kill()
    up.tells(f"{role} ended (killed by signal 9); it starts again in 1 s")
    seen = up.told.count("tock")
    up.tells("tock", times=seen + 2)
    up.process.terminate()
    up.ends(0)


def test_no_child_outlives_an_up_that_is_killed(beatd: Beatd, start: Callable[..., Running]) -> None:
    beatd("init")
    beatd("entry", "add", "tick", "--every", "1s", "--shell", "echo tock")
    up = start("up")
    up.tells("tock")
    tree = up.tree()
    assert len(tree) >= 4
    up.process.kill()
    eventually(lambda: all_gone(tree), message="all ended")


def test_a_second_ctrl_c_does_not_wait(beatd: Beatd, start: Callable[..., Running]) -> None:
    beatd("init")
    beatd("entry", "add", "long", "--every", "1s", "--shell", "echo $$ > long.pid; exec sleep 1000")
    up = start("up")
    pid = int(eventually(lambda: _text(beatd.home / "long.pid")))
    tree = up.tree()
    up.process.send_signal(signal.SIGINT)
    up.tells("Stopping")
    up.process.send_signal(signal.SIGINT)
    up.ends(0, within=25)
    assert "Ended at once" in up.told
    eventually(lambda: all_gone([*tree]) and not psutil.pid_exists(pid), message="all ended")


def test_what_runs_when_it_is_stopped_comes_to_its_end_and_is_recorded(
    beatd: Beatd, start: Callable[..., Running]
) -> None:
    beatd("init")
    beatd("entry", "add", "tick", "--every", "1s", "--shell", "echo tock", "--expires", "never")
    beatd("entry", "add", "long", "--every", "1h", "--shell", "touch begun; sleep 5; echo done > ended")
    up = start("up")
    up.tells("tock")
    beatd("entry", "trigger", "long")
    eventually((beatd.home / "begun").exists)
    asked = datetime.now(UTC)
    up.process.send_signal(signal.SIGINT)
    up.tells("Stopping: runs that are under way have 30 s to end (Ctrl-C again: at once)")
    up.ends(0)
    assert (beatd.home / "ended").exists()
    assert "long          succeeded" in up.told
    runs = beatd.json("runs", "list")
    assert {run["state"] for run in runs if run["entry"] == "long"} == {"succeeded"}
    # nothing more was claimed meanwhile, and the scheduler took its leave
    late = [run for run in runs if datetime.fromisoformat(run["fire_time"]) > asked + timedelta(seconds=2)]
    assert late == []
    assert beatd.json("status")["activity"]["nodes"] == []


#: `beatd up` whose patience is short.
_IMPATIENT = """
import sys
from beatd import cli
from beatd.cli import up
up._PATIENCE["worker"] = 2.0
sys.argv = [sys.argv[1], "up"]
cli.main()
"""


def test_a_worker_that_does_not_end_is_killed_and_the_scheduler_still_ends_cleanly(beatd: Beatd) -> None:
    beatd("init")
    beatd("entry", "add", "long", "--every", "1s", "--shell", "echo $$ > long.pid; exec sleep 1000")
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPATIENT, PROGRAM],
        cwd=beatd.home,
        env=beatd.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    up = Running(process)
    try:
        pid = int(eventually(lambda: _text(beatd.home / "long.pid")))
        tree = up.tree()
        process.send_signal(signal.SIGINT)
        up.ends(0)
        assert "worker is not done after 2 s: runs that were under way are killed" in up.told
        assert "scheduler is not done" not in up.told
        eventually(lambda: all_gone(tree) and not psutil.pid_exists(pid), message="all ended")
        assert beatd.json("status")["activity"]["nodes"] == []
    finally:
        end(process)


def _text(path: os.PathLike[str]) -> str:
    try:
        with open(path) as file:  # noqa: PTH123
            return file.read().strip()
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("command", ["up", "scheduler", "worker"])
def test_a_celery_app_that_is_not_there_is_bad_input(
    beatd: Beatd, start: Callable[..., Running], command: str
) -> None:
    beatd.env["BEATD_CELERY_APP"] = "no_such_module:app"
    beatd("db", "upgrade")
    process = start(command)
    process.ends(2)
    assert "celery.app: 'no_such_module:app': cannot be imported" in process.told


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://someone:very-secret@127.0.0.1:9/beatd", "127.0.0.1"),
        ("sqlite:///{home}/typo.db", "there is no such file"),
    ],
)
def test_a_worker_says_at_once_that_it_cannot_use_the_database(
    beatd: Beatd, start: Callable[..., Running], url: str, said: str
) -> None:
    beatd.env["BEATD_DATABASE_URL"] = url.format(home=beatd.home)
    worker = start("worker", "--concurrency", "1")
    worker.tells("worker.ready")  # it waits, and what needs no database runs
    (line,) = [line for line in worker.told.splitlines() if "database.unavailable" in line]
    assert said in line
    assert "very-secret" not in worker.told
    assert not (beatd.home / "typo.db").exists()
    worker.process.terminate()
    worker.ends(0)


def test_up_with_a_database_that_is_down_fails_in_one_line(program: Beatd) -> None:
    program.env["BEATD_DATABASE_URL"] = "postgresql://someone:very-secret@127.0.0.1:9/beatd"
    done = program("up", status=1)
    assert len(done.stderr.splitlines()) == 1
    assert "very-secret" not in done.stderr


def test_up_waits_for_a_database_that_goes_away(
    beatd: Beatd, start: Callable[..., Running], postgres: Postgres, postgres_url: str
) -> None:
    beatd.env["BEATD_DATABASE_URL"] = postgres_url
    beatd("init")
    beatd("entry", "add", "tick", "--every", "1s", "--shell", "echo tock")
    up = start("up")
    up.tells("tock")
    postgres.kill9()
    up.tells("; waiting for it")
    postgres.start()
    up.tells("the database answers again")
    up.tells("tock", times=up.told.count("tock") + 2)
    up.process.terminate()
    up.ends(0)
    assert "starts again" not in up.told  # nobody crashed
    assert '  File "' not in up.told


def test_an_app_given_to_the_scheduler_alone_is_noticed(beatd: Beatd, start: Callable[..., Running]) -> None:
    (beatd.home / "proj.py").write_text(
        "from celery import Celery\n"
        "import beatd.broker.embedded\n"
        f"app = Celery('proj', broker='beatd://{beatd.home}/other', set_as_current=False)\n"
    )
    beatd("init")
    beatd("entry", "add", "mine", "--every", "1h", "--task", "proj.t")
    scheduler = start("scheduler", "--app", "proj:app")
    scheduler.tells("daemon.ready")
    run = beatd.json("entry", "trigger", "mine")["id"]
    eventually(lambda: beatd.json("runs", "show", run)["state"] == "published", interval=0.3)

    def troubles(*app: str) -> list[str]:
        return [text for text in beatd.json("status", *app)["troubles"] if text.startswith("broker: ")]

    (trouble,) = eventually(troubles, interval=0.3)
    assert f"uses beatd://{beatd.home}/other, this command beatd://{beatd.state_dir}/broker" in trouble
    assert "✗ broker " in beatd("doctor", status=1).stdout
    refused = beatd("runs", "revoke", run, status=1)
    assert "cannot be revoked: the scheduler" in refused.stderr
    assert "set celery.app or broker.url in the configuration, or give --app" in refused.stderr
    # and with the same app all is well
    assert troubles("--app", "proj:app") == []
    assert "asked the workers" in beatd("runs", "revoke", run, "--app", "proj:app").stdout
    scheduler.process.terminate()
    scheduler.ends(0)


def test_scheduler_and_worker_as_systemd_runs_them(beatd: Beatd, start: Callable[..., Running]) -> None:
    beatd("--config", "beatd.toml", "init")
    scheduler = start("--config", "beatd.toml", "scheduler")
    worker = start("--config", "beatd.toml", "worker", "--queue", "user.me", "--concurrency", "1")
    scheduler.tells("daemon.ready")
    worker.tells('"worker": "user.me@')
    call = ("--config", "beatd.toml", "entry", "add", "mine", "--every", "1h", "--shell", "echo ran")
    beatd(*call, "--queue", "user.me")
    told = beatd("--config", "beatd.toml", "entry", "trigger", "mine", "--wait").stdout
    assert "ran" in told
    scheduler.process.send_signal(signal.SIGHUP)
    scheduler.tells("config.reloaded")
    for process in (worker, scheduler):
        process.process.terminate()
        process.ends(0)
    assert "config.loaded" in scheduler.told
