"""The Celery plugin: a worker that loads it reports what becomes of the runs that beatd published.

In beatd's own workers it is always on. In your app:

    app = Celery("proj", include=["proj.tasks", "beatd.worker.plugin"])

or, where the app is made, `beatd.worker.plugin.install(app)`. It follows messages that carry the header
`beatd_reports` and leaves all others alone. For each state change it sends one small message to the queue
that the header names, over the app's broker, on a connection of its own. It never fails a task, and holds
one up for five seconds at most while the broker is away.

A task that raises `Ignore` (as `Task.replace` does) counts as succeeded. Expiry governs the first start: a
retry carries none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Self
from weakref import WeakValueDictionary

from celery import Celery, Task, signals, states

from beatd import clock
from beatd.config import WorkerSettings
from beatd.errors import BeatdError
from beatd.logs import get_logger
from beatd.reports import ENTRY_HEADER, REPORTS_HEADER, RERUNS_HEADER, Report
from beatd.worker import process
from beatd.worker import sender as senders
from beatd.worker.excerpt import cut

#: Room for a few words of ours around an output that is as long as the limit.
_FRAME = 1024

log = get_logger()


def install(app: Celery | None = None) -> None:
    """Turn reporting on in this process and in the pool processes forked from it.

    Importing the module does so too; repeating it is harmless. Signals are Celery's, for all apps of the
    process: `app` is taken for the sake of the line that reads `install(app)`.
    """
    for signal, receiver in _RECEIVERS:
        signal.connect(receiver, dispatch_uid=f"beatd.{receiver.__name__}")


class Quiet:
    """Mixed into an exception by which a delivery ends without a state of its run to report."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A run whose message asked for reports."""

    id: str
    queue: str
    entry: str
    worker: str
    retries: int
    reruns_left: int | None

    @classmethod
    def of(cls, request: Any) -> Self | None:
        """From a task's request or a message's headers."""
        queue = request.get(REPORTS_HEADER)
        if not isinstance(queue, str) or request.get("is_eager"):
            return None
        entry, worker = str(request.get(ENTRY_HEADER)), str(request.get("hostname") or "")
        retries = request.get("retries") or 0
        return cls(str(request.get("id")), queue, entry, worker, retries, reruns_left(request))


def reruns_left(request: Any) -> int | None:
    """How often the run may start again, as its message says; None where it does not say."""
    told = request.get(RERUNS_HEADER)
    return int(told) if str(told).isdigit() else None


def report(run: Followed | None, app: Celery, state: str, *, wait: bool = True, **texts: str | None) -> None:
    """Report a state of a followed run, with its `result` or `error`.

    `wait`: until the broker has it, so that what follows cannot overtake it or end the process first.
    """
    if run is None:
        return
    limit = _output_limit() + _FRAME
    excerpts = {name: cut(text, limit) for name, text in texts.items() if text is not None}
    message = Report(
        run.id, state, clock.wall(), run.worker, run.retries, reruns_left=run.reruns_left, **excerpts
    )
    log.info(f"run.{state}", run=run.id, entry=run.entry, retries=run.retries)
    sender = senders.of(app)
    (sender.send if wait else sender.post)(run.queue, message)


# In the process that runs the task

_here = threading.local()  # .run: what this thread began last


def _on_prerun(task: Task, **_: Any) -> None:
    _here.run = run = Followed.of(task.request)
    if run is None:
        return
    task.request.expires = None  # a retry is made from this request
    if not getattr(task, "reports_its_start", False):
        report(run, task.app, "started")


def _on_success(sender: Task, result: Any, **_: Any) -> None:
    report(Followed.of(sender.request), sender.app, "succeeded", result=_result_text(sender, result))


def _on_retry(sender: Task, request: Any, reason: Any = None, einfo: Any = None, **_: Any) -> None:
    # Celery may also retry in the main process, when it lost a pool process or its connection.
    error = _error_text(reason.exc, einfo) if reason is not None and reason.exc else None
    run = Followed.of(request)
    report(run, sender.app, "retrying", wait=run == _begun_here(request.id), error=error)


