"""Another version beside the old one, and a migration while all run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.faults.injectors.injector import Injector
from tests.faults.injectors.world import World

ROOT = Path(__file__).parents[3]


class Deploy(Injector):
    """One node or worker gets another version of the program, while the others keep theirs; then back."""

    name = "other version"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.handle = self.choose([*world.nodes, *world.workers])
        self.lasts = self.seconds(2, 4 * world.lease)

    def inject(self) -> str:
        package = copied(self.world.folder / "deployed")
        status = self.handle.stop(60)
        self.handle.package = package
        self.handle.restart()
        return (
            f"{self.handle.name} ended with {status}, is now of version {version(package)} for {self.lasts} s"
        )

    def heal(self) -> str:
        if self.handle.package is not None:
            if self.handle.running:
                self.handle.stop(60)
            self.handle.package = None
        self.handle.restart()
        return f"{self.handle.name} is of version {version(ROOT)} again"


class Migrate(Injector):
    """`beatd db upgrade` while nodes and workers run: nothing to do, but it takes the schema's lock."""

    name = "db upgrade"

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.touches = frozenset({"database"})

    def inject(self) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "beatd", "db", "upgrade"],
            cwd=ROOT,
            env=self.world.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = (done.stdout + done.stderr).strip().splitlines()
        return f"beatd db upgrade ended with {done.returncode}: {said[-1] if said else ''}"

    def heal(self) -> str:
        return "the schema is what it was"


def copied(folder: Path, number: str = "") -> Path:
    """A folder with a copy of the package under another version number; made once."""
    if not (folder / "beatd").exists():
        new = number or version(ROOT) + ".post1"
        fresh = folder.with_name(folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("beatd", "alembic"):
            shutil.copytree(ROOT / name, fresh / name, ignore=ignored)
        file = fresh / "beatd" / "__init__.py"
        file.write_text(_VERSION.sub(f'__version__ = "{new}"', file.read_text()))
        fresh.rename(folder)
    return folder


_VERSION = re.compile(r'^__version__ = "(.*)"', re.M)


def version(folder: Path) -> str:
    """Of the package in this folder."""
    found = _VERSION.search((folder / "beatd" / "__init__.py").read_text())
    assert found is not None
    return found.group(1)


INJECTORS = (Deploy, Migrate)
