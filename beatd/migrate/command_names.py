"""What a command is called, from its program and arguments."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

#: What stands before the command that a line is about: a folder to go to, a test whether it is there.
_BEFORE = re.compile(r"\s*[({]?\s*(cd\s+\S+|\[\s.*?\s\]|test\s[^&;|]*?)\s*(&&|;|\|\|)\s*")
_ASSIGNMENT = re.compile(r"\w+=")

_MOST_WORDS = 4


def command_name(command: str) -> str:
    """`cd /srv; LANG=C /usr/bin/php -q /srv/cron.php >/dev/null` is `php -q cron.php`."""
    while before := _BEFORE.match(command):
        command = command[before.end() :]
    simple = re.split(r"[|;&<>]", command.strip("(){} \t"), maxsplit=1)[0]
    words = [word for word in simple.split() if not _ASSIGNMENT.match(word)]
    return " ".join(PurePosixPath(word).name for word in words[:_MOST_WORDS])


def program_of(command: str) -> str:
    """What it starts, whatever the arguments: `php` of the example above."""
    return command_name(command).partition(" ")[0]
