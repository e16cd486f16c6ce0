"""One line an event, in each format, from our code and from libraries; no password in any of them."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import warnings
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from beatd import logs, reports

PACKAGE = Path(logs.__file__).parent
#: What the plugin tells, as the search finds it: each state that a worker reports.
OF_WORKERS = r"run\..+"
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


@pytest.fixture
def lines():
    """(configure, what was written since) and the process's logging as it was, afterwards."""
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ("", "beatd", *logs._TALKATIVE)}
    stream = io.StringIO()

    def written() -> list[str]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text.splitlines()

    yield lambda level="info", format="text": logs.configure(level, format, stream), written
    logging.captureWarnings(False)
    for handler in [h for h in root.handlers if h.get_name() == "beatd"]:
        root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


# Lines


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"entry": "hello", "lateness_ms": 12}, "entry=hello lateness_ms=12"),
        ({"fire_time": datetime(2026, 3, 1, 2, tzinfo=UTC)}, "fire_time=2026-03-01T02:00:00Z"),
        (
            {"due": datetime(2026, 3, 1, 2, 0, 0, 1500, tzinfo=timezone(timedelta(hours=1)))},
            "due=2026-03-01T01:00:00.001Z",
        ),
        ({"lease": timedelta(seconds=30), "ratio": 1 / 3}, "lease=30 ratio=0.333333"),
        ({"a": None, "b": True, "c": False, "d": ""}, 'a=- b=yes c=no d=""'),
        ({"error": 'no such "x"\nline = 2'}, r'error="no such \"x\"\nline = 2"'),
        ({"text": "grüße\x1b[31m\u2028"}, r'text="grüße\x1b[31m\u2028"'),
        ({"counts": {"run": 1}, "names": ["a"]}, r'counts="{\"run\": 1}" names="[\"a\"]"'),
        ({"url": "amqp://u:secret@h//"}, "url=amqp://u:***@h//"),
    ],
)
def test_a_text_line(lines, fields, expected):
    configure, written = lines
    configure()
    logs.get_logger().info("run.published", **fields)
    (line,) = written()
    time, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert rest == f"info    run.published {expected}"


def test_a_json_line(lines):
    configure, written = lines
    configure(format="json")
    at = datetime(2026, 3, 1, 2, tzinfo=UTC)
    logs.get_logger(node="a").warning(
        "run.expired", fire_time=at, n=1, none=None, path=Path("/x"), t=("a", 1)
    )
    (line,) = written()
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("timestamp")).utcoffset() == timedelta(0)
    assert found == {
        "level": "warning",
        "event": "run.expired",
        "node": "a",
        "fire_time": "2026-03-01T02:00:00Z",
        "n": 1,
        "none": None,
        "path": "/x",
        "t": ["a", 1],
    }


@pytest.mark.parametrize("format", ["text", "json"])
def test_an_exception_is_one_line_without_passwords(lines, format):
    configure, written = lines
    configure(format=format)
    for log in (logs.get_logger(), logging.getLogger("celery.worker")):
        try:
            raise ConnectionError("amqp://u:secret@h// refused")
        except ConnectionError:
            log.exception("loop.failed")
    ours, foreign = written()
    for line in (ours, foreign):
        assert "Traceback" in line
        assert "ConnectionError: amqp://u:***@h//" in line
        assert "secret" not in line
        assert "error" in line.split("loop.failed")[0]


def test_passwords_are_hidden_wherever_they_are(lines):
    configure, written = lines
    configure(format="json")
    url = "redis://:secret@h/0"
    logs.get_logger(bound=url).info("run.failed", a=url, b=[url], c={"d": {url: url}}, e=OSError(url))
    logging.getLogger("kombu").error("lost %s", url)
    first, second = written()
    assert "secret" not in first + second
    assert first.count("redis://:***@h/0") == 6


# Levels and libraries


def test_libraries_go_through_the_same_door(lines):
    configure, written = lines
    configure()
    logging.getLogger("celery.worker").warning("lost %s", "it")
    logging.getLogger("celery.worker").info("never mind")
    warnings.warn("old", UserWarning, stacklevel=1)
    first, second = written()
    assert first.endswith('warning library.message logger=celery.worker message="lost it"')
    assert "library.message logger=py.warnings" in second


