"""Runs a shell command, keeps an excerpt of its output, and leaves nothing of it behind when it must end.

The command has a session and process group of its own. What happens to that group:

- The shell exits by itself: processes that it left in the background go on, as under cron. Output is
  collected until they let go of it, for a second at most; they should redirect theirs.
- Its time is over, its run is revoked, or a time limit of Celery strikes: the whole group gets SIGTERM, and
  SIGKILL five seconds later.
- The worker process dies, even by SIGKILL: a guard, a small shell that waits for the end of a pipe, does
  the same.

Texts become bytes as UTF-8; a lone surrogate of `surrogateescape` becomes the byte that it stands for.

Out of reach is a process that made a session of its own (`setsid`, a daemon); systemd's control group ends
those when the worker's unit stops.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal, cast

from beatd.clock import LONGEST_WAIT, monotonic
from beatd.errors import BeatdError
from beatd.worker import cron_environment
from beatd.worker.excerpt import Excerpt

#: Seconds between SIGTERM and SIGKILL.
GRACE = 5.0
#: Seconds for which output is collected after the shell's exit, if something keeps it open.
_LINGER = 1.0
_CHUNK = 65_536
_POLL = 0.02

# Ends by a line or by the end of its input: the worker is done, or gone.
_GUARD = f"""trap '' TERM INT HUP
read -r line || {{ kill -s TERM -- "-$1"; sleep {GRACE:g}; kill -s KILL -- "-$1"; }}"""


#: What the worker was told, or the manager that started it; no business of commands.
_OWN = (
    "BEATD_",
    "CELERY_",
    "FORKED_BY_MULTIPROCESSING",
    "NOTIFY_SOCKET",
    "WATCHDOG_",
    "CREDENTIALS_DIRECTORY",
)


class CommandError(BeatdError):
    """A command ended otherwise than expected, or could not be started. Its text is for the history."""


class Command:
    """One command. `run` may be called once; `output` may be read at any time."""

    def __init__(
        self,
        command: str,
        *,
        shell: str = "/bin/sh",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        output_limit: int = 65_536,
        environment: Literal["worker", "cron"] = "worker",
    ) -> None:
        """`environment` is what `env` is added to.

        `worker`: the worker's, without what concerns the worker alone: its settings hold passwords. `cwd` is
        the user's home folder if not given.

        `cron`: that of Debian's cron (beatd.worker.cron_environment), whose SHELL and HOME take the place of
        `shell` and of a `cwd` that is not given. Standard input is a pipe, be it an empty one.
        """
        if environment == "cron":
            variables = cron_environment.environment(env or {})
            shell = variables["SHELL"]
            cwd = cwd or cron_environment.folder(variables["HOME"])
        else:
            variables = {**_inherited(), **(env or {})}
            cwd = cwd or _home()
        self._arguments = [_bytes(text) for text in (shell, "-c", command)]
        # cron looks for a shell without a slash in the folder, not along PATH
        self._executable = _bytes(os.path.join(cwd, shell)) if environment == "cron" else None  # noqa: PTH118
        self._cwd = _bytes(cwd)
        self._environment = {_bytes(name): _bytes(value) for name, value in variables.items()}
        self._stdin = memoryview(_bytes(stdin or ""))
        self._piped = environment == "cron" or bool(self._stdin)
        self._output = Excerpt(output_limit)

    @property
    def output(self) -> str:
        """What it wrote to stdout and stderr, cut to the limit."""
        return self._output.text()

    def run(self, timeout: float | None = None) -> int:
        """Runs it to its end and returns the exit status, negative for the signal that ended it.

        Raises CommandError if it cannot be started, TimeoutError when its seconds are over. By that and
        by any other exception that arrives here its group has been ended.
        """
        process = self._start()
        pipes = _Pipes(process, self._stdin, self._output)
        with _guarded(process.pid), contextlib.closing(pipes):
            try:
                exited = pipes.pump_until_exit(timeout)
                if not exited:
                    raise TimeoutError
            except BaseException:
                _end_group(process, pipes)
                raise
            pipes.pump_until_closed(_LINGER)
        return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            with _no_signal_ignored():
                return subprocess.Popen(  # noqa: S603 to run what the operator wrote is the purpose
                    self._arguments,
                    executable=self._executable,
                    stdin=subprocess.PIPE if self._piped else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=self._cwd,
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            culprit = os.fsencode(error.filename or b"").decode("utf-8", "backslashreplace")
            raise CommandError(f"could not be started: {culprit}: {error.strerror}") from error


class _Pipes:
    """Moves bytes between a process and us without ever waiting for one pipe alone."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: memoryview, output: Excerpt) -> None:
        self._stdin = stdin
        self._output = output
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._exit = os.pidfd_open(process.pid)
        self._selector.register(self._exit, selectors.EVENT_READ, None)
        self._open(process.stdout, selectors.EVENT_READ)
        if process.stdin:
            self._open(process.stdin, selectors.EVENT_WRITE)

    def pump_until_exit(self, timeout: float | None) -> bool:
        """False: the seconds are over."""
        return self._pump(timeout, until_exit=True)

    def pump_until_closed(self, timeout: float) -> bool:
        """False: the seconds are over."""
        return self._pump(timeout, until_exit=False)

    def close(self) -> None:
        self._selector.close()
        os.close(self._exit)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _open(self, stream: IO[bytes] | None, event: int) -> None:
        assert stream is not None  # noqa: S101 it is a pipe: see Command._start
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, event, stream)

    def _pump(self, timeout: float | None, *, until_exit: bool) -> bool:
        deadline = None if timeout is None else monotonic() + timeout
        while until_exit or self._process.stdout in self._registered():
            left = LONGEST_WAIT if deadline is None else deadline - monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(min(left, LONGEST_WAIT)):
                if key.data is not None:
                    self._move(cast(IO[bytes], key.data))
                elif until_exit:
                    return True
                else:
                    self._selector.unregister(self._exit)
        return True

    def _registered(self) -> list[object]:
        return [key.data for key in self._selector.get_map().values()]

    def _move(self, stream: IO[bytes]) -> None:
        try:
            more = self._read(stream) if stream is self._process.stdout else self._write(stream)
        except BlockingIOError:
            return
        except BrokenPipeError:
            more = False
        if not more:
            self._selector.unregister(stream)
            stream.close()

    def _read(self, stream: IO[bytes]) -> bool:
        chunk = os.read(stream.fileno(), _CHUNK)
        self._output.add(chunk)
        return bool(chunk)

    def _write(self, stream: IO[bytes]) -> bool:
        self._stdin = self._stdin[os.write(stream.fileno(), self._stdin[:_CHUNK]) :]
        return bool(self._stdin)


