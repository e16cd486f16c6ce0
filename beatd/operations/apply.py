"""Makes the entries what TOML files say: read, compare, then everything in one transaction.

A file has one table an entry, `[entry.NAME]`, whose keys are the options. The table is the whole truth
about its entry: an option that is not in it goes back to its default.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from beatd.errors import Conflict, FieldError, InvalidInput, nearest
from beatd.operations import writing
from beatd.operations.context import Context
from beatd.operations.options import OPTIONS, Options, new_columns, option_changes
from beatd.store import entries
from beatd.store.entries import StoredEntry

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
    """One entry as a file has it; `where` is its place, `places` those of its options."""

    name: str
    options: Options
    where: str
    places: Mapping[str, str] = field(default_factory=dict)

    def at(self, finding: FieldError) -> FieldError:
        return finding.at(self.places.get(finding.field.partition(".")[0], self.where))


@dataclass(frozen=True, slots=True)
class Files:
    """The entries of all files, in order, and what is wrong with the files' form."""

    wanted: tuple[Wanted, ...]
    findings: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one entry: options with their old and new values."""

    name: str
    options: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying would do. `unchanged` counts the entries that are as the files say already."""

    added: tuple[Change, ...]
    changed: tuple[Change, ...]
    removed: tuple[Change, ...]
    unchanged: int

    @property
    def nothing(self) -> bool:
        return not (self.added or self.changed or self.removed)


class Comparison:
    """Entries that are wanted against those that are there."""

    def __init__(self) -> None:
        self._added: list[writing.Columns] = []
        self._changed: list[tuple[StoredEntry, writing.Columns]] = []
        self._removed: list[StoredEntry] = []
        self._unchanged = 0
        #: what is allowed, and probably not what its author expects
        self.remarks: list[str] = []

    @property
    def changes(self) -> Changes:
        empty: dict[str, Any] = {"enabled": True}
        return Changes(
            tuple(Change(str(new["name"]), _without_name(option_changes(empty, new))) for new in self._added),
            tuple(Change(old.name, option_changes(old.columns, new)) for old, new in self._changed),
            tuple(Change(old.name, {}) for old in self._removed),
            self._unchanged,
        )

    def compare(self, found: StoredEntry | None, columns: writing.Columns) -> None:
        if found is None:
            self._added.append(columns)
        elif writing.changes(found.columns, columns):
            self._changed.append((found, columns))
        else:
            self._unchanged += 1

    def prune(self, found: Iterable[StoredEntry]) -> None:
        self._removed += found

    def execute(self, context: Context) -> None:
        """Does it all in one transaction. Raises Conflict if an entry was edited since the comparison."""
        with context.database.write() as transaction:
            known = {entry.name: entry for entry in [*(old for old, _ in self._changed), *self._removed]}
            names = [*known, *(str(columns["name"]) for columns in self._added)]
            for entry in entries.find_named(transaction, names, lock=True):
                before = known.pop(entry.name, None)
                if before is None or (before.id, before.version) != (entry.id, entry.version):
                    raise _moved(entry.name)
            if known:
                raise _moved(next(iter(known)))
            writing.delete(context, transaction, self._removed)
            writing.update(context, transaction, self._changed, "change")
            writing.insert(context, transaction, self._added)


