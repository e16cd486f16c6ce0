"""What a person can do with runs: ask for one, look at them, follow them, revoke one."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from beatd.clock import monotonic
from beatd.errors import Conflict, FieldError, NotFound
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.entries import existing, no_entry
from beatd.operations.moments import Moment, ago
from beatd.operations.options import options_of
from beatd.operations.shadow import require_publishing
from beatd.operations.views import definition_of
from beatd.planning.plan import expires_at
from beatd.planning.task import run_id
from beatd.schedules import parse_zone
from beatd.store import history, schema
from beatd.store import runs as run_store
from beatd.store.entries import Transaction
from beatd.store.history import Run, Suppressed
from beatd.store.models import FINAL_STATES, OPEN_STATES

STATES = (*OPEN_STATES, *FINAL_STATES)

_HEX = 32
_MOST_RUNS = 1_000_000
_POLL = 0.1
#: Transactions become visible later than the times that they write; what was seen is not told again.
_LOOK_BACK = timedelta(seconds=10)


class Broadcast(Protocol):
    """Asks all workers not to start a run, or with `terminate` to end it."""

    def __call__(self, run: str, *, terminate: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Revocation:
    """`done`: it is revoked. Else the workers were asked, and the run ends when one of them answers."""

    run: Run
    done: bool


def trigger(context: Context, name: str) -> Run:
    """Puts a run of the entry into the outbox, now, paused or not and whatever its overlap policy says.

    Raises NotFound, InvalidInput if the entry is broken, Conflict in shadow mode.
    """
    with context.database.write() as transaction:
        entry = existing(transaction, name, lock=True)
        definition = definition_of(context.surroundings(transaction), entry)
        now = context.database.now(transaction)
        require_publishing(context, transaction, now)
        origin = f"trigger:{uuid.uuid4()}"
        id_ = run_id(schema.installation_id(transaction), entry.id, now, origin)
        history.record_trigger(
            transaction,
            {
                "id": id_,
                "entry_id": entry.id,
                "version": entry.version,
                "origin": origin,
                "fire_time": now,
                "due_time": now,
                "expires_at": expires_at(definition, now),
                "state": "pending",
                "recorded_at": now,
                "lease_until": now,
                "attempt": 0,
                **run_store.of_definition(definition),
            },
        )
        run = _one(transaction, id_)
        writing.audit_run(context, transaction, "trigger", run)
        return run


def wait(
    context: Context,
    id_: str,
    timeout: timedelta,
    on_change: Callable[[Run], None] = lambda run: None,
) -> Run:
    """The run once it ends, or as it is after `timeout`; `on_change` is told of every new state.

    Where workers do not report, a published run is at its end.
    """
    deadline = monotonic() + timeout.total_seconds()
    known = ""
    while True:
        run = show(context, id_)
        if run.state != known:
            known = run.state
            on_change(run)
        if run.ended or monotonic() >= deadline or (run.state == "published" and not context.reports):
            return run
        time.sleep(_POLL)


def find(
    context: Context,
    entry: str | None = None,
    states: Sequence[str] = (),
    since: Moment | None = None,
    limit: int = 50,
) -> list[Run]:
    """The newest runs by fire time. `since` is an instant or how long ago. Raises NotFound, FieldError."""
    _require_states(states)
    _require_limit(limit)
    with context.database.read() as transaction:
        return history.runs_where(
            transaction,
            entry_id=_entry_id(transaction, entry),
            states=states,
            since=_since(context, context.database.now(transaction), since),
            limit=limit,
        )


def entry_history(
    context: Context, entry: str, since: Moment | None = None, limit: int = 50
) -> list[Run | Suppressed]:
    """An entry's runs and the fires that became none, newest first. Raises NotFound, FieldError."""
    _require_limit(limit)
    with context.database.read() as transaction:
        id_ = _entry_id(transaction, entry)
        if id_ is None:
            raise no_entry(transaction, entry)
        start = _since(context, context.database.now(transaction), since)
        found: list[Run | Suppressed] = []
        found += history.runs_where(transaction, entry_id=id_, since=start, limit=limit)
        found += history.suppressed(transaction, id_, limit, start)
    found.sort(key=_instant, reverse=True)
    return found[:limit]


