"""The scheduler daemon: puts the loops together, starts, reloads and drains them.

    dispatch   plans and records what is due, hands it to the outbox
    publish    publishes the outbox and marks what the broker confirmed
    reports    takes in what workers report
    listen     wakes the dispatcher when the database says that something changed (PostgreSQL)
    alerts     tells the outside of runs (beatd.dispatch.alerts), on threads of its own
    pulse      pings while the node does its work
    upkeep     heartbeat, deadlines, dead nodes, retention, zone data (APScheduler)
    main       signals, systemd's watchdog and status line

In shadow mode there is neither `publish` nor `reports`, and no connection to a broker.

The watchdog is fed while the loops make progress, and by nothing else.
"""

from __future__ import annotations

import gc
import json
import signal
import statistics
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from beatd import __version__, clock, faultpoints, logs
from beatd.broker.app import revoke, send_bare
from beatd.broker.configured import (
    broker_address,
    configured_app,
    configured_consumer,
    configured_publisher,
    publish_again_after,
    reports_queue_name,
)
from beatd.broker.publisher import Publisher
from beatd.broker.reports import ReportsConsumer
from beatd.config import Loaded, Settings
from beatd.dispatch import boot, company, events
from beatd.dispatch.alerts import Alerts
from beatd.dispatch.company import Manner
from beatd.dispatch.dispatcher import Dispatcher
from beatd.dispatch.feed import Feed
from beatd.dispatch.loop import Loop
from beatd.dispatch.outbox import Outbox
from beatd.dispatch.pulse import Pulse
from beatd.dispatch.reports import Intake
from beatd.dispatch.takeover import this_process
from beatd.dispatch.upkeep import Upkeep
from beatd.dispatch.zonedata import zone_data
from beatd.errors import (
    BeatdError,
    DatabaseDamaged,
    DatabaseUnavailable,
    FieldError,
    InvalidInput,
    SchemaMismatch,
)
from beatd.operations.context import Factories
from beatd.planning.timing import Surroundings, forget
from beatd.schedules import CustomFactory
from beatd.store import runs, schema, timers
from beatd.store.engine import Database
from beatd.store.health import work_that_waits
from beatd.store.listener import Listener
from beatd.store.reported import Told
from beatd.systemd import Notifier

log = logs.get_logger()

#: Seconds that stopping may take to publish what is recorded; the rest goes back to the outbox.
DRAIN_TIMEOUT = 20.0

#: Seconds beyond the longest wait for database or broker after which a loop counts as stalled.
STALL_MARGIN = 5.0

#: Work that waits longer than this, whoever should do it, silences the ping of every node.
LONGEST_WAIT = timedelta(minutes=1)

#: Seconds that stopping gives to pings and alerts that are still to be sent.
_LAST_ALERTS = 2.0

#: Seconds between looks whether the first pass is done.
_UNTIL_READY = 0.05

#: A batch makes thousands of objects, none of them in cycles; by default Python would look for some among all
#: the definitions that are kept, several times a batch.
_OBJECTS_A_COLLECTION = 20_000

#: What a reload cannot change in a running process.
_NEEDS_RESTART = frozenset({"database", "state_dir"})


def run(loaded: Loaded, reload: Callable[[], Loaded]) -> int:
    """Runs a scheduler node until SIGTERM or SIGINT; SIGHUP calls `reload`. Returns the exit status.

    Waits for a database that is down or not set up yet. Raises InvalidInput for settings that cannot
    work, SchemaMismatch for a schema that is newer than this version.
    """
    database = Database.configured(loaded.settings.database)
    try:
        daemon = joined(loaded, reload, database)
        if daemon is not None:
            daemon.run()
    finally:
        database.close()
    return 0


