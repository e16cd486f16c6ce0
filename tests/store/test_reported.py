"""What workers tell goes into the history, in whatever order it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from beatd.reports import Report
from beatd.store import reported, runs
from beatd.store.engine import Database
from tests.store.rows import HOUR, NOW, SECOND, US, WORKER, nudged, outbox, put, row, run_id, states, stored


def report(state: str, retries: int = 0, number: int = 1, **values: Any) -> Report:
    """A report whose time says where in the run it belongs."""
    at = NOW + retries * HOUR + {"started": 1, "retrying": 2}.get(state, 3) * SECOND
    return replace(Report(run_id(number), state, at, WORKER, retries), **values)


def tell(database: Database, *reports: Report) -> int:
    with database.write() as connection:
        return reported.apply_reports(connection, reports, NOW).news


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


@pytest.mark.parametrize("final", ["succeeded", "failed", "revoked"])
def test_the_first_end_that_is_told_stays(database: Database, final: str) -> None:
    put(database, row(1, state="published"))
    assert tell(database, report(final, result="first")) == 1
    for state in ("succeeded", "failed", "revoked", "expired", "started", "retrying"):
        assert tell(database, report(state, result="second")) == 0
    assert (stored(database).state, stored(database).result) == (final, "first")


@pytest.mark.parametrize("expired_first", [True, False])
def test_of_a_message_delivered_twice_the_start_counts(database: Database, expired_first: bool) -> None:
    """The delivery that came after the expiry was dropped, while the other was at work."""
    put(database, row(1, state="published", owner=None, lease_until=None, published_at=NOW))
    told = [report("started"), report("expired")]
    for each in reversed(told) if expired_first else told:
        tell(database, each)
    assert (stored(database).state, stored(database).finished_at) == ("started", None)
    assert tell(database, *told) == 0
    assert tell(database, report("succeeded")) == 1
    assert stored(database).state == "succeeded"


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


# Starts


#: A run that has been started again once: two of three more starts are left.
AGAIN = {"state": "published", "reruns_left": 2, "owner": None, "lease_until": None}


@pytest.mark.parametrize("state", ["started", "succeeded", "failed", "revoked"])
def test_a_start_that_was_given_up_tells_nothing(database: Database, state: str) -> None:
    put(database, row(1, **AGAIN))
    before = stored(database)
    assert tell(database, report(state, reruns_left=3), report("started", reruns_left=3)) == 0
    assert stored(database) == before
    assert tell(database, report("succeeded", reruns_left=2)) == 1
    assert tell(database, report("started", reruns_left=3)) == 0
    assert (stored(database).state, stored(database).started_at) == ("succeeded", None)


def test_of_two_starts_in_one_batch_the_present_one_counts(database: Database) -> None:
    put(database, row(1, **AGAIN))
    told = [report("succeeded", reruns_left=3, result="old"), report("started", reruns_left=2)]
    assert tell(database, *told) == 1
    assert (stored(database).state, stored(database).result) == ("started", None)


@pytest.mark.parametrize("together", [True, False])
def test_a_plain_task_that_starts_again_after_its_end_changes_nothing(
    database: Database, together: bool
) -> None:
    """Its message came again, for the worker could not acknowledge it in time."""
    put(database, row(1, state="published", owner=None, lease_until=None, published_at=NOW))
    told = [report("started"), report("succeeded"), report("started", at=NOW + HOUR)]
    for batch in [told] if together else [[each] for each in told]:
        tell(database, *batch)
    assert (stored(database).started_at, stored(database).finished_at) == (NOW + SECOND, NOW + 3 * SECOND)


@pytest.mark.parametrize("reruns_left", [0, 2])
def test_a_worker_that_does_not_say_which_start_it_means_is_believed(
    database: Database, reruns_left: int
) -> None:
    put(database, row(1, **{**AGAIN, "reruns_left": reruns_left}))
    assert tell(database, report("succeeded")) == 1


# Ends


@pytest.mark.parametrize("state", ["started", "retrying", "succeeded", "failed", "revoked", "expired"])
def test_ends_that_something_waits_for_are_told(database: Database, state: str) -> None:
    put(database, row(1, state="published", awaited=True), row(2, state="published"))
    with database.write() as connection:
        applied = reported.apply_reports(connection, [report(state), report(state, number=2)], NOW)
    ends = 0 if state in ("started", "retrying") else 1
    assert (applied.news, applied.awaited_ends) == (2, ends)
    assert nudged(database) == [("ended", 1, run_id(1))] * ends


def test_why_a_run_was_cancelled_or_started_again_stays_when_it_goes_on(database: Database) -> None:
    put(database, row(1, state="started", reason="cancelled for a newer run", report_rank=1))
    assert tell(database, report("revoked", error="terminated by signal 15")) == 1
    assert (stored(database).state, stored(database).reason) == ("revoked", "cancelled for a newer run")
