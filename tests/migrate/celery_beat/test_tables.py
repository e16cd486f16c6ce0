"""The tables of schedulers that keep their entries in a database, read without the schedulers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from beatd.errors import DatabaseUnavailable, FieldError, InvalidInput
from beatd.migrate.celery_beat import read_tables
from beatd.migrate.found import Reading
from tests.migrate.celery_beat.reading import NOW
from tests.migrate.celery_beat.schemas import DJANGO, OLDER, SQLALCHEMY, TYPES, WRONG

Insert = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Insert]:
    """Puts rows into the table of tasks, and reads all."""
    file = tmp_path / "django.sqlite3"
    database = sqlite3.connect(file)
    database.executescript(DJANGO.format(**TYPES["sqlite"]) + WRONG)

    def insert_and_read(*rows: dict[str, Any]) -> Reading:
        for number, row in enumerate(rows, 1):
            _insert(database.execute, number, row)
        database.commit()
        reading, source = read_tables(f"sqlite:///{file}", NOW)
        assert source == ("celery", f"sqlite:///{file}")
        return reading

    yield insert_and_read
    database.close()


def _insert(execute: Callable[[str, dict[str, Any]], Any], number: int, row: dict[str, Any]) -> None:
    defaults = {"name": f"task {number}", "task": "shop.sell", "args": "[]", "kwargs": "{}", "headers": "{}"}
    values = {"id": number, **defaults, "enabled": True, "one_off": False, "total_run_count": 0, **row}
    columns, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    execute(f"INSERT INTO django_celery_beat_periodictask ({columns}) VALUES ({marks})", values)


def _options(reading: Reading) -> dict[str, Any]:
    assert reading.refused == ()
    [found] = reading.found
    return dict(found.options)


ALL = {
    "name": "Sell on Mondays",
    "crontab_id": 1,
    "args": '[1, "a"]',
    "kwargs": '{"b": [true, null]}',
    "queue": "mail",
    "exchange": "jobs",
    "routing_key": "slow",
    "headers": '{"origin": "shop"}',
    "priority": 5,
    "expire_seconds": 120,
    "start_time": "2026-07-01 00:00:00",
    "description": "Sells what is left",
    "last_run_at": "2026-05-30 00:30:00",
    "total_run_count": 17,
    "enabled": False,
}
AS_ENTRY = {
    "cron": "30 2 * * 1#1",
    "timezone": "Europe/Berlin",
    "start_at": "2026-07-01T00:00:00Z",
    "task": "shop.sell",
    "args": [1, "a"],
    "kwargs": {"b": [True, None]},
    "queue": "mail",
    "exchange": "jobs",
    "routing_key": "slow",
    "headers": {"origin": "shop", "periodic_task_name": "Sell on Mondays"},
    "priority": 5,
    "expires": "2m",
    "description": "Sells what is left",
    "enabled": False,
}


def test_every_column(read: Insert) -> None:
    reading = read(ALL)
    assert _options(reading) == AS_ENTRY
    assert reading.found[0].names == ("Sell on Mondays", "shop.sell")
    assert reading.found[0].where == "django_celery_beat_periodictask 'Sell on Mondays'"
    assert reading.found[0].origin.place == "Sell on Mondays"


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_on_a_server(server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)
    engine = create_engine(url)
    kind = "postgresql" if server == "postgres_url" else "mysql"
    with engine.begin() as connection:
        for statement in DJANGO.format(**TYPES[kind]).split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        _insert(lambda statement, values: connection.execute(text(statement), values), 1, ALL)
    engine.dispose()
    reading, (_, source) = read_tables(url, NOW)
    assert _options(reading) == AS_ENTRY
    password = engine.url.password
    assert password is None or str(password) not in source


@pytest.mark.parametrize(
    ("row", "options"),
    [
        ({"interval_id": 1}, {"every": "10m"}),
        ({"interval_id": 3}, {"every": "3s"}),
        ({"solar_id": 1}, {"solar": "sunset", "latitude": "52.52", "longitude": "-13.405"}),
        ({"clocked_id": 1, "one_off": True}, {"at": "2026-07-01T09:00:00Z"}),
        ({"interval_id": 1, "one_off": True}, {"every": "10m", "max_runs": 1}),
        (
            {"interval_id": 1, "expires": "2026-07-01 00:00:00"},
            {"every": "10m", "end_at": "2026-06-30T23:59:59Z"},
        ),
        ({"interval_id": 1, "queue": "", "args": "", "kwargs": None, "headers": None}, {"every": "10m"}),
    ],
)
def test_kinds_of_schedules(read: Insert, row: dict[str, Any], options: dict[str, Any]) -> None:
    rest = {"task": "shop.sell", "expires": "never", "headers": {"periodic_task_name": "task 1"}}
    assert _options(read(row)) == {**options, **rest}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            {"crontab_id": 2},
            "schedule: \"crontab(minute='0', hour='6', day_of_month='13', day_of_week='fri')\"",
        ),
        (
            {"crontab_id": 3},
            "schedule: '0,x 6 * * *': Celery's crontab refuses it: Invalid weekday literal 'x'.",
        ),
        ({"crontab_id": 4}, "timezone: 'Middle/Earth'"),
        ({"crontab_id": 9}, "schedule: 'crontab': the schedule that it names is not there any more"),
        ({}, "schedule: None: the row names no schedule; one of crontab, interval, solar, clocked is wanted"),
        ({"interval_id": 4}, "every: '2147483647 days': so long cannot be counted"),
        ({"interval_id": 5}, "every: None: a whole number is wanted"),
        ({"interval_id": 6}, "period: 'weeks': one of days, hours, minutes"),
        ({"solar_id": 3}, "latitude: 'north': a number of degrees is wanted"),
        ({"solar_id": 4}, "longitude: None: a number of degrees is wanted"),
        ({"clocked_id": 3, "one_off": True}, "clocked_time: None: it says no time"),
        (
            {"interval_id": 1, "start_time": "0001-01-01 00:00:00+05:00"},
            "start_time: '0001-01-01 00:00:00+05:00': not",
        ),
        ({"interval_id": 1, "args": "[" * 100_000}, "args: '[[[["),
        ({"interval_id": 2}, "schedule: 'every 0.5 seconds'"),
        ({"solar_id": 2}, "schedule: \"solar('dawn_nautical', 1, 2)\": of Celery's events there are"),
        ({"clocked_id": 2, "one_off": True}, "clocked_time: '2026-05-01T09:00:00Z': that time has passed"),
        ({"interval_id": 1, "args": "[1,"}, "args: '[1,': not JSON"),
        ({"interval_id": 1, "kwargs": "[1]"}, "kwargs: '[1]': not an object of JSON"),
        ({"interval_id": 1, "start_time": "soon"}, "start_time: 'soon': not a date and time"),
    ],
)
def test_what_is_refused(read: Insert, row: dict[str, Any], told: str) -> None:
    [finding] = read(row).refused
    assert str(finding).startswith(f"django_celery_beat_periodictask 'task 1': {told}")


def test_what_is_over_is_told_and_left_out(read: Insert) -> None:
    reading = read(
        {"name": "ran", "interval_id": 1, "one_off": True, "total_run_count": 1},
        {"name": "clocked", "clocked_id": 2, "one_off": True, "enabled": False},
        {"name": "expired", "interval_id": 1, "expires": "2026-05-01 00:00:00"},
        {"name": "left", "interval_id": 1},
    )
    assert [found.names[0] for found in reading.found] == ["left"]
    assert reading.refused == ()
    assert reading.notes[0] == (
        "django-celery-beat: these are over (run once, or expired): clocked, expired, ran"
    )


def test_a_row_that_is_wrong_leaves_the_others(read: Insert) -> None:
    reading = read({"interval_id": 4}, {"interval_id": 1}, {"solar_id": 3}, {"interval_id": 5})
    assert [found.names[0] for found in reading.found] == ["task 2"]
    assert [finding.where for finding in reading.refused] == [
        f"django_celery_beat_periodictask 'task {number}'" for number in (1, 3, 4)
    ]


LAST = "2026-06-01 11:57:20.250000"


@pytest.mark.parametrize(
    ("row", "start"),
    [
        ({"interval_id": 1, "last_run_at": LAST}, "2026-06-01T11:57:20Z"),
        (
            {"interval_id": 1, "last_run_at": LAST, "start_time": "2026-05-01 00:00:00"},
            "2026-06-01T11:57:20Z",
        ),
        (
            {"interval_id": 1, "last_run_at": LAST, "start_time": "2026-07-01 00:00:00"},
            "2026-07-01T00:00:00Z",
        ),
        ({"interval_id": 1, "start_time": "2026-05-01 00:00:00"}, "2026-05-01T00:00:00Z"),
        ({"interval_id": 1, "last_run_at": "2027-01-01 00:00:00"}, None),
        ({"crontab_id": 1, "last_run_at": LAST}, None),
    ],
)
def test_an_interval_goes_on_from_its_last_run(read: Insert, row: dict[str, Any], start: str | None) -> None:
    assert _options(read(row)).get("start_at") == start


def test_an_end_that_messages_outlive_is_told(read: Insert) -> None:
    [found] = read({"interval_id": 1, "expires": "2026-07-01 00:00:00"}).found
    [warning] = found.warnings
    assert warning.startswith(
        "expires is one instant: nothing is due from it on (end_at), but a message that"
    )


def test_what_tasks_declare_of_themselves_counts_if_their_app_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"proj_{uuid4().hex}"
    Path(f"{name}.py").write_text(
        "from celery import Celery\napp = Celery('shop')\n"
        "@app.task(name='b', queue='slow', priority=3, expires=60, time_limit=30)\ndef b(number): pass\n"
    )
    url = _file(tmp_path, SQLALCHEMY)
    reading, _ = read_tables(url, NOW, app_path=f"{name}:app")
    assert reading.notes == ()
    assert dict(reading.found[1].options) == {
        "every": "2h",
        "task": "b",
        "args": [7],
        "queue": "slow",
        "priority": 3,
        "expires": "1m",
        "time_limit": "30s",
    }
    [note] = read_tables(url, NOW)[0].notes
    assert "what the tasks themselves declare" in note
    assert "BEATD_CELERY_APP" in note
    with pytest.raises(InvalidInput, match=r"^celery\.app: 'nothing_here:app': cannot be imported"):
        read_tables(url, NOW, app_path="nothing_here:app")


@pytest.mark.parametrize(
    "script", [SQLALCHEMY, OLDER], ids=["sqlalchemy-celery-beat", "celery-sqlalchemy-scheduler"]
)
def test_the_tables_of_the_others(tmp_path: Path, script: str) -> None:
    reading, _ = read_tables(_file(tmp_path, script), NOW)
    assert [dict(found.options) for found in reading.found] == [
        {"cron": "5 4 * * *", "timezone": "Asia/Tokyo", "task": "a", "expires": "never"},
        {"every": "2h", "task": "b", "args": [7], "expires": "never"},
    ]


def test_a_zone_that_the_tables_lack(tmp_path: Path) -> None:
    without = SQLALCHEMY.replace("'Asia/Tokyo'", "NULL")
    url = _file(tmp_path, without)
    [finding] = read_tables(url, NOW)[0].refused
    assert "say which with --timezone" in str(finding)
    reading, _ = read_tables(url, NOW, timezone="Europe/Berlin")
    assert reading.found[0].options["timezone"] == "Europe/Berlin"


def test_tables_in_a_schema_of_their_own(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA celery_schema"))
        connection.execute(text("SET search_path TO celery_schema"))
        for statement in DJANGO.format(**TYPES["postgresql"]).split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        _insert(lambda statement, values: connection.execute(text(statement), values), 1, ALL)
    engine.dispose()
    reading, (_, source) = read_tables(postgres_url, NOW)
    assert _options(reading) == AS_ENTRY
    assert reading.found[0].origin.source == f"{source} celery_schema"


def test_nothing_is_written(tmp_path: Path) -> None:
    url = _file(tmp_path, SQLALCHEMY)
    file = tmp_path / "other.db"
    file.chmod(0o444)
    before = file.read_bytes()
    read_tables(url, NOW)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_what_is_no_such_database(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no table django_celery_beat_periodictask or"):
        read_tables(_file(tmp_path, "CREATE TABLE other (id INTEGER)"), NOW)
    with pytest.raises(FieldError, match="there is no such file"):
        read_tables(f"sqlite:///{tmp_path}/nowhere.db", NOW)
    with pytest.raises(FieldError, match="not the URL of") as refused:
        read_tables("oracle://scott:tiger@db/shop", NOW)
    assert "tiger" not in str(refused.value)
    with pytest.raises(DatabaseUnavailable) as away:
        read_tables("postgresql://shop:secret@127.0.0.1:9/shop", NOW)
    assert "secret" not in str(away.value)


def _file(folder: Path, script: str) -> str:
    database = sqlite3.connect(folder / "other.db")
    database.executescript(script)
    database.close()
    return f"sqlite:///{folder}/other.db"
