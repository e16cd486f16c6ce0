"""The broker that needs no server: a kombu transport over a folder (docs/decisions/0001).

    queues/QUEUE/NAME           a message that waits; names sort by priority, then age
    taken/OWNER/QUEUE!NAME      one that a consumer has not acknowledged yet
    taken/OWNER/.lock           flocked while the consumer lives; when it is free, what the consumer had
                                taken goes back to its queues
    exchanges/EXCHANGE          type and bindings, as JSON

Every change is one rename, so that nobody sees half of it. Made for one machine.
URL: `beatd:///path/of/the/folder`, known to kombu once this module is imported.
"""

# mypy: disable-error-code="no-untyped-call"
# (kombu's virtual transport has no annotations)

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

from beatd.clock import monotonic, wall

SCHEME = "beatd"
TRANSPORT_ALIASES[SCHEME] = "beatd.broker.embedded:Transport"

#: Seconds between two looks at a queue: while nothing comes, and for a second after something came.
IDLE_POLL = 0.05
BUSY_POLL = 0.005
_BUSY_FOR = 1.0

#: Seconds between two looks for consumers that died, and for old news in queues that end with theirs.
_RECOVERY = 2.0
_SWEEP = 60.0
_NEWS_LIFETIME = 3600.0

#: Seconds that one wait for messages lasts at the most, where it ends by itself at all.
_LONGEST_WAIT = 0.2

_LISTED = 200
_LOCK = ".lock"
_ENDS_WITH_CONSUMER = ".auto"


