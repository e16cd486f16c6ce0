"""No call to a broker waits for ever: kombu leaves most without a limit, each transport otherwise.

Both sides use these: the scheduler (beatd.broker) and the workers' reports (beatd.worker).
"""

from __future__ import annotations

from typing import Any


def transport_options(driver: str, *, connect: float, call: float) -> dict[str, Any]:
    """What limits, in seconds, a connection's making and each call on it, by kombu's name of the driver.

    On AMQP nothing that can be said beforehand limits a wait within a frame: see `limit_calls`.
    """
    if driver == "redis":
        return {"socket_connect_timeout": connect, "socket_timeout": call}
    return {}


def limit_calls(connection: Any, call: float) -> None:
    """The same for a kombu connection that is made, over AMQP; what names a timeout of its own keeps it."""
    transport = getattr(connection.connection, "transport", None)
    sock = getattr(transport, "sock", None)
    if sock is not None:
        sock.settimeout(call)
