"""Bugs planted on purpose, one at a time: each replaces a function of the real code by a wrong twin.

Only simulations see them; nothing of this is in the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from greenlet import getcurrent
from sqlalchemy import Connection, bindparam, select, update

from beatd.broker.confirms import Confirms
from beatd.dispatch.dispatcher import Dispatcher, Pass
from beatd.dispatch.outbox import Outbox
from beatd.store import claims, runs, timers
from beatd.store.dialects import Dialect
from beatd.store.models import runs as runs_table
from beatd.store.runs import OutboxRun
from beatd.store.timers import Timer

#: What to replace: an object, the name of its attribute, and the twin.
Twin = tuple[Any, str, Any]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """While it lasts the real code has that bug. Raises KeyError for one that is not known."""
    twins = BUGS[name]()
    real = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in twins]
    for owner, attribute, twin in twins:
        setattr(owner, attribute, twin)
    try:
        yield
    finally:
        for owner, attribute, function in real:
            setattr(owner, attribute, function)


def _mark_before_confirm() -> list[Twin]:
    """A batch is marked as published before it is sent, so that no run is ever sent twice. Nothing brings
    back what the broker then does not take.
    """
    publish = Outbox._publish

    def twin(outbox: Outbox, publisher: Any, batch: Any) -> None:
        with outbox._database.write() as connection:
            now = outbox._database.now(connection)
            taken = [publication.run for publication in batch.publications]
            runs.mark_published(connection, outbox._node, taken, now)
        publish(outbox, publisher, batch)

    return [(Outbox, "_publish", twin)]


def _takeover_without_compare() -> list[Twin]:
    """Lapsed runs are looked up in one transaction and taken in the next, whoever has them by then."""

    seen: dict[str, list[OutboxRun]] = {}

    def take_over(dispatcher: Dispatcher) -> Pass:
        database = dispatcher._database
        with database.read() as connection:
            now = database.now(connection)
            lapsed = runs_table.c.state == "pending", runs_table.c.lease_until <= now
            query = select(*runs._OUTBOX_COLUMNS).where(*lapsed).limit(dispatcher._batch)
            seen[dispatcher._node] = [OutboxRun(*row) for row in connection.execute(query)]
        return real(dispatcher)

    def take_seen(connection: Connection, dialect: Dialect, owner: str, *times: Any) -> list[OutboxRun]:
        taken = [replace(run, attempt=run.attempt + 1) for run in seen.pop(owner)]
        for run in taken:
            values = {"owner": owner, "lease_until": times[1], "attempt": run.attempt}
            connection.execute(update(runs_table).where(runs_table.c.id == run.id).values(**values))
        return taken

    real = Dispatcher.take_over
    return [(Dispatcher, "take_over", take_over), (runs, "take_lapsed", take_seen)]


def _advance_outside() -> list[Twin]:
    """Timers are advanced in a transaction of their own, after the one that records their runs; of a fire
    that is there already it is taken that its run is still to be published.
    """
    run_once, save, record = Dispatcher.run_once, timers.save, runs.record
    later: dict[object, tuple[Dialect, Sequence[Timer]]] = {}  # by the loop that is to do it

    def save_later(connection: Connection, dialect: Dialect, changed: Sequence[Timer]) -> None:
        later[getcurrent()] = dialect, changed

    def twin(dispatcher: Dispatcher) -> Pass:
        later.pop(getcurrent(), None)
        done = run_once(dispatcher)
        dialect, changed = later.pop(getcurrent(), (dispatcher._database.dialect, ()))
        if changed:
            with dispatcher._database.write() as connection:
                save(connection, dialect, changed)
        return done

    def recorded(connection: Connection, dialect: Dialect, rows: Sequence[dict[str, Any]]) -> list[OutboxRun]:
        record(connection, dialect, rows)
        leased = [row for row in rows if row["owner"] is not None]
        return [OutboxRun(**{name: row[name] for name in OutboxRun.__dataclass_fields__}) for row in leased]

    return [(Dispatcher, "run_once", twin), (timers, "save", save_later), (runs, "record", recorded)]


def _confirms_by_order() -> list[Twin]:
    """The n-th answer is taken for that of the n-th message, whatever its tag."""

    def answer(confirms: Confirms[Any], tag: int, *, multiple: bool, confirmed: bool) -> None:
        real(confirms, next(iter(confirms._unconfirmed), tag), multiple=multiple, confirmed=confirmed)

    real = Confirms.answer
    return [(Confirms, "answer", answer)]


def _stale_mark() -> list[Twin]:
    """A node that slept marks its batch by the runs' ids alone, though others may have taken them since."""

    def held(owner: str, leased: Sequence[OutboxRun]) -> Any:
        return runs_table.c.id.in_([run.id for run in leased])

    return [(runs, "_held", held)]


def _claim_without_state() -> list[Twin]:
    """A worker takes over a run that another has claimed, when the message comes to it again."""

    def take_new(database: Any, connection: Connection, run_id: str, worker: str, *rest: Any) -> bool:
        if real(database, connection, run_id, worker, *rest):
            return True
        statement = update(claims.claims).where(claims.claims.c.run_id == bindparam("b_id"))
        return connection.execute(statement.values(worker=worker), {"b_id": run_id}).rowcount == 1

    real = claims._take_new
    return [(claims, "_take_new", take_new)]


BUGS: dict[str, Callable[[], list[Twin]]] = {
    "mark before confirm": _mark_before_confirm,
    "takeover without compare-and-set": _takeover_without_compare,
    "advance outside the transaction": _advance_outside,
    "confirms matched by order": _confirms_by_order,
    "marks by id alone": _stale_mark,
    "claim that takes over": _claim_without_state,
}
