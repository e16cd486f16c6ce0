"""What all private servers have in common: a port, a folder, a process that can be ended in two ways."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.services.keeper import Keeper, kill_tree

START_SECONDS = 60
STOP_SECONDS = 30


class Server:
    """One private server. Data and port stay the same through every stop, kill and start."""

    name: str
    end_signal = signal.SIGKILL

    def __init__(self, folder: Path, keeper: Keeper) -> None:
        self.folder = folder
        self.keeper = keeper
        self.port = free_port()
        self.log = folder / "log"
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        folder.mkdir()
        self.prepare()

    # What each server fills in.

    def prepare(self) -> None:
        """Make the data folder, once."""

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process in the foreground."""
        raise NotImplementedError

    def ask_version(self) -> str:
        """Talk to the server as a client would; raises anything while it is not ready."""
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        self.process.terminate()

    # What tests use.

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, if it is not running, and return when it serves clients."""
        if self.running:
            return
        self._process = self.launch()
        self.keeper.watch(self.pid, self.end_signal)
        self.version = self._await_ready()

    def stop(self) -> None:
        """An orderly stop, as an operator would do it."""
        if not self.running:
            return
        self.ask_to_stop()
        self.process.wait(timeout=STOP_SECONDS)
        self.keeper.forget(self.pid)

    def kill9(self) -> None:
        """SIGKILL to the server and all its children."""
        if not self.running:
            return
        kill_tree(psutil.Process(self.pid))
        self.process.wait(timeout=STOP_SECONDS)
        self.keeper.forget(self.pid)

    def restart(self) -> None:
        self.stop()
        self.start()

    def next_name(self) -> str:
        """A name for a database or vhost that no other test has."""
        return f"t{next(self._numbers)}"

    # Helpers for the servers.

    def spawn(
        self, command: list[str], *, env: Mapping[str, str] | None = None, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """A background process in a session of its own, so that Ctrl-C does not reach it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, **(env or {})},
                **as_user(user),
            )

    def run(self, command: list[str], *, user: str | None = None) -> None:
        """A step of the preparation."""
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, cwd=self.folder, **as_user(user)
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.decode()[-2000:]}")

    def _await_ready(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.ask_version()
            except Exception as error:
                if not self.running or time.monotonic() > deadline:
                    tail = self.log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self.name} did not start: {error}\n{tail}") from error
                time.sleep(0.05)


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of Popen to run as another user; none without a user, or where we are not root."""
    if user is None or os.geteuid() != 0:
        return {}
    return {"user": user, "group": user, "extra_groups": []}


def free_port() -> int:
    """A loopback port that nothing listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.randint(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
