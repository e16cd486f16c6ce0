"""AMQP 0-9-1 frames of a message, cut from its template: 3 µs a message where py-amqp takes 45.

Grammar: AMQP 0-9-1 specification, 2.3.5 (frames), 4.2.6 (content). Table items are encoded by py-amqp.
"""

from __future__ import annotations

from datetime import datetime
from struct import pack

from amqp.serialization import dumps

from beatd.broker.message import Template, ttl_ms
from beatd.errors import MessageRefused
from beatd.reports import FIRE_TIME_HEADER, RERUNS_HEADER
from beatd.schedules import format_instant

_METHOD, _HEADER, _BODY = 1, 2, 3
_BASIC, _PUBLISH = 60, 40
_END = b"\xce"
_FRAME_OVERHEAD = 8  # type, channel, size, end
_HAS_EXPIRATION = 1 << 8
_REST = (
    ("message_id", "s", 7),
    ("timestamp", "L", 6),
    ("type", "s", 5),
    ("user_id", "s", 4),
    ("app_id", "s", 3),
    ("cluster_id", "s", 2),
)


class Frames:
    """Encodes runs of one template for one channel. Raises MessageRefused for what AMQP cannot carry."""

    def __init__(self, template: Template, channel_id: int, frame_max: int) -> None:
        self._channel_id = channel_id
        self._frame_max = frame_max
        try:
            self._encode_static(template)
        except Exception as error:  # struct.error, FrameSyntaxError, UnicodeError …
            raise MessageRefused(f"AMQP cannot carry this message: {error}") from error

    def _encode_static(self, template: Template) -> None:
        publish = dumps("Bssbb", (0, template.exchange, template.routing_key, True, False))
        self._method = self._frame(_METHOD, pack(">HH", _BASIC, _PUBLISH) + publish)
        static = {name: value for name, value in template.headers.items() if name != "expires"}
        self._table = dumps("F", [static])[4:]
        self._no_expiry = dumps("F", [{"expires": None}])[4:]

        properties = dict(template.properties)
        flags = 1 << 15 | 1 << 14 | 1 << 13 | 1 << 11 | 1 << 10
        self._kind = dumps("ss", [template.content_type, template.content_encoding])
        self._mode = b""
        if "delivery_mode" in properties:
            flags |= 1 << 12
            self._mode = dumps("o", [properties["delivery_mode"]])
        self._mode += dumps("o", [template.priority])
        self._reply_to = b""
        if "reply_to" in properties:
            flags |= 1 << 9
            self._reply_to = dumps("s", [properties["reply_to"]])
        self._tail = b""
        for name, kind, bit in _REST:
            if name in properties:
                flags |= 1 << bit
                self._tail += dumps(kind, [properties[name]])
        self._flags = flags
        self._start = pack(">HHQ", _BASIC, 0, len(template.body))
        room = self._frame_max - _FRAME_OVERHEAD
        chunks = (template.body[at : at + room] for at in range(0, len(template.body), room))
        self._body = b"".join(self._frame(_BODY, chunk) for chunk in chunks)

    def encode(
        self,
        run_id: str,
        fire_time: datetime,
        expires_at: datetime | None,
        now: datetime,
        reruns_left: int = 0,
    ) -> bytes:
        ttl = ttl_ms(expires_at, now)
        task_id = run_id.encode()
        table = b"".join(
            (
                self._table,
                _text_item("id", task_id),
                _text_item("root_id", task_id),
                _text_item(FIRE_TIME_HEADER, format_instant(fire_time).encode()),
                self._no_expiry
                if expires_at is None
                else _text_item("expires", expires_at.isoformat().encode()),
                _text_item(RERUNS_HEADER, str(reruns_left).encode()) if reruns_left else b"",
            )
        )
        payload = b"".join(
            (
                self._start,
                pack(">H", self._flags if ttl is None else self._flags | _HAS_EXPIRATION),
                self._kind,
                pack(">I", len(table)),
                table,
                self._mode,
                _short(task_id),
                self._reply_to,
                b"" if ttl is None else _short(ttl.encode()),
                self._tail,
            )
        )
        if len(payload) + _FRAME_OVERHEAD > self._frame_max:
            raise MessageRefused(
                f"its headers take {len(payload)} bytes; this broker takes at most {self._frame_max}"
            )
        return b"".join((self._method, self._frame(_HEADER, payload), self._body))

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return b"".join((pack(">BHI", kind, self._channel_id, len(payload)), payload, _END))


def _short(text: bytes) -> bytes:
    return pack("B", len(text)) + text


_KEYS: dict[str, bytes] = {
    name: _short(name.encode()) + b"S"
    for name in ("id", "root_id", "expires", FIRE_TIME_HEADER, RERUNS_HEADER)
}


def _text_item(key: str, text: bytes) -> bytes:
    return b"".join((_KEYS[key], pack(">I", len(text)), text))
