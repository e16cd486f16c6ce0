"""RabbitMQ: one channel in confirm mode, a window of unconfirmed messages, a deadline."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amqp.exceptions import AMQPError, ChannelError, FrameError, FrameSyntaxError, ResourceLocked
from amqp.exceptions import NotFound as AmqpNotFound
from celery import Celery
from kombu.connection import Connection

from beatd.broker import app as broker_app
from beatd.broker.confirms import Confirms
from beatd.broker.frames import Frames
from beatd.broker.message import Template, Templates
from beatd.broker.publisher import Outcome, Outgoing, Status
from beatd.clock import monotonic
from beatd.config import BrokerSettings
from beatd.errors import BrokerUnavailable, MessageRefused
from beatd.faultpoints import reach

#: Bytes handed to the socket at a time, and bytes that may be unconfirmed (returns come back whole).
_CHUNK = 64 * 1024
_IN_FLIGHT = 8 * 1024 * 1024
#: How long one wait for the broker may be, so that heartbeats go out and a deadline is noticed.
_TICK = 1.0
_CLOSE_TIMEOUT = 2.0


#: A status and its reason.
_Problem = tuple[Status, str]


class _DeadlineError(Exception):
    """The deadline has come."""


@dataclass(slots=True)
class _Item:
    """A run on its way."""

    index: int
    outgoing: Outgoing
    template: Template
    resent: bool = False


class AmqpPublisher:
    """Publisher for RabbitMQ. A connection is made when it is needed and dropped when it errs."""

    def __init__(self, app: Celery, settings: BrokerSettings, *, reports_queue: str | None) -> None:
        self._app = app
        self._settings = settings
        self._templates = Templates(app, reports_queue)
        self._window = settings.window
        self._confirm_timeout = settings.confirm_timeout.total_seconds()
        self._send_until = math.inf
        self._session: _Session | None = None
        self._connected()

    @property
    def blocked(self) -> bool:
        return self._session is not None and self._session.blocked

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        deadline = monotonic() + self._confirm_timeout
        self._send_until = send_until
        session = self._connected()
        work = _Batch(batch)
        try:
            self._publish(session, work, now, deadline)
        except _DeadlineError:
            why = "the broker is blocked" if session.blocked else "no confirmation in time"
            work.give_up(why)
            if session.blocked:
                session.abandon()
            else:
                self._drop()
        except (AMQPError, OSError) as error:
            work.give_up(broker_app.without_secret(session.connection, error))
            self._drop()
        return work.outcomes()

    def _publish(self, session: _Session, work: _Batch, now: Callable[[], datetime], deadline: float) -> None:
        """1. Prepare and declare. 2. Pipeline. 3. Where the broker closes the channel, send what was
        unconfirmed on it one by one, so that only the culprit is refused; then go on with the rest."""
        waiting = self._prepared(session, work, deadline)
        while waiting:
            try:
                self._pipeline(session, work, waiting, now, deadline)
            except ChannelError:
                suspects = session.restart_confirms()
                self._singly(session, work, suspects, now, deadline)
            except (FrameError, FrameSyntaxError):
                suspects = session.unsettled()
                session = self._reconnected()
                self._singly(session, work, suspects, now, deadline)

    def _prepared(self, session: _Session, work: _Batch, deadline: float) -> deque[_Item]:
        waiting: deque[_Item] = deque()
        problems: dict[Hashable, _Problem | None] = {}
        for index, outgoing in enumerate(work.batch):
            try:
                template = self._templates.get(outgoing.version, outgoing.spec)
                if outgoing.version not in problems:
                    problems[outgoing.version] = session.declare(template, deadline)
            except MessageRefused as refusal:
                work.settle(index, "refused", str(refusal))
                continue
            if problem := problems[outgoing.version]:
                work.settle(index, *problem)
            else:
                waiting.append(_Item(index, outgoing, template))
        return waiting

    def _pipeline(
        self,
        session: _Session,
        work: _Batch,
        waiting: deque[_Item],
        now: Callable[[], datetime],
        deadline: float,
    ) -> None:
        """Empties `waiting`, and returns when everything sent is settled."""
        while waiting or session.in_flight:
            if session.in_flight <= self._window // 2:  # many to a write, not one for each answer
                while waiting and session.has_room(self._window):
                    self._fill(session, work, waiting, now())
                    late = session.flush(deadline, self._send_until)
                    if late:
                        self._give_up_unsent(work, [*late, *waiting])
                        waiting.clear()
            waiting.extend(session.settled(work, deadline))

    @staticmethod
    def _give_up_unsent(work: _Batch, unsent: list[_Item]) -> None:
        for item in unsent:
            work.settle(item.index, "unknown", "its lease ended before it was sent")

    def _fill(self, session: _Session, work: _Batch, waiting: deque[_Item], now: datetime) -> None:
        while waiting and session.has_room(self._window) and not session.chunk_full:
            self._take(session, work, waiting.popleft(), now)

    def _take(self, session: _Session, work: _Batch, item: _Item, now: datetime) -> None:
        """Into the session's buffer, unless it has expired or cannot be carried."""
        expires_at = item.outgoing.expires_at
        if expires_at is not None and expires_at <= now:
            work.settle(item.index, "expired")
            return
        try:
            session.append(item, now)
        except MessageRefused as refusal:
            work.settle(item.index, "refused", str(refusal))

    def _singly(
        self,
        session: _Session,
        work: _Batch,
        suspects: list[_Item],
        now: Callable[[], datetime],
        deadline: float,
    ) -> None:
        for item in suspects:
            try:
                self._pipeline(session, work, deque([item]), now, deadline)
            except ChannelError as error:
                session.restart_confirms()
                work.settle(item.index, "refused", _reply(error))
            except (FrameError, FrameSyntaxError) as error:
                work.settle(item.index, "refused", _reply(error))
                session = self._reconnected()

    def pump(self) -> None:
        if self._session is None:
            self._connected()
            return
        session = self._session
        try:
            session.listen()
        except (AMQPError, OSError) as error:
            problem = broker_app.unavailable(session.connection, error)
            self._drop()
            raise problem from error

    def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def _connected(self) -> _Session:
        if self._session is None:
            self._session = _Session(self._app, self._settings)
        return self._session

    def _reconnected(self) -> _Session:
        """In the middle of a batch, where a failure is a lost connection like any other."""
        self._drop()
        try:
            return self._connected()
        except BrokerUnavailable as error:
            raise OSError(str(error)) from error

    def _drop(self) -> None:
        """Without a farewell, which a dead connection would wait for."""
        if self._session is not None:
            session, self._session = self._session, None
            session.cut()


