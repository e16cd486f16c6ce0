"""Turns the lines of a user's crontab into shell entries, all or none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import tzlocal

from beatd.errors import FieldError, InvalidInput
from beatd.migrate.crontab.parser import Crontab, Job, parse
from beatd.operations import apply
from beatd.operations.apply import Changes, Comparison, Files, Wanted
from beatd.operations.context import Context
from beatd.schedules import parse_zone

#: Names of users that are no programs: where a command begins so, the line has a user column.
_NEVER_COMMANDS = frozenset({"root", "www-data", "nobody"})

#: What stands before the command that a line is about: a folder to go to, a test whether it is there.
_BEFORE_THE_COMMAND = re.compile(r"^\s*(cd\s+\S+|\[\s.*?\s\]|test\s[^&;|]*?)\s*(&&|;)\s*")

_LONGEST_NAME = 40
_WORDS_IN_NAME = 4


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a crontab; `notes` are for the person, `skipped` are the lines that were left out."""

    changes: Changes
    timezone: str
    notes: tuple[str, ...]
    skipped: tuple[FieldError, ...]


def import_crontab(
    context: Context,
    text: str,
    name: str,
    *,
    timezone: str | None = None,
    skip_bad: bool = False,
    replace_entries: bool = False,
    dry_run: bool = False,
) -> Imported:
    """Adds an entry for every job; a second time changes nothing.

    `name` is how messages call the file; `timezone` the zone that the times are meant in (default: the
    machine's). Entries of the same names that differ are replaced only if asked for. Raises InvalidInput
    with every line that cannot be taken, and writes nothing then, unless `skip_bad`.
    """
    zone = local_zone() if timezone is None else parse_zone(timezone).key
    crontab = parse(text, name)
    files = _files(crontab, zone)
    skipped: tuple[FieldError, ...] = ()
    try:
        comparison = _compare(context, files, replace_entries)
    except InvalidInput as error:
        if not skip_bad:
            raise
        skipped = error.findings
        comparison = _compare(context, _without(files, skipped), replace_entries)
    if not dry_run:
        comparison.execute(replace(context, door="crontab"))
    return Imported(comparison.changes, zone, tuple(crontab.notes), skipped)


def local_zone() -> str:
    """The name of the machine's zone, by $TZ, /etc/timezone or /etc/localtime. Raises FieldError."""
    try:
        found = tzlocal.get_localzone_name()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = None
    try:
        return parse_zone(found or "").key
    except FieldError:
        problem = "the machine's zone cannot be found out by name; say which one with --timezone"
        raise FieldError("timezone", found, problem, example="Europe/Berlin") from None


def _compare(context: Context, files: Files, replace_entries: bool) -> Comparison:
    comparison = apply.compare(context, files)
    different = {change.name for change in comparison.changes.changed}
    if different and not replace_entries:
        problem = "there is an entry of this name already that differs; --replace replaces it"
        taken = [entry for entry in files.wanted if entry.name in different]
        raise InvalidInput([FieldError("name", entry.name, problem, where=entry.where) for entry in taken])
    return comparison


def _without(files: Files, findings: Iterable[FieldError]) -> Files:
    bad = {finding.where for finding in findings}
    return Files(tuple(entry for entry in files.wanted if entry.where not in bad))


def _files(crontab: Crontab, zone: str) -> Files:
    findings = list(crontab.findings)
    wanted = []
    for name, job in zip(_names(crontab.jobs), crontab.jobs, strict=True):
        where = f"{crontab.name}:{job.line}"
        first, _, rest = job.command.partition(" ")
        if first in _NEVER_COMMANDS and rest.strip():
            problem = "looks like the user of a system crontab; only users' own crontabs are read"
            findings.append(FieldError("command", first, problem, where=where))
        wanted.append(Wanted(name, _options(job, zone), where))
    return Files(tuple(wanted), tuple(findings))


def _options(job: Job, zone: str) -> dict[str, Any]:
    shell = job.env.get("SHELL", "/bin/sh")
    home = job.env.get("HOME", "")
    options: dict[str, Any] = {
        "description": job.comment,
        "cron": job.schedule,
        "timezone": zone,
        # the worker's shell is one for all entries
        "shell": job.command if shell == "/bin/sh" else f"exec {shell} -c {shlex.quote(job.command)}",
        "cwd": home if home.startswith("/") else None,
        "env": dict(job.env) or None,
        "stdin": job.stdin,
    }
    return {key: value for key, value in options.items() if value is not None}


# Names


def _names(jobs: Iterable[Job]) -> list[str]:
    """One for each job: of its comment or else its command, `-2`, `-3` … where several have the same."""
    names: list[str] = []
    for job in jobs:
        name = _slug(job.comment or "")
        if not name or len(name) > _LONGEST_NAME:
            name = _command_slug(job.command)
        number, unique = 1, name
        while unique in names:
            number += 1
            unique = f"{name}-{number}"
        names.append(unique)
    return names


def _command_slug(command: str) -> str:
    """`/usr/bin/php -q /srv/cron.php >/dev/null` is `php-q-cron-php`."""
    itself = _BEFORE_THE_COMMAND.sub("", command)
    simple = re.split(r"[|;&<>]", itself, maxsplit=1)[0]
    words = [word for word in simple.split() if not re.match(r"\w+=", word)]
    slug = _slug(" ".join(PurePosixPath(word).name for word in words[:_WORDS_IN_NAME]))
    return slug[:_LONGEST_NAME].strip("-") or "job"


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")
