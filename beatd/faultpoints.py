"""Points at which a test can make this process fail; nothing is armed unless the configuration says so.

    BEATD_SCHEDULER_FAULT_POINT=after-commit beatd scheduler
    BEATD_SCHEDULER_FAULT_POINT=before-mark:2=fail,after-send=lose beatd scheduler

A comma list of `NAME[:COUNT][=ACTION]`: ACTION is done once, at the COUNT-th time that the point is reached,
the first if not said. The processes of a worker's pool count together.

    kill   SIGKILL to this process (the default)
    stop   SIGSTOP to this process, for the test to let it go on
    fail   the database or the broker is unavailable, before anything has taken effect
    lose   the same, after it has taken effect: the answer is what was lost
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, Literal, get_args

from beatd.errors import DatabaseUnavailable, FieldError
from beatd.logs import get_logger

log = get_logger()

Action = Literal["kill", "stop", "fail", "lose"]

_HERE: frozenset[Action] = frozenset({"kill", "stop"})
_BEFORE: frozenset[Action] = _HERE | frozenset[Action]({"fail"})
_AFTER: frozenset[Action] = _HERE | frozenset[Action]({"lose"})

#: The scheduler's points, and what can be done there, in the order of a run's way.
SCHEDULER: Mapping[str, frozenset[Action]] = {
    # one transaction of the dispatcher
    "before-changes": _BEFORE,
    "after-changes": _BEFORE,
    "after-timers": _BEFORE,
    "after-plan": _BEFORE,
    "before-commit": _BEFORE,
    "after-commit": _AFTER,
    # what lapsed, and what a lost answer left behind
    "before-take-over": _BEFORE,
    "after-take-over": _AFTER,
    "before-take-back": _BEFORE,
    "after-take-back": _AFTER,
    # the outbox; `before-mark` is reached again for what could not be marked
    "before-renew": _BEFORE,
    "after-renew": _AFTER,
    "before-publish": _BEFORE,
    "after-send": _AFTER,
    "after-confirm": _HERE,
    "before-mark": _BEFORE,
    "after-mark": _AFTER,
    "before-give-back": _BEFORE,
    "after-give-back": _AFTER,
    # reports: taken in, committed, acknowledged
    "before-report": _BEFORE,
    "before-report-commit": _BEFORE,
    "after-report": _AFTER,
    "after-ack": _HERE,
    # housekeeping
    "before-sweep": _BEFORE,
    "after-sweep": _AFTER,
    "before-heartbeat": _BEFORE,
    "after-heartbeat": _AFTER,
}

#: The worker's: the claim of a run-once task, the start of its work and its end, and every report.
WORKER: Mapping[str, frozenset[Action]] = {
    "before-claim": _BEFORE,
    "after-claim": _AFTER,
    "before-start": _HERE,
    "before-end": _BEFORE,
    "after-end": _AFTER,
    "before-send": _BEFORE,
    "after-sent": _AFTER,
}

#: What is armed, by point: how often it is still to be reached, shared with forked processes, and the action.
_armed: dict[str, list[tuple[Any, Action]]] = {}


def arm(setting: str, points: Mapping[str, frozenset[Action]] = SCHEDULER) -> None:
    """Raises FieldError for what cannot be done. An empty setting disarms."""
    parts = [part.strip() for part in setting.split(",") if part.strip()]
    faults = [_read(part, points) for part in parts]
    _armed.clear()
    for name, count, action in faults:
        _armed.setdefault(name, []).append((_shared(count), action))


def reach(point: str, error: type[Exception] = DatabaseUnavailable) -> None:
    """Does what is armed here; `error` is what `fail` and `lose` raise."""
    if _armed:
        _reach(point, error)


def _reach(point: str, error: type[Exception]) -> None:
    due = [action for remaining, action in _armed.get(point, ()) if _counted(remaining)]
    for action in due:
        _do(action, point, error)


def _counted(remaining: Any) -> bool:
    with remaining.get_lock():
        remaining.value -= 1
        return bool(remaining.value == 0)


def _do(action: Action, point: str, error: type[Exception]) -> None:
    log.warning("fault.struck", point=point, action=action)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        raise error(f"fault point {point}: {action}")


def _read(part: str, points: Mapping[str, frozenset[Action]]) -> tuple[str, int, Action]:
    field = "worker.fault_point" if points is WORKER else "scheduler.fault_point"
    where, _, told = part.partition("=")
    name, _, count = where.partition(":")
    if name not in points or not (count or "1").isdigit() or int(count or 1) < 1:
        raise FieldError(field, part, f"NAME[:COUNT][=ACTION], with one of {', '.join(points)}")
    for action in get_args(Action):
        if action == (told or "kill") and action in points[name]:
            return name, int(count or 1), action
    possible = ", ".join(action for action in get_args(Action) if action in points[name])
    raise FieldError(field, part, f"what can be done at {name} is {possible}")


def _shared(count: int) -> Any:
    from multiprocessing import Value  # only where something is armed

    return Value("i", count)
