"""beatd's scheduler for Celery's beat: where its settings come from, and how it ends."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from beatd.beat import Scheduler, _load
from beatd.config import Settings
from beatd.operations import entries
from beatd.operations.context import Context
from beatd.store import schema
from beatd.store.engine import Database


@pytest.fixture(autouse=True)
def _of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No configuration of the user's; and the signals that a node takes are given back."""
    for variable in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("BEATD_STATE_DIR", str(tmp_path / "state"))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _app(**settings: Any) -> Celery:
    app = Celery("proj", set_as_current=False, broker="memory://")
    app.conf.update(result_expires=None, **settings)
    return app


def _settings(app: Celery) -> Settings:
    return _load(app).settings


def test_settings_are_found_as_everywhere_and_then_in_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _app(beatd_timezone="Asia/Tokyo", beatd_scheduler_batch=7, beatd_history_keep_days=5)
    assert _settings(app).timezone == "Asia/Tokyo"
    (tmp_path / "beatd").mkdir()
    (tmp_path / "beatd" / "beatd.toml").write_text('timezone = "Europe/Berlin"\n')
    monkeypatch.setenv("BEATD_SCHEDULER_BATCH", "9")
    settings = _settings(app)
    assert settings.timezone == "Europe/Berlin"
    assert settings.scheduler.batch == 9
    assert settings.history.keep_days == 5


@pytest.mark.parametrize(
    ("settings", "reports"),
    [
        ({}, False),
        ({"include": ["beatd.worker.plugin"]}, True),
        ({"imports": ("proj.tasks", "beatd.worker.plugin")}, True),
        ({"beatd_celery_reports": True}, True),
    ],
)
def test_workers_report_that_load_the_plugin(
    settings: dict[str, Any], reports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "beatd.worker.plugin", raising=False)
    assert _settings(_app(**settings)).celery.reports is reports


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"beatd_databse_url": "sqlite:///x"},
            "beatd_databse_url: '…': beatd has no such setting; did you mean",
        ),
        ({"beatd_database_url": "oracle://db/shop"}, "the database must be one of sqlite:///PATH"),
        ({"beatd_broker_url": "nothing://"}, "kombu has no such transport"),
        (
            {"beat_schedule": {"half": {"task": "t", "schedule": 0.5}}},
            "proj beat_schedule['half']: schedule: 'every 0.5 seconds': only whole seconds are counted "
            "(app.conf.beatd_partial = True leaves out what cannot be); for example",
        ),
    ],
)
def test_it_ends_with_a_line_for_what_is_wrong(
    settings: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL), pytest.raises(SystemExit) as ended:
        Scheduler(app=_app(**settings), schedule_filename="x", max_interval=None)
    assert ended.value.code == 1
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert message.startswith("beatd: ")
    assert told in message


def test_the_banner_shows_the_database_without_its_password() -> None:
    app = _app(beatd_database_url="postgresql://beatd:secret@db.example.com/beatd")
    shown = Scheduler(app=app, lazy=True).info
    assert shown == "    . db -> postgresql+psycopg://beatd:***@db.example.com/beatd"


def test_the_banner_leaves_what_is_wrong_to_the_start() -> None:
    """It is printed before the log is set up."""
    assert Scheduler(app=_app(beatd_batch=7), lazy=True).info == "    . db -> not known"


def test_without_a_log_it_is_told_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(
        "import logging\nfrom celery import Celery, signals\napp = Celery('proj')\n"
        "app.conf.beatd_database_url = 'oracle://db/shop'\n"
        "@signals.setup_logging.connect\ndef nothing(**_): pass\n"
    )
    command = [sys.executable, "-m", "celery", "-A", "proj", "beat", "-S", "beatd.beat:Scheduler"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("beatd: app.conf.beatd_database_url: database.url: 'oracle://db/shop'")
    assert "the database must be one of sqlite:///PATH" in line


def test_names_that_are_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By an entry that was made by hand."""
    app = _app(beat_schedule={"whole": {"task": "t", "schedule": 3600}})
    settings = _settings(app)
    with closing(Database.configured(settings.database, create=True)) as database:
        schema.upgrade(database)
        context = Context.of(settings, database, "somebody", "cli")
        entries.add(context, "whole", {"every": "5m", "shell": "true"})
    with caplog.at_level(logging.CRITICAL), pytest.raises(SystemExit):
        Scheduler(app=app)
    assert caplog.messages[-1].endswith("for example \"app.conf.beatd_prefix = 'proj-'\"")
    app.conf.beatd_prefix = "proj-"
    Scheduler(app=app).close()
    assert sorted(_names(tmp_path)) == ["proj-whole", "whole"]


def test_an_app_of_another_project_ends_before_it_removes_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Scheduler(app=_app(beat_schedule={"a": {"task": "t", "schedule": 3600}})).close()
    with caplog.at_level(logging.CRITICAL), pytest.raises(SystemExit):
        Scheduler(app=_app(beat_schedule={"b": {"task": "u", "schedule": 3600}}))
    assert "source: 'proj': none of the entries that came from it (a)" in caplog.messages[-1]
    assert _names(tmp_path) == ["a"]


def test_one_entry_may_be_left_out_if_that_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = {"half": {"task": "t", "schedule": 0.5}, "whole": {"task": "t", "schedule": 3600}}
    scheduler = Scheduler(app=_app(beat_schedule=schedule, beatd_partial=True))
    scheduler.close()
    scheduler.close()
    assert _names(tmp_path) == ["whole"]
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "schedule.warning" in told
    assert "half" in told


def test_what_is_odd_about_the_whole_is_logged_when_entries_come(caplog: pytest.LogCaptureFixture) -> None:
    app = _app(beat_schedule={"hourly": {"task": "t", "schedule": 3600}})
    for noted in (1, 0):
        caplog.clear()
        Scheduler(app=app).close()
        assert caplog.text.count("hourly: beat counts intervals from its last run") == noted


def test_a_thread_of_a_worker_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[object] = []

    def start() -> None:
        with pytest.raises(SystemExit) as caught:
            Scheduler(app=_app())
        ended.append(caught.value.code)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(30)
    assert ended == [1]
    assert "start celery beat by itself" in caplog.text


def test_a_signal_ends_it_in_order(tmp_path: Path) -> None:
    scheduler = Scheduler(app=_app(beat_schedule={"a": {"task": "t", "schedule": 3600}}))
    assert scheduler.tick() == 0
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        _tick_on(scheduler)
    assert ended.value.code == 0
    scheduler.close()
    assert _names(tmp_path) == ["a"]
    database = Database.open(f"sqlite:///{tmp_path}/state/beatd.db")
    assert schema.state(database).newest
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM nodes").all() == []
    database.close()


def _tick_on(scheduler: Scheduler) -> None:
    while True:
        scheduler.tick()


def _names(folder: Path) -> list[str]:
    database = Database.open(f"sqlite:///{folder}/state/beatd.db")
    with database.read() as connection:
        names = [row.name for row in connection.exec_driver_sql("SELECT name FROM entries")]
    database.close()
    return names
