"""Whether this command and the schedulers mean the same broker: what it asks of another reaches nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from beatd.broker.addresses import same
from beatd.errors import Conflict, InvalidInput
from beatd.operations.context import Context
from beatd.store import health as facts


def differing(nodes: Iterable[tuple[str, Any]], connect: Callable[[], Any]) -> str | None:
    """What to say if a scheduler uses another broker than this command; None if all use the same.

    `nodes` are names of nodes that live, with the address that each tells (None: it tells none);
    `connect` gives this command's Celery app, and is called only if there is an address to compare.
    """
    told = [(name, str(address)) for name, address in nodes if address]
    if not told:
        return None
    from beatd.broker.configured import broker_address  # not at the top: most commands ask no broker

    try:
        own = broker_address(connect())
    except InvalidInput:
        return None  # whoever uses the app says so
    for name, address in told:
        if not same(address, own):
            return (
                f"the scheduler {name} uses {address}, this command {own}: "
                "set celery.app or broker.url in the configuration, or give --app"
            )
    return None


def require_same(context: Context, connect: Callable[[], Any]) -> None:
    """Raises Conflict if a scheduler that lives uses another broker than this command."""
    with context.database.read() as connection:
        now = context.database.now(connection)
        nodes = [
            (node.name, node.statistics.get("broker"))
            for node in facts.known_nodes(connection)
            if now - node.heartbeat_at <= context.node_timeout
        ]
    if text := differing(nodes, connect):
        raise Conflict(text)
