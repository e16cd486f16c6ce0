"""What a person does with runs, on each database."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound
from beatd.operations import entries, runs
from beatd.operations.context import Context
from beatd.operations.upcoming import upcoming
from beatd.planning.task import run_id
from beatd.store import claims, schema
from beatd.store.claims import Claim
from beatd.store.history import Run, Suppressed
from beatd.store.models import audit, nudges, suppressions
from beatd.store.models import entries as entries_table
from beatd.store.models import runs as table
from tests.waiting import eventually

LEASE = timedelta(seconds=60)


def rows(context: Context, source: Any) -> list[Any]:
    with context.database.read() as connection:
        order = [audit.c.id] if source is audit else []
        return list(connection.execute(select(source).order_by(*order)))


def execute(context: Context, statement: Any) -> None:
    with context.database.write() as connection:
        connection.execute(statement)


def entry(context: Context, name: str = "tick", **options: Any) -> int:
    return entries.add(context, name, {"every": "5m", "shell": "x"} | options).id


def record(
    context: Context, entry_id: int, fire_time: datetime, state: str = "succeeded", **more: Any
) -> str:
    values = {
        "id": str(uuid4()),
        "entry_id": entry_id,
        "version": 1,
        "origin": "schedule",
        "fire_time": fire_time,
        "due_time": fire_time,
        "recorded_at": fire_time,
        "state": state,
        "lost_after": 86400,
    }
    execute(context, insert(table).values(**values | more))
    return str(values["id"] if "id" not in more else more["id"])


def set_state(context: Context, id_: str, state: str, **more: Any) -> None:
    execute(context, update(table).where(table.c.id == id_).values(state=state, **more))


def must_not_ask(run: str, *, terminate: bool) -> None:
    raise AssertionError("the workers were asked")


class Asked(list[tuple[str, bool]]):
    def __call__(self, run: str, *, terminate: bool) -> None:
        self.append((run, terminate))


# Triggering


def test_a_triggered_run_waits_in_the_outbox_for_any_node(context: Context) -> None:
    entry_id = entry(context, time_limit="2d")
    run = runs.trigger(context, "tick")
    [row] = rows(context, table)
    with context.database.read() as connection:
        installation = schema.installation_id(connection)
    assert row.id == run_id(installation, entry_id, row.fire_time, row.origin) == run.id
    kind, _, number = row.origin.partition(":")
    assert (kind, str(UUID(number))) == ("trigger", number)
    assert (row.state, row.owner, row.attempt, row.version, row.run_once) == ("pending", None, 0, 1, True)
    assert row.fire_time == row.due_time == row.recorded_at == row.lease_until
    # misses nothing that an entry asks for: expiry at its next fire, lost after twice its time limit
    assert row.expires_at == upcoming(context, "tick", 1, row.fire_time).fire_times[0]
    assert row.lost_after == 4 * 86400
    assert [(nudge.kind, nudge.run_id) for nudge in rows(context, nudges)] == [("outbox", run.id)]
    last = rows(context, audit)[-1]
    assert (last.action, last.who, last.entry_id) == ("trigger", "alice", entry_id)


def test_a_paused_entry_can_be_triggered_again_and_again(context: Context) -> None:
    entry(context, enabled=False, expires="never", overlap="skip", task="proj.t", shell=None)
    first, second = runs.trigger(context, "tick"), runs.trigger(context, "tick")
    assert first.id != second.id
    assert (first.expires_at, first.run_once) == (None, False)


def test_what_cannot_be_triggered_says_why(context: Context) -> None:
    with pytest.raises(NotFound):
        runs.trigger(context, "tick")
    entry(context)
    execute(context, update(entries_table).values(cron="nonsense", every=None))
    with pytest.raises(InvalidInput, match="entry tick: cron: 'nonsense'"):
        runs.trigger(context, "tick")
    assert rows(context, table) == []


def test_waiting_ends_when_the_run_does(embedded: Context) -> None:
    entry(embedded)
    run = runs.trigger(embedded, "tick")
    seen: list[str] = []
    result: list[Run] = []

    def wait() -> None:
        told = runs.wait(embedded, run.id, timedelta(seconds=30), lambda changed: seen.append(changed.state))
        result.append(told)

    waiting = threading.Thread(target=wait)
    waiting.start()
    for state in ("published", "started"):
        eventually(lambda: seen)
        set_state(embedded, run.id, state)
        eventually(lambda state=state: state in seen)
    set_state(embedded, run.id, "failed", error="exit status 3")
    waiting.join(30)
    assert seen == ["pending", "published", "started", "failed"]
    assert (result[0].state, result[0].error) == ("failed", "exit status 3")


def test_waiting_has_an_end(embedded: Context) -> None:
    entry(embedded)
    run = runs.trigger(embedded, "tick")
    assert runs.wait(embedded, run.id, timedelta(milliseconds=1)).state == "pending"
    # without reports nothing more will be heard of a published run
    set_state(embedded, run.id, "published")
    assert runs.wait(replace(embedded, reports=False), run.id, timedelta(seconds=60)).state == "published"


# Looking


def test_runs_are_found_newest_first(context: Context) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    one, two = entry(context, "one", timezone="Asia/Tokyo"), entry(context, "two")
    ids = [
        record(context, one, now - timedelta(hours=3)),
        record(context, two, now - timedelta(hours=2), "failed"),
        record(context, one, now - timedelta(hours=1), "started"),
    ]
    assert [run.id for run in runs.find(context)] == ids[::-1]
    assert [run.id for run in runs.find(context, limit=1)] == ids[2:]
    assert [run.id for run in runs.find(context, "one")] == [ids[2], ids[0]]
    assert [run.id for run in runs.find(context, states=["failed", "started"])] == [ids[2], ids[1]]
    for since in (timedelta(minutes=150), "2h30m", (now - timedelta(minutes=150)).isoformat()):
        assert [run.id for run in runs.find(context, since=since)] == [ids[2], ids[1]]
    [run] = runs.find(context, "one", ["started"])
    assert (run.entry, run.timezone, run.ended) == ("one", "Asia/Tokyo", False)
    for bad in ({"states": ["gone"]}, {"since": "yesterday"}, {"limit": 0}):
        with pytest.raises(FieldError):
            runs.find(context, **bad)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="did you mean 'one'"):
        runs.find(context, "onee")


def test_runs_outlive_their_entry_under_its_last_name(context: Context) -> None:
    id_ = record(context, entry(context, "old"), datetime.now(UTC))
    entries.change(context, "old", {"name": "new"})
    assert [run.entry for run in runs.find(context)] == ["new"]
    entries.remove(context, "new")
    [run] = runs.find(context, "new")
    assert (run.id, run.entry) == (id_, "old")
    assert [item.id for item in runs.entry_history(context, "new") if isinstance(item, Run)] == [id_]


def test_a_run_is_shown_by_the_beginning_of_its_id(context: Context) -> None:
    one = entry(context)
    now = datetime.now(UTC)
    ids = ["aaaaaaaa-0000-4000-8000-000000000000", "aaaaaaab-0000-4000-8000-000000000000"]
    for number, id_ in enumerate(ids):
        record(context, one, now + timedelta(seconds=number), id=id_)
    for text in (ids[0], ids[0].upper(), "aaaaaaaa", "aaaaaaaa-0", "aaaaaaaa0"):
        assert runs.show(context, text).id == ids[0]
    with pytest.raises(FieldError, match="several runs begin so"):
        runs.show(context, "aaaaaaa")
    for missing in ("b", "aaaaaaac", str(uuid4())):
        with pytest.raises(NotFound):
            runs.show(context, missing)
    for bad in ("", "xyz", ids[0] + "0"):
        with pytest.raises(FieldError, match="not the id of a run"):
            runs.show(context, bad)


def test_fires_that_became_no_run_are_in_the_history(context: Context) -> None:
    entry_id = entry(context)
    now = datetime.now(UTC).replace(microsecond=0)
    before = record(context, entry_id, now - timedelta(hours=9))
    missed = {
        "entry_id": entry_id,
        "version": 1,
        "reason": "misfire",
        "count": 96,
        "exact": True,
        "first_fire_at": now - timedelta(hours=8),
        "last_fire_at": now - timedelta(minutes=5),
        "recorded_at": now,
    }
    execute(context, insert(suppressions).values(**missed))
    after = record(context, entry_id, now)
    newest, counted, oldest = runs.entry_history(context, "tick")
    assert isinstance(newest, Run)
    assert isinstance(oldest, Run)
    assert isinstance(counted, Suppressed)
    assert (newest.id, oldest.id) == (after, before)
    assert (counted.reason, counted.count, counted.first_fire_at) == ("misfire", 96, now - timedelta(hours=8))
    assert len(runs.entry_history(context, "tick", since="1h")) == 2
    assert runs.entry_history(context, "tick", limit=1) == [newest]


def test_a_follower_tells_of_each_run_twice(context: Context) -> None:
    entry_id = entry(context)
    record(context, entry_id, datetime.now(UTC) - timedelta(hours=1))
    follower, of_other = runs.Follower(context), runs.Follower(context, str(entry(context, "o") and "o"))
    assert follower.news() == []
    run = runs.trigger(context, "tick")
    assert [(new.id, new.state) for new in follower.news()] == [(run.id, "pending")]
    assert follower.news() == []
    set_state(context, run.id, "started")
    assert follower.news() == []
    set_state(context, run.id, "succeeded", finished_at=datetime.now(UTC))
    assert [(new.id, new.state) for new in follower.news()] == [(run.id, "succeeded")]
    assert follower.news() == of_other.news() == []


# Revoking


@pytest.mark.parametrize("state", ["pending", "published"])
def test_a_run_once_run_that_nobody_began_is_revoked_whatever_the_broker(
    context: Context, state: str
) -> None:
    entry(context)
    run = runs.trigger(context, "tick")
    set_state(context, run.id, state)
    revoked = runs.revoke(context, run.id[:8], must_not_ask)
    assert (revoked.done, revoked.run.state, revoked.run.reason) == (True, "revoked", "revoked by alice")
    assert revoked.run.finished_at is not None
    # its message, wherever it is, starts nothing any more
    assert claims.take(context.database, run.id, "worker", LEASE) is Claim.HELD
    assert rows(context, audit)[-1].action == "revoke"
    with pytest.raises(Conflict, match="ended already: it is revoked"):
        runs.revoke(context, run.id, must_not_ask)


def test_of_a_run_that_a_worker_has_begun_the_workers_are_asked(context: Context) -> None:
    entry(context)
    run = runs.trigger(context, "tick")
    set_state(context, run.id, "published")
    assert claims.take(context.database, run.id, "worker", LEASE) is Claim.TAKEN
    asked = Asked()
    revoked = runs.revoke(context, run.id, asked)
    assert (revoked.done, revoked.run.state) == (False, "published")
    assert asked == [(run.id, True)]


def test_other_tasks_are_revoked_before_they_are_published(context: Context) -> None:
    entry(context, task="proj.t", shell=None)
    pending, published = runs.trigger(context, "tick"), runs.trigger(context, "tick")
    assert runs.revoke(context, pending.id, must_not_ask).done
    set_state(context, published.id, "published")
    asked = Asked()
    assert not runs.revoke(context, published.id, asked).done
    assert asked == [(published.id, True)]


def test_a_transport_that_cannot_broadcast_says_so(embedded: Context) -> None:
    entry(embedded, task="proj.t", shell=None)
    run = runs.trigger(embedded, "tick")
    set_state(embedded, run.id, "started")

    def refuse(run: str, *, terminate: bool) -> None:
        raise Conflict("the filesystem transport cannot broadcast to workers")

    with pytest.raises(Conflict, match=r"is started and cannot be revoked: the filesystem transport"):
        runs.revoke(embedded, run.id, refuse)
    assert runs.show(embedded, run.id).state == "started"


@pytest.mark.parametrize("state", ["succeeded", "failed", "revoked", "expired", "lost"])
def test_what_has_ended_cannot_be_revoked(embedded: Context, state: str) -> None:
    id_ = record(embedded, entry(embedded), datetime.now(UTC), state)
    with pytest.raises(Conflict, match=f"ended already: it is {state}"):
        runs.revoke(embedded, id_, must_not_ask)
    assert [row.action for row in rows(embedded, audit)] == ["add"]