def load(paths: Sequence[Path], stdin: str | None = None) -> Files:
    """Reads files; what is wrong with them is for `compare` to raise, together with all else.

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
    return Files(files.wanted, (*findings, *files.findings))


def read(sources: Sequence[Source]) -> Files:
    findings: list[FieldError] = []
    wanted: dict[str, Wanted] = {}
    for source in sources:
        for entry in _read(source, findings):
            if entry.name in wanted:
                problem = f"is in {wanted[entry.name].where} already"
                findings.append(FieldError("entry", entry.name, problem, where=entry.where))
            wanted.setdefault(entry.name, entry)
    return Files(tuple(wanted.values()), tuple(findings))


def read_one(text: str) -> dict[str, Any]:
    """The options of the only entry of a text, its `name` among them. Raises InvalidInput."""
    files = read([Source("line", text)])
    if files.findings:
        raise InvalidInput(files.findings)
    if len(files.wanted) != 1:
        problem = "exactly one table [entry.NAME] is wanted"
        raise InvalidInput([FieldError("entries", len(files.wanted), problem)])
    return {**files.wanted[0].options, "name": files.wanted[0].name}


def compare(context: Context, files: Files, *, prune: bool = False) -> Comparison:
    """What has to be done so that the entries are as wanted; with `prune` all others are removed.

    Raises InvalidInput with every finding of every entry of every file.
    """
    with context.database.read() as transaction:
        now = context.database.now(transaction)
        names = [entry.name for entry in files.wanted]
        found = entries.find(transaction) if prune else entries.find_named(transaction, names)
        surroundings = context.surroundings(transaction)
    existing = {entry.name: entry for entry in found}
    comparison = Comparison()
    findings = list(files.findings)
    for entry in files.wanted:
        before = existing.pop(entry.name, None)
        written = new_columns(entry.name, entry.options)
        try:
            created_at = before.created_at if before else now
            definition = writing.checked(context, surroundings, written, created_at)
        except InvalidInput as error:
            findings += map(entry.at, error.findings)
        else:
            if said := writing.remark(definition, now):
                comparison.remarks.append(f"{entry.where}: {said}")
        comparison.compare(before, written.columns)
    if findings:
        raise InvalidInput(sorted(findings, key=_place))
    if prune:
        comparison.prune(existing.values())
    return comparison


# The files


def _read(source: Source, findings: list[FieldError]) -> list[Wanted]:
    try:
        document = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        findings.append(_not_toml(source, str(error)))
        return []
    for key in document.keys() - {"entry"}:
        example = f"[entry.{key}]" if isinstance(document[key], dict) else None
        problem = "unknown key; a file holds tables [entry.NAME]"
        findings.append(
            FieldError(key, _short(document[key]), problem, example=example, where=source.where(key))
        )
    tables = document.get("entry", {})
    if not isinstance(tables, dict):
        problem = "a table for each entry is wanted"
        findings.append(
            FieldError("entry", tables, problem, example="[entry.NAME]", where=source.where("entry"))
        )
        return []
    return [_wanted(source, name, table, findings) for name, table in tables.items()]


def _wanted(source: Source, name: str, table: Any, findings: list[FieldError]) -> Wanted:
    where = source.where("entry", name)
    if not isinstance(table, dict):
        findings.append(
            FieldError("entry", name, "a table is wanted", example=f"[entry.{name}]", where=where)
        )
        return Wanted(name, {}, where)
    for key in table.keys() - set(OPTIONS):
        findings.append(_unknown(name, key, table[key], source.where("entry", name, key)))
    options = {key: value for key, value in table.items() if key in OPTIONS}
    return Wanted(name, options, where, {key: source.where("entry", name, key) for key in options})


def _unknown(name: str, key: str, value: Any, where: str) -> FieldError:
    near = nearest(key.replace("-", "_"), OPTIONS)
    if near:
        return FieldError(key, _short(value), f"unknown key; did you mean {near[0]!r}?", where=where)
    if isinstance(value, dict):
        problem = "unknown key; a name with dots must be quoted"
        return FieldError(key, "{…}", problem, example=f'[entry."{name}.{key}"]', where=where)
    return FieldError(key, _short(value), f"unknown key; known are {', '.join(OPTIONS)}", where=where)


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


def _without_name(options: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {key: pair for key, pair in options.items() if key != "name"}


def _place(finding: FieldError) -> tuple[str, int]:
    file, _, line = (finding.where or "").rpartition(":")
    return file, int(line) if line.isdigit() else 0


def _moved(name: str) -> Conflict:
    return Conflict(f"entry {name!r} was changed meanwhile; nothing was done: look at the differences again")
