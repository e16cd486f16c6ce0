"""The scheduler daemon: puts the loops together, starts, reloads and drains them.

    dispatch   plans and records what is due, hands it to the outbox
    publish    publishes the outbox and marks what the broker confirmed
    reports    takes in what workers report
    listen     wakes the dispatcher when the database says that something changed (PostgreSQL)
    upkeep     APScheduler: heartbeat, deadlines, dead nodes, retention, zone data
    main       signals, systemd's watchdog and status line

The watchdog is fed while the loops make progress, and by nothing else.
"""

from __future__ import annotations

import json
import signal
import statistics
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from beatd import __version__, clock, logs
from beatd.broker.configured import (
    configured_app,
    configured_consumer,
    configured_publisher,
    publish_again_after,
    reports_queue_name,
)
from beatd.config import Loaded, Settings
from beatd.dispatch import faultpoints
from beatd.dispatch.deadlines import sweep
from beatd.dispatch.dispatcher import Batch, Dispatcher
from beatd.dispatch.loop import Loop
from beatd.dispatch.outbox import Outbox
from beatd.dispatch.reports import Intake
from beatd.dispatch.takeover import release_dead, this_process
from beatd.errors import BeatdError, DatabaseUnavailable, SchemaMismatch
from beatd.store import nodes, runs, schema, timers
from beatd.store.engine import Database
from beatd.store.listener import Listener
from beatd.systemd import Notifier

log = logs.get_logger()

#: Seconds that stopping may take to publish what is recorded; the rest goes back to the outbox.
DRAIN_TIMEOUT = 20.0

#: Seconds without progress of a loop after which the watchdog is no longer fed.
STALLED_AFTER = 60.0

#: Seconds between looks into the outbox for runs that nobody leases, where nothing announces them.
_TAKE_OVER_EVERY = 1.0

_CLOCK_TOLERANCE = 1.0
_RETENTION_BATCH = 1000


def run(loaded: Loaded, reload: Callable[[], Loaded]) -> int:
    """Runs a scheduler node until SIGTERM or SIGINT; SIGHUP calls `reload`. Returns the exit status.

    Waits for a database that is down or not set up yet. Raises InvalidInput for settings that cannot
    work, SchemaMismatch for a schema that is newer than this version.
    """
    return Daemon(loaded, reload, Notifier.from_environment()).run()


