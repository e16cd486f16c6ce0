"""SIGTERM drains, SIGHUP reads the configuration again, and neither loses a fire."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from datetime import datetime, timedelta

import pytest

from tests.processes import Installation, Process
from tests.services.rabbit import RabbitMQ
from tests.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture(params=["PostgreSQL + RabbitMQ", "SQLite + embedded"])
def installation(request: pytest.FixtureRequest) -> Installation:
    names = ("postgres_url", "rabbit_url") if "RabbitMQ" in request.param else ("sqlite_url",)
    database, broker = [*map(request.getfixturevalue, names), ""][:2]
    made: Installation = request.getfixturevalue("install")(database, broker)
    made.upgrade()
    made.broker().declare("counted")
    return made


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ"], indirect=True)
def test_hangup_while_fires_go_on_loses_none(installation: Installation) -> None:
    scheduler = installation.scheduler()
    start, end = _write_entries(installation, seconds=4)
    config = installation.folder / "beatd.toml"
    texts = [
        "[scheduler]\nbatch = 7\n",
        "[broker]\nwindow = 3\n",  # another connection
        "[broker]\nwindwo = 3\n",  # refused
        'timezone = "Europe/Berlin"\n',  # all entries are planned afresh
        "",
    ]
    for number, text in enumerate(texts, 1):
        at = start + 0.7 * number * SECOND
        eventually(lambda at=at: installation.now() >= at)  # type: ignore[misc]
        config.write_text(text)
        scheduler.signal(signal.SIGHUP)
        eventually(lambda n=number: _reloads(scheduler) >= n)  # type: ignore[misc]
    assert "windwo" in scheduler.text()
    _compare(installation, start, end)
    assert scheduler.running


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ"], indirect=True)
def test_hangup_moves_everything_to_another_broker(installation: Installation, rabbit: RabbitMQ) -> None:
    """Messages and reports: a run on the new broker comes to its end in the history."""
    elsewhere = rabbit.create_vhost()
    config = installation.folder / "beatd.toml"
    config.write_text(f'[broker]\nurl = "{installation.env.pop("BEATD_BROKER_URL")}"\n')
    scheduler = installation.scheduler()
    config.write_text(f'[broker]\nurl = "{rabbit.url(elsewhere)}"\n')
    scheduler.signal(signal.SIGHUP)
    eventually(lambda: _reloads(scheduler) == 1)
    installation.worker(BEATD_BROKER_URL=rabbit.url(elsewhere))
    installation.add("tick", every="1s", **installation.shell())
    eventually(lambda: installation.states()["succeeded"] >= 2)
    rabbit.delete_vhost(elsewhere)


def test_terminated_and_started_again_while_fires_go_on(installation: Installation) -> None:
    scheduler = installation.scheduler()
    start, end = _write_entries(installation, seconds=4)
    eventually(lambda: installation.now() > start + 1.3 * SECOND)
    began = time.monotonic()
    assert scheduler.stop() == 0
    assert time.monotonic() - began < 30
    assert installation.states().keys() == {"published"}, "recorded, but not published"
    assert installation.rows("SELECT * FROM nodes") == []
    text = scheduler.text()
    assert text.index("daemon.stopping") < text.index("node.left") < text.index("daemon.stopped")
    installation.scheduler()
    _compare(installation, start, end)


@pytest.mark.parametrize("installation", ["PostgreSQL + RabbitMQ"], indirect=True)
def test_terminated_while_the_broker_is_away(installation: Installation) -> None:
    """It does not wait for it: what is recorded is free for the next node at once."""
    url = re.sub(r":\d+/", ":9/", installation.env["BEATD_BROKER_URL"])
    scheduler = installation.scheduler(BEATD_BROKER_URL=url)
    start, end = _write_entries(installation, seconds=3)
    eventually(lambda: installation.states()["pending"] >= 20)
    began = time.monotonic()
    assert scheduler.stop() == 0
    assert time.monotonic() - began < 30
    installation.scheduler()
    _compare(installation, start, end)


def test_terminated_while_it_waits_for_a_database(installation: Installation) -> None:
    url = re.sub(r":\d+/", ":9/", installation.env["BEATD_DATABASE_URL"])
    if url.startswith("sqlite"):
        url = f"sqlite:///{installation.folder}/not-set-up"
    scheduler = installation.scheduler(ready=False, BEATD_DATABASE_URL=url)
    scheduler.tells("daemon.waiting")
    began = time.monotonic()
    assert scheduler.stop() == 0
    assert time.monotonic() - began < 30


def _write_entries(installation: Installation, seconds: int) -> tuple[datetime, datetime]:
    start = installation.now().replace(microsecond=0) + 2 * SECOND
    end = start + seconds * SECOND
    for number in range(10):
        limits = {"start_at": start.isoformat(), "end_at": end.isoformat(), "expires": "10m"}
        installation.add(f"e{number}", every="1s", task="x", queue="counted", **limits)
    return start, end


def _reloads(scheduler: Process) -> int:
    return scheduler.text().count("config.reloaded") + scheduler.text().count("config.refused")


def _compare(installation: Installation, start: datetime, end: datetime) -> None:
    """Each fire of the window was published once."""
    count = (end - start) // SECOND + 1
    expected = {(f"e{n}", start + k * SECOND) for n in range(10) for k in range(count)}
    eventually(lambda: installation.states() == {"published": len(expected)})
    messages = installation.broker().take("counted")
    assert Counter((m.entry, m.fire_time) for m in messages) == dict.fromkeys(expected, 1)
