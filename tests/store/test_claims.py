"""Taking a run: in one statement, by the database's time, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from beatd.store import claims
from beatd.store.claims import Claim
from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, runs
from beatd.store.models import claims as table
from tests.store.recording import record

LEASE = timedelta(seconds=60)


def claim_of(database: Database, run_id: str) -> Any:
    with database.read() as connection:
        return connection.execute(select(table).where(table.c.run_id == run_id)).one_or_none()


def test_a_run_is_taken_once(database: Database) -> None:
    run_id = record(database, expires_in=3600)
    assert claims.take(database, run_id, "one", LEASE) is Claim.TAKEN
    assert claims.take(database, run_id, "two", LEASE) is Claim.HELD
    row = claim_of(database, run_id)
    assert (row.worker, row.retries, row.ended_at) == ("one", 0, None)
    assert abs(row.lease_until - row.claimed_at - LEASE) < timedelta(seconds=1)  # the clock is read twice
    assert abs(row.claimed_at - datetime.now(UTC)) < timedelta(seconds=30)


def test_of_many_that_take_at_once_one_wins(database: Database) -> None:
    run_ids = [record(database) for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        for run_id in run_ids:
            answers = list(pool.map(lambda n, i=run_id: claims.take(database, i, str(n), LEASE), range(8)))
            assert sorted(answers, key=str) == [Claim.HELD] * 7 + [Claim.TAKEN]


def test_taking_may_be_repeated_when_the_answer_was_lost(database: Database) -> None:
    run_id = record(database)
    assert claims.take(database, run_id, "one", LEASE) is Claim.TAKEN
    assert claims.take(database, run_id, "one", LEASE) is Claim.TAKEN
    claims.end(database, run_id, "one")
    assert claims.take(database, run_id, "one", LEASE) is Claim.HELD


def test_none_starts_after_its_expiry(database: Database) -> None:
    run_id = record(database, expires_in=-0.5)
    assert claims.take(database, run_id, "one", LEASE) is Claim.EXPIRED
    assert claim_of(database, run_id) is None


@pytest.mark.parametrize("state", FINAL_STATES)
def test_a_finished_run_is_not_taken(database: Database, state: str) -> None:
    run_id = record(database, state=state)
    assert claims.take(database, run_id, "one", LEASE) is Claim.HELD
    assert claims.take(database, run_id, "one", LEASE, retries=1) is Claim.HELD
    assert claim_of(database, run_id) is None


@pytest.mark.parametrize("state", ["pending", "published", "started", "retrying"])
def test_a_report_or_a_message_may_overtake_the_books(database: Database, state: str) -> None:
    assert claims.take(database, record(database, state=state), "one", LEASE) is Claim.TAKEN


def test_a_lapsed_claim_is_not_taken_over(database: Database) -> None:
    run_id = record(database)
    assert claims.take(database, run_id, "one", timedelta(seconds=-1)) is Claim.TAKEN
    assert claims.take(database, run_id, "two", LEASE) is Claim.HELD


@pytest.mark.parametrize("run_id", ["d30814b8-8f8e-42b1-bb81-afbce9f77551", "not-a-uuid", ""])
def test_a_run_that_nobody_recorded(database: Database, run_id: str) -> None:
    assert claims.take(database, run_id, "one", LEASE) is Claim.UNKNOWN_RUN


def test_a_retry_takes_the_run_again_after_its_expiry(database: Database) -> None:
    run_id = record(database, expires_in=3600)
    claims.take(database, run_id, "one", LEASE)
    claims.end(database, run_id, "one")
    with database.write() as connection:
        now = database.now(connection)
        connection.execute(update(runs).values(expires_at=now - timedelta(seconds=1), state="retrying"))
    assert claims.take(database, run_id, "two", LEASE, retries=0) is Claim.HELD
    assert claims.take(database, run_id, "two", LEASE, retries=1) is Claim.TAKEN
    row = claim_of(database, run_id)
    assert (row.worker, row.retries, row.ended_at) == ("two", 1, None)
    assert claims.take(database, run_id, "three", LEASE, retries=1) is Claim.HELD


def test_a_retry_whose_first_claim_is_gone(database: Database) -> None:
    run_id = record(database, expires_in=-10, state="retrying")
    assert claims.take(database, run_id, "one", LEASE, retries=2) is Claim.TAKEN
    assert claim_of(database, run_id).retries == 2


def test_renewing_and_ending_are_the_holders_alone(database: Database) -> None:
    run_id = record(database)
    claims.take(database, run_id, "one", timedelta(seconds=1))
    before = claim_of(database, run_id).lease_until
    assert not claims.renew(database, run_id, "two", LEASE)
    assert not claims.end(database, run_id, "two")
    assert claims.renew(database, run_id, "one", LEASE)
    assert claim_of(database, run_id).lease_until > before + timedelta(seconds=50)
    assert claims.end(database, run_id, "one")
    assert claim_of(database, run_id).ended_at is not None
    assert not claims.renew(database, run_id, "one", LEASE)
    assert not claims.end(database, run_id, "one")


@pytest.mark.parametrize("retries", [0, 1])
def test_a_message_of_a_start_that_was_given_up_takes_nothing(database: Database, retries: int) -> None:
    """Its broker delivers it late; the run was put back into the outbox meanwhile."""
    run_id = record(database)
    with database.write() as connection:
        connection.execute(update(runs).values(reruns_left=2, state="pending"))
    assert claims.take(database, run_id, "old", LEASE, retries, reruns_left=3) is Claim.HELD
    assert claim_of(database, run_id) is None
    assert claims.take(database, run_id, "new", LEASE, 0, reruns_left=2) is Claim.TAKEN
    assert claims.take(database, run_id, "old", LEASE, retries, reruns_left=3) is Claim.HELD
    assert claim_of(database, run_id).worker == "new"
