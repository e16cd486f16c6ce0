"""Whether two addresses, as users write them, are of one broker."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

#: Other names of a transport; with and without TLS it is one broker.
_SCHEMES = {"pyamqp": "amqp", "py-amqp": "amqp", "librabbitmq": "amqp", "amqps": "amqp", "rediss": "redis"}
#: Where they listen unless told otherwise.
_PORTS = {"amqp": (5672, 5671), "redis": (6379,)}
_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


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
