"""Importing: once, again, and after the source was edited; what cannot be; what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from beatd.errors import Conflict, FieldError, InvalidInput
from beatd.migrate import importing
from beatd.migrate.found import Found, Reading
from beatd.operations import entries
from beatd.operations.context import Context, Offline
from tests.migrate.imports import SOURCE, compare, on_sqlite, options, run, told, versions
from tests.migrate.readings import ETC, found, reading

TABLE = """
    # Backup
    30 2 * * * backup --all
    */5 * * * * poll
    @reboot start
"""


def findings(context: Context, what: Reading | str, **more: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        compare(context, what, **more)
    return [str(finding) for finding in caught.value.findings]


# Once, and again


def test_imported_once_and_again(context: Context) -> None:
    rows = run(context, TABLE)
    assert told(rows) == [("add", "backup"), ("add", "poll"), ("add", "start")]
    assert [row.where for row in rows] == [f"{ETC}:{line}" for line in (2, 3, 4)]
    assert options(context, "backup") == {
        "cron": "30 2 * * *",
        "timezone": "UTC",
        "shell": "backup --all",
    }
    shown = entries.show(context, "backup")
    assert shown.origin is not None
    assert (shown.origin.kind, shown.origin.source, shown.origin.place) == ("lines", ETC, "2")
    assert shown.origin.text == "30 2 * * * backup --all"
    (version,) = entries.versions(context, "backup")
    assert (version.changed_by, version.door) == ("alice", "import")

    again = run(context, TABLE)
    assert told(again) == [("unchanged", "backup"), ("unchanged", "poll"), ("unchanged", "start")]
    assert versions(context) == {"backup": 1, "poll": 1, "start": 1}
    assert entries.show(context, "backup").origin == shown.origin


def test_what_the_source_changed_is_changed_here(context: Context) -> None:
    """The line of the backup says another hour, poll is gone, another is new, all of them elsewhere."""
    run(context, TABLE)
    rows = run(
        context,
        """
        0 4 * * 0 new
        @reboot start
        # Backup
        30 3 * * * backup --all
        """,
    )
    assert told(rows) == [("add", "new"), ("unchanged", "start"), ("change", "backup"), ("left", "poll")]
    assert rows[2].changes == {"cron": ("30 2 * * *", "30 3 * * *")}
    assert versions(context) == {"backup": 2, "poll": 1, "start": 1, "new": 1}
    start, backup = (entries.show(context, name).origin for name in ("start", "backup"))
    assert start is not None
    assert start.place == "2"
    assert backup is not None
    assert (backup.place, backup.text) == ("4", "30 3 * * * backup --all")


def test_pruned(context: Context) -> None:
    entries.add(context, "own", {"every": "5m", "shell": "x"})
    other = reading("0 1 * * * elsewhere", source="/etc/other")
    run(context, other, sources=[("lines", "/etc/other")])
    run(context, TABLE)
    left = "@reboot start"
    assert compare(context, left).notes == ("no longer there: backup, poll; --prune removes them",)
    rows = run(context, left, prune=True)
    assert told(rows) == [("unchanged", "start"), ("remove", "backup"), ("remove", "poll")]
    assert versions(context).keys() == {"own", "elsewhere", "start"}
    assert told(run(context, TABLE)) == [("add", "backup"), ("add", "poll"), ("unchanged", "start")]


@on_sqlite
def test_what_is_disabled_has_no_next_fire(context: Context) -> None:
    one = found("0 6 * * * off")
    disabled = replace(one, options={**one.options, "enabled": False})
    (checked,) = importing.check(Offline("UTC"), Reading((disabled,)), datetime.now(UTC))
    rows = [checked, *run(context, Reading((disabled,))), *run(context, Reading((disabled,)))]
    assert [row.action for row in rows] == ["add", "add", "unchanged"]
    assert {(row.enabled, row.next_fires) for row in rows} == {(False, ())}
    (on,) = run(context, Reading((one,)))
    assert (on.enabled, len(on.next_fires)) == (True, 3)


@on_sqlite
def test_what_is_removed_by_hand_comes_again(context: Context) -> None:
    run(context, TABLE)
    entries.remove(context, "poll")
    assert told(run(context, TABLE)) == [("unchanged", "backup"), ("add", "poll"), ("unchanged", "start")]


def test_bytes_that_are_not_text(context: Context) -> None:
    """They come back as they are, and are found again."""
    line = "0 5 * * * print caf\udce9 \\udce9 \\u005c 'é' \N{BELL}"
    assert told(run(context, line)) == [("add", "print-caf-udce9-u005c-é")]
    shown = entries.show(context, "print-caf-udce9-u005c-é")
    assert shown.options["shell"] == line.removeprefix("0 5 * * * ")
    assert shown.origin is not None
    assert shown.origin.text == line
    assert told(run(context, line)) == [("unchanged", shown.name)]


def test_sources_that_differ_by_letter_case_alone_are_two(context: Context) -> None:
    one = reading("0 1 * * * one", source="/etc/JOBS")
    run(context, one, sources=[("lines", "/etc/JOBS")])
    assert told(run(context, "0 2 * * * two", prune=True)) == [("add", "two")]
    assert versions(context).keys() == {"one", "two"}


# Which is which


@on_sqlite
def test_order_changes_no_entry(context: Context) -> None:
    table = "0 1 * * * a x\n0 2 * * * a x\n0 1 * * * b\n0 1 * * * b\n0 3 * * * a y"
    first = run(context, table)
    backwards = "\n".join(reversed(table.split("\n")))
    rows = run(context, backwards)
    assert {row.action for row in rows} == {"unchanged"}
    assert {row.name for row in rows} == {row.name for row in first}
    assert set(versions(context).values()) == {1}
    places = {entry.name: entry.origin.place for entry in entries.find(context) if entry.origin}
    assert [places[row.name] for row in rows] == ["1", "2", "3", "4", "5"]


@on_sqlite
def test_one_that_has_its_name_keeps_it_when_another_comes(context: Context) -> None:
    """Imported together each would have a hash; nobody's entry is renamed because of another."""
    run(context, "# Backup\n0 1 * * * backup a")
    rows = run(context, "# Backup\n0 1 * * * backup b\n# Backup\n0 1 * * * backup a")
    assert [row.action for row in rows] == ["add", "unchanged"]
    assert rows[1].name == "backup"
    assert rows[0].name.startswith("backup-")


