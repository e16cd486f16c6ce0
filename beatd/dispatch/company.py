"""Which nodes may work side by side on one database: those of one mode, that publish to one broker.

What a node in shadow mode records the others never run, and what one publishes to another broker the workers
of the rest never see. A node that was not heard of for `scheduler.node_timeout` is no company.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from beatd.broker.addresses import same
from beatd.dispatch.takeover import release_dead
from beatd.errors import FieldError
from beatd.store import nodes
from beatd.store.engine import Database
from beatd.store.entries import Transaction
from beatd.store.nodes import Peer, Process


@dataclass(frozen=True, slots=True)
class Manner:
    """How a node works. `broker` is the address, without a password, to which it publishes; None where it
    publishes nothing.
    """

    shadow: bool
    broker: str | None
    node_timeout: timedelta


def require(database: Database, process: Process, manner: Manner) -> None:
    """Raises FieldError beside nodes that work in another manner, but for dead ones of this host."""
    release_dead(database, process)
    with database.read() as connection:
        if refused := refusal(connection, database, manner):
            raise refused


def refusal(connection: Transaction, database: Database, manner: Manner) -> FieldError | None:
    """What to say to a node that would come to the table; None if it may."""
    others = _others(connection, database, manner)
    for peer in others:
        if peer.shadow != manner.shadow:
            mode = "is in shadow mode" if peer.shadow else "is not in shadow mode"
            problem = f"{_named(peer)} works on this database and {mode}; stop it, or do as it does"
            return FieldError("scheduler.shadow", manner.shadow, problem)
    for peer in others:
        problem = (
            f"{_named(peer)} works on this database and publishes to {peer.broker}; stop it, or give this "
            "one the same broker (broker.url, celery.app or --app)"
        )
        return FieldError("broker.url", manner.broker, problem)
    return None


def at_odds(connection: Transaction, database: Database, manner: Manner) -> str:
    """The nodes that work in another manner, one after the other; empty if there are none."""
    return ", ".join(map(_named, _others(connection, database, manner)))


def _others(connection: Transaction, database: Database, manner: Manner) -> list[Peer]:
    peers = nodes.peers(connection, database.now(connection) - manner.node_timeout)
    return [peer for peer in peers if peer.shadow != manner.shadow or _elsewhere(peer.broker, manner.broker)]


def _elsewhere(theirs: str | None, ours: str | None) -> bool:
    """An earlier version does not tell where it publishes until its first heartbeat."""
    return bool(theirs and ours) and not same(str(theirs), str(ours))


def _named(peer: Peer) -> str:
    return f"node {peer.name} (pid {peer.pid} on {peer.host})"
