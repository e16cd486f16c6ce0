"""The same crontabs under Debian's cron and under beatd: each command says the same and ends alike.

beatd's side is the real program, from `beatd crontab import` to a worker for each user with the command line
of `beatd-worker@.service`. Both wait for a full minute. `JOB` names each command; every one writes something.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from beatd.operations import entries
from beatd.operations.context import Context
from beatd.worker import cron_environment
from tests.cron.debian_cron import DebianCron, missing
from tests.processes import ROOT, Installation
from tests.services.keeper import Keeper, kill_tree
from tests.services.postgres import Postgres
from tests.services.rabbit import RabbitMQ
from tests.waiting import eventually

#: Seconds until both have run everything: a full minute comes, and then two processors run it all at once.
PATIENCE = 240

HERE = Path(__file__).parent
USER = HERE / "user.crontab"
SYSTEM = HERE / "system.crontab"
ENVIRONMENT = HERE / "pam.environment"

NAMES = re.findall(r"^JOB=(.*)$", (USER.read_bytes() + SYSTEM.read_bytes()).decode("latin-1"), re.MULTILINE)

#: What neither can start. Each says so in its own words.
NEVER_STARTED = {"shell-missing": "/no/such/shell", "shell-along-the-path": "sh"}

pytestmark = pytest.mark.timeout(2 * PATIENCE)


@dataclass(frozen=True)
class Ended:
    """How a command ended, worded as in beatd's history, and its output; a byte that is not UTF-8 is �."""

    status: str
    output: str

    @classmethod
    def of(cls, text: str) -> Ended:
        status, _, output = text.partition("\n")
        return cls(status, output)


@dataclass(frozen=True)
class Both:
    cron: Mapping[str, Ended]
    beatd: Mapping[str, Ended]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that every user may enter."""
    made = Path(tempfile.mkdtemp(prefix="beatd-cron-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def installation(
    folder: Path, keeper: Keeper, postgres: Postgres, rabbit: RabbitMQ
) -> Iterator[Installation]:
    database, vhost = postgres.create_database(), rabbit.create_vhost()
    made = Installation(postgres.url(database), rabbit.url(vhost), folder, keeper)
    made.upgrade()
    yield made
    made.close()
    rabbit.delete_vhost(vhost)
    postgres.drop_database(database)


@pytest.fixture(scope="module")
def both(folder: Path, keeper: Keeper, installation: Installation) -> Iterator[Both]:
    if todo := missing():
        pytest.fail(f"to compare with Debian's cron, {' and '.join(todo)}", pytrace=False)
    nobody = worker_of_nobody(installation, folder, keeper)
    installation.worker("user.root", concurrency=4)
    installation.scheduler()
    bring_over(installation)
    (folder / "cron").mkdir(mode=0o755)
    cron = DebianCron(folder / "cron", keeper, users={"root": USER.read_bytes()}, system=SYSTEM.read_bytes())
    try:
        jobs = cron.jobs(len(NAMES), PATIENCE)
        told = {
            job.variables["JOB"]: Ended(job.status, job.output.decode("utf-8", "replace"))
            for job in jobs
            if job.output is not None
        }
        yield Both(told, ended_runs(installation))
    finally:
        cron.stop()
        kill_tree(psutil.Process(nobody.pid))
        nobody.wait()


def bring_over(installation: Installation) -> None:
    """By the command that people use."""
    for crontab, *options in ((USER, "--user", "--queue", "user.root"), (SYSTEM, "--system")):
        command = [sys.executable, "-m", "beatd", "crontab", "import", "--cron", "debian", *options]
        done = subprocess.run(
            [*command, crontab],
            cwd=ROOT,
            env={**installation.env, "PYTHONPATH": "/tmp/s3/worker/stub"},
            capture_output=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


def worker_of_nobody(installation: Installation, folder: Path, keeper: Keeper) -> subprocess.Popen[bytes]:
    """As `beatd-worker@nobody.service` starts it, but that it may read the program itself, which can be in
    root's home."""
    log = folder / "worker-nobody.log"
    user = ["--reuid=nobody", "--regid=nogroup", "--init-groups"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    worker = [sys.executable, "-m", "beatd", "worker", "--queue", "user.nobody", "--name", "nobody"]
    process = subprocess.Popen(
        ["setpriv", *user, *reading, *worker],
        cwd=ROOT,
        env={**installation.env, "HOME": "/nonexistent", "BEATD_STATE_DIR": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    keeper.watch(process.pid)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        return "worker.ready" in log.read_text()

    eventually(ready, 60, message="a worker of nobody")
    return process


def ended_runs(installation: Installation) -> dict[str, Ended]:
    """Of each entry the first run that came to its end, by the variable that names its job."""
    context = Context(installation.database, "root", "cli")
    jobs = {entry.name: entry.options["env"]["JOB"] for entry in entries.find(context)}

    def first_ends() -> dict[str, Ended]:
        return {
            jobs[run.name]: Ended.of(run.result or run.error or "")
            for run in reversed(installation.runs())
            if run.state in ("succeeded", "failed")
        }

    eventually(lambda: len(first_ends()) == len(NAMES), PATIENCE, interval=1, message="a run of every entry")
    return first_ends()


def test_every_command_is_there(both: Both) -> None:
    assert len(NAMES) >= 30
    assert sorted(both.cron) == sorted(both.beatd) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NEVER_STARTED)))
def test_it_says_and_ends_the_same(both: Both, name: str) -> None:
    assert both.beatd[name] == both.cron[name]
    assert both.cron[name].output, "nothing was compared"


@pytest.mark.parametrize("name", sorted(NEVER_STARTED))
def test_what_cannot_start(both: Both, name: str) -> None:
    shell = NEVER_STARTED[name]
    assert both.cron[name] == Ended("exit status 1", f"{shell}: execle: No such file or directory\n")
    assert both.beatd[name].status.startswith("could not be started: ")
    assert both.beatd[name].status.endswith(f"{shell}: No such file or directory")


def test_what_pam_gives(folder: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("environment", "default/locale"):
        if not Path("/etc", name).exists():
            pytest.fail(f"to compare what PAM gives, make a file /etc/{name}; it may be empty", pytrace=False)
    own = folder / "pam"
    own.mkdir(mode=0o755)
    (own / "environment").write_bytes(ENVIRONMENT.read_bytes())
    (own / "locale").write_text('LANG="en_GB.UTF-8"\nTWICE=second\n')
    cron = DebianCron(own, keeper, system=b"FOO=crontab\n@reboot root env -0\n")
    try:
        [job] = cron.jobs(1, 60)
    finally:
        cron.stop()
    assert job.output is not None
    told = dict(os.fsdecode(line).split("=", 1) for line in job.output.split(b"\0") if line)
    told.pop("PWD")  # the shell's
    monkeypatch.setattr(cron_environment, "PAM_FILES", (str(own / "environment"), str(own / "locale")))
    assert told == cron_environment.environment({"FOO": "crontab"})


def test_the_machine_s_own_crontabs_were_not_touched(both: Both) -> None:
    for path in ("/etc/crontab", "/var/spool/cron/crontabs/root"):
        if os.path.exists(path):  # noqa: PTH110
            assert b"JOB=plain" not in Path(path).read_bytes()
