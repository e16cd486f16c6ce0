"""Every step of a run's way, and a fault at it: killed, paused, failed before the step took effect, or
after it with the answer lost.

Entries fire every second all the while. In the end no fire between the first and the last is missing, every
run has executed once, no message went out without an attempt of its own, and nothing is left open.

    pytest tests/faults/test_points.py --points     every point with every action, on every pair of servers
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

import psutil
import pytest

from beatd.faultpoints import SCHEDULER, WORKER
from beatd.store.models import FINAL_STATES
from tests.processes import Installation, Process
from tests.waiting import eventually

ENTRIES = 3

SERVERS = "PostgreSQL + RabbitMQ"
URLS = {
    SERVERS: ("postgres_url", "rabbit_url"),
    "SQLite + embedded": ("sqlite_url", None),
    "MariaDB + Redis": ("mariadb_url", "redis_url"),
}

#: Points that are passed where another fault leads: armed beside.
LED_BY = {
    "before-take-over": "after-send=lose",  # what has no answer goes back, and is taken over after a second
    "after-take-over": "after-send=lose",
    "before-take-back": "after-commit=lose",
    "after-take-back": "after-commit=lose",
}

#: Only reached by a node that stops, or by a batch that waits for long: tests/dispatch has those.
ELSEWHERE = {"before-give-back", "after-give-back", "before-renew", "after-renew"}

#: What the short form is about, beside tests/faults/test_scheduler_killed.py.
SHORT_KILLS = ["after-changes", "after-take-over", "after-send", "before-mark", "before-report-commit"]
SHORT_PAUSES = ["before-commit", "after-commit", "before-publish", "after-send", "before-mark"]


class World(Installation):
    """An installation whose entries fire every second, and what is to be found in the end."""

    def begin(self) -> None:
        self.upgrade()
        self.names = [f"e{number}" for number in range(ENTRIES)]
        entry = {"every": "1s", "expires": "10m", "misfire": "all", **self.shell()}
        self.add_all([{"name": name, **entry} for name in self.names])

    def armed(self, faults: str, **env: str) -> Process:
        return self.scheduler(ready=False, BEATD_SCHEDULER_FAULT_POINT=faults, **env)

    def end(self, *, lost: int = 0) -> None:
        """`lost`: how many runs may have ended with the worker that was killed under them."""
        self.sql("UPDATE entries SET enabled = :off", off=False)
        self.scheduler()
        changes = "SELECT entry_id FROM entry_changes"
        eventually(lambda: self.rows(changes) == [], 30)
        # on Redis reports that a killed node had taken come again after a minute, and overrule `lost`
        final = FINAL_STATES if lost else {"succeeded"}
        eventually(lambda: {run.state for run in self.runs()} <= set(final), 150, interval=0.2)
        found = self.runs()
        for name in self.names:
            fires = [run.fire_time for run in found if run.name == name]
            expected = [fires[0] + timedelta(seconds=n) for n in range(len(fires))]
            assert fires == expected, f"{name}: every fire once, and none is missing"
        executed = Counter(note.run_id for note in self.ledger())
        assert set(executed.values()) == {1}
        succeeded = {run.id for run in found if run.state == "succeeded"}
        assert succeeded <= executed.keys() <= {run.id for run in found}
        others = Counter(run.state for run in found if run.id not in succeeded)
        assert set(others) <= {"lost"}
        assert others["lost"] <= lost
        messages = executed + self._dropped()
        # a worker that was killed with its message gives it back
        too_many = [run for run in found if messages[run.id] > max(run.attempt, 1) + (lost > 0)]
        assert too_many == [], "a message for each attempt, and no more"

    def _dropped(self) -> Counter[str]:
        """Deliveries of what had been claimed already."""
        told = "".join(process.text() for process in self.processes if process.name.startswith("worker"))
        return Counter(re.findall(r"run\.dropped .*?run=([0-9a-f-]{36})", told))


@pytest.fixture
def long(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--points", default=False))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" in metafunc.fixturenames:
        pairs = list(URLS) if metafunc.config.getoption("--points", default=False) else [SERVERS]
        metafunc.parametrize("world", pairs, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    database, broker = URLS[request.param]
    urls = request.getfixturevalue(database), request.getfixturevalue(broker) if broker else ""
    made = request.getfixturevalue("install")(
        *urls,
        BEATD_SCHEDULER_LEASE="2s",
        BEATD_WORKER_CLAIM_LEASE="4s",
        kind=World,
    )
    assert isinstance(made, World)
    made.begin()
    return made


def struck(process: Process) -> set[tuple[str, str]]:
    return set(re.findall(r"fault\.struck +point=([a-z-]+) action=(\w+)", process.text()))


def table(points: Mapping[str, frozenset[str]], action: str) -> list[str]:
    return [point for point in points if action in points[point] and point not in ELSEWHERE]


def test_answers_that_fail_or_are_lost_at_every_point(world: World) -> None:
    """One node meets them all, at passes of their own, and gets over each by itself."""
    faults = {(point, action) for action in ("fail", "lose") for point in table(SCHEDULER, action)}
    counted = [
        f"{point}:{1 if point in LED_BY else 2 + number % 3}={action}"
        for number, (point, action) in enumerate(sorted(faults))
    ]
    armed = world.armed(",".join(counted))
    world.worker()
    _await(armed, faults)
    armed.stop()
    world.end()


def test_answers_that_fail_or_are_lost_at_every_point_of_a_worker(world: World) -> None:
    world.scheduler()
    faults = {(point, action) for action in ("fail", "lose") for point in table(WORKER, action)}
    counted = [f"{point}:{2 + number % 3}={action}" for number, (point, action) in enumerate(sorted(faults))]
    armed = world.worker(BEATD_WORKER_FAULT_POINT=",".join(counted))
    _await(armed, faults)
    world.end()


def test_a_pool_process_killed_at_every_point(world: World) -> None:
    """Each kill may cost the run that the process had begun; none comes twice."""
    world.scheduler()
    points = table(WORKER, "kill")
    armed = world.worker(
        BEATD_WORKER_FAULT_POINT=",".join(f"{point}:{2 + 4 * n}" for n, point in enumerate(points))
    )
    _await(armed, {(point, "kill") for point in points})
    world.end(lost=len(points))


def test_a_node_killed_at_every_point(world: World, long: bool) -> None:
    """The next one goes on where it was killed, until it is killed itself."""
    world.worker()
    for point in table(SCHEDULER, "kill") if long else SHORT_KILLS:
        killed = world.armed(",".join([point, *filter(None, [LED_BY.get(point)])]))
        assert killed.wait(60) == -signal.SIGKILL, point
        assert (point, "kill") in struck(killed)
    world.end()


def test_a_node_paused_at_every_point(world: World, long: bool) -> None:
    """Beside another, which takes over what it had in hand: it wakes late, and sends nothing of that."""
    points = table(SCHEDULER, "stop") if long else SHORT_PAUSES
    faults = [f"{point}:{1 if point in LED_BY else 2 + n % 3}=stop" for n, point in enumerate(points)]
    faults += sorted({fault for point in points if (fault := LED_BY.get(point))})
    # the other node has most of the work: not each of these commits had anything to lose
    faults += [f"after-commit:{n}=lose" for n in range(5, 60, 2) if "before-take-back" in points]
    world.worker()
    world.scheduler()
    armed = world.armed(",".join(faults))
    while (left := {(point, "stop") for point in points} - struck(armed)) or is_stopped(armed):
        eventually(lambda: is_stopped(armed) or not armed.running, 60, message=f"left: {left}")
        assert armed.running
        _let_pass(world, timedelta(seconds=3))  # leases of two have lapsed, others have what it had
        armed.signal(signal.SIGCONT)
    world.end()


def _await(armed: Process, faults: set[tuple[str, str]]) -> None:
    try:
        eventually(lambda: faults <= struck(armed), 60, interval=0.2)
    except AssertionError:
        pytest.fail(f"never reached: {sorted(faults - struck(armed))}")


def _let_pass(world: World, time: timedelta) -> None:
    woken = world.now() + time
    eventually(lambda: world.now() > woken)


def is_stopped(process: Process) -> bool:
    return process.running and psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
