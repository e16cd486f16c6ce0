"""What the daemon tells systemd (sd_notify(3)), and what systemd tells the daemon. Without it: nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

# The manager takes datagrams at once; should it hang, the daemon must not hang with it.
_SEND_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends the daemon's state to its service manager; does nothing where there is none.

    `watchdog_interval`: seconds between two calls of `watchdog()` (half of what systemd allows), or None
    if nobody watches this process. A state that cannot be sent is dropped: systemd then acts by its own
    time limits, and the daemon goes on.
    """

    address: str | None = None
    watchdog_interval: float | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Notifier:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        return cls(address, _watchdog_interval(environ))

    def ready(self, status: str) -> None:
        """Started, or done with reloading."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload began; `ready` must follow."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """Sign of life: to be called on progress, not by a timer of its own."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(_SEND_TIMEOUT)
            channel.sendto("\n".join(assignments).encode(), address)


def writes_to_journal(stream: IO[Any], environ: Mapping[str, str] | None = None) -> bool:
    """Whether `stream` is the one that systemd connected to the journal ($JOURNAL_STREAM)."""
    environ = os.environ if environ is None else environ
    expected = environ.get("JOURNAL_STREAM")
    if not expected:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return expected == f"{found.st_dev}:{found.st_ino}"


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    # systemd sets both for the main process; a child that inherits them is not the one watched.
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000
