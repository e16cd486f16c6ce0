"""Runs are locked before claims, by everyone: so nobody who closes, cancels or revokes waits for another who
waits for him.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event

from beatd.store import history, overlaps
from beatd.store.deadlines import close_lapsed_claims
from beatd.store.engine import Database
from tests.store.rows import NOW, SECOND, claim, claimed, closed, put, row, run_id, states, stored

servers = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)

RUN_ONCE = {"state": "started", "run_once": True}


@servers
@pytest.mark.parametrize("reruns_left", [0, 2])
def test_a_lapsed_claim_whose_run_somebody_is_cancelling_is_left_to_the_next_sweep(
    database: Database, reruns_left: int
) -> None:
    put(database, row(1, **RUN_ONCE, reruns_left=reruns_left), row(2, **RUN_ONCE))
    for number in (1, 2):
        claim(database, number, NOW - SECOND)
    claim(database, 99, NOW - SECOND)  # its run is gone
    with database.write() as connection:
        cancelled = overlaps.cancel(connection, database.dialect, [1], NOW)
        assert set(cancelled.asked) == {run_id(1), run_id(2)}
        with database.write() as other:
            assert close_lapsed_claims(other, database.dialect, NOW, 10) == (0, 0)
    lost = 2
    assert closed(database, close_lapsed_claims, 10) == (lost, 0), "who is cancelled is not started again"
    assert closed(database, close_lapsed_claims, 10) == (0, 0)
    assert states(database) == {1: "lost", 2: "lost"}


@servers
def test_a_claim_that_is_renewed_at_the_last_moment_is_not_closed(database: Database) -> None:
    put(database, row(1, **RUN_ONCE))
    claim(database, 1, NOW - SECOND)
    with database.write() as worker:
        worker.exec_driver_sql("UPDATE claims SET worker = worker")
        with database.write() as connection:
            assert close_lapsed_claims(connection, database.dialect, NOW, 10) == (0, 0)
    assert states(database) == {1: "started"}


@servers
def test_a_person_revokes_what_somebody_is_cancelling(database: Database) -> None:
    put(database, row(1, state="published", run_once=True))
    about_to_wait = threading.Event()
    told: list[bool] = []

    def revoke() -> None:
        with database.write() as connection:
            told.append(history.revoke_unclaimed(connection, database.dialect, run_id(1), NOW, "by hand"))

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if threading.current_thread() is person and ("FOR UPDATE" in statement or "UPDATE runs" in statement):
            about_to_wait.set()

    person = threading.Thread(target=revoke)
    event.listen(database.engine, "before_cursor_execute", listen)
    try:
        with database.write() as connection:
            # as `cancel` begins
            connection.execute(database.dialect.locked(history.runs.select()))
            person.start()
            assert about_to_wait.wait(60)
            assert overlaps.cancel(connection, database.dialect, [1], NOW).asked == ()
    finally:
        event.remove(database.engine, "before_cursor_execute", listen)
        person.join(10)
    assert told == [False]
    assert (stored(database).state, stored(database).reason) == ("revoked", "cancelled for a newer run")
    assert claimed(database) == {run_id(1)}
