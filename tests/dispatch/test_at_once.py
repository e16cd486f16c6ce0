"""Two nodes, and reports that arrive meanwhile: on servers, with real concurrency."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from beatd.errors import TransactionConflict
from beatd.reports import Report
from beatd.store import reported, runs
from beatd.store.engine import Database
from tests.dispatch.turned import NODE, OTHER, Story, Turned, settle

T = TypeVar("T")

pytestmark = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def turned(database: Database) -> Turned:
    return Turned(database)


def report(story: Story, fire: float, state: str = "succeeded") -> Report:
    return Report(story.run(fire).id, state, story.turned.now(), "w1")


def test_an_end_that_is_written_while_a_run_is_held_back_is_seen(turned: Turned) -> None:
    """The dispatcher has read that the run is unfinished; it ends before the held one is written."""
    story = Story(turned, overlap="queue")
    assert story.at(1) == [1]
    end = report(story, 1)
    record, ended = runs.record, threading.Event()

    def slow(*arguments: Any) -> Any:
        with turned.database.write() as connection:
            assert reported.apply_reports(connection, [end], turned.now()).awaited_ends == 1
        ended.set()
        return record(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "record", slow)
        turned.turn(minutes=1)
        batches = [story.node.run_once() for _ in range(2)]
    assert ended.is_set()
    assert batches[-1].recorded == 1
    assert story.states == {1: "succeeded", 2: "held"}
    assert story.go() == [2]


def test_an_end_that_is_not_committed_yet_is_seen_later(turned: Turned) -> None:
    story = Story(turned, overlap="queue")
    story.at(1)
    with turned.database.write() as connection:
        reported.apply_reports(connection, [report(story, 1)], turned.now())
        assert story.at(2) == []
        assert story.states == {1: "published", 2: "held"}
    assert story.go() == [2]


def test_a_nudge_waits_for_the_node_that_records(turned: Turned) -> None:
    """It locks the timer first: what it reads then is what the other has written."""
    story = Story(turned, overlap="queue")
    story.at(1)
    end = report(story, 1)
    other = turned.dispatcher(OTHER)
    other.run_once()
    turned.turn(minutes=1)
    for node in (story.node, other):
        assert node.run_once().due == 0, "a jump is looked at twice"
    released: list[int] = []
    record = runs.record
    waiting = threading.Thread(target=lambda: released.append(other.run_once().released))

    def slow(*arguments: Any) -> Any:
        if threading.current_thread() is waiting:
            return record(*arguments)
        with turned.database.write() as connection:
            reported.apply_reports(connection, [end], turned.now())
        waiting.start()
        waiting.join(0.5)
        assert released == [], "the other node waits for this one"
        return record(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "record", slow)
        story.node.run_once()
    waiting.join(60)
    assert released == [1]
    assert len(other.take_over().batches) == 1


def repeated(step: Callable[[], T]) -> T:
    """As the loops do it where the database rolls a transaction back in favour of another."""
    for _ in range(3):
        with contextlib.suppress(TransactionConflict):
            return step()
    return step()


def together(*works: Callable[[], None]) -> None:
    barrier, errors = threading.Barrier(len(works)), []

    def one(work: Callable[[], None]) -> None:
        try:
            barrier.wait(60)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert errors == []


@pytest.mark.parametrize("overlap", ["queue", "cancel", "skip"])
def test_however_it_comes_no_two_runs_of_an_entry_are_under_way_and_none_is_forgotten(
    turned: Turned, overlap: str
) -> None:
    """Two nodes, two that report, twenty entries every second, for a while."""
    start = turned.now()
    names = [f"entry {n}" for n in range(20)]
    for name in names:
        turned.add(name, every="2s", overlap=overlap, expires="never", misfire="all", on_failure="continue")
    over = threading.Event()
    published: dict[str, datetime] = {}
    finished: set[str] = set()
    lock = threading.Lock()

    def mark(name: str, taken: list[runs.OutboxRun]) -> None:
        with turned.database.write() as connection:
            runs.mark_published(connection, name, taken, turned.now())

    def tell(told: list[Report]) -> None:
        with turned.database.write() as connection:
            reported.apply_reports(connection, told, turned.now())

    def node(name: str) -> Callable[[], None]:
        def work() -> None:
            dispatcher = turned.dispatcher(name, batch=7)
            while not over.is_set():
                batches = [
                    *repeated(dispatcher.run_once).batches,
                    *repeated(dispatcher.take_over).batches,
                ]
                for batch in batches:
                    taken = [publication.run for publication in batch.publications]
                    repeated(lambda taken=taken: mark(name, taken))  # type: ignore[misc]
                    with lock:
                        for run in taken:
                            assert run.id not in published, "published once"
                            published[run.id] = run.fire_time

        return work

    def worker(seed: int) -> Callable[[], None]:
        def work() -> None:
            chance = random.Random(seed)
            while not over.is_set():
                with lock:
                    open_ = sorted(published.keys() - finished)
                if not open_:
                    over.wait(0.01)
                    continue
                some = chance.sample(open_, min(len(open_), 3))
                with lock:
                    finished.update(some)
                state = chance.choice(["succeeded", "failed"])
                told = [Report(id_, state, turned.now(), "w") for id_ in some]
                repeated(lambda told=told: tell(told))  # type: ignore[misc]
                over.wait(chance.random() / 20)

        return work

    def clock() -> None:
        for _ in range(24):
            over.wait(0.25)
            turned.turn(seconds=0.5)
        over.set()

    together(node(NODE), node(OTHER), worker(1), worker(2), clock)

    # what is left comes to its end by itself
    dispatcher = turned.dispatcher()
    turned.sql("UPDATE entries SET enabled = :off", off=False)
    for _ in range(50):
        settle(dispatcher)
        batches = dispatcher.take_over().batches
        left = turned.rows("SELECT id FROM runs WHERE state IN ('held', 'pending', 'published')")
        if not left:
            break
        told = [Report(p.run.id, "succeeded", turned.now(), "w") for b in batches for p in b.publications]
        told += [
            Report(str(row.id), "succeeded", turned.now(), "w")
            for row in turned.rows("SELECT id FROM runs WHERE state = 'published'")
        ]
        turned.turn(seconds=0.9)
        with turned.database.write() as connection:
            reported.apply_reports(connection, told, turned.now())
    else:
        pytest.fail(f"runs that nobody releases: {left[:5]}")

    with turned.database.read() as connection:
        found = connection.execute(select(runs.runs)).all()
    fires = Counter((run.entry_id, run.fire_time) for run in found)
    assert set(fires.values()) == {1}
    skipped = turned.one("SELECT COALESCE(SUM(count), 0) AS n FROM suppressions WHERE reason = 'overlap'").n
    assert len(found) + skipped > 20 * 5, f"since {start}"
    if overlap != "cancel":  # which waits for an end, but not for ever
        for one, entry in ((run, run.entry_id) for run in found if run.published_at is not None):
            beside = [
                run
                for run in found
                if run.entry_id == entry
                and run.id != one.id
                and run.published_at is not None
                and run.published_at <= one.published_at - timedelta(milliseconds=1)
                and run.finished_at > one.published_at
            ]
            assert beside == []
