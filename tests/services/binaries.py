"""Where the servers' programs are on this machine. Only the standard library: `ensure` runs on it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

#: Programs that Debian keeps off the PATH of ordinary users.
FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/lib/rabbitmq/bin", "/usr/libexec")

#: program the tests run -> (what it is called, Debian's package that brings it)
NEEDED = {
    "postgres": ("PostgreSQL", "postgresql"),
    "rabbitmq-server": ("RabbitMQ", "rabbitmq-server"),
    "redis-server": ("Redis", "redis-server"),
    "mariadbd": ("MariaDB", "mariadb-server"),
    "systemd-analyze": ("systemd-analyze", "systemd"),
}


class NotInstalled(Exception):
    """A program that the tests run is not on this machine."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.program = program

    def __str__(self) -> str:
        return f"{self.program} is not installed: `python -m tests.services.ensure` says what to install"


def program(name: str) -> str:
    """The path of a server's program. Raises NotInstalled."""
    path = find(name)
    if path is None:
        raise NotInstalled(name)
    return path


def find(name: str) -> str | None:
    for folder in (*_preferred(name), *FOLDERS):
        path = shutil.which(name, path=str(folder))
        if path is not None:
            return path
    return shutil.which(name)


def missing() -> dict[str, str]:
    """What the tests need and this machine lacks: name -> Debian package."""
    return {name: package for program, (name, package) in NEEDED.items() if find(program) is None}


def _preferred(name: str) -> list[Path]:
    if name in ("postgres", "initdb"):
        found = Path("/usr/lib/postgresql").glob("*/bin")
        return sorted(found, key=lambda folder: int(folder.parent.name), reverse=True)
    if name == "rabbitmq-server":
        # Debian's wrapper in /usr/sbin insists on root or the user rabbitmq; this one does not.
        return [Path("/usr/lib/rabbitmq/bin")]
    return []


def number(text: str) -> str:
    """The first dotted number in what a program says of its version."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else text
