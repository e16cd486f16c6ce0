"""A database whose time the test turns, and entries written as an operator would write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, text, update

from beatd.dispatch.dispatcher import Batch, Dispatcher
from beatd.reports import Report
from beatd.store import calendars, reported, runs, schema, timers
from beatd.store.calendars import StoredCalendar
from beatd.store.engine import Database
from beatd.store.models import entries, entry_versions

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

    def edit(self, name: str, **columns: Any) -> None:
        """An edit that was made at the turned time: triggers ask the database's own clock."""
        with self._edits() as connection:
            connection.execute(update(entries).where(entries.c.name == name).values(**columns))

    def edit_calendar(self, name: str, **columns: Any) -> None:
        """As `edit` does; without columns it is removed, one that is not there yet is added."""
        with self._edits() as connection:
            if not columns:
                calendars.remove(connection, name)
            elif not calendars.change(connection, name, columns):
                calendars.add(connection, StoredCalendar(name, **columns))

    @contextmanager
    def _edits(self) -> Iterator[Connection]:
        table = entry_versions
        with self.database.write() as connection:
            known = select(table.c.entry_id, table.c.version)
            before = set(map(tuple, connection.execute(known)))
            yield connection
            now = self.database.now(connection)
            for entry_id, version in set(map(tuple, connection.execute(known))) - before:
                made = table.c.entry_id == entry_id, table.c.version == version
                connection.execute(
                    update(table).where(*made).values(changed_at=bindparam("b_at")), {"b_at": now}
                )


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


class Story:
    """One entry, `every` minute from its creation if not said otherwise, and what becomes of it.

    Its fires are counted in minutes since the creation: fire 3 is the one of the third minute.
    """

    def __init__(self, turned: Turned, **columns: Any) -> None:
        self.turned = turned
        kind = {} if columns.keys() & {"cron", "at", "every"} else {"every": "1m"}
        self.id = turned.add("story", expires=columns.pop("expires", "never"), **kind, **columns)
        [created] = turned.rows("SELECT created_at FROM entries WHERE id = :id", id=self.id)
        self.start = as_instant(created.created_at)
        self.node = turned.dispatcher()
        #: fires whose runs workers were asked to end
        self.to_end: list[float] = []
        self.go()

    def restart(self) -> None:
        """Another daemon takes the place of this one."""
        self.node = self.turned.dispatcher()

    def at(self, minute: float) -> list[float]:
        """The fires of which runs start at this minute, or a moment after it."""
        ahead = self.start + timedelta(minutes=minute, milliseconds=500) - self.turned.now()
        self.turned.ahead += ahead
        return self.go()

    def go(self) -> list[float]:
        """Passes of the node until it rests; a broker that takes everything at once."""
        started = []
        for _ in range(20):
            batches = settle(self.node)
            batches += self.node.take_over().batches
            if not batches:
                return started
            for batch in batches:
                self.to_end += [self.fire(id_) for id_ in batch.to_end]
                taken = [publication.run for publication in batch.publications]
                with self.turned.database.write() as connection:
                    runs.mark_published(connection, NODE, taken, self.turned.now())
                started += [self._minute(run.fire_time) for run in taken]
        raise AssertionError("the node does not come to rest")

    def tell(self, fire: float, state: str, **values: Any) -> None:
        """A worker reports."""
        report = Report(self.run(fire).id, state, self.turned.now(), "w1", **values)
        with self.turned.database.write() as connection:
            reported.apply_reports(connection, [report], self.turned.now())

    def ends(self, fire: float, state: str = "succeeded") -> list[float]:
        """A worker reports the end of a run; the fires of which runs start then."""
        self.tell(fire, state)
        return self.go()

    def run(self, fire: float) -> Any:
        with self.turned.database.read() as connection:
            found = connection.execute(select(runs.runs).where(runs.runs.c.entry_id == self.id)).all()
        [run] = [run for run in found if self._minute(run.fire_time) == fire]
        return run

    def fire(self, run_id: str) -> float:
        with self.turned.database.read() as connection:
            run = connection.execute(select(runs.runs).where(runs.runs.c.id == run_id)).one()
        return self._minute(run.fire_time)

    @property
    def states(self) -> dict[float, str]:
        """By fire."""
        with self.turned.database.read() as connection:
            found = connection.execute(select(runs.runs).where(runs.runs.c.entry_id == self.id)).all()
        return {self._minute(run.fire_time): run.state for run in sorted(found, key=lambda r: r.fire_time)}

    @property
    def suppressed(self) -> list[tuple[str, int]]:
        """Reason and count of each record, in order."""
        rows = self.turned.rows(
            "SELECT reason, count FROM suppressions WHERE entry_id = :id ORDER BY id", id=self.id
        )
        return [(row.reason, row.count) for row in rows]

    @property
    def timer(self) -> Any:
        with self.turned.database.read() as connection:
            return connection.execute(select(timers.timers).where(timers.timers.c.entry_id == self.id)).one()

    @property
    def next(self) -> float | None:
        """The minute of its next fire."""
        found = self.timer.next_fire_at
        return None if found is None else self._minute(found)

    def edit(self, **columns: Any) -> None:
        self.turned.edit("story", **columns)

    def _minute(self, instant: datetime) -> float:
        return round((instant - self.start).total_seconds() / 60, 2)


def as_instant(shown: Any) -> datetime:
    """What plain SQL gives for an instant."""
    instant = datetime.fromisoformat(shown) if isinstance(shown, str) else shown
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
