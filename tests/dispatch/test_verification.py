"""The history is held against the rules: by the operation, and by the daemon every hour, on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.errors import FieldError, NotFound
from beatd.operations import health
from beatd.operations.context import Context
from beatd.operations.verify import Verified, verify
from beatd.store import evidence, nodes
from beatd.store.engine import Database
from tests.dispatch.test_upkeep import Daemon
from tests.dispatch.turned import NODE, OTHER, Turned, settle


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


def play(turned: Turned, hours: int = 2) -> None:
    """Some entries at work, one fire of each at a time; what is recorded ends as if a worker had told."""
    turned.add("minutely", cron="* * * * *")
    turned.add("jittered", cron="*/5 * * * *", jitter="2m")
    turned.add("few", cron="*/7 * * * *", max_runs=3)
    turned.add("off", cron="*/5 * * * *", enabled=False)
    turned.add("broken", cron="* * * * *", queue="q", exchange_type="topic")
    dispatcher = turned.dispatcher()
    settle(dispatcher)
    for minute in range(60 * hours):
        turned.turn(minutes=1)
        if minute == 30:
            turned.edit("minutely", cron="*/2 * * * *")
        if minute == 70:
            turned.edit("off", enabled=True)
        settle(dispatcher)
    turned.sql(
        "UPDATE runs SET state = 'succeeded', published_at = due_time, started_at = due_time, "
        "finished_at = due_time, owner = NULL, lease_until = NULL WHERE state = 'pending'"
    )


def verified(turned: Turned, **options: object) -> Verified:
    context = Context(turned.database, "tester", "cli")
    given = {"keep": timedelta(days=7), "keep_runs": 10_000, "since": "4h"} | options
    return verify(context, **given)  # type: ignore[arg-type]


def take_away_a_run(turned: Turned, name: str) -> None:
    rows = turned.rows(
        "SELECT r.id FROM runs r JOIN entries e ON e.id = r.entry_id WHERE e.name = :name "
        "ORDER BY r.fire_time",
        name=name,
    )
    turned.sql("DELETE FROM runs WHERE id = :id", id=rows[len(rows) // 2].id)


def test_a_history_as_it_was_has_no_finding_and_a_lost_run_is_found(
    turned: Turned, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(turned)
    found = verified(turned)
    assert found.total.ok, found.total.findings
    assert found.entries == 5
    assert found.total.runs > 60
    assert found.total.suppressed > 5
    # however small the pages are cut
    monkeypatch.setattr(evidence, "MOST_RUNS", 10)
    monkeypatch.setattr(evidence, "ENTRIES_A_PAGE", 2)
    in_parts = verified(turned)
    assert in_parts.total.ok, in_parts.total.findings
    assert (in_parts.entries, in_parts.total.runs) == (5, found.total.runs)
    take_away_a_run(turned, "jittered")
    take_away_a_run(turned, "few")
    lost = verified(turned)
    assert (lost.total.counts["missed"], lost.total.wrong) == (2, 2), lost.total.findings
    assert not lost.total.ok
    assert verified(turned, entry="minutely").total.ok
    assert not verified(turned, entry="jittered").total.ok


def test_what_retention_has_cut_is_not_missed(turned: Turned) -> None:
    play(turned, hours=1)
    rows = turned.rows(
        "SELECT r.id FROM runs r JOIN entries e ON e.id = r.entry_id WHERE e.name = 'minutely' "
        "ORDER BY r.fire_time DESC"
    )
    for row in rows[10:]:
        turned.sql("DELETE FROM runs WHERE id = :id", id=row.id)
    assert not verified(turned).total.ok
    kept = verified(turned, keep_runs=10)
    assert kept.total.ok, kept.total.findings
    by_age = verified(turned, keep=timedelta(minutes=10))
    assert by_age.cut
    assert by_age.total.ok, by_age.total.findings


def test_a_stretch_that_is_none_and_an_entry_that_is_none_are_refused(turned: Turned) -> None:
    turned.add("hello", cron="* * * * *")
    with pytest.raises(FieldError, match="since"):
        verified(turned, since="10s")
    with pytest.raises(NotFound, match="hello"):
        verified(turned, entry="helo")


def test_one_node_looks_every_hour_and_status_shows_what_it_found(turned: Turned) -> None:
    play(turned)
    daemon = Daemon(turned)
    first = Upkeep(turned.database, NODE, this_process(), daemon)
    first.join()
    turned.turn(seconds=1)
    second = Upkeep(turned.database, OTHER, this_process(), daemon)
    second.join()
    assert second.verification.run_once() is None
    take_away_a_run(turned, "minutely")
    total = first.verification.run_once()
    assert total is not None
    told = first.verification.statistics
    assert told["wrong"] == total.wrong
    # time has passed; what was looked at before is not looked at again
    turned.turn(minutes=6)
    settle(turned.dispatcher())
    first.beat()
    again = first.verification.run_once()
    assert again is not None
    assert again.fires < total.fires
    with turned.database.write() as connection:
        now = turned.database.now(connection)
        nodes.heartbeat(connection, NODE, now, "", {"verify": dict(told)})
    activity = health.activity_of(turned.database, daemon.settings)
    assert activity.verified == told
    findings = [one for one in health.work(activity, lambda: None) if one.check == "history"]
    assert [one.level for one in findings] == ["problem" if total.wrong else "ok"]