@contextlib.contextmanager
def _no_signal_ignored() -> Iterator[None]:
    """A process of the pool ignores SIGINT and others; a command would inherit that, and its shell could not
    even trap them. What is handled is at its default after exec. Only the main thread may say so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _let_pass)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _let_pass(_number: int, _frame: object) -> None:
    """Like SIG_IGN, but for this process alone."""


@contextlib.contextmanager
def _guarded(group: int) -> Iterator[None]:
    """While this lasts, the group is ended if this process dies."""
    end, ours = os.pipe()
    try:
        guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, "beatd-guard", str(group)],
            stdin=end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(end)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(ours, b"done\n")
        os.close(ours)
        guard.wait()


def _end_group(process: subprocess.Popen[bytes], pipes: _Pipes) -> None:
    """SIGTERM, and what is left after GRACE seconds SIGKILL. Output is collected meanwhile."""
    _signal_group(process.pid, signal.SIGTERM)
    deadline = monotonic() + GRACE
    while _group_lives(process) and monotonic() < deadline:
        if pipes.pump_until_closed(_POLL):
            time.sleep(_POLL)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    pipes.pump_until_closed(_POLL)


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a dead leader counts as a member until it is waited for
    return _signal_group(process.pid, 0)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _home() -> str:
    home = Path.home()
    return str(home) if home.is_dir() else "/"


def _inherited() -> dict[str, str]:
    environment = os.environb  # passed on, not read
    texts = {_text(name): _text(value) for name, value in environment.items()}
    return {name: value for name, value in texts.items() if not name.startswith(_OWN)}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
