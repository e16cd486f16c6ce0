"""What is on record about an entry, as explaining needs it, and what an explanation is.

The rows of the database fit the protocols as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from beatd.planning.definition import Definition

Verdict = Literal[
    "succeeded",
    "failed",
    "running",
    "waiting",
    "expired",
    "lost",
    "revoked",
    "shadow",
    "suppressed",
    "unsettled",
    "coming",
    "paused",
    "completed",
    "broken",
    "no fire",
    "no entry",
    "no record",
]


class Run(Protocol):
    """One run."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def origin(self) -> str: ...
    @property
    def fire_time(self) -> datetime: ...
    @property
    def due_time(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def published_at(self) -> datetime | None: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def finished_at(self) -> datetime | None: ...
    @property
    def worker(self) -> str | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def result(self) -> str | None: ...
    @property
    def error(self) -> str | None: ...


class Suppressed(Protocol):
    """Fires that did not become runs, counted."""

    @property
    def version(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def exact(self) -> bool: ...
    @property
    def first_fire_at(self) -> datetime: ...
    @property
    def last_fire_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


class Timer(Protocol):
    """How far an entry is planned, and what comes."""

    @property
    def planned_from(self) -> datetime: ...
    @property
    def planned_version(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    @property
    def next_fire_at(self) -> datetime | None: ...
    @property
    def next_due_at(self) -> datetime | None: ...
    @property
    def runs_made(self) -> int: ...


class EverythingPaused(Protocol):
    """A pause of everything; `until` None: for the time being."""

    @property
    def since(self) -> datetime: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def note(self) -> str | None: ...
    @property
    def who(self) -> str | None: ...


class Node(Protocol):
    """A scheduler, as it described itself at its last heartbeat."""

    @property
    def name(self) -> str: ...
    @property
    def heartbeat_at(self) -> datetime: ...
    @property
    def status(self) -> str: ...
    @property
    def shadow(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entry, which held from `since` until the next one.

    `definition` is None where `error` says why, or `removed`. `changes` are what it changed, in words.
    """

    number: int
    since: datetime
    definition: Definition | None
    error: str | None = None
    removed: bool = False
    enabled: bool = True
    note: str | None = None
    who: str | None = None
    door: str | None = None
    changes: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        """`by anna (cli)`; plain SQL has no door, and on some databases no name."""
        if self.who is None:
            return "in SQL"
        return f"by {self.who} in SQL" if self.door is None else f"by {self.who} ({self.door})"


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of an entry at `now`. `versions` are the oldest first; `alive` are the schedulers heard
    of lately, `silent` the others.
    """

    entry: str
    now: datetime
    zone: ZoneInfo
    versions: Sequence[Version]
    timer: Timer | None = None
    pauses: Sequence[EverythingPaused] = ()
    alive: Sequence[Node] = ()
    silent: Sequence[Node] = ()

    @property
    def latest(self) -> Version:
        return self.versions[-1]

    def held_at(self, instant: datetime) -> Version | None:
        """The version that decides about a fire at this instant: one made at it comes too late."""
        return next((version for version in reversed(self.versions) if version.since < instant), None)

    def paused_at(self, instant: datetime) -> EverythingPaused | None:
        return next(
            (
                pause
                for pause in self.pauses
                if pause.since <= instant and (pause.until is None or instant < pause.until)
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact; `at` is when it came about, None for what is always so."""

    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and the words behind `beatd` that do it."""

    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an entry did, does or will run, or not. `fire_time` is None where nothing fires; `run` is the id
    of the run in question.
    """

    headline: str
    verdict: Verdict
    fire_time: datetime | None = None
    run: str | None = None
    statements: tuple[Statement, ...] = ()
    advice: tuple[Advice, ...] = field(default=())
