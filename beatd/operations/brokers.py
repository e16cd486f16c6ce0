"""Whether this command and the schedulers mean the same broker: what it asks of another reaches nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from beatd.errors import Conflict, InvalidInput
from beatd.operations.context import Context
from beatd.store import health as facts

#: Other names of a transport; with and without TLS it is one broker.
_SCHEMES = {"pyamqp": "amqp", "py-amqp": "amqp", "librabbitmq": "amqp", "amqps": "amqp", "rediss": "redis"}
#: Where they listen unless told otherwise.
_PORTS = {"amqp": (5672, 5671), "redis": (6379,)}
_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


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


def same(one: str, other: str) -> bool:
    """Whether two addresses are of one broker, whoever logs in; of several fail-over hosts one is enough."""
    return not _places(one).isdisjoint(_places(other))


def _places(addresses: str) -> set[tuple[Any, ...]]:
    return {_place(address) for address in addresses.split(";") if address}


def _place(address: str) -> tuple[Any, ...]:
    try:
        url = urlsplit(address)
        scheme = _SCHEMES.get(url.scheme, url.scheme)
        host, port = url.hostname or "", url.port or 0
    except ValueError:
        return (address,)
    path = url.path.replace("%2F", "/").replace("%2f", "/")
    if scheme in _PORTS:
        port = 0 if port in _PORTS[scheme] else port
        host = "localhost" if host in _LOOPBACK else host
        # `amqp://host`, `amqp://host/` and `amqp://host//` all name the virtual host `/`
        path = path.strip("/") or ("0" if scheme == "redis" else "")
    return scheme, host, port, path
