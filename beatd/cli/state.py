"""What a command is handed (`ctx.obj`): settings, database, who asks, where to print; made at first use."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from beatd.config import Loaded, Settings
    from beatd.store.engine import Database

#: Rows that go into a pipe or a file are not cut to a terminal's width.
_NOT_A_TERMINAL = 10_000


class State:
    """One call of the command line."""

    def __init__(self) -> None:
        self.config_path: Path | None = None
        #: dotted keys that options of the command line set
        self.options: dict[str, Any] = {}
        self._database: Database | None = None

    @cached_property
    def loaded(self) -> Loaded:
        """Raises InvalidInput."""
        from beatd import config, logs

        loaded = config.load(self.config_path, options=self.options)
        level = loaded.settings.log.level
        # A command says itself what it did; `scheduler` and `worker` configure their logs anew.
        logs.configure("warning" if level == "info" else level, loaded.settings.log.format)
        return loaded

    @property
    def settings(self) -> Settings:
        """Raises InvalidInput."""
        return self.loaded.settings

    @property
    def debugging(self) -> bool:
        """Whether a person who meets an error wants to see where it came from."""
        return "loaded" in self.__dict__ and self.settings.log.level == "debug"

    def open_database(self, *, create: bool = False) -> Database:
        """The database, whatever its schema; `create` makes a SQLite file that is not there.

        Raises InvalidInput, FieldError.
        """
        from beatd.store.engine import Database

        if self._database is None:
            self._database = Database.configured(self.settings.database, create=create)
        return self._database

    def database(self) -> Database:
        """The database with a schema that this version works with.

        Raises InvalidInput, FieldError, DatabaseUnavailable, SchemaMismatch.
        """
        from beatd.store import schema

        database = self.open_database()
        schema.require(database)
        return database

    @cached_property
    def celery(self) -> Any:
        """The Celery app by which messages are made and sent. Raises InvalidInput."""
        from beatd.broker.configured import configured_app

        return configured_app(self.settings)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    @cached_property
    def who(self) -> str:
        """Who asks, for the audit: the user who logged in, also under sudo; else the process's user."""
        try:
            return os.getlogin()
        except OSError:
            pass
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return str(os.getuid())

    @cached_property
    def out(self) -> Console:
        """Where results go."""
        from rich.console import Console

        return Console(width=_width(sys.stdout), highlight=False, markup=False, emoji=False)

    @cached_property
    def err(self) -> Console:
        """Where everything goes that is not the result."""
        from rich.console import Console

        return Console(stderr=True, width=_width(sys.stderr), highlight=False, markup=False, emoji=False)

    @property
    def interactive(self) -> bool:
        """Whether somebody is there who can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def command(self, rest: str) -> str:
        """How a person types `beatd REST` where this process was started."""
        parts = [*_program(), *(["--config", str(self.config_path)] if self.config_path else []), rest]
        return " ".join(parts)


def _width(stream: TextIO) -> int | None:
    """None: the terminal's, or what $COLUMNS says."""
    from beatd import config

    return None if stream.isatty() or config.variable("COLUMNS") else _NOT_A_TERMINAL


def _program() -> list[str]:
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [_short(Path(sys.executable)), "-m", "beatd"]
    on_path = shutil.which(called.name)
    if on_path and Path(on_path).absolute() == called.absolute():
        return [called.name]
    return [_short(called)]


def _short(path: Path) -> str:
    path = path.absolute()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