def joined(
    loaded: Loaded,
    reload: Callable[[], Loaded],
    database: Database,
    *,
    find_app: Callable[[Settings], Any] = configured_app,
    before: Callable[[], None] = lambda: None,
) -> Daemon | None:
    """The node that `run` is about, in the table of nodes; None if asked to stop before it got there.

    Blocks the signals that it takes. `find_app` gives the Celery app, also at a reload; `before` is done once
    the database is there and set up. Raises as `run` does.
    """
    settings = loaded.settings
    faultpoints.arm(settings.scheduler.fault_point)
    code = _load(settings, find_app)
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP | _RELOAD)
    notifier = Notifier.from_environment()
    log.info("daemon.starting", version=__version__, database=database.name)

    def make() -> Daemon:
        database.require_sound()
        # before anything is done: an app's entries are not for nodes on another app's broker
        require_company(settings, code[0], database)
        before()
        return Daemon(settings, code, lambda: _reloaded(reload, find_app), database, notifier)

    return _joined(make, database, notifier)


def require_company(settings: Settings, app: Any, database: Database) -> None:
    """Raises FieldError where nodes are at work that one of these settings must not work with."""
    company.require(database, this_process(), _manner(settings, app, shadow=settings.scheduler.shadow))


#: What the settings name of the operator's own code: the Celery app, and the triggers.
_Code = tuple[Any, Mapping[str, CustomFactory]]


def _load(settings: Settings, find_app: Callable[[Settings], Any]) -> _Code:
    """Raises InvalidInput."""
    app = find_app(settings)
    try:
        return app, dict(Factories(settings.schedules.custom))
    except FieldError as finding:
        raise InvalidInput([finding]) from finding


def _manner(settings: Settings, app: Any, *, shadow: bool) -> Manner:
    broker = None if shadow else broker_address(app)
    return Manner(shadow, broker, settings.scheduler.node_timeout)


def _reloaded(reload: Callable[[], Loaded], find_app: Callable[[Settings], Any]) -> tuple[Settings, _Code]:
    settings = reload().settings
    return settings, _load(settings, find_app)


#: Taken by the main thread when it waits, and by nothing else: a handler would interrupt it anywhere.
_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_RELOAD = frozenset({signal.SIGHUP})


def _wait_for_signal(seconds: float) -> int | None:
    """The signal that came within that time. All of ours are blocked, in all threads."""
    received = signal.sigtimedwait(_STOP | _RELOAD, seconds)
    return None if received is None else received.si_signo


def _joined(make: Callable[[], Daemon], database: Database, notifier: Notifier) -> Daemon | None:
    """The node, once the database is there and set up. None if asked to stop meanwhile."""
    told = None
    daemon: Daemon | None = None
    while True:
        try:
            schema.require(database)
            # made once: a node that failed half way must not leave another of its process on the table
            daemon = daemon or make()
            daemon.join()
            return daemon
        except DatabaseDamaged:
            raise
        except (DatabaseUnavailable, SchemaMismatch) as error:
            if isinstance(error, SchemaMismatch) and schema.too_new(database):
                raise
            if str(error) != told:
                log.warning("daemon.waiting", reason=str(error))
                told = str(error)
            notifier.status(f"waiting: {error}")
        if _wait_for_signal(1.0) in _STOP:
            return None


