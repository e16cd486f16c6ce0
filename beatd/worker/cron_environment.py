"""What Debian's cron gives a command: its environment, its shell, and the folder it starts in.

Nothing of the worker's own environment gets through. Below stands what PAM reads for every session of cron
(/etc/environment, then /etc/default/locale), above it what cron sets by itself, above that what the crontab
set; but LOGNAME is always the user's. The command is run by what SHELL names, in what HOME names. A HOME that
cannot be entered is no error: the command then starts where cron stands.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Where cron itself stands, and what a relative HOME counts from.
CRON_FOLDER = "/var/spool/cron"

#: What pam_env is told to read in Debian's /etc/pam.d/cron, in this order.
PAM_FILES = ("/etc/environment", "/etc/default/locale")

_ASSIGNMENT = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z0-9_]+)=(.*)")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """All variables of a command whose crontab set those that are `given`."""
    user, home = _user()
    own = {"SHELL": "/bin/sh", "HOME": home, "PATH": "/usr/bin:/bin"}
    return {**of_pam(), **own, **given, "LOGNAME": user}


def folder(home: str) -> str:
    """Where a command with this HOME starts."""
    for candidate in (os.path.join(CRON_FOLDER, home), CRON_FOLDER):  # noqa: PTH118 "" must stay ""
        path = candidate.encode("utf-8", "surrogateescape")
        if os.path.isdir(path) and os.access(path, os.X_OK):  # noqa: PTH112 bytes
            return candidate
    return "/"


def of_pam() -> dict[str, str]:
    """The variables of the machine's sessions; files that are not there or cannot be read set none."""
    found: dict[str, str] = {}
    for name in PAM_FILES:
        try:
            text = Path(name).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            continue
        found.update(assignments(text))
    return found


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """As pam_env reads them: `NAME=value`, perhaps after `export`. One quote is taken off either end, and
    nothing is expanded.
    """
    for line in _lines(text):
        found = _ASSIGNMENT.fullmatch(line)
        if found:
            value = found[2]
            if value[:1] in ("'", '"'):
                value = value[1:]
            if value[-1:] in ("'", '"'):
                value = value[:-1]
            yield found[1], value


def _lines(text: str) -> Iterator[str]:
    """Without comments, which begin at `#` wherever it stands; a backslash at the end of a line continues it,
    also when blanks follow; the last one is nothing then."""
    begun = ""
    for line in (line.partition("#")[0] for line in text.split("\n")):
        said = line.rstrip()
        if said.endswith("\\"):
            begun += said[:-1]
        elif said:
            yield begun + line
            begun = ""


def _user() -> tuple[str, str]:
    """Name and home of the user that this process runs as."""
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:  # a user without an entry, as in some containers; cron could not run for it
        return str(os.geteuid()), "/"
    return entry.pw_name, entry.pw_dir
