"""Runs of one entry beside each other: unfinished, held back, giving way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from beatd.planning.reasons import CANCELLED, SUPERSEDED
from beatd.store import overlaps, runs
from beatd.store.claims import Claim, take
from beatd.store.engine import Database
from tests.store.rows import LEASE, NOW, SECOND, THEM, US, claim, claimed, put, row, run_id, states, stored

#: Nobody's, and due: the place of a run that no node has taken yet.
WAITS: dict[str, Any] = {"owner": None, "lease_until": None, "attempt": 0, "fire_time": NOW, "due_time": NOW}
HELD = {**WAITS, "state": "held"}
CANCELLING = {**WAITS, "state": "pending", "lease_until": NOW + 5 * SECOND}
BACKFILL = {"origin": "backfill:1", "expires_at": None}


@pytest.mark.parametrize(
    ("state", "expires_in", "open_"),
    [
        ("pending", 1, True),
        ("pending", 0, False),
        ("published", 1, True),
        ("published", -1, False),
        ("published", None, True),
        ("held", None, True),
        ("started", -1, True),
        ("retrying", -1, True),
        ("succeeded", 1, False),
        ("failed", None, False),
        ("revoked", None, False),
        ("expired", None, False),
        ("lost", None, False),
    ],
)
def test_an_open_run_is_one_that_runs_or_can_still_start(
    database: Database, state: str, expires_in: int | None, open_: bool
) -> None:
    expires_at = None if expires_in is None else NOW + expires_in * SECOND
    put(database, row(1, state=state, expires_at=expires_at))
    with database.write() as connection:
        assert overlaps.with_open_run(connection, [1, 2], NOW) == ({1} if open_ else set())
        assert overlaps.with_open_run(connection, [2], NOW) == set()
        assert overlaps.with_open_run(connection, [], NOW) == set()
        own = overlaps.with_open_run(connection, [1], NOW, "schedule")
        assert own == ({1} if open_ else set())
        assert overlaps.with_open_run(connection, [1], NOW, "trigger:1") == set()


def test_a_claim_tells_that_a_run_has_begun(database: Database) -> None:
    put(database, row(1, state="published", expires_at=NOW - SECOND))
    claim(database, 1, NOW)
    with database.read() as connection:
        assert overlaps.with_open_run(connection, [1], NOW) == {1}


@pytest.mark.parametrize(
    ("values", "open_"),
    [
        ({"state": "pending", "due_time": NOW + SECOND}, False),
        ({"state": "pending", "due_time": NOW}, True),
        ({"state": "held", "due_time": NOW}, False),
        ({"state": "published", "due_time": NOW}, True),
        ({"state": "started", "due_time": NOW}, True),
    ],
)
def test_of_a_backfill_only_what_has_come_up_is_open(
    database: Database, values: dict[str, Any], open_: bool
) -> None:
    put(database, row(1, **BACKFILL, **values))
    with database.read() as connection:
        assert overlaps.with_open_run(connection, [1], NOW) == ({1} if open_ else set())


def test_of_held_runs_the_newest_wins(database: Database) -> None:
    put(
        database,
        row(1, state="started"),
        row(2, **HELD),
        row(3, **{**HELD, **BACKFILL}),
        row(4, **HELD, entry_id=2),
    )
    with database.write() as connection:
        assert overlaps.supersede(connection, [], NOW) == 0
        assert overlaps.supersede(connection, [1], NOW) == 1
    assert states(database) == {1: "started", 2: "revoked", 3: "held", 4: "held"}
    assert (stored(database, 2).reason, stored(database, 2).finished_at) == (SUPERSEDED, NOW)


# Released


#: What else the entry has, and whether a held run of it may go on beside that.
BESIDE: list[tuple[dict[str, Any] | None, bool]] = [
    (None, True),
    ({"state": "succeeded"}, True),
    ({"state": "lost"}, True),
    ({"state": "started"}, False),
    ({"state": "retrying"}, False),
    ({"state": "published"}, False),
    ({"state": "published", "expires_at": NOW}, True),
    ({"state": "pending", "due_time": NOW}, False),
    ({"state": "pending", **BACKFILL, "due_time": NOW + SECOND}, True),
    ({"state": "started", **BACKFILL}, False),
    ({"state": "started", "entry_id": 2}, True),
]


@pytest.mark.parametrize(("other", "released"), BESIDE)
@pytest.mark.parametrize(
    "waits", [HELD, CANCELLING, {**HELD, **BACKFILL}], ids=["held", "cancel", "backfill"]
)
def test_what_waits_goes_on_when_nothing_is_under_way(
    database: Database, other: dict[str, Any] | None, released: bool, waits: dict[str, Any]
) -> None:
    put(database, row(1, **waits))
    if other is not None:
        put(database, row(2, **{"fire_time": NOW - SECOND, **other}))
    with database.write() as connection:
        assert overlaps.release(connection, [], NOW) == 0
        assert overlaps.release(connection, [1], NOW) == int(released)
        taken = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 9)
    assert (run_id(1) in {run.id for run in taken}) == released


def test_one_goes_on_the_schedules_before_a_backfills_oldest(database: Database) -> None:
    put(
        database,
        row(1, **{**HELD, **BACKFILL, "fire_time": NOW - 3 * SECOND}),
        row(2, **{**HELD, **BACKFILL, "fire_time": NOW - 5 * SECOND}),
        row(3, **{**HELD, "fire_time": NOW - SECOND}),
        row(4, **{**HELD, "expires_at": NOW, "fire_time": NOW - 9 * SECOND}),
        row(5, **HELD, entry_id=2),
    )
    order = []
    with database.write() as connection:
        while overlaps.release(connection, [1], NOW):
            [run] = runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 9)
            runs.mark_published(connection, US, [run], NOW)
            order.append(run.id)
            assert overlaps.release(connection, [1], NOW) == 0
            connection.execute(runs.runs.update().where(runs.runs.c.id == run.id).values(state="succeeded"))
    assert order == [run_id(n) for n in (3, 2, 1)]
    assert states(database)[4] == states(database)[5] == "held"


def test_the_end_of_what_it_waits_for_is_waited_for(database: Database) -> None:
    """Overlaps of the entry are allowed: its own runs' ends would tell nobody."""
    put(database, row(1, **{**HELD, **BACKFILL}), row(2, state="started", fire_time=NOW - SECOND))
    with database.write() as connection:
        assert overlaps.release(connection, [1], NOW) == 0
    assert stored(database, 2).awaited


