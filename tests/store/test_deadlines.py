"""Runs that no report closes: expired, lost, started again, published again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from beatd.planning.reasons import UNPUBLISHED
from beatd.store import runs
from beatd.store.deadlines import (
    REPORT_SLACK,
    close_held,
    close_lapsed_claims,
    close_unheard,
    close_unpublished,
    close_unstarted,
    close_untold,
    publish_again,
    start_unheard_again,
)
from beatd.store.engine import Database
from beatd.store.models import claims
from tests.store.rows import (
    HOUR,
    LEASE,
    NOW,
    SECOND,
    US,
    claim,
    claimed,
    closed,
    nudged,
    put,
    row,
    run_id,
    states,
    stored,
)


def test_unpublished_runs_expire(database: Database) -> None:
    put(
        database,
        row(1, expires_at=NOW),
        row(2, expires_at=NOW + SECOND),
        row(3, expires_at=None),
        row(4, expires_at=NOW - HOUR, state="published"),
        row(5, expires_at=NOW - HOUR),
    )
    assert closed(database, close_unpublished, 1) == 1
    assert closed(database, close_unpublished, 10) == 1
    assert closed(database, close_unpublished, 10) == 0
    assert states(database) == {1: "expired", 2: "pending", 3: "pending", 4: "published", 5: "expired"}
    found = stored(database)
    assert (found.finished_at, found.reason, found.owner) == (NOW, UNPUBLISHED, None)


def test_unstarted_runs_expire_a_minute_late(database: Database) -> None:
    late = NOW - timedelta(seconds=61)
    put(
        database,
        *(row(n, state="published", expires_at=late) for n in (1, 2)),
        row(3, state="published", expires_at=NOW - timedelta(seconds=60)),
        row(4, state="published", expires_at=None),
        row(5, state="started", expires_at=late),
        row(6, expires_at=late),
    )
    claim(database, 2, NOW + HOUR)
    assert closed(database, close_unstarted, 10) == 1
    assert states(database) == {
        1: "expired",
        2: "published",
        3: "published",
        4: "published",
        5: "started",
        6: "pending",
    }
    assert stored(database).reason == "no worker started it before its expiry"


def test_unheard_runs_are_lost(database: Database) -> None:
    put(
        database,
        row(1, state="started", lost_at=NOW - SECOND),
        row(2, state="retrying", lost_at=NOW - SECOND),
        row(3, state="started", lost_at=NOW + SECOND),
        row(4, state="succeeded", lost_at=NOW - SECOND),
        row(5, state="published"),
    )
    assert closed(database, close_unheard, 10) == 2
    assert states(database) == {1: "lost", 2: "lost", 3: "started", 4: "succeeded", 5: "published"}


def test_runs_whose_claim_lapsed_are_lost(database: Database) -> None:
    put(
        database,
        row(1, state="started"),
        row(2, state="published"),
        row(3, state="succeeded", finished_at=NOW),
        row(4, state="started"),
        row(5, state="started"),
    )
    for number in (1, 2, 3):
        claim(database, number, NOW - SECOND)
    claim(database, 4, NOW + SECOND)
    claim(database, 5, NOW - SECOND, ended_at=NOW - SECOND)
    claim(database, 99, NOW - SECOND)  # its run is gone
    assert closed(database, close_lapsed_claims, 10) == (2, 0)
    assert closed(database, close_lapsed_claims, 10) == (0, 0)
    assert states(database) == {1: "lost", 2: "lost", 3: "succeeded", 4: "started", 5: "started"}
    with database.read() as connection:
        open_ = connection.execute(select(claims.c.run_id).where(claims.c.ended_at.is_(None))).scalars().all()
    assert open_ == [run_id(4)]


def test_runs_that_ended_without_a_report_are_lost(database: Database) -> None:
    long_ago = NOW - REPORT_SLACK - SECOND
    put(
        database,
        row(1, state="started", run_once=True),
        row(2, state="published", run_once=True),
        row(3, state="started", run_once=True),
        row(4, state="succeeded", run_once=True, finished_at=NOW),
        row(5, state="started", run_once=False),  # may be retried, under the same id
        row(6, state="started", run_once=True),
    )
    for number in (1, 2, 4, 5):
        claim(database, number, NOW, ended_at=long_ago)
    claim(database, 3, NOW, ended_at=long_ago + 2 * SECOND)
    claim(database, 6, NOW + HOUR)
    assert closed(database, close_untold, 10) == 2
    assert states(database) == {
        1: "lost",
        2: "lost",
        3: "started",
        4: "succeeded",
        5: "started",
        6: "started",
    }
    assert "could not report" in stored(database).reason


def test_what_never_expires_and_no_worker_starts_is_lost_some_time_after_its_publication(
    database: Database,
) -> None:
    hours_ago = {hours: NOW - hours * HOUR - SECOND for hours in (1, 2)}
    sent = {"state": "published", "expires_at": None, "owner": None}
    put(
        database,
        row(1, **sent, published_at=hours_ago[1], awaited=True),
        row(2, **sent, published_at=hours_ago[1], run_once=True),
        row(3, **sent, published_at=NOW - HOUR),
        row(4, **sent, published_at=hours_ago[1], lost_after=7200),
        row(5, **sent, published_at=hours_ago[2], lost_after=7200, origin="backfill:1"),
        row(6, **{**sent, "expires_at": NOW + HOUR}, published_at=hours_ago[1]),
        row(7, **{**sent, "state": "started"}, published_at=hours_ago[1]),
        row(8, **sent, published_at=hours_ago[1], run_once=True),
        row(9, expires_at=None, published_at=hours_ago[1]),
    )
    claim(database, 8, NOW + HOUR)
    assert closed(database, close_untold, 2) == 2
    assert closed(database, close_untold, 10) == 1
    assert closed(database, close_untold, 10) == 0
    assert {number for number, state in states(database).items() if state == "lost"} == {1, 2, 5}
    assert (stored(database).finished_at, stored(database).reason) == (
        NOW,
        "no worker started it within lost_after",
    )
    assert nudged(database) == [("ended", 1, run_id(1))]


def test_unclaimed_run_once_runs_are_published_again(database: Database) -> None:
    old = {"state": "published", "run_once": True, "published_at": NOW - 2 * SECOND, "owner": None}
    put(
        database,
        row(1, **old),
        row(2, **{**old, "run_once": False}),
        row(3, **old),
        row(4, **{**old, "published_at": NOW}),
        row(5, **old, expires_at=NOW),
        row(6, **old, expires_at=None),
        row(7, **{**old, "state": "started"}),
    )
    put_back = {1, 6}
    claim(database, 3, NOW + HOUR)
    assert closed(database, publish_again, SECOND, 10) == len(put_back)
    assert {n for n, state in states(database).items() if state == "pending"} == put_back
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
        assert {run.id for run in taken} == {run_id(n) for n in put_back}
        assert {run.attempt for run in taken} == {2}
        assert runs.mark_published(connection, US, taken, NOW + SECOND) == len(put_back)
    assert stored(database).published_at == NOW + SECOND


def test_held_runs_expire(database: Database) -> None:
    put(
        database,
        row(1, state="held", expires_at=NOW, awaited=True),
        row(2, state="held", expires_at=NOW + SECOND),
        row(3, state="held", expires_at=None),
        row(4, expires_at=NOW),
    )
    assert closed(database, close_held, 10) == 1
    assert states(database) == {1: "expired", 2: "held", 3: "held", 4: "pending"}
    assert stored(database).reason == "expired before the earlier run ended"
    assert nudged(database) == [("ended", 1, run_id(1))]


#: Of runs under `on_lost: rerun`.
RERUN = {"state": "started", "reruns_left": 3, "run_once": True, "owner": None, "lease_until": None}


def test_runs_whose_worker_vanished_start_again_if_they_may(database: Database) -> None:
    told = {"report_rank": 1, "retries": 2, "worker": "w1", "started_at": NOW - HOUR, "lost_at": NOW + HOUR}
    put(
        database,
        row(1, **RERUN, **told, published_at=NOW - HOUR, expires_at=NOW - SECOND),
        row(2, **{**RERUN, "reruns_left": 0}),
        row(3, **RERUN, reason="cancelled for a newer run"),
        row(4, **RERUN),
        row(5, **{**RERUN, "state": "succeeded"}, finished_at=NOW),
        row(6, **{**RERUN, "reruns_left": 1, "state": "published"}),
    )
    for number in (1, 2, 3, 5, 6):
        claim(database, number, NOW - SECOND)
    claim(database, 4, NOW + SECOND)
    assert closed(database, close_lapsed_claims, 10) == (2, 2)
    assert closed(database, close_lapsed_claims, 10) == (0, 0)
    assert states(database) == {
        1: "pending",
        2: "lost",
        3: "lost",
        4: "started",
        5: "succeeded",
        6: "pending",
    }
    assert claimed(database) == {run_id(n) for n in (2, 3, 4, 5)}
    names = ("reruns_left", "report_rank", "retries", "worker", "started_at", "lost_at", "published_at")
    found = stored(database)
    assert tuple(getattr(found, name) for name in names) == (2, 0, 0, None, None, None, None)
    assert (found.expires_at, found.reason) == (None, "started again: its worker vanished")
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 9)
    assert {(run.id, run.attempt, run.reruns_left) for run in taken} == {(run_id(1), 2, 2), (run_id(6), 2, 0)}


def test_unheard_runs_start_again_if_they_may(database: Database) -> None:
    unheard = {**RERUN, "lost_at": NOW - SECOND}
    put(
        database,
        row(1, **unheard),
        row(2, **{**unheard, "run_once": False, "state": "retrying"}),
        row(3, **{**unheard, "reruns_left": 0}),
        row(4, **unheard),
        row(5, **{**unheard, "lost_at": NOW}),
        row(6, **unheard),
    )
    claim(database, 4, NOW + SECOND)  # its worker lives: it may have lost its way to the broker
    claim(database, 6, NOW + SECOND, ended_at=NOW - SECOND)
    assert closed(database, start_unheard_again, 10) == 3
    assert closed(database, close_unheard, 10) == 2
    pending = dict.fromkeys((1, 2, 6), "pending")
    assert states(database) == {**pending, 3: "lost", 4: "lost", 5: "started"}
    assert claimed(database) == {run_id(4)}
    assert stored(database).reason == "started again: nothing was heard of it within lost_after"


#: What closes a run that looks so.
CLOSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "unpublished": (close_unpublished, {"expires_at": NOW}),
    "unstarted": (close_unstarted, {"state": "published", "expires_at": NOW - HOUR}),
    "unheard": (close_unheard, {"state": "started", "lost_at": NOW - SECOND}),
    "lapsed": (close_lapsed_claims, {"state": "started"}),
    "untold": (close_untold, {"state": "started", "run_once": True}),
    "published again": (
        lambda *args: publish_again(*args[:3], SECOND, args[3]),
        {"state": "published", "run_once": True, "published_at": NOW - HOUR},
    ),
    "started again": (start_unheard_again, {**RERUN, "lost_at": NOW - SECOND}),
}


@pytest.mark.parametrize("case", CLOSES)
def test_ends_that_something_waits_for_are_told(database: Database, case: str) -> None:
    close, values = CLOSES[case]
    put(database, row(1, **values, awaited=True), row(2, **values))
    for number in (1, 2):
        if case == "lapsed":
            claim(database, number, NOW - SECOND)
        if case == "untold":
            claim(database, number, NOW, ended_at=NOW - HOUR)
    assert closed(database, close, 10) in (2, (2, 0))
    ended = 0 if case.endswith("again") else 1
    assert nudged(database) == [("ended", 1, run_id(1))] * ended
