"""Reads a user's crontab: `crontab -l`, not the system's files with a user in each line.

Only the form is looked at: whether a schedule can be understood is for the entry's own check to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from beatd.errors import FieldError

#: Settings of cron itself, which are not handed to commands here.
_CRONS_OWN = {
    "MAILTO": "no mail is sent; output is kept in the history",
    "MAILFROM": "no mail is sent; output is kept in the history",
    "CRON_TZ": "Debian's cron does not know it, so times stay in the machine's zone; --timezone sets another",
    "RANDOM_DELAY": "runs start without delay",
}

_SETTING = re.compile(
    r"""\s*(?P<name>"[^"]*"|'[^']*'|[^\s=]+)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s"'].*?|)\s*"""
)
_NICKNAME = re.compile(r"(?P<when>@\S*)\s+(?P<command>\S.*)")
_FIVE_FIELDS = re.compile(r"(?P<when>(?:\S+\s+){5})(?P<command>\S.*)")
_ESCAPED = re.compile(r"\\(.)|%", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Job:
    """One line that runs something. `command` and `stdin` are what the shell gets; `env` what was set
    above the line; `comment` the one right above it.
    """

    line: int
    schedule: str
    command: str
    stdin: str | None
    env: Mapping[str, str]
    comment: str | None


@dataclass(slots=True)
class Crontab:
    """What a file says. `findings` are lines that cannot be taken; `notes` what a person should know."""

    name: str
    jobs: list[Job] = field(default_factory=list)
    findings: list[FieldError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse(text: str, name: str) -> Crontab:
    """`name` is how messages call the file."""
    crontab = Crontab(name)
    env: dict[str, str] = {}
    comment: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.removesuffix("\r").lstrip(" \t")
        if stripped.startswith("#"):
            comment = _comment(stripped)
            continue
        if stripped and (setting := _SETTING.fullmatch(stripped)):
            _set(crontab, env, number, *map(_unquoted, setting.group("name", "value")))
        elif stripped:
            _read_job(crontab, number, stripped, dict(env), comment)
        comment = None
    return crontab


def split_input(command: str) -> tuple[str, str | None]:
    """A command at its first `%`: what the shell runs, and its standard input, where further ones are
    newlines. `\\%` is a percent sign.
    """
    pieces, start = [""], 0
    for found in _ESCAPED.finditer(command):
        pieces[-1] += command[start : found.start()]
        start = found.end()
        if found[0] == "%":
            pieces.append("")
        else:
            pieces[-1] += "%" if found[1] == "%" else found[0]
    pieces[-1] += command[start:]
    return pieces[0], "\n".join(pieces[1:]) + "\n" if len(pieces) > 1 else None


def _set(crontab: Crontab, env: dict[str, str], number: int, name: str, value: str) -> None:
    if name in _CRONS_OWN:
        crontab.notes.append(f"{crontab.name}:{number}: {name}={value} is left out: {_CRONS_OWN[name]}")
    else:
        env[name] = value


def _read_job(crontab: Crontab, number: int, line: str, env: dict[str, str], comment: str | None) -> None:
    where = f"{crontab.name}:{number}"
    found = _job(line)
    if found is None:
        problem = "neither a setting nor five fields (or an @-name) and a command"
        finding = FieldError("line", line, problem, example="30 6 * * 1-5 /usr/local/bin/backup", where=where)
        crontab.findings.append(finding)
        return
    when, command = " ".join(found["when"].split()), found["command"]
    if command.startswith("*"):
        problem = "more than five fields; cron has neither seconds nor years"
        crontab.findings.append(FieldError("cron", f"{when} {command.split()[0]}", problem, where=where))
        return
    if when == "@reboot":
        problem = "entries that run at boot cannot be written yet; leave this line with cron"
        crontab.findings.append(FieldError("cron", when, problem, where=where))
        return
    shell, stdin = split_input(command)
    crontab.jobs.append(Job(number, when, shell, stdin, env, comment))


def _job(line: str) -> re.Match[str] | None:
    return _NICKNAME.fullmatch(line) if line.startswith("@") else _FIVE_FIELDS.fullmatch(line)


def _comment(line: str) -> str | None:
    """What a comment says about the line below; a job that was commented out says nothing."""
    text = line.strip("# \t")
    if re.match(r"m\s+h\s+(dom|\S+\s+mon)", text) or re.match(r"[-*=_~]{3}", text):
        return None
    looks_like_a_job = re.match(r"@\w+\s|([\d*,/-]+\s+){2}", text)
    return None if looks_like_a_job or _SETTING.fullmatch(text) else text or None


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
