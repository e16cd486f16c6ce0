"""Runs: recorded once, leased, marked by their owner alone, reported on in any order, closed, cut."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
from sqlalchemy import insert, select, update

from beatd.reports import Report
from beatd.store import runs
from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, OPEN_STATES, claims, nudges, suppressions
from beatd.store.runs import OutboxRun

NOW = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LEASE = NOW + 30 * SECOND
US, THEM = str(uuid4()), str(uuid4())
WORKER = "celery@one"


def run_id(number: int) -> str:
    return str(uuid5(NAMESPACE_OID, str(number)))


def row(number: int, **values: Any) -> dict[str, Any]:
    """A recorded run, as the dispatcher writes it."""
    fire = NOW + number * SECOND
    blank = {
        "id": run_id(number),
        "entry_id": 1,
        "version": 1,
        "origin": "schedule",
        "fire_time": fire,
        "due_time": fire,
        "expires_at": NOW + HOUR,
        "state": "pending",
        "recorded_at": NOW,
        "owner": US,
        "lease_until": LEASE,
        "attempt": 1,
        "run_once": False,
        "lost_after": 3600,
    }
    return {**blank, **values}


def put(database: Database, *rows: dict[str, Any]) -> None:
    with database.write() as connection:
        for values in rows:
            connection.execute(insert(runs.runs), values)


def outbox(number: int, **values: Any) -> OutboxRun:
    fire = NOW + number * SECOND
    return replace(OutboxRun(run_id(number), 1, 1, fire, fire, NOW + HOUR, 1), **values)


def stored(database: Database, number: int = 1) -> Any:
    with database.read() as connection:
        return connection.execute(select(runs.runs).where(runs.runs.c.id == run_id(number))).one()


def states(database: Database) -> dict[int, str]:
    with database.read() as connection:
        rows = connection.execute(select(runs.runs.c.id, runs.runs.c.state))
        known = {row.id: row.state for row in rows}
    return {number: known[run_id(number)] for number in range(50) if run_id(number) in known}


# Recording


def test_what_is_recorded_is_read_back(database: Database) -> None:
    with database.write() as connection:
        assert runs.record(connection, database.dialect, []) == []
        recorded = runs.record(connection, database.dialect, [row(1), row(2, expires_at=None)])
    assert recorded == [outbox(1), outbox(2, expires_at=None)]
    found = stored(database)._mapping
    assert {name: found[name] for name in row(1)} == row(1)
    assert (found["retries"], found["report_rank"], found["published_at"]) == (0, 0, None)


def test_runs_that_exist_are_passed_over(database: Database) -> None:
    put(database, row(1, state="succeeded", owner=None, lease_until=None), row(2, owner=THEM))
    # the same fire under another id: the database was restored into another installation
    put(database, row(3, id=str(uuid4())))
    with database.write() as connection:
        recorded = runs.record(connection, database.dialect, [row(n) for n in range(1, 6)])
        assert recorded == [outbox(4), outbox(5)]
        assert runs.record(connection, database.dialect, [row(1)]) == []
    assert stored(database, 1).state == "succeeded"
    assert stored(database, 2).owner == THEM


def test_a_run_is_one_of_its_entry_fire_time_and_origin(database: Database) -> None:
    put(database, row(1))
    others = [
        row(2, fire_time=NOW + SECOND + timedelta(microseconds=1)),
        row(3, fire_time=NOW + SECOND, entry_id=2),
        row(4, fire_time=NOW + SECOND, origin="trigger:1"),
        row(5, fire_time=NOW + SECOND),
    ]
    with database.write() as connection:
        recorded = runs.record(connection, database.dialect, others)
    assert [run.id for run in recorded] == [run_id(2), run_id(3), run_id(4)]


# Leases


def test_lapsed_leases_are_taken(database: Database) -> None:
    later = NOW + timedelta(microseconds=1)
    put(
        database,
        row(1, lease_until=NOW, owner=THEM),
        row(2, lease_until=later),
        row(3, lease_until=NOW - SECOND, owner=None, attempt=4),
        row(4, lease_until=NOW - SECOND, state="published"),
        row(5, lease_until=None, owner=None, state="started"),
    )
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
        assert taken == [outbox(3, attempt=5), outbox(1, attempt=2)]
        assert runs.take_lapsed(connection, database.dialect, THEM, NOW, LEASE, 10) == []
    assert (stored(database).owner, stored(database).lease_until, stored(database).attempt) == (US, LEASE, 2)
    with database.write() as connection:
        assert runs.take_lapsed(connection, database.dialect, THEM, LEASE, LEASE + SECOND, 1) == [
            outbox(2, attempt=2)
        ]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_lapsed_leases_that_another_takes_are_passed_over(database: Database) -> None:
    put(database, *(row(n, lease_until=NOW - n * SECOND) for n in range(10)))
    put(database, *(row(n, state="succeeded", lease_until=None) for n in range(100, 200)))
    with database.write() as one, database.write() as other:
        first = runs.take_lapsed(one, database.dialect, US, NOW, LEASE, 4)
        second = runs.take_lapsed(other, database.dialect, THEM, NOW, LEASE, 4)
    assert [run.id for run in first] == [run_id(n) for n in (9, 8, 7, 6)]
    assert [run.id for run in second] == [run_id(n) for n in (5, 4, 3, 2)]


def test_of_many_that_take_at_once_no_two_get_the_same(database: Database) -> None:
    put(database, *(row(n, lease_until=NOW) for n in range(100)))
    barrier, taken = threading.Barrier(4), []

    def take(owner: str) -> None:
        barrier.wait()
        for _ in range(200):
            with database.write() as connection:
                some = runs.take_lapsed(connection, database.dialect, owner, NOW, LEASE, 3)
                runs.mark_published(connection, owner, some, NOW)
            taken.extend(run.id for run in some)
            if len(taken) >= 100:
                return

    threads = [threading.Thread(target=take, args=(str(uuid4()),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == sorted(run_id(n) for n in range(100))


#: What the owner of a run may do, by a function of (connection, owner, runs) that returns their number.
CHANGES: dict[str, Callable[[Any, str, list[OutboxRun]], int]] = {
    "renew": lambda c, owner, some: len(runs.renew(c, owner, some, LEASE + SECOND)),
    "published": lambda c, owner, some: runs.mark_published(c, owner, some, NOW),
    "expired": lambda c, owner, some: runs.mark_expired(c, owner, some, NOW),
    "refused": lambda c, owner, some: sum(runs.mark_refused(c, owner, run, NOW, "no queue") for run in some),
    "release": lambda c, owner, some: runs.release(c, owner, some, NOW, "broker down"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_the_owner_of_this_taking_may_change_a_run(database: Database, change: str) -> None:
    put(
        database,
        row(0),
        row(1, owner=THEM),
        row(2, attempt=2),
        row(3, state="started"),
        row(4, owner=None),
        row(5, state="published"),
        row(6, attempt=3),
    )
    before = [stored(database, n) for n in range(1, 6)]
    asked = [outbox(n) for n in range(6)] + [outbox(6, attempt=3), outbox(99)]
    with database.write() as connection:
        assert CHANGES[change](connection, US, []) == 0
        assert CHANGES[change](connection, US, asked) == 2
    assert [stored(database, n) for n in range(1, 6)] == before
    assert stored(database, 0) != row(0)


def test_what_the_owner_s_changes_write(database: Database) -> None:
    put(database, *(row(n, error="broker down") for n in range(6)))
    with database.write() as connection:
        assert runs.renew(connection, US, [outbox(1), outbox(9)], LEASE + SECOND) == {run_id(1)}
        assert runs.renew(connection, US, [outbox(1)], LEASE) == {run_id(1)}  # never shorter
        runs.mark_published(connection, US, [outbox(2)], NOW + SECOND)
        runs.mark_expired(connection, US, [outbox(3)], NOW + SECOND)
        runs.mark_refused(connection, US, outbox(4), NOW + SECOND, "no such exchange")
        runs.release(connection, US, [outbox(5)], NOW + SECOND, "broker down again")
        assert runs.count_pending(connection) == 3
    names = ("state", "owner", "lease_until", "published_at", "finished_at", "error", "reason")
    found = {n: tuple(getattr(stored(database, n), name) for name in names) for n in range(1, 6)}
    at = NOW + SECOND
    assert found == {
        1: ("pending", US, LEASE + SECOND, None, None, "broker down", None),
        2: ("published", None, None, at, None, None, None),
        3: ("expired", None, None, None, at, None, runs.UNPUBLISHED),
        4: ("failed", None, None, None, at, "no such exchange", "not published"),
        5: ("pending", None, at, None, None, "broker down again", None),
    }


def test_leases_of_the_dead_lapse_at_once(database: Database) -> None:
    dead = str(uuid4())
    put(
        database,
        row(1),
        row(2, owner=dead),
        row(3, owner=dead, state="published"),
        row(4, owner=dead, lease_until=NOW - SECOND),
    )
    with database.write() as connection:
        assert runs.release_owned_by(connection, [], NOW) == 0
        assert runs.release_owned_by(connection, [dead, THEM], NOW) == 1
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
    assert [run.id for run in taken] == [run_id(4), run_id(2)]


# Reports


def report(state: str, retries: int = 0, number: int = 1, **values: Any) -> Report:
    """A report whose time says where in the run it belongs."""
    at = NOW + retries * HOUR + {"started": 1, "retrying": 2}.get(state, 3) * SECOND
    return replace(Report(run_id(number), state, at, WORKER, retries), **values)


def tell(database: Database, *reports: Report) -> int:
    with database.write() as connection:
        return runs.apply_reports(connection, reports, NOW)


STORY = (
    report("started"),
    report("retrying", error="first try"),
    report("started", 1),
    report("retrying", 1, error="second try"),
    report("started", 2),
    report("succeeded", 2, result="done"),
)


def test_a_run_s_story_as_it_is_told(database: Database) -> None:
    put(database, row(1, state="published", owner=None, lease_until=None, published_at=NOW))
    names = ("state", "retries", "started_at", "finished_at", "result", "error", "lost_at")
    lost_at = NOW + timedelta(seconds=3600)
    expected = [
        ("started", 0, STORY[0].at, None, None, None, lost_at),
        ("retrying", 0, STORY[0].at, None, None, "first try", lost_at),
        ("started", 1, STORY[2].at, None, None, None, lost_at),
        ("retrying", 1, STORY[2].at, None, None, "second try", lost_at),
        ("started", 2, STORY[4].at, None, None, None, lost_at),
        ("succeeded", 2, STORY[4].at, STORY[5].at, "done", None, None),
    ]
    for told, after in zip(STORY, expected, strict=True):
        assert tell(database, told) == 1
        assert tuple(getattr(stored(database), name) for name in names) == after
        assert tell(database, told) == 0, "told again"
    assert stored(database).worker == WORKER


@pytest.mark.parametrize("together", [True, False])
def test_in_whatever_order_it_is_told_the_end_is_the_same(database: Database, together: bool) -> None:
    orders = list(permutations(STORY[2:]))
    put(database, *(row(n, state="published") for n in range(len(orders))))
    for number, order in enumerate(orders):
        told = [replace(one, run_id=run_id(number)) for one in order]
        for some in [told] if together else [[one] for one in told]:
            tell(database, *some)
    for number in range(len(orders)):
        found = stored(database, number)
        assert (found.state, found.retries, found.result) == ("succeeded", 2, "done")
        assert (found.finished_at, found.error, found.lost_at) == (STORY[5].at, None, None)
        assert found.started_at == STORY[4].at, orders[number]


@pytest.mark.parametrize("final", ["succeeded", "failed", "revoked", "expired"])
def test_the_first_end_that_is_told_stays(database: Database, final: str) -> None:
    put(database, row(1, state="published"))
    assert tell(database, report(final, result="first")) == 1
    for state in ("succeeded", "failed", "revoked", "expired", "started", "retrying"):
        assert tell(database, report(state, result="second")) == 0
    assert (stored(database).state, stored(database).result) == (final, "first")


def test_a_report_overtakes_our_own_books(database: Database) -> None:
    """The worker was faster than the confirmation: marking finds nothing to mark."""
    put(database, row(1), row(2))
    assert tell(database, report("started"), report("succeeded", number=2)) == 2
    for number in (1, 2):
        assert (stored(database, number).owner, stored(database, number).lease_until) == (None, None)
    with database.write() as connection:
        assert runs.mark_published(connection, US, [outbox(1), outbox(2)], NOW) == 0
        assert runs.take_lapsed(connection, database.dialect, US, NOW + HOUR, NOW + HOUR, 9) == []
    assert states(database) == {1: "started", 2: "succeeded"}
    assert {stored(database, number).published_at for number in (1, 2)} == {NOW}, (
        "the history has it all the same"
    )


@pytest.mark.parametrize("inferred", ["expired", "lost"])
@pytest.mark.parametrize("told", ["started", "succeeded", "failed"])
def test_what_a_worker_says_beats_what_we_inferred(database: Database, inferred: str, told: str) -> None:
    put(database, row(1, state=inferred, finished_at=NOW, reason="inferred", report_rank=0))
    assert tell(database, report(told)) == 1
    found = stored(database)
    assert (found.state, found.reason) == (told, None)
    assert found.finished_at == (None if told == "started" else report(told).at)


def test_reports_that_nobody_can_place_stop_no_other(database: Database) -> None:
    put(database, row(1, state="published"), row(2, state="published"))
    assert tell(database) == 0
    unknown = [
        report("started", number=99),
        report("started", run_id="not-a-uuid"),
        report("started", run_id=""),
        report("started", run_id="x" * 5000),
    ]
    assert tell(database, *unknown) == 0
    assert tell(database, *unknown, report("started"), report("started", number=2)) == 2
    assert states(database) == {1: "started", 2: "started"}


def test_what_workers_say_fits(database: Database) -> None:
    put(database, row(1, state="published"))
    said = "größe 🦆\n" * 20_000
    assert tell(database, report("failed", result=said, error=said + "\x00\ud800", worker="w" * 300)) == 1
    found = stored(database)
    assert (found.result, found.worker) == (said, "w" * 300)
    assert found.error.startswith(said)


# Closing


def closed(database: Database, close: Callable[..., int], *args: Any) -> int:
    with database.write() as connection:
        return close(connection, database.dialect, NOW, *args)


def claim(database: Database, number: int, lease_until: datetime, ended_at: datetime | None = None) -> None:
    values = {
        "run_id": run_id(number),
        "worker": WORKER,
        "claimed_at": NOW,
        "lease_until": lease_until,
        "ended_at": ended_at,
    }
    with database.write() as connection:
        connection.execute(insert(claims), values)


def test_unpublished_runs_expire(database: Database) -> None:
    put(
        database,
        row(1, expires_at=NOW),
        row(2, expires_at=NOW + SECOND),
        row(3, expires_at=None),
        row(4, expires_at=NOW - HOUR, state="published"),
        row(5, expires_at=NOW - HOUR),
    )
    assert closed(database, runs.close_unpublished, 1) == 1
    assert closed(database, runs.close_unpublished, 10) == 1
    assert closed(database, runs.close_unpublished, 10) == 0
    assert states(database) == {1: "expired", 2: "pending", 3: "pending", 4: "published", 5: "expired"}
    found = stored(database)
    assert (found.finished_at, found.reason, found.owner) == (NOW, runs.UNPUBLISHED, None)


def test_unstarted_runs_expire_a_minute_late(database: Database) -> None:
    late = NOW - timedelta(seconds=61)
    put(
        database,
        *(row(n, state="published", expires_at=late) for n in (1, 2)),
        row(3, state="published", expires_at=NOW - timedelta(seconds=60)),
        row(4, state="published", expires_at=None),
        row(5, state="started", expires_at=late),
        row(6, expires_at=late),
    )
    claim(database, 2, NOW + HOUR)
    assert closed(database, runs.close_unstarted, 10) == 1
    assert states(database) == {
        1: "expired",
        2: "published",
        3: "published",
        4: "published",
        5: "started",
        6: "pending",
    }
    assert stored(database).reason == "no worker started it before its expiry"


def test_unheard_runs_are_lost(database: Database) -> None:
    put(
        database,
        row(1, state="started", lost_at=NOW - SECOND),
        row(2, state="retrying", lost_at=NOW - SECOND),
        row(3, state="started", lost_at=NOW + SECOND),
        row(4, state="succeeded", lost_at=NOW - SECOND),
        row(5, state="published"),
    )
    assert closed(database, runs.close_unheard, 10) == 2
    assert states(database) == {1: "lost", 2: "lost", 3: "started", 4: "succeeded", 5: "published"}


def test_runs_whose_claim_lapsed_are_lost(database: Database) -> None:
    put(
        database,
        row(1, state="started"),
        row(2, state="published"),
        row(3, state="succeeded", finished_at=NOW),
        row(4, state="started"),
        row(5, state="started"),
    )
    for number in (1, 2, 3):
        claim(database, number, NOW - SECOND)
    claim(database, 4, NOW + SECOND)
    claim(database, 5, NOW - SECOND, ended_at=NOW - SECOND)
    claim(database, 99, NOW - SECOND)  # its run is gone
    assert closed(database, runs.close_lapsed_claims, 10) == 2
    assert closed(database, runs.close_lapsed_claims, 10) == 0
    assert states(database) == {1: "lost", 2: "lost", 3: "succeeded", 4: "started", 5: "started"}
    with database.read() as connection:
        open_ = connection.execute(select(claims.c.run_id).where(claims.c.ended_at.is_(None))).scalars().all()
    assert open_ == [run_id(4)]


def test_runs_that_ended_without_a_report_are_lost(database: Database) -> None:
    minute_ago = NOW - timedelta(seconds=61)
    put(
        database,
        row(1, state="started", run_once=True),
        row(2, state="published", run_once=True),
        row(3, state="started", run_once=True),
        row(4, state="succeeded", run_once=True, finished_at=NOW),
        row(5, state="started", run_once=False),  # may be retried, under the same id
        row(6, state="started", run_once=True),
    )
    for number in (1, 2, 4, 5):
        claim(database, number, NOW, ended_at=minute_ago)
    claim(database, 3, NOW, ended_at=NOW - timedelta(seconds=59))
    claim(database, 6, NOW + HOUR)
    assert closed(database, runs.close_untold, 10) == 2
    assert states(database) == {
        1: "lost",
        2: "lost",
        3: "started",
        4: "succeeded",
        5: "started",
        6: "started",
    }
    assert "could not report" in stored(database).reason


def test_unclaimed_run_once_runs_are_published_again(database: Database) -> None:
    old = {"state": "published", "run_once": True, "published_at": NOW - 2 * SECOND, "owner": None}
    put(
        database,
        row(1, **old),
        row(2, **{**old, "run_once": False}),
        row(3, **old),
        row(4, **{**old, "published_at": NOW}),
        row(5, **old, expires_at=NOW),
        row(6, **old, expires_at=None),
        row(7, **{**old, "state": "started"}),
    )
    put_back = {1, 6}
    claim(database, 3, NOW + HOUR)
    assert closed(database, runs.publish_again, SECOND, 10) == len(put_back)
    assert {n for n, state in states(database).items() if state == "pending"} == put_back
    with database.write() as connection:
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 10)
        assert {run.id for run in taken} == {run_id(n) for n in put_back}
        assert {run.attempt for run in taken} == {2}
        assert runs.mark_published(connection, US, taken, NOW + SECOND) == len(put_back)
    assert stored(database).published_at == NOW + SECOND


def test_nudges_are_taken_once(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(nudges), [{"kind": "outbox"}] * 3)
        assert [runs.take_nudges(connection, database.dialect, 2) for _ in range(3)] == [2, 1, 0]


# Retention


def ended_hours_ago(number: int, hours: int, **values: Any) -> dict[str, Any]:
    return row(
        number,
        state="succeeded",
        owner=None,
        lease_until=None,
        fire_time=NOW - hours * HOUR,
        finished_at=NOW - hours * HOUR,
        **values,
    )


def claimed(database: Database) -> Iterable[str]:
    with database.read() as connection:
        return set(connection.execute(select(claims.c.run_id)).scalars())


def test_old_history_is_cut(database: Database) -> None:
    put(database, *(ended_hours_ago(n, n) for n in range(1, 6)))
    unfinished = dict(enumerate(OPEN_STATES, start=10))
    old = {"fire_time": NOW - 9 * HOUR, "finished_at": NOW - 9 * HOUR}  # a report revived it
    put(database, *(row(n, entry_id=n, state=state, **old) for n, state in unfinished.items()))
    for number in (1, 5, *unfinished):
        claim(database, number, NOW)
    with database.write() as connection:
        assert runs.cut_history(connection, NOW - 3 * HOUR, 1) == 1
        assert runs.cut_history(connection, NOW - 3 * HOUR, 10) == 1
        assert runs.cut_history(connection, NOW - 3 * HOUR, 10) == 0
    assert states(database) == {1: "succeeded", 2: "succeeded", 3: "succeeded", **unfinished}
    assert claimed(database) == {run_id(n) for n in (1, *unfinished)}


def test_every_final_state_is_cut(database: Database) -> None:
    finals = [row(n, state=state, finished_at=NOW - HOUR) for n, state in enumerate(FINAL_STATES)]
    put(database, *finals)
    with database.write() as connection:
        assert runs.cut_history(connection, NOW, 10) == len(FINAL_STATES)
    assert states(database) == {}


def test_old_suppressions_are_cut(database: Database) -> None:
    values = {
        "entry_id": 1,
        "version": 1,
        "reason": "misfire",
        "count": 1,
        "first_fire_at": NOW,
        "last_fire_at": NOW,
    }
    with database.write() as connection:
        connection.execute(
            insert(suppressions), [{**values, "recorded_at": NOW - n * HOUR} for n in range(4)]
        )
        assert runs.cut_history(connection, NOW - HOUR, 10) == 2
        left = connection.execute(select(suppressions.c.recorded_at)).scalars().all()
    assert sorted(left) == [NOW - HOUR, NOW]


def test_long_histories_are_cut_to_the_newest(database: Database) -> None:
    put(database, *(ended_hours_ago(n, n) for n in range(1, 8)))
    put(database, *(ended_hours_ago(n, n, entry_id=2) for n in range(10, 12)))
    put(
        database,
        *(row(n, entry_id=1, state=s, fire_time=NOW - n * HOUR) for n, s in enumerate(OPEN_STATES, start=20)),
    )
    for number in (1, 7, 20, 24):
        claim(database, number, NOW)
    with database.write() as connection:
        assert runs.with_long_histories(connection, 3) == [1]
        assert runs.cut_long_history(connection, 1, 3, 3) == 3
        assert runs.cut_long_history(connection, 1, 3, 3) == 1
        assert runs.cut_long_history(connection, 1, 3, 3) == 0
    assert set(states(database)) == {1, 2, 3, 10, 11, 20, 21, 22, 23, 24}
    assert claimed(database) == {run_id(n) for n in (1, 20, 24)}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("cut", ["cut_history", "cut_long_history"])
def test_a_run_that_is_revived_while_it_is_cut_stays(
    database: Database, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late report may overrule `lost` between the look for old runs and their removal."""
    put(database, ended_hours_ago(1, 5), {**ended_hours_ago(2, 4), "state": "lost"}, ended_hours_ago(3, 3))
    claim(database, 2, NOW)
    delete_runs = runs._delete_runs

    def revive_then_delete(connection: Any, ids: list[str]) -> int:
        with database.write() as other:
            other.execute(update(runs.runs).where(runs.runs.c.id == run_id(2)).values(state="started"))
        return delete_runs(connection, ids)

    monkeypatch.setattr(runs, "_delete_runs", revive_then_delete)
    limits = {"cut_history": (NOW, 10), "cut_long_history": (1, 1, 10)}
    with database.write() as connection:
        getattr(runs, cut)(connection, *limits[cut])
    assert states(database)[2] == "started"
    assert claimed(database) == {run_id(2)}