@on_sqlite
def test_and_when_it_is_edited_at_the_same_time(context: Context) -> None:
    run(context, "# Backup\n0 1 * * * backup a")
    rows = run(context, "# Backup\n0 1 * * * backup b\n# Backup\n0 2 * * * backup a")
    assert sorted(row.action for row in rows) == ["add", "change"]
    (changed,) = (row for row in rows if row.action == "change")
    assert changed.changes["cron"] == ("0 1 * * *", "0 2 * * *")


@on_sqlite
def test_one_of_several_alike_is_edited(context: Context) -> None:
    run(context, "# Backup\n0 1 * * * backup a\n# Backup\n0 1 * * * backup b")
    rows = run(context, "# Backup\n0 1 * * * backup b\n# Backup\n9 9 * * * backup a")
    assert [row.action for row in rows] == ["unchanged", "change"]
    assert rows[1].changes == {"cron": ("0 1 * * *", "9 9 * * *")}


@on_sqlite
def test_the_other_of_two_alike_goes(context: Context) -> None:
    """What stays keeps its hash, though it is alone now."""
    first = run(context, "# Backup\n0 1 * * * backup a\n# Backup\n0 1 * * * backup b")
    rows = run(context, "# Backup\n0 1 * * * backup b", prune=True)
    assert told(rows) == [("unchanged", first[1].name), ("remove", first[0].name)]


@on_sqlite
def test_a_name_that_was_given_stays(context: Context) -> None:
    """Whatever the comment says now, and whether or not the prefix is said again."""
    run(context, "# Backup\n0 1 * * * backup", prefix="web1-")
    rows = run(context, "# Save\n0 1 * * * backup\n0 2 * * * other")
    assert told(rows) == [("unchanged", "web1-backup"), ("add", "other")]
    assert told(run(context, "# Save\n0 1 * * * backup", prefix="x-"))[0] == ("unchanged", "web1-backup")


