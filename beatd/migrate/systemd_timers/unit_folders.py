"""Where units lie: which files make one up, whose manager reads them, whether it is started at boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from beatd.migrate.systemd_timers.specifiers import UnitName
from beatd.migrate.systemd_timers.unit_files import TEMPLATED, UnitFile, read_unit

# Highest precedence first.
_SYSTEM = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
_USER = ("etc", "run", "usr/local/share", "usr/share", "usr/local/lib", "usr/lib")
_SYSTEM_FOLDER = re.compile(rf"(?P<root>.*?)/(?:{'|'.join(_SYSTEM)})/systemd/system")
_USER_FOLDER = re.compile(rf"(?P<root>.*?)/(?:{'|'.join(_USER)})/systemd/user")
_HOME_FOLDER = re.compile(r"(?P<home>.*)/(?:\.config|\.local/share)/systemd/user")


@dataclass(frozen=True, slots=True)
class UnitFolders:
    """The folders that one manager reads, highest precedence first. `manager` is system or user; `installed`:
    they are those that systemd reads; `home` is that of the user whose manager it is, where the path says so.
    """

    folders: tuple[Path, ...]
    manager: str = "system"
    installed: bool = False
    home: Path | None = None

    @classmethod
    def around(cls, folder: Path) -> UnitFolders:
        """The folders that go with one: the unit search path that it is in, else itself."""
        folder = folder.absolute()
        if match := _SYSTEM_FOLDER.fullmatch(str(folder)):
            folders = tuple(Path(match["root"] or "/") / part / "systemd/system" for part in _SYSTEM)
            return cls(_without_aliases(folders), installed=True)
        if match := _USER_FOLDER.fullmatch(str(folder)):
            folders = tuple(Path(match["root"] or "/") / part / "systemd/user" for part in _USER)
            return cls(_without_aliases(folders), "user", installed=True)
        if match := _HOME_FOLDER.fullmatch(str(folder)):
            home = Path(match["home"])
            own = (home / ".config/systemd/user", home / ".local/share/systemd/user")
            shared = tuple(Path("/") / part / "systemd/user" for part in _USER)
            return cls((*own, *_without_aliases(shared)), "user", installed=True, home=home)
        return cls((folder,))

    def find(self, name: UnitName) -> Path | None:
        """The file that a unit comes of: its own, else its template's."""
        for text in (name.text, name.template):
            for folder in self.folders if text else ():
                for path in (folder / str(text), *(folder / f"{text}{end}" for end in TEMPLATED)):
                    if path.exists() or path.is_symlink():
                        return path
        return None

    def read(self, name: UnitName, fragment: Path) -> UnitFile:
        """Raises OSError."""
        return read_unit(name.text, fragment, tuple(self._drop_ins(name)))

    def is_wanted(self, name: UnitName) -> bool:
        """Whether another unit, a target of the boot, starts it."""
        return any(
            (folder / name.text).is_symlink() or (folder / name.text).exists()
            for parent in self.folders
            for folder in (*_globbed(parent, "*.wants"), *_globbed(parent, "*.requires"))
        )

    def timers(self, folder: Path) -> Iterator[UnitName]:
        """The timers of a folder by name, and the instances of its templates that are started."""
        instances = {
            link.name
            for parent in self.folders
            for wants in (*_globbed(parent, "*.wants"), *_globbed(parent, "*.requires"))
            for link in _globbed(wants, "*@*.timer")
        }
        for path in _globbed(folder, "*.timer*"):
            name = unit_name(path)
            if name is None or path.is_dir():
                continue
            of_it = [UnitName.parse(text) for text in sorted(instances)]
            own = [one for one in of_it if one.template == name.text]
            yield from own if name.is_template and own else [name]

    def _drop_ins(self, name: UnitName) -> Iterator[Path]:
        """`NAME.d/*.conf`, also of a template and of units whose names begin alike; of equal files the one
        of highest precedence."""
        stems = [name.text, *([name.template] if name.template else [])]
        parts = name.prefix.split("-")
        stems += ["-".join(parts[:count]) + f"-.{name.suffix}" for count in range(len(parts) - 1, 0, -1)]
        stems.append(name.suffix)
        found: dict[str, Path] = {}
        for folder in self.folders:
            for stem in stems:
                for path in _globbed(folder / f"{stem}.d", "*.conf"):
                    found.setdefault(path.name, path)
        for key in sorted(found):
            if not is_masked(found[key]):
                yield found[key]


def unit_name(path: Path) -> UnitName | None:
    """The unit that a file is of; None if its name is none of a timer or service."""
    name = path.name
    for end in TEMPLATED:
        name = name.removesuffix(end)
    return UnitName.parse(name) if re.fullmatch(r".+\.(timer|service)", name) else None


def is_masked(path: Path) -> bool:
    """A link to /dev/null, or an empty file."""
    return path.resolve() == Path("/dev/null") or (path.is_file() and path.stat().st_size == 0)


def _without_aliases(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Without those that are others' by a link, as /lib is /usr/lib."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    return tuple(found.values())


def _globbed(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []
