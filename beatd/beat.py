"""beatd inside Celery's own beat command: `celery -A proj beat -S beatd.beat:Scheduler`.

beat asks its scheduler again and again to look what is due. This one runs a whole node of beatd meanwhile, on
the loops of `beatd.daemon`, and takes the signals for it. When it starts, the entries of the app's code are
brought in step with the code: imported as `beatd celery import --prune` does it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NoReturn

from celery import beat

from beatd import config
from beatd.broker.configured import use_configured_broker
from beatd.broker.encoding import encoding_findings
from beatd.config import Loaded, Settings
from beatd.daemon import Daemon, joined
from beatd.errors import (
    BeatdError,
    Conflict,
    DatabaseUnavailable,
    FieldError,
    InvalidInput,
    did_you_mean,
    nearest,
)
from beatd.logs import get_logger, quieten
from beatd.migrate import importing
from beatd.migrate.celery_beat import app as apps
from beatd.migrate.celery_beat.entries import KIND
from beatd.migrate.celery_beat.foreign import refuse_foreign
from beatd.migrate.importing import Import
from beatd.operations.context import Context
from beatd.redaction import redact
from beatd.store import schema
from beatd.store.engine import Database

log = get_logger()

#: What a worker loads to report what becomes of runs.
_PLUGIN = "beatd.worker.plugin"

#: Settings of the app that are of the scheduler's alone: to leave out what cannot be carried over, and what
#: goes before the names of new entries.
_PARTIAL, _PREFIX = "beatd_partial", "beatd_prefix"

#: How often entries are compared anew where another beat was quicker.
_TRIES = 5


class Scheduler(beat.Scheduler):  # type: ignore[misc]
    """One scheduler node. `lazy`: only to be shown, as beat does for its banner."""

    _daemon: Daemon | None = None
    _database: Database | None = None

    def setup_schedule(self) -> None:
        """Starts the node. Ends the process, with a line for each reason, where it cannot be started."""
        if threading.current_thread() is not threading.main_thread():
            _end(["beat inside a thread of a worker cannot stop in order: start celery beat by itself"])
        try:
            self._start()
        except BeatdError as error:
            self._close_database()
            _end(str(error).splitlines())

    def _start(self) -> None:
        quieten("info")
        self._database = database = Database.configured(self._loaded.settings.database, create=True)
        _set_up(database)
        self._daemon = joined(
            self._loaded,
            lambda: _load(self.app),
            database,
            find_app=self._with_broker,
            before=partial(self._synchronise, database),
        )
        if self._daemon is None:
            self._close_database()
            raise SystemExit(0)
        self._daemon.start()

    def tick(self, *_: Any, **__: Any) -> float:
        """What beat repeats. Raises SystemExit when a signal asks to stop, as beat's own handler does."""
        if self._daemon is None or not self._daemon.attend():
            raise SystemExit(0)
        return 0.0

    def close(self) -> None:
        """Publishes what is recorded, gives back the rest. Done again, nothing."""
        daemon, self._daemon = self._daemon, None
        try:
            if daemon is not None:
                daemon.drain()
        finally:
            self._close_database()

    @property
    def info(self) -> str:
        """For beat's banner. It comes before beat's log is set up: what is wrong is told when it starts."""
        try:
            url = self._loaded.settings.database.url
        except BeatdError:
            return "    . db -> not known"
        return f"    . db -> {redact(url)}"

    @cached_property
    def _loaded(self) -> Loaded:
        return _load(self.app)

    def _with_broker(self, settings: Settings) -> Any:
        use_configured_broker(self.app, settings)
        return self.app

    def _synchronise(self, database: Database) -> None:
        """Makes the entries of this app those of its code. Raises InvalidInput for what they cannot be."""
        context = Context.of(self._loaded.settings, database, "celery beat", "import")
        context = replace(
            context, check_encoding=lambda named, packed: encoding_findings(named, packed, lambda: self.app)
        )
        for tries_left in reversed(range(_TRIES)):
            done = self._compare(context)
            try:
                done.execute(context)
                break
            except Conflict:  # another beat of this app starts as well
                if not tries_left:
                    raise
        _tell(done, apps.source_of(self.app))

    def _compare(self, context: Context) -> Import:
        with context.database.read() as transaction:
            now = context.database.now(transaction)
        reading, source = apps.read(self.app, now), (KIND, apps.source_of(self.app))
        refuse_foreign(context, reading, [source])
        try:
            return importing.compare(
                context,
                reading,
                sources=[source],
                prune=True,
                prefix=str(self.app.conf.get(_PREFIX) or ""),
                partial=bool(self.app.conf.get(_PARTIAL)),
            )
        except InvalidInput as error:
            raise InvalidInput([*map(_as_settings_say, error.findings)]) from error

    def _close_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


