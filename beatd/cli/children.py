"""Child processes that live no longer than this one: started, listened to, started again, stopped.

Nothing here waits without a deadline, and there are no threads: `wait` is the only place that sleeps.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beatd.clock import monotonic

#: One that ran this long (seconds) counts as healthy: its next crash is its first again.
_HEALTHY_AFTER = 60.0
_LONGEST_PAUSE = 30.0
_KEPT_LINES = 5
_CHUNK = 65_536

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Said:
    """A line that a child wrote."""

    role: str
    line: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended without being asked to. `again_in` seconds are until it is started again, None for
    never; `last` are the lines that it wrote at last."""

    role: str
    status: int
    again_in: float | None
    last: tuple[str, ...]


class _Child:
    def __init__(self, role: str, command: Sequence[str]) -> None:
        self.role = role
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.start_at: float | None = 0.0
        self.wanted = True
        self.crashes = 0
        self.rest = b""
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)

    def start(self) -> int:
        """Returns the descriptor of what it writes."""
        parent = os.getpid()

        def die_with_parent() -> None:
            # Only if the parent is killed outright: this is a request to end in good order.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        self.process = subprocess.Popen(  # noqa: S603 our own program
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C reaches this process alone, which then decides
            preexec_fn=die_with_parent,  # noqa: PLW1509 there are no threads here
        )
        self.started, self.start_at = monotonic(), None
        assert self.process.stdout is not None  # noqa: S101 it is a pipe
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout.fileno()

    def lines(self, chunk: bytes) -> list[str]:
        *whole, self.rest = (self.rest + chunk).split(b"\n")
        lines = [line.decode("utf-8", "replace").rstrip() for line in whole]
        self.last.extend(line for line in lines if line)
        return [line for line in lines if line]

    def plan_restart(self, status: int) -> float | None:
        """Bad input is not mended by trying again."""
        if status == 2:
            return None
        healthy = monotonic() - self.started > _HEALTHY_AFTER
        self.crashes = 1 if healthy else self.crashes + 1
        pause = min(2.0 ** (self.crashes - 1), _LONGEST_PAUSE)
        self.start_at = monotonic() + pause
        return pause


class Children:
    """Of each role one, in the order given."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._children = [_Child(role, command) for role, command in commands.items()]
        self._selector = selectors.DefaultSelector()
        self._signals, self._wakeup = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(self._wakeup, False)
        self._selector.register(self._signals, selectors.EVENT_READ, None)

    @contextlib.contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """While this lasts, a signal that has a handler ends a `wait`."""
        before = signal.set_wakeup_fd(self._wakeup)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def wait(self, seconds: float) -> list[Said | Ended]:
        """Starts those that are to run now, then waits for something to tell, `seconds` at most."""
        for child in self._children:
            if child.start_at is not None and child.start_at <= monotonic():
                self._selector.register(child.start(), selectors.EVENT_READ, child)
        told: list[Said | Ended] = []
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                _drain(self._signals)
            else:
                told += self._hear(key.data, key.fd)
        told += self._reap()
        return told

    def stop(self, role: str) -> None:
        """Asks it to end in good order; it is not started again."""
        for child in self._of(role):
            child.wanted, child.start_at = False, None
            if child.process is not None:
                child.process.terminate()

    def kill(self, *roles: str) -> None:
        """Ends these, or all of them, at once, with the processes that they started."""
        for child in self._children:
            if roles and child.role not in roles:
                continue
            child.wanted, child.start_at = False, None
            if child.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)

    def running(self, role: str) -> bool:
        return any(child.process is not None for child in self._of(role))

    def _of(self, role: str) -> Iterator[_Child]:
        return (child for child in self._children if child.role == role)

    def _hear(self, child: _Child, descriptor: int) -> list[Said | Ended]:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return []
        if not chunk:
            self._selector.unregister(descriptor)
        return [Said(child.role, line) for line in child.lines(chunk or b"\n")]

    def _reap(self) -> list[Said | Ended]:
        told: list[Said | Ended] = []
        for child in self._children:
            process = child.process
            if process is None or process.poll() is None or process.stdout is None:
                continue
            if process.stdout.fileno() in self._selector.get_map():
                told += self._hear(child, process.stdout.fileno())  # something of its own may hold it open
            if process.stdout.fileno() in self._selector.get_map():
                self._selector.unregister(process.stdout.fileno())
            process.stdout.close()
            child.process = None
            if child.wanted:
                again_in = child.plan_restart(process.returncode)
                told.append(Ended(child.role, process.returncode, again_in, tuple(child.last)))
        return told


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, _CHUNK)


def this_program(*arguments: str) -> list[str]:
    """The command that starts this program anew, as it was started."""
    called = Path(sys.argv[0])
    program = ["-m", "beatd"] if called.name == "__main__.py" else [str(called)]
    return [sys.executable, *program, *arguments]
