"""Unit files as systemd reads them: sections, assignments, continued lines, drop-ins (systemd.syntax(7))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from beatd.errors import FieldError

_BLANK = " \t\r"
_BOM = b"\xef\xbb\xbf"
_TRUE = ("1", "yes", "y", "true", "t", "on")
_FALSE = ("0", "no", "n", "false", "f", "off")

#: What the name of a unit's file ends with besides in the repositories of such programs.
TEMPLATED = (".j2", ".jinja2", ".jinja", ".erb", ".in", ".tmpl", ".tpl")

#: What a file has in it that is still to be filled in: by Ansible, Puppet, meson and others.
_PLACEHOLDER = re.compile(r"\{\{.*?(\}\}|$)|\{%.*?(%\}|$)|<%.*?(%>|$)|@[A-Za-z_][A-Za-z0-9_]*@")


@dataclass(frozen=True, slots=True)
class Assignment:
    """`key=value` of a section; `where` is `file:line`."""

    section: str
    key: str
    value: str
    where: str

    @property
    def text(self) -> str:
        return f"{self.key}={self.value}"

    def refused(self, problem: str, *, example: str | None = None) -> FieldError:
        return FieldError(self.key, self.value, problem, example=example, where=self.where)

    def boolean(self) -> bool:
        """Raises FieldError."""
        if self.value.lower() in _TRUE:
            return True
        if self.value.lower() in _FALSE or not self.value:
            return False
        raise self.refused("is neither yes nor no", example="yes")

    @property
    def is_off(self) -> bool:
        """Whether it says what holds without it, as far as its value alone can tell."""
        return not self.value or self.value.lower() in _FALSE


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit: its fragment and its drop-ins, one after the other. `ignored` are lines that systemd passes
    over with a warning in its journal; `broken` is why it does not load the file at all."""

    name: str
    path: str
    assignments: tuple[Assignment, ...]
    ignored: tuple[FieldError, ...] = ()
    broken: tuple[FieldError, ...] = ()

    def last(self, section: str, key: str) -> Assignment | None:
        """What holds of a setting that has one value; an empty one is as good as none."""
        found = [one for one in self.assignments if (one.section, one.key) == (section, key)]
        return found[-1] if found and found[-1].value else None

    def listed(self, section: str, key: str) -> tuple[Assignment, ...]:
        """What holds of a setting that adds up: an empty value takes away all before it."""
        found: list[Assignment] = []
        for one in self.assignments:
            if (one.section, one.key) == (section, key):
                found = [*found, one] if one.value else []
        return tuple(found)

    @property
    def unfilled(self) -> tuple[FieldError, ...]:
        """What another program is still to fill in, in a file whose name says that one does."""
        if not self.path.endswith(TEMPLATED):
            return ()
        found = [one for one in self.assignments if placeholder_in(one.text)]
        return tuple(template_refused(one.key, one.value, one.where) for one in found)

    def is_on(self, section: str, key: str) -> bool:
        """Raises FieldError."""
        found = self.last(section, key)
        return found is not None and found.boolean()

    def has(self, section: str) -> bool:
        return any(one.section == section for one in self.assignments)


def read_unit(name: str, fragment: Path, drop_ins: Sequence[Path] = ()) -> UnitFile:
    """Raises OSError."""
    assignments: list[Assignment] = []
    ignored: list[FieldError] = []
    broken: list[FieldError] = []
    for path in (fragment, *drop_ins):
        _parse(path.read_bytes(), str(path), assignments, ignored, broken)
    return UnitFile(name, str(fragment), tuple(assignments), tuple(ignored), tuple(broken))


def placeholder_in(value: str) -> str | None:
    """What another program is to fill in, if the text is a template of one."""
    found = _PLACEHOLDER.search(value)
    return found[0] if found else None


def _parse(
    data: bytes, path: str, assignments: list[Assignment], ignored: list[FieldError], broken: list[FieldError]
) -> None:
    section: str | None = None
    for number, raw in _lines(data):
        where = f"{path}:{number}"
        line = raw.strip(_BLANK)
        if not line:
            continue
        if not _is_utf8(line):
            ignored.append(FieldError("line", line, "is not UTF-8: systemd ignores it", where=where))
        elif line.startswith("["):
            if not line.endswith("]"):
                broken.append(FieldError("line", line, "is no section: ']' is missing", where=where))
                return
            section = line[1:-1]
        elif placeholder_in(line) and ("=" not in line or line[0] in "{<"):
            broken.append(template_refused("line", line, where))
            return
        elif section is None:
            ignored.append(FieldError("line", line, "is in no section: systemd ignores it", where=where))
        elif "=" not in line:
            ignored.append(FieldError("line", line, "has no '=': systemd ignores it", where=where))
        else:
            key, _, value = line.partition("=")
            assignments.append(Assignment(section, key.strip(_BLANK), value.strip(_BLANK), where))


def template_refused(field: str, value: str, where: str) -> FieldError:
    problem = (
        f"{placeholder_in(value)!r} is filled in by another program (Ansible, Puppet, meson …): "
        "give the file that it makes"
    )
    return FieldError(field, value, problem, example="/etc/systemd/system/backup.timer", where=where)


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first line; comments are left out, within continued ones too."""
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    held, began = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip(_BLANK)[:1] in ("#", ";"):
            continue
        whole, began = (held + line, began) if began else (line, number)
        # CRLF: systemd takes the CR for a blank at the end, and no backslash before it for a continuation
        if (len(whole) - len(whole.rstrip("\\"))) % 2:
            held = whole[:-1] + " "
            continue
        yield began, whole
        held, began = "", 0
    if began:
        yield began, held


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
