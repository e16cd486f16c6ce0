"""The crontabs that a person names: files, folders of files, standard input; each read as the form it has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from beatd.errors import FieldError
from beatd.migrate.crontab import lines
from beatd.migrate.crontab.anacron import (
    is_called_anacrontab,
    looks_like_anacrontab,
    read_anacron_entries,
    read_anacrontab,
)
from beatd.migrate.crontab.crons import Cron, Form
from beatd.migrate.crontab.entries import STDIN, Taking, read_entries, source_of
from beatd.migrate.crontab.model import Crontab
from beatd.migrate.crontab.users import is_spool
from beatd.migrate.found import Reading

_DASH = Path("-")

#: What each cron reads of /etc/cron.d: Debian's takes names of these alone, cronie what is no left-over.
_DEBIANS_NAMES = re.compile(r"[A-Za-z0-9_-]+")
_LEFT_OVERS = re.compile(r"[.#].*|.*(?:~|\.rpmsave|\.rpmorig|\.rpmnew)")

#: Folders of scripts, which lines of a crontab run by run-parts.
_SCRIPTS = re.compile(r"cron\.(?:hourly|daily|weekly|monthly|yearly)|periodic")


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are read: which cron's they are, and what is not to be told from them."""

    cron: Cron
    form: Form | None = None
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class Tab:
    """A crontab that was read, and what its lines become."""

    crontab: Crontab
    reading: Reading
    is_anacron: bool = False


@dataclass(frozen=True, slots=True)
class Tabs:
    """All of them, in the order in which they were named. `refused` are paths that cannot be read; `missing`
    are files that are taken for emptied.
    """

    tabs: tuple[Tab, ...]
    refused: tuple[FieldError, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading:
        reading = Reading(refused=self.refused, notes=self.notes)
        for tab in self.tabs:
            path = tab.crontab.path
            notes = (note if note.startswith(path) else f"{path}: {note}" for note in tab.reading.notes)
            reading += replace(tab.reading, notes=tuple(notes))
        return reading


def read_tabs(
    paths: Sequence[Path], rules: Rules, taking: Taking, stdin: Callable[[], bytes] = lambda: b""
) -> Tabs:
    """Reads everything that these paths name, each file once; `-` is standard input."""
    refused: list[FieldError] = []
    notes: list[str] = []
    tabs = []
    read: set[str] = set()
    for path in _files(paths, rules.cron, refused, notes):
        if source_of(str(path)) in read:
            continue
        read.add(source_of(str(path)))
        try:
            data = stdin() if path == _DASH else path.read_bytes()
        except OSError as error:
            refused.append(FieldError("file", str(path), f"cannot be read: {error.strerror}"))
            continue
        tabs.append(read_tab(data, STDIN if path == _DASH else str(path), rules, taking))
    return Tabs(tuple(tabs), tuple(refused), tuple(notes))


def without_missing(tabs: Tabs, earlier: Mapping[str, int], *, prune: bool) -> Tabs:
    """With `prune`, a file that is gone is one with nothing left in it; `earlier` says how many entries came
    of which file. Without, what can be done about it is told.
    """
    refused: list[FieldError] = []
    missing: list[str] = []
    notes: list[str] = []
    for finding in tabs.refused:
        source = source_of(str(finding.value))
        if not earlier.get(source) or Path(source).exists():
            refused.append(finding)
        elif prune:
            missing.append(source)
            notes.append(f"{source}: there is no such file any more")
        else:
            told = f"{earlier[source]} of the entries came from it: --prune removes them"
            refused.append(FieldError(finding.field, finding.value, f"{finding.problem}; {told}"))
    return replace(tabs, refused=tuple(refused), missing=tuple(missing), notes=(*tabs.notes, *notes))


def read_tab(data: bytes, path: str, rules: Rules, taking: Taking) -> Tab:
    if _is_anacrontab(data, path, rules):
        crontab = read_anacrontab(data, path, cron=rules.cron)
        return Tab(crontab, read_anacron_entries(crontab, taking), is_anacron=True)
    crontab = lines.read(data, path, form=rules.form, cron=rules.cron, dialect=rules.dialect)
    return Tab(crontab, read_entries(crontab, replace(taking, dialect=rules.dialect)))


def _is_anacrontab(data: bytes, path: str, rules: Rules) -> bool:
    """Its name says it also where all files were said to be a system's."""
    if is_called_anacrontab(path):
        return rules.form != "user"
    return rules.form is None and rules.dialect is None and looks_like_anacrontab(data)


def _files(paths: Iterable[Path], cron: Cron, refused: list[FieldError], notes: list[str]) -> Iterator[Path]:
    for path in paths:
        if path == _DASH or not path.is_dir():
            yield path
        elif _SCRIPTS.fullmatch(path.name) or _SCRIPTS.fullmatch(path.parent.name):
            problem = "is a folder of scripts; name the crontab whose line runs it"
            refused.append(FieldError("file", str(path), problem, example="/etc/crontab"))
        else:
            yield from _of_folder(path, cron, refused, notes)


def _of_folder(folder: Path, cron: Cron, refused: list[FieldError], notes: list[str]) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        refused.append(FieldError("file", str(folder), f"cannot be read: {error.strerror}"))
        return
    for path in found:
        if path.is_dir():
            notes.append(f"{path}: passed over: a folder")
        elif reason := _passed_over(path, cron):
            notes.append(f"{path}: passed over: {reason}")
        else:
            yield path


def _passed_over(path: Path, cron: Cron) -> str | None:
    """Why cron does not read this file of a folder."""
    name = path.name
    if is_spool(path.parent):
        return "no user's crontab has such a name" if name.startswith(".") else None
    if cron == "debian" and not _DEBIANS_NAMES.fullmatch(name):
        return "Debian's cron reads names of letters, digits, _ and - alone"
    if cron == "cronie" and _LEFT_OVERS.fullmatch(name):
        return "cronie does not read what editors and packages leave behind"
    return None
