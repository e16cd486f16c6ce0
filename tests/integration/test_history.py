"""From the entry to the history, end to end: overlap, refused messages, reports across a restart, revoke."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.processes import Installation
from tests.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def installation(postgres_url: str, rabbit_url: str, install: Callable[..., Installation]) -> Installation:
    installation = install(postgres_url, rabbit_url, BEATD_CELERY_APP="tests.acceptance.project:app")
    installation.upgrade()
    return installation


def test_overlap_skip(installation: Installation) -> None:
    """No run starts beside another of its entry; each fire that was skipped is counted."""
    installation.scheduler()
    installation.worker(concurrency=4)
    start = installation.now().replace(microsecond=0) + 2 * SECOND
    rule = {"every": "1s", "start_at": start.isoformat(), "end_at": (start + 4 * SECOND).isoformat()}
    journal = installation.folder / "journal"
    command = f"echo begin >> {journal}; sleep 1.2; echo end >> {journal}"
    installation.add("long", overlap="skip", expires="1m", **rule, **installation.shell(command))
    eventually(lambda: installation.rows("SELECT 1 FROM timers WHERE state = 'completed'"))
    installation.await_runs(len(installation.runs()), 20)

    lines = journal.read_text().split()
    assert lines == ["begin", "end"] * (len(lines) // 2)
    assert 2 <= len(lines) // 2 <= 3
    assert installation.states() == {"succeeded": len(lines) // 2}
    skipped = installation.rows("SELECT reason, count FROM suppressions")
    assert {row.reason for row in skipped} == {"overlap"}
    assert sum(row.count for row in skipped) + len(lines) // 2 == 5


def test_a_message_that_nobody_takes_is_an_error_on_its_run(installation: Installation) -> None:
    """Of good and bad ones in one batch, each comes to its own end."""
    installation.worker()
    installation.scheduler()
    at = {"at": (installation.now() + SECOND).isoformat(), "task": "record"}
    topic = {"exchange": "acceptance.topic", "exchange_type": "topic"}
    rows = [{"name": f"good{n}", **at} for n in range(20)]
    rows[5:5] = [
        {"name": "nowhere", "exchange": "no.such.exchange", "routing_key": "key", **at},
        {"name": "unbound", "routing_key": "no.such.key", **topic, **at},
        {
            "name": "other-type",
            "exchange": "acceptance.direct",
            "exchange_type": "topic",
            "routing_key": "left",
            **at,
        },
    ]
    installation.add_all(rows)
    installation.await_runs(23)
    ended = {run.name: run for run in installation.runs()}
    bad = {name: run for name, run in ended.items() if not name.startswith("good")}
    assert {run.state for name, run in ended.items() if name.startswith("good")} == {"succeeded"}
    assert {run.state for run in bad.values()} == {"failed"}
    assert "no.such.exchange" in bad["nowhere"].error
    assert "no.such.key" in bad["unbound"].error
    assert "acceptance.direct" in bad["other-type"].error
    assert len(installation.ledger()) == 20


def test_reports_wait_for_a_daemon_that_is_away(installation: Installation) -> None:
    scheduler = installation.scheduler()
    installation.worker(concurrency=4)
    at = (installation.now() + SECOND).isoformat()
    release = installation.folder / "release"
    note = 'echo "$BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID" >> {ledger}'
    command = f"{note}; until test -e {release}; do sleep 0.05; done"
    for number in range(4):
        installation.add(f"e{number}", at=at, **installation.shell(command))
    eventually(lambda: installation.states() == {"started": 4})
    assert scheduler.stop() == 0
    release.touch()
    [(id_,)] = installation.rows("SELECT CAST(id AS text) FROM installation")
    eventually(lambda: installation.broker().count(f"beatd.reports.{id_}") == 4)
    assert installation.states() == {"started": 4}
    installation.scheduler()
    installation.await_runs(4)
    assert installation.states() == {"succeeded": 4}


def test_what_a_task_returns_or_raises_is_in_the_history(installation: Installation) -> None:
    installation.scheduler()
    installation.worker()
    at = {"at": (installation.now() + SECOND).isoformat()}
    installation.add("returns", task="record", args='[1, "zwei"]', kwargs='{"drei": 3}', **at)
    installation.add("fails", **at, **installation.shell("echo said; exit 3"))
    installation.add("unknown", task="no.such.task", **at)
    installation.await_runs(3)
    ended = {run.name: run for run in installation.runs()}
    assert (ended["returns"].state, ended["returns"].result) == ("succeeded", '[1, "zwei", {"drei": 3}]')
    assert ended["fails"].state == "failed"
    assert "exit status 3" in ended["fails"].error
    assert "said" in ended["fails"].error
    assert ended["unknown"].state == "failed"
    assert "no.such.task" in ended["unknown"].error
