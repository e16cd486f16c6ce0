"""Whose commands they are: which queue a line goes to, and which workers are wanted for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from beatd.migrate.found import Found

_QUEUE = "user."

#: Folders in which each user has a crontab of his name: of Debian, openSUSE, Fedora and Alpine.
_SPOOL = re.compile(r"(?:.*/)?(?:var/spool/cron(?:/crontabs|/tabs)?|etc/crontabs)/(?P<user>[^/]+)")

#: The files that the crons read, by their whole paths.
_READ_BY_CRON = re.compile(
    r"/etc/(?:crontab|anacrontab|cron\.d/[^/]+|crontabs/[^/]+)|/var/spool/cron/(?:crontabs/|tabs/)?[^/]+"
)


def queue_of(user: str) -> str:
    """The queue that the worker of this user takes, and no other."""
    return f"{_QUEUE}{user}"


def user_of(queue: str | None) -> str | None:
    """Whose commands the queue is for, if for one user's."""
    return queue.removeprefix(_QUEUE) if queue and queue.startswith(_QUEUE) else None


def owner_of(path: str) -> str | None:
    """Whose crontab lies at this path, where the path says so."""
    found = _SPOOL.fullmatch(path)
    return found["user"] if found and found["user"] not in ("crontabs", "tabs") else None


def is_this_machines(path: str) -> bool:
    """Whether cron of this machine reads it, or it came by standard input as `crontab -l` prints it."""
    return path == "stdin" or _READ_BY_CRON.fullmatch(path) is not None


def is_spool(folder: Path) -> bool:
    """Whether the files of this folder are the crontabs of the users that they are named after."""
    return owner_of(str(folder / "anyone")) is not None


def users_of(found: Iterable[Found]) -> tuple[str, ...]:
    """The users of whom a worker is needed."""
    queues = {str(one.options.get("queue") or "") for one in found}
    return tuple(sorted(queue.removeprefix(_QUEUE) for queue in queues if queue.startswith(_QUEUE)))


def unit_of(user: str) -> str:
    """The unit of this user's worker."""
    return f"beatd-worker@{user}.service"