@on_sqlite
def test_what_was_renamed_here_too(context: Context) -> None:
    run(context, "0 1 * * * job")
    entries.change(context, "job", {"name": "mine"})
    rows = run(context, "0 2 * * * job")
    assert (told(rows), rows[0].warnings) == ([("change", "mine")], ())


@on_sqlite
def test_comments_that_change_places(context: Context) -> None:
    run(context, "# A\n0 1 * * * one\n# B\n0 1 * * * two")
    rows = run(context, "# B\n0 1 * * * one\n# A\n0 1 * * * two")
    assert told(rows) == [("unchanged", "a"), ("unchanged", "b")]
    assert options(context, "a")["shell"] == "one"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0 3 * * * /opt/backup.sh --full", "0 3 * * * /opt/backup.sh --full --to s3"),
        # elsewhere in the file, by its program
        ("0 3 * * * /opt/backup.sh --full", "0 9 * * * x\n0 3 * * * /opt/backup.sh"),
        # another program at the same times in the same place
        ("0 3 * * * /opt/backup.sh --full", "0 3 * * * nice /opt/save"),
        # both at once, where it was
        ("0 3 * * * /opt/backup.sh --full", "30 4 * * * /opt/backup.sh --to s3"),
        ("0 3 * * * cd /srv && php a.php", "0 9 * * * x\n0 3 * * * cd /srv; /usr/bin/php b.php"),
        ("@reboot /opt/start --one", "0 9 * * * x\n@reboot /opt/start --two"),
    ],
)
@on_sqlite
def test_an_edited_command_is_no_second_job(context: Context, before: str, after: str) -> None:
    [(_, name)] = told(run(context, before))
    rows = run(context, after)
    assert ("change", name) in told(rows)
    assert [row.action for row in rows if row.action != "add"] == ["change"]
    assert options(context, name)["shell"] in after.splitlines()[-1]


@on_sqlite
def test_another_users_command_is_another_job(context: Context) -> None:
    """As of two users whose crontabs came by standard input, one after the other."""
    run(context, reading("0 3 * * * /opt/backup.sh --full", queue="user.alice"))
    done = compare(context, reading("0 3 * * * /opt/backup.sh --all", queue="user.bob"))
    assert [row.action for row in done.rows] == ["add", "left"]


@on_sqlite
def test_the_edited_one_of_many_with_one_program(context: Context) -> None:
    run(context, "0 1 * * * php a\n0 2 * * * php b\n0 3 * * * php c")
    rows = run(context, "0 1 * * * php a\n0 2 * * * php new\n0 3 * * * php c")
    assert told(rows) == [("unchanged", "php-a"), ("change", "php-b"), ("unchanged", "php-c")]
    assert rows[1].changes == {"shell": ("php b", "php new")}


@on_sqlite
def test_what_vanished_while_something_came_is_told_loudly(context: Context) -> None:
    run(context, "0 1 * * * one\n0 2 * * * two")
    done = compare(context, "0 1 * * * one\n0 9 1 * * three")
    assert told(done.rows) == [("unchanged", "one"), ("add", "three"), ("left", "two")]
    assert done.rows[2].warnings == (
        "no longer there: it stays and goes on firing beside what was added; --prune removes it",
    )
    assert done.notes == (
        "no longer there: two; --prune removes them; until they are removed they run BESIDE what was added",
    )
    assert [row.action for row in run(context, "0 1 * * * one\n0 9 1 * * three", prune=True)] == [
        "unchanged",
        "add",
        "remove",
    ]


@on_sqlite
def test_a_line_that_moves_to_another_file(context: Context) -> None:
    both = [SOURCE, ("lines", "/etc/other")]
    run(context, "0 1 * * * one\n0 2 * * * two", sources=both)
    moved = reading("0 1 * * * one") + reading("0 2 * * * two", source="/etc/other")
    left = compare(context, moved, sources=both)
    assert [row.action for row in left.rows] == ["unchanged", "add", "left"]
    assert left.rows[1].name.startswith("two-")
    assert left.rows[1].warnings == (
        f"the entry two (from {ETC}) does the same at the same times: both will run",
    )
    rows = run(context, moved, sources=both, prune=True)
    assert told(rows) == [("unchanged", "one"), ("add", "two"), ("remove", "two")]
    two = entries.show(context, "two").origin
    assert two is not None
    assert two.source == "/etc/other"


