"""A connection to PostgreSQL on which no wait for an answer lasts for ever."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any

import psycopg

from beatd.clock import monotonic


@cache
def patient(longest: float) -> type[psycopg.Connection[Any]]:
    """The driver's connection, which is closed by what takes longer than `longest` seconds.

    Raises psycopg.OperationalError then, for a commit too: whether it was done, nobody knows.
    """

    class Patient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._bounded(gen), *arguments, **options)

        def _bounded(self, gen: Any) -> Generator[Any, Any, Any]:
            deadline = monotonic() + longest
            try:
                asked = next(gen)
                while True:
                    ready = yield asked
                    if not ready and monotonic() > deadline:
                        self.close()
                        raise psycopg.OperationalError(f"no answer within {longest:g} s")
                    asked = gen.send(ready)
            except StopIteration as done:
                return done.value

    return Patient
