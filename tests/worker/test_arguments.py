"""Arguments of the shipped tasks, checked when an entry is written."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from beatd.errors import FieldError
from beatd.worker import arguments, tasks

GOOD: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("beatd.shell", ["echo hi"], {}),
    ("beatd.shell", [], {"command": "echo hi"}),
    (
        "beatd.shell",
        [],
        {
            "command": "x",
            "cwd": "/tmp",
            "env": {"A": "b"},
            "stdin": "text",
            "timeout": "1h30m",
            "expected_exit_status": 3,
            "environment": "cron",
        },
    ),
    (
        "beatd.shell",
        [],
        {
            "command": "echo \udcff",
            "cwd": "/srv/caf\udce9",
            "env": {"N\udc80": "\udcfe"},
            "stdin": "\udc80",
            "environment": "worker",
        },
    ),
    ("beatd.shell", ["x", None, None, None, 2.5, [0, 3]], {}),
    ("beatd.http", ["https://example.com/x?y=1"], {"method": "put", "body": "b", "timeout": 5}),
    ("beatd.http", [], {"url": "http://[::1]:8080/", "headers": {"X-A": "b"}, "expected_status": [200, 404]}),
    ("proj.tasks.anything", [object()], {"whatever": object()}),
]

BAD: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("beatd.shell", [], {}, "command: None: beatd.shell needs it"),
    ("beatd.shell", ["a"] * 8, {}, "args: "),
    ("beatd.shell", ["a"], {"environment": "crond"}, "environment: 'crond': must be one of worker, cron"),
    ("beatd.shell", ["a\ud800"], {}, "command: 'a\\ud800': holds a lone surrogate; a byte that is not UTF-8"),
    ("beatd.shell", ["a\udc7f"], {}, "command: 'a\\udc7f': holds a lone surrogate"),
    ("beatd.shell", ["a"], {"stdin": "\udd00"}, "stdin: '\\udd00': holds a lone surrogate"),
    ("beatd.shell", ["a"], {"env": {"A": "\udfff"}}, "env.A: '\\udfff': holds a lone surrogate"),
    ("beatd.shell", ["a"], {"env": {"A\udfff": "b"}}, "env: 'A\\udfff': is no name of a variable"),
    ("beatd.http", ["http://a/\udcff"], {}, "url: 'http://a/\\udcff': is not UTF-8 text"),
    ("beatd.http", ["http://a/"], {"method": "PUT", "body": "\udcff"}, "body: '\\udcff': is not UTF-8 text"),
    ("beatd.shell", ["a"], {"command": "b"}, "command: 'b': is given in args and in kwargs"),
    ("beatd.shell", [], {"comand": "a"}, "comand: 'a': beatd.shell has no such argument; it has command,"),
    ("beatd.shell", [" "], {}, "command: ' ': must not be empty"),
    ("beatd.shell", [["ls", "-l"]], {}, "command: ['ls', '-l']: must be a text"),
    ("beatd.shell", [None], {}, "command: None: must be a text"),
    ("beatd.shell", ["a\0b"], {}, "command: 'a\\x00b': must not hold a NUL character"),
    ("beatd.shell", ["a"], {"cwd": "sub"}, "cwd: 'sub': must be a folder with its whole path"),
    ("beatd.shell", ["a"], {"env": ["A=b"]}, "env: ['A=b']: must be an object of texts"),
    ("beatd.shell", ["a"], {"env": {"A": 1}}, "env.A: 1: must be a text"),
    ("beatd.shell", ["a"], {"env": {"A=B": "c"}}, "env: 'A=B': is no name of a variable"),
    ("beatd.shell", ["a"], {"timeout": "soon"}, "timeout: 'soon': "),
    ("beatd.shell", ["a"], {"timeout": 0}, "timeout: 0: must be a duration or a positive number of seconds"),
    ("beatd.shell", ["a"], {"timeout": True}, "timeout: True: "),
    ("beatd.shell", ["a"], {"timeout": float("nan")}, "timeout: nan: "),
    ("beatd.shell", ["a"], {"expected_exit_status": 256}, "expected_exit_status: 256: must be a number"),
    ("beatd.shell", ["a"], {"expected_exit_status": []}, "expected_exit_status: []: must not be empty"),
    ("beatd.http", [], {}, "url: None: beatd.http needs it"),
    ("beatd.http", ["example.com"], {}, "url: 'example.com': must begin with http:// or https://"),
    ("beatd.http", ["file:///etc/passwd"], {}, "url: 'file:///etc/passwd': must begin with http"),
    ("beatd.http", ["http:///x"], {}, "url: 'http:///x': must name a host"),
    ("beatd.http", ["http://a:port/"], {}, "url: 'http://a:port/': is no URL"),
    ("beatd.http", ["http://a/"], {"method": "BREW"}, "method: 'BREW': must be one of GET, HEAD,"),
    ("beatd.http", ["http://a/"], {"headers": {"A:": "b"}}, "headers: 'A:': is no name of a header"),
    ("beatd.http", ["http://a/"], {"headers": {"A": "b\r\nC: d"}}, "headers.A: 'b\\r\\nC: d': must be one"),
    ("beatd.http", ["http://a/"], {"headers": {"A": "ü"}}, "headers.A: 'ü': must be one line of ASCII"),
    ("beatd.http", ["http://a/"], {"body": "b"}, "body: 'b': is not sent with GET or HEAD"),
    ("beatd.http", ["http://a/"], {"expected_status": "2xx"}, "expected_status: '2xx': must be a number"),
]


@pytest.mark.parametrize(("task", "args", "kwargs"), GOOD)
def test_good_arguments(task: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    arguments.check(task, args, kwargs)


@pytest.mark.parametrize(("task", "args", "kwargs", "text"), BAD)
def test_bad_arguments(task: str, args: list[Any], kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(FieldError) as raised:
        arguments.check(task, args, kwargs)
    assert str(raised.value).startswith(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("task", "parameters"),
    [(tasks.shell, arguments.SHELL_PARAMETERS), (tasks.http_request, arguments.HTTP_PARAMETERS)],
)
def test_the_tasks_take_what_is_checked(task: Any, parameters: tuple[str, ...]) -> None:
    assert tuple(inspect.signature(task.run).parameters) == parameters


def test_checking_needs_no_celery() -> None:
    script = "import sys, beatd.worker.arguments; sys.exit(bool({'celery', 'kombu'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