@on_sqlite
def test_several_of_one_line(context: Context) -> None:
    """As the scripts of a folder: what they have in common is the line."""
    line = "0 5 * * * run-parts /etc/daily"

    def scripts(*names: str) -> Reading:
        return Reading(tuple(map(script, names)))

    def script(name: str) -> Found:
        one = found(line, comment=f"daily {name}", shell=f"/etc/daily/{name}")
        return replace(one, origin=replace(one.origin, place=f"1 {name}"))

    run(context, scripts("apt", "man-db"))
    rows = run(context, scripts("logrotate", "man-db", "apt"), prune=True)
    assert told(rows) == [
        ("add", "daily-logrotate"),
        ("unchanged", "daily-man-db"),
        ("unchanged", "daily-apt"),
    ]
    rows = run(context, scripts("dpkg", "man-db", "apt"), prune=True)
    assert told(rows) == [
        ("add", "daily-dpkg"),
        ("unchanged", "daily-man-db"),
        ("unchanged", "daily-apt"),
        ("remove", "daily-logrotate"),
    ]


# What cannot be


BAD = "0 1 * * * good\n0 99 * * * bad\n*/7 * * * * too"


@on_sqlite
def test_with_anything_refused_nothing_is_written(context: Context) -> None:
    refused = FieldError("line", "???", "no line", where=f"{ETC}:9")
    assert findings(context, reading(BAD) + Reading(refused=(refused,))) == [
        f"{ETC}:2: cron: '0 99 * * *': hour '99': 99 is not in 0-23; for example '0 6 * * *'",
        f"{ETC}:9: line: '???': no line",
    ]
    assert versions(context) == {}


@on_sqlite
def test_or_that_is_left_out(context: Context) -> None:
    refused = FieldError("line", "???", "no line", where=f"{ETC}:1:7", example="x")
    done = compare(context, Reading(refused=(refused,)) + reading(BAD), partial=True)
    assert told(done.rows) == [("add", "good"), ("refused", ""), ("refused", "bad"), ("add", "too")]
    assert done.rows[1].problem == "line: '???': no line; for example 'x'"
    assert done.rows[2].problem == "cron: '0 99 * * *': hour '99': 99 is not in 0-23; for example '0 6 * * *'"
    assert len(done.refused) == 2
    done.execute(context)
    assert versions(context) == {"good": 1, "too": 1}


@on_sqlite
def test_an_entry_whose_line_cannot_be_read_any_more_is_not_pruned(context: Context) -> None:
    run(context, "0 1 * * * good\n0 2 * * * bad")
    refused = FieldError("cron", "0 99 * * *", "no hour", where=f"{ETC}:2:3")
    done = compare(context, reading("0 1 * * * good") + Reading(refused=(refused,)), prune=True, partial=True)
    assert told(done.rows) == [("unchanged", "good"), ("refused", ""), ("left", "bad")]
    assert done.rows[2].warnings == ("it may be what is refused: it stays as it was and goes on firing",)
    assert done.notes == (
        "no longer there: bad; something of their source is refused, and may be they: they stay as they were",
    )
    assert told(
        compare(context, reading("0 1 * * * good") + Reading(refused=(refused,)), partial=True).rows
    ) == told(done.rows)


@on_sqlite
def test_of_another_source_it_is(context: Context) -> None:
    both = [SOURCE, ("lines", "/etc/other")]
    run(context, reading("0 1 * * * one") + reading("0 2 * * * two", source="/etc/other"), sources=both)
    refused = FieldError("cron", "x", "no hour", where="other:2:3")
    done = compare(context, Reading(refused=(refused,)), sources=both, prune=True, partial=True)
    assert told(done.rows) == [("refused", ""), ("remove", "one"), ("left", "two")]


