"""Who asks, by which door, and what their requests are held to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from beatd.config import Settings
from beatd.errors import FieldError
from beatd.planning.timing import Surroundings
from beatd.schedules import CustomFactory, load_factories
from beatd.store import calendars
from beatd.store.engine import Database
from beatd.store.entries import Transaction
from beatd.worker import arguments

Door = Literal["cli", "api", "crontab", "import"]
ArgumentCheck = Callable[[str, Sequence[Any], Mapping[str, Any]], None]
EncodingCheck = Callable[[str | None, str | None], list[FieldError]]


def _check_encoding(
    settings: Settings | None, serializer: str | None, compression: str | None
) -> list[FieldError]:
    from beatd.broker.configured import configured_app  # not at the top: few entries name any
    from beatd.broker.encoding import encoding_findings

    return encoding_findings(serializer, compression, lambda: configured_app(settings or Settings()))


_ENCODING_OF_OWN_APP: EncodingCheck = partial(_check_encoding, None)


class Factories(Mapping[str, CustomFactory]):
    """The configuration's `schedules.custom`; each is imported when an entry names it, for few do."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths
        self._loaded: dict[str, CustomFactory] = {}

    def __getitem__(self, name: str) -> CustomFactory:
        """Raises FieldError where it cannot be imported here."""
        if name not in self._loaded:
            with _working_directory_on_path():
                self._loaded |= load_factories({name: self._paths[name]})
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@contextmanager
def _working_directory_on_path() -> Iterator[None]:
    """As for `celery.app`, and `celery --app`: a project need not be installed."""
    here = str(Path.cwd())
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


class Checks(Protocol):
    """What an entry's arguments and encoding are checked with."""

    @property
    def check_arguments(self) -> ArgumentCheck: ...

    @property
    def check_encoding(self) -> EncodingCheck: ...


@dataclass(frozen=True, slots=True)
class Offline:
    """What entries are held to where no database is asked: as a `Context`, without any calendars."""

    timezone: str = "UTC"
    check_arguments: ArgumentCheck = arguments.check
    check_encoding: EncodingCheck = _ENCODING_OF_OWN_APP
    reports: bool = True
    custom: Mapping[str, CustomFactory] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Offline:
        return cls(
            settings.timezone,
            check_encoding=partial(_check_encoding, settings),
            reports=settings.celery.reports,
            custom=Factories(settings.schedules.custom),
        )

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self.timezone, custom=self.custom, reports=self.reports)


@dataclass(frozen=True, slots=True)
class Context:
    """`timezone` is the zone of entries that name none; `check_arguments(task, args, kwargs)` raises
    FieldError, `check_encoding(serializer, compression)` tells what is wrong with them; `reports` says
    whether workers report what becomes of a run; `custom` are the triggers that entries may name. A
    scheduler unheard of for `node_timeout` is gone. `shadow`: the configuration says that none publishes.
    """

    database: Database
    who: str
    door: Door
    timezone: str = "UTC"
    check_arguments: ArgumentCheck = arguments.check
    check_encoding: EncodingCheck = _ENCODING_OF_OWN_APP
    reports: bool = True
    custom: Mapping[str, CustomFactory] = field(default_factory=dict)
    node_timeout: timedelta = timedelta(seconds=30)
    shadow: bool = False

    @classmethod
    def of(cls, settings: Settings, database: Database, who: str, door: Door) -> Context:
        return cls(
            database,
            who,
            door,
            settings.timezone,
            check_encoding=partial(_check_encoding, settings),
            reports=settings.celery.reports,
            custom=Factories(settings.schedules.custom),
            node_timeout=settings.scheduler.node_timeout,
            shadow=settings.scheduler.shadow,
        )

    def surroundings(self, transaction: Transaction) -> Surroundings:
        """What definitions are read with, the calendars as they are in this transaction."""
        return Surroundings(
            self.timezone,
            calendars.Calendars(calendars.read_all(transaction)),
            self.custom,
            self.reports,
        )
