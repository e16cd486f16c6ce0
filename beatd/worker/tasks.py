"""The tasks that ship with beatd. They claim their run, so that a message delivered twice runs once.

A worker has them if its app's `include` names `beatd.worker.tasks`; beatd's own workers do.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from beatd.planning.task import HTTP_TASK, SHELL_TASK
from beatd.reports import ENTRY_HEADER, FIRE_TIME_HEADER
from beatd.worker import arguments, http, process
from beatd.worker.run_once import RunOnceTask
from beatd.worker.shell import Command, CommandError


class ShellTask(RunOnceTask):
    abstract = True

    def describe_result(self, result: dict[str, Any]) -> str:
        return _framed(_status_text(result["exit_status"]), result["output"])


class HttpTask(RunOnceTask):
    abstract = True

    def describe_result(self, result: dict[str, Any]) -> str:
        return _framed(f"status {result['status']}", result["body"])


def _shell(
    self: ShellTask,
    command: str,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: str | float | None = None,
    expected_exit_status: int | Sequence[int] | None = None,
    environment: Literal["worker", "cron"] | None = None,
) -> dict[str, Any]:
    """Run a command with the configured shell, in `cwd` (default: the home folder).

    Its environment is the worker's, `env`, and BEATD_ENTRY, BEATD_FIRE_TIME and BEATD_RUN_ID. With
    `environment="cron"` it is exactly what Debian's cron gives, and `env`: its SHELL runs the command in its
    HOME. Any exit status but the expected (0) fails the run, and so does `timeout` (`30s`, or seconds).
    Returns {"exit_status": 0, "output": "stdout and stderr, cut to worker.output_limit"}.
    """
    seconds = arguments.seconds("timeout", timeout)
    worker = process.settings().worker
    as_cron = environment == "cron"
    job = Command(
        command,
        shell=worker.shell,
        cwd=cwd,
        env={**(env or {}), **({} if as_cron else _run_variables(self.request))},
        stdin=stdin,
        output_limit=worker.output_limit,
        environment="cron" if as_cron else "worker",
    )
    try:
        status = job.run(seconds)
    except TimeoutError:
        raise CommandError(_framed(f"ended: not done after {seconds:g} s", job.output)) from None
    except SoftTimeLimitExceeded:
        raise CommandError(_framed("ended by the soft time limit", job.output)) from None
    if status not in _expected(expected_exit_status, [0]):
        raise CommandError(_framed(_status_text(status), job.output))
    return {"exit_status": status, "output": job.output}


def _http(
    self: HttpTask,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    timeout: str | float | None = "30s",
    expected_status: int | Sequence[int] | None = None,
) -> dict[str, Any]:
    """Send a request over HTTP or HTTPS; `timeout` covers all of it.

    Any status but the expected (200-299) fails the run. Redirects of GET and HEAD are followed, up to
    five. The headers `Idempotency-Key` (the run's id) and `Beatd-Fire-Time` tell a request that comes
    twice from two. Returns {"status": 200, "body": "the answer, cut to worker.output_limit"}.
    """
    answer = http.send(
        url,
        method=method,
        headers={**_run_headers(self.request), **(headers or {})},
        body=body,
        timeout=arguments.seconds("timeout", timeout),
        output_limit=process.settings().worker.output_limit,
    )
    if answer.status not in _expected(expected_status, range(200, 300)):
        raise http.RequestError(_framed(f"status {answer.status}", answer.body))
    return {"status": answer.status, "body": answer.body}


shell = shared_task(name=SHELL_TASK, bind=True, base=ShellTask)(_shell)
http_request = shared_task(name=HTTP_TASK, bind=True, base=HttpTask)(_http)


def _run_variables(request: Any) -> dict[str, str]:
    run = {
        "RUN_ID": request.id,
        "ENTRY": request.get(ENTRY_HEADER),
        "FIRE_TIME": request.get(FIRE_TIME_HEADER),
    }
    return {f"BEATD_{name}": str(value) for name, value in run.items() if value}


def _run_headers(request: Any) -> dict[str, str]:
    run = {"Idempotency-Key": request.id, "Beatd-Fire-Time": request.get(FIRE_TIME_HEADER)}
    return {name: str(value) for name, value in run.items() if value}


def _expected(given: int | Sequence[int] | None, default: Sequence[int]) -> Sequence[int]:
    if given is None:
        return default
    return [given] if isinstance(given, int) else given


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by signal {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _framed(heading: str, output: str) -> str:
    return f"{heading}\n{output}" if output else heading
