"""What becomes of an entry whose runs take longer than the time between two fires, told minute by minute."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from beatd.dispatch.deadlines import find_forgotten, sweep
from beatd.store import claims, history, runs
from beatd.store.engine import Database
from tests.dispatch.turned import Story, Turned

SHELL = {"task": "beatd.shell", "kwargs": '{"command": "true"}'}


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


def swept(story: Story) -> list[float]:
    sweep(story.turned.database, reports=True, publish_again_after=None)
    return story.go()


# queue


def test_of_what_is_held_back_the_newest_starts_when_the_earlier_run_ends(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    assert story.at(1) == [1]
    story.tell(1, "started")
    assert story.at(2) == []
    assert story.at(3) == []
    assert story.states == {1: "started", 2: "revoked", 3: "held"}
    assert story.run(2).reason == "superseded by a newer run"
    assert story.ends(1) == [3]
    assert story.at(4) == []
    assert story.ends(3, "failed") == [4]
    assert story.ends(4) == []
    assert story.at(5) == [5]
    assert story.suppressed == []


def test_what_is_held_back_until_its_expiry_starts_no_more(turned: Turned) -> None:
    story = Story(turned, overlap="queue", every="10m", expires="1m")
    assert story.at(10) == [10]
    story.tell(10, "started")
    assert story.at(20) == []
    story.at(21.5)
    assert swept(story) == []
    assert story.states == {10: "started", 20: "expired"}
    assert story.ends(10) == []
    assert story.at(30) == [30]


def test_a_run_that_is_lost_lets_the_held_one_go(turned: Turned) -> None:
    story = Story(turned, overlap="queue", lost_after="5m")
    assert story.at(1) == [1]
    story.tell(1, "started")
    assert story.at(5) == []
    assert story.at(7) == []
    assert swept(story) == [7]
    assert (story.states[1], story.states[7]) == ("lost", "published")


def test_a_run_that_a_person_revoked_lets_the_held_one_go(turned: Turned) -> None:
    story = Story(turned, overlap="queue", **SHELL)
    assert story.at(1) == [1]
    assert story.at(2) == []
    with turned.database.write() as connection:
        now = turned.database.now(connection)
        assert history.revoke_unclaimed(connection, turned.database.dialect, story.run(1).id, now, "by hand")
    assert story.go() == [2]


def test_the_held_run_survives_its_daemon(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    story.restart()
    assert story.ends(1) == [2]


def test_what_was_missed_while_a_run_was_under_way_is_held_once(turned: Turned) -> None:
    story = Story(turned, overlap="queue", misfire="all")
    assert story.at(1) == [1]
    assert story.at(6) == [], "nobody was there from the second to the fifth minute"
    assert story.states == {1: "published", 6: "held"}
    assert story.suppressed == [("overlap", 4)]
    assert story.ends(1) == [6]


def test_an_end_that_nobody_told_is_found(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    story.at(2)
    turned.sql("UPDATE runs SET state = 'succeeded' WHERE id = :id", id=story.run(1).id)
    assert story.go() == []
    assert find_forgotten(turned.database) == 1
    assert story.go() == [2]
    assert find_forgotten(turned.database) == 0


def test_an_entry_that_comes_to_queue_waits_for_what_was_under_way_before(turned: Turned) -> None:
    story = Story(turned)
    assert story.at(1) == [1]
    story.edit(overlap="queue")
    assert story.at(2) == []
    assert story.states == {1: "published", 2: "held"}
    assert story.ends(1) == [2]


def test_a_held_run_goes_on_though_its_entry_was_paused_or_removed(turned: Turned) -> None:
    for number, change in enumerate(("paused", "removed")):
        story = Story(turned, overlap="queue")
        story.at(1)
        story.at(2)
        if change == "paused":
            story.edit(enabled=False)
        else:
            turned.sql("DELETE FROM entries WHERE id = :id", id=story.id)
        assert story.go() == []
        assert story.ends(1) == [2], change
        turned.sql(
            "UPDATE entries SET name = :name, enabled = :off WHERE id = :id",
            name=f"old {number}",
            off=False,
            id=story.id,
        )
        story.ends(2)


# skip


def test_what_would_overlap_is_skipped_and_counted(turned: Turned) -> None:
    story = Story(turned, overlap="skip")
    assert story.at(1) == [1]
    assert story.at(2) == []
    assert story.at(3) == []
    assert story.ends(1) == []
    assert story.at(4) == [4]
    assert story.suppressed == [("overlap", 1), ("overlap", 1)]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_a_run_whose_message_was_purged_stops_its_entry_no_longer_than_lost_after(
    turned: Turned, overlap: str
) -> None:
    story = Story(turned, overlap=overlap, every="10m", lost_after="25m")
    assert story.at(10) == [10]
    assert [*story.at(20), *story.at(30)] == []
    story.at(34)
    assert swept(story) == []
    story.at(36)
    assert swept(story) == ([] if overlap == "skip" else [30])
    assert (story.states[10], story.run(10).reason) == ("lost", "no worker started it within lost_after")
    assert story.at(40) == ([40] if overlap == "skip" else [])


# cancel


def test_what_no_worker_has_begun_gives_way_at_once(turned: Turned) -> None:
    story = Story(turned, overlap="cancel", **SHELL)
    assert story.at(1) == [1]
    assert story.at(2) == [2]
    assert story.states == {1: "revoked", 2: "published"}
    assert story.run(1).reason == "cancelled for a newer run"
    assert story.to_end == []
    assert claims.take(turned.database, story.run(1).id, "late", timedelta(seconds=60)) is claims.Claim.HELD


def test_the_new_run_starts_when_the_earlier_one_has_ended(turned: Turned) -> None:
    story = Story(turned, overlap="cancel")
    assert story.at(1) == [1]
    story.tell(1, "started")
    assert story.at(2) == []
    assert story.to_end == [1]
    assert story.states == {1: "started", 2: "pending"}
    assert story.at(2.05) == []
    assert story.ends(1, "revoked") == [2]
    assert story.run(1).reason == "cancelled for a newer run"
    assert story.ends(2) == []
    assert story.at(3) == [3]
    assert story.to_end == [1]


def test_or_after_ten_seconds(turned: Turned) -> None:
    story = Story(turned, overlap="cancel")
    story.at(1)
    story.tell(1, "started")
    assert story.at(2) == []
    assert story.at(2 + 9 / 60) == []
    assert story.at(2 + 11 / 60) == [2]
    assert story.states == {1: "started", 2: "published"}
    assert story.at(3) == []
    assert sorted(story.to_end) == [1, 1, 2]


def test_one_that_waits_gives_way_to_the_next(turned: Turned) -> None:
    story = Story(turned, overlap="cancel", every="5s")
    assert story.at(5 / 60) == [0.08]
    story.tell(0.08, "started")
    assert story.at(10 / 60) == []
    assert story.at(15 / 60) == []
    assert story.states == {0.08: "started", 0.17: "revoked", 0.25: "pending"}
    assert story.ends(0.08, "revoked") == [0.25]


def test_a_run_that_was_given_up_for_another_is_not_started_again(turned: Turned) -> None:
    story = Story(turned, overlap="cancel", on_lost="rerun", **SHELL)
    story.at(1)
    assert claims.take(turned.database, story.run(1).id, "w1", timedelta(hours=-1)) is claims.Claim.TAKEN
    story.tell(1, "started")
    assert story.at(2) == []
    assert swept(story) == [2], "its worker vanished: that is an end, too"
    assert story.states == {1: "lost", 2: "published"}


# backfill


def test_a_backfill_goes_one_by_one_and_lets_the_schedule_go_first(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    assert story.at(1) == [1]
    backfill(story, -30, -20, -10)
    assert story.go() == []
    assert story.ends(1) == [-30]
    assert story.at(2) == []
    assert story.ends(-30, "failed") == [2]
    assert story.ends(2) == [-20]
    assert story.ends(-20) == [-10]
    assert story.ends(-10) == []
    assert story.at(3) == [3]


def test_beside_an_entry_that_allows_overlaps_it_waits_too(turned: Turned) -> None:
    story = Story(turned)
    backfill(story, -20, -10)
    assert story.go() == [-20]
    assert story.at(1) == [1], "the schedule does not wait for it"
    assert story.ends(-20) == []
    assert story.ends(1) == [-10]


def test_what_is_throttled_keeps_no_fire_back(turned: Turned) -> None:
    story = Story(turned, overlap="skip", every="10m")
    backfill(story, -20, -10, each=timedelta(minutes=15))
    assert story.go() == [-20]
    story.ends(-20)
    assert story.at(10) == [10]
    story.ends(10)
    assert story.at(15.5) == [-10]
    assert story.at(20) == [], "but what runs does"
    assert story.suppressed == [("overlap", 1)]


def backfill(story: Story, *fires: int, each: timedelta | None = None) -> None:
    """Held one behind the other, or `each` after the one before."""
    with story.turned.database.write() as connection:
        now = story.turned.database.now(connection)
        rows = []
        for number, fire in enumerate(fires):
            due = now if each is None else now + number * each
            place = {"state": "held", "lease_until": None} if each is None else {"lease_until": due}
            rows.append(
                {
                    "id": str(uuid4()),
                    "entry_id": story.id,
                    "version": 1,
                    "origin": "backfill:1",
                    "fire_time": story.start + timedelta(minutes=fire),
                    "due_time": due,
                    "expires_at": None,
                    "state": "pending",
                    "recorded_at": now,
                    "owner": None,
                    "attempt": 0,
                    "run_once": False,
                    "lost_after": 3600,
                    "awaited": each is None,
                    "reruns_left": 0,
                    **place,
                }
            )
        runs.record_backfill(connection, rows)