@on_sqlite
def test_an_entry_that_would_be_refused_now_stays_as_it_is(context: Context) -> None:
    run(context, "0 1 * * * job")
    (row,) = run(context, "0 99 * * * job", partial=True, prune=True)
    assert (row.action, row.name) == ("refused", "job")
    assert row.warnings == ("until then the entry stays as it was and goes on firing",)
    assert options(context, "job")["cron"] == "0 1 * * *"


@on_sqlite
def test_a_name_that_is_taken(context: Context) -> None:
    entries.add(context, "backup", {"every": "5m", "shell": "x"})
    assert findings(context, TABLE) == [
        f"{ETC}:2: name: 'backup': there is an entry of this name that was not imported; "
        "put something before it; for example '--prefix lines-'"
    ]
    assert told(run(context, TABLE, prefix="web1-"))[0] == ("add", "web1-backup")
    assert told(run(context, TABLE, prefix="web1-"))[0] == ("unchanged", "web1-backup")


@on_sqlite
def test_a_name_that_another_source_has_taken(context: Context) -> None:
    """Imported in one call each would have a hash, too."""
    run(context, "0 1 * * * /opt/backup.sh")
    other = reading("0 2 * * * /opt/backup.sh", source="/etc/other")
    [row] = run(context, other, sources=[("lines", "/etc/other")])
    assert (row.action, row.warnings) == ("add", ())
    assert row.name.startswith("opt-backup-sh-")
    assert told(run(context, other, sources=[("lines", "/etc/other")])) == [("unchanged", row.name)]
    assert told(run(context, "0 1 * * * /opt/backup.sh")) == [("unchanged", "opt-backup-sh")]


@on_sqlite
def test_what_beatd_exported_is_not_taken_a_second_time(context: Context) -> None:
    source = ("lines", "/etc/export")
    run(context, "0 1 * * * job")
    entries.add(context, "own", {"cron": "0 2 * * *", "timezone": "UTC", "shell": "mine"})
    lines = reading("0 1 * * * job\n0 2 * * * mine\n0 3 * * * job", source="/etc/export")
    exported = replace(lines, exported=frozenset([source]))
    done = compare(context, exported, sources=[source], partial=True)
    assert [row.action for row in done.rows] == ["refused", "refused", "add"]
    assert (done.rows[0].problem or "").startswith(
        f"entry: 'job (from {ETC})': does this at the same times already, and the file is an export"
    )
    assert "own (made by hand)" in (done.rows[1].problem or "")
    for name in ("job", "own"):
        entries.remove(context, name)
    assert [row.action for row in run(context, exported, sources=[source])] == ["add"] * 3


KEYED = {"keys": {SOURCE: frozenset({"1", "2"})}}


@on_sqlite
def test_keys_say_what_vanished_whatever_is_refused(context: Context) -> None:
    run(context, "0 1 * * * one\n0 2 * * * two\n0 3 * * * three")
    refused = FieldError("cron", "0 99 * * *", "no hour", where="app two")
    wanted = replace(reading("0 1 * * * one"), refused=(refused,), **KEYED)
    done = compare(context, wanted, prune=True, partial=True)
    assert told(done.rows) == [("unchanged", "one"), ("refused", ""), ("remove", "three"), ("left", "two")]


@on_sqlite
def test_another_key_is_another_entry(context: Context) -> None:
    run(context, reading("0 1 * * * one"))
    moved = Reading((found("0 1 * * * one", number=2),), keys={SOURCE: frozenset({"2"})})
    assert [row.action for row in compare(context, moved, prune=True).rows] == ["add", "remove"]


@on_sqlite
def test_a_source_in_which_nothing_is_left(context: Context) -> None:
    run(context, TABLE)
    done = compare(context, Reading(), prune=True)
    assert done.notes == (f"{ETC}: nothing is left in it: all 3 entries that came from it are removed",)


@on_sqlite
def test_several_problems_of_one_thing_are_one_row(context: Context) -> None:
    refused = tuple(FieldError(field, "x", "no", where=f"{ETC}:1") for field in ("cron", "shell"))
    done = compare(context, Reading(refused=refused), partial=True)
    assert [row.problem for row in done.rows] == ["cron: 'x': no; shell: 'x': no"]
    assert len(done.refused) == 2


