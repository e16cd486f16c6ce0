"""A crontab becomes entries: all lines or none, under stable names, once."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from beatd.errors import FieldError, InvalidInput
from beatd.migrate.crontab.importer import Imported, import_crontab, local_zone
from beatd.operations import entries
from beatd.operations.context import Context
from beatd.store import schema
from beatd.store.engine import Database

TAB = """\
# Edit this file to introduce tasks to be run by cron.
#
# m h  dom mon dow   command
MAILTO=ops@example.com
PATH=/usr/local/bin:/usr/bin
# Nightly dump
0 3 * * *\tpg_dump app > /b/$(date +\\%F).sql
SHELL=/bin/bash
HOME=/srv/app
*/5 * * * * cd /srv/app && ./manage.py clear --all >/dev/null 2>&1
*/5 * * * * cd /srv/app && ./manage.py clear --all >/dev/null 2>&1

@daily FOO=1 /usr/bin/mail -s "it's" bob%Dear Bob,%bye
"""


@pytest.fixture
def context(sqlite_url: str) -> Iterator[Context]:
    database = Database.open(sqlite_url)
    schema.upgrade(database)
    yield Context(database, "alice", "cli")
    database.close()


def imported(context: Context, text: str = TAB, **options: bool) -> Imported:
    return import_crontab(context, text, "tab", timezone="Europe/Berlin", **options)


def names(context: Context) -> list[str]:
    return [entry.name for entry in entries.find(context)]


def test_every_line_becomes_a_shell_entry(context: Context) -> None:
    done = imported(context)
    assert [change.name for change in done.changes.added] == [
        "nightly-dump",
        "manage-py-clear-all",
        "manage-py-clear-all-2",
        "mail-s-it-s-bob",
    ]
    assert [note.split(" is ")[0] for note in done.notes] == ["tab:4: MAILTO=ops@example.com"]
    assert entries.show(context, "nightly-dump").options == {
        "description": "Nightly dump",
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "shell": "pg_dump app > /b/$(date +%F).sql",
        "env": {"PATH": "/usr/local/bin:/usr/bin"},
    }
    mail = entries.show(context, "mail-s-it-s-bob").options
    env = {"PATH": "/usr/local/bin:/usr/bin", "SHELL": "/bin/bash", "HOME": "/srv/app"}
    assert (mail["cron"], mail["stdin"], mail["cwd"], mail["env"]) == (
        "@daily",
        "Dear Bob,\nbye\n",
        "/srv/app",
        env,
    )
    # the worker's shell is not cron's: the crontab's is started by it
    assert mail["shell"] == """exec /bin/bash -c 'FOO=1 /usr/bin/mail -s "it'"'"'s" bob'"""
    [version] = entries.versions(context, "nightly-dump")
    assert (version.changed_by, version.door) == ("alice", "crontab")


def test_a_second_time_changes_nothing(context: Context) -> None:
    imported(context)
    before = entries.find(context)
    again = imported(context)
    assert (again.changes.nothing, again.changes.unchanged) == (True, 4)
    assert [entry.version for entry in entries.find(context)] == [entry.version for entry in before]


def test_one_bad_line_keeps_all_out(context: Context) -> None:
    bad = f"{TAB}61 * * * * x\n@reboot y\n* * *\n0 0 30 2 * never\n0 5 * * * root z -a\n"
    with pytest.raises(InvalidInput) as caught:
        imported(context, bad)
    assert [str(finding.where) for finding in caught.value.findings] == [f"tab:{n}" for n in range(14, 19)]
    assert names(context) == []
    done = imported(context, bad, skip_bad=True)
    assert len(done.changes.added) == len(names(context)) == 4
    assert list(map(str, done.skipped)) == str(caught.value).splitlines()


def test_entries_that_differ_are_replaced_only_if_asked_for(context: Context) -> None:
    entries.add(context, "nightly-dump", {"every": "5m", "shell": "mine"})
    with pytest.raises(InvalidInput, match="tab:7: name: 'nightly-dump'"):
        imported(context)
    assert names(context) == ["nightly-dump"]
    assert [change.name for change in imported(context, replace_entries=True).changes.changed] == [
        "nightly-dump"
    ]
    assert entries.show(context, "nightly-dump").options["cron"] == "0 3 * * *"


def test_looking_writes_nothing(context: Context) -> None:
    assert len(imported(context, dry_run=True).changes.added) == 4
    assert names(context) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("/usr/bin/php -q /srv/cron.php >/dev/null 2>&1", "php-q-cron-php"),
        ("cd /srv; ./run now | mail bob", "run-now"),
        ("LANG=C backup", "backup"),
        ("/opt/a/b/c/", "c"),
        (">/tmp/x", "job"),
        ("[ -x /usr/bin/x ] && x", "x"),
        ("test -x /usr/sbin/anacron || run-parts /etc", "test-x-anacron"),
        ("test -e a && b c", "b-c"),
        ("x " + "y" * 100, "x-" + "y" * 38),
    ],
)
def test_names_of_commands(context: Context, line: str, name: str) -> None:
    imported(context, f"@daily {line}\n")
    assert names(context) == [name]


def test_a_long_comment_describes_and_does_not_name(context: Context) -> None:
    comment = "This one is here because of the outage in March, ask Bob about it"
    imported(context, f"# {comment}\n@daily backup\n")
    assert entries.show(context, "backup").options["description"] == comment


def test_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert local_zone() == "Asia/Tokyo"
    monkeypatch.delenv("TZ")
    assert ZoneInfo(local_zone())


def test_a_zone_that_is_none_is_refused(context: Context) -> None:
    with pytest.raises(FieldError, match="did you mean 'Europe/Berlin'"):
        import_crontab(context, TAB, "tab", timezone="Europe/Brelin")
