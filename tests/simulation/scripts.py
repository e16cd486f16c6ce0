"""Scripts for worlds, made by chance: entries of every kind, and what happens to them.

A script is a list of steps of `Simulation`, so that it can be played, and printed as the program that plays
it. What `random` draws may come from a seed or from hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from apscheduler.triggers.cron import CronTrigger

from beatd.errors import BeatdError
from beatd.schedules import format_duration, format_instant
from beatd.testing import Simulation, between, chances

#: Zones with shifts of half an hour, of two hours, at midnight, on Fridays, in Ramadan, and without any.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Nuuk",
    "Asia/Kathmandu",
    "Pacific/Chatham",
)

CALENDARS: dict[str, dict[str, Any]] = {
    "weekends": {"weekdays": "sat,sun"},
    "holidays": {"country": "DE", "region": "BY"},
    "stocktaking": {"dates": "2026-03-10 2026-03-11 2026-03-29 2026-10-25 2026-10-26"},
    "fridays off": {"weekdays": "fri", "country": "EG"},
}

CUSTOM = {"office hours": CronTrigger}

HOSTS = ("north", "south")


@dataclass(frozen=True)
class Step:
    """A call of `Simulation`. `at`: when it is to be made, if it is not given an instant itself."""

    at: datetime
    method: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = [*map(repr, self.arguments), *(f"{key}={value!r}" for key, value in self.options.items())]
        return f"world.{self.method}({', '.join(given)})"


@dataclass(frozen=True)
class Script:
    start: datetime
    end: datetime
    seed: int
    steps: tuple[Step, ...]

    def simulation(self) -> Simulation:
        """The world of this script, played to its end."""
        world = Simulation(self.start, seed=self.seed, custom=CUSTOM)
        self.play(world)
        return world

    def play(self, world: Any) -> None:
        """Steps that beatd refuses (a contradiction, an entry that would never fire) are left out."""
        for name, dates in CALENDARS.items():
            world.calendar(name, **dates)
        for step in sorted(self.steps, key=lambda step: step.at):
            world.run_until(step.at)
            try:
                getattr(world, step.method)(*step.arguments, **step.options)
            except BeatdError:
                continue
        world.run_until(self.end)

    def __repr__(self) -> str:
        lines = [f"world = Simulation({format_instant(self.start)!r}, seed={self.seed})"]
        at = self.start
        for step in sorted(self.steps, key=lambda step: step.at):
            if step.at > at:
                lines.append(f"world.run_until({format_instant(step.at)!r})")
                at = step.at
            lines.append(str(step))
        lines.append(f"world.run_until({format_instant(self.end)!r})")
        return "\n".join(lines)


#: What a fixed delay excludes; and, with it, a run may end twice, and the next be counted from either end.
_NOT_DELAYED = {"overlap": None, "calendar_action": None, "lost_after": None}


class Chance:
    """Draws what entries and days are made of. `grain`: instants are whole multiples of it from the start.
    `longest`: how long an outage, or a pause that somebody ends, lasts at the most.
    """

    def __init__(
        self, random: Random, start: datetime, span: timedelta, grain: timedelta, longest: timedelta
    ) -> None:
        self.random = random
        self.start = start
        self.span = span
        self.grain = grain
        self.longest = longest

    def one_of(self, values: Sequence[Any]) -> Any:
        return values[self.random.randint(0, len(values) - 1)]

    def happens(self, chance: float) -> bool:
        return self.random.randint(1, 100) <= chance * 100

    def instant(self) -> datetime:
        return self.start + self.random.randint(1, self.span // self.grain - 1) * self.grain

    def stretch(self) -> tuple[datetime, datetime]:
        since = self.instant()
        return since, since + self.random.randint(1, max(1, self.longest // self.grain)) * self.grain

    # Entries

    def entry(self, rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The options of an entry by one of these rules."""
        options: dict[str, Any] = {"task": "proj.task", **self.one_of(rules)}
        boot = options.get("cron") == "@reboot"
        if self.happens(0.6):
            options["timezone"] = self.one_of(ZONES)
        if not boot:
            options |= self._limits()
        options |= self.policies()
        if options.get("fixed_delay"):
            return {**options, **_NOT_DELAYED}
        if self.happens(0.2):
            options["lost_after"] = self.one_of(["5m", "3h"])
        return options

    def _limits(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.happens(0.1):
            options["start_at"] = format_instant(self.instant())
        if self.happens(0.1):
            options["end_at"] = format_instant(self.instant())
        if self.happens(0.15):
            options["max_runs"] = self.random.randint(1, 8)
        if self.happens(0.25):
            options["calendar"] = self.one_of(list(CALENDARS))
            options["calendar_action"] = self.one_of(["drop", "next", "previous"])
        if self.happens(0.25):
            options["jitter"] = self.one_of(["30s", "5m", "1h", "6h"])
        return options

    def policies(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "misfire": self.one_of(["latest", "skip", "all"]),
            "overlap": self.one_of(["allow", "skip", "queue", "cancel"]),
            "expires": self.one_of(["next", "never", "90s", "2h", "3d"]),
        }
        if self.happens(0.2):
            options["misfire_grace"] = self.one_of(["10s", "5m", "8h"])
        if self.happens(0.3):
            options["misfire_limit"] = self.one_of([1, 2, 5])
        if self.happens(0.2):
            options |= {"on_failure": "pause", "failure_limit": self.random.randint(1, 3)}
        if self.happens(0.2):
            options["on_lost"] = "rerun"
        return options

    def tasks(self) -> dict[str, Any]:
        return {
            "duration": self.one_of(["0s", "1s", "5m", "30m", "1h", "90m", "5h"]),
            "outcome": self.one_of(["succeeded", "succeeded", "failed", "lost"]),
            "stops_in": self.one_of(["0s", "3s", "10s", "20m"]),
        }

    def likely_tasks(self) -> dict[str, Any]:
        """Tasks as they mostly are."""
        longest = self.one_of(["2s", "3m", "40m", "5h"])
        return {
            "duration": between("0s", longest),
            "outcome": chances(failed=0.03, lost=0.003),
            "stops_in": between("0s", "20s"),
        }

    # What happens

    def event(self, names: Sequence[str], rules: Sequence[dict[str, Any]], kind: str) -> list[Step]:
        if kind == "edit":
            return [self._edit(self.one_of(names), rules)]
        if kind in ("resume", "remove", "trigger"):
            return [self._now(kind, self.one_of(names))]
        if kind in ("outage", "workers_away"):
            since, until = self.stretch()
            return [Step(since, kind, (format_instant(since), format_instant(until)))]
        if kind in ("pause", "pause_all"):
            return self._paused(kind, [self.one_of(names)] if kind == "pause" else [])
        if kind == "edit_calendar":
            return [self._now(kind, self.one_of(list(CALENDARS)), **self.one_of(_CALENDAR_EDITS))]
        if kind == "boot":
            return [self._now("boot", self.one_of(HOSTS))]
        if kind == "resume_all":
            return [self._now("resume_all")]
        by = format_duration(self.random.randint(1, 20) * self.grain)
        return [self._now("set_clock", by if kind == "clock_ahead" else f"-{by}")]

    def _paused(self, kind: str, names: list[str]) -> list[Step]:
        """Until a time, until somebody resumes, or both; seldom for ever."""
        since, until = self.stretch()
        options = {"until": format_instant(self.instant())} if self.happens(0.4) else {}
        steps = [Step(since, kind, (format_instant(since), *names), options)]
        if until < self.start + self.span and self.happens(0.8):
            steps.append(Step(until, kind.replace("pause", "resume"), (format_instant(until), *names)))
        return steps

    def _edit(self, name: str, rules: Sequence[dict[str, Any]]) -> Step:
        changed = self.one_of(
            [
                self.policies,
                lambda: {**_NOT_DELAYED, **self.one_of(rules)},
                lambda: {"max_runs": self.one_of([None, 1, 3, 10])},
                lambda: {"jitter": self.one_of([None, "10m"])},
                lambda: {"calendar": self.one_of([None, "weekends", "stocktaking"])},
                lambda: {"end_at": self.one_of([None, format_instant(self.instant())])},
                lambda: {"timezone": self.one_of(ZONES)},
            ]
        )()
        return self._now("edit", name, **changed)

    def _now(self, method: str, *arguments: Any, **options: Any) -> Step:
        at = self.instant()
        return Step(at, method, (format_instant(at), *arguments), options)


#: Those that come more often stand here more often.
_EVENTS = (
    *["edit", "outage"] * 4,
    *["pause", "resume", "workers_away", "trigger"] * 2,
    *["pause_all", "resume_all", "boot", "clock_ahead", "clock_back", "remove", "edit_calendar"],
)

_CALENDAR_EDITS: tuple[dict[str, Any], ...] = (
    {"weekdays": "sun,mon"},
    {"country": "FR", "region": None},
    {"dates": "2026-03-10 2026-10-24 2026-12-24"},
)

#: Rules that fire often enough for small worlds.
FREQUENT: tuple[dict[str, Any], ...] = (
    {"cron": "0 * * * *"},
    {"cron": "*/30 1-4 * * *"},
    {"cron": "30 2 * * *"},
    {"cron": "0 0,12 * * *"},
    {"cron": "15 */2 * * MON-FRI"},
    {"cron": "30 0 */6 * * *"},
    {"cron": "H H(1-5) * * *"},
    {"cron": "0~59 */3 * * *"},
    {"cron": "0 1-3 * * *", "dst_gap": "skip", "dst_fold": "both"},
    {"cron": "@reboot"},
    {"cron": "@reboot", "host": "north"},
    {"every": "45m"},
    {"every": "2h"},
    {"every": "1d"},
    {"every": "1h", "fixed_delay": True},
    {"every": "20m", "fixed_delay": True},
    {"calendar_every": "1d", "time": "02:30"},
    {"calendar_every": "2d"},
    {"calendar_every": "1w", "time": "23:30:30"},
    {"solar": "sunset", "latitude": "52.52", "longitude": "13.405"},
    {"custom": "office hours", "custom_args": {"hour": "9-17/4"}},
)

#: Rules that fire seldom: for long times.
SELDOM: tuple[dict[str, Any], ...] = (
    {"cron": "@daily"},
    {"cron": "0 9 L * *"},
    {"cron": "0 18 LW * *"},
    {"cron": "0 8 * * 5L"},
    {"cron": "0 8 * * 2#2"},
    {"cron": "0 12 1,15 * *"},
    {"cron": "30 2 29 2 *"},
    {"cron": "@monthly"},
    {"cron": "H 3 * * SUN"},
    {"cron": "@yearly"},
    {"every": "1w"},
    {"every": "36h", "fixed_delay": True},
    {"calendar_every": "1mo", "day": "last", "time": "02:30"},
    {"calendar_every": "3mo", "time": "09:00"},
    {"calendar_every": "1y"},
    {"at": "2026-10-25T02:30:00"},
    {"at": "2026-03-29T02:30:00"},
    {"solar": "dawn", "latitude": "69.65", "longitude": "18.96"},
    {"solar": "noon", "latitude": "-33.87", "longitude": "151.21"},
    {"custom": "office hours", "custom_args": {"day_of_week": "mon", "hour": "9"}},
)

#: The start of a small world: an ordinary day, and days before the clocks change in one zone or another.
STARTS = tuple(
    datetime(2026, month, day, tzinfo=UTC)
    for month, day in ((3, 9), (3, 27), (10, 23), (4, 3), (10, 2), (2, 13), (4, 23), (12, 23))
)


def small(random: Random, days: int = 5) -> Script:
    """A few entries and a few events in some days."""
    start = STARTS[random.randint(0, len(STARTS) - 1)]
    span = timedelta(days=random.randint(1, days))
    chance = Chance(random, start, span, timedelta(minutes=15), span / 4)
    names = [f"e{number}" for number in range(1, random.randint(1, 3) + 1)]
    steps = [Step(start, "add", (name,), {**chance.entry(FREQUENT), **chance.tasks()}) for name in names]
    for _ in range(random.randint(0, 6)):
        steps += chance.event(names, FREQUENT, chance.one_of(_EVENTS))
    return Script(start, start + chance.span, random.randint(0, 3), tuple(steps))


def year(random: Random, entries: int, days: int = 365) -> Script:
    """Entries of every kind through a year, most of them seldom: an entry of every minute would have 525,600
    fires, so there is one of every five minutes and a third that fire several times a day.
    """
    start = datetime(2026, 1, 1, tzinfo=UTC)
    chance = Chance(random, start, timedelta(days=days), timedelta(minutes=15), timedelta(days=1))
    rules = [({"cron": "*/5 * * * *"},), *[FREQUENT] * (entries // 3)]
    rules += [SELDOM] * (entries - len(rules))
    return _large(chance, rules, events=3 * entries, new=entries // 10)


def day(random: Random, entries: int) -> Script:
    """A day of very many entries, most of them hourly or daily, some of every minute or less."""
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)
    chance = Chance(random, start, timedelta(days=1), timedelta(seconds=30), timedelta(minutes=30))
    rules = [DENSE] * (entries // 20) + [FREQUENT] * (entries - entries // 20)
    return _large(chance, rules, events=entries // 5, new=entries // 50)


#: Rules that fire every few minutes.
DENSE: tuple[dict[str, Any], ...] = (
    {"cron": "* * * * *"},
    {"cron": "*/10 * * * *"},
    {"cron": "15,45 * * * * *"},
    {"cron": "H/15 * * * *"},
    {"cron": "*/5 0-6 * * *"},
    {"every": "100s"},
    {"every": "5m", "fixed_delay": True},
)


def _large(chance: Chance, rules: Sequence[Sequence[dict[str, Any]]], events: int, new: int) -> Script:
    """`new` of the entries come later. What touches all entries happens forty times at the most, and
    everything happens twice.
    """
    names = [f"e{number}" for number in range(1, len(rules) + 1)]
    steps = []
    for name, some in zip(names, rules, strict=True):
        at = chance.start if len(steps) >= new else chance.instant()
        steps.append(Step(at, "add", (name,), {**chance.entry(some), **chance.likely_tasks()}))
    kinds = [*sorted(set(_EVENTS)) * 2, *(chance.one_of(_EVENTS) for _ in range(events))]
    left = 40
    for kind in kinds:
        of_everything = kind in _OF_EVERYTHING
        if left or not of_everything:
            steps += chance.event(names, FREQUENT, kind)
        left -= min(left, of_everything)
    return Script(chance.start, chance.start + chance.span, chance.random.randint(0, 1000), tuple(steps))


_OF_EVERYTHING = frozenset(
    {
        "outage",
        "workers_away",
        "pause_all",
        "resume_all",
        "clock_ahead",
        "clock_back",
        "boot",
        "edit_calendar",
    }
)
