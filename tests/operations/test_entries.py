"""What a person does with entries, on each database: checked, written, signed, audited, or nothing at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from beatd.config import Settings
from beatd.errors import Conflict, FieldError, InvalidInput, NotFound
from beatd.operations import calendars, entries, pausing
from beatd.operations.context import Context
from beatd.operations.entries import Entry
from beatd.store.models import audit, entry_changes, entry_versions, timers
from beatd.store.models import entries as table

EVERY = {"every": "5m", "shell": "echo hi"}


def rows(context: Context, source: Any) -> list[Any]:
    with context.database.read() as connection:
        order = [audit.c.id] if source is audit else []
        return list(connection.execute(select(source).order_by(*order)))


def audited(context: Context) -> list[tuple[str, str | None, str, str]]:
    return [(row.action, row.entry_name, row.who, row.door) for row in rows(context, audit)]


def execute(context: Context, statement: Any) -> None:
    with context.database.write() as connection:
        connection.execute(statement)


def test_an_added_entry_is_there_signed_and_audited(context: Context) -> None:
    added = entries.add(context, "backup", {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "shell": "x"})
    assert (added.name, added.state, added.version) == ("backup", "active", 1)
    assert added.next_fire_time is not None
    assert added.next_fire_time > added.created_at
    assert added.options == {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "shell": "x"}
    assert entries.show(context, "backup") == added
    [version] = rows(context, entry_versions)
    assert (version.operation, version.changed_by, version.door) == ("insert", "alice", "cli")
    assert audited(context) == [("add", "backup", "alice", "cli")]
    assert len(rows(context, entry_changes)) == 1


def test_an_interval_counts_from_the_creation(context: Context) -> None:
    added = entries.add(context, "tick", EVERY)
    assert added.next_fire_time == added.created_at + timedelta(minutes=5)


def test_a_name_is_given_once(context: Context) -> None:
    entries.add(context, "backup", EVERY)
    with pytest.raises(Conflict, match="'backup' already"):
        entries.add(context, "backup", EVERY)
    assert len(rows(context, table)) == 1
    # as in cron and Celery, letters' cases make names
    entries.add(context, "Backup", EVERY)


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 201])
def test_a_name_is_printable(embedded: Context, name: str) -> None:
    with pytest.raises(InvalidInput, match="printable characters"):
        entries.add(embedded, name, EVERY)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"serializer": "yamll"}, "serializer: 'yamll': one of json; for example 'json'"),
        ({"serializer": "pickle"}, "serializer: 'pickle': workers do not accept it (accept_content)"),
        ({"compression": "zip"}, "compression: 'zip': one of bzip, bzip2, gzip"),
    ],
)
def test_what_no_worker_could_read_is_refused(embedded: Context, options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        entries.add(embedded, "tick", EVERY | options)
    assert said in str(refused.value)
    entries.add(embedded, "tick", EVERY | {"serializer": "json", "compression": "gzip"})
    with pytest.raises(InvalidInput, match=r"serializer|compression"):
        entries.change(embedded, "tick", options)


def test_the_apps_own_serializers_are_accepted(
    embedded: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickling.py").write_text(
        "from celery import Celery\n"
        "app = Celery(set_as_current=False, broker='memory://')\n"
        "app.conf.accept_content = ['json', 'pickle']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for app in ("pickling:app", "not_on_this_machine:app"):
        context = Context.of(Settings(celery={"app": app}), embedded.database, "alice", "cli")
        entries.add(context, app, EVERY | {"serializer": "pickle"})
        with pytest.raises(InvalidInput, match="serializer"):
            entries.change(context, app, {"serializer": "gzip"})


def test_everything_wrong_is_said_at_once_and_nothing_is_written(context: Context) -> None:
    wrong = {
        "cron": "61 * * * *",
        "timezone": "Europe/Brelin",
        "shell": "",
        "priority": 999,
        "expires": "soon",
        "misfire": "maybe",
        "quue": "x",
        "headers": {"a": {1}},
        "time_limit": "5",
    }
    with pytest.raises(InvalidInput) as caught:
        entries.add(context, "bad", wrong)
    fields = [finding.field for finding in caught.value.findings]
    assert sorted(fields) == sorted(wrong)
    assert rows(context, table) == rows(context, entry_versions) == rows(context, audit) == []


# options, the field that is named, what is said
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"shell": "x"}, "schedule", "exactly one of cron, every, at, calendar_every, solar and custom"),
    ({"shell": "x", "every": "5m", "cron": "@daily"}, "schedule", "exactly one"),
    ({"every": "5m"}, "task", "one of shell"),
    ({"every": "5m", "shell": "x", "env": {"A": 1}}, "env.A", "must be a text"),
    ({"every": "5m", "http": "ftp://x"}, "http", "http:// or https://"),
    ({"every": "5m", "http": "https://x.example", "body": "b"}, "body", "not sent with GET"),
    (
        {"every": "5m", "http": "https://x.example", "request_headers": {"a b": "c"}},
        "request_headers",
        "header",
    ),
    ({"every": "5m", "task": "t", "args": "[1"}, "args", "not a JSON array"),
    ({"every": "5m", "task": "t", "kwargs": '{"a": NaN}'}, "kwargs", "not a JSON object"),
    ({"at": "2020-01-01T00:00:00Z", "shell": "x"}, "at", "in the past"),
    (
        {"every": "5m", "end_at": "2020-01-01T00:00:00Z", "shell": "x"},
        "end_at",
        "no fire time comes before it",
    ),
    ({"cron": "0 0 30 2 *", "shell": "x"}, "cron", ""),
    # what contradicts
    ({"every": "5m", "max_runs": 0, "shell": "x"}, "max_runs", "a whole number from 1"),
    (
        {"every": "5m", "start_at": "2999-01-02", "end_at": "2999-01-01", "shell": "x"},
        "end_at",
        "before start_at",
    ),
    ({"every": "5m", "expires": "5m", "jitter": "10m", "shell": "x"}, "expires", "not longer than jitter"),
    ({"every": "5m", "paused_until": "2020-01-01", "shell": "x"}, "paused_until", "is in the past"),
    (
        {"at": "2999-01-01", "paused_until": "2999-01-02", "shell": "x"},
        "paused_until",
        "no fire time comes after it",
    ),
    ({"every": "5m", "calendar": "holidays", "shell": "x"}, "calendar", "there is no such calendar"),
    (
        {"every": "5m", "calendar_action": "next", "shell": "x"},
        "calendar_action",
        "of no use without calendar",
    ),
    ({"every": "5m", "time": "09:00", "shell": "x"}, "time", "is for calendar_every only"),
    ({"cron": "@daily", "fixed_delay": True, "shell": "x"}, "fixed_delay", "is for every only"),
    ({"cron": "@daily", "host": "h", "shell": "x"}, "host", "@reboot"),
    ({"cron": "@reboot", "jitter": "5m", "shell": "x"}, "jitter", "no fire times ahead"),
    ({"solar": "noon", "latitude": "1", "shell": "x"}, "longitude", "is wanted with solar"),
    ({"custom": "office", "shell": "x"}, "custom", "there are none"),
    ({"every": "5m", "overlap": "wait", "shell": "x"}, "overlap", "one of allow, skip, queue, cancel"),
    ({"every": "5m", "failure_limit": 1001, "shell": "x"}, "failure_limit", "from 1 to 1000"),
    ({"every": "5m", "on_lost": "again", "shell": "x"}, "on_lost", "one of continue, rerun"),
    ({"every": "5m", "mailto": "", "shell": "x"}, "mailto", "in one line; for example 'ops@example.org'"),
    ({"every": "5m", "mailto": "  ", "shell": "x"}, "mailto", "in one line"),
    ({"every": "5m", "mailto": "a@b.c\nBcc: d@e.f", "shell": "x"}, "mailto", "in one line"),
    (
        {"every": "5m", "ping_url": "hc-ping.com/x", "shell": "x"},
        "ping_url",
        "begins with http:// or https://",
    ),
    ({"every": "5m", "ping_url": "ftp://h/x", "shell": "x"}, "ping_url", "begins with http:// or https://"),
    ({"every": "5m", "ping_url": "https:///x", "shell": "x"}, "ping_url", "and a host"),
    ({"every": "5m", "ping_url": "https://h:x/", "shell": "x"}, "ping_url", "and a host"),
    ({"every": "5m", "ping_url": "https://h/a b", "shell": "x"}, "ping_url", "written as %20"),
    ({"every": "5m", "alert_url": "https://h/" + 2000 * "a", "shell": "x"}, "alert_url", "2000 characters"),
]


@pytest.mark.parametrize(("options", "field", "problem"), REFUSED)
def test_what_cannot_be_is_refused(
    embedded: Context, options: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises((InvalidInput, FieldError)) as caught:
        entries.add(embedded, "bad", options)
    finding = getattr(caught.value, "findings", [caught.value])[0]
    assert finding.field == field
    assert problem in str(caught.value)
    assert rows(embedded, table) == []


IN_VAIN: list[dict[str, Any]] = [
    {"at": "2020-01-01T00:00:00Z"},
    {"every": "5m", "paused_until": "2020-01-01"},
    {"at": "2999-01-01", "paused_until": "2999-01-02"},
    {"every": "5m", "start_at": "2019-01-01", "end_at": "2020-01-01T00:00:00Z"},
    {"cron": "0 0 1 1 *", "start_at": "2019-12-01", "end_at": "2020-01-02"},
]


@pytest.mark.parametrize("options", IN_VAIN)
def test_the_example_beside_an_edit_in_vain_works(embedded: Context, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        entries.add(embedded, "x", {**options, "shell": "x"})
    [finding] = caught.value.findings
    assert finding.example is not None
    added = entries.add(embedded, "x", {**options, "shell": "x", finding.field: finding.example})
    assert added.next_fire_time is not None


NEEDS_REPORTS: list[tuple[dict[str, Any], str]] = [
    ({"overlap": "skip"}, "overlap: 'skip'"),
    ({"overlap": "queue"}, "overlap: 'queue'"),
    ({"overlap": "cancel"}, "overlap: 'cancel'"),
    ({"fixed_delay": True}, "fixed_delay: True"),
    ({"on_failure": "pause"}, "on_failure: 'pause'"),
]


@pytest.mark.parametrize(("options", "said"), NEEDS_REPORTS)
def test_what_hangs_on_the_end_of_runs_needs_reports(
    embedded: Context, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(
        InvalidInput, match=rf"^{said}: needs workers that report, and celery.reports is false; allowed is "
    ):
        entries.add(replace(embedded, reports=False), "x", {**EVERY, **options})
    entries.add(embedded, "x", {**EVERY, **options})


def test_a_calendar_that_leaves_nothing(context: Context) -> None:
    calendars.add(context, "weekends", {"weekdays": ["sat", "sun"]})
    weekly = {"cron": "0 9 * * sat", "calendar": "weekends", "shell": "x"}
    with pytest.raises(
        InvalidInput, match=r"^calendar: 'weekends': no fire time is left by it: the entry would"
    ):
        entries.add(context, "weekly", weekly)
    moved = entries.add(context, "weekly", {**weekly, "calendar_action": "next"})
    assert moved.next_fire_time is not None
    assert moved.next_fire_time.isoweekday() == 1


def planned(context: Context, entry: Entry, **values: Any) -> None:
    timer = {
        "entry_id": entry.id,
        "planned_version": entry.version,
        "planned_from": datetime.now(UTC),
        "planner": 2,
        "state": "active",
    }
    execute(context, insert(timers).values(**timer | values))


def test_max_runs_below_those_made(context: Context) -> None:
    entry = entries.add(context, "tick", EVERY)
    planned(context, entry, runs_made=7)
    for most in (1, 6, 7):
        with pytest.raises(InvalidInput) as refused:
            entries.change(context, "tick", {"max_runs": most})
        said = "7 scheduled runs were made already: the entry would never fire again; for example '17'"
        assert str(refused.value) == f"max_runs: {most}: {said}"
    assert entries.change(context, "tick", {"max_runs": 8}).state == "active"


def test_what_has_run_its_course_can_still_be_edited(context: Context) -> None:
    entry = entries.add(context, "tick", {**EVERY, "max_runs": 7})
    planned(context, entry, runs_made=7, state="completed")
    changed = entries.change(context, "tick", {"description": "done"})
    assert changed.state == "completed"
    with pytest.raises(InvalidInput, match="max_runs"):
        entries.change(context, "tick", {"every": "1h"})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"calendar_every": "3mo", "time": "09:00", "day": "last"}, "every 3mo on day last at 09:00"),
        ({"cron": "@reboot"}, "@reboot"),
        ({"every": "5m", "fixed_delay": True}, "every 5m"),
        ({"at": "2999-01-01"}, "at 2999-01-01"),
    ],
)
def test_every_kind_is_told_in_a_list(embedded: Context, options: dict[str, Any], text: str) -> None:
    added = entries.add(embedded, "tick", {**options, "shell": "x"})
    assert (added.schedule, added.state) == (text, "active")
    assert (added.next_fire_time is None) == ("cron" in options)


def test_a_trigger_of_the_configurations(embedded: Context) -> None:
    settings = Settings(schedules={"custom": {"office": "apscheduler.triggers.cron:CronTrigger"}})
    context = Context.of(settings, embedded.database, "alice", "cli")
    added = entries.add(context, "tick", {"custom": "office", "custom_args": {"hour": 9}, "shell": "x"})
    assert (added.schedule, added.options["custom_args"]) == ("office", {"hour": 9})
    assert added.next_fire_time is not None
    assert added.next_fire_time.hour == 9
    with pytest.raises(InvalidInput, match=r"^custom: 'ofice': .*did you mean 'office'"):
        entries.change(context, "tick", {"custom": "ofice"})
    # where it cannot be imported the entry cannot be read
    elsewhere = Context.of(
        Settings(schedules={"custom": {"office": "not_there:Trigger"}}), embedded.database, "a", "cli"
    )
    broken = entries.show(elsewhere, "tick")
    assert broken.state == "broken"
    assert "schedules.custom.office: 'not_there:Trigger': cannot be imported" in str(broken.error)


def test_a_change_makes_a_version_that_says_who_and_what(context: Context) -> None:
    entries.add(context, "tick", EVERY)
    bob = replace(context, who="bob", door="api")
    changed = entries.change(bob, "tick", {"every": "10m", "queue": "slow"})
    assert (changed.version, changed.options["every"], changed.options["queue"]) == (2, "10m", "slow")
    newest, first = entries.versions(context, "tick")
    assert (newest.changed_by, newest.door, newest.operation) == ("bob", "api", "update")
    assert newest.changes == {"every": ("5m", "10m"), "queue": (None, "slow")}
    assert (first.changed_by, first.door, first.changes) == ("alice", "cli", {})
    assert audited(context)[-1] == ("change", "tick", "bob", "api")
    assert json.loads(rows(context, audit)[-1].detail) == {"every": ["5m", "10m"], "queue": [None, "slow"]}


def test_a_change_that_changes_nothing_makes_no_version(context: Context) -> None:
    entries.add(context, "tick", {"every": "5m", "task": "t", "args": [1, 2]})
    execute(context, update(table).values(args="[1,2]"))
    assert entries.change(context, "tick", {"args": [1, 2], "every": "5m"}).version == 2
    assert len(audited(context)) == 1


def test_a_bad_change_changes_nothing(context: Context) -> None:
    before = entries.add(context, "tick", EVERY)
    with pytest.raises(InvalidInput):
        entries.change(context, "tick", {"every": "5", "queue": "q"})
    assert entries.show(context, "tick") == before


def test_an_entry_is_renamed_unless_the_name_is_taken(context: Context) -> None:
    entries.add(context, "one", EVERY)
    entries.add(context, "two", EVERY)
    with pytest.raises(Conflict):
        entries.change(context, "one", {"name": "two"})
    entries.change(context, "one", {"name": "three"})
    assert [entry.name for entry in entries.find(context)] == ["three", "two"]
    with pytest.raises(NotFound, match="did you mean 'three'"):
        entries.show(context, "thre")


def test_whoever_edits_an_older_version_is_refused(context: Context) -> None:
    before = entries.add(context, "tick", EVERY)
    entries.change(context, "tick", {"queue": "q"})
    with pytest.raises(Conflict, match="version 2, not 1"):
        entries.replace(context, "tick", {"every": "1m", "shell": "x"}, version=before.version)
    assert entries.show(context, "tick").options["queue"] == "q"


def test_replacing_puts_back_what_is_not_named(context: Context) -> None:
    entries.add(context, "tick", {**EVERY, "queue": "q", "enabled": False})
    replaced = entries.replace(context, "tick", {"every": "1m", "shell": "x", "name": "tock"})
    assert (replaced.name, replaced.options) == ("tock", {"every": "1m", "shell": "x"})


def test_removed_and_restored(context: Context) -> None:
    first = entries.add(context, "tick", {**EVERY, "ignore_result": False})
    entries.change(context, "tick", {"every": "1m", "enabled": False})
    entries.remove(context, "tick")
    with pytest.raises(NotFound):
        entries.show(context, "tick")
    operations = [(v.operation, v.changed_by) for v in entries.versions(context, "tick")]
    assert operations == [("delete", "alice"), ("update", "alice"), ("insert", "alice")]
    restored = entries.restore(context, "tick", 1)
    assert restored.options == first.options
    assert (restored.state, restored.version) == ("active", 1)
    # ids are never used again
    assert restored.id > first.id


def test_any_version_is_restored_as_a_new_one(context: Context) -> None:
    entries.add(context, "tick", EVERY)
    entries.change(context, "tick", {"every": "1m", "enabled": False, "name": "tock"})
    restored = entries.restore(context, "tock", 1)
    assert (restored.name, restored.version, restored.options) == ("tock", 3, EVERY)
    with pytest.raises(NotFound, match="entry 'tock' has no version 9"):
        entries.restore(context, "tock", 9)


def test_versions_made_by_plain_sql_are_told_as_such(context: Context) -> None:
    entries.add(context, "tick", EVERY)
    execute(context, update(table).values(every="7m", ignore_result=True))
    newest = entries.versions(context, "tick")[0]
    assert newest.changes == {"every": ("5m", "7m"), "ignore_result": (None, True)}
    assert newest.door is None


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ([], ["a%b", "a_b", "axb", "b[1]", "c"]),
        (["a*"], ["a%b", "a_b", "axb"]),
        (["a_b"], ["a_b"]),
        (["a%*"], ["a%b"]),
        (["a?b"], ["a%b", "a_b", "axb"]),
        (["b[1]"], ["b[1]"]),
        (["[ac]", "axb"], ["axb", "c"]),
        (["A*"], []),
        (["none"], []),
    ],
)
def test_entries_are_found_by_name_or_glob(context: Context, patterns: list[str], found: list[str]) -> None:
    for name in ["c", "axb", "a_b", "a%b", "b[1]"]:
        entries.add(context, name, EVERY)
    assert [entry.name for entry in entries.find(context, patterns)] == found


def test_states(context: Context) -> None:
    now = datetime.now(UTC)
    for name in ["active", "paused", "broken", "completed", "planned"]:
        entries.add(context, name, EVERY)
    pausing.pause(context, ["paused"])
    execute(context, update(table).where(table.c.name == "broken").values(every="nonsense"))
    execute(context, update(table).where(table.c.name == "completed").values(every=None, at="2020-01-01"))
    planned = entries.show(context, "planned")
    timer = {
        "entry_id": planned.id,
        "planned_version": planned.version,
        "planned_from": now,
        "next_fire_at": now + timedelta(hours=9),
        "last_fire_at": now - timedelta(hours=1),
        "planner": 1,
        "state": "active",
    }
    execute(context, insert(timers).values(**timer))
    for state in entries.STATES:
        names = [entry.name for entry in entries.find(context, state=state)]
        assert names == (["active", "planned"] if state == "active" else [state])
    broken = entries.show(context, "broken")
    assert "entry broken: every: 'nonsense'" in str(broken.error)
    # what the dispatcher planned is shown, until an edit makes it stale
    planned = entries.show(context, "planned")
    assert planned.next_fire_time == timer["next_fire_at"]
    assert planned.last_fire_time == timer["last_fire_at"]
    changed = entries.change(context, "planned", {"every": "1m"})
    assert changed.next_fire_time is not None
    assert changed.next_fire_time < now + timedelta(minutes=2)
    with pytest.raises(FieldError, match="state: 'bad'"):
        entries.find(context, state="bad")
    with pytest.raises(InvalidInput, match="every: 'nonsense'"):
        pausing.resume(context, ["broken"])
    assert entries.change(context, "broken", {"every": "5m"}).state == "active"


def test_the_default_zone_is_the_configurations(embedded: Context) -> None:
    berlin = replace(embedded, timezone="Europe/Berlin")
    added = entries.add(berlin, "night", {"cron": "0 12 1 1 *", "shell": "x"})
    assert added.timezone == "Europe/Berlin"
    assert added.next_fire_time is not None
    assert added.next_fire_time.hour == 11


# Several people at once


def test_of_many_that_add_one_name_one_wins(context: Context) -> None:
    def add(number: int) -> str:
        try:
            entries.add(replace(context, who=f"p{number}"), "tick", {**EVERY, "queue": f"q{number}"})
        except Conflict:
            return "conflict"
        return "added"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(add, range(6))) == ["added"] + ["conflict"] * 5
    assert len(rows(context, table)) == len(rows(context, audit)) == 1


def test_changes_at_once_are_made_one_after_the_other(context: Context) -> None:
    entries.add(context, "tick", EVERY)
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda n: entries.change(replace(context, who=f"p{n}"), "tick", {"queue": f"q{n}"}), range(12)
            )
        )
    made = entries.versions(context, "tick")[:-1]
    assert [version.version for version in made] == list(range(13, 1, -1))
    # each is signed by the one who made it
    for version in made:
        assert version.changes["queue"][1] == f"q{str(version.changed_by)[1:]}"