class Daemon:
    def __init__(self, loaded: Loaded, reload: Callable[[], Loaded], notifier: Notifier) -> None:
        self._reload = reload
        self._notifier = notifier
        self._settings = loaded.settings
        self._stopping = threading.Event()
        self._reloading = threading.Event()
        self._wake = threading.Event()
        self._attention = threading.Event()
        self._first_pass = threading.Event()
        self._process = this_process()
        self._node = str(uuid.uuid4())
        self._published = 0
        self._took_over_at = 0.0
        self._reconnect = False
        self._not_handed_over: Batch | None = None

    def run(self) -> int:
        settings = self._settings
        faultpoints.arm(settings.scheduler.fault_point)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._database = Database.open(
            settings.database.url,
            connect_timeout=settings.database.connect_timeout.total_seconds(),
            statement_timeout=settings.database.statement_timeout.total_seconds(),
            pool_size=settings.database.pool_size,
        )
        log.info("daemon.starting", version=__version__, database=self._database.name, node=self._node)
        if not self._wait_for_database():
            return 0
        self._join()
        self._build()
        self._start()
        self._attend()
        self._drain()
        return 0

    # Starting

    def _wait_for_database(self) -> bool:
        """False if asked to stop meanwhile."""
        told = None
        while not self._stopping.is_set():
            try:
                schema.require(self._database)
                return True
            except (DatabaseUnavailable, SchemaMismatch) as error:
                if isinstance(error, SchemaMismatch) and schema.too_new(self._database):
                    raise
                if str(error) != told:
                    log.warning("daemon.waiting", reason=str(error))
                    told = str(error)
                self._notifier.status(f"waiting: {error}")
            self._stopping.wait(1.0)
        return False

    def _join(self) -> None:
        release_dead(self._database, self._process)
        with self._database.write() as connection:
            self._installation = schema.installation_id(connection)
            self._register(connection)
            replanned = timers.plan_afresh(connection, self._zone_data())
        log.info("node.joined", node=self._node, host=self._process.host)
        if replanned:
            log.info("zones.changed", zone_data=self._zone_data(), entries=replanned)

    def _register(self, connection: Any) -> None:
        nodes.register(
            connection,
            self._node,
            self._settings.scheduler.node_name,
            self._process,
            __version__,
            self._database.now(connection),
            self._status(),
        )

    def _build(self) -> None:
        self._app = configured_app(self._settings)
        self._dispatcher = self._new_dispatcher()
        self._outbox = Outbox(
            self._database,
            self._node,
            lambda: configured_publisher(self._app, self._settings, self._installation),
            lease=self._settings.scheduler.lease,
        )
        self._intake = Intake(
            self._database, lambda: configured_consumer(self._app, self._settings, self._installation)
        )
        self._dispatching = Loop("dispatch", self._dispatch)
        self._publishing = Loop("publish", self._publish)
        self._loops = [self._dispatching, self._publishing]
        if self._settings.celery.reports:
            log.info("reports.following", queue=reports_queue_name(self._installation))
            self._loops.append(Loop("reports", lambda: self._intake.run_once(1.0)))
        if self._database.dialect.notifies:
            self._listener: Listener | None = None
            self._loops.append(Loop("listen", self._listen))

    def _new_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self._database,
            self._node,
            self._installation,
            batch=self._settings.scheduler.batch,
            lease=self._settings.scheduler.lease,
            default_timezone=self._settings.timezone,
            zone_data=self._zone_data(),
        )

    def _zone_data(self) -> str:
        """What plans depend on besides entries: the zone data, and the zone of entries that name none."""
        return f"{clock.zone_data_version()} {self._settings.timezone}"

    def _start(self) -> None:
        for loop in self._loops:
            loop.start()
        self._upkeep = BackgroundScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        heartbeat = self._settings.scheduler.heartbeat.total_seconds()
        for step, seconds in (
            (self._heartbeat, heartbeat),
            (self._sweep, heartbeat),
            (self._watch_nodes, heartbeat),
            (self._cut_history, 60.0),
            (self._check_zones, 3600.0),
        ):
            self._upkeep.add_job(self._guarded(step), "interval", seconds=seconds)
        self._upkeep.start()

    # Running

    def _dispatch(self) -> None:
        # cleared before looking: what is announced while we look must wake us again
        woken = self._wake.is_set()
        self._wake.clear()
        done = self._dispatcher.run_once()
        self._hand_over(done.batch)
        if woken or clock.monotonic() - self._took_over_at >= _TAKE_OVER_EVERY:
            self._took_over_at = clock.monotonic()
            # a node that cannot publish leaves lapsed runs, its own too, to those that can
            if self._publishing.trouble is None and not self._stopping.is_set():
                self._hand_over(self._dispatcher.take_over().batch)
        if not self._first_pass.is_set():
            self._first_pass.set()
            self._attention.set()
        # twice an interval: an edit takes effect within the whole of it
        poll = self._settings.scheduler.poll_interval.total_seconds() / 2
        self._wake.wait(poll if done.wait is None else min(done.wait, poll))

    def _hand_over(self, batch: Batch | None) -> None:
        """Waits for room in the outbox: a broker that takes nothing stops the claiming."""
        self._not_handed_over = batch
        while self._not_handed_over is not None and not self._stopping.is_set():
            if self._outbox.offer(self._not_handed_over, timeout=0.5):
                self._not_handed_over = None
            self._dispatching.progress()

    def _publish(self) -> None:
        if self._reconnect:
            self._reconnect = False
            self._outbox.reconnect(
                lambda: configured_publisher(self._app, self._settings, self._installation)
            )
        self._published += self._outbox.run_once(timeout=0.5).published

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = Listener(self._database)
            self._wake.set()  # whatever was announced while nobody listened
        try:
            if self._listener.wait(1.0):
                self._wake.set()
        except DatabaseUnavailable:
            self._listener.close()
            self._listener = None
            raise

    def _attend(self) -> None:
        """The main thread: signals, readiness, watchdog, status."""
        ready = False
        pause = min(1.0, self._notifier.watchdog_interval or 1.0)
        while not self._stopping.is_set():
            if self._reloading.is_set():
                self._reloading.clear()
                self._apply_reload()
            if not ready and self._first_pass.is_set():
                ready = True
                self._notifier.ready(self._status())
                log.info("daemon.ready", node=self._node)
            self._notifier.status(self._status())
            if self._progresses():
                self._notifier.watchdog()
            self._attention.wait(pause)
            self._attention.clear()

    def _progresses(self) -> bool:
        stalled = [loop.name for loop in self._loops if clock.monotonic() - loop.progressed > STALLED_AFTER]
        if stalled:
            log.error("loop.stalled", loops=stalled)
        return not stalled

    def _status(self) -> str:
        if not hasattr(self, "_loops"):
            return "starting"
        troubles = list(dict.fromkeys(loop.trouble for loop in self._loops if loop.trouble))
        if self._outbox.blocked:
            troubles.append("the broker is blocked (memory or disk alarm)")
        late = self._lateness()
        text = f"published {self._published}"
        if late:
            text += f", late {late['median_ms']} ms (median), {late['max_ms']} ms (max)"
        return "; ".join([*(f"waiting: {trouble}" for trouble in troubles), text])

    def _lateness(self) -> dict[str, int]:
        late = sorted(self._outbox.lateness)
        if not late:
            return {}
        return {"median_ms": round(statistics.median(late) * 1000), "max_ms": round(late[-1] * 1000)}

    # Signals

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reloading.set()
        else:
            self._stopping.set()
            self._wake.set()
        self._attention.set()

    def _apply_reload(self) -> None:
        self._notifier.reloading()
        try:
            loaded = self._reload()
            app = configured_app(loaded.settings)
        except BeatdError as error:
            log.error("config.refused", error=str(error))
        else:
            changed = _changed(self._settings, loaded.settings)
            if "database" in changed:
                log.warning("config.warning", warning="a change of [database] needs a restart")
            self._settings, self._app = loaded.settings, app
            logs.configure(loaded.settings.log.level, loaded.settings.log.format)
            self._dispatcher = self._new_dispatcher()
            self._reconnect = bool({"broker", "celery"} & set(changed))
            self._guarded(self._check_zones)()
            log.info("config.reloaded", changed=changed)
        self._notifier.ready(self._status())

    # Upkeep

    def _guarded(self, step: Callable[[], object]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                step()
            except (DatabaseUnavailable, SchemaMismatch) as error:
                log.debug("database.unavailable", loop="upkeep", error=str(error))

        guarded.__name__ = getattr(step, "__name__", "step")
        return guarded

    def _heartbeat(self) -> None:
        with self._database.write() as connection:
            now = self._database.now(connection)
            differs = (clock.wall() - now).total_seconds()
            told = {
                "due": timers.count_due(connection, now),
                "outbox": runs.count_pending(connection),
                "published": self._published,
                "lateness": self._lateness(),
                "clock_differs_s": round(differs, 3),
            }
            if not nodes.heartbeat(connection, self._node, now, self._status(), told):
                self._register(connection)
        if abs(differs) > _CLOCK_TOLERANCE:
            log.warning("clock.differs", seconds=round(differs, 3))

    def _sweep(self) -> None:
        again = publish_again_after(self._app)
        if sweep(
            self._database, reports=self._settings.celery.reports, publish_again_after=again
        ).published_again:
            self._wake.set()

    def _watch_nodes(self) -> None:
        if release_dead(self._database, self._process):
            self._wake.set()

    def _cut_history(self) -> None:
        history = self._settings.history
        while not self._stopping.is_set():
            with self._database.write() as connection:
                now = self._database.now(connection)
                cut = runs.cut_history(connection, now - timedelta(days=history.keep_days), _RETENTION_BATCH)
                cut += runs.cut_long_histories(connection, history.keep_runs, _RETENTION_BATCH)
                nodes.forget_silent(connection, now - timedelta(days=1))
            if not cut:
                return
            log.info("history.trimmed", count=cut)

    def _check_zones(self) -> None:
        with self._database.write() as connection:
            replanned = timers.plan_afresh(connection, self._zone_data())
        if replanned:
            self._dispatcher = self._new_dispatcher()
            self._wake.set()
            log.info("zones.changed", zone_data=self._zone_data(), entries=replanned)

    # Stopping

    def _drain(self) -> None:
        """Claims no more, publishes and marks what is recorded, gives back the rest."""
        log.info("daemon.stopping")
        self._notifier.stopping()
        self._dispatching.stop()
        self._wake.set()
        self._dispatching.join(DRAIN_TIMEOUT)
        deadline = clock.monotonic() + DRAIN_TIMEOUT
        batch = self._not_handed_over
        if batch is not None and self._outbox.offer(batch, timeout=DRAIN_TIMEOUT / 2):
            batch = None
        while not self._outbox.idle and clock.monotonic() < deadline and self._publishing.trouble is None:
            self._publishing.join(0.02)
        self._publishing.stop()
        self._publishing.join(max(1.0, deadline - clock.monotonic()))
        for loop in self._loops:
            loop.stop()
        self._upkeep.shutdown(wait=False)
        self._leave(batch)
        for loop in self._loops:
            loop.join(2.0)
        self._outbox.close()
        self._intake.close()
        self._database.close()
        log.info("daemon.stopped", published=self._published)

    def _leave(self, batch: Batch | None) -> None:
        try:
            given_back = self._outbox.give_back(batch)
            with self._database.write() as connection:
                nodes.unregister(connection, [self._node])
            log.info("node.left", node=self._node, given_back=given_back)
        except DatabaseUnavailable as error:
            log.warning("database.unavailable", loop="drain", error=str(error))


def _changed(old: Settings, new: Settings) -> list[str]:
    """Names of the sections and top-level keys that differ."""
    before, after = json.loads(old.model_dump_json()), json.loads(new.model_dump_json())
    return [key for key in after if before.get(key) != after[key]]
