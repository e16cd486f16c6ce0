"""`beatd verify`: what it prints and how it ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.inside import InProcess
from tests.cli.program import Beatd


@pytest.fixture
def beatd(tmp_path: Path) -> Beatd:
    beatd = InProcess(tmp_path)
    beatd("db", "upgrade")
    return beatd


def was_added_before(beatd: Beatd, span: timedelta) -> None:
    """The entries are older than they are; no scheduler was there since."""
    at = f"{datetime.now(UTC) - span:%Y-%m-%dT%H:%M:%S.%fZ}"
    with closing(sqlite3.connect(beatd.database)) as connection:
        connection.execute("UPDATE entry_versions SET changed_at = ?", (at,))
        connection.commit()


def test_nothing_wrong(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--cron", "* * * * *", "--shell", "true")
    told = beatd("verify", "--since", "1h")
    assert told.returncode == 0
    assert "1 entries, " in told.stdout
    assert "✓ 0 fires, 0 runs, 0 counted, 0 missed, 0 doubled" in told.stdout


def test_what_no_scheduler_ran_is_missed(beatd: Beatd) -> None:
    beatd("entry", "add", "hello", "--cron", "* * * * *", "--shell", "true")
    was_added_before(beatd, timedelta(minutes=30))
    told = beatd("verify", "--since", "20m", status=1)
    assert "missed" in told.stdout
    assert "✗ 1" in told.stdout
    found = json.loads(beatd("verify", "--since", "20m", "--json", status=1).stdout)
    assert found["ok"] is False
    assert found["verified"]["total"]["counts"]["missed"] >= 17


def test_a_stretch_that_is_none(beatd: Beatd) -> None:
    told = beatd("verify", "--since", "1s", status=2)
    assert "not settled yet" in told.stderr
