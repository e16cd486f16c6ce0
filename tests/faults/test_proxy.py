"""The proxy does to connections what it is told: what hurts nothing proves nothing."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.faults.injectors import proxy as wire
from tests.faults.injectors.proxy import Proxies, Proxy
from tests.waiting import eventually


class Echo:
    """A server that answers each message with itself, and remembers what arrived."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.arrived = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.arrived += data
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.socket.close()


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    proxies = Proxies()
    yield proxies
    proxies.close()


@pytest.fixture
def proxy(proxies: Proxies, echo: Echo) -> Proxy:
    return proxies.open(echo.port)


def connected(proxy: Proxy, timeout: float = 5) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def said(client: socket.socket, words: bytes) -> bytes:
    """What comes back, all of it."""
    client.sendall(words)
    answer = b""
    while len(answer) < len(words):
        part = client.recv(65536)
        if not part:
            break
        answer += part
    return answer


def test_bytes_pass_both_ways_and_the_end_too(proxy: Proxy) -> None:
    with connected(proxy) as client:
        much = b"x" * 3_000_000
        threading.Thread(target=client.sendall, args=[much]).start()
        got = 0
        while got < len(much):
            got += len(client.recv(65536))
        assert proxy.seen() == {"open": 1, "opened": 1, "bytes": 2 * len(much), "lost": 0, "cut": 0}
    eventually(lambda: proxy.seen()["open"] == 0)


def test_latency_delays_and_keeps_the_order(proxy: Proxy, echo: Echo) -> None:
    proxy.set(latency=0.2, jitter=0.1)
    with connected(proxy, 0.3) as client:
        with pytest.raises(TimeoutError):
            said(client, b"1")
        client.settimeout(5)
        client.sendall(b"2")
        proxy.set()  # what is late does not let the next one overtake
        client.sendall(b"3")
        answer = b""
        while len(answer) < 3:
            answer += client.recv(9)
        assert (answer, echo.arrived) == (b"123", b"123")


def test_a_black_hole_swallows_all_and_gives_it_back(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy, 0.1) as before:
        assert said(before, b"before") == b"before"
        proxy.set("blackhole")
        with connected(proxy, 0.1) as during:  # as in a network, where a middle box may answer for the server
            for client in (before, during):
                with pytest.raises(TimeoutError):
                    said(client, b"during")
            assert echo.arrived == b"before"
            proxy.set()
            for client in (before, during):
                client.settimeout(5)
                assert client.recv(9) == b"during"
                assert said(client, b"after") == b"after"


def test_who_leaves_a_black_hole_is_there_for_the_server_until_it_is_over(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"before") == b"before"
        proxy.set("blackhole")
    assert proxy.seen()["open"] == 1
    proxy.set()
    eventually(lambda: proxy.seen()["open"] == 0)


def test_half_open_requests_arrive_answers_do_not(proxy: Proxy, echo: Echo) -> None:
    proxy.set("halfopen")
    with connected(proxy, 0.1) as client:
        with pytest.raises(TimeoutError):
            said(client, b"asked")
        eventually(lambda: echo.arrived == b"asked")


@pytest.mark.parametrize("mode", ["refuse", "reset"])
def test_nobody_gets_in(mode: str, proxy: Proxy, echo: Echo) -> None:
    proxy.set(mode)
    with pytest.raises((ConnectionResetError, ConnectionRefusedError)), connected(proxy) as client:
        assert said(client, b"hello") != b""
    assert echo.arrived == b""
    proxy.set()
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"


def test_reset_hits_what_is_connected(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(9)


def test_cut_in_the_middle_of_what_is_sent(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        assert said(client, b"hello") == b"hello"
        proxy.cut(3)
        with pytest.raises(ConnectionResetError):
            said(client, b"again")
        assert echo.arrived[:8] in (b"hello", b"helloaga")  # a reset may overtake what came before it
    assert proxy.seen()["cut"] == 1


@pytest.mark.parametrize(
    ("what", "request_", "answer"),
    [
        (wire.POSTGRES_COMMITTED, b"", b"C\x00\x00\x00\x0bCOMMIT\x00Z\x00\x00\x00\x05I"),
        (wire.POSTGRES_COMMIT, b"Q\x00\x00\x00\x0bCOMMIT\x00", b""),
        (wire.MARIADB_COMMIT, b"\x07\x00\x00\x00\x03COMMIT", b""),
        (wire.AMQP_CONFIRM, b"", b"\x01\x00\x01" + struct.pack(">IHHQB", 13, 60, 80, 7, 0) + b"\xce"),
        (wire.REDIS_PUSH, b"*3\r\n$5\r\nLPUSH\r\n", b""),
    ],
)
def test_a_lost_answer_is_of_what_the_server_has_done(
    what: tuple[bytes, bytes], request_: bytes, answer: bytes, proxy: Proxy, echo: Echo
) -> None:
    sent = request_ or answer
    with connected(proxy) as client:
        proxy.lose(what)
        assert said(client, b"something else") == b"something else"
        with pytest.raises(ConnectionResetError):
            said(client, sent)
        assert echo.arrived == b"something else" + sent
    assert proxy.seen()["lost"] == 1
    with connected(proxy) as client:
        assert said(client, sent) == sent  # once only


def test_a_request_that_does_not_arrive(proxy: Proxy, echo: Echo) -> None:
    proxy.lose(wire.MARIADB_COMMIT, before=True)
    with connected(proxy) as client, pytest.raises(ConnectionResetError):
        said(client, b"\x07\x00\x00\x00\x03COMMIT")
    assert echo.arrived == b""
