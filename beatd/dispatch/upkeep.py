"""The daemon's own housekeeping, on APScheduler: heartbeat, deadlines, dead nodes, retention, zone data."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from beatd import __version__, clock
from beatd.config import Settings
from beatd.dispatch import company
from beatd.dispatch.company import Manner
from beatd.dispatch.deadlines import find_forgotten, sweep
from beatd.dispatch.events import Tell, nobody
from beatd.dispatch.takeover import release_dead
from beatd.dispatch.verification import HOUR, Verification
from beatd.errors import DatabaseUnavailable, SchemaMismatch, TransactionConflict
from beatd.faultpoints import reach
from beatd.logs import get_logger
from beatd.planning.timing import Surroundings
from beatd.store import nodes, retention, timers
from beatd.store.engine import Database
from beatd.store.nodes import Process

log = get_logger()

_BATCH = 1000
_RETENTION_EVERY = 60.0
_LONG_HISTORIES_EVERY = 3600.0
_FORGOTTEN_EVERY = 60.0

#: An update of the machine is noticed within this; a look reads the first line of one file.
_ZONES_EVERY = 60.0
_LOOKS_FOR_STALE = 2

_FIRST_VERIFICATION_AFTER = timedelta(minutes=6)

#: Nodes that have not been heard of for so long are taken off the table.
_FORGET_NODES_AFTER = timedelta(days=1)


class Host(Protocol):
    """What housekeeping asks of the daemon that it is done for."""

    @property
    def settings(self) -> Settings: ...
    def status(self) -> str: ...
    def statistics(self) -> Mapping[str, Any]: ...
    @property
    def shadow(self) -> bool: ...
    @property
    def manner(self) -> Manner: ...
    def zone_data(self) -> str: ...
    def use_zone_data(self) -> None: ...
    def publish_again_after(self) -> timedelta | None: ...
    def wake(self) -> None: ...
    def surroundings(self) -> Surroundings: ...


class Upkeep:
    """One node's. Each step may be called by itself; `start` repeats them all on threads of its own."""

    def __init__(
        self, database: Database, node: str, process: Process, host: Host, tell: Tell = nobody
    ) -> None:
        self._database = database
        self._node = node
        self._process = process
        self._host = host
        self._tell_of = tell
        self._zone_data = host.zone_data()
        self._looks_for_stale = _LOOKS_FOR_STALE
        self._mixed = False
        #: when a step last ended, or waited for the database in vain, on the monotonic clock
        self.progressed = clock.monotonic()
        self._stopping = threading.Event()
        self.verification = Verification(
            database, node, lambda: host.settings, host.surroundings, self._stopping
        )
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        self._schedule()
        self._scheduler.start()

    def restart(self) -> None:
        """After a reload: the host's settings hold from now on."""
        self._schedule()
        self._guarded(self.check_zones)()

    def _schedule(self) -> None:
        heartbeat = self._host.settings.scheduler.heartbeat.total_seconds()
        for step, seconds in (
            (self.beat, heartbeat),
            (self.sweep, heartbeat),
            (self.watch_nodes, heartbeat),
            (self.find_forgotten, _FORGOTTEN_EVERY),
            (self.cut_history, _RETENTION_EVERY),
            (self.cut_long_histories, _LONG_HISTORIES_EVERY),
            (self.check_zones, _ZONES_EVERY),
        ):
            self._scheduler.add_job(
                self._guarded(step), "interval", seconds=seconds, id=step.__name__, replace_existing=True
            )
        # soon after the start, too: what came before it is to be judged as well
        self._scheduler.add_job(
            self._guarded(self.verify),
            "interval",
            seconds=HOUR.total_seconds(),
            id="verify",
            replace_existing=True,
            next_run_time=clock.wall() + _FIRST_VERIFICATION_AFTER,
        )

    def stop(self) -> None:
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def join(self) -> None:
        """Puts this node on the table, and lets go of what dead ones of this host left. May be repeated.

        Raises FieldError beside nodes that it must not work with (beatd.dispatch.company).
        """
        release_dead(self._database, self._process)
        told = self._host.statistics()
        with self._database.write() as connection:
            nodes.lock_joining(connection, self._database.dialect)
            nodes.unregister(connection, [self._node])
            if refused := company.refusal(connection, self._database, self._host.manner):
                raise refused
            self._register(connection, told)
        log.info("node.joined", node=self._node, host=self._process.host)

    def leave(self) -> None:
        with self._database.write() as connection:
            nodes.unregister(connection, [self._node])
        log.info("node.left", node=self._node)

    def beat(self) -> None:
        told = self._host.statistics()
        if self._stopping.is_set():
            return  # the node has left, or is about to
        with self._database.write() as connection:
            now = self._database.now(connection)
            ahead = (clock.wall() - now).total_seconds()
            told = {**told, "clock_ahead": round(ahead, 3)}
            if not nodes.heartbeat(connection, self._node, now, self._host.status(), told):
                self._register(connection, told)
            others = company.at_odds(connection, self._database, self._host.manner)
            reach("before-heartbeat")
        reach("after-heartbeat")
        self._tell_mixed(others)
        if abs(ahead) > clock.TOLERANCE:
            log.warning("clock.differs", seconds=round(ahead, 3))

    def sweep(self) -> None:
        """What runs are, in shadow mode nobody tells: what there was before is left as it is."""
        if self._host.shadow:
            return
        done = sweep(
            self._database,
            reports=self._host.settings.celery.reports,
            publish_again_after=self._host.publish_again_after(),
            tell=self._tell_of,
        )
        if done.anything:
            self._host.wake()

    def find_forgotten(self) -> None:
        if self._host.shadow or not self._host.settings.celery.reports:
            return
        if find_forgotten(self._database):
            self._host.wake()

    def watch_nodes(self) -> None:
        if release_dead(self._database, self._process):
            self._host.wake()

    def verify(self) -> None:
        self.verification.run_once()

    def check_zones(self) -> None:
        """Plans entries afresh that were planned from other zone data, or in another default zone.

        Twice after a change, for a pass that was under way may have planned from the old data. Not at each
        look: a node that has older data may be at work beside this one.
        """
        zone_data = self._host.zone_data()
        if zone_data != self._zone_data:
            self._zone_data = zone_data
            self._host.use_zone_data()
            self._looks_for_stale = _LOOKS_FOR_STALE
        if not self._looks_for_stale:
            return
        with self._database.write() as connection:
            stale = timers.plan_afresh(connection, zone_data)
        self._looks_for_stale -= 1
        if stale:
            log.info("zones.changed", zone_data=zone_data, entries=stale)
            self._host.wake()

    def cut_history(self) -> None:
        keep = timedelta(days=self._host.settings.history.keep_days)

        def cut(connection: Any) -> int:
            now = self._database.now(connection)
            nodes.forget_silent(connection, now - _FORGET_NODES_AFTER)
            return retention.cut_history(connection, now - keep, _BATCH)

        self._in_batches(cut)

    def cut_long_histories(self) -> None:
        keep = self._host.settings.history.keep_runs
        with self._database.read() as connection:
            long = retention.with_long_histories(connection, keep)
        for entry_id in long:
            self._in_batches(partial(retention.cut_long_history, entry_id=entry_id, keep=keep, limit=_BATCH))
        self._in_batches(partial(timers.remove_of_gone_entries, limit=_BATCH))

    def _in_batches(self, cut: Callable[[Any], int]) -> None:
        while not self._stopping.is_set():
            with self._database.write() as connection:
                count = cut(connection)
            if not count:
                return
            log.info("history.trimmed", count=count)

    def _register(self, connection: Any, told: Mapping[str, Any]) -> None:
        name, now = self._host.settings.scheduler.node_name, self._database.now(connection)
        nodes.register(
            connection,
            self._node,
            name,
            self._process,
            __version__,
            now,
            self._host.status(),
            shadow=self._host.shadow,
            statistics=told,
        )

    def _tell_mixed(self, others: str) -> None:
        """One that was silent for long may come back, and a reload may name another broker."""
        if others and not self._mixed:
            manner = self._host.manner
            log.error("nodes.mixed", shadow=manner.shadow, broker=manner.broker, others=others)
        self._mixed = bool(others)

    def _guarded(self, step: Callable[[], None]) -> Callable[[], None]:
        """The loops tell the trouble; here it only must not end the job."""

        def guarded() -> None:
            try:
                _persistently(step)
            except (DatabaseUnavailable, SchemaMismatch) as error:
                log.debug("database.unavailable", loop="upkeep", error=str(error))

            self.progressed = clock.monotonic()

        guarded.__name__ = step.__name__
        return guarded


def _persistently(step: Callable[[], None]) -> None:
    """Repeats what was rolled back in favour of others; the next round of the job is time enough for more."""
    with contextlib.suppress(TransactionConflict):
        return step()
    step()