@pytest.mark.parametrize(
    ("level", "ours", "celery", "sqlalchemy"),
    [
        ("debug", "debug", "info", "warning"),
        ("info", "info", "warning", "warning"),
        ("warning", "warning", "warning", "warning"),
        ("error", "error", "error", "error"),
    ],
)
def test_the_least_level_of_each(lines, level, ours, celery, sqlalchemy):
    configure, written = lines
    configure(level, "json")
    order = ["debug", "info", "warning", "error"]
    for logger, least in [
        (logs.get_logger(), ours),
        (logging.getLogger("celery.worker"), celery),
        (logging.getLogger("sqlalchemy.engine"), sqlalchemy),
    ]:
        for name in order:
            getattr(logger, name)("run.started")
        assert [json.loads(line)["level"] for line in written()] == order[order.index(least) :]


def test_configured_again_nothing_is_told_twice(lines):
    configure, written = lines
    log = logs.get_logger()
    for level in ("info", "debug"):
        configure(level)
    log.debug("run.started")
    assert len(written()) == 1


def test_auto_is_json_where_nobody_reads_along(lines):
    configure, written = lines
    configure(format="auto")
    logs.get_logger().info("run.started")
    assert json.loads(written()[0])["event"] == "run.started"


def test_auto_is_text_on_a_terminal(lines):
    leader, follower = os.openpty()
    try:
        with os.fdopen(follower, "w") as terminal:
            logs.configure("info", "auto", terminal)
            logs.get_logger().info("run.started", entry="x")
            assert b"info    run.started entry=x" in os.read(leader, 4096)
    finally:
        os.close(leader)


@pytest.mark.parametrize("format", ["text", "auto"])
def test_in_the_journal_a_line_has_a_priority_and_no_time(lines, monkeypatch, tmp_path, format):
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.configure("debug", format, stream)
        for level in ("debug", "info", "warning", "error"):
            getattr(logs.get_logger(), level)("run.started", entry="x\ny")
        stream.seek(0)
        expected = [rf'<{n}>run.started entry="x\ny"' for n in (7, 6, 4, 3)]
        assert stream.read().splitlines() == expected


def test_inside_another_program_records_are_readable_there(caplog):
    with caplog.at_level("INFO", "beatd"):
        logs.get_logger().info("run.published", entry="x", url="amqp://u:secret@h//")
    assert caplog.messages == ["run.published entry=x url=amqp://u:***@h//"]


# The list of events


def test_every_event_has_a_name_of_two_words_and_a_meaning():
    for name, meaning in logs.EVENTS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", name)
        assert meaning


def test_every_event_that_is_told_is_listed_and_every_listed_one_is_told():
    told = [event for file in sorted(PACKAGE.rglob("*.py")) for event in _events(file)]
    assert not [f"{place}: {name}" for place, name in told if not _listed(name)]
    names = {name for _, name in told} - {OF_WORKERS}
    assert names | {f"run.{state}" for state in reports.RANKS} | {"library.message"} == set(logs.EVENTS)


def test_the_search_for_events_sees_each_way_to_tell_one(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        """
log.info("run.published", x=1)
self._log.warning("run.lots")
log.bind(x=1).error("run.started" if x else "run.begun")
event = "run.expired" if x else "run.spoiled"
log.info(event)
log.info(f"run.{state}")
log.info(f"ruin.{state}")
log.info(unknown)
math.log(2)
console.info("not an event")
"""
    )
    assert [name for _, name in _events(file) if not _listed(name)] == [
        "run.lots",
        "run.begun",
        "run.spoiled",
        r"ruin\..+",
        "unknown?",
    ]


def _listed(pattern: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in logs.EVENTS)


def _events(file: Path) -> list[tuple[str, str]]:
    """The place of each call on a logger and the event, as a pattern where a part is computed."""
    tree = ast.parse(file.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_logging(node.func)]
    calls.sort(key=lambda call: call.lineno)
    return [(f"{file}:{call.lineno}", name) for call in calls for name in _names(call.args[0], tree)]


def _is_logging(function: ast.expr) -> bool:
    if not (isinstance(function, ast.Attribute) and function.attr in LEVELS):
        return False
    return bool(re.search(r"\b_?log(ger)?\b", ast.unparse(function.value)))


def _names(event: ast.expr, tree: ast.Module) -> list[str]:
    match event:
        case ast.Constant(value):
            return [str(value)]
        case ast.IfExp(_, one, other):
            return _names(one, tree) + _names(other, tree)
        case ast.JoinedStr(parts):
            return ["".join(re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in parts)]
        case ast.Name(name):
            assigned = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            ]
            return [n for value in assigned for n in _names(value, tree)] or [f"{name}?"]
    return [ast.unparse(event)]
