"""Waits for the database to say that something changed, on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beatd.errors import DatabaseUnavailable
from beatd.store.engine import Database

#: What the triggers notify; see `beatd.store.triggers`.
CHANNEL = "beatd"


class Listener:
    """PostgreSQL's LISTEN. Needs a direct connection: a pooler between does not pass notices on."""

    def __init__(self, database: Database) -> None:
        """Raises DatabaseUnavailable."""
        self._name = database.name
        self._driver = database.dedicated()
        with self._explained():
            self._driver.autocommit = True
            self._driver.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout: float) -> bool:
        """Whether something changed within `timeout` seconds. Raises DatabaseUnavailable."""
        with self._explained():
            return next(self._driver.notifies(timeout=timeout, stop_after=1), None) is not None

    def close(self) -> None:
        self._driver.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise DatabaseUnavailable(f"database {self._name}: {lines[0]}") from error