class Daemon:
    """One scheduler node, on a database that is set up."""

    def __init__(
        self,
        settings: Settings,
        code: _Code,
        reload: Callable[[], tuple[Settings, _Code]],
        database: Database,
        notifier: Notifier,
    ) -> None:
        self.settings = settings
        self._app, self._custom = code
        self._reload = reload
        self._database = database
        self._notifier = notifier
        self._node = str(uuid.uuid4())
        #: as it started: nodes of both modes must not share a database, and joining is when that is looked at
        self.shadow = settings.scheduler.shadow
        with database.read() as connection:
            self._installation = schema.installation_id(connection)
        self._stop = threading.Event()
        self._first_pass = threading.Event()
        self._ready = False
        self._published = 0
        self._listener: Listener | None = None

        self._alerts = Alerts(database, settings.scheduler.node_name, lambda: self.settings.alerts)
        self._pulse = Pulse(lambda: self.settings.alerts, self._reasons_for_silence, self._send_ping)
        self._dispatcher = self._new_dispatcher()
        self._outbox = Outbox(
            database,
            self._node,
            self._new_publisher,
            self._ask_to_end,
            lease=settings.scheduler.lease,
            tell=self._alerts.tell,
            late_after=settings.alerts.late_after,
        )
        self._dispatching = Loop("dispatch", self._dispatch)
        self._feed = Feed(self._outbox, self._publishes, self._dispatching.progress)
        self._intake = Intake(database, self._new_consumer, self._tell_of_reports)
        self._upkeep = Upkeep(database, self._node, this_process(), self, self._alerts.tell)
        self._publishing = Loop("publish", self._publish)
        self._loops = [self._dispatching]
        if not self.shadow:
            self._loops += [self._publishing, Loop("reports", self._take_in_reports)]
        if database.dialect.notifies:
            self._loops.append(Loop("listen", self._listen))
        # none of `_loops`: what is told outside never counts for the node's own progress
        self._pulsing = Loop("pulse", self._pulse.run_once)

    def join(self) -> None:
        """Puts the node on the table; the first after a boot runs what is to run then.

        Raises DatabaseUnavailable, FieldError beside nodes that it must not work with.
        """
        self._upkeep.join()
        self._upkeep.check_zones()
        boot.fire(
            self._database,
            self._installation,
            self.surroundings(),
            boot.this_boot(),
            shadow=self.shadow,
        )

    def run(self) -> None:
        """Until it is asked to stop; then drains."""
        self.start()
        while self.attend():
            pass
        self.drain()

    def start(self) -> None:
        """Begins to work, on threads of its own."""
        gc.set_threshold(_OBJECTS_A_COLLECTION)
        for loop in self._loops:
            loop.start()
        self._upkeep.start()
        self._alerts.start()
        self._pulsing.start()

    # What is made anew by a reload

    def _new_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self._database,
            self._node,
            self._installation,
            batch=self.settings.scheduler.batch,
            lease=self.settings.scheduler.lease,
            surroundings=self.surroundings(),
            zone_data=self.zone_data(),
            shadow=self.shadow,
            tell=self._alerts.tell,
        )

    def surroundings(self) -> Surroundings:
        """Without calendars: those are the database's."""
        return Surroundings(self.settings.timezone, custom=self._custom, reports=self.settings.celery.reports)

    def _ask_to_end(self, run_ids: Sequence[str]) -> None:
        revoke(
            self._app, run_ids, terminate=True, timeout=self.settings.broker.connect_timeout.total_seconds()
        )

    def _new_publisher(self) -> Publisher:
        return configured_publisher(self._app, self.settings, self._installation)

    def _new_consumer(self) -> ReportsConsumer:
        log.info("reports.following", queue=reports_queue_name(self._installation))
        return configured_consumer(self._app, self.settings, self._installation)

    # The loops

    def _dispatch(self) -> None:
        idle = self._feed.run_once(self._dispatcher)
        self._first_pass.set()
        # twice an interval: an edit takes effect within the whole of it
        self._feed.wait(min(idle, self.settings.scheduler.poll_interval.total_seconds() / 2))

    def _publishes(self) -> bool:
        return not self.shadow and self._publishing.trouble is None and not self._outbox.blocked

    def _publish(self) -> bool:
        """False where something was to be published, and nothing came of it."""
        done = self._outbox.run_once(timeout=0.5)
        self._published += done.published
        return done.anything or self._outbox.idle or self._outbox.blocked

    def _take_in_reports(self) -> None:
        if self.settings.celery.reports:
            if self._intake.run_once(1.0).awaited_ends:
                self.wake()
        else:
            self._intake.close()
            self._stop.wait(1.0)

    def _tell_of_reports(self, told: Sequence[Told]) -> None:
        self._alerts.tell(events.of_reports(told, self.settings.alerts.late_after))

    def _send_ping(self, task: str, expires: float) -> None:
        timeout = self.settings.broker.connect_timeout.total_seconds()
        send_bare(self._app, task, expires=expires, timeout=timeout)

    def _reasons_for_silence(self) -> list[str]:
        """Why this node does not ping. Work that waits counts whoever should have done it."""
        if not self._first_pass.is_set():
            return ["its first pass is not done"]
        with self._database.read() as connection:
            now = self._database.now(connection)
            waiting = work_that_waits(connection, now)
        late = [
            f"{what} for {(now - since).total_seconds():.0f} s"
            for what, since in waiting.items()
            if now - since > LONGEST_WAIT
        ]
        return [*self._troubles(), *late]

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = Listener(self._database)
            self.wake()  # whatever was announced while nobody listened
        try:
            if self._listener.wait(1.0):
                self.wake()
        except DatabaseUnavailable:
            self._listener.close()
            self._listener = None
            raise

    # The main thread

    def attend(self) -> bool:
        """Readiness, watchdog, status, signals, for a second at most; False when it is asked to stop.

        To be repeated, by the thread that made the node. Raises DatabaseDamaged: then nothing more is to be
        done, neither published nor marked.
        """
        for loop in self._loops:
            if loop.damage is not None:
                raise loop.damage
        if not self._ready and self._first_pass.is_set():
            self._ready = True
            self._notifier.ready(self.status())
            log.info("daemon.ready", node=self._node)
        self._notifier.status(self.status())
        if self._progresses():
            self._notifier.watchdog()
        pause = min(1.0, self._notifier.watchdog_interval or 1.0)
        received = _wait_for_signal(pause if self._ready else _UNTIL_READY)
        if received in _RELOAD:
            self._apply_reload()
        return received not in _STOP

    def _progresses(self) -> bool:
        stalled = self._stalled()
        if stalled:
            log.error("loop.stalled", loops=stalled)
        return not stalled

    def _stalled(self) -> list[str]:
        longest = max(self.settings.database.statement_timeout, self.settings.broker.confirm_timeout)
        limit = longest.total_seconds() + STALL_MARGIN
        watched = {loop.name: loop.progressed for loop in self._loops}
        watched["upkeep"] = self._upkeep.progressed + self.settings.scheduler.heartbeat.total_seconds()
        return [name for name, progressed in watched.items() if clock.monotonic() - progressed > limit]

    def _troubles(self) -> list[str]:
        """What keeps this node from its work, each with the word by which `beatd status` knows it."""
        troubles = [
            f"waiting: {trouble}"
            for trouble in dict.fromkeys(loop.trouble for loop in self._loops)
            if trouble
        ]
        if self._outbox.blocked:
            troubles.append("waiting: the broker is blocked (memory or disk alarm)")
        if stalled := self._stalled():
            troubles.insert(0, f"stalled: {', '.join(stalled)}")
        return troubles

    def _apply_reload(self) -> None:
        self._notifier.reloading()
        try:
            settings, (app, custom) = self._reload()
        except BeatdError as error:
            log.error("config.refused", error=str(error))
        else:
            self._use(settings, app, custom)
        self._notifier.ready(self.status())

    def _use(self, settings: Settings, app: Any, custom: Mapping[str, CustomFactory]) -> None:
        changed = _changed(self.settings, settings)
        if restart := sorted(_NEEDS_RESTART & set(changed)):
            log.warning("config.warning", warning=f"{', '.join(restart)}: a change takes a restart")
        if settings.scheduler.shadow != self.shadow:
            log.warning("config.warning", warning="scheduler.shadow: a change takes a restart")
        self.settings, self._app, self._custom = settings, app, custom
        logs.reconfigure(settings.log.level, settings.log.format)
        self._dispatcher = self._new_dispatcher()
        self._outbox.lease = settings.scheduler.lease
        self._outbox.late_after = settings.alerts.late_after
        if {"broker", "celery"} & set(changed):
            self._outbox.reconnect()
            self._intake.reconnect()
        self._upkeep.restart()
        log.info("config.reloaded", changed=changed)

    # What upkeep asks

    def wake(self) -> None:
        self._feed.wake()

    def status(self) -> str:
        """One line for people: trouble first."""
        if self.shadow:
            return self._shadow_status()
        late = self._lateness()
        text = f"published {self._published}"
        if late:
            text += f", late {late['median_ms']} ms (median), {late['max_ms']} ms (max)"
        return "; ".join([*self._troubles(), text])

    def _shadow_status(self) -> str:
        text = f"shadow mode: recorded {self._feed.recorded}, published nothing"
        return "; ".join([*self._troubles(), text])

    def statistics(self) -> Mapping[str, Any]:
        with self._database.read() as connection:
            now = self._database.now(connection)
            due, outbox = timers.count_due(connection, now), runs.count_pending(connection)
        return {
            "broker": self.manner.broker,
            "due": due,
            "outbox": outbox,
            "published": self._published,
            "lateness": self._lateness(),
            "verify": dict(self._upkeep.verification.statistics),
            "alerts": self._alerts.statistics(),
            "pulse": {"sent": self._pulse.sent, "trouble": self._pulse.trouble},
        }

    @property
    def manner(self) -> Manner:
        return _manner(self.settings, self._app, shadow=self.shadow)

    def zone_data(self) -> str:
        """What plans depend on besides entries."""
        return zone_data(self.settings)

    def use_zone_data(self) -> None:
        """Reads the zone data anew; what was computed from the old is forgotten."""
        ZoneInfo.clear_cache()
        forget()
        self._dispatcher = self._new_dispatcher()

    def publish_again_after(self) -> timedelta | None:
        return publish_again_after(self._app)

    def _lateness(self) -> dict[str, int]:
        late = sorted(self._outbox.lateness.copy())
        if not late:
            return {}
        return {"median_ms": round(statistics.median(late) * 1000), "max_ms": round(late[-1] * 1000)}

    # Stopping

    def drain(self) -> None:
        """Claims no more, publishes and marks what is recorded, gives back the rest."""
        log.info("daemon.stopping")
        self._notifier.stopping()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # a second Ctrl-C does not wait
        self._stop.set()
        self._pulse.stop()
        self._pulsing.stop()
        self._upkeep.stop()
        self._dispatching.stop()
        self._feed.stop()
        deadline = clock.monotonic() + DRAIN_TIMEOUT
        self._dispatching.join(DRAIN_TIMEOUT)
        self._offer_the_rest(deadline)
        while not self._outbox.idle and clock.monotonic() < deadline and self._publishing.trouble is None:
            self._publishing.join(0.02)
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join(max(1.0, deadline - clock.monotonic()))
        self._leave()
        self._alerts.stop(_LAST_ALERTS)
        self._outbox.close()
        self._intake.close()
        log.info("daemon.stopped", published=self._published, recorded=self._feed.recorded)

    def _offer_the_rest(self, deadline: float) -> None:
        while self._feed.left and clock.monotonic() < deadline and self._publishing.trouble is None:
            self._feed.offer_left(timeout=0.1)

    def _leave(self) -> None:
        if self._publishing.is_alive():
            log.error("loop.stalled", loops=[self._publishing.name])
            return  # what it has in hand is not ours to give back: its lease lapses
        try:
            self._outbox.give_back(self._feed.left)
            self._upkeep.leave()
        except DatabaseUnavailable as error:
            log.warning("database.unavailable", loop="drain", error=str(error))


def _changed(old: Settings, new: Settings) -> list[str]:
    """Names of the sections and top-level keys that differ."""
    before, after = json.loads(old.model_dump_json()), json.loads(new.model_dump_json())
    return [key for key in after if before.get(key) != after[key]]