class Channel(virtual.Channel):
    """Takes messages by renaming them to a folder of its own, and removes them at their acknowledgement."""

    supports_fanout = True

    def __init__(self, connection: Any, **options: Any) -> None:
        super().__init__(connection, **options)
        self._folder: Path = connection.folder
        self._listed: dict[str, deque[str]] = {}
        self._lease: _Lease | None = None
        self._held: dict[str, Path] = {}
        self._without_ack: set[str] = set()
        self._ours: set[str] = set()
        self._recovered_at = monotonic()
        self._swept_at = monotonic()

    # Queues

    def _put(self, queue: str, message: dict[str, Any], **_options: Any) -> None:
        folder = self._queue_folder(queue)
        urgency = self._get_message_priority(message, reverse=True)
        name = f"{urgency}{int(wall().timestamp() * 1_000_000):017d}-{uuid4().hex}"
        hidden = folder / f".{name}"
        data = dumps(message).encode()
        try:
            _write(hidden, data)
        except FileNotFoundError:
            _make_folder(folder)
            _write(hidden, data)
        hidden.rename(folder / name)

    def _put_fanout(self, exchange: str, payload: dict[str, Any], routing_key: str, **_options: Any) -> None:
        for _, _, queue in self.get_table(exchange):
            self._put(queue, payload)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        names = self._listed.get(queue)
        if not names:
            names = self._listed[queue] = deque(_messages(self._queue_folder(queue))[:_LISTED])
        while names:
            payload = self._take(queue, names.popleft())
            if payload is not None:
                return payload
        self._look_after_the_dead()
        raise Empty

    def _take(self, queue: str, name: str) -> dict[str, Any] | None:
        """None where another consumer was faster, or where the file is no message."""
        if self._lease is None:
            self._lease = _Lease(self._folder / "taken")
        folder = self._queue_folder(queue)
        taken = self._lease.folder / f"{folder.name}!{name}"
        try:
            (folder / name).rename(taken)
        except FileNotFoundError:
            return None
        try:
            payload: dict[str, Any] = loads(taken.read_bytes())
            tag = payload["properties"]["delivery_tag"]
        except (ValueError, TypeError, KeyError):
            taken.unlink()
            return None
        if queue in self._without_ack:
            taken.unlink()
        else:
            self._held[tag] = taken
        return payload

    def _size(self, queue: str) -> int:
        return len(_messages(self._queue_folder(queue)))

    def _purge(self, queue: str) -> int:
        return sum(_remove(self._queue_folder(queue) / name) for name in _messages(self._queue_folder(queue)))

    def _new_queue(self, queue: str, auto_delete: bool = False, **_options: Any) -> None:
        folder = self._queue_folder(queue)
        _make_folder(folder)
        if auto_delete:
            (folder / _ENDS_WITH_CONSUMER).touch()

    def _has_queue(self, queue: str, **_options: Any) -> bool:
        return self._queue_folder(queue).is_dir()

    def queue_delete(
        self, queue: str, if_unused: bool = False, if_empty: bool = False, **options: Any
    ) -> None:
        if if_empty and self._size(queue):
            return
        super().queue_delete(queue, **options)
        shutil.rmtree(self._queue_folder(queue), ignore_errors=True)

    def _queue_folder(self, queue: str) -> Path:
        return self._folder / "queues" / _file_name(queue)

    # Consuming

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **options: Any
    ) -> None:
        if no_ack:
            self._without_ack.add(queue)
        if (self._queue_folder(queue) / _ENDS_WITH_CONSUMER).exists():
            self._ours.add(queue)
        super().basic_consume(queue, no_ack, callback, consumer_tag, **options)

    def basic_get(self, queue: str, no_ack: bool = False, **options: Any) -> Any:
        message = super().basic_get(queue, no_ack=no_ack, **options)
        if message is not None and no_ack:
            self._done(message.delivery_tag)
        return message

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple)
        self._done(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().basic_reject(delivery_tag, requeue)
        self._done(delivery_tag)

    def _restore(self, message: Any) -> None:
        """Back to the queue it came from."""
        taken = self._held.pop(message.delivery_tag, None)
        if taken is not None:
            self._give_back(taken)

    def _done(self, delivery_tag: str) -> None:
        taken = self._held.pop(delivery_tag, None)
        if taken is not None:
            _remove(taken)

    def _give_back(self, taken: Path) -> None:
        queue, _, name = taken.name.partition("!")
        with contextlib.suppress(FileNotFoundError):  # a queue that ended with its consumer
            taken.rename(self._folder / "queues" / queue / name)

    def close(self) -> None:
        if self.closed:
            return
        for queue in self._ours:
            self.queue_delete(queue)
        super().close()
        if self._lease is not None:
            self._lease.close()

    # Consumers that died

    def _look_after_the_dead(self) -> None:
        if monotonic() - self._recovered_at >= _RECOVERY:
            self._recovered_at = monotonic()
            self._recover()
        if monotonic() - self._swept_at >= _SWEEP:
            self._swept_at = monotonic()
            self._sweep()

    def _recover(self) -> None:
        own = self._lease.folder if self._lease is not None else None
        for folder in _folders(self._folder / "taken"):
            if folder == own or folder.name.startswith("."):
                continue
            with _locked(folder / _LOCK) as dead:
                if dead:
                    for name in _messages(folder):
                        self._give_back(folder / name)
                    shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Broadcasts that a dead consumer will never read."""
        before = wall().timestamp() - _NEWS_LIFETIME
        for folder in _folders(self._folder / "queues"):
            if (folder / _ENDS_WITH_CONSUMER).exists():
                for name in _messages(folder):
                    with contextlib.suppress(FileNotFoundError):
                        if (folder / name).stat().st_mtime < before:
                            (folder / name).unlink()

    # Exchanges

    def typeof(self, exchange: str, default: str = "direct") -> Any:
        if exchange in self.state.exchanges:
            return super().typeof(exchange, default)
        return self.exchange_types[self._exchange(exchange).get("type", default)]

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        return [(key, pattern, queue) for key, pattern, queue in self._exchange(exchange).get("bindings", ())]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        binding = [routing_key or "", pattern or "", queue or ""]

        def add(bindings: list[list[str]]) -> list[list[str]]:
            return bindings if binding in bindings else [*bindings, binding]

        self._rebind(exchange, add)

    def _delete(
        self, queue: str, exchange: str = "", routing_key: str = "", pattern: str = "", *_: Any, **__: Any
    ) -> None:
        binding = [routing_key or "", pattern or "", queue or ""]
        self._rebind(exchange, lambda bindings: [known for known in bindings if known != binding])

    def _exchange(self, exchange: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = loads((self._folder / "exchanges" / _file_name(exchange)).read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def _rebind(self, exchange: str, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
        folder = self._folder / "exchanges"
        _make_folder(folder)
        with _locked(folder / _LOCK, wait=True):
            known = self._exchange(exchange)
            bindings = change(known.get("bindings", []))
            content = {"type": self.typeof(exchange).type, "bindings": bindings}
            if content == known:
                return
            hidden = folder / f".{uuid4().hex}"
            _write(hidden, dumps(content).encode())
            hidden.rename(folder / _file_name(exchange))


class Transport(virtual.Transport):
    """Polls; a second of activity makes it poll faster."""

    Channel = Channel
    can_parse_url = True
    default_port: int | None = 0  # type: ignore[assignment]
    driver_type = "filesystem"
    driver_name = SCHEME
    connection_errors: tuple[Any, ...] = (*virtual.Transport.connection_errors, OSError)
    recoverable_connection_errors = connection_errors

    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def __init__(self, client: Any, **options: Any) -> None:
        self._idle_poll = IDLE_POLL
        self._delivered_at = monotonic()
        super().__init__(client, **options)
        self.folder = Path(unquote(urlsplit(client.hostname).path))

    @property
    def polling_interval(self) -> float:
        return BUSY_POLL if monotonic() - self._delivered_at < _BUSY_FOR else self._idle_poll

    @polling_interval.setter
    def polling_interval(self, seconds: float) -> None:
        self._idle_poll = seconds

    def establish_connection(self) -> Any:
        for folder in (self.folder, self.folder / "queues", self.folder / "taken"):
            _make_folder(folder)
        return super().establish_connection()

    def drain_events(self, connection: Any, timeout: float | None = None, **options: Any) -> Any:
        """Celery looks whether it shall stop between two waits: they must not be long."""
        longest = timeout if timeout is None else min(timeout, _LONGEST_WAIT)
        return super().drain_events(connection, timeout=longest, **options)

    def _deliver(self, message: Any, queue: str) -> None:
        self._delivered_at = monotonic()
        super()._deliver(message, queue)

    def driver_version(self) -> str:
        return "1"

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        return uri


class _Lease:
    """A folder for what one consumer took, locked while its process or a child of it lives."""

    def __init__(self, parent: Path) -> None:
        name = uuid4().hex
        hidden = parent / f".{name}"
        hidden.mkdir(mode=0o700, parents=True)
        self._lock = os.open(hidden / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = hidden.rename(parent / name)

    def close(self) -> None:
        """What is still in it, another consumer will give back."""
        if not _messages(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether the lock was had; without `wait` it is only tried. The file is made where one waits for it."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if wait else 0), 0o600)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def _file_name(name: str) -> str:
    """Of a queue or an exchange: never hidden, never outside the folder, without the mark `!`."""
    return "=" + quote(name, safe="@:,+ ")


def _write(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)


def _remove(path: Path) -> int:
    try:
        path.unlink()
    except FileNotFoundError:
        return 0
    return 1


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _messages(folder: Path) -> list[str]:
    """Names of the messages in it, in their order."""
    try:
        with os.scandir(folder) as found:
            return sorted(file.name for file in found if not file.name.startswith("."))
    except FileNotFoundError:
        return []


def _folders(parent: Path) -> list[Path]:
    return list(parent.iterdir())
