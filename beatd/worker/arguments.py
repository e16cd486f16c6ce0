"""Checks of the shipped tasks' arguments, made when an entry is written. Needs no Celery."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from beatd.errors import FieldError
from beatd.planning.task import HTTP_TASK, SHELL_TASK
from beatd.schedules.text import parse_duration

#: The parameters in their order, for positional arguments.
SHELL_PARAMETERS = ("command", "cwd", "env", "stdin", "timeout", "expected_exit_status", "environment")
HTTP_PARAMETERS = ("url", "method", "headers", "body", "timeout", "expected_status")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

#: Where a command gets its environment, its shell and its folder from.
ENVIRONMENTS = ("worker", "cron")

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_NO_NAME = re.compile("[=\0\ud800-\udc7f\udd00-\udfff]")

_Check = Callable[[str, Any], None]


def check(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises FieldError unless a shipped task can be called with these; of other tasks nothing is known."""
    if task == SHELL_TASK:
        check_shell(_named(task, SHELL_PARAMETERS, args, kwargs))
    elif task == HTTP_TASK:
        check_http(_named(task, HTTP_PARAMETERS, args, kwargs))


def check_shell(kwargs: Mapping[str, Any]) -> None:
    """Raises FieldError."""
    _check(SHELL_TASK, "command", _SHELL_CHECKS, kwargs, example="/usr/local/bin/backup --all")


def check_http(kwargs: Mapping[str, Any]) -> None:
    """Raises FieldError."""
    _check(HTTP_TASK, "url", _HTTP_CHECKS, kwargs, example="https://example.com/refresh")
    if kwargs.get("body") is not None and str(kwargs.get("method", "GET")).upper() in ("GET", "HEAD"):
        problem = "is not sent with GET or HEAD; name another method"
        raise FieldError("body", kwargs["body"], problem, example="POST")


def seconds(field: str, value: Any) -> float | None:
    """A time-out as it may be written: a duration (`5m`), a number of seconds, or null for none.

    Raises FieldError.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return parse_duration(value, field).total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise FieldError(field, value, "must be a duration or a positive number of seconds", example="5m")
    return float(value)


def _named(
    task: str, parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    if len(args) > len(parameters):
        raise FieldError("args", list(args), f"{task} takes at most {len(parameters)} arguments")
    named = dict(zip(parameters, args, strict=False))
    for name in named.keys() & kwargs.keys():
        raise FieldError(name, kwargs[name], "is given in args and in kwargs")
    return {**named, **kwargs}


def _check(
    task: str, required: str, checks: Mapping[str, _Check], kwargs: Mapping[str, Any], *, example: str
) -> None:
    for name, value in kwargs.items():
        if name not in checks:
            raise FieldError(name, value, f"{task} has no such argument; it has {', '.join(checks)}")
        if name == required or value is not None:
            checks[name](name, value)
    if required not in kwargs:
        raise FieldError(required, None, f"{task} needs it", example=example)


# What may stand in each


def _bytes(field: str, value: Any) -> None:
    """A text in which bytes that are not UTF-8 stand as `surrogateescape` has them."""
    if not isinstance(value, str):
        raise FieldError(field, value, "must be a text")
    if "\0" in value:
        raise FieldError(field, value, "must not hold a NUL character")
    if _NO_BYTE.search(value):
        problem = r"holds a lone surrogate; a byte that is not UTF-8 is written \udc80 to \udcff"
        raise FieldError(field, value, problem)


def _text(field: str, value: Any) -> None:
    _bytes(field, value)
    if _SURROGATE.search(value):
        raise FieldError(field, value, "is not UTF-8 text")


def _command(field: str, value: Any) -> None:
    _bytes(field, value)
    if not value.strip():
        raise FieldError(field, value, "must not be empty")


def _absolute_path(field: str, value: Any) -> None:
    _bytes(field, value)
    if not value.startswith("/"):
        raise FieldError(field, value, "must be a folder with its whole path", example="/srv/app")


def _variables(field: str, value: Any, check: _Check = _bytes) -> None:
    if not isinstance(value, Mapping):
        raise FieldError(field, value, "must be an object of texts", example='{"NAME": "value"}')
    for name, text in value.items():
        check(f"{field}.{name}", text)
        if not isinstance(name, str) or not name or _NO_NAME.search(name):
            raise FieldError(field, name, "is no name of a variable", example='{"NAME": "value"}')


def _environment(field: str, value: Any) -> None:
    if value not in ENVIRONMENTS:
        raise FieldError(field, value, f"must be one of {', '.join(ENVIRONMENTS)}", example="cron")


def _headers(field: str, value: Any) -> None:
    _variables(field, value, _text)
    for name, text in value.items():
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise FieldError(field, name, "is no name of a header", example='{"Accept": "text/html"}')
        if not text.isascii() or not text.isprintable():
            raise FieldError(f"{field}.{name}", text, "must be one line of ASCII characters")


def _timeout(field: str, value: Any) -> None:
    seconds(field, value)


def _url(field: str, value: Any) -> None:
    _text(field, value)
    example = "https://example.com/refresh"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise FieldError(field, value, f"is no URL: {error}", example=example) from None
    if parts.scheme not in ("http", "https"):
        raise FieldError(field, value, "must begin with http:// or https://", example=example)
    if not host or any(c.isspace() for c in value):
        raise FieldError(field, value, "must name a host, and hold no white space", example=example)


def _method(field: str, value: Any) -> None:
    if not isinstance(value, str) or value.upper() not in METHODS:
        raise FieldError(field, value, f"must be one of {', '.join(METHODS)}", example="POST")


def _statuses(low: int, high: int) -> _Check:
    def check_statuses(field: str, value: Any) -> None:
        values = value if isinstance(value, list | tuple) else [value]
        for number in values:
            if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
                problem = f"must be a number from {low} to {high}, or a list of such"
                raise FieldError(field, value, problem, example="[0, 1]" if low == 0 else "[200, 204]")
        if not values:
            raise FieldError(field, value, "must not be empty")

    return check_statuses


_SHELL_CHECKS: Mapping[str, _Check] = {
    "command": _command,
    "cwd": _absolute_path,
    "env": _variables,
    "stdin": _bytes,
    "timeout": _timeout,
    "expected_exit_status": _statuses(0, 255),
    "environment": _environment,
}
_HTTP_CHECKS: Mapping[str, _Check] = {
    "url": _url,
    "method": _method,
    "headers": _headers,
    "body": _text,
    "timeout": _timeout,
    "expected_status": _statuses(100, 599),
}
