"""A TCP proxy that makes a connection suffer: one small process holds all the proxies of a test.

It is a process of its own so that its relaying costs the test nothing. The test's side is `Proxies` (one
process) and `Proxy` (one listening port in it); they talk in lines of JSON over the child's standard input
and output. This file is both sides: the child runs it as a script, on nothing but the standard library.

What a connection can suffer (`Proxy.set`):

    ok          bytes pass, after `latency` seconds and up to `jitter` more, never out of order
    blackhole   nothing passes in either direction, not even an end; new connections are taken and hear
                nothing. What was sent meanwhile arrives when it is over, as it does when a network comes back
    halfopen    requests arrive, answers do not, until it is over
    refuse      nobody listens
    reset       every new connection is reset once it is there

`Proxy.reset` resets what is connected; `Proxy.cut` does so to the next connection that has sent n bytes more;
`Proxy.lose` to the next one that gets a certain answer, or that asks a certain thing, before or after the
server has done it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

MODES = ("ok", "blackhole", "halfopen", "refuse", "reset")

#: What to look for on the wire: (in what the client sends, in what the server answers), one of them empty.
POSTGRES_COMMITTED = (b"", b"C\x00\x00\x00\x0bCOMMIT\x00")
POSTGRES_COMMIT = (b"COMMIT\x00", b"")
MARIADB_COMMIT = (b"\x03COMMIT", b"")
#: basic.ack: a frame of 13 bytes, class 60 and method 80, on whatever channel.
AMQP_CONFIRM = (b"", b"\x00\x00\x00\x0d\x00\x3c\x00\x50")
REDIS_PUSH = (b"LPUSH", b"")


class Proxies:
    """The process that relays. Threads may share it. Ends with `close`, or when the test's process does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(self, port: int, host: str = "127.0.0.1") -> Proxy:
        """A new loopback port whose connections go to `host` and `port`."""
        return Proxy(self, self.ask("open", host=host, port=port))

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait(timeout=10)


class Proxy:
    """One port of the proxy; all that goes through it suffers the same."""

    def __init__(self, proxies: Proxies, port: int) -> None:
        self._proxies = proxies
        self.port = port

    def set(self, mode: str = "ok", *, latency: float = 0.0, jitter: float = 0.0) -> None:
        """From now on; without arguments all is well again, what was held back arrives, no loss is armed."""
        self._ask("set", mode=mode, latency=latency, jitter=jitter)

    def reset(self) -> int:
        """Reset all connections, on both sides; how many there were."""
        return int(self._ask("reset"))

    def cut(self, after: int) -> None:
        """The next connection that has sent `after` bytes more is reset on both sides in the middle of it."""
        self._ask("cut", after=after)

    def lose(self, what: tuple[bytes, bytes], *, before: bool = False, times: int = 1) -> None:
        """The next answer of this kind is swallowed, and its connection reset: the client cannot know.

        `before`: the request itself does not arrive, so that nothing has happened. `times` 0: no more.
        """
        request, answer = what
        self._ask("lose", request=request.hex(), answer=answer.hex(), before=before, times=times)

    def seen(self) -> dict[str, int]:
        """`open` connections, `opened` so far, `bytes` relayed, answers `lost`, connections `cut`."""
        return dict(self._ask("seen"))

    def _ask(self, do: str, **arguments: Any) -> Any:
        return self._proxies.ask(do, proxy=self.port, **arguments)


# The process's side


