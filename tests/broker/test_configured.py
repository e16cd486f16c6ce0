"""What the configuration says reaches the connections."""

from __future__ import annotations

import pytest

from beatd.broker.app import load_app
from beatd.broker.configured import configured_consumer, configured_publisher
from beatd.config import Settings
from tests.services.rabbit import RabbitMQ


@pytest.mark.parametrize(("setting", "agreed"), [("7s", "7"), ("0s", "0")])
def test_the_heartbeat_is_agreed_with_the_broker(
    rabbit: RabbitMQ, rabbit_url: str, setting: str, agreed: str
) -> None:
    settings = Settings(broker={"url": rabbit_url, "heartbeat": setting})
    vhost = rabbit_url.rpartition("/")[2]
    app = load_app(None, rabbit_url)
    for connect in (configured_publisher, configured_consumer):
        connected = connect(app, settings, "x")
        assert heartbeats(rabbit, vhost) == f"[{agreed}]"
        connected.close()


def heartbeats(rabbit: RabbitMQ, vhost: str) -> str:
    """Of each connection, in seconds, as the broker has it."""
    return rabbit.eval(
        "[T || P <- rabbit_networking:connections(), [{vhost, Vhost}, {timeout, T}]"
        f' <- [rabbit_networking:connection_info(P, [vhost, timeout])], Vhost =:= <<"{vhost}">>].'
    )
