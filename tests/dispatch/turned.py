"""A database whose time the test turns, and entries written as an operator would write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from beatd.dispatch.dispatcher import Batch, Dispatcher
from beatd.store import schema
from beatd.store.engine import Database

NODE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


class Turned:
    """What the dispatcher sees of the database's time is real time plus what the test has turned."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ahead = timedelta()
        real = database.now
        database.now = lambda connection: real(connection) + self.ahead  # type: ignore[method-assign]
        with database.read() as connection:
            self.installation = schema.installation_id(connection)

    def turn(self, **duration: float) -> None:
        self.ahead += timedelta(**duration)

    def now(self) -> datetime:
        with self.database.read() as connection:
            return self.database.now(connection)

    def dispatcher(self, node: str = NODE, **options: Any) -> Dispatcher:
        return Dispatcher(self.database, node, self.installation, **options)

    def sql(self, statement: str, **parameters: Any) -> None:
        with self.database.write() as connection:
            connection.execute(text(statement), parameters)

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(text(query), parameters).all())

    def one(self, query: str, **parameters: Any) -> Any:
        [row] = self.rows(query, **parameters)
        return row

    def add(self, name: str, **columns: Any) -> int:
        columns = {"name": name, "task": "proj.task", **columns}
        quote = "`" if self.database.dialect.name == "mariadb" else '"'
        names = ", ".join(f"{quote}{column}{quote}" for column in columns)
        values = ", ".join(f":{column}" for column in columns)
        self.sql(f"INSERT INTO entries ({names}) VALUES ({values})", **columns)
        return int(self.one("SELECT id FROM entries WHERE name = :name", name=name).id)


def settle(dispatcher: Dispatcher) -> list[Batch]:
    """Passes until nothing is left to do; a jump of time is believed at the second look."""
    batches = []
    for _ in range(100):
        done = dispatcher.run_once()
        batches += done.batches
        if not (done.due or done.changed or done.wait == 0.0):
            return batches
    raise AssertionError("the dispatcher does not come to rest")


def fire_times(batches: list[Batch]) -> list[datetime]:
    return [publication.run.fire_time for batch in batches for publication in batch.publications]
