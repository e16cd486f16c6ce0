"""Two schedulers on one database, as processes, that would publish to two brokers."""

from __future__ import annotations

from collections.abc import Callable

from tests.processes import Installation


def test_one_that_publishes_elsewhere_ends_and_names_the_other(
    install: Callable[..., Installation], sqlite_url: str
) -> None:
    installation = install(sqlite_url, "amqp://someone:very-secret@127.0.0.1:9/here")
    installation.upgrade()
    installation.env["BEATD_SCHEDULER_NODE"] = "n1"
    first = installation.start("scheduler")
    first.tells("node.joined")

    installation.env["BEATD_BROKER_URL"] = "amqp://someone:very-secret@127.0.0.1:9/there"
    for command in ("scheduler", "up"):
        second = installation.start(command)
        assert second.wait() == 2
        last = second.text().splitlines()[-1]
        assert "broker.url: 'amqp://someone:***@127.0.0.1:9/there': node n1 (pid " in last
        assert "publishes to amqp://someone:***@127.0.0.1:9/here; stop it, or give this one the same" in last
        assert "very-secret" not in second.text()
    assert len(installation.rows("SELECT id FROM nodes")) == 1
    first.kill9()

    # of a dead one on this machine it is known at once that it publishes nothing
    third = installation.start("scheduler")
    third.tells("node.joined")
    third.kill9()
