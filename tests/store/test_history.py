"""What is asked of the history when a person wants to know why something ran, or did not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import pytest
from sqlalchemy import insert, update

from beatd.store import entries, history
from beatd.store.engine import Database
from beatd.store.models import audit, entry_versions, runs, suppressions, timers
from tests.store.operators import Operator

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOON = timedelta(microseconds=1)


def at(hours: float) -> datetime:
    return NOON + hours * HOUR


# Fires that became no runs: one record covers from its first to its last fire


SUPPRESSED = {
    "one": (1, "overlap", at(0), at(0)),
    "row": (1, "misfire", at(-3), at(2)),
    "later": (1, "paused", at(3), at(5)),
    "other entry": (2, "misfire", at(-3), at(9)),
}


@pytest.mark.parametrize(
    ("instant", "covering"),
    [
        (at(-3) - SOON, []),
        (at(-3), ["row"]),
        (at(0) - SOON, ["row"]),
        (at(0), ["row", "one"]),
        (at(0) + SOON, ["row"]),
        (at(2), ["row"]),
        (at(2) + SOON, []),
        (at(4), ["later"]),
        (at(9), []),
    ],
)
def test_which_suppressions_cover_an_instant(
    database: Database, instant: datetime, covering: list[str]
) -> None:
    with database.write() as connection:
        for entry_id, reason, first, last in SUPPRESSED.values():
            values = {"entry_id": entry_id, "version": 1, "reason": reason, "count": 2, "recorded_at": NOON}
            connection.execute(insert(suppressions).values(first_fire_at=first, last_fire_at=last, **values))
        found = history.suppressions_covering(connection, 1, instant)
    assert [(r.entry_id, r.reason, r.first_fire_at, r.last_fire_at) for r in found] == [
        SUPPRESSED[name] for name in covering
    ]
    assert {(r.count, r.exact) for r in found} <= {(2, True)}


# Versions


@pytest.mark.parametrize(
    ("instant", "version", "operation"),
    [
        (at(0) - SOON, None, None),
        (at(0), 1, "insert"),
        (at(1) - SOON, 1, "insert"),
        (at(1), 2, "update"),
        (at(2) - SOON, 2, "update"),
        (at(2), 3, "delete"),
        (at(1000), 3, "delete"),
    ],
)
def test_the_version_valid_at_an_instant(
    database: Database, operator: Operator, instant: datetime, version: int | None, operation: str | None
) -> None:
    operator.type("INSERT INTO entries (name, every, task) VALUES ('b', '1h', 'proj.b')")
    operator.type("INSERT INTO entries (name, every, task) VALUES ('a', '1h', 'proj.a')")
    operator.type("UPDATE entries SET queue = 'slow' WHERE name = 'a'")
    (entry_id,) = operator.type("SELECT id FROM entries WHERE name = 'a'")[0]
    operator.type("DELETE FROM entries WHERE name = 'a'")
    with database.write() as connection:
        for number in (1, 2, 3):
            its = (entry_versions.c.entry_id == entry_id) & (entry_versions.c.version == number)
            connection.execute(update(entry_versions).where(its).values(changed_at=at(number - 1)))
        found = history.version_valid_at(connection, entry_id, instant)
    assert (found and found.version, found and found.operation) == (version, operation)
    assert found is None or (found.entry_id, found.name) == (entry_id, "a")


# Runs


@pytest.mark.parametrize(
    ("instant", "each", "expected"),
    [
        (at(0), 1, [0, 1]),
        (at(0), 2, [-1, 0, 1, 2]),
        (at(0) - SOON, 2, [-2, -1, 0, 1]),
        (at(0) + SOON, 2, [-1, 0, 1, 2]),
        (at(-9), 2, [-2, -1]),
        (at(9), 2, [1, 2]),
        (at(9), 0, []),
    ],
)
def test_runs_around_an_instant(
    database: Database, instant: datetime, each: int, expected: list[int]
) -> None:
    with database.write() as connection:
        for hours in range(-2, 3):
            insert_run(connection, 1, at(hours), "schedule")
            insert_run(connection, 2, at(hours), "schedule")
        found = history.runs_around(connection, 1, instant, each)
    assert [run.fire_time for run in found] == [at(hours) for hours in expected]
    assert {run.entry_id for run in found} <= {1}


def test_runs_of_one_fire_time(database: Database) -> None:
    with database.write() as connection:
        for origin in ("trigger:1", "backfill:1", "schedule"):
            insert_run(connection, 1, NOON, origin)
        found = history.runs_around(connection, 1, NOON, 5)
        assert [run.origin for run in found] == ["backfill:1", "schedule", "trigger:1"]
        assert history.runs_around(connection, 1, NOON - SOON, 5) == found


def insert_run(connection: entries.Transaction, entry_id: int, fire_time: datetime, origin: str) -> None:
    connection.execute(
        insert(runs).values(
            id=str(uuid5(NAMESPACE_OID, f"{entry_id} {fire_time} {origin}")),
            entry_id=entry_id,
            version=1,
            origin=origin,
            fire_time=fire_time,
            due_time=fire_time,
            recorded_at=fire_time,
            state="published",
            lost_after=60,
        )
    )


# The audit


def test_what_was_done_to_an_entry_in_a_time(database: Database) -> None:
    rows = [
        {"at": at(hours), "who": "anna", "door": "cli", "action": action, "entry_id": id_, "entry_name": "a"}
        for hours, action, id_ in [
            (2, "resumed", 1),
            (0, "added", 1),
            (1, "paused", 1),
            (1, "changed", 1),
            (1, "changed", 2),
            (3, "removed", 1),
        ]
    ]
    with database.write() as connection:
        history.audited(connection, rows)
        found = history.audit_of(connection, 1, at(1), at(2))
        assert history.audit_of(connection, 1, at(4), at(5)) == []
    assert [row.action for row in found] == ["paused", "changed", "resumed"]
    assert found[0] == history.Audited(at(1), "anna", "cli", "paused", 1, "a", None)
    assert set(history.Audited.__dataclass_fields__) == set(audit.columns.keys()) - {"id"}


# Entries


def test_an_entry_tells_how_many_runs_its_timer_made(database: Database, operator: Operator) -> None:
    operator.type("INSERT INTO entries (name, every, task, max_runs) VALUES ('a', '1h', 'proj.a', 10)")
    with database.write() as connection:
        entry = entries.get(connection, "a")
        assert entry is not None
        assert (entry.columns["max_runs"], entry.timer) == (10, None)
        blank = {"planned_from": NOON, "planned_version": 1, "planner": 2, "state": "active"}
        connection.execute(insert(timers).values(entry_id=entry.id, runs_made=3, **blank))
        entry = entries.get(connection, "a")
        assert entry is not None
        assert entry.timer is not None
        assert entry.timer.runs_made == 3
