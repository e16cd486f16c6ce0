"""What is asked of the database about how things go."""

from __future__ import annotations

from sqlalchemy import insert

from beatd.store import health
from beatd.store.engine import Database
from beatd.store.models import entries


def test_where_the_messages_of_entries_go(database: Database) -> None:
    routed = {
        "a": {"queue": "user.alice"},
        "b": {"queue": "user.alice"},
        "c": {"queue": "user.bob", "enabled": False},
        "d": {},
        "e": {"exchange": "news", "routing_key": "x"},
    }
    with database.write() as connection:
        for name, columns in routed.items():
            connection.execute(insert(entries).values(name=name, every="1h", task="t", **columns))
    with database.read() as connection:
        assert health.queues_of_entries(connection, None) == {"user.alice": 2}
        assert health.queues_of_entries(connection, "beatd") == {"user.alice": 2, "beatd": 1}
        assert health.queues_of_entries(connection, "user.alice") == {"user.alice": 3}
