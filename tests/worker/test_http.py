"""Requests: what counts as an answer, and that none lasts longer than its time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from beatd.worker.http import RequestError, send
from tests.services.server import free_port
from tests.store.recording import record
from tests.worker.conftest import Bench, Worker


class Handler(BaseHTTPRequestHandler):
    """`/status/N`, `/echo`, `/big`, `/drip/…`, `/redirect/N`, `/to/URL`."""

    def do_GET(self) -> None:
        kind, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"answer_{kind}")(rest)

    do_POST = do_PUT = do_GET  # noqa: N815 the names are the library's

    def answer_status(self, rest: str) -> None:
        self._answer(int(rest), b"answer")

    def answer_echo(self, _: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = {"method": self.command, "headers": dict(self.headers), "body": body.decode()}
        self._answer(200, json.dumps(seen).encode())

    def answer_big(self, _: str) -> None:
        self._answer(200, b"begin" + b"x" * 5_000_000 + b"end")

    def answer_drip(self, rest: str) -> None:
        """A byte now and then, of the head or of the body, for ever."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if rest == "body" else b""))
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def answer_redirect(self, rest: str) -> None:
        left = int(rest)
        self._answer(302, b"", {"Location": f"/redirect/{left - 1}" if left else "/echo"})

    def answer_to(self, rest: str) -> None:
        self._answer(302, b"", {"Location": rest})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """That a client went away is what these tests are about."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with QuietServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("status", [200, 204, 404, 500])
def test_any_status_is_an_answer(server: str, status: int) -> None:
    assert send(f"{server}/status/{status}", timeout=40 * 86_400).status == status


def test_what_is_sent(server: str) -> None:
    answer = send(f"{server}/echo", method="post", headers={"X-Name": "value"}, body="grüße")
    seen = json.loads(answer.body)
    assert (seen["method"], seen["body"], seen["headers"]["X-Name"]) == ("POST", "grüße", "value")
    assert seen["headers"]["User-Agent"].startswith("beatd/")


def test_of_a_long_answer_the_ends_are_kept(server: str) -> None:
    answer = send(f"{server}/big", output_limit=10)
    assert answer.body == "begin\n[... 4999998 bytes cut ...]\nxxend"


def test_redirects(server: str) -> None:
    assert json.loads(send(f"{server}/redirect/4").body)["method"] == "GET"
    assert send(f"{server}/redirect/0", method="POST", body="x").status == 302
    with pytest.raises(RequestError, match="Exceeded maximum allowed redirects"):
        send(f"{server}/redirect/5")
    with pytest.raises(RequestError, match="ftp"):
        send(f"{server}/to/ftp://127.0.0.1/file")


@pytest.mark.parametrize("part", ["head", "body"])
def test_the_timeout_is_for_all_of_it(server: str, part: str) -> None:
    with pytest.raises(RequestError) as raised:
        send(f"{server}/drip/{part}", timeout=0.5)
    assert str(raised.value) == f"GET {server}/drip/{part}: no whole answer after 0.5 s"


def test_no_url() -> None:
    with pytest.raises(RequestError, match="url: Invalid port: 'port'"):
        send("http://127.0.0.1:port/")


def test_nobody_there() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/"
    with pytest.raises(RequestError) as raised:
        send(url)
    assert "Connection refused" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_http_task(bench: Bench, server: str, start_worker: Callable[..., Worker]) -> None:
    start_worker()

    def publish(**kwargs: Any) -> str:
        return bench.publish("beatd.http", run_id=record(bench.database), kwargs=kwargs)

    echo = publish(url=f"{server}/echo", headers={"X-Name": "value"})
    missing = publish(url=f"{server}/status/404")
    allowed = publish(url=f"{server}/status/404", expected_status=[404, 410])
    slow = publish(url=f"{server}/drip/body", timeout="1s")

    result = bench.wait_for(echo, "succeeded").result or ""
    first, _, body = result.partition("\n")
    assert first == "status 200"
    headers = json.loads(body)["headers"]
    assert headers["Idempotency-Key"] == echo
    assert headers["Beatd-Fire-Time"] == "2026-03-29T01:00:00+00:00"
    assert headers["X-Name"] == "value"
    assert bench.wait_for(missing, "failed").error == "status 404\nanswer"
    assert bench.wait_for(allowed, "succeeded").result == "status 404\nanswer"
    assert "no whole answer after 1 s" in str(bench.wait_for(slow, "failed").error)
