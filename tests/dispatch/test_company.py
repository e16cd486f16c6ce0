"""Which nodes may share a database: those that publish to one broker. (Modes: test_shadow.)"""

from __future__ import annotations

import pytest

from beatd.dispatch import company
from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.errors import FieldError
from beatd.store.engine import Database
from tests.dispatch.test_upkeep import Daemon
from tests.dispatch.turned import NODE, OTHER, Turned

OURS = "amqp://u:***@mq/v"


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


def node(turned: Turned, id_: str, broker: str) -> tuple[Upkeep, Daemon]:
    daemon = Daemon(turned)
    daemon.broker = broker
    return Upkeep(turned.database, id_, this_process(), daemon), daemon


def test_one_that_publishes_elsewhere_is_refused(turned: Turned) -> None:
    """From the first moment on: before the first heartbeat, too."""
    (first, _), (second, other) = node(turned, NODE, OURS), node(turned, OTHER, "amqp://u:***@mq/w")
    first.join()
    with pytest.raises(FieldError) as refused:
        second.join()
    text = str(refused.value)
    assert text.startswith("broker.url: 'amqp://u:***@mq/w': node ")
    assert f"works on this database and publishes to {OURS}; stop it, or give this one the same" in text
    assert "\n" not in text
    with pytest.raises(FieldError, match="publishes to"):
        company.require(turned.database, this_process(), other.manner)
    assert turned.one("SELECT count(*) AS n FROM nodes").n == 1
    first.leave()
    second.join()


def test_another_user_or_spelling_is_the_same_broker(turned: Turned) -> None:
    node(turned, NODE, OURS)[0].join()
    upkeep, daemon = node(turned, OTHER, "pyamqp://other:***@mq:5672/v")
    company.require(turned.database, this_process(), daemon.manner)
    upkeep.join()
    assert turned.one("SELECT count(*) AS n FROM nodes").n == 2


def test_whoever_was_silent_for_long_is_no_hindrance_and_is_told(
    turned: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker is changed by stopping all nodes; what hangs meanwhile is taken for gone."""
    silent, _ = node(turned, NODE, OURS)
    silent.join()
    turned.turn(minutes=1)
    node(turned, OTHER, "amqp://new/v")[0].join()
    for _ in range(2):
        silent.beat()
    (told,) = [text for text in caplog.messages if text.startswith("nodes.mixed")]
    assert OURS in told
    assert 'others="node ' in told


def test_a_reload_may_name_another_broker_one_node_after_the_other(
    turned: Turned, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [node(turned, id_, OURS) for id_ in (NODE, OTHER)]
    for upkeep, _ in nodes:
        upkeep.join()
    for upkeep, daemon in nodes:
        daemon.broker = "amqp://new/v"
        upkeep.beat()
    (told,) = [text for text in caplog.messages if text.startswith("nodes.mixed")]
    assert "broker=amqp://new/v" in told
