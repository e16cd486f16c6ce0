"""Entries files: TOML with a table for each entry and each calendar, and where everything stands in them.

`[entry.NAME]` holds the options of an entry, `[calendar.NAME]` those of a calendar. A table is the whole
truth about what it is named after: an option that is not in it goes back to its default.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from beatd.errors import FieldError, InvalidInput, nearest
from beatd.operations.calendars import CALENDAR_OPTIONS
from beatd.operations.options import OPTIONS, Options
from beatd.planning.examples import EXAMPLES, given

_PIECE = r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"\s*({_PIECE}(?:\s*\.\s*{_PIECE})*)\s*=")
_HEADER = re.compile(rf"\s*\[\s*({_PIECE}(?:\s*\.\s*{_PIECE})*)\s*\]")
_MULTILINE = re.compile(r'"""|\'\'\'')
_WHERE_IN_MESSAGE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


@dataclass(frozen=True)
class Source:
    """The text of one entries file; `name` is how messages call it."""

    name: str
    text: str

    @classmethod
    def read(cls, path: Path) -> Source:
        """Raises FieldError."""
        try:
            return cls(str(path), path.read_text("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise FieldError("file", str(path), f"is not UTF-8 text (byte {error.start})") from error
        except OSError as error:
            raise FieldError("file", str(path), f"cannot be read: {error.strerror}") from error

    def where(self, *path: str) -> str:
        """`file:line` of a key or table, or of the innermost table around it that has a line."""
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length]):
                return f"{self.name}:{line}"
        return f"{self.name}:1"

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        """The first line of every table and key, and of whatever they lie in."""
        lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        within: str | None = None
        for number, line in enumerate(self.text.split("\n"), 1):
            outside = within is None
            for quotes in _MULTILINE.findall(line):
                within = quotes if within is None else None if quotes == within else within
            if not outside:
                continue
            if header := _HEADER.match(line):
                table = found = _path(header[1])
            elif key := _KEY.match(line):
                found = table + _path(key[1])
            else:
                continue
            for length in range(1, len(found) + 1):
                lines.setdefault(found[:length], number)
        return lines


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry or calendar as a file has it; `where` is its place, `places` those of its options."""

    name: str
    options: Options
    where: str
    places: Mapping[str, str] = field(default_factory=dict)

    def at(self, finding: FieldError) -> FieldError:
        return finding.at(self.places.get(finding.field.partition(".")[0], self.where))


@dataclass(frozen=True, slots=True)
class Files:
    """The entries and calendars of all files, in order, and what is wrong with the files' form."""

    wanted: tuple[Wanted, ...]
    findings: tuple[FieldError, ...] = ()
    calendars: tuple[Wanted, ...] = ()


def load(paths: Sequence[Path], stdin: str | None = None) -> Files:
    """Reads files; what is wrong with them is for `apply.compare` to raise, together with all else.

    A `stdin` text stands for the path `-`.
    """
    sources: list[Source] = []
    findings: list[FieldError] = []
    for path in paths:
        try:
            sources.append(Source.read(path) if stdin is None or str(path) != "-" else Source("stdin", stdin))
        except FieldError as finding:
            findings.append(finding)
    files = read(sources)
    return Files(files.wanted, (*findings, *files.findings), files.calendars)


def read(sources: Sequence[Source]) -> Files:
    findings: list[FieldError] = []
    wanted: dict[str, dict[str, Wanted]] = {kind: {} for kind in _OPTIONS}
    for source in sources:
        for kind, one in _read(source, findings):
            if one.name in wanted[kind]:
                problem = f"is in {wanted[kind][one.name].where} already"
                findings.append(FieldError(kind, one.name, problem, where=one.where))
            wanted[kind].setdefault(one.name, one)
    entries, calendars = (tuple(found.values()) for found in wanted.values())
    return Files(entries, tuple(findings), calendars)


def read_one(text: str) -> dict[str, Any]:
    """The options of the only entry of a text, its `name` among them. Raises InvalidInput."""
    files = read([Source("line", text)])
    if files.findings:
        raise InvalidInput(files.findings)
    if len(files.wanted) != 1 or files.calendars:
        problem = "exactly one table [entry.NAME] is wanted"
        raise InvalidInput([FieldError("entries", len(files.wanted), problem)])
    return {**files.wanted[0].options, "name": files.wanted[0].name}


#: The kinds of tables, and the keys that each may hold.
_OPTIONS = {"entry": OPTIONS, "calendar": CALENDAR_OPTIONS}
_KEYS = {"entry": given("cron"), "calendar": "country = 'DE'"}


def _read(source: Source, findings: list[FieldError]) -> Iterator[tuple[str, Wanted]]:
    try:
        document = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        findings.append(_not_toml(source, str(error)))
        return
    for key in document.keys() - _OPTIONS.keys():
        example = f"[entry.{key}]" if isinstance(document[key], dict) else None
        problem = "unknown key; a file holds tables [entry.NAME] and [calendar.NAME]"
        findings.append(
            FieldError(key, _short(document[key]), problem, example=example, where=source.where(key))
        )
    for kind in _OPTIONS:
        tables = document.get(kind, {})
        if isinstance(tables, dict):
            for name, table in tables.items():
                yield kind, _wanted(source, kind, name, table, findings)
        else:
            problem, example = f"a table for each {kind} is wanted", f"[{kind}.NAME]"
            findings.append(FieldError(kind, tables, problem, example=example, where=source.where(kind)))


def _wanted(source: Source, kind: str, name: str, table: Any, findings: list[FieldError]) -> Wanted:
    where = source.where(kind, name)
    if not isinstance(table, dict):
        findings.append(FieldError(kind, name, "a table is wanted", example=f"[{kind}.{name}]", where=where))
        return Wanted(name, {}, where)
    known = _OPTIONS[kind]
    for key in table.keys() - set(known):
        findings.append(_unknown(kind, name, key, table[key], source.where(kind, name, key)))
    options = {key: value for key, value in table.items() if key in known}
    return Wanted(name, options, where, {key: source.where(kind, name, key) for key in options})


def _unknown(kind: str, name: str, key: str, value: Any, where: str) -> FieldError:
    near = nearest(key.replace("-", "_"), _OPTIONS[kind])
    if near:
        problem = f"unknown key; did you mean {near[0]!r}?"
        example = given(near[0]) if near[0] in EXAMPLES else None
        return FieldError(key, _short(value), problem, example=example, where=where)
    if isinstance(value, dict):
        problem = "unknown key; a name with dots must be quoted"
        return FieldError(key, "{…}", problem, example=f'[{kind}."{name}.{key}"]', where=where)
    problem = f"unknown key; known are {', '.join(_OPTIONS[kind])}"
    return FieldError(key, _short(value), problem, example=_KEYS[kind], where=where)


def _not_toml(source: Source, message: str) -> FieldError:
    lines = source.text.split("\n")
    found = _WHERE_IN_MESSAGE.search(message)
    number = min(int(found[1]) if found and found[1] else len(lines), len(lines))
    problem = f"not TOML: {_WHERE_IN_MESSAGE.sub('', message)}"
    return FieldError("line", lines[number - 1].strip(), problem, where=f"{source.name}:{number}")


def _path(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted."""
    try:
        value: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)
    parts: list[str] = []
    while isinstance(value, dict):
        [(part, value)] = value.items()
        parts.append(part)
    return tuple(parts)


def _short(value: Any) -> Any:
    return "{…}" if isinstance(value, dict) else value
