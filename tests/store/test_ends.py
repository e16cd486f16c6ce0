"""Nudges: told once, taken once; and what is asked of ends."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from beatd.store import ends, history, timers
from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, nudges
from beatd.store.timers import Timer
from tests.store.rows import HOUR, NOW, SECOND, nudged, put, row, run_id, stored


def take(database: Database, limit: int = 10) -> tuple[int, tuple[int, ...]]:
    with database.write() as connection:
        taken = ends.take_nudges(connection, database.dialect, limit)
    return taken.taken, taken.ended


def timer(entry_id: int, **values: Any) -> Timer:
    blank = {"next_due_at": None, "next_fire_at": None, "last_fire_at": None, "planned_from": NOW}
    rest = {"planned_version": 1, "planner": 2, "zone_data": None, "state": "active", "error": None}
    return Timer(**{"entry_id": entry_id, **blank, **rest, **values})


def test_nudges_are_taken_once_and_each_entry_is_named_once(database: Database) -> None:
    kinds = [("outbox", 1), ("ended", 2), ("ended", 3), ("ended", 2), ("outbox", None), ("ended", 1)]
    with database.write() as connection:
        connection.execute(insert(nudges), [{"kind": kind, "entry_id": entry} for kind, entry in kinds])
    assert take(database, 4) == (4, (2, 3))
    assert take(database, 4) == (2, (1,))
    assert take(database, 4) == (0, ())


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_nudges_that_another_node_takes_are_passed_over(database: Database) -> None:
    with database.write() as connection:
        ends.nudge_entries(connection, [])
        ends.nudge_entries(connection, [1, 2, 3])
    with database.write() as one, database.write() as other:
        assert ends.take_nudges(one, database.dialect, 2).ended == (1, 2)
        assert ends.take_nudges(other, database.dialect, 9).ended == (3,)


def test_only_ends_that_are_waited_for_are_told(database: Database) -> None:
    final = [row(n, state=state, awaited=True) for n, state in enumerate(FINAL_STATES)]
    put(database, *final, row(10, state="started", awaited=True), row(11, state="succeeded"))
    with database.write() as connection:
        assert ends.nudge(connection, []) == 0
        assert ends.nudge(connection, [run_id(n) for n in (*range(len(FINAL_STATES)), 10, 11, 99)]) == 6
    assert {run for _, _, run in nudged(database)} == {run_id(n) for n in range(6)}


@pytest.mark.parametrize("run_once", [True, False])
def test_a_revocation_is_told(database: Database, run_once: bool) -> None:
    put(database, row(1, awaited=True, run_once=run_once))
    with database.write() as connection:
        if run_once:
            done = history.revoke_unclaimed(connection, database.dialect, run_id(1), NOW, "by hand")
        else:
            done = history.revoke_unsent(connection, run_id(1), NOW, "by hand")
    assert done
    assert nudged(database) == [("ended", 1, run_id(1))]


def test_from_now_on_the_end_is_waited_for(database: Database) -> None:
    put(database, row(1, state="started"), row(2, state="lost"), row(3, state="started", entry_id=2))
    with database.write() as connection:
        ends.await_open(connection, [])
        ends.await_open(connection, [1])
    assert [stored(database, n).awaited for n in (1, 2, 3)] == [True, False, False]


def test_the_last_end_is_that_of_the_newest_scheduled_run_that_ended(database: Database) -> None:
    def ended(number: int, at: int, **values: Any) -> dict[str, Any]:
        return row(number, **{"state": "succeeded", "finished_at": NOW + at * SECOND, **values})

    put(
        database,
        ended(1, 50),
        ended(2, 20, state="lost"),
        row(3, state="started"),
        ended(4, 90, origin="trigger:1"),
        ended(5, 70, origin="backfill:1"),
        ended(6, 10, entry_id=2),
        row(7, entry_id=3),
    )
    with database.write() as connection:
        timers.save(connection, database.dialect, [timer(n) for n in (1, 2, 3, 4)])
        assert ends.last_ends(connection, [1, 2, 3, 4]) == {1: NOW + 20 * SECOND, 2: NOW + 10 * SECOND}
        assert ends.last_ends(connection, []) == {}


HELD = {"state": "held", "owner": None, "lease_until": None}

#: Runs and timers of one entry, and whether it waits for an end that nobody tells any more.
FORGOTTEN: dict[str, tuple[list[dict[str, Any]], dict[str, Any], bool]] = {
    "held alone": ([HELD], {"next_due_at": NOW}, True),
    "held, expired": ([{**HELD, "expires_at": NOW}], {"next_due_at": NOW}, False),
    "held beside a started one": ([HELD, {"state": "started"}], {"next_due_at": NOW}, False),
    "held beside an ended one": ([HELD, {"state": "failed"}], {"next_due_at": NOW}, True),
    "fixed delay, ended": ([{"state": "succeeded"}], {}, True),
    "fixed delay, under way": ([{"state": "published"}], {}, False),
    "fixed delay, planned": ([{"state": "succeeded"}], {"next_due_at": NOW + HOUR}, False),
    "completed": ([{"state": "succeeded"}], {"state": "completed"}, False),
    "paused": ([{"state": "succeeded"}], {"state": "paused"}, False),
    "at boot": ([{"state": "succeeded", "origin": "boot:here:1"}], {}, False),
}


@pytest.mark.parametrize("case", FORGOTTEN)
def test_ends_that_nobody_told(database: Database, case: str) -> None:
    rows, values, forgotten = FORGOTTEN[case]
    put(database, *(row(n, **{"awaited": True, **one}) for n, one in enumerate(rows, 1)))
    with database.write() as connection:
        timers.save(connection, database.dialect, [timer(1, **values)])
        assert ends.nudge_forgotten(connection, NOW, 10) == int(forgotten)
    assert take(database) == ((1, (1,)) if forgotten else (0, ()))
