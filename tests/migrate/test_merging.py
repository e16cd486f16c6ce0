"""Importing again what people edited here since, and what the source and they both changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from beatd.migrate.found import Reading
from beatd.migrate.importing import Row
from beatd.operations import entries
from beatd.operations.context import Context
from tests.migrate.imports import on_sqlite, options, run, told
from tests.migrate.readings import found


def edited(context: Context, before: str, edit: Mapping[str, Any], after: str | Reading) -> Row:
    """The row of an entry whose line was imported, then edited here, then imported again."""
    (first,) = run(context, before)
    entries.change(context, first.name, edit)
    (row,) = run(context, after)
    return row


@on_sqlite
def test_what_was_edited_here_is_kept_and_told(context: Context) -> None:
    line = "0 1 * * * job"
    row = edited(context, line, {"queue": "slow", "cron": "0 2 * * *"}, line)
    assert (row.action, row.warnings) == ("unchanged", ("kept: cron, queue were edited here",))
    assert row.schedule == "0 2 * * *"
    assert options(context, "job")["queue"] == "slow"


@on_sqlite
def test_and_what_the_source_changed_beside_it_is_taken(context: Context) -> None:
    row = edited(context, "0 1 * * * job", {"queue": "slow"}, "0 3 * * * job")
    assert (row.action, row.warnings) == ("change", ("kept: queue was edited here",))
    assert row.changes == {"cron": ("0 1 * * *", "0 3 * * *")}
    assert options(context, "job") == {
        "cron": "0 3 * * *",
        "timezone": "UTC",
        "shell": "job",
        "queue": "slow",
    }


@on_sqlite
def test_of_what_both_changed_the_sources_holds_once(context: Context) -> None:
    row = edited(context, "0 1 * * * job", {"cron": "0 2 * * *"}, "0 3 * * * job")
    assert (row.action, row.warnings) == ("change", ("cron was edited here, too: the source's holds",))
    assert row.changes == {"cron": ("0 2 * * *", "0 3 * * *")}
    (again,) = run(context, "0 3 * * * job")
    assert (again.action, again.warnings) == ("unchanged", ())


@on_sqlite
def test_the_same_edit_on_both_sides_is_none(context: Context) -> None:
    row = edited(context, "0 1 * * * job", {"cron": "0 3 * * *"}, "0 3 * * * job")
    assert (row.action, row.warnings) == ("unchanged", ())


@on_sqlite
def test_a_pause_is_kept(context: Context) -> None:
    row = edited(context, "0 1 * * * job", {"enabled": False, "pause_note": "n"}, "0 2 * * * job")
    assert row.warnings == ("kept: enabled, pause_note were edited here",)
    assert entries.show(context, "job").state == "paused"


@on_sqlite
def test_another_name_is_kept(context: Context) -> None:
    row = edited(context, "0 1 * * * job", {"name": "mine"}, "0 2 * * * job")
    assert (row.action, row.name) == ("change", "mine")
    assert row.warnings == ()
    assert told(run(context, "0 2 * * * job\n0 1 * * * other")) == [("unchanged", "mine"), ("add", "other")]


@on_sqlite
@pytest.mark.parametrize(
    ("edit", "after", "outcome"),
    [
        # another kind of schedule is kept while the source's stays
        (
            {"every": "7m"},
            {"cron": "0 1 * * *", "queue": "q"},
            {"every": "7m", "shell": "job", "timezone": "UTC", "queue": "q"},
        ),
        # and gives way with all that belongs to it when the source's changes
        (
            {"calendar_every": "1d", "time": "03:00"},
            {"cron": "0 2 * * *"},
            {"cron": "0 2 * * *", "shell": "job", "timezone": "UTC"},
        ),
        # the source has another kind
        (
            {"dst_gap": "skip"},
            {"cron": None, "every": "5m"},
            {"every": "5m", "shell": "job", "timezone": "UTC"},
        ),
        # what it runs, in the same way: the arguments of a task mean nothing to a command
        (
            {"task": "proj.t", "kwargs": {"a": 1}},
            {"queue": "q"},
            {"cron": "0 1 * * *", "task": "proj.t", "kwargs": {"a": 1}, "timezone": "UTC", "queue": "q"},
        ),
        (
            {"task": "proj.t", "kwargs": {"a": 1}},
            {"shell": "job", "env": {"A": "b"}},
            {"cron": "0 1 * * *", "shell": "job", "env": {"A": "b"}, "timezone": "UTC"},
        ),
        # each argument of a command is an option of its own
        (
            {"stdin": "mine", "timeout": "5m"},
            {"env": {"A": "b"}, "stdin": None},
            {
                "cron": "0 1 * * *",
                "shell": "job",
                "env": {"A": "b"},
                "stdin": "mine",
                "timeout": "5m",
                "timezone": "UTC",
            },
        ),
    ],
)
def test_what_belongs_together(
    context: Context, edit: Mapping[str, Any], after: Mapping[str, Any], outcome: Mapping[str, Any]
) -> None:
    edited(context, "0 1 * * * job", edit, Reading((found("0 1 * * * job", **after),)))
    assert options(context, "job") == outcome


@on_sqlite
def test_what_the_source_has_no_more_is_unset(context: Context) -> None:
    first = found("0 1 * * * job", env={"A": "b"}, stdin="x", queue="q", description="d")
    run(context, Reading((first,)))
    (row,) = run(context, "0 1 * * * job")
    assert row.changes.keys() == {"env", "stdin", "queue", "description"}
    assert options(context, "job") == {"cron": "0 1 * * *", "timezone": "UTC", "shell": "job"}