@on_sqlite
def test_options_that_nobody_knows_are_refused(context: Context) -> None:
    wanted = Reading((found("0 1 * * * job", colour="red"),))
    assert findings(context, wanted)[0].startswith(f"{ETC}:1: colour: 'red': unknown option")
    run(context, "0 1 * * * job")
    assert findings(context, wanted)[0].startswith(f"{ETC}:1: colour: 'red': unknown option")


# Between comparing and doing


@pytest.mark.parametrize(
    ("meanwhile", "change"),
    [
        (lambda context: entries.change(context, "job", {"queue": "q"}), "0 2 * * * job"),
        (lambda context: entries.remove(context, "job"), "0 2 * * * job"),
        (lambda context: entries.remove(context, "job"), "0 1 * * * job\n0 1 * * * new"),
        (
            lambda context: entries.add(context, "new", {"every": "5m", "shell": "x"}),
            "0 1 * * * job\n0 9 * * * new",
        ),
        (lambda context: run(context, "0 3 * * * job"), "0 2 * * * job"),
        (lambda context: run(context, "0 1 * * * job\n0 1 * * * new"), "0 1 * * * job\n0 1 * * * new"),
    ],
)
@on_sqlite
def test_nothing_is_done_over_what_was_edited_meanwhile(
    context: Context, meanwhile: Any, change: str
) -> None:
    run(context, "0 1 * * * job")
    comparison = compare(context, change)
    meanwhile(context)
    before = entries.find(context)
    with pytest.raises(Conflict, match="nothing was done"):
        comparison.execute(context)
    assert entries.find(context) == before


@on_sqlite
def test_an_edit_that_is_none_of_its_business(context: Context) -> None:
    run(context, "0 1 * * * job\n0 1 * * * other")
    comparison = compare(context, "0 2 * * * job\n0 1 * * * other")
    entries.change(context, "other", {"queue": "q"})
    comparison.execute(context)
    assert versions(context) == {"job": 2, "other": 2}


# What is told


@on_sqlite
def test_a_row_tells_when_it_fires(context: Context) -> None:
    (row,) = compare(context, Reading((found("30 2 * * 1 job", timezone="Europe/Berlin"),))).rows
    assert (row.schedule, row.timezone, len(row.next_fires)) == ("30 2 * * 1", "Europe/Berlin", 3)
    assert row.sentence == "at 02:30 on Monday, Europe/Berlin"
    assert {fire.astimezone(UTC).weekday() for fire in row.next_fires} == {0}


@on_sqlite
def test_an_instant_of_the_past_is_taken_with_a_warning(context: Context) -> None:
    gone = found("0 1 * * * job", cron=None, at="2020-01-01T00:00:00Z")
    (row,) = run(context, Reading((gone,)))
    (warning,) = row.warnings
    assert warning.startswith("at: '2020-01-01T00:00:00Z': is in the past: the entry would never fire")
    assert (row.action, row.next_fires) == ("add", ())


def test_a_check_needs_no_database() -> None:
    now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    wanted = reading(BAD) + Reading(refused=(FieldError("line", "?", "no line", where=f"{ETC}:1"),))
    rows = importing.check(Offline("Europe/Berlin"), wanted, now, prefix="p-")
    assert told(rows) == [("add", "p-good"), ("refused", ""), ("refused", "p-bad"), ("add", "p-too")]
    assert rows[0].next_fires[0] == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert rows[3].next_fires == tuple(
        datetime(2026, 3, 28, 12, minute, tzinfo=UTC) for minute in (7, 14, 21)
    )


@on_sqlite
def test_thousands_of_lines(context: Context) -> None:
    """In statements for all of them, not for each: a handful of milliseconds a line would be minutes."""
    many = "\n".join(f"{number % 60} {number % 24} * * * job {number}" for number in range(2000))
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    from sqlalchemy import event

    event.listen(context.database.engine, "before_cursor_execute", count)
    try:
        assert {row.action for row in run(context, many)} == {"add"}
        assert {row.action for row in run(context, many)} == {"unchanged"}
    finally:
        event.remove(context.database.engine, "before_cursor_execute", count)
    assert statements < 100
