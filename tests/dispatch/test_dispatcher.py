"""The dispatcher on each real database, with the database's time turned by the test."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest

from beatd.dispatch.dispatcher import Dispatcher
from beatd.planning.task import run_id
from beatd.planning.timing import Surroundings
from beatd.store import claims, timers
from beatd.store.engine import Database
from tests.dispatch.turned import NODE, OTHER, Turned, fire_times, settle


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


@pytest.fixture
def dispatcher(turned: Turned) -> Dispatcher:
    return turned.dispatcher()


def test_a_new_entry_is_planned_and_fires_nothing_of_the_past(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10m")
    assert settle(dispatcher) == []
    timer = turned.one("SELECT state, planned_version FROM timers")
    assert (timer.state, timer.planned_version) == ("active", 1)
    pause = dispatcher.run_once().wait
    assert pause is not None
    assert 590 < pause <= 600


def test_a_due_entry_is_recorded_once_with_everything_its_run_needs(
    turned: Turned, dispatcher: Dispatcher
) -> None:
    entry_id = turned.add("poll", every="10m", task="beatd.shell", kwargs='{"command": "true"}', queue="q")
    settle(dispatcher)
    turned.turn(minutes=10)
    [batch] = settle(dispatcher)
    [publication] = batch.publications
    run = publication.run
    assert run.id == run_id(turned.installation, entry_id, run.fire_time, "schedule")
    assert (publication.spec.entry, publication.spec.queue) == ("poll", "q")
    assert run.expires_at == run.fire_time + timedelta(minutes=10)
    row = turned.one("SELECT state, owner, attempt, version, run_once, origin FROM runs")
    assert (row.state, str(row.owner), row.attempt, row.version) == ("pending", NODE, 1, 1)
    assert row.run_once
    assert settle(dispatcher) == []
    assert turned.one("SELECT count(*) AS n FROM runs").n == 1


def test_the_interval_never_drifts(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10m", expires="never", misfire="all")
    settle(dispatcher)
    turned.turn(minutes=10, seconds=37)
    first = fire_times(settle(dispatcher))
    turned.turn(minutes=29)
    later = fire_times(settle(dispatcher))
    assert [(fire - first[0]).total_seconds() for fire in later] == [600.0, 1200.0]


def test_an_update_in_plain_sql_changes_when_it_fires(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10m", expires="never")
    settle(dispatcher)
    turned.sql("UPDATE entries SET every = '1m' WHERE name = 'poll'")
    settle(dispatcher)
    assert turned.one("SELECT planned_version FROM timers").planned_version == 2
    turned.turn(seconds=61)
    [batch] = settle(dispatcher)
    assert batch.publications[0].run.version == 2


def test_an_update_of_what_runs_keeps_the_next_fire_time(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10m")
    settle(dispatcher)
    before = turned.one("SELECT next_fire_at FROM timers").next_fire_at
    turned.sql("UPDATE entries SET task = 'proj.other' WHERE name = 'poll'")
    settle(dispatcher)
    assert turned.one("SELECT next_fire_at FROM timers").next_fire_at == before
    turned.turn(minutes=10)
    [batch] = settle(dispatcher)
    assert batch.publications[0].spec.task == "proj.other"


def test_a_run_keeps_the_definition_that_it_was_recorded_with(turned: Turned) -> None:
    turned.add("poll", every="10m", task="proj.old", expires="never")
    first = turned.dispatcher(lease=timedelta(seconds=30))
    settle(first)
    turned.turn(minutes=10)
    settle(first)
    turned.sql("UPDATE entries SET task = 'proj.new' WHERE name = 'poll'")
    settle(first)
    turned.turn(seconds=31)
    [batch] = turned.dispatcher(OTHER).take_over().batches
    [publication] = batch.publications
    assert publication.spec.task == "proj.old"
    assert publication.run.attempt == 2
    assert str(turned.one("SELECT owner FROM runs").owner) == OTHER


def test_fires_before_an_edit_run_under_the_old_version_even_if_no_daemon_was_there(turned: Turned) -> None:
    """The database says when the edit was; here it is half way between two looks."""
    turned.add("poll", every="10s", task="proj.old", expires="never", misfire="all")
    settle(turned.dispatcher())
    turned.sql("UPDATE entries SET task = 'proj.new' WHERE name = 'poll'")
    # the edit was 25 s after the creation, the next look is 30 s after the edit
    turned.turn(seconds=55)
    for table, column in (("entry_versions", "changed_at"),):
        later = turned.now() - timedelta(seconds=30)
        shown = later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if turned.database.dialect.name == "mariadb":
            shown = later.strftime("%Y-%m-%d %H:%M:%S.%f")
        turned.sql(f"UPDATE {table} SET {column} = :at WHERE version = 2", at=shown)
    batches = settle(turned.dispatcher())
    tasks = [p.spec.task for batch in batches for p in batch.publications]
    assert tasks == ["proj.old"] * 2 + ["proj.new"] * 3


def test_pausing_and_resuming_leave_a_counted_record(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10s")
    settle(dispatcher)
    turned.sql("UPDATE entries SET enabled = :off WHERE name = 'poll'", off=False)
    settle(dispatcher)
    assert turned.one("SELECT state, next_due_at FROM timers") == ("paused", None)
    turned.sql("UPDATE entries SET enabled = :on WHERE name = 'poll'", on=True)
    shift = turned.now() + timedelta(seconds=35)
    shown = shift.strftime(
        "%Y-%m-%d %H:%M:%S.%f" if turned.database.dialect.name == "mariadb" else "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    turned.sql("UPDATE entry_versions SET changed_at = :at WHERE version = 3", at=shown)
    turned.turn(seconds=36)
    assert settle(dispatcher) == []
    record = turned.one("SELECT reason, count FROM suppressions")
    assert (record.reason, record.count) == ("paused", 3)
    assert turned.one("SELECT state FROM timers").state == "active"


def test_a_deleted_entry_fires_no_more_and_keeps_its_history(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10s", expires="never")
    settle(dispatcher)
    turned.turn(seconds=11)
    settle(dispatcher)
    turned.sql("DELETE FROM entries WHERE name = 'poll'")
    turned.turn(minutes=5)
    assert settle(dispatcher) == []
    assert turned.one("SELECT state, next_due_at FROM timers") == ("completed", None)
    assert turned.one("SELECT name, state FROM recent_runs") == ("poll", "pending")
    with turned.database.write() as connection:
        assert timers.remove_of_gone_entries(connection, 10) == 1
    assert turned.rows("SELECT * FROM timers") == []


def test_a_deletion_that_is_seen_early_does_not_bring_the_entry_back(turned: Turned) -> None:
    """Two changes of one entry in two passes: the first one sees that the entry is gone already."""
    turned.add("poll", every="10s", expires="never", misfire="all")
    dispatcher = turned.dispatcher(batch=1)
    settle(dispatcher)
    turned.turn(seconds=35)
    assert len(fire_times(settle(dispatcher))) == 3
    turned.sql("UPDATE entries SET task = 'proj.other' WHERE name = 'poll'")
    turned.sql("DELETE FROM entries WHERE name = 'poll'")
    turned.sql("DELETE FROM runs")
    dispatcher.run_once()
    with turned.database.write() as connection:
        assert timers.remove_of_gone_entries(connection, 10) == 0, "a change of it is still queued"
    assert settle(dispatcher) == []
    assert turned.rows("SELECT reason, count FROM suppressions") == []


def test_an_entry_removed_behind_the_triggers_back_is_forgotten(
    turned: Turned, dispatcher: Dispatcher
) -> None:
    turned.add("poll", every="10s")
    settle(dispatcher)
    turned.sql("DELETE FROM entries WHERE name = 'poll'")
    turned.sql("DELETE FROM entry_changes")
    turned.sql("DELETE FROM entry_versions WHERE operation = 'delete'")
    turned.turn(seconds=10)
    assert settle(dispatcher) == []
    assert turned.one("SELECT state, next_due_at FROM timers") == ("completed", None)


def test_a_long_outage_is_caught_up_in_small_transactions(turned: Turned) -> None:
    """Whatever was missed: a pass has an end, a batch is no larger than asked for, nothing is left out."""
    for name in ("a", "b", "c"):
        turned.add(name, every="1m", expires="never", misfire="all", misfire_limit=1000)
    dispatcher = turned.dispatcher(batch=50)
    settle(dispatcher)
    turned.turn(minutes=700, seconds=1)
    batches = settle(dispatcher)
    assert max(len(batch.publications) for batch in batches) <= 50
    ids = [publication.run.id for batch in batches for publication in batch.publications]
    assert len(set(ids)) == len(ids) == 3 * 700
    assert turned.rows("SELECT * FROM suppressions") == []


def test_one_bad_entry_is_marked_and_does_not_stop_the_others(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("good", every="10s")
    bad = turned.add("bad", every="10s")
    settle(dispatcher)
    turned.sql("UPDATE entries SET every = 'now and then', kwargs = '[' WHERE name = 'bad'")
    settle(dispatcher)
    timer = turned.one("SELECT state, error, next_due_at FROM timers WHERE entry_id = :id", id=bad)
    assert timer.state == "broken"
    assert "every: 'now and then'" in timer.error
    assert "kwargs: '['" in timer.error
    assert timer.next_due_at is None
    turned.turn(seconds=11)
    [batch] = settle(dispatcher)
    assert [p.spec.entry for p in batch.publications] == ["good"]
    turned.sql("UPDATE entries SET every = '10s', kwargs = NULL WHERE name = 'bad'")
    settle(dispatcher)
    assert turned.one("SELECT state, error FROM timers WHERE entry_id = :id", id=bad) == ("active", None)


def test_a_shell_entry_without_a_command_is_broken_before_it_fires(
    turned: Turned, dispatcher: Dispatcher
) -> None:
    turned.add("silent", every="10s", task="beatd.shell")
    settle(dispatcher)
    timer = turned.one("SELECT state, error FROM timers")
    assert timer.state == "broken"
    assert "command" in timer.error


def test_a_once_entry_is_complete_after_its_run(turned: Turned, dispatcher: Dispatcher) -> None:
    at = (turned.now() + timedelta(hours=1)).isoformat()
    turned.add("launch", at=at)
    settle(dispatcher)
    turned.turn(hours=1)
    assert len(fire_times(settle(dispatcher))) == 1
    assert turned.one("SELECT state, next_due_at FROM timers") == ("completed", None)


def test_missed_fires_are_settled_when_a_daemon_comes_back(turned: Turned) -> None:
    turned.add("latest", every="1h", expires="never")
    turned.add("skip", every="1h", expires="never", misfire="skip")
    turned.add("all", every="1h", expires="never", misfire="all")
    settle(turned.dispatcher())
    turned.turn(hours=3, minutes=30)
    settle(turned.dispatcher())
    counts = Counter(row.name for row in turned.rows("SELECT name FROM recent_runs"))
    assert counts == {"latest": 1, "all": 3}
    records = turned.rows(
        "SELECT e.name, s.count FROM suppressions s JOIN entries e ON e.id = s.entry_id ORDER BY e.name"
    )
    assert [(row.name, row.count) for row in records] == [("latest", 2), ("skip", 3)]


def test_overlap_skip_waits_for_the_end_of_the_earlier_run(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("slow", every="1m", overlap="skip", expires="never")
    settle(dispatcher)
    turned.turn(seconds=61)
    assert len(fire_times(settle(dispatcher))) == 1
    turned.sql("UPDATE runs SET state = 'started'")
    turned.turn(seconds=60)
    assert settle(dispatcher) == []
    assert turned.one("SELECT reason, count FROM suppressions") == ("overlap", 1)
    turned.sql("UPDATE runs SET state = 'succeeded'")
    turned.turn(seconds=60)
    assert len(fire_times(settle(dispatcher))) == 1


def test_a_run_that_can_start_no_more_does_not_hold_its_entry_back(
    turned: Turned, dispatcher: Dispatcher
) -> None:
    turned.add("slow", every="1m", overlap="skip", expires="30s")
    settle(dispatcher)
    turned.turn(seconds=61)
    assert len(fire_times(settle(dispatcher))) == 1
    turned.sql("UPDATE runs SET state = 'published'")
    turned.turn(seconds=60)
    assert len(fire_times(settle(dispatcher))) == 1


def test_a_claim_tells_that_a_run_has_begun_before_its_report_does(
    turned: Turned, dispatcher: Dispatcher
) -> None:
    turned.add(
        "slow", every="1m", overlap="skip", expires="30s", task="beatd.shell", kwargs='{"command": "x"}'
    )
    settle(dispatcher)
    turned.turn(seconds=61)
    settle(dispatcher)
    turned.sql("UPDATE runs SET state = 'published'")
    run = turned.one("SELECT id FROM runs")
    assert claims.take(turned.database, str(run.id), "w1", timedelta(hours=1), 0) is claims.Claim.TAKEN
    turned.turn(seconds=60)
    assert settle(dispatcher) == []
    assert turned.one("SELECT reason, count FROM suppressions") == ("overlap", 1)


def test_a_jump_of_time_is_not_acted_on_at_the_first_look(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="1h")
    settle(dispatcher)
    turned.turn(hours=2)
    first = dispatcher.run_once()
    assert (first.due, first.wait) == (0, 0.0)
    turned.turn(hours=-2)
    assert settle(dispatcher) == []
    assert turned.rows("SELECT id FROM runs") == []


def test_a_clock_that_steps_back_fires_nothing_twice(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="10s", expires="never")
    settle(dispatcher)
    turned.turn(seconds=11)
    assert len(fire_times(settle(dispatcher))) == 1
    turned.turn(seconds=-9)
    assert settle(dispatcher) == []
    turned.turn(seconds=9)
    assert settle(dispatcher) == []
    assert turned.one("SELECT count(*) AS n FROM runs").n == 1


def test_more_than_a_batch_is_taken_in_several_passes(turned: Turned) -> None:
    for number in range(7):
        turned.add(f"poll {number}", every="1m")
    dispatcher = turned.dispatcher(batch=3)
    settle(dispatcher)
    turned.turn(seconds=61)
    assert [len(batch.publications) for batch in settle(dispatcher)] == [3, 3, 1]


def test_two_nodes_share_what_is_due_and_double_nothing(turned: Turned) -> None:
    for number in range(60):
        turned.add(f"poll {number}", every="1m", expires="never")
    settle(turned.dispatcher())
    turned.turn(seconds=61)
    taken: dict[str, list[str]] = {NODE: [], OTHER: []}
    start = threading.Barrier(2)
    errors: list[BaseException] = []

    def work(node: str) -> None:
        try:
            dispatcher = turned.dispatcher(node, batch=5)
            start.wait(60)
            for batch in settle(dispatcher):
                taken[node] += [p.run.id for p in batch.publications]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(node,)) for node in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert not set(taken[NODE]) & set(taken[OTHER])
    assert len(set(taken[NODE]) | set(taken[OTHER])) == 60
    assert turned.one("SELECT count(*) AS n FROM runs").n == 60


def test_other_zone_data_plans_entries_afresh(turned: Turned) -> None:
    turned.add("poll", cron="0 3 * * *")
    settle(turned.dispatcher(zone_data="2025a UTC"))
    with turned.database.write() as connection:
        assert timers.plan_afresh(connection, "2025a UTC") == 0
        assert timers.plan_afresh(connection, "2025b Europe/Berlin") == 1
    settle(turned.dispatcher(zone_data="2025b Europe/Berlin", surroundings=Surroundings("Europe/Berlin")))
    timer = turned.one("SELECT zone_data, planned_version FROM timers")
    assert (timer.zone_data, timer.planned_version) == ("2025b Europe/Berlin", 1)


def test_a_run_of_an_unreadable_version_fails_with_a_reason(turned: Turned, dispatcher: Dispatcher) -> None:
    turned.add("poll", every="1m", expires="never")
    settle(dispatcher)
    turned.turn(seconds=61)
    settle(dispatcher)
    turned.sql("UPDATE entry_versions SET definition = :broken", broken='{"created_at": "2026-01-01"}')
    turned.turn(seconds=31)
    assert turned.dispatcher(OTHER).take_over().batches == ()
    row = turned.one("SELECT state, error FROM runs")
    assert (row.state, row.error) == ("failed", "its version of the entry cannot be read")
