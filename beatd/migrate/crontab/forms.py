"""Whether a crontab is a user's or a system's: whether its lines have a user before the command.

A line read in the other form runs another command as another user, so nothing is guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from beatd.migrate.crontab.crons import Form

_SYSTEM_PLACES = re.compile(r"(?:.*/)?(?:etc/crontab|cron\.d/[^/]+)")
_USER_PLACES = re.compile(r"(?:.*/)?(?:spool/cron(?:/crontabs|/tabs)?|etc/crontabs)/[^/]+")

#: Users that no program is called after.
_USERS = re.compile(r"root|www-data|nobody")
#: Words that no user is called, of those that could be a user's name: the shell's own, and its interpreters.
_NO_USERS = re.compile(
    r"cd|echo|test|if|for|while|until|case|exec|eval|export|set|source|true|false|umask|ulimit|unset|trap|wait|"
    r"sh|bash|dash|ksh|zsh|env|sudo|su|nice|ionice|flock|timeout|nohup|sleep|find|grep|rm|cp|mv|ln|cat|"
    r"touch|mkdir|chown|chmod|tar|gzip|curl|wget|rsync|ssh|scp|kill|pkill|killall|run-parts|"
    r"(python|perl|php)[0-9.]*"
)
_CANNOT_BE_USER = re.compile(
    r"[/:*?<>{}%()\"'`|&;=\[\]!#~,$\x00-\x20\x7f]|^[-.0-9]|\.(sh|py|pl|php|rb|js)$|^$"
)
_TEMPLATE = re.compile(r"<%|\{\{|\{%|@[A-Z_]+@")

_ASK = "say --user or --system"


@dataclass(frozen=True, slots=True)
class Told:
    """The form, and what a person should know of how it was told. `doubt` is why it cannot be."""

    form: Form
    note: str | None = None
    doubt: str | None = None


def tell(path: str, commands: Iterable[str]) -> Told:
    """By the place of the file, which is what its cron goes by; elsewhere by what stands in all of the lines
    where the user or the command does, if that leaves no doubt.
    """
    evidence = {_evidence(command) for command in commands}
    if by_path := form_of_place(path):
        return Told(by_path, _against(path, by_path, evidence))
    if evidence <= {"user"} or ("system" not in evidence and "user" in evidence):
        return Told("user")
    if "system" in evidence and evidence <= {"system", "like system"}:
        return Told("system")
    if {"system", "user"} <= evidence:
        problem = "some lines of this file have a user before the command, and some cannot have one"
    else:
        problem = "whether the lines of this file have a user before the command is not to be told"
    return Told("user", doubt=f"{problem}: {_ASK}")


def form_of_place(path: str) -> Form | None:
    """By where the crons look for each, below whatever folder that lies. Standard input lies nowhere."""
    if path == "stdin":
        return None
    place = os.path.abspath(path)  # noqa: PTH100 (Path leaves `..`, or follows links)
    if _SYSTEM_PLACES.fullmatch(place):
        return "system"
    return "user" if _USER_PLACES.fullmatch(place) else None


def spool_user(path: str) -> str | None:
    """Whose crontab it is, of one in the cron's own folder."""
    return PurePath(path).name if form_of_place(path) == "user" else None


def can_be_user(name: str) -> bool:
    """Whether a user may be called so. Whether there is one is for the machine to say."""
    return not _CANNOT_BE_USER.search(name)


def user_column(command: str) -> str | None:
    """What is surely meant as a user, where a command begins with such."""
    first, second, *_ = [*command.split(None, 2), "", ""]
    return first if _USERS.fullmatch(first) and second else None


def _against(path: str, by_path: Form, evidence: Collection[str]) -> str | None:
    if by_path == "system" and "user" in evidence:
        return f"cron reads {path} with a user in each line, and some lines have none"
    if by_path == "user" and "system" in evidence:
        return (
            f"cron reads {path} without users, and some lines have one: cron takes it for the name of a "
            "command, and so it is here"
        )
    return None


def _evidence(command: str) -> Literal["user", "system", "like system", "either"]:
    """The form that a line can only be of. One like a system's is so where others are."""
    first, second, *_ = [*command.split(None, 2), "", ""]
    if _TEMPLATE.match(first):
        return "either"
    is_followed = second != "" and not second.startswith("-")
    if _USERS.fullmatch(first):
        return "system" if is_followed else "either"
    if not can_be_user(first) or _NO_USERS.fullmatch(first) or not is_followed:
        return "user"
    return "like system" if second.startswith("/") else "either"