class Listener:
    """One port, its state, and the connections through it."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.mode = "ok"
        self.latency = self.jitter = 0.0
        self.cut_after: int | None = None
        self.losses: list[dict[str, Any]] = []
        self.links: set[Link] = set()
        self.counts = {"opened": 0, "bytes": 0, "lost": 0, "cut": 0}
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Link(self).client, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, mode: str, latency: float, jitter: float) -> None:
        if mode not in MODES:
            raise ValueError(f"no such mode: {mode}")
        self.mode, self.latency, self.jitter = mode, latency, jitter
        self.cut_after, self.losses = None, []
        if mode == "refuse":
            if self._server is not None:
                self._server.close()
                self._server = None
        else:
            await self.listen()
        for link in list(self.links):
            link.apply()

    def reset(self) -> int:
        links = list(self.links)
        for link in links:
            link.reset()
        return len(links)


class Link:
    """A connection of a client, and the one that it has to the server by way of us."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.client = End(self)
        self.server = End(self)
        self.client.peer, self.server.peer = self.server, self.client
        self.sent = 0
        self.losing = False  # the request that is to have no answer has passed

    def accepted(self) -> None:
        listener = self.listener
        listener.counts["opened"] += 1
        listener.links.add(self)
        if listener.mode == "reset":
            self.reset()
            return
        self.client.hold(True)
        if listener.mode != "blackhole":
            self._connect()

    def _connect(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._connected())

    async def _connected(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self.server, *self.listener.target)
        except OSError:
            self.reset()
        else:
            self.apply()

    def apply(self) -> None:
        """What the mode means for the two directions."""
        mode = self.listener.mode
        if self.server.transport is None and mode != "blackhole" and not hasattr(self, "_task"):
            self._connect()
            return
        self.client.hold(mode == "blackhole" or self.server.transport is None)
        self.server.hold(mode in ("blackhole", "halfopen"))

    def passes(self, end: End, data: bytes) -> bytes | None:
        """What is to be handed on of what came from this end; None: the connection is reset."""
        listener = self.listener
        listener.counts["bytes"] += len(data)
        if end is self.client:
            if listener.cut_after is not None:
                if self.sent + len(data) >= listener.cut_after:
                    self.server.write_now(data[: listener.cut_after - self.sent])
                    listener.cut_after = None
                    listener.counts["cut"] += 1
                    return None
                self.sent += len(data)
            for loss in listener.losses:
                if loss["request"] and loss["request"] in data:
                    self._use(loss)
                    if loss["before"]:
                        return None
                    self.losing = True
                    break
            return data
        if self.losing:
            return None
        for loss in listener.losses:
            if loss["answer"] and loss["answer"] in data:
                self._use(loss)
                return None
        return data

    def _use(self, loss: dict[str, Any]) -> None:
        self.listener.counts["lost"] += 1
        loss["times"] -= 1
        if loss["times"] <= 0:
            self.listener.losses.remove(loss)

    def reset(self) -> None:
        self.listener.links.discard(self)
        for end in (self.client, self.server):
            end.reset()

    def ended(self, end: End) -> None:
        """One side has closed: what came of it is still to arrive at the other, then that is closed, too."""
        if end.peer.transport is None:
            self.listener.links.discard(self)
        else:
            end.peer.write(None)


class End(asyncio.Protocol):
    """One of the two sockets of a link. Backpressure: who cannot write stops the other's reading."""

    peer: End

    def __init__(self, link: Link) -> None:
        self.link = link
        self.transport: asyncio.Transport | None = None
        self._held = self._full = False
        self._late: deque[tuple[float, bytes | None]] = deque()
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self is self.link.client:
            self.link.accepted()

    def data_received(self, data: bytes) -> None:
        handed = self.link.passes(self, data)
        if handed is None:
            self.link.reset()
        else:
            self.peer.write(handed)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        if self.peer._closed or isinstance(error, ConnectionResetError):
            self.link.reset()
        else:
            self.link.ended(self)

    def pause_writing(self) -> None:
        self.peer._full = True
        self.peer._read()

    def resume_writing(self) -> None:
        self.peer._full = False
        self.peer._read()

    def hold(self, held: bool) -> None:
        """Whether what comes from this end stays where it is."""
        self._held = held
        self._read()

    def _read(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            if self._held or self._full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def write(self, data: bytes | None) -> None:
        """To this end, after the latency and in order; None closes it."""
        listener = self.link.listener
        if not listener.latency and not self._late:
            self.write_now(data)
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + listener.latency + random.random() * listener.jitter
        if self._late:
            at = max(at, self._late[-1][0])
        else:
            loop.call_at(at, self._write_late)
        self._late.append((at, data))

    def _write_late(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time() + 0.0005:
            self.write_now(self._late.popleft()[1])
        if self._late:
            loop.call_at(self._late[0][0], self._write_late)

    def write_now(self, data: bytes | None) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if data is None:
            self.transport.close()
        else:
            self.transport.write(data)

    def reset(self) -> None:
        self._late.clear()
        if self.transport is None or self._closed:
            return
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class Control:
    """Does what the test's side asks for."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}

    async def answer(self, line: str) -> str:
        try:
            asked = json.loads(line)
            do = getattr(self, "do_" + asked.pop("do"))
            return json.dumps({"value": await do(**asked)})
        except (ValueError, TypeError, OSError, AttributeError, KeyError) as error:
            return json.dumps({"error": f"{type(error).__name__}: {error}"})

    async def do_open(self, host: str, port: int) -> int:
        listener = Listener(host, port)
        await listener.listen()
        self._listeners[listener.port] = listener
        return listener.port

    async def do_set(self, proxy: int, **state: Any) -> None:
        await self._listeners[proxy].set(**state)

    async def do_reset(self, proxy: int) -> int:
        return self._listeners[proxy].reset()

    async def do_cut(self, proxy: int, after: int) -> None:
        listener = self._listeners[proxy]
        listener.cut_after = after
        for link in listener.links:
            link.sent = 0

    async def do_lose(self, proxy: int, request: str, answer: str, before: bool, times: int) -> None:
        sought = {"request": bytes.fromhex(request), "answer": bytes.fromhex(answer)}
        # nothing armed twice: what was asked for and has not come about is forgotten
        self._listeners[proxy].losses = [{**sought, "before": before, "times": times}] if times else []

    async def do_seen(self, proxy: int) -> dict[str, int]:
        listener = self._listeners[proxy]
        return {"open": len(listener.links), **listener.counts}


async def main() -> None:
    loop = asyncio.get_running_loop()
    control = Control()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(await control.answer(line.decode()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