def _on_failure(sender: Task, task_id: str, exception: BaseException, einfo: Any = None, **_: Any) -> None:
    error = _error_text(exception, einfo)
    if (run := _begun_here(task_id)) is not None:
        report(run, sender.app, "failed", error=error)
    elif (request := _received.get(task_id)) is not None:
        # The process that ran it is gone: killed, or ended by the hard time limit.
        report(Followed.of(request.request_dict), sender.app, "failed", wait=False, error=error)


def _on_postrun(task: Task, state: str | None, retval: Any, **_: Any) -> None:
    """What has no signal of its own."""
    if isinstance(retval, Quiet):
        return
    if state == states.IGNORED:
        report(Followed.of(task.request), task.app, "succeeded", result=f"ignored: {retval}")
    elif state == states.REJECTED and not retval.requeue:
        report(Followed.of(task.request), task.app, "failed", error=f"rejected: {retval.reason}")


def _begun_here(task_id: str) -> Followed | None:
    run: Followed | None = getattr(_here, "run", None)
    return run if run is not None and run.id == task_id else None


# In the worker's main process, which must not stand still

#: What it has received; a task that fails there is known by its id only.
_received: WeakValueDictionary[str, Any] = WeakValueDictionary()


def _on_received(request: Any, **_: Any) -> None:
    if request.request_dict.get(REPORTS_HEADER):
        _received[request.id] = request


def _on_revoked(sender: Task, request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
    run = Followed.of(request)
    if expired:
        report(run, sender.app, "expired", wait=False)
    else:
        error = f"terminated by signal {signum}" if terminated else "revoked before it started"
        report(run, sender.app, "revoked", wait=False, error=error)


def _on_unknown(sender: Any, message: Any, name: str, **_: Any) -> None:
    run = Followed.of({"hostname": sender.hostname, **(message.headers or {})})
    error = f"this worker knows no task {name!r}: is the name right, and its module among the app's imports?"
    report(run, sender.app, "failed", wait=False, error=error)


def _on_shutdown(**_: Any) -> None:
    senders.flush()


# Wherever a task is sent from


def _on_publish(headers: Any, properties: Any, **_: Any) -> None:
    """Celery can retry in the main process too, from a request that still has its expiry."""
    if isinstance(headers, dict) and headers.get(REPORTS_HEADER) and headers.get("retries"):
        headers["expires"] = None
        properties.pop("expiration", None)


# Texts


def _result_text(task: Task, result: Any) -> str | None:
    describe: Callable[[Any], Any] | None = getattr(task, "describe_result", None)
    if describe is not None:
        result = describe(result)
    if result is None or isinstance(result, str):
        return result
    try:
        return json.dumps(result, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(result)


def _error_text(exception: BaseException, einfo: Any) -> str:
    """Our own errors say what there is to say; of others the traceback belongs to it."""
    if isinstance(exception, BeatdError):
        return str(exception)
    text = f"{type(exception).__name__}: {exception}"
    traceback = getattr(einfo, "traceback", None)
    return f"{text}\n\n{traceback}" if traceback else text


def _output_limit() -> int:
    try:
        return process.settings().worker.output_limit
    except BeatdError:
        # A worker that only reports needs no configuration; one that claims will say what is wrong.
        return WorkerSettings().output_limit


# Celery would log a receiver's error as one of its own, with the whole traceback


def _never_failing(receiver: Callable[..., None]) -> Callable[..., None]:
    @wraps(receiver)
    def guarded(**arguments: Any) -> None:
        try:
            receiver(**arguments)
        except BeatdError as error:
            log.warning("reports.unsent", reason=str(error))

    return guarded


_SIGNALS: Mapping[Any, Callable[..., None]] = {
    signals.task_prerun: _on_prerun,
    signals.task_success: _on_success,
    signals.task_retry: _on_retry,
    signals.task_failure: _on_failure,
    signals.task_postrun: _on_postrun,
    signals.task_received: _on_received,
    signals.task_revoked: _on_revoked,
    signals.task_unknown: _on_unknown,
    signals.before_task_publish: _on_publish,
    signals.worker_shutdown: _on_shutdown,
}
_RECEIVERS = tuple((signal, _never_failing(receiver)) for signal, receiver in _SIGNALS.items())

install()
