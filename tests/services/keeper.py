"""A process that outlives pytest by a moment, and ends the servers that pytest leaves behind.

Fixtures' finalizers do not run when pytest is killed, and PR_SET_PDEATHSIG fires at the end of the
*thread* that forked; so one process watches for pytest's end instead. It is the only thing that ends
servers at the end of a session: what is used every day also works on the bad day.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

GRACE_SECONDS = 3


class Keeper:
    """The watched folder: a file a process, named by its id, holding its start time and its end signal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = folder / "running"
        self.running.mkdir()
        command = [sys.executable, __file__, str(os.getpid()), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def watch(self, pid: int, end_signal: signal.Signals = signal.SIGKILL) -> None:
        """End this process and its children when the session ends."""
        created = psutil.Process(pid).create_time()
        (self.running / str(pid)).write_text(f"{created} {int(end_signal)}")

    def forget(self, pid: int) -> None:
        (self.running / str(pid)).unlink(missing_ok=True)

    def finish(self) -> None:
        """End everything that is watched, remove the folder, and return when that is done."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def kill_tree(process: psutil.Process, first: signal.Signals = signal.SIGKILL) -> None:
    """End a process and all its descendants; return when none is left running.

    With another signal first, they have a moment to end by themselves.
    """
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    if first != signal.SIGKILL:
        signal_each([process], first)
        _wait_until_gone(family, GRACE_SECONDS)
    signal_each(family, signal.SIGKILL)
    _wait_until_gone(family, GRACE_SECONDS)


def signal_each(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Those that have ended meanwhile need none."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _wait_until_gone(processes: list[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything; a zombie that nobody has reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main(parent: int, folder: Path) -> None:
    # Standard input ends when pytest closes it or dies; the second descriptor is for the case that a
    # process which pytest forked still holds the pipe.
    select.select([sys.stdin, os.pidfd_open(parent)], [], [])
    for file in (folder / "running").iterdir():
        created, end_signal = file.read_text().split()
        try:
            process = psutil.Process(int(file.name))
            same = process.create_time() == float(created)
        except psutil.NoSuchProcess:
            continue
        if same:
            kill_tree(process, signal.Signals(int(end_signal)))
    for line in Path("/proc/self/mounts").read_text().splitlines() if sys.platform == "linux" else []:
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):  # a test's own disk
            subprocess.run(["umount", "--lazy", mounted], capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
