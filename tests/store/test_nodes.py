"""Nodes: registered, heard of, taken for dead where that can be known, forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from beatd.store import nodes
from beatd.store.engine import Database
from beatd.store.nodes import Process

NOW = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HERE = Process("größe.example", "boot-1", 4711, 2**40)


def register(database: Database, process: Process = HERE, at: datetime = NOW) -> str:
    id_ = str(uuid4())
    with database.write() as connection:
        nodes.register(connection, id_, f"{process.host}:{process.pid}", process, "0.1.0", at, "starting")
    return id_


def test_a_node_s_life(database: Database) -> None:
    id_, other = register(database), register(database, replace(HERE, pid=1))
    with database.write() as connection:
        assert nodes.heartbeat(connection, id_, NOW + SECOND, "dispatching", {"runs": 3, "name": "🦆"})
        row = connection.execute(select(nodes.nodes).where(nodes.nodes.c.id == id_)).one()
        assert (row.host, row.boot_id, row.pid, row.pid_started) == ("größe.example", "boot-1", 4711, 2**40)
        assert (row.started_at, row.heartbeat_at, row.status) == (NOW, NOW + SECOND, "dispatching")
        assert json.loads(row.statistics) == {"runs": 3, "name": "🦆"}
        nodes.unregister(connection, [])
        nodes.unregister(connection, [id_])
        assert connection.execute(select(nodes.nodes.c.id)).scalars().all() == [other]


def test_a_heartbeat_that_changes_nothing_is_heard_too(database: Database) -> None:
    """Rows that match are counted, not rows that change: MariaDB can count either."""
    id_ = register(database)
    with database.write() as connection:
        assert nodes.heartbeat(connection, id_, NOW, "starting", {})
        assert nodes.heartbeat(connection, id_, NOW, "starting", {})


def test_a_node_that_was_taken_for_dead_is_told(database: Database) -> None:
    id_ = register(database)
    with database.write() as connection:
        nodes.unregister(connection, [id_])
        assert not nodes.heartbeat(connection, id_, NOW, "dispatching", {})


@pytest.mark.parametrize(
    ("process", "alive", "dead"),
    [
        (HERE, False, True),
        (HERE, True, False),
        (replace(HERE, boot_id="boot-2"), False, False),  # another namespace: its processes are not seen here
        (replace(HERE, host="elsewhere"), False, False),
    ],
)
def test_only_processes_that_can_be_looked_at_are_surely_dead(
    database: Database, process: Process, alive: bool, dead: bool
) -> None:
    id_ = register(database, process)
    looked: list[Process] = []

    def look(found: Process) -> bool:
        looked.append(found)
        return alive

    with database.read() as connection:
        assert nodes.dead_on(connection, HERE, look) == ([id_] if dead else [])
    assert looked == ([process] if process == HERE else [])


def test_the_silent_are_forgotten(database: Database) -> None:
    register(database, at=NOW - SECOND)
    kept = register(database, at=NOW)
    with database.write() as connection:
        assert nodes.forget_silent(connection, NOW) == 1
        assert connection.execute(select(nodes.nodes.c.id)).scalars().all() == [kept]
