"""Runs: recorded once, leased, marked by their owner alone, given back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from beatd.planning.reasons import UNPUBLISHED
from beatd.store import runs
from beatd.store.engine import Database
from beatd.store.runs import OutboxRun
from tests.store.rows import LEASE, NOW, SECOND, THEM, US, nudged, outbox, put, row, run_id, stored

# Recording


def test_what_is_recorded_is_read_back(database: Database) -> None:
    with database.write() as connection:
        assert runs.record(connection, database.dialect, []) == []
        recorded = runs.record(connection, database.dialect, [row(1), row(2, expires_at=None)])
    assert recorded == [outbox(1), outbox(2, expires_at=None)]
    found = stored(database)._mapping
    assert {name: found[name] for name in row(1)} == row(1)
    assert (found["retries"], found["report_rank"], found["published_at"]) == (0, 0, None)


def test_runs_that_exist_are_passed_over(database: Database) -> None:
    put(database, row(1, state="succeeded", owner=None, lease_until=None), row(2, owner=THEM))
    # the same fire under another id: the database was restored into another installation
    put(database, row(3, id=str(uuid4())))
    with database.write() as connection:
        recorded = runs.record(connection, database.dialect, [row(n) for n in range(1, 6)])
        assert recorded == [outbox(4), outbox(5)]
        assert runs.record(connection, database.dialect, [row(1)]) == []
    assert stored(database, 1).state == "succeeded"
    assert stored(database, 2).owner == THEM


def test_a_run_is_one_of_its_entry_fire_time_and_origin(database: Database) -> None:
    put(database, row(1))
    others = [
        row(2, fire_time=NOW + SECOND + timedelta(microseconds=1)),
        row(3, fire_time=NOW + SECOND, entry_id=2),
        row(4, fire_time=NOW + SECOND, origin="trigger:1"),
        row(5, fire_time=NOW + SECOND),
    ]
    with database.write() as connection:
        recorded = runs.record(connection, database.dialect, others)
    assert [run.id for run in recorded] == [run_id(2), run_id(3), run_id(4)]


def test_only_what_is_leased_is_its_owners_to_publish(database: Database) -> None:
    waits = {"owner": None, "attempt": 0}
    rows = [
        row(1),
        row(2, state="held", lease_until=None, **waits),
        row(3, lease_until=NOW + 10 * SECOND, **waits),
        row(4, reruns_left=3),
    ]
    with database.write() as connection:
        assert runs.record(connection, database.dialect, rows) == [outbox(1), outbox(4, reruns_left=3)]
        assert runs.next_lapse(connection) == NOW + 10 * SECOND
        taken = runs.take_lapsed(connection, database.dialect, US, NOW + 10 * SECOND, LEASE, 9)
    assert taken == [outbox(3)]
    # some of the fires had their run already
    with database.write() as connection:
        again = [row(n, lease_until=LEASE + SECOND, **(waits if n == 6 else {})) for n in range(1, 7)]
        assert runs.record(connection, database.dialect, again) == [outbox(5)]


def test_a_backfill_wakes_a_node_and_lets_it_look_what_may_start(database: Database) -> None:
    old = {"origin": "backfill:1", "owner": None, "attempt": 0, "expires_at": None}
    throttled = [row(n, lease_until=NOW + n * SECOND, **old) for n in (1, 2, 3)]
    with database.write() as connection:
        runs.record_backfill(connection, [])
        runs.record_backfill(connection, throttled)
        assert runs.next_lapse(connection) == NOW + SECOND
    assert nudged(database) == [("outbox", 1, None)]
    held = [row(n, entry_id=2, state="held", lease_until=None, **old) for n in (4, 5)]
    with database.write() as connection:
        runs.record_backfill(connection, held)
    assert nudged(database)[1:] == [("outbox", 2, None), ("ended", 2, None)]
    at = NOW + 2 * SECOND
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, at, LEASE, 9)
    assert [run.id for run in taken] == [run_id(1), run_id(2)], "no faster than they are to go out"


# Leases


def test_lapsed_leases_are_taken(database: Database) -> None:
    later = NOW + timedelta(microseconds=1)
    put(
        database,
        row(1, lease_until=NOW, owner=THEM),
        row(2, lease_until=later),
        row(3, lease_until=NOW - SECOND, owner=None, attempt=4),
        row(4, lease_until=NOW - SECOND, state="published"),
        row(5, lease_until=None, owner=None, state="started"),
    )
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
        assert taken == [outbox(3, attempt=5), outbox(1, attempt=2)]
        assert runs.take_lapsed(connection, database.dialect, THEM, NOW, LEASE, 10) == []
    assert (stored(database).owner, stored(database).lease_until, stored(database).attempt) == (US, LEASE, 2)
    with database.write() as connection:
        assert runs.take_lapsed(connection, database.dialect, THEM, LEASE, LEASE + SECOND, 1) == [
            outbox(2, attempt=2)
        ]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_lapsed_leases_that_another_takes_are_passed_over(database: Database) -> None:
    put(database, *(row(n, lease_until=NOW - n * SECOND) for n in range(10)))
    put(database, *(row(n, state="succeeded", lease_until=None) for n in range(100, 200)))
    with database.write() as one, database.write() as other:
        first = runs.take_lapsed(one, database.dialect, US, NOW, LEASE, 4)
        second = runs.take_lapsed(other, database.dialect, THEM, NOW, LEASE, 4)
    assert [run.id for run in first] == [run_id(n) for n in (9, 8, 7, 6)]
    assert [run.id for run in second] == [run_id(n) for n in (5, 4, 3, 2)]


def test_of_many_that_take_at_once_no_two_get_the_same(database: Database) -> None:
    put(database, *(row(n, lease_until=NOW) for n in range(100)))
    barrier, taken = threading.Barrier(4), []

    def take(owner: str) -> None:
        barrier.wait()
        for _ in range(200):
            with database.write() as connection:
                some = runs.take_lapsed(connection, database.dialect, owner, NOW, LEASE, 3)
                runs.mark_published(connection, owner, some, NOW)
            taken.extend(run.id for run in some)
            if len(taken) >= 100:
                return

    threads = [threading.Thread(target=take, args=(str(uuid4()),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == sorted(run_id(n) for n in range(100))


#: What the owner of a run may do, by a function of (connection, owner, runs) that returns their number.
CHANGES: dict[str, Callable[[Any, str, list[OutboxRun]], int]] = {
    "renew": lambda c, owner, some: len(runs.renew(c, owner, some, LEASE + SECOND)),
    "published": lambda c, owner, some: runs.mark_published(c, owner, some, NOW),
    "expired": lambda c, owner, some: runs.mark_expired(c, owner, some, NOW),
    "refused": lambda c, owner, some: sum(runs.mark_refused(c, owner, run, NOW, "no queue") for run in some),
    "release": lambda c, owner, some: runs.release(c, owner, some, NOW, "broker down"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_the_owner_of_this_taking_may_change_a_run(database: Database, change: str) -> None:
    put(
        database,
        row(0),
        row(1, owner=THEM),
        row(2, attempt=2),
        row(3, state="started"),
        row(4, owner=None),
        row(5, state="published"),
        row(6, attempt=3),
    )
    before = [stored(database, n) for n in range(1, 6)]
    asked = [outbox(n) for n in range(6)] + [outbox(6, attempt=3), outbox(99)]
    with database.write() as connection:
        assert CHANGES[change](connection, US, []) == 0
        assert CHANGES[change](connection, US, asked) == 2
    assert [stored(database, n) for n in range(1, 6)] == before
    assert stored(database, 0) != row(0)


def test_what_the_owner_s_changes_write(database: Database) -> None:
    put(database, *(row(n, error="broker down") for n in range(6)))
    with database.write() as connection:
        assert runs.renew(connection, US, [outbox(1), outbox(9)], LEASE + SECOND) == {run_id(1)}
        assert runs.renew(connection, US, [outbox(1)], LEASE) == {run_id(1)}  # never shorter
        runs.mark_published(connection, US, [outbox(2)], NOW + SECOND)
        runs.mark_expired(connection, US, [outbox(3)], NOW + SECOND)
        runs.mark_refused(connection, US, outbox(4), NOW + SECOND, "no such exchange")
        runs.release(connection, US, [outbox(5)], NOW + SECOND, "broker down again")
        assert runs.count_pending(connection) == 3
    names = ("state", "owner", "lease_until", "published_at", "finished_at", "error", "reason")
    found = {n: tuple(getattr(stored(database, n), name) for name in names) for n in range(1, 6)}
    at = NOW + SECOND
    assert found == {
        1: ("pending", US, LEASE + SECOND, None, None, "broker down", None),
        2: ("published", None, None, at, None, None, None),
        3: ("expired", None, None, None, at, None, UNPUBLISHED),
        4: ("failed", None, None, None, at, "no such exchange", "not published"),
        5: ("pending", None, at, None, None, "broker down again", None),
    }


def test_leases_of_the_dead_lapse_at_once(database: Database) -> None:
    dead = str(uuid4())
    put(
        database,
        row(1),
        row(2, owner=dead),
        row(3, owner=dead, state="published"),
        row(4, owner=dead, lease_until=NOW - SECOND),
    )
    with database.write() as connection:
        assert runs.release_owned_by(connection, [], NOW) == 0
        assert runs.release_owned_by(connection, [dead, THEM], NOW) == 1
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
    assert [run.id for run in taken] == [run_id(4), run_id(2)]


@pytest.mark.parametrize(
    ("mark", "nudges"), [("published", 0), ("expired", 1), ("refused", 1), ("release", 0), ("renew", 0)]
)
def test_ends_that_something_waits_for_are_told(database: Database, mark: str, nudges: int) -> None:
    put(database, row(1, awaited=True), row(2), row(3, awaited=True, owner=THEM))
    with database.write() as connection:
        CHANGES[mark](connection, US, [outbox(n) for n in (1, 2, 3)])
    assert nudged(database) == [("ended", 1, run_id(1))] * nudges