def _as_settings_say(finding: FieldError) -> FieldError:
    """With the ways out that an app has: a setting where a command has an option."""
    example = finding.example
    if example is not None and example.startswith("--prefix"):
        example = f"app.conf.{_PREFIX} = 'proj-'"
    problem = f"{finding.problem} (app.conf.{_PARTIAL} = True leaves out what cannot be)"
    return FieldError(finding.field, finding.value, problem, example=example, where=finding.where)


def _load(app: Any) -> Loaded:
    """The configuration as everywhere; what it leaves open may stand in the app's, `database.url` as
    `beatd_database_url`. Raises InvalidInput."""
    loaded = config.load()
    options = {key: value for key, value in _from_app(app) if key not in loaded.origins}
    if "celery.reports" not in {*loaded.origins, *options} and not _reports(app):
        options["celery.reports"] = False
    try:
        return config.load(options=options)
    except InvalidInput as error:
        places = {key: f"app.conf.{name.lower()}" for name, key in config.VARIABLES.items() if key in options}
        raise InvalidInput(
            [finding.at(places.get(finding.field, finding.where or "")) for finding in error.findings]
        ) from error


def _from_app(app: Any) -> Iterable[tuple[str, Any]]:
    known = {name.lower(): key for name, key in config.VARIABLES.items()}
    for name in sorted(name for name in app.conf if isinstance(name, str) and name.startswith("beatd_")):
        if name in known:
            yield known[name], app.conf[name]
        elif name not in (_PARTIAL, _PREFIX):
            near = nearest(name, [*known, _PARTIAL, _PREFIX])
            problem = f"beatd has no such setting{did_you_mean(near)}"
            raise InvalidInput([FieldError(name, "…", problem)])


def _reports(app: Any) -> bool:
    """Whether workers of this app report: what they load, beat has loaded as well."""
    return _PLUGIN in sys.modules or _PLUGIN in {*(app.conf.include or ()), *(app.conf.imports or ())}


def _set_up(database: Database) -> None:
    """Makes the tables in a database that has none. One that is away is waited for later."""
    try:
        if schema.state(database).current is None:
            schema.upgrade(database)
    except DatabaseUnavailable as error:
        log.warning("database.unavailable", error=str(error))


def _tell(done: Import, source: str) -> None:
    counts: dict[str, int] = {}
    for row in done.rows:
        counts[row.action] = counts.get(row.action, 0) + 1
        if row.action == "refused":
            log.error("schedule.warning", entry=row.where, warning=row.problem)
        elif row.action in ("add", "change", "left"):
            for warning in row.warnings:
                log.warning("schedule.warning", entry=row.name, warning=warning)
    if counts.keys() - {"unchanged", "remove"}:
        for note in done.notes:
            log.warning("schedule.warning", entry=source, warning=note)
    log.info("schedule.synchronised", **counts)


def _end(lines: Iterable[str]) -> NoReturn:
    """By beat's own logger, which is heard at every level, and in its log file; on standard error where there
    is no log."""
    for line in lines:
        if _is_heard(beat.logger):
            beat.logger.log(logging.CRITICAL, "beatd: %s", line)
        else:
            sys.stderr.write(f"beatd: {line}\n")
    raise SystemExit(1)


def _is_heard(logger: logging.Logger | None) -> bool:
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
