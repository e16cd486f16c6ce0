"""The real cron of Debian in namespaces of its own, and what became of each command that it started."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.services.keeper import Keeper
from tests.waiting import eventually

_SCRIPT = Path(__file__).with_name("namespaces.sh")
_NEEDED = {"cron": "cron", "unshare": "util-linux", "setpriv": "util-linux", "runuser": "util-linux"}

_LINE = re.compile(r"<\d+>.*? CRON\[(?P<parent>\d+)\]: (?P<text>.*)", re.DOTALL)
_BEGAN = re.compile(r"\((?P<user>[^)]*)\) CMD \(\[(?P<pid>\d+)\] (?P<command>.*)\)$", re.DOTALL)
_FAILED = re.compile(
    r"\(CRON\) error \(grandchild #(?P<pid>\d+) "
    r"(?:failed with (?P<status>.*)|terminated by signal (?P<signal>\d+))\)"
)
_ENDED = re.compile(r"\([^)]*\) END \(\[")


def missing() -> list[str]:
    """What there is to do before it can run here."""
    lacking = sorted({package for program, package in _NEEDED.items() if shutil.which(program) is None})
    todo = ["run as root"] if os.geteuid() != 0 else []
    if lacking:
        todo.append(f"apt-get install --no-install-recommends {' '.join(lacking)}")
    elif "crond.pid" not in Path(str(shutil.which("cron"))).read_bytes().decode("latin-1"):
        todo.append("have Debian's own cron; this is another")
    return todo


@dataclass(frozen=True, slots=True)
class Job:
    """One command that cron ran. `status` is in beatd's words; `output` is None where no mail went."""

    user: str
    command: str
    status: str
    output: bytes | None
    variables: Mapping[str, str]


class DebianCron:
    """Started as it is made. What `environment` and `locale` in its folder say is PAM's part of the
    variables; without them, what the machine's own files say.
    """

    def __init__(
        self, folder: Path, keeper: Keeper, *, users: Mapping[str, bytes] | None = None, system: bytes
    ) -> None:
        self._keeper = keeper
        self._mail = folder / "mail"
        self._lines: list[str] = []
        self._write(folder, users or {}, system)
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.bind(str(folder / "log"))
        (folder / "log").chmod(0o666)
        threading.Thread(target=self._read, daemon=True).start()
        self._told = (folder / "told").open("w+b")
        namespaces = ["--mount", "--mount-proc", "--pid", "--fork", "--kill-child", "--propagation=private"]
        self._process = subprocess.Popen(
            ["unshare", *namespaces, "bash", str(_SCRIPT), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        keeper.watch(self._process.pid)

    def jobs(self, count: int, timeout: float) -> list[Job]:
        """Once so many have ended and their mail is out."""

        def ended() -> bool:
            assert self._process.poll() is None, self.told()
            return sum(bool(_ENDED.match(text)) for _, text in self._parsed()) >= count

        eventually(ended, timeout, interval=0.2, message=f"the end of {count} commands\n{self.told()}\n")
        return self._jobs()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(20)
        self._keeper.forget(self._process.pid)
        self._log.close()
        self._told.close()

    def told(self) -> str:
        """Its log, and what the way there had to say."""
        self._told.seek(0)
        return self._told.read().decode(errors="replace") + "\n".join(self._lines)

    def _write(self, folder: Path, users: Mapping[str, bytes], system: bytes) -> None:
        (folder / "users").mkdir()
        for name, crontab in users.items():
            (folder / "users" / name).write_bytes(crontab)
        (folder / "system").write_bytes(system)
        self._mail.mkdir()
        self._mail.chmod(0o1777)
        # named after the process of cron that has the command in its care, as the log names it
        (folder / "sendmail").write_text(f'#!/bin/sh\nexec /bin/cat > "{self._mail}/$PPID"\n')
        (folder / "sendmail").chmod(0o755)

    def _read(self) -> None:
        """At once: syslog(3) waits where nobody takes its lines."""
        while True:
            try:
                self._lines.append(self._log.recv(65_536).decode(errors="replace"))
            except OSError:
                return

    def _parsed(self) -> list[tuple[str, str]]:
        found = (_LINE.match(line) for line in list(self._lines))
        return [(line["parent"], line["text"]) for line in found if line]

    def _jobs(self) -> list[Job]:
        began = {parent: found for parent, text in self._parsed() if (found := _BEGAN.match(text))}
        failed = {found["pid"]: found for _, text in self._parsed() if (found := _FAILED.match(text))}
        jobs = []
        for parent, begin in began.items():
            variables, output = self._mailed(parent)
            jobs.append(
                Job(begin["user"], begin["command"], _status(failed.get(begin["pid"])), output, variables)
            )
        return jobs

    def _mailed(self, parent: str) -> tuple[dict[str, str], bytes | None]:
        path = self._mail / parent
        if not path.exists():
            return {}, None
        headers, _, body = path.read_bytes().partition(b"\n\n")
        told = re.findall(rb"^X-Cron-Env: <([^=]*)=(.*)>$", headers, re.MULTILINE)
        return {os.fsdecode(name): os.fsdecode(value) for name, value in told}, body


def _status(failed: re.Match[str] | None) -> str:
    if failed is None:
        return "exit status 0"
    if failed["status"]:
        return failed["status"]
    return f"ended by signal {signal.Signals(int(failed['signal'])).name}"
