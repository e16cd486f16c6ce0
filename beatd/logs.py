"""What the program tells: an event name and steady fields a line, the same for our code and libraries'.

    log = get_logger()
    log.info("run.published", entry="hello", fire_time=fire_time, lateness_ms=12)

A logger works without `configure` too: inside somebody else's program its records go where theirs go.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO, Any, cast

import structlog

from beatd.redaction import redact
from beatd.systemd import writes_to_journal

#: Every event of the program and what it means. A test holds the code against this list.
EVENTS = {
    "library.message": "a library logged `message` (its logger is in `logger`)",
    # the process
    "config.loaded": "which configuration file and what else set the settings",
    "config.warning": "the configuration works, but something about it should be changed",
    "config.reloaded": "the configuration was read again; `changed` names the keys",
    "config.refused": "a reload found a wrong configuration; the old one stays in force",
    "daemon.starting": "the process began; what it will use",
    "daemon.ready": "the process does its work from now on",
    "daemon.waiting": "the process cannot start yet and tries again; `reason` says why",
    "daemon.stopping": "asked to stop: nothing new is begun, what was begun is finished",
    "daemon.stopped": "the process ends",
    "loop.recovered": "a loop works again after trouble",
    "loop.failed": "one pass of a loop failed; it goes on after a pause",
    "transaction.repeated": "the database rolled a transaction back in favour of others; it is done again",
    "fault.struck": "a fault point that was armed for a test was reached",
    "loop.stalled": "a loop has made no progress for so long that the watchdog is no longer fed",
    "schedule.synchronised": "inside celery beat: the entries are those of the app's code; its counts",
    "schedule.warning": "inside celery beat: what is odd about an entry that came or changed",
    # what it stands on
    "database.unavailable": "the database cannot be reached; tried again",
    "broker.unavailable": "the broker cannot be reached; tried again",
    "clock.jumped": "the database's time moved otherwise than time passed; looked at a second time",
    "clock.differs": "this machine's clock is off the database's by more than a second",
    "zones.changed": "the zone data is another version; `entries` are planned afresh",
    "zones.replanned": "this node has planned them; `moved` of them fire next at another time",
    # nodes
    "node.joined": "this node is in the table of nodes",
    "node.gone": "a node has not been heard of; its runs are taken over",
    "node.left": "this node took itself off the table of nodes",
    "nodes.mixed": "nodes of another mode, or on another broker, share the database: some fires run nowhere",
    # entries
    "entry.broken": "an entry cannot be understood and is set aside until it is edited; `error` says why",
    "entry.paused": "an entry failed too often in a row and was paused; `reason` says how often",
    "boot.fired": "the machine booted: runs of the boot entries are recorded",
    "fires.suppressed": "fires that did not become runs: count, first, last and the reason",
    # runs
    "dispatch.pass": "one pass of the dispatcher: its counts",
    "run.published": "the broker confirmed the run's message",
    "run.unconfirmed": "the broker did not confirm in time or refused for now; published again later",
    "run.refused": "the run's message can never be taken; the run failed",
    "run.started": "a worker began the run",
    "run.succeeded": "the run succeeded",
    "run.failed": "the run failed",
    "run.retrying": "the run failed and Celery will try it again",
    "run.revoked": "the run was revoked",
    "run.expired": "the run's expiry came before its start",
    "runs.cancelled": "workers were asked to end runs for the newer runs of their entries",
    "runs.not_ended": "workers cannot be asked to end runs; the newer ones start after ten seconds anyway",
    "run.dropped": "a second delivery of a run that is claimed or finished was dropped",
    "outbox.pass": "one pass of the outbox: its counts",
    "outbox.taken_over": "runs whose lease lapsed are published by this node",
    "outbox.taken_back": "runs recorded by a commit whose answer was lost are this node's to publish",
    "outbox.lease_lost": "this node was too slow: its unsent runs belong to others now",
    # reports
    "reports.following": "reports are read from this queue",
    "reports.stored": "a batch of reports is in the history: its counts",
    "reports.refused": "a message in the reports queue is no report",
    "reports.unsent": "a worker could not send a report and gave up",
    # workers
    "worker.ready": "a worker takes runs from its queues",
    "worker.stopping": "a worker finishes its runs and ends",
    "pool.freed": "a process of the pool died with a lock; the others go on now",
    "claim.failed": "a worker could not claim a run; its message is delivered again",
    # alerts
    "alert.sent": "a ping or an alert was delivered; of its address only the host is shown",
    "alert.failed": "a ping or an alert could not be delivered; given up",
    "alerts.dropped": "so many were not sent: there were too many, or they got too old",
    "pulse.sent": "the node's own ping was delivered",
    "pulse.failed": "the node's own ping could not be delivered",
    "pulse.withheld": "something is wrong with this node, and its ping is not sent; `reasons` say what",
    "pulse.resumed": "all is well again, and the node's ping is sent",
    # upkeep
    "history.trimmed": "old runs were deleted",
    "ends.forgotten": "entries wait for the end of a run that was not told: looked after now",
    "verify.done": "the fires of an hour were held against their runs: the counts",
    "verify.found": "a fire was missed or doubled, or a run is in a state that cannot be: `text` says what",
    "sweep.pass": "one pass of the deadline sweep: its counts",
}

_HANDLER_NAME = "beatd"
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# Below a warning these tell each statement and each housekeeping job.
_TALKATIVE = ("sqlalchemy", "apscheduler", "alembic", "amqp", "kombu", "httpx", "httpcore")


def configure(level: str = "info", format: str = "auto", stream: IO[str] | None = None) -> None:
    """Send the whole process's logging to `stream` (default: stderr). May be called again.

    `level`: the least that is told; libraries are held to warnings, at `debug` to info. `format`: `text`
    (one readable line an event), `json` (one object a line) or `auto` (text on a terminal and in
    systemd's journal, else JSON). In the journal a text line has a priority and no time of its own.
    """
    stream = sys.stderr if stream is None else stream
    journal = writes_to_journal(stream)
    as_text = format == "text" or (format == "auto" and (journal or stream.isatty()))
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter((_JournalLine() if journal else _TextLine()) if as_text else _JsonLine())
    root = logging.getLogger()
    for old in [h for h in root.handlers if h.get_name() == _HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO if level == "debug" else max(logging.WARNING, _number(level)))
    quieten(level)
    logging.getLogger("beatd").setLevel(_number(level))
    logging.captureWarnings(True)


def quieten(level: str) -> None:
    """Holds the libraries that tell every statement and every job to warnings, whoever has the logging."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, _number(level)))


def reconfigure(level: str, format: str) -> None:
    """As `configure`; nothing inside somebody else's program, whose logging is its own matter."""
    if any(handler.get_name() == _HANDLER_NAME for handler in logging.getLogger().handlers):
        configure(level, format)


def get_logger(**fields: Any) -> structlog.stdlib.BoundLogger:
    """A logger whose every line carries `fields`. Leaves structlog's global configuration alone."""
    logger = structlog.wrap_logger(
        logging.getLogger("beatd"),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _to_record],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return cast("structlog.stdlib.BoundLogger", logger.bind(**fields))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


class _Event:
    """The message of a log record of ours: plain values, passwords hidden; its text is the readable line."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = {name: _plain(value) for name, value in fields.items()}

    def __str__(self) -> str:
        return _line(self.fields)


def _to_record(_logger: Any, _method: str, fields: Any) -> tuple[tuple[_Event], dict[str, Any]]:
    return (_Event({"event": fields.pop("event"), **fields}),), {}


def _plain(value: Any) -> Any:
    """The value as JSON has it, times in UTC, passwords in its texts hidden."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {redact(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return redact(str(value))


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    text = value.astimezone(UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


# Lines


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = record.msg.fields if isinstance(record.msg, _Event) else self._foreign(record)
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return self.render(time.replace("+00:00", "Z"), record.levelname.lower(), fields)

    def _foreign(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = {"event": "library.message", "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return {name: _plain(value) for name, value in fields.items()}

    def render(self, time: str, level: str, fields: Mapping[str, Any]) -> str:
        raise NotImplementedError


class _JsonLine(_Line):
    def render(self, time: str, level: str, fields: Mapping[str, Any]) -> str:
        return json.dumps({"timestamp": time, "level": level, **fields})


class _TextLine(_Line):
    def render(self, time: str, level: str, fields: Mapping[str, Any]) -> str:
        return f"{time} {level:<7} {_line(fields)}"


class _JournalLine(_Line):
    def render(self, time: str, level: str, fields: Mapping[str, Any]) -> str:
        return f"<{_PRIORITIES.get(level, 6)}>{_line(fields)}"


def _line(fields: Mapping[str, Any]) -> str:
    pairs = [f"{name}={_word(value)}" for name, value in fields.items() if name != "event"]
    return " ".join([_word(fields["event"]), *pairs])


def _word(value: Any) -> str:
    """The value as one word: quoted where it is not, control characters escaped (no line is two)."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped) + '"'
