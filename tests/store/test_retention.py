"""Cutting the history: what is old, and what is too long."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from beatd.store import retention
from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, OPEN_STATES, entries, runs, suppressions
from tests.store.rows import HOUR, NOW, claim, claimed, put, row, run_id, states


def ended_hours_ago(number: int, hours: int, **values: Any) -> dict[str, Any]:
    return row(
        number,
        state="succeeded",
        owner=None,
        lease_until=None,
        fire_time=NOW - hours * HOUR,
        finished_at=NOW - hours * HOUR,
        **values,
    )


def test_old_history_is_cut(database: Database) -> None:
    put(database, *(ended_hours_ago(n, n) for n in range(1, 6)))
    unfinished = dict(enumerate(OPEN_STATES, start=10))
    old = {"fire_time": NOW - 9 * HOUR, "finished_at": NOW - 9 * HOUR}  # a report revived it
    put(database, *(row(n, entry_id=n, state=state, **old) for n, state in unfinished.items()))
    for number in (1, 5, *unfinished):
        claim(database, number, NOW)
    with database.write() as connection:
        assert retention.cut_history(connection, NOW - 3 * HOUR, 1) == 1
        assert retention.cut_history(connection, NOW - 3 * HOUR, 10) == 1
        assert retention.cut_history(connection, NOW - 3 * HOUR, 10) == 0
    assert states(database) == {1: "succeeded", 2: "succeeded", 3: "succeeded", **unfinished}
    assert claimed(database) == {run_id(n) for n in (1, *unfinished)}


def test_every_final_state_is_cut(database: Database) -> None:
    finals = [row(n, state=state, finished_at=NOW - HOUR) for n, state in enumerate(FINAL_STATES)]
    put(database, *finals)
    with database.write() as connection:
        assert retention.cut_history(connection, NOW, 10) == len(FINAL_STATES)
    assert states(database) == {}


def test_old_suppressions_are_cut(database: Database) -> None:
    values = {
        "entry_id": 1,
        "version": 1,
        "reason": "misfire",
        "count": 1,
        "first_fire_at": NOW,
        "last_fire_at": NOW,
    }
    with database.write() as connection:
        connection.execute(
            insert(suppressions), [{**values, "recorded_at": NOW - n * HOUR} for n in range(4)]
        )
        assert retention.cut_history(connection, NOW - HOUR, 10) == 2
        left = connection.execute(select(suppressions.c.recorded_at)).scalars().all()
    assert sorted(left) == [NOW - HOUR, NOW]


def test_long_histories_are_cut_to_the_newest(database: Database) -> None:
    put(database, *(ended_hours_ago(n, n) for n in range(1, 8)))
    put(database, *(ended_hours_ago(n, n, entry_id=2) for n in range(10, 12)))
    put(
        database,
        *(row(n, entry_id=1, state=s, fire_time=NOW - n * HOUR) for n, s in enumerate(OPEN_STATES, start=20)),
    )
    for number in (1, 7, 20, 24):
        claim(database, number, NOW)
    with database.write() as connection:
        assert retention.with_long_histories(connection, 3) == [1]
        assert retention.cut_long_history(connection, 1, 3, 3) == 3
        assert retention.cut_long_history(connection, 1, 3, 3) == 1
        assert retention.cut_long_history(connection, 1, 3, 3) == 0
    assert set(states(database)) == {1, 2, 3, 10, 11, 20, 21, 22, 23, 24}
    assert claimed(database) == {run_id(n) for n in (1, 20, 24)}


def test_what_a_shadow_recorded_is_kept_by_age_alone(database: Database) -> None:
    """A week of every minute is more than a history is long, and has to be there to be compared."""
    put(database, *({**ended_hours_ago(n, n), "state": "shadow"} for n in range(5)))
    put(database, *(ended_hours_ago(n, n) for n in range(5, 9)))
    with database.write() as connection:
        assert retention.cut_long_history(connection, 1, 2, 10) == 2
        assert retention.cut_long_history(connection, 1, 2, 10) == 0
    assert set(states(database)) == {*range(5), 5, 6}
    with database.write() as connection:
        assert retention.cut_history(connection, NOW - 2 * HOUR, 10) == 4
    assert set(states(database)) == {0, 1, 2}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("cut", ["cut_history", "cut_long_history"])
def test_a_run_that_is_revived_while_it_is_cut_stays(
    database: Database, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late report may overrule `lost` between the look for old runs and their removal."""
    put(database, ended_hours_ago(1, 5), {**ended_hours_ago(2, 4), "state": "lost"}, ended_hours_ago(3, 3))
    claim(database, 2, NOW)
    delete_runs = retention._delete_runs

    def revive_then_delete(connection: Any, ids: list[str]) -> int:
        with database.write() as other:
            other.execute(update(runs).where(runs.c.id == run_id(2)).values(state="started"))
        return delete_runs(connection, ids)

    monkeypatch.setattr(retention, "_delete_runs", revive_then_delete)
    limits = {"cut_history": (NOW, 10), "cut_long_history": (1, 1, 10)}
    with database.write() as connection:
        getattr(retention, cut)(connection, *limits[cut])
    assert states(database)[2] == "started"
    assert claimed(database) == {run_id(2)}


def test_the_run_from_whose_end_the_next_one_counts_stays(database: Database) -> None:
    """Of an entry that runs every two months, with its history cut after one."""
    with database.write() as connection:
        connection.execute(insert(entries), {"id": 1, "name": "rare", "every": "60d", "task": "proj.task"})
    put(
        database,
        *(ended_hours_ago(n, n, awaited=True) for n in (5, 6)),
        ended_hours_ago(4, 4, awaited=True, origin="trigger:1"),
        ended_hours_ago(7, 7, awaited=True, entry_id=2),  # its entry is gone
        ended_hours_ago(8, 8, entry_id=3),
    )
    with database.write() as connection:
        assert retention.cut_history(connection, NOW - HOUR, 10) == 4
        assert retention.cut_long_history(connection, 1, 0, 10) == 0
    assert set(states(database)) == {5}
