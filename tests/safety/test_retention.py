"""Retention, however short, deletes nothing on which something still depends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from beatd.store import claims, deadlines, failures, retention
from beatd.store.claims import Claim
from beatd.store.engine import Database
from beatd.store.failures import Watched
from beatd.store.models import FINAL_STATES, OPEN_STATES, entries, runs
from tests.store.rows import HOUR, NOW, claim, put, row, run_id, states

DAY = 24 * HOUR
LONG_AGO = NOW - 400 * DAY


def cut_all(database: Database) -> None:
    """As short as the configuration allows."""
    for _ in range(5):
        with database.write() as connection:
            retention.cut_history(connection, NOW - DAY, 1000)
            for entry_id in retention.with_long_histories(connection, 1):
                retention.cut_long_history(connection, entry_id, 1, 1000)


@pytest.mark.parametrize("state", FINAL_STATES)
def test_a_message_delivered_again_of_a_deleted_run_starts_nothing(database: Database, state: str) -> None:
    """The broker may hold it for as long as it likes."""
    put(database, row(1, state=state, finished_at=LONG_AGO, expires_at=None, run_once=True))
    claim(database, 1, LONG_AGO, ended_at=LONG_AGO)
    cut_all(database)
    assert states(database) == {}
    for retries in (0, 1):
        taken = claims.take(database, run_id(1), "celery@late", timedelta(seconds=30), retries)
        assert taken is Claim.UNKNOWN_RUN


def test_runs_that_are_not_over_stay(database: Database) -> None:
    """They are needed for overlap, claims, reports, and to be published: however old and however many."""
    old = {"fire_time": LONG_AGO, "recorded_at": LONG_AGO, "expires_at": None, "published_at": NOW - DAY / 2}
    put(
        database,
        *(row(n, **{**old, "fire_time": LONG_AGO + n * HOUR, "state": s}) for n, s in enumerate(OPEN_STATES)),
    )
    put(database, *(row(n, state="succeeded", finished_at=NOW) for n in range(10, 20)))
    cut_all(database)
    assert set(states(database)) == {*range(len(OPEN_STATES)), 19}


def test_a_message_that_never_expires_still_finds_its_run(database: Database) -> None:
    """Its queue stood still for longer than the history is kept, and less than the entry's `lost_after`."""
    waiting = {"state": "published", "expires_at": None, "run_once": True, "lost_after": 7 * 86400}
    put(
        database, row(1, **waiting, published_at=NOW - 3 * DAY), row(2, **waiting, published_at=NOW - 9 * DAY)
    )
    cut_all(database)
    assert states(database) == {1: "published"}
    assert claims.take(database, run_id(1), "celery@late", timedelta(seconds=30)) is Claim.TAKEN


def test_a_claim_that_is_held_keeps_its_run(database: Database) -> None:
    """It began in time, and its reports have not come through."""
    begun = {"state": "published", "expires_at": LONG_AGO, "published_at": LONG_AGO, "run_once": True}
    put(database, row(1, **begun), row(2, **begun))
    claim(database, 1, NOW + HOUR)
    claim(database, 2, LONG_AGO, ended_at=LONG_AGO)
    cut_all(database)
    assert states(database) == {1: "published"}
    with database.write() as connection:
        assert deadlines.close_lapsed_claims(connection, database.dialect, NOW + 2 * HOUR, 10) == (1, 0)


def test_a_row_of_failures_is_counted_over_what_is_kept(database: Database) -> None:
    """An entry that runs once a year is paused after three failures all the same."""
    with database.write() as connection:
        pausing = {"name": "yearly", "cron": "@yearly", "task": "t", "on_failure": "pause"}
        connection.execute(insert(entries), {"id": 1, **pausing})
        connection.execute(insert(entries), {"id": 2, "name": "other", "cron": "@yearly", "task": "t"})
    for entry in (1, 2):
        put(
            database,
            *(
                row(
                    10 * entry + n,
                    entry_id=entry,
                    state="failed",
                    fire_time=NOW - n * 365 * DAY,
                    finished_at=NOW - n * 365 * DAY,
                )
                for n in range(1, 6)
            ),
        )
    cut_all(database)
    assert set(states(database)) == {11, 12, 13}
    with database.read() as connection:
        assert failures.in_a_row(connection, [Watched(1, 1, LONG_AGO - 2000 * DAY, 3)])


def test_nobody_counts_on_versions_that_are_gone(database: Database) -> None:
    with database.write() as connection:
        pausing = {"name": "yearly", "cron": "@yearly", "task": "t", "on_failure": "pause"}
        connection.execute(insert(entries), {"id": 1, **pausing})
    put(database, row(1, state="failed", fire_time=LONG_AGO, finished_at=LONG_AGO))
    with database.write() as connection:
        connection.execute(update(entries).values(task="another"))
    cut_all(database)
    assert states(database) == {}
    with database.read() as connection:
        assert connection.execute(runs.select()).all() == []