def test_a_run_that_was_given_back_keeps_its_pause(database: Database) -> None:
    """The broker did not confirm it; it is tried again later, whatever ends."""
    put(database, row(1, **{**CANCELLING, "attempt": 1}))
    with database.write() as connection:
        assert overlaps.release(connection, [1], NOW) == 0
    assert stored(database).lease_until == CANCELLING["lease_until"]


def test_a_run_whose_time_is_ahead_is_released_for_then(database: Database) -> None:
    put(database, row(1, **{**HELD, "due_time": NOW + SECOND}))
    with database.write() as connection:
        assert overlaps.release(connection, [1], NOW) == 1
        assert runs.take_lapsed(connection, database.dialect, US, NOW, LEASE, 9) == []
        assert len(runs.take_lapsed(connection, database.dialect, US, NOW + SECOND, LEASE, 9)) == 1


# Cancelled


#: An unfinished run, whether a worker holds its claim; and what becomes of it: its state, whether workers are
#: asked to end it, and whether the new run waits for that.
UNFINISHED: dict[str, tuple[dict[str, Any], bool, str, bool, bool]] = {
    "held": ({**HELD}, False, "revoked", False, False),
    "in the outbox": ({**WAITS, "state": "pending", "lease_until": NOW}, False, "revoked", False, False),
    "waits itself": ({**CANCELLING}, False, "revoked", False, False),
    "being sent": ({"owner": THEM, "due_time": NOW}, False, "revoked", True, False),
    "perhaps sent": ({"owner": None, "attempt": 2, "due_time": NOW}, False, "revoked", True, False),
    "sent": ({"state": "published"}, False, "published", True, True),
    "started": ({"state": "started"}, False, "started", True, True),
    "retrying": ({"state": "retrying"}, False, "retrying", True, True),
    "once, being sent": ({"owner": THEM, "run_once": True, "due_time": NOW}, False, "revoked", False, False),
    "once, sent": ({"state": "published", "run_once": True}, False, "revoked", False, False),
    "once, begun": ({"state": "published", "run_once": True}, True, "published", True, True),
    "once, begun unmarked": ({"owner": THEM, "run_once": True, "due_time": NOW}, True, "pending", True, True),
    "once, started": ({"state": "started", "run_once": True}, True, "started", True, True),
    "can start no more": ({"state": "published", "expires_at": NOW}, False, "published", False, False),
    "backfill to come": ({**HELD, **BACKFILL}, False, "held", False, False),
    "backfill at work": ({"state": "started", **BACKFILL}, False, "started", True, True),
    "of another entry": ({"state": "started", "entry_id": 2}, False, "started", False, False),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_an_unfinished_run_gives_way(database: Database, case: str) -> None:
    values, begun, state, asked, waits = UNFINISHED[case]
    put(database, row(1, **values))
    if begun:
        claim(database, 1, NOW + SECOND)
    with database.write() as connection:
        cancelled = overlaps.cancel(connection, database.dialect, [1], NOW)
    assert cancelled.asked == ((run_id(1),) if asked else ())
    assert cancelled.running == (frozenset({1}) if waits else frozenset())
    found = stored(database)
    assert found.state == state
    gives_way = state == "revoked" or asked
    assert found.reason == (CANCELLED if gives_way else None)
    assert (found.finished_at == NOW) == (state == "revoked")


def test_no_worker_starts_what_was_cancelled(database: Database) -> None:
    sent = {"state": "published", "run_once": True, "expires_at": None}
    put(database, row(1, **sent), row(2, **sent))
    assert take(database, run_id(2), "faster", timedelta(seconds=60)) is Claim.TAKEN
    with database.write() as connection:
        cancelled = overlaps.cancel(connection, database.dialect, [1], NOW)
    assert cancelled.asked == (run_id(2),)
    assert take(database, run_id(1), "late", timedelta(seconds=60)) is Claim.HELD
    assert claimed(database) == {run_id(1), run_id(2)}
    with database.write() as connection:
        assert overlaps.cancel(connection, database.dialect, [], NOW) == overlaps.Cancelled()
        assert overlaps.cancel(connection, database.dialect, [7], NOW) == overlaps.Cancelled()
