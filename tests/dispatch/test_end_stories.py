"""What follows from the end of a run: the next one of a fixed delay, a pause, another start."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from beatd.dispatch.deadlines import find_forgotten, sweep
from beatd.store import claims, ends
from beatd.store.engine import Database
from beatd.store.models import audit, entries, entry_versions, runs
from tests.dispatch.turned import Story, Turned

SHELL = {"task": "beatd.shell", "kwargs": '{"command": "true"}'}
LEASE = timedelta(seconds=60)


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


def swept(story: Story) -> list[float]:
    sweep(story.turned.database, reports=True, publish_again_after=None)
    return story.go()


# fixed delay


def test_the_delay_counts_from_the_end(turned: Turned) -> None:
    story = Story(turned, every="10m", fixed_delay=True)
    assert story.next == 10
    assert story.at(10) == [10]
    assert (story.next, story.timer.state) == (None, "active")
    story.tell(10, "started")
    assert story.at(25) == []
    assert story.ends(10) == []
    assert story.next == pytest.approx(35, abs=0.02)
    assert story.at(34.9) == []
    assert len(story.at(35.1)) == 1
    assert story.suppressed == []


@pytest.mark.parametrize("end", ["succeeded", "failed", "revoked", "expired"])
def test_every_end_counts(turned: Turned, end: str) -> None:
    story = Story(turned, every="10m", fixed_delay=True)
    story.at(10)
    story.turned.turn(minutes=5)
    assert story.ends(10, end) == []
    assert story.next == pytest.approx(25, abs=0.02)


def test_a_lost_run_counts_too(turned: Turned) -> None:
    story = Story(turned, every="10m", fixed_delay=True, lost_after="30m")
    story.at(10)
    story.tell(10, "started")
    assert story.at(39) == []
    assert swept(story) == []
    assert story.next is None
    story.at(41)
    assert swept(story) == []
    assert story.states == {10: "lost"}
    assert story.next == pytest.approx(51, abs=0.05)
    assert len(story.at(52)) == 1


def test_the_delay_outlives_the_daemon(turned: Turned) -> None:
    story = Story(turned, every="10m", fixed_delay=True)
    story.at(10)
    story.restart()
    assert story.at(11) == []
    story.tell(10, "succeeded")  # nobody is there to hear it
    story.turned.turn(minutes=3)
    story.restart()
    assert story.go() == []
    assert story.next == pytest.approx(21, abs=0.02)
    story.restart()
    assert len(story.at(22)) == 1


def test_an_end_that_nobody_told_is_found(turned: Turned) -> None:
    story = Story(turned, every="10m", fixed_delay=True)
    story.at(10)
    with turned.database.write() as connection:
        # as an operator or an earlier version would do it
        run = story.run(10)
        connection.execute(
            runs.update()
            .where(runs.c.id == run.id)
            .values(state="succeeded", finished_at=turned.database.now(connection))
        )
    assert story.at(15) == []
    assert story.next is None
    assert find_forgotten(turned.database) == 1
    story.go()
    assert story.next == pytest.approx(20, abs=0.02)


def test_a_run_that_somebody_asked_for_does_not_count(turned: Turned) -> None:
    story = Story(turned, every="10m", fixed_delay=True)
    story.at(10)
    story.ends(10)
    with turned.database.write() as connection:
        now = turned.database.now(connection)
        run = story.run(10)._mapping
        asked = {**run, "id": "77777777-7777-4777-8777-777777777777", "origin": "trigger:1", "fire_time": now}
        connection.execute(runs.insert(), {**asked, "state": "started", "awaited": True})
    assert len(story.at(20.1)) == 1


def test_an_edit_to_a_fixed_delay_waits_for_what_is_under_way(turned: Turned) -> None:
    story = Story(turned, every="10m")
    story.at(10)
    story.turned.turn(minutes=1)
    story.edit(fixed_delay=True)
    assert story.go() == []
    assert story.next is None
    assert story.at(35) == []
    story.ends(10)
    assert story.next == pytest.approx(45, abs=0.02)


def test_an_edit_from_skipping_overlaps_to_a_fixed_delay_waits_for_its_own_run_only(turned: Turned) -> None:
    story = Story(turned, every="10m", overlap="skip")
    story.at(10)
    story.ends(10)
    with turned.database.write() as connection:
        now = turned.database.now(connection)
        run = story.run(10)._mapping
        asked = {**run, "id": "77777777-7777-4777-8777-777777777777", "origin": "trigger:1", "fire_time": now}
        connection.execute(runs.insert(), {**asked, "state": "started", "finished_at": None})
    story.turned.turn(minutes=1)
    story.edit(overlap="allow", fixed_delay=True)
    assert story.go() == []
    assert story.next == pytest.approx(20, abs=0.02)
    assert len(story.at(20.1)) == 1


# on_failure


def test_after_three_failures_in_a_row_the_entry_is_paused(turned: Turned) -> None:
    story = Story(turned, on_failure="pause")
    for fire in (1, 2):
        assert story.at(fire) == [fire]
        story.ends(fire, "failed")
    assert story.at(3) == [3]
    story.ends(3, "succeeded")
    for fire in (4, 5, 6):
        assert story.at(fire) == [fire]
        story.ends(fire, "failed")
    assert story.at(7) == []
    assert (story.timer.state, story.timer.planned_version) == ("paused", 2)
    with turned.database.read() as connection:
        entry = connection.execute(select(entries)).one()
        assert (entry.enabled, entry.pause_note) == (False, "paused after 3 failures in a row")
        version = connection.execute(select(entry_versions).where(entry_versions.c.version == 2)).one()
        assert (version.changed_by, version.door) == ("beatd", "daemon")
        assert connection.execute(select(audit.c.action)).scalars().all() == ["pause"]


def test_who_resumes_it_begins_to_count_anew(turned: Turned) -> None:
    story = Story(turned, on_failure="pause", failure_limit=2)
    for fire in (1, 2):
        story.at(fire)
        story.ends(fire, "failed")
    assert story.at(3) == []
    story.edit(enabled=True, pause_note=None)
    assert story.at(4) == [4]
    story.ends(4, "failed")
    assert story.at(5) == [5]
    story.ends(5, "failed")
    assert story.at(6) == []
    assert set(story.states.values()) == {"failed"}


def test_lost_runs_are_failures(turned: Turned) -> None:
    story = Story(turned, on_failure="pause", failure_limit=2, lost_after="20s")
    for fire in (1, 2):
        story.at(fire)
        story.tell(fire, "started")
        story.at(fire + 0.5)
        swept(story)
    assert story.at(3) == []
    assert story.timer.state == "paused"


# on_lost


def begin(story: Story, worker: str, lease: timedelta = LEASE, reruns_left: int = 3) -> None:
    taken = claims.take(story.turned.database, story.run(60).id, worker, lease, 0, reruns_left)
    assert taken is claims.Claim.TAKEN
    story.tell(60, "started", reruns_left=reruns_left)


GONE = timedelta(hours=-1)


def test_what_a_worker_left_starts_again_three_times_at_most(turned: Turned) -> None:
    story = Story(turned, on_lost="rerun", every="1h", expires="30s", **SHELL)
    assert story.at(60) == [60]
    for left in (3, 2, 1):
        begin(story, f"w{left}", GONE, left)
        assert swept(story) == [60], f"{left} more starts"
        assert story.states[60] == "published"
        turned.turn(minutes=5)  # beyond the expiry, which governs the first start
    begin(story, "w0", GONE, 0)
    assert swept(story) == []
    run = story.run(60)
    assert (run.state, run.reason, run.attempt) == ("lost", "its worker vanished", 4)


def test_a_worker_that_was_only_paused_does_not_spoil_the_history(turned: Turned) -> None:
    story = Story(turned, on_lost="rerun", every="1h", **SHELL)
    story.at(60)
    begin(story, "sleeper", GONE)
    assert swept(story) == [60]
    # it wakes up, while the run waits for another worker and while it runs there
    assert not claims.renew(turned.database, story.run(60).id, "sleeper", LEASE)
    assert not claims.end(turned.database, story.run(60).id, "sleeper")
    story.tell(60, "succeeded", reruns_left=3, result="of the sleeper")
    assert story.states == {60: "published"}
    begin(story, "second", LEASE, 2)
    story.tell(60, "failed", reruns_left=3, error="of the sleeper")
    assert story.states == {60: "started"}
    story.tell(60, "succeeded", reruns_left=2, result="of the second")
    run = story.run(60)
    assert (run.state, run.result, run.error) == ("succeeded", "of the second", None)
    assert run.reason == "started again: its worker vanished"


def test_a_report_that_was_under_way_does_not_keep_a_run_from_starting_again(turned: Turned) -> None:
    """The daemon was away: it hears of the start after it has seen that the claim lapsed."""
    story = Story(turned, on_lost="rerun", every="1h", **SHELL)
    story.at(60)
    assert claims.take(turned.database, story.run(60).id, "w1", GONE, 0, 3) is claims.Claim.TAKEN
    sweep(turned.database, reports=True, publish_again_after=None)
    story.tell(60, "started", reruns_left=3)
    assert story.states == {60: "pending"}
    assert story.go() == [60]


def test_other_tasks_start_again_when_nothing_was_heard_of_them(turned: Turned) -> None:
    story = Story(turned, on_lost="rerun", lost_after="10m", every="1h")
    story.at(60)
    story.tell(60, "started", reruns_left=3)
    story.at(69)
    assert swept(story) == []
    story.at(71)
    assert swept(story) == [60]
    story.tell(60, "succeeded", reruns_left=3)
    assert story.states == {60: "published"}
    story.tell(60, "succeeded", reruns_left=2)
    assert story.states == {60: "succeeded"}


def test_a_held_run_waits_for_the_second_start(turned: Turned) -> None:
    story = Story(turned, on_lost="rerun", every="1h", overlap="queue", **SHELL)
    story.at(60)
    begin(story, "w1", GONE)
    assert story.at(120) == []
    assert swept(story) == [60]
    assert story.states == {60: "published", 120: "held"}
    begin(story, "w2", LEASE, 2)
    story.tell(60, "succeeded", reruns_left=2)
    assert story.go() == [120]


def test_nudges_do_not_pile_up(turned: Turned) -> None:
    story = Story(turned, on_failure="pause", overlap="queue")
    for fire in range(1, 6):
        story.at(fire)
        story.ends(fire)
    with turned.database.write() as connection:
        assert ends.take_nudges(connection, turned.database.dialect, 10).taken == 0
