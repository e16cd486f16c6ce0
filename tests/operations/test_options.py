"""Options to columns and back: the one translation that command line, files and API share."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from beatd.operations.options import canonical, changed_columns, new_columns, option_changes, options_of

# options as given -> the columns that are set
WRITTEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"shell": "echo hi"}, {"task": "beatd.shell", "kwargs": '{"command": "echo hi"}'}),
    (
        {"shell": "x", "cwd": "/srv", "env": {"A": "b"}, "timeout": timedelta(minutes=90)},
        {
            "task": "beatd.shell",
            "kwargs": '{"command": "x", "cwd": "/srv", "env": {"A": "b"}, "timeout": "1h30m"}',
        },
    ),
    (
        {"http": "https://x.example/", "method": "POST", "request_headers": {"X-A": "b"}, "body": "é"},
        {
            "task": "beatd.http",
            "kwargs": '{"url": "https://x.example/", "method": "POST", "headers": {"X-A": "b"}, "body": "é"}',
        },
    ),
    ({"task": "proj.t", "args": [1, "a"]}, {"task": "proj.t", "args": '[1, "a"]'}),
    ({"task": "proj.t", "args": (1,)}, {"task": "proj.t", "args": "[1]"}),
    ({"task": "proj.t", "args": "[1,2]"}, {"task": "proj.t", "args": "[1,2]"}),
    ({"task": "t", "headers": {"x": "y"}}, {"task": "t", "headers": '{"x": "y"}'}),
    ({"task": "t", "link": ["a.b", "c"]}, {"task": "t", "link": "a.b,c"}),
    ({"task": "t", "every": timedelta(days=14)}, {"task": "t", "every": "2w"}),
    ({"task": "t", "every": 10}, {"task": "t", "every": "10"}),
    ({"task": "t", "at": datetime(2030, 1, 2, 3, tzinfo=UTC)}, {"task": "t", "at": "2030-01-02T03:00:00Z"}),
    ({"task": "t", "at": datetime(2030, 1, 2, 3)}, {"task": "t", "at": "2030-01-02T03:00:00"}),
    ({"task": "t", "start_at": date(2030, 1, 2)}, {"task": "t", "start_at": "2030-01-02"}),
    ({"task": "t", "enabled": False, "ignore_result": True}, {"task": "t", "ignore_result": True}),
    (
        {"shell": "x", "kwargs": {"stdin": "y"}},
        {"task": "beatd.shell", "kwargs": '{"stdin": "y", "command": "x"}'},
    ),
]


@pytest.mark.parametrize(("options", "columns"), WRITTEN)
def test_options_become_columns(options: dict[str, Any], columns: dict[str, Any]) -> None:
    written = new_columns("n", options)
    assert written.findings == ()
    found = {k: v for k, v in written.columns.items() if v is not None and k not in ("name", "enabled")}
    assert found == columns
    assert written.columns["enabled"] is options.get("enabled", True)


@pytest.mark.parametrize(("options", "columns"), WRITTEN)
def test_options_of_columns_make_the_same_columns(options: dict[str, Any], columns: dict[str, Any]) -> None:
    first = new_columns("n", options).columns
    again = new_columns("n", options_of(first))
    assert again.findings == ()
    assert canonical(again.columns) == canonical(first)


# options of an entry, a change, the options after it
CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # a new kind of schedule takes the place of the old one, with what belongs to the old one alone
    ({"cron": "@daily", "dst_gap": "skip", "shell": "x"}, {"every": "5m"}, {"every": "5m", "shell": "x"}),
    # a command changes and keeps its surroundings
    (
        {"every": "5m", "shell": "x", "cwd": "/a", "timeout": "5m"},
        {"shell": "y", "timeout": None},
        {"every": "5m", "shell": "y", "cwd": "/a"},
    ),
    # another kind of task does not get the arguments of the old one
    (
        {"every": "5m", "shell": "x", "cwd": "/a"},
        {"http": "https://e.example"},
        {"every": "5m", "http": "https://e.example"},
    ),
    (
        {"every": "5m", "task": "a", "args": [1], "kwargs": {"b": 2}},
        {"task": "c", "args": [3]},
        {"every": "5m", "task": "c", "args": [3]},
    ),
    # the same task named again keeps them
    ({"every": "5m", "task": "a", "args": [1]}, {"task": "a"}, {"every": "5m", "task": "a", "args": [1]}),
    ({"every": "5m", "shell": "x", "enabled": False}, {"enabled": None}, {"every": "5m", "shell": "x"}),
    ({"every": "5m", "shell": "x", "queue": "q"}, {"queue": None}, {"every": "5m", "shell": "x"}),
]


@pytest.mark.parametrize(("before", "change", "after"), CHANGES)
def test_a_change_leaves_what_it_does_not_name(
    before: dict[str, Any], change: dict[str, Any], after: dict[str, Any]
) -> None:
    written = changed_columns(new_columns("n", before).columns, change)
    assert written.findings == ()
    assert options_of(written.columns) == after


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"task": "t", "quue": "x"}, "quue", "did you mean 'queue'?"),
    ({"task": "t", "start-at": "x"}, "start-at", "did you mean 'start_at'?"),
    ({"task": "t", "zzz": 1}, "zzz", "known are"),
    ({}, "task", "give one of shell"),
    ({"shell": "x", "task": "t"}, "task", "exactly one"),
    ({"task": "t", "cwd": "/x"}, "cwd", "shell entries only"),
    ({"shell": "x", "body": "y"}, "body", "http entries only"),
    ({"task": "t", "timeout": "5m"}, "timeout", "shell and http entries only"),
    ({"task": "t", "args": {"a": 1}}, "args", "not an array"),
    ({"task": "t", "kwargs": [1]}, "kwargs", "not a table"),
    ({"task": "t", "kwargs": {"a": float("nan")}}, "kwargs", "cannot be written as JSON"),
    ({"task": "t", "kwargs": {"a": {1}}}, "kwargs", "cannot be written as JSON"),
    ({"shell": "x", "kwargs": "[1"}, "kwargs", "not a JSON object"),
    ({"task": "t", "enabled": "yes"}, "enabled", "true or false"),
    ({"task": "t", "queue": ["a"]}, "queue", "text is wanted"),
    ({"task": "t", "queue": True}, "queue", "text is wanted"),
    ({"task": "t", "link": ["a", 1]}, "link", "text is wanted"),
    ({"task": "t", "description": "a\0b"}, "description", "NUL"),
    ({"task": "t", "description": "\udcff"}, "description", "UTF-8"),
]


@pytest.mark.parametrize(("options", "field", "problem"), REFUSED)
def test_what_cannot_be_is_said_by_name(options: dict[str, Any], field: str, problem: str) -> None:
    [finding] = new_columns("n", options).findings
    assert finding.field == field
    assert problem in str(finding)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"args": "[1,2]"}, {"args": "[1, 2]"}, True),
        ({"args": "[]"}, {"args": None}, True),
        ({"kwargs": '{"a":1,"b":2}'}, {"kwargs": '{"b": 2, "a": 1}'}, True),
        ({"kwargs": '{"a": 1}'}, {"kwargs": '{"a": true}'}, False),
        ({"kwargs": '{"a": 1}'}, {"kwargs": '{"a": 1.0}'}, False),
        ({"link": "a,b"}, {"link": "a, b"}, True),
        ({"enabled": 1}, {"enabled": True}, True),
        ({"cron": "0 0 * * *"}, {"cron": "0 0  * * *"}, False),
    ],
)
def test_two_spellings_of_the_same_are_equal(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (canonical({"task": "t"} | one) == canonical({"task": "t"} | other)) is same


def test_what_is_not_json_comes_back_as_it_is() -> None:
    columns = dict(new_columns("n", {"every": "5m", "shell": "x"}).columns) | {"kwargs": "{oops"}
    assert options_of(columns) == {"every": "5m", "task": "beatd.shell", "kwargs": "{oops"}


def test_a_null_argument_is_not_lost() -> None:
    kwargs = {"command": "x", "stdin": None}
    columns = dict(new_columns("n", {"shell": "x"}).columns) | {"kwargs": json.dumps(kwargs)}
    assert options_of(columns) == {"task": "beatd.shell", "kwargs": kwargs}


def test_changes_are_told_in_options() -> None:
    old = new_columns("n", {"every": "5m", "shell": "x", "enabled": False}).columns
    new = new_columns("m", {"cron": "@daily", "shell": "y"}).columns
    assert option_changes(old, new) == {
        "name": ("n", "m"),
        "enabled": (False, True),
        "cron": (None, "@daily"),
        "every": ("5m", None),
        "shell": ("x", "y"),
    }
