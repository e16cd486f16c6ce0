"""The nodes: who is there, since when, how they are; and which of them are surely dead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from beatd.store.dialects import Dialect
from beatd.store.models import installation, nodes


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from a later one with the same number.

    `boot_id` names the boot of the kernel and the process namespace, `pid_started` is the start in
    clock ticks since that boot.
    """

    host: str
    boot_id: str
    pid: int
    pid_started: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A node beside this one. `shadow`: it records without publishing; `broker`: to where it publishes, if it
    has told.
    """

    name: str
    host: str
    pid: int
    shadow: bool
    broker: str | None


def register(
    connection: Connection,
    id: str,
    name: str,
    process: Process,
    version: str,
    now: datetime,
    status: str,
    *,
    shadow: bool = False,
    statistics: Mapping[str, Any] | None = None,
) -> None:
    connection.execute(
        insert(nodes).values(
            id=id,
            name=name,
            host=process.host,
            boot_id=process.boot_id,
            pid=process.pid,
            pid_started=process.pid_started,
            beatd_version=version,
            started_at=now,
            heartbeat_at=now,
            status=status,
            shadow=shadow,
            statistics=json.dumps(statistics or {}),
        )
    )


def peers(connection: Connection, heard_since: datetime) -> Sequence[Peer]:
    """The nodes that were heard of since; the longest running first."""
    query = (
        select(nodes.c.name, nodes.c.host, nodes.c.pid, nodes.c.shadow, nodes.c.statistics)
        .where(nodes.c.heartbeat_at >= heard_since)
        .order_by(nodes.c.started_at, nodes.c.id)
    )
    return [
        Peer(name, host, pid, shadow, read_statistics(told).get("broker"))
        for name, host, pid, shadow, told in connection.execute(query)
    ]


def oldest(connection: Connection, heard_since: datetime) -> str | None:
    """The id of the node that is there the longest, of those that were heard of since."""
    query = select(nodes.c.id).where(nodes.c.heartbeat_at >= heard_since)
    return connection.execute(query.order_by(nodes.c.started_at, nodes.c.id).limit(1)).scalar_one_or_none()


def read_statistics(text: str | None) -> dict[str, Any]:
    """What a node told of itself; nothing where that cannot be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def lock_joining(connection: Connection, dialect: Dialect) -> None:
    """Until this transaction ends no other node comes to the table by way of here."""
    connection.execute(dialect.locked(select(installation.c.id))).all()


def heartbeat(
    connection: Connection, id: str, now: datetime, status: str, statistics: Mapping[str, Any]
) -> bool:
    """False if the node's row is gone: it was taken for dead."""
    statement = (
        update(nodes)
        .where(nodes.c.id == id)
        .values(heartbeat_at=now, status=status, statistics=json.dumps(statistics))
    )
    return connection.execute(statement).rowcount == 1


def unregister(connection: Connection, ids: list[str]) -> None:
    if ids:
        connection.execute(delete(nodes).where(nodes.c.id.in_(ids)))


def dead_on(connection: Connection, here: Process, alive: Callable[[Process], bool]) -> list[str]:
    """Ids of nodes on this host whose process is gone; `alive` looks one up in this namespace.

    Nodes of other hosts cannot be looked at: their leases lapse.
    """
    rows = connection.execute(select(nodes).where(nodes.c.host == here.host)).all()
    dead = []
    for row in rows:
        process = Process(row.host, row.boot_id, row.pid, row.pid_started)
        if process.boot_id == here.boot_id and not alive(process):
            dead.append(row.id)
    return dead


def forget_silent(connection: Connection, before: datetime) -> int:
    """Removes nodes that have not been heard of since."""
    return connection.execute(delete(nodes).where(nodes.c.heartbeat_at < before)).rowcount