def show(context: Context, id_: str) -> Run:
    """The run of this id, or of this beginning of an id. Raises NotFound, FieldError if several begin so."""
    with context.database.read() as transaction:
        return _one(transaction, id_)


def options_run(context: Context, run: Run) -> dict[str, Any]:
    """The options of the entry at the version that this run was recorded with; none if it was cut since."""
    with context.database.read() as transaction:
        definition = history.definition_at(transaction, run.entry_id, run.version)
    return {} if definition is None else options_of(json.loads(definition))


def revoke(context: Context, id_: str, broadcast: Broadcast) -> Revocation:
    """Keeps a run from starting, or ends it.

    One that no worker can have begun is revoked in the database, whatever the broker; for others the
    workers are asked. Raises NotFound, FieldError, BrokerUnavailable, and Conflict if it has ended or the
    transport cannot broadcast.
    """
    reason = f"revoked by {context.who}"
    with context.database.write() as transaction:
        run = _one(transaction, id_)
        if run.ended:
            raise Conflict(f"run {run.id} has ended already: it is {run.state}")
        now = context.database.now(transaction)
        if run.run_once:
            done = history.revoke_unclaimed(transaction, context.database.dialect, run.id, now, reason)
        else:
            done = history.revoke_unsent(transaction, run.id, now, reason)
        writing.audit_run(context, transaction, "revoke", run)
        run = _one(transaction, run.id)
    if not done:
        _ask_workers(run, broadcast)
    return Revocation(run, done)


class Follower:
    """Tells of runs as they are recorded and as they end; `news` is asked again and again."""

    def __init__(self, context: Context, entry: str | None = None) -> None:
        """Raises NotFound."""
        self._context = context
        with context.database.read() as transaction:
            self._entry_id = _entry_id(transaction, entry)
            self._since = context.database.now(transaction)
        self._told: dict[tuple[str, bool], datetime] = {}

    def news(self) -> list[Run]:
        """Runs that were recorded or that ended since the last look, oldest fire time first."""
        with self._context.database.read() as transaction:
            now = self._context.database.now(transaction)
            found = history.news(transaction, self._since, self._entry_id)
        fresh = [run for run in found if (run.id, run.ended) not in self._told]
        self._told.update({(run.id, run.ended): now for run in fresh})
        self._told = {key: at for key, at in self._told.items() if at >= now - 3 * _LOOK_BACK}
        self._since = max(self._since, now - _LOOK_BACK)
        return fresh


def _ask_workers(run: Run, broadcast: Broadcast) -> None:
    if run.ended:
        raise Conflict(f"run {run.id} has ended already: it is {run.state}")
    try:
        broadcast(run.id, terminate=True)
    except Conflict as error:
        raise Conflict(f"run {run.id} is {run.state} and cannot be revoked: {error}") from error


def _one(transaction: Transaction, id_: str) -> Run:
    digits = id_.replace("-", "").lower()
    if not re.fullmatch(rf"[0-9a-f]{{1,{_HEX}}}", digits):
        raise FieldError("run", id_, "not the id of a run, nor the beginning of one", example="7f3a9c")
    lowest, highest = (str(uuid.UUID(hex=digits.ljust(_HEX, filler))) for filler in "0f")
    found = history.runs_like(transaction, lowest, highest)
    if len(found) > 1:
        raise FieldError("run", id_, "several runs begin so; give more of its id")
    if not found:
        raise NotFound("run", id_)
    return found[0]


def _entry_id(transaction: Transaction, name: str | None) -> int | None:
    if name is None:
        return None
    id_ = history.entry_id_of(transaction, name)
    if id_ is None:
        raise no_entry(transaction, name)
    return id_


def _since(context: Context, now: datetime, since: Moment | None) -> datetime | None:
    return None if since is None else ago(since, now, parse_zone(context.timezone), "since")


def _require_states(states: Sequence[str]) -> None:
    for state in states:
        if state not in STATES:
            raise FieldError("state", state, f"one of {', '.join(STATES)}", example="failed")


def _require_limit(limit: int) -> None:
    if not 1 <= limit <= _MOST_RUNS:
        raise FieldError("limit", limit, f"a whole number from 1 to {_MOST_RUNS}", example="50")


def _instant(item: Run | Suppressed) -> datetime:
    return item.fire_time if isinstance(item, Run) else item.last_fire_at
