"""Sends one HTTP request within one deadline, and keeps an excerpt of the answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from beatd import __version__
from beatd.clock import LONGEST_WAIT
from beatd.errors import BeatdError
from beatd.worker.excerpt import Excerpt

MOST_REDIRECTS = 5
_CHUNK = 65_536


class RequestError(BeatdError):
    """A request got no answer, or another than expected. Its text is for the history; `why` leaves the URL
    out, which may be a secret.
    """

    def __init__(self, text: str, why: str | None = None) -> None:
        super().__init__(text)
        self.why = why or text


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str


def send(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    timeout: float | None = 30.0,
    output_limit: int = 65_536,
) -> Answer:
    """Any status is an answer. `timeout` is for all of it, in seconds. Raises RequestError.

    Only http and https, through redirects too. Redirects are followed for GET and HEAD alone: for other
    methods HTTP leaves open what is to be sent to the new place.
    """
    method = method.upper()
    try:
        _only_web(httpx.URL(url))
    except httpx.InvalidURL as error:
        raise RequestError(f"url: {error}") from None
    deadline = _Deadline(timeout)
    client = httpx.Client(
        timeout=LONGEST_WAIT if timeout is None else min(timeout, LONGEST_WAIT),
        follow_redirects=method in ("GET", "HEAD"),
        max_redirects=MOST_REDIRECTS,
        headers={"User-Agent": f"beatd/{__version__}", "Accept-Encoding": "identity"},
        event_hooks={"request": [lambda request: _only_web(request.url)]},
    )
    try:
        with deadline, client:
            request = client.build_request(method, url, headers=dict(headers or {}), content=body)
            request.extensions["trace"] = deadline.watch
            answer = _answer(client, request, output_limit)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if not deadline.passed and not isinstance(error, httpx.TimeoutException):
            why = str(error) or type(error).__name__
            raise RequestError(f"{method} {_shown(url)}: {why}", why) from None
    else:
        # The end of a connection can be the end of an answer too, and it may have been our doing.
        if not deadline.passed:
            return answer
    why = f"no whole answer after {timeout or LONGEST_WAIT:g} s"
    raise RequestError(f"{method} {_shown(url)}: {why}", why)


def _answer(client: httpx.Client, request: httpx.Request, output_limit: int) -> Answer:
    response = client.send(request, stream=True)
    with contextlib.closing(response):
        excerpt = Excerpt(output_limit)
        for chunk in response.iter_bytes(_CHUNK):
            excerpt.add(chunk)
        return Answer(response.status_code, excerpt.text())


class _Deadline:
    """Breaks the connections of a request when its time is over.

    httpx limits each wait by itself: a server that sends a byte now and then would hold a request for
    ever.
    """

    def __init__(self, timeout: float | None) -> None:
        self._streams: list[Any] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout, self._pass) if timeout is not None else None
        self.passed = False

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore tells what it does: here come the connections that it made."""
        if event not in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            return
        with self._lock:
            self._streams.append(info["return_value"])
            if self.passed:
                self._break()

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            self._break()

    def _break(self) -> None:
        for stream in self._streams:
            found = stream.get_extra_info("socket")
            if found is not None:
                with contextlib.suppress(OSError):
                    found.shutdown(socket.SHUT_RDWR)


def _only_web(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https"):
        raise RequestError(f"{url.scheme}: is neither http nor https")


def _shown(url: str) -> str:
    """Without a password."""
    parsed = httpx.URL(url)
    return str(parsed.copy_with(password="***") if parsed.password else parsed)  # noqa: S106
