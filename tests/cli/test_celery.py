"""`beatd celery check` and `import`, as a person who leaves beat meets them."""

from __future__ import annotations

import linecache
import sqlite3
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd
from tests.migrate.celery_beat.schemas import SQLALCHEMY

PROJECT = """
from celery import Celery
from celery.schedules import crontab

app = Celery("shop")
app.conf.update(timezone="Europe/Berlin", result_expires=None)
app.conf.beat_schedule = {
    "nightly report": {"task": "shop.report", "schedule": crontab(minute=30, hour=2), "args": (1,)},
    "every-minute-of-seven": {"task": "shop.mail", "schedule": crontab(hour=7), "options": {"queue": "mail"}},
    # more
}
"""
FRIDAY_13 = "'friday-13': {'task': 'shop.x', 'schedule': crontab(0, 0, day_of_month=13, day_of_week='fri')},"


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    return InProcess(tmp_path)


#: Python keeps what it has imported: each app is in a module of its own.
_numbers = count()


def _project(beatd: Beatd, more: str = "", name: str | None = None) -> str:
    """Another one, or a later version of `name`."""
    name = name or f"shop_{next(_numbers)}"
    sys.modules.pop(name, None)
    (beatd.home / f"{name}.py").write_text(PROJECT.replace("# more", more))
    linecache.clearcache()
    return f"{name}:app"


def test_check_tells_of_each_entry(beatd: Beatd) -> None:
    told = beatd("celery", "check", "--app", _project(beatd))
    assert "ok  nightly-report         30 2 * * *" in told.stdout
    assert ": 03:30), beatd at the first instant" in told.stdout
    assert "every minute of hour 7, 60 times a day; was minute=0 meant?" in told.stdout
    assert told.stdout.endswith("2 entries, 0 refused\n")
    assert "1 of them names no queue, and celery.app is not set" in told.stderr


def test_check_fails_where_something_would_be_lost(beatd: Beatd) -> None:
    document = beatd.json("celery", "check", "-A", _project(beatd, FRIDAY_13), status=1)
    assert document["totals"] == {
        "added": 2,
        "changed": 0,
        "removed": 0,
        "unchanged": 0,
        "left": 0,
        "refused": 1,
    }
    [refused] = [row for row in document["rows"] if row["action"] == "refused"]
    assert refused["where"].endswith("beat_schedule['friday-13']")
    assert "--calendar other-days" in refused["problem"]


def test_import_follows_the_code(beatd: Beatd) -> None:
    beatd("db", "upgrade")
    project = _project(beatd)
    assert "2 added" in beatd("celery", "import", "-A", project, "--dry-run").stdout
    assert beatd.json("entry", "list") == []
    assert "2 added" in beatd("celery", "import", "-A", project).stdout
    assert "2 unchanged" in beatd("celery", "import", "-A", project).stdout
    name = project.removesuffix(":app")
    _project(beatd, "'hourly': {'task': 'shop.x', 'schedule': 3600},", name)
    assert "1 added" in beatd("celery", "import", "-A", name).stdout
    _project(beatd, name=name)
    told = beatd("celery", "import", "-A", project, "--prune")
    assert "1 removed, 2 unchanged" in told.stdout
    assert beatd.json("entry", "show", "nightly-report")["options"] == {
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "task": "shop.report",
        "args": [1],
        "expires": "never",
    }


def test_import_of_what_cannot_be_carried_over(beatd: Beatd) -> None:
    beatd("db", "upgrade")
    path = _project(beatd, FRIDAY_13)
    told = beatd("celery", "import", "-A", path, status=2)
    assert "friday-13" in told.stderr
    assert "nothing was imported" in told.stderr
    assert beatd.json("entry", "list") == []
    told = beatd("celery", "import", "-A", path, "--partial", "--prefix", "old-", "--queue", "slow")
    assert "2 added, 0 changed, 0 removed, 0 unchanged, 1 refused" in told.stdout
    queues = {entry["name"]: entry["options"]["queue"] for entry in beatd.json("entry", "list")}
    assert queues == {"old-nightly-report": "slow", "old-every-minute-of-seven": "mail"}


def test_tables_whose_url_is_not_told_to_everybody(beatd: Beatd) -> None:
    beatd("db", "upgrade")
    database = sqlite3.connect(beatd.home / "shop.db")
    database.executescript(SQLALCHEMY)
    database.close()
    beatd.env["SHOP_DATABASE"] = f"sqlite:///{beatd.home}/shop.db"
    (beatd.home / "url").write_text(f"sqlite:///{beatd.home}/shop.db\n")
    assert "2 added" in beatd("celery", "import", "--database", "env:SHOP_DATABASE").stdout
    assert "2 unchanged" in beatd("celery", "import", "--database", "file:url").stdout
    assert (
        "there is no such variable" in beatd("celery", "check", "--database", "env:NOTHING", status=2).stderr
    )
    assert "cannot be read" in beatd("celery", "check", "--database", "file:nothing", status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give one of --app and --database; for example '--app proj.celery:app'"),
        (("--app", "a:b", "--database", "x"), "give one of --app and --database"),
        (("--app", "nothing_of_this_name:app"), "'nothing_of_this_name:app': cannot be imported"),
        (("--database", "sqlite:///nowhere.db"), "there is no such file"),
    ],
)
def test_what_cannot_be_read(beatd: Beatd, arguments: tuple[str, ...], told: str) -> None:
    for command in ("check", "import"):
        ended = beatd("celery", command, *arguments, status=2)
        assert told in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
