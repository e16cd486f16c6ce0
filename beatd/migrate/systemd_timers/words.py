"""Words of a unit's values, and commands in them: quotes, escapes, prefixes (systemd.syntax(7),
systemd.service(5), COMMAND LINES)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = " \t\n\r"
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
#: A letter, how many digits follow it, of which base.
_NUMBERED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}


class WordError(ValueError):
    """Its text goes on from the value."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command line. `ignores_failure` is `-`, `plain` is `:` (no variables), `own_name` is `@` (the
    word after the program is what it is told to be called), `privileged` is `+`, `!` or `!!`."""

    program: str
    arguments: tuple[str, ...]
    ignores_failure: bool = False
    plain: bool = False
    own_name: bool = False
    privileged: bool = False
    in_shell: bool = False


def split_words(text: str) -> list[str]:
    """Raises WordError."""
    return [word for word, _ in _words(text)]


def split_commands(text: str) -> list[Command]:
    """The commands of a value: a `;` that is a word of its own parts two. Raises WordError."""
    commands: list[Command] = []
    words: list[str] = []
    for word, written in _words(text):
        if written == ";":
            if words:
                commands.append(_command(words))
            words = []
        else:
            words.append(";" if written == "\\;" else word)
    if words:
        commands.append(_command(words))
    return commands


def _command(words: list[str]) -> Command:
    program = words[0]
    signs = set()
    while program and program[0] in "-@:+!|":
        signs.add(program[0])
        program = program[1:]
    if not program:
        raise WordError("names no program")
    return Command(
        program,
        tuple(words[1:]),
        ignores_failure="-" in signs,
        plain=":" in signs,
        own_name="@" in signs,
        privileged=bool(signs & {"+", "!"}),
        in_shell="|" in signs,
    )


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Each word, and how it is written."""
    at = 0
    while True:
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at == len(text):
            return
        word, end = _word(text, at)
        yield word, text[at:end]
        at = end


def _word(text: str, at: int) -> tuple[str, int]:
    found: list[str] = []
    quote = ""
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            character, at = _escaped(text, at + 1)
            found.append(character)
            continue
        if quote:
            quote = "" if sign == quote else quote
            found += [] if not quote else [sign]
        elif sign in "\"'":
            quote = sign
        elif sign in _BLANK:
            break
        else:
            found.append(sign)
        at += 1
    if quote:
        raise WordError(f"a quote {quote} is not closed")
    return "".join(found), at


def _escaped(text: str, at: int) -> tuple[str, int]:
    """What comes after a backslash, and where it ends; an escape that is not known stays as it is."""
    sign = text[at : at + 1]
    if not sign:
        raise WordError("ends with a backslash")
    if sign in _ESCAPES:
        return _ESCAPES[sign], at + 1
    count, base, began = (*_NUMBERED[sign], at + 1) if sign in _NUMBERED else (3, 8, at)
    digits = text[began : began + count]
    try:
        number = int(digits, base) if len(digits) == count and digits.isalnum() else 0
        if 0 < number < (256 if base == 8 else 0x110000):
            # bytes above ASCII travel as they do in file names
            character = chr(number) if number < 128 or sign in "uU" else chr(0xDC00 + number)
            return character, began + count
    except ValueError:
        pass
    return "\\" + sign, at + 1