class _Batch:
    """The outcomes of one call, settled in any order; the first word about a run holds."""

    def __init__(self, batch: Sequence[Outgoing]) -> None:
        self.batch = batch
        self._outcomes: list[Outcome | None] = [None] * len(batch)

    def settle(self, index: int, status: Status, error: str | None = None) -> None:
        if self._outcomes[index] is None:
            self._outcomes[index] = Outcome(self.batch[index].run_id, status, error)

    def is_settled(self, index: int) -> bool:
        return self._outcomes[index] is not None

    def give_up(self, why: str) -> None:
        for index, outcome in enumerate(self._outcomes):
            if outcome is None:
                self.settle(index, "unknown", why)

    def outcomes(self) -> list[Outcome]:
        self.give_up("not sent")
        return [outcome for outcome in self._outcomes if outcome is not None]


class _Session:
    """One connection: a channel in confirm mode, and one for declarations, which an error may close."""

    def __init__(self, app: Celery, settings: BrokerSettings) -> None:
        self.block_reason: str | None = None
        self.connection = broker_app.connect(
            app,
            timeout=settings.connect_timeout.total_seconds(),
            heartbeat=settings.heartbeat.total_seconds(),
            options={
                "on_blocked": self._on_blocked,
                "on_unblocked": self._on_unblocked,
                "confirm_publish": False,  # py-amqp's own waits for each message
            },
        )
        try:
            self._open(self.connection)
        except (AMQPError, OSError) as error:
            problem = broker_app.unavailable(self.connection, error)
            self.cut()
            raise problem from error

    def _open(self, connection: Connection) -> None:
        self._amqp = connection.connection
        self._declaring = self._amqp.channel()
        self._declared: set[int] = set()
        self._exchanges: set[str] = {""}
        self._publishing = self._amqp.channel()
        self._publishing.events["basic_ack"].add(self._on_ack)
        self._publishing.events["basic_nack"].add(self._on_nack)
        self._publishing.events["basic_return"].add(self._on_return)
        self._frames: dict[int, tuple[Template, Frames]] = {}
        self._reset()

    def _reset(self) -> None:
        self._publishing.confirm_select()
        self._confirms = Confirms[_Item]()
        self._buffer = bytearray()
        self._buffered = 0

    def restart_confirms(self) -> list[_Item]:
        """After the broker closed the channel (py-amqp opened it anew): what was unconfirmed on it."""
        lost = self.unsettled()
        self._reset()
        return lost

    def abandon(self) -> None:
        """Forgets this batch, so that late answers mean nothing; the unsent part is never sent."""
        self._withdraw()
        self._confirms.forget()

    def unsettled(self) -> list[_Item]:
        return list(self._confirms.unsettled())

    # Declarations

    def declare(self, template: Template, deadline: float) -> _Problem | None:
        """What is wrong with the template's destination. Each entity is declared once a connection."""
        for entity in template.declare:
            key = hash(entity)
            if key in self._declared:
                continue
            self._in_time(deadline)
            try:
                entity(self._declaring).declare()
            except ChannelError as error:
                passing = isinstance(error, ResourceLocked)  # another connection has it for its own
                return "unknown" if passing else "refused", f"cannot declare {entity.name!r}: {_reply(error)}"
            self._declared.add(key)
        return self._missing_exchange(template, deadline)

    def _missing_exchange(self, template: Template, deadline: float) -> _Problem | None:
        """A publication to it would close the channel under all the others."""
        if template.exchange in self._exchanges:
            return None
        self._in_time(deadline)
        try:
            self._declaring.exchange_declare(template.exchange, "direct", passive=True)
        except AmqpNotFound:
            return "refused", f"no such exchange: {template.destination}"
        except ChannelError:
            return None  # not allowed to look: the publication itself will tell
        self._exchanges.add(template.exchange)
        return None

    def forget_declarations(self, template: Template) -> None:
        self._declared.difference_update(hash(entity) for entity in template.declare)
        self._exchanges.discard(template.exchange)

    # Sending

    @property
    def in_flight(self) -> int:
        return self._confirms.in_flight

    def has_room(self, window: int) -> bool:
        return len(self._confirms) < window and self._confirms.size < _IN_FLIGHT

    @property
    def chunk_full(self) -> bool:
        return len(self._buffer) >= _CHUNK

    def append(self, item: _Item, now: datetime) -> None:
        """Raises MessageRefused."""
        run = item.outgoing
        frames = self._frames_of(item.template)
        data = frames.encode(run.run_id, run.fire_time, run.expires_at, now, run.reruns_left)
        self._buffer += data
        self._buffered += 1
        self._confirms.add(item, run.run_id, len(data))

    def _frames_of(self, template: Template) -> Frames:
        known = self._frames.get(id(template))
        if known is None or known[0] is not template:
            if len(self._frames) > 4096:
                self._frames.clear()
            known = template, Frames(template, self._publishing.channel_id, self._amqp.frame_max)
            self._frames[id(template)] = known
        return known[1]

    def flush(self, deadline: float, send_until: float) -> list[_Item]:
        """Returns what it did not send because `send_until` has come.

        Raises _DeadlineError before it sends a byte after the deadline, or while the broker is blocked.
        """
        if not self._buffer:
            return []
        self.listen()
        while self.block_reason is not None:
            self._wait(deadline)
        # nothing comes between this look and the write: the process may have been paused anywhere before
        left = min(self._in_time(deadline), send_until - monotonic())
        if left <= 0:
            return self._withdraw()
        with self._amqp.transport.having_timeout(left):
            self._amqp.transport.write(self._buffer)
        self._amqp.bytes_sent += 1  # counts as a heartbeat
        self._buffer = bytearray()
        self._buffered = 0
        reach("after-send", ConnectionError)
        return []

    def _withdraw(self) -> list[_Item]:
        """What is in the buffer is not sent."""
        withdrawn = self._confirms.withdraw(self._buffered)
        self._buffer = bytearray()
        self._buffered = 0
        return withdrawn

    # Hearing

    def settled(self, work: _Batch, deadline: float) -> list[_Item]:
        """Waits for answers and settles them. Returns what should be sent once more: messages returned
        by a broker whose queue went away after this connection had declared it."""
        if not self._confirms.answered and len(self._confirms):
            self._wait(deadline)
        again: list[_Item] = []
        for sent in self._confirms.take():
            item = sent.item
            if not sent.confirmed:
                work.settle(item.index, "unknown", "the broker refused it for now (nack)")
            elif not sent.returned:
                work.settle(item.index, "confirmed")
            elif not item.resent and item.template.declare:
                item.resent = True
                self.forget_declarations(item.template)
                again.append(item)
            else:
                work.settle(item.index, "refused", f"no queue takes it: {item.template.destination}")
        for item in again:
            if problem := self.declare(item.template, deadline):
                work.settle(item.index, *problem)
        return [item for item in again if not work.is_settled(item.index)]

    def listen(self) -> None:
        """Takes what has arrived, without waiting, and sends a heartbeat if one is due."""
        with contextlib.suppress(TimeoutError):
            while True:
                self._amqp.drain_events(timeout=0)
        self._amqp.heartbeat_tick()

    def _wait(self, deadline: float) -> None:
        left = self._in_time(deadline)
        with contextlib.suppress(TimeoutError):
            self._amqp.drain_events(timeout=min(left, _TICK))
        self._amqp.heartbeat_tick()

    @staticmethod
    def _in_time(deadline: float) -> float:
        left = deadline - monotonic()
        if left <= 0:
            raise _DeadlineError
        return left

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._confirms.answer(tag, multiple=multiple, confirmed=True)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._confirms.answer(tag, multiple=multiple, confirmed=False)

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        self._confirms.returned(message.properties.get("correlation_id"))

    # State of the connection

    @property
    def blocked(self) -> bool:
        return self.block_reason is not None

    def _on_blocked(self, reason: str) -> None:
        self.block_reason = reason

    def _on_unblocked(self) -> None:
        self.block_reason = None

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._amqp.transport.sock.settimeout(_CLOSE_TIMEOUT)
            self._amqp.close()
        self.cut()

    def cut(self) -> None:
        with contextlib.suppress(Exception):
            self.connection.collect(socket_timeout=0.1)


def _reply(error: AMQPError) -> str:
    return str(error.reply_text or error)
