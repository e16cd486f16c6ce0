"""Lines that run a folder of scripts: `run-parts /etc/cron.daily`.

Such a line is one entry that does what it does. On demand it is one entry for each script, which runs them
side by side instead of one after the other. Where anacron is installed, Debian's own lines leave the work to
it; their test stays in the command, so that it is so for the entry as well.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from beatd.errors import FieldError
from beatd.migrate.crontab.crons import Cron

_TEST = r"(?:test\s+-[xfes]\s+(?P<tested>\S+)|\[\s+-[xfes]\s+(?P<bracketed>\S+)\s+\])\s*\|\|\s*"
_LINE = re.compile(
    rf"""(?P<before>\s*(?:{_TEST})?(?:[({{]\s*)?(?:cd\s+/\s*&&\s*)?(?:nice(?:\s+-n\s*-?\d+|\s+-\d+)?\s+)?)
    (?P<call>(?:/\S*/)?run-parts(?P<options>(?:\s+-\S+)*)\s+(?P<folder>/\S*[^\s;)}}]))
    (?P<after>\s*;?\s*[)}}]?\s*)""",
    re.VERBOSE,
)

#: Options that change nothing but what is printed beside the scripts' own output.
_HARMLESS = frozenset({"--report", "-v", "--verbose"})

_NAMES = re.compile(r"[A-Za-z0-9_-]+")
_LEFT_BY_PACKAGES = (".rpmsave", ".rpmorig", ".rpmnew", ".swp", ",v", ".cfsaved")


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a line says that runs the scripts of `folder`; `unless` is a program that leaves it to itself."""

    folder: str
    unless: str | None
    _before: str
    _options: tuple[str, ...]
    _after: str

    def command(self, script: Path) -> str:
        """The line's command with one script in the place of them all."""
        return f"{self._before}{shlex.quote(str(script))}{self._after}"

    @property
    def other_options(self) -> tuple[str, ...]:
        """Those by which run-parts does something else than to run its scripts in turn."""
        return tuple(option for option in self._options if option not in _HARMLESS)


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts that run-parts starts, in its order, and what it leaves out, each with the reason."""

    taken: tuple[Path, ...]
    left_out: tuple[str, ...]


def run_parts_of(command: str) -> RunParts | None:
    """What this command says, if run-parts of a folder is all that it does."""
    found = _LINE.fullmatch(command)
    if found is None:
        return None
    return RunParts(
        folder=found["folder"].rstrip("/"),
        unless=found["tested"] or found["bracketed"],
        _before=found["before"],
        _options=tuple(found["options"].split()),
        _after=found["after"],
    )


def scripts_of(parts: RunParts, cron: Cron, where: str) -> Scripts:
    """The folder's scripts as they are now. Raises FieldError."""
    if parts.other_options:
        problem = "means something for all scripts together; leave the folder one entry"
        raise FieldError("run_parts", " ".join(parts.other_options), problem, where=where)
    try:
        scripts = sorted(Path(parts.folder).iterdir(), key=os.fsencode)
    except OSError as error:
        problem = f"the folder cannot be read ({error.strerror}); leave it one entry"
        raise FieldError("run_parts", parts.folder, problem, where=where) from None
    taken, left_out = [], []
    for script in scripts:
        reason = _left_out(script, cron)
        if reason is None:
            taken.append(script)
        elif reason:
            left_out.append(f"{script} {reason}")
    return Scripts(tuple(taken), tuple(left_out))


def _left_out(script: Path, cron: Cron) -> str | None:
    """Why run-parts does not start it; no text where nobody would expect that it did."""
    name = script.name
    if name.startswith(".") or script.is_dir():
        return ""
    if cron == "debian" and not _NAMES.fullmatch(name):
        return "is never run: run-parts takes names of letters, digits, _ and - alone"
    if cron == "cronie" and (name.endswith(("~", ",")) or name.endswith(_LEFT_BY_PACKAGES)):
        return "is never run: run-parts leaves out what editors and packages leave behind"
    if not os.access(script, os.X_OK):
        return "is never run: it is not executable"
    return None
