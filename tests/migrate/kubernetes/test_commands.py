"""The command that waits for a job's end, run by a shell beside a `kubectl` of our own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.migrate.kubernetes.test_cron_jobs import manifest, only
from tests.waiting import eventually

#: `kubectl get` prints what the file `ends` holds; a first line `away` of it is an API that does not answer.
KUBECTL = """#!/bin/sh
echo "$@" >> calls
[ "$1" = --namespace ] && shift 2
case $1 in
create) exec cat created ;;
get) if grep -q away ends; then echo Job > ends; exit 1; fi; cat ends ;;
esac
"""


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    def begin(ends: str | None, policy: str = "Forbid", namespace: str = "office") -> subprocess.Popen[bytes]:
        """Starts the command in a group of its own, as a worker does; `ends` is None: no job can be made."""
        text = manifest(f"concurrencyPolicy: {policy}")
        text = text.replace("  name: report", f"  name: report\n  namespace: {namespace}")
        (tmp_path / "calls").touch()
        (tmp_path / "kubectl").write_text(KUBECTL)
        (tmp_path / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.05\n")
        for name in ("kubectl", "sleep"):
            (tmp_path / name).chmod(0o755)
        (tmp_path / "ends").write_text(ends or "")
        if ends is not None:
            (tmp_path / "created").touch()
        command = only(text).options["shell"]
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, start_new_session=True
        )

    return begin


ENDS = [
    ("Job Complete", 0),
    ("Job SuccessCriteriaMet Complete", 0),
    ("Job Failed", 1),
    ("Job FailureTarget Failed", 1),
    ("", 1),  # gone: somebody deleted it
    (None, 1),  # it could not be made
]


@pytest.mark.parametrize(("ends", "status"), ENDS)
def test_it_ends_as_the_job_does(
    begin: Callable[..., subprocess.Popen[bytes]], ends: str | None, status: int
) -> None:
    assert begin(ends).wait(60) == status


@pytest.mark.parametrize("meanwhile", ["Job ", "Job Suspended", "Job FailureTarget", "away"])
def test_it_waits_until_the_job_has_ended(
    begin: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, meanwhile: str
) -> None:
    waiting = begin(meanwhile)
    eventually(lambda: (tmp_path / "calls").read_text().count("get job") > 2)
    assert waiting.poll() is None
    (tmp_path / "ends").write_text("Job Failed")
    assert waiting.wait(60) == 1
    create, get = (tmp_path / "calls").read_text().splitlines()[:2]
    assert create.startswith("--namespace office create job --from=cronjob/report report-")
    job = create.split()[-1]
    assert get.startswith(f"--namespace office get job {job} --ignore-not-found -o jsonpath={{.kind}} ")


def test_cancelled_it_takes_the_job_away(
    begin: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    waiting = begin("Job ", policy="Replace", namespace="it's")
    eventually(lambda: "get job" in (tmp_path / "calls").read_text())
    os.killpg(waiting.pid, signal.SIGTERM)
    assert waiting.wait(60) == 143
    calls = (tmp_path / "calls").read_text().splitlines()
    job = calls[0].split()[-1]
    assert calls[-1] == f"--namespace it's delete job {job} --wait=false"
