"""Timers: two nodes never hold the same one; what is written is read back; the queue of changed entries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from beatd.planning.look import Suppression
from beatd.store import timers
from beatd.store.engine import Database
from beatd.store.models import entries, entry_changes, suppressions
from beatd.store.timers import Timer

NOW = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SERVERS = ("postgresql", "mariadb")


def timer(entry_id: int, due: datetime | None = NOW, **values: Any) -> Timer:
    blank = Timer(entry_id, due, due, None, NOW - SECOND, 1, 1, None, "active", None)
    return replace(blank, **values)


def save(database: Database, *changed: Timer) -> None:
    with database.write() as connection:
        timers.save(connection, database.dialect, changed)


def all_of(database: Database) -> list[Timer]:
    with database.read() as connection:
        query = select(timers.timers).order_by(timers.timers.c.entry_id)
        return [Timer(*row) for row in connection.execute(query)]


def take_due(database: Database, connection: Any, limit: int = 100, planner: int = 1) -> list[int]:
    found = timers.take_due(connection, database.dialect, NOW, limit, planner)
    return [found_.entry_id for found_ in found]


def change(database: Database, *entry_ids: int) -> None:
    with database.write() as connection:
        connection.execute(insert(entry_changes), [{"entry_id": id_} for id_ in entry_ids])


def test_what_is_saved_is_read_back(database: Database) -> None:
    microsecond = timedelta(microseconds=1)
    first = Timer(
        entry_id=2**40,
        next_due_at=NOW,
        next_fire_at=NOW + microsecond,
        last_fire_at=datetime(1970, 1, 1, tzinfo=UTC),
        planned_from=datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        planned_version=7,
        planner=3,
        zone_data="2026a",
        state="broken",
        error="größe 🦆\n" * 20_000,
        runs_made=2**31 - 1,
    )
    empty = Timer(1, None, None, None, NOW, 0, 0, None, "active", None)
    save(database, first, empty)
    assert all_of(database) == [empty, first]
    changed = replace(
        empty,
        next_due_at=NOW,
        next_fire_at=NOW,
        last_fire_at=NOW,
        planned_from=NOW + microsecond,
        planned_version=1,
        planner=1,
        zone_data="2026b",
        state="completed",
        error="x",
        runs_made=1,
    )
    save(database, changed, replace(first, error=None, zone_data=None, last_fire_at=None))
    assert all_of(database) == [changed, replace(first, error=None, zone_data=None, last_fire_at=None)]


def test_a_thousand_are_written_and_read_in_sets(database: Database) -> None:
    many = [timer(n) for n in range(1, 2001)]
    save(database, *many)
    save(database, *(replace(one, planned_version=2) for one in many))
    with database.write() as connection:
        locked = timers.lock(connection, database.dialect, [one.entry_id for one in many], NOW)
        assert len(locked) == 2000
        assert timers.versions_since(connection, locked) == {one.entry_id: [] for one in many}


@pytest.mark.parametrize("naive", [datetime(2026, 1, 1)])
def test_a_naive_instant_is_refused(database: Database, naive: datetime) -> None:
    with pytest.raises(Exception, match="naive datetime"):
        save(database, timer(1, naive))


def test_what_is_due(database: Database) -> None:
    microsecond = timedelta(microseconds=1)
    save(
        database,
        timer(1, NOW),
        timer(2, NOW - 2 * SECOND),
        timer(3, NOW + microsecond),
        timer(4, None),
        timer(5, NOW - microsecond),
        timer(6, NOW - 3 * SECOND, planner=2),
    )
    with database.write() as connection:
        assert take_due(database, connection) == [2, 5, 1]
        assert take_due(database, connection, limit=2) == [2, 5]
        assert take_due(database, connection, planner=2) == [6, 2, 5, 1]
        assert timers.next_due(connection, 1) == NOW - 2 * SECOND
        assert timers.next_due(connection, 2) == NOW - 3 * SECOND
        assert timers.count_due(connection, NOW) == 4
    save(database, *(timer(number, None) for number in (1, 2, 5)))
    with database.read() as connection:
        assert timers.next_due(connection, 1) == NOW + microsecond
    save(database, timer(3, None))
    with database.read() as connection:
        assert timers.next_due(connection, 1) is None


def test_timers_of_entries_that_are_gone_stay_until_nothing_is_queued(database: Database) -> None:
    save(database, timer(1, None), timer(2, None), timer(3, NOW), timer(4, None))
    change(database, 2)
    with database.write() as connection:
        assert timers.remove_of_gone_entries(connection, 1) == 1
        assert timers.remove_of_gone_entries(connection, 10) == 1
        assert timers.remove_of_gone_entries(connection, 10) == 0
        left = connection.execute(select(timers.timers.c.entry_id)).scalars().all()
    assert sorted(left) == [2, 3]


def test_the_changes_are_taken_once(database: Database) -> None:
    change(database, 3, 1, 3, 2, 1)
    with database.write() as connection:
        assert timers.take_changes(connection, database.dialect, 3) == [3, 1]
        assert timers.take_changes(connection, database.dialect, 3) == [2, 1]
        assert timers.take_changes(connection, database.dialect, 3) == []


def test_changes_of_a_transaction_that_breaks_off_are_taken_again(database: Database) -> None:
    change(database, 1)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117 (it took before)
        with database.write() as connection:
            assert timers.take_changes(connection, database.dialect, 3) == [1]
            _ = 1 / 0
    with database.write() as connection:
        assert timers.take_changes(connection, database.dialect, 3) == [1]


def test_locking_makes_the_missing_ones(database: Database) -> None:
    known = timer(2, planned_version=5)
    save(database, known)
    with database.write() as connection:
        locked = timers.lock(connection, database.dialect, [3, 2, 1], NOW)
        assert timers.lock(connection, database.dialect, [], NOW) == []
    blank = Timer(1, None, None, None, NOW, 0, 0, None, "active", None)
    assert locked == [blank, known, replace(blank, entry_id=3)]
    assert all_of(database) == locked


def test_of_others_only_those_that_are_there_are_locked(database: Database) -> None:
    """A run may outlive its entry, whose timer is not to come back for that."""
    save(database, timer(2), timer(4))
    with database.write() as connection:
        locked = timers.lock(connection, database.dialect, [3, 2], NOW, [1, 4])
    assert [found.entry_id for found in locked] == [2, 3, 4]


def test_boot_entries_are_those_that_were_there_at_boot(database: Database) -> None:
    with database.write() as connection:
        values = {"task": "proj.task", "enabled": True}
        rows = [
            {"name": "a", "cron": "@reboot", **values},
            {"name": "b", "cron": " @reboot ", **values, "enabled": False},
            {"name": "c", "cron": "@daily", **values},
        ]
        connection.execute(insert(entries), rows)
        now = database.now(connection) + SECOND
        first, second, _ = connection.execute(select(entries.c.id).order_by(entries.c.id)).scalars()
        found = timers.boot_entries(connection, created_before=now)
        assert sorted(found) == [(first, 1), (second, 1)]
        assert timers.boot_entries(connection, created_before=now - timedelta(hours=1)) == []


def test_fires_that_no_plan_made_are_noted(database: Database) -> None:
    save(database, timer(1), timer(2))
    with database.write() as connection:
        timers.note_fire(connection, [], NOW)
        timers.note_fire(connection, [2, 3], NOW)
    assert [found.last_fire_at for found in all_of(database)] == [None, NOW]


# Two at once


@pytest.mark.parametrize("database", SERVERS, indirect=True)
def test_due_timers_of_another_node_are_passed_over(database: Database) -> None:
    save(database, *(timer(n, NOW - n * SECOND) for n in range(1, 11)))
    with database.write() as one, database.write() as other:
        assert take_due(database, one, limit=4) == [10, 9, 8, 7]
        assert take_due(database, other, limit=4) == [6, 5, 4, 3]
        assert take_due(database, one, limit=10) == [10, 9, 8, 7, 2, 1]


@pytest.mark.parametrize("database", SERVERS, indirect=True)
def test_changes_that_another_node_takes_are_passed_over(database: Database) -> None:
    change(database, 1, 2, 3, 4)
    with database.write() as one, database.write() as other:
        assert timers.take_changes(one, database.dialect, 2) == [1, 2]
        assert timers.take_changes(other, database.dialect, 10) == [3, 4]


@pytest.mark.parametrize("database", SERVERS, indirect=True)
def test_two_edits_of_one_new_entry_are_planned_one_after_the_other(database: Database) -> None:
    """The second node waits, and then reads what the first has planned."""
    found: list[list[Timer]] = []

    def second() -> None:
        with database.write() as connection:
            found.append(timers.lock(connection, database.dialect, [1], NOW + SECOND))

    thread = threading.Thread(target=second)
    with database.write() as connection:
        (locked,) = timers.lock(connection, database.dialect, [1], NOW)
        thread.start()
        thread.join(0.3)
        assert found == []
        planned = replace(locked, planned_version=1, next_due_at=NOW + SECOND, next_fire_at=NOW + SECOND)
        timers.save(connection, database.dialect, [planned])
    thread.join(10)
    assert found == [[planned]]


def together(number: int, work: Callable[[], Sequence[int]]) -> list[int]:
    """What several threads that start at once come back with."""
    barrier, taken = threading.Barrier(number), []

    def one() -> None:
        barrier.wait()
        taken.extend(work())

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return taken


def test_of_nodes_that_take_at_once_no_two_hold_the_same_timer(database: Database) -> None:
    save(database, *(timer(n, NOW - n * SECOND) for n in range(1, 301)))

    def take_all() -> list[int]:
        mine: list[int] = []
        while True:
            with database.write() as connection:
                due = timers.take_due(connection, database.dialect, NOW, 7, 1)
                later = [replace(t, next_due_at=NOW + SECOND) for t in due]
                timers.save(connection, database.dialect, later)
            mine += [t.entry_id for t in due]
            if not due:
                with database.read() as connection:
                    if not timers.count_due(connection, NOW):
                        return mine

    assert sorted(together(4, take_all)) == list(range(1, 301))


def test_of_nodes_that_take_changes_at_once_each_is_taken_once(database: Database) -> None:
    change(database, *range(1, 201))

    def take_all() -> list[int]:
        mine: list[int] = []
        while True:
            with database.write() as connection:
                taken = timers.take_changes(connection, database.dialect, 5)
                timers.lock(connection, database.dialect, taken, NOW)
            mine += taken
            if not taken:
                with database.read() as connection:
                    if not connection.execute(select(entry_changes.c.id).limit(1)).all():
                        return mine

    assert sorted(together(4, take_all)) == list(range(1, 201))
    assert len(all_of(database)) == 200


# What the planner asks


def test_versions_from_the_planned_one_on(database: Database) -> None:
    with database.write() as connection:
        for name in "ab":
            connection.execute(insert(entries), {"name": name, "every": "1h", "task": "proj.task"})
        for queue in ("x", "y", "z"):
            connection.execute(entries.update().values(queue=queue))
        first, second = connection.execute(select(entries.c.id).order_by(entries.c.id)).scalars()
        connection.execute(entries.delete().where(entries.c.id == second))
        planned = [timer(first, planned_version=3), timer(second, planned_version=0), timer(99)]
        timers.save(connection, database.dialect, planned)
        assert timers.versions_since(connection, planned) == {
            first: [3, 4],
            second: [1, 2, 3, 4, 5],
            99: [],
        }
        assert timers.versions_since(connection, []) == {}
        assert timers.current_versions(connection, [first, second, 99]) == {first: 4}


def test_suppressions_are_recorded(database: Database) -> None:
    record = Suppression(2, "misfire", 3, False, NOW - SECOND, NOW)
    with database.write() as connection:
        timers.record_suppressions(connection, [], NOW)
        timers.record_suppressions(connection, [(1, record), (2, record)], NOW + SECOND)
        found = connection.execute(select(suppressions).order_by(suppressions.c.id)).all()
    assert [row[1:] for row in found] == [
        (entry_id, 2, "misfire", 3, False, NOW - SECOND, NOW, NOW + SECOND) for entry_id in (1, 2)
    ]


def test_other_zone_data_plans_entries_afresh(database: Database) -> None:
    save(database, timer(1, zone_data="2026a"), timer(2, zone_data="2026b"), timer(3, zone_data=None))
    with database.write() as connection:
        assert timers.plan_afresh(connection, "2026b") == 2
        assert sorted(timers.take_changes(connection, database.dialect, 10)) == [1, 3]
        assert timers.plan_afresh(connection, "2026a") == 2
