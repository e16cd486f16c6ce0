"""Redis: kombu's own envelope and keys, one pipeline for many messages; each reply is checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from celery import Celery
from kombu.utils.json import dumps
from redis.exceptions import ResponseError

from beatd.broker import app as broker_app
from beatd.broker.generic import Destinations, GenericPublisher, envelope, queues_of, send
from beatd.broker.message import Template
from beatd.broker.publisher import Outcome, Outgoing
from beatd.clock import monotonic
from beatd.config import BrokerSettings
from beatd.errors import MessageRefused
from beatd.faultpoints import reach


class RedisPublisher(GenericPublisher):
    """Publisher for Redis. Its guarantee is that of the server's persistence settings."""

    def __init__(self, app: Celery, settings: BrokerSettings, *, reports_queue: str | None) -> None:
        self._window = settings.window
        super().__init__(app, settings, reports_queue=reports_queue)

    def _options(self) -> dict[str, Any]:
        return {"retry_on_timeout": False}  # a pipeline sent twice doubles its messages

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        deadline = monotonic() + self._confirm_timeout
        self._connected()
        outcomes: dict[int, Outcome] = {}
        for at in range(0, len(batch), self._window):
            part = list(enumerate(batch))[at : at + self._window]
            if self._connection is None or monotonic() >= min(deadline, send_until):
                break
            self._publish_part(part, outcomes, now, min(deadline, send_until))
        return [
            outcomes.get(index) or Outcome(run.run_id, "unknown", "not sent")
            for index, run in enumerate(batch)
        ]

    def _publish_part(
        self,
        part: Sequence[tuple[int, Outgoing]],
        outcomes: dict[int, Outcome],
        now: Callable[[], datetime],
        deadline: float,
    ) -> None:
        """1. Routes: as kombu does, from the bindings that Redis holds. 2. One pipeline. 3. Its replies."""
        try:
            routed = self._routed(part, outcomes, now())
            if routed:
                self._push(routed, outcomes, now(), deadline)
        except Exception as error:  # the connection, for a command's own error is among the replies
            why = broker_app.without_secret(self._connection, error)
            for index, run in part:
                outcomes.setdefault(index, Outcome(run.run_id, "unknown", why))
            self.close()

    def _routed(
        self, part: Sequence[tuple[int, Outgoing]], outcomes: dict[int, Outcome], now: datetime
    ) -> list[tuple[int, Outgoing, Template, list[str]]]:
        destinations = Destinations(self._channel)
        queues: dict[tuple[str, str], list[str]] = {}
        routed = []
        for index, run in part:
            if run.expires_at is not None and run.expires_at <= now:
                outcomes[index] = Outcome(run.run_id, "expired")
                continue
            try:
                template = self._templates.get(run.version, run.spec)
            except MessageRefused as refusal:
                outcomes[index] = Outcome(run.run_id, "refused", str(refusal))
                continue
            key = (template.exchange, template.routing_key)
            try:
                if problem := destinations.problem(template):
                    outcomes[index] = Outcome(run.run_id, "refused", problem)
                    continue
                if template.exchange and self._channel.typeof(template.exchange).type == "fanout":
                    send(self._channel, template, run, now)  # Redis has channels for these, not lists
                    outcomes[index] = Outcome(run.run_id, "confirmed")
                    continue
                if key not in queues:
                    queues[key] = queues_of(self._channel, template)
            except ResponseError as error:
                outcomes[index] = _outcome(run.run_id, str(error))
                continue
            routed.append((index, run, template, queues[key]))
        return routed

    def _push(
        self,
        routed: Sequence[tuple[int, Outgoing, Template, list[str]]],
        outcomes: dict[int, Outcome],
        now: datetime,
        deadline: float,
    ) -> None:
        channel = self._channel
        owners: list[int] = []
        with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for index, run, template, queues in routed:
                message = envelope(channel, template, run, now)
                channel._inplace_augment_message(message, template.exchange, template.routing_key)
                priority = channel._get_message_priority(message, reverse=False)
                payload = dumps(message)
                for queue in queues:
                    pipe.lpush(channel._q_for_pri(queue, priority), payload)
                    owners.append(index)
                    owners.extend(index for _ in self._refresh_expiry(pipe, queue))
            if monotonic() >= deadline:
                return
            replies = pipe.execute(raise_on_error=False)
        reach("after-send", ConnectionError)
        problems = {
            index: str(reply)
            for index, reply in zip(owners, replies, strict=True)
            if isinstance(reply, Exception)
        }
        for index, run, _, _ in routed:
            outcomes[index] = _outcome(run.run_id, problems.get(index))

    def _refresh_expiry(self, pipe: Any, queue: str) -> Sequence[int]:
        """A queue that was declared to expire lives on with each message, as kombu has it."""
        channel = self._channel
        lifetime = getattr(channel, "_expires", {}).get(queue)
        if not lifetime:
            return ()
        for priority in channel.priority_steps:
            pipe.pexpire(channel._q_for_pri(queue, priority), lifetime)
        return channel.priority_steps  # type: ignore[no-any-return]


def _outcome(run_id: str, problem: str | None) -> Outcome:
    if problem is None:
        return Outcome(run_id, "confirmed")
    if "WRONGTYPE" in problem:
        return Outcome(run_id, "refused", f"the queue's key holds something else: {problem}")
    return Outcome(run_id, "unknown", problem)  # OOM, READONLY, LOADING, MISCONF: it may pass
