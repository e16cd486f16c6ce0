"""What a task is sent with: the options of `apply_async`, those too that it declares for each call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery
from celery.app.task import Task
from celery.canvas import Signature
from kombu.entity import Exchange, Queue

from beatd.errors import FieldError


@dataclass(frozen=True, slots=True)
class Sent:
    """`options` are plain values; `findings` say what of them is not plain."""

    options: Mapping[str, Any]
    findings: Sequence[FieldError] = ()
    warnings: Sequence[str] = ()


def with_declared(app: Celery, task: str, options: Mapping[str, Any]) -> Sent:
    """What a call with these options is sent with, if the app has the task."""
    registered = app.tasks.get(task)
    findings: list[FieldError] = []
    plain = dict(_plain_options(app, {**_own_options(app, registered), **options}, findings))
    return Sent(plain, findings, tuple(_overridden(registered)))


OPTION_NAMES = frozenset(
    (
        "queue",
        "exchange",
        "routing_key",
        "priority",
        "headers",
        "expires",
        "serializer",
        "compression",
        "time_limit",
        "soft_time_limit",
        "ignore_result",
        "link",
        "link_error",
        "countdown",
        "eta",
    )
)

#: Attributes of a task that its calls are sent with, and the settings that they are otherwise copied from.
_COPIED = {
    "serializer": "task_serializer",
    "priority": "task_default_priority",
    "time_limit": "task_time_limit",
    "soft_time_limit": "task_soft_time_limit",
    "ignore_result": "task_ignore_result",
    "delivery_mode": "task_default_delivery_mode",
}


def _own_options(app: Celery, task: Any) -> dict[str, Any]:
    """What the task's own declaration adds to each of its calls; what all of the app's tasks have is left to
    the app."""
    if not isinstance(task, Task):
        return {}
    options = {**task._get_exec_options(), "ignore_result": task.ignore_result}
    return {
        name: value
        for name, value in options.items()
        if value is not None and (name not in _COPIED or value != app.conf[_COPIED[name]])
    }


def _plain_options(
    app: Celery, options: Mapping[str, Any], findings: list[FieldError]
) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        plain = collected(findings, partial(_plain_option, app, str(name), value))
        if plain is None:
            continue
        if isinstance(plain, Exchange):
            yield name, plain.name
            yield "exchange_type", plain.type
        else:
            yield name, plain


def _plain_option(app: Celery, name: str, value: Any) -> Any:
    if name == "queue" and isinstance(value, Queue):
        with suppress(KeyError):
            if app.amqp.queues[value.name] == value:
                return value.name
        problem = "a queue that the app's task_queues do not have; name one of those"
        raise FieldError("options.queue", value.name, problem)
    if name in ("link", "link_error") and value is not None:
        signatures = [value] if isinstance(value, Signature | str) else list(value)
        return [_bare_task(name, one) for one in signatures]
    return value


def _bare_task(name: str, signature: Any) -> str:
    """The task of a signature that holds nothing else: all that an entry can name."""
    if not isinstance(signature, Signature):
        raise FieldError(f"options.{name}", shown(signature), "a signature of a task is wanted")
    extra = [part for part in ("args", "kwargs", "options", "subtask_type") if signature.get(part)]
    if extra or signature.immutable:
        problem = "an entry names the task alone, to which the result is handed: no arguments, no options"
        raise FieldError(f"options.{name}", shown(signature), problem)
    return str(signature.task)


def _overridden(task: Any) -> Iterator[str]:
    """Beat sends by the task's own method, beatd by the task's name."""
    method = getattr(type(task), "apply_async", None)
    if method is not None and method is not Task.apply_async:
        where = f"{method.__module__}.{method.__qualname__}"
        yield f"the task's class has an apply_async of its own ({where}): beatd sends without calling it"


def collected(findings: list[FieldError], read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FieldError as finding:
        findings.append(finding)
    return None


def shown(value: Any) -> str:
    """As one line, the same in every process: no address, sets in order."""
    if isinstance(value, set | frozenset):
        return json.dumps(sorted(value, key=lambda item: (str(type(item)), item)), default=str)
    text = repr(value)
    return text if " at 0x" not in text else f"{type(value).__module__}.{type(value).__qualname__}"
