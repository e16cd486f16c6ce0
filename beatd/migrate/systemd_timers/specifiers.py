"""What `%` stands for in a unit (systemd.unit(5), SPECIFIERS), where that is known beforehand."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FOLDERS = {
    "system": {
        "t": "/run",
        "S": "/var/lib",
        "C": "/var/cache",
        "L": "/var/log",
        "E": "/etc",
        "T": "/tmp",  # noqa: S108
        "V": "/var/tmp",  # noqa: S108
        "h": "/root",
        "u": "root",
        "U": "0",
        "g": "root",
        "G": "0",
        "s": "/bin/sh",
    },
    "user": {"T": "/tmp", "V": "/var/tmp"},  # noqa: S108
}
#: What the machine is, the boot, what systemd makes of the unit: known when it starts.
_KNOWN_LATER = frozenset("aAbBdDHlmMoqvwWtSCLEhuUgGs")
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class UnitName:
    """`prefix@instance.suffix`; the instance is None without `@`, and empty in a template."""

    prefix: str
    instance: str | None
    suffix: str

    @classmethod
    def parse(cls, name: str) -> UnitName:
        stem, _, suffix = name.rpartition(".")
        prefix, at, instance = stem.partition("@")
        return cls(prefix, instance if at else None, suffix)

    @property
    def text(self) -> str:
        return f"{self.stem}.{self.suffix}"

    @property
    def stem(self) -> str:
        return self.prefix if self.instance is None else f"{self.prefix}@{self.instance}"

    @property
    def is_template(self) -> bool:
        return self.instance == ""

    @property
    def template(self) -> str | None:
        """The name of the file that an instance comes of."""
        return f"{self.prefix}@.{self.suffix}" if self.instance else None

    def of(self, suffix: str) -> UnitName:
        return UnitName(self.prefix, self.instance, suffix)


def expand(text: str, name: UnitName, path: str, manager: str) -> str:
    """The text with every specifier replaced; `manager` is system or user.

    As systemd does, what is no specifier stays. Raises ValueError, whose text goes on from the value, for one
    that only systemd knows.
    """
    return re.sub(r"%(.?)", lambda found: _value(found[1], name, path, manager), text, flags=re.DOTALL)


def _value(letter: str, name: UnitName, path: str, manager: str) -> str:
    instance = name.instance or ""
    values = {
        "%": "%",
        "n": name.text,
        "N": name.stem,
        "p": name.prefix,
        "P": _unescaped(name.prefix),
        "i": instance,
        "I": _unescaped(instance),
        "j": name.prefix.rpartition("-")[2],
        "J": _unescaped(name.prefix.rpartition("-")[2]),
        "f": "/" + _unescaped(instance or name.prefix).lstrip("/"),
        "y": path,
        "Y": path.rpartition("/")[0],
        **_FOLDERS[manager],
    }
    if letter not in values and letter not in _KNOWN_LATER:
        return f"%{letter}"
    if letter not in values:
        raise ValueError(f"%{letter} is known to systemd alone (a per cent sign is written '%%')")
    return values[letter]


def _unescaped(text: str) -> str:
    """As systemd-escape --unescape: `-` is `/`, `\\x2d` is `-`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text.replace("-", "/"))
