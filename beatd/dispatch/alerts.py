"""Tells the outside: an entry's pings when its runs succeed, alerts when they are late, missing or failed.

    those who know of an event -> `tell` -> [events] -> a thread that looks up whom it concerns
        -> [messages of some entries] x 4, [messages to alerts.url] -> a thread each that sends

Nobody waits for this: every queue is bounded, what finds no room or gets too old is dropped and counted.
The messages of one entry go through one thread, so that they arrive in order; an address that does not
answer holds up a share of the entries at the most, and never what goes to `alerts.url`.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from beatd import clock, weburls
from beatd.config import AlertSettings
from beatd.dispatch.events import Event
from beatd.dispatch.loop import Loop
from beatd.errors import DatabaseUnavailable
from beatd.logs import get_logger
from beatd.store import hooks
from beatd.store.engine import Database
from beatd.store.hooks import Hooks
from beatd.worker.http import RequestError, send

log = get_logger()

EVENTS = 10_000
MESSAGES = 500
SENDERS = 4

#: Seconds that one request may take, and before the second and the third try.
TIMEOUT = 10.0
_PAUSES = (1.0, 3.0)

#: Seconds after which a message is not worth sending any more.
OUTDATED = 300.0

#: A failure to send is told of in the node's status for so long.
_FRESH = 600.0

_AT_ONCE = 500
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Message:
    """A request to send. `body` None is a ping: GET. `made` is on the monotonic clock."""

    url: str
    body: str | None
    about: str
    made: float


class Alerts:
    """One node's. `tell` may be called by any thread and never waits."""

    def __init__(self, database: Database, node_name: str, settings: Callable[[], AlertSettings]) -> None:
        self._database = database
        self._node_name = node_name
        self._settings = settings
        self._events: queue.Queue[tuple[datetime, Event]] = queue.Queue(EVENTS)
        self._senders = [_Sender(f"alerts-{number}") for number in range(SENDERS + 1)]
        self._sorting = Loop("alerts", self.run_once)
        self._dropped = 0
        self._dropped_told = 0

    def start(self) -> None:
        for loop in (self._sorting, *(sender.loop for sender in self._senders)):
            loop.start()

    def stop(self, timeout: float) -> None:
        """Sends for so many seconds what is waiting; the rest is dropped."""
        deadline = clock.monotonic() + timeout
        while not self.idle and clock.monotonic() < deadline:
            self._senders[0].stopping.wait(0.05)
        for sender in self._senders:
            sender.stopping.set()
        loops = [self._sorting, *(sender.loop for sender in self._senders)]
        for loop in loops:
            loop.stop()
        if left := self._events.unfinished_tasks + sum(sender.unsent for sender in self._senders):
            log.warning("alerts.dropped", count=left, why="the node ends")

    @property
    def idle(self) -> bool:
        return not self._events.unfinished_tasks and not any(sender.unsent for sender in self._senders)

    def tell(self, events: Sequence[Event]) -> None:
        at = clock.wall()
        for event in events:
            try:
                self._events.put_nowait((at, event))
            except queue.Full:
                self._dropped += 1

    def statistics(self) -> dict[str, Any]:
        """Counts since the start; `trouble` is the newest failure of the last ten minutes, if any."""
        troubles = [sender.trouble for sender in self._senders if sender.trouble is not None]
        fresh = [text for at, text in sorted(troubles) if clock.monotonic() - at < _FRESH]
        counts = {
            "sent": sum(sender.sent for sender in self._senders),
            "failed": sum(sender.failed for sender in self._senders),
            "dropped": self._dropped + sum(sender.dropped for sender in self._senders),
        }
        return {**counts, "trouble": fresh[-1]} if fresh else counts

    def run_once(self, timeout: float = 1.0) -> int:
        """Hands events on to those who send, or waits up to `timeout` seconds for one; returns how many it
        took. Without the database they are kept.
        """
        batch = self._next(timeout)
        if batch:
            try:
                self._hand_on(batch)
            except DatabaseUnavailable:
                for item in batch:
                    self._put_back(item)
                raise
            finally:
                for _ in batch:
                    self._events.task_done()
        self._tell_dropped()
        return len(batch)

    def _next(self, timeout: float) -> list[tuple[datetime, Event]]:
        batch = []
        try:
            batch.append(self._events.get(timeout=timeout))
            while len(batch) < _AT_ONCE:
                batch.append(self._events.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _put_back(self, item: tuple[datetime, Event]) -> None:
        try:
            self._events.put_nowait(item)
        except queue.Full:
            self._dropped += 1

    def _hand_on(self, batch: Sequence[tuple[datetime, Event]]) -> None:
        everywhere = self._settings().url
        with self._database.read() as connection:
            ids = {event.entry_id for _, event in batch}
            found = hooks.of_entries(connection, ids, all_named=bool(everywhere))
        for at, event in batch:
            told = found.get(event.entry_id)
            if told is None:
                continue
            mine = self._senders[event.entry_id % SENDERS]
            if event.kind == "run.succeeded":
                if told.ping_url:
                    self._offer(mine, told.ping_url, None, f"ping of {told.entry}")
                continue
            body = document(event, told, at, self._node_name)
            if told.alert_url:
                self._offer(mine, told.alert_url, body, f"{event.kind} of {told.entry}")
            if everywhere:
                self._offer(self._senders[-1], everywhere, body, f"{event.kind} of {told.entry}")

    def _offer(self, sender: _Sender, url: str, body: str | None, about: str) -> None:
        sender.offer(Message(url, body, about, clock.monotonic()))

    def _tell_dropped(self) -> None:
        dropped = self._dropped + sum(sender.dropped for sender in self._senders)
        if dropped > self._dropped_told:
            log.warning("alerts.dropped", count=dropped - self._dropped_told, why="too many, or too old")
            self._dropped_told = dropped


def document(event: Event, told: Hooks, at: datetime, node_name: str) -> str:
    """What is posted: JSON, instants in ISO 8601."""
    return json.dumps(
        {
            "event": event.kind,
            "entry": told.entry,
            "fire_time": event.fire_time.isoformat(),
            "run_id": event.run_id,
            "count": event.count,
            "node": node_name,
            "at": at.isoformat(timespec="milliseconds"),
            "text": f"{told.entry}, {event.fire_time:%Y-%m-%d %H:%M:%S} UTC: {event.text}",
        },
        ensure_ascii=False,
    )


class _Sender:
    """A thread that sends one message after the other."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.Queue[Message] = queue.Queue(MESSAGES)
        self.loop = Loop(name, self._run_once)
        self.stopping = threading.Event()
        self.sent = self.failed = self.dropped = 0
        self.trouble: tuple[float, str] | None = None

    @property
    def unsent(self) -> int:
        return self._waiting.unfinished_tasks

    def offer(self, message: Message) -> None:
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def _run_once(self) -> None:
        try:
            message = self._waiting.get(timeout=1.0)
        except queue.Empty:
            return
        try:
            self._deliver(message)
        finally:
            self._waiting.task_done()

    def _deliver(self, message: Message) -> None:
        if clock.monotonic() - message.made > OUTDATED:
            self.dropped += 1
            return
        error = deliver(message.url, message.body, self.stopping)
        if error is None:
            self.sent += 1
            log.debug("alert.sent", about=message.about, to=weburls.shown(message.url))
            return
        self.failed += 1
        shown = weburls.shown(message.url)
        self.trouble = clock.monotonic(), f"{message.about} to {shown}: {error}"
        log.warning("alert.failed", about=message.about, to=shown, error=error)


def deliver(url: str, body: str | None, stopping: threading.Event) -> str | None:
    """Tries three times at the most, not again once `stopping`; None, or why it failed, without the URL."""
    for pause in (*_PAUSES, None):
        error, worth = _attempt(url, body)
        if error is None:
            return None
        if not worth or pause is None or stopping.wait(pause):
            return error
    return error


def _attempt(url: str, body: str | None) -> tuple[str | None, bool]:
    """What was wrong, and whether another try may help."""
    headers = {"Content-Type": "application/json; charset=utf-8"} if body is not None else {}
    method = "GET" if body is None else "POST"
    try:
        weburls.check(url)
        answer = send(url, method=method, headers=headers, body=body, timeout=TIMEOUT, output_limit=0)
    except ValueError as error:
        return f"is not {error}", False
    except RequestError as error:
        return error.why, True
    if 200 <= answer.status < 300:
        return None, False
    return f"answered {answer.status}", answer.status in _RETRIED
