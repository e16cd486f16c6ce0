"""What tests invent of tasks: how long they take, and how they end. The same seed invents the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from beatd import durations
from beatd.errors import FieldError

OUTCOMES = ("succeeded", "failed", "lost")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A value that is drawn anew for every start of a run. It hangs on the simulation's seed, the entry, the
    fire time and the start alone, so that other entries and other fires change nothing.
    """

    draw: Callable[[Random], Any]


#: A length of time: fixed (`"90m"`, a timedelta), a function of the run's fire time, or drawn.
Duration = str | timedelta | Callable[[datetime], "str | timedelta"] | Drawn
#: `succeeded`, `failed` or `lost` (the worker vanishes): fixed, a function of the fire time, or drawn.
Outcome = str | Callable[[datetime], str] | Drawn


def drawn(draw: Callable[[Random], Any]) -> Drawn:
    """A duration or an outcome of a distribution of your own:
    `drawn(lambda random: timedelta(seconds=random.lognormvariate(3, 1)))`."""
    return Drawn(draw)


def between(least: str | timedelta, most: str | timedelta) -> Drawn:
    """A duration between two, each length as likely as any other. Raises FieldError."""
    low, high = read_duration(least, "duration"), read_duration(most, "duration")
    if high < low:
        raise FieldError("duration", most, f"is shorter than {least!r}", example="between('1m', '1h')")
    return Drawn(lambda random: low + (high - low) * random.random())


def chances(*, failed: float = 0.0, lost: float = 0.0) -> Drawn:
    """An outcome: so many of 1 fail or get lost, the others succeed. Raises FieldError."""
    for name, chance in (("failed", failed), ("lost", lost), ("failed", failed + lost)):
        if not 0 <= chance <= 1:
            raise FieldError(name, chance, "a share from 0 to 1, both together as well", example="0.1")

    def draw(random: Random) -> str:
        number = random.random()
        return "failed" if number < failed else "lost" if number < failed + lost else "succeeded"

    return Drawn(draw)


@dataclass(frozen=True, slots=True)
class Invention:
    """How the tasks of some entries go."""

    duration: Duration = timedelta(0)
    outcome: Outcome = "succeeded"
    stops_in: Duration = timedelta(0)

    def __post_init__(self) -> None:
        """Raises FieldError for what is fixed and cannot be."""
        for field in ("duration", "stops_in"):
            value = getattr(self, field)
            if not isinstance(value, Drawn) and not callable(value):
                read_duration(value, field)
        if not isinstance(self.outcome, Drawn) and not callable(self.outcome):
            read_outcome(self.outcome)


def settle(given: Any, fire_time: datetime, random: Random) -> Any:
    """The value for one start of a run."""
    if isinstance(given, Drawn):
        return given.draw(random)
    return given(fire_time) if callable(given) else given


def read_duration(value: Any, field: str) -> timedelta:
    """Raises FieldError. `0s` is allowed."""
    if isinstance(value, str):
        try:
            return durations.parse(value)
        except ValueError as error:
            raise FieldError(field, value, str(error), example="1h30m") from None
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise FieldError(field, value, "a duration from 0s on", example="1h30m")
    return value


def read_outcome(value: Any) -> str:
    """Raises FieldError."""
    if value not in OUTCOMES:
        raise FieldError("outcome", value, f"one of {', '.join(OUTCOMES)}", example=OUTCOMES[0])
    return str(value)
