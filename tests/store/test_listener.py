"""PostgreSQL wakes whoever listens; what is rolled back, or only read, wakes nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from beatd.errors import DatabaseUnavailable
from beatd.store.engine import Database
from beatd.store.listener import Listener
from tests.services.postgres import Postgres
from tests.store.operators import Operator

INSERT = "INSERT INTO entries (name, every, task) VALUES ('a', '1h', 'proj.a')"
NUDGE = "INSERT INTO nudges (kind) VALUES ('outbox')"

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def listener(database: Database) -> Iterator[Listener]:
    listener = Listener(database)
    yield listener
    listener.close()


@pytest.mark.parametrize(
    "edit", ["UPDATE entries SET queue = 'slow'", "DELETE FROM entries", INSERT.replace("'a'", "'b'"), NUDGE]
)
def test_edits_and_nudges_wake(operator: Operator, listener: Listener, edit: str) -> None:
    operator.type(INSERT)
    assert listener.wait(60)
    operator.type(edit)
    assert listener.wait(60)
    assert not listener.wait(0.05), "one edit, one notice"


def test_it_is_heard_when_it_is_committed(operator: Operator, listener: Listener) -> None:
    operator.type("BEGIN")
    operator.type(INSERT)
    operator.type(NUDGE)
    assert not listener.wait(0.1)
    operator.type("COMMIT")
    assert listener.wait(60)


def test_what_is_rolled_back_wakes_nobody(operator: Operator, listener: Listener) -> None:
    operator.type("BEGIN")
    operator.type(INSERT)
    operator.type("ROLLBACK")
    operator.type("SELECT * FROM entries")
    assert not listener.wait(0.1)


def test_what_came_before_the_wait_is_not_missed(operator: Operator, listener: Listener) -> None:
    operator.type(INSERT)
    operator.type("DELETE FROM entries")
    assert listener.wait(60)


def test_several_listen(
    database: Database, connect_operator: Callable[[Database], Operator], listener: Listener
) -> None:
    second = Listener(database)
    connect_operator(database).type(INSERT)
    assert listener.wait(60)
    assert second.wait(60)
    second.close()


def test_a_lost_connection_is_told(database: Database, listener: Listener, postgres: Postgres) -> None:
    with postgres.admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
    with pytest.raises(DatabaseUnavailable) as raised:
        listener.wait(60)
    assert "\n" not in str(raised.value)


def test_nobody_listens_where_there_is_no_server(database: Database, postgres: Postgres) -> None:
    other = Database.open(f"postgresql+psycopg://beatd:hunter2@127.0.0.1:{postgres.port}/nowhere")
    with pytest.raises(DatabaseUnavailable) as raised:
        Listener(other)
    assert "hunter2" not in str(raised.value)
    other.close()
