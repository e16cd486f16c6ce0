"""Options to columns and back: the one translation that command line, files and API share."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from beatd.operations.options import changed_columns, differing, new_columns, option_changes, options_of

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
    # of the calendar and the sky: numbers and times of day may be natural ones
    (
        {"task": "t", "calendar_every": "3mo", "time": time(9, 30), "day": 31},
        {"task": "t", "calendar_every": "3mo", "time": "09:30:00", "day": "31"},
    ),
    (
        {"task": "t", "solar": "sunrise", "latitude": 52.52, "longitude": -13},
        {"task": "t", "solar": "sunrise", "latitude": "52.52", "longitude": "-13"},
    ),
    (
        {"task": "t", "custom": "office", "custom_args": {"hours": 8, "days": [1, 2]}},
        {"task": "t", "custom": "office", "custom_args": '{"hours": 8, "days": [1, 2]}'},
    ),
    ({"task": "t", "every": "5m", "fixed_delay": True}, {"task": "t", "every": "5m", "fixed_delay": True}),
    ({"task": "t", "every": "5m", "fixed_delay": False}, {"task": "t", "every": "5m"}),
    (
        {"task": "t", "cron": "@reboot", "host": "db1"},
        {"task": "t", "cron": "@reboot", "host": "db1"},
    ),
    (
        {"task": "t", "every": "5m", "max_runs": 3, "calendar": "c", "calendar_action": "next"},
        {"task": "t", "every": "5m", "max_runs": 3, "calendar": "c", "calendar_action": "next"},
    ),
    (
        {"task": "t", "jitter": timedelta(seconds=90), "on_failure": "pause", "failure_limit": 5},
        {"task": "t", "jitter": "1m30s", "on_failure": "pause", "failure_limit": 5},
    ),
    (
        {"task": "t", "on_lost": "rerun", "overlap": "queue", "mailto": "a@b.c,d", "pause_note": "n"},
        {"task": "t", "on_lost": "rerun", "overlap": "queue", "mailto": "a@b.c,d", "pause_note": "n"},
    ),
    (
        {"task": "t", "ping_url": "https://h/p", "alert_url": "http://h:8000/a?b=c"},
        {"task": "t", "ping_url": "https://h/p", "alert_url": "http://h:8000/a?b=c"},
    ),
    (
        {"task": "t", "paused_until": datetime(2030, 1, 2, tzinfo=UTC)},
        {"task": "t", "paused_until": "2030-01-02T00:00:00Z"},
    ),
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
    assert differing(again.columns, first) == []


# options of an entry, a change, the options after it
CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # a new kind of schedule takes the place of the old one, with what belongs to the old one alone
    ({"cron": "@daily", "dst_gap": "skip", "shell": "x"}, {"every": "5m"}, {"every": "5m", "shell": "x"}),
    (
        {"calendar_every": "1mo", "time": "09:00", "day": "last", "dst_gap": "skip", "shell": "x"},
        {"cron": "@daily"},
        {"cron": "@daily", "dst_gap": "skip", "shell": "x"},
    ),
    (
        {"every": "5m", "fixed_delay": True, "shell": "x"},
        {"at": "2030-01-01"},
        {"at": "2030-01-01", "shell": "x"},
    ),
    (
        {"solar": "noon", "latitude": "1", "longitude": "2", "shell": "x"},
        {"solar": "dusk"},
        {"solar": "dusk", "latitude": "1", "longitude": "2", "shell": "x"},
    ),
    (
        {"solar": "noon", "latitude": "1", "longitude": "2", "shell": "x"},
        {"every": "5m"},
        {"every": "5m", "shell": "x"},
    ),
    (
        {"custom": "a", "custom_args": {"b": 1}, "shell": "x"},
        {"custom": "c"},
        {"custom": "c", "shell": "x"},
    ),
    (
        {"custom": "a", "custom_args": {"b": 1}, "shell": "x"},
        {"custom": "a", "jitter": "5m"},
        {"custom": "a", "custom_args": {"b": 1}, "jitter": "5m", "shell": "x"},
    ),
    # boot entries know no wall time, others no host
    (
        {"cron": "@daily", "dst_fold": "both", "shell": "x"},
        {"cron": "@reboot"},
        {"cron": "@reboot", "shell": "x"},
    ),
    ({"cron": "@reboot", "host": "h", "shell": "x"}, {"cron": "@daily"}, {"cron": "@daily", "shell": "x"}),
    ({"cron": "@reboot", "shell": "x"}, {"host": "h"}, {"cron": "@reboot", "host": "h", "shell": "x"}),
    # what means nothing without the other goes with it
    (
        {"every": "5m", "calendar": "c", "calendar_action": "next", "shell": "x"},
        {"calendar": None},
        {"every": "5m", "shell": "x"},
    ),
    (
        {"every": "5m", "calendar": "c", "calendar_action": "next", "shell": "x"},
        {"calendar": "d"},
        {"every": "5m", "calendar": "d", "calendar_action": "next", "shell": "x"},
    ),
    (
        {"every": "5m", "on_failure": "pause", "failure_limit": 5, "shell": "x"},
        {"on_failure": None},
        {"every": "5m", "shell": "x"},
    ),
    (
        {"every": "5m", "enabled": False, "pause_note": "moving", "shell": "x"},
        {"enabled": True},
        {"every": "5m", "shell": "x"},
    ),
    (
        {"every": "5m", "paused_until": "2030-01-01", "pause_note": "moving", "shell": "x"},
        {"enabled": True},
        {"every": "5m", "paused_until": "2030-01-01", "pause_note": "moving", "shell": "x"},
    ),
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
    ({"task": "t", "custom_args": [1]}, "custom_args", "not a table"),
    ({"task": "t", "fixed_delay": "yes"}, "fixed_delay", "true or false"),
    ({"task": "t", "latitude": True}, "latitude", "text is wanted"),
    ({"task": "t", "calender": "x"}, "calender", "did you mean 'calendar'?"),
    ({"task": "t", "queue": True}, "queue", "text is wanted"),
    ({"task": "t", "link": ["a", 1]}, "link", "text is wanted"),
    ({"task": "t", "description": "a\0b"}, "description", "NUL"),
    ({"task": "t", "description": "\udcff"}, "description", "UTF-8"),
    ({"task": "t", "kwargs": {"a": "\udcff"}}, "kwargs", "UTF-8"),
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
        ({"fixed_delay": 0}, {"fixed_delay": None}, True),
        ({"ignore_result": 0}, {"ignore_result": None}, False),
        ({"custom_args": '{"a":1,"b":2}'}, {"custom_args": '{"b": 2, "a": 1}'}, True),
        ({"cron": "0 0 * * *"}, {"cron": "0 0  * * *"}, False),
    ],
)
def test_two_spellings_of_the_same_are_equal(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (differing({"task": "t"} | one, {"task": "t"} | other) == []) is same


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
