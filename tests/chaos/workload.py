"""Entries for simulated histories: a few sets of them, each prepared once as an image of a database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import select

from beatd.planning.task import SHELL_TASK
from beatd.store import schema
from beatd.store.models import entries
from tests.chaos.database import Plain, Server

#: Entries of a set; at their rates they make some 13 fires a second.
ENTRIES = 104
SETS = 8

#: Of few distinct instants: a pass costs as much for one fire as for twenty.
_PERIODS = ("5s", "5s", "5s", "10s", "10s", "15s")


@dataclass(frozen=True, slots=True)
class Workload:
    number: int
    image: bytes
    installation: str
    ids: tuple[int, ...]


def prepare(server: Server, number: int) -> Workload:
    """Set `number`, in a fresh database."""
    server.begin_history(None, server.empty)
    random = Random(f"workload {number}")
    database = Plain(server)
    with database.write() as connection:
        for index in range(ENTRIES):
            connection.execute(entries.insert().values(**_entry(random, f"entry-{index:03}")))
    with database.read() as connection:
        ids = tuple(connection.execute(select(entries.c.id).order_by(entries.c.id)).scalars())
        installation = schema.installation_id(connection)
    return Workload(number, server.image(), installation, ids)


def _entry(random: Random, name: str) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "name": name,
        "task": "proj.task",
        "every": random.choice(_PERIODS),
        "expires": random.choice(("never", "next", "next", "12s", "25s")),
        "misfire": random.choice(("skip", "latest", "all", "all")),
        "overlap": "allow",
        "lost_after": "40s",
    }
    luck = random.random()
    if luck < 0.08:
        columns |= {"task": SHELL_TASK, "kwargs": json.dumps({"command": "true"})}
        columns["on_lost"] = random.choice(("continue", "rerun"))
    elif luck < 0.3:
        columns["overlap"] = random.choice(("skip", "queue", "cancel"))
    elif luck < 0.34:
        columns |= {"on_failure": "pause", "failure_limit": 2}
    if random.random() < 0.1:
        columns["jitter"] = random.choice(("2s", "3s"))
    return columns


def edit(random: Random) -> dict[str, Any]:
    """What an operator changes of an entry."""
    return random.choice(
        (
            {"every": random.choice(_PERIODS)},
            {"enabled": False},
            {"enabled": True},
            {"kwargs": json.dumps({"changed": random.randrange(100)}), "task": "proj.other"},
            {"expires": random.choice(("never", "next", "20s"))},
            {"overlap": random.choice(("allow", "skip"))},
        )
    )
