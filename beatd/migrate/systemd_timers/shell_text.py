"""A command of a service as text for `sh -c` that does the same: its words quoted, its variables those that
systemd would put in (systemd.service(5), COMMAND LINES)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beatd.migrate.systemd_timers.words import Command, WordError, split_words

#: The variables of a service with a user, which the worker of that user has as well.
_OF_THE_USER = ("HOME", "USER", "LOGNAME", "SHELL")
_BRACED = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: What a shell takes for its own where a service means a program.
_OF_THE_SHELL = frozenset(
    """. : [ alias bg break cd command continue echo eval exec exit export false fc fg getopts hash jobs kill
    local printf pwd read readonly return set shift test time times trap true type ulimit umask unalias unset
    wait if then else elif fi case esac for while until do done in function select { } ! [[""".split()  # noqa: SIM905
)


class ShellTextError(ValueError):
    """Its text goes on from the command line."""


@dataclass(frozen=True, slots=True)
class Variables:
    """What the unit sets, and whether it has the variables of a user."""

    values: Mapping[str, str]
    of_user: bool

    def braced(self, name: str) -> str:
        """`${NAME}` as shell text, in double quotes."""
        if name in self.values and _NAME.fullmatch(name):
            return f'"${{{name}}}"'
        if name in _OF_THE_USER and self.of_user:
            return f'"${{{name}}}"'
        raise ShellTextError(f"${{{name}}} is not set by the unit, so that systemd alone knows its value")

    def split(self, name: str) -> list[str]:
        """`$NAME` as a word of its own: its value's words."""
        if name not in self.values:
            return [self.braced(name)]
        try:
            return [shlex.quote(word) for word in split_words(self.values[name])]
        except WordError as problem:
            raise ShellTextError(f"${name} {problem}") from None


def shell_text(command: Command, variables: Variables) -> str:
    """Raises ShellTextError."""
    if command.own_name:
        raise ShellTextError("'@' calls the program by another name, which a shell cannot")
    if command.in_shell:
        raise ShellTextError("'|' runs it in the shell of the user")
    if "$" in command.program:
        raise ShellTextError("systemd puts no variable in for the program")
    words = [shlex.quote(command.program)]
    if command.program in _OF_THE_SHELL:
        words.insert(0, "/usr/bin/env")
    for argument in command.arguments:
        words += [shlex.quote(argument)] if command.plain else _argument(argument, variables)
    return " ".join(words)


def prefixed(text: str, words: Sequence[str]) -> str:
    """With programs before it that start it."""
    return " ".join([*map(shlex.quote, words), text])


def _argument(word: str, variables: Variables) -> list[str]:
    if word[:1] == "$" and word[1:2] not in ("{", "$"):
        if not _NAME.fullmatch(word[1:]):
            raise ShellTextError(
                f"systemd takes {word!r} for a variable, and leaves it out; '$$' is a dollar sign"
            )
        return variables.split(word[1:])
    parts, at = [], 0
    literal = ""
    for found in _BRACED.finditer(word):
        literal += word[at : found.start()]
        at = found.end()
        if found[0] == "$$":
            literal += "$"
            continue
        parts += [shlex.quote(literal)] if literal else []
        parts.append(variables.braced(found[1]))
        literal = ""
    literal += word[at:]
    if literal or not parts:
        parts.append(shlex.quote(literal))
    return ["".join(parts)]
