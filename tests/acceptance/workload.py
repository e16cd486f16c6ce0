"""A thousand entries of mixed kinds whose fire times are known beforehand, by rules of this file's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.processes import HTTP

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@dataclass
class Planned:
    """An entry's columns, and the instants at which it must fire."""

    columns: dict[str, Any]
    fires: list[datetime] = field(default_factory=list)
    #: for an interval that began long ago: (anchor, every, end); its first fire hangs on its creation
    running: tuple[datetime, timedelta, datetime] | None = None

    @property
    def name(self) -> str:
        return str(self.columns["name"])

    def fires_since(self, created_at: datetime) -> list[datetime]:
        """A new entry never fires for the past."""
        fires = self.fires if self.running is None else _steps(*self.running)
        return [fire for fire in fires if fire > created_at]


def workload(
    count: int, start: datetime, end: datetime, shell: Callable[[], dict[str, str]], http_url: str
) -> list[Planned]:
    """All fires lie between `start` and `end` (whole seconds, aware UTC), both included."""
    random = Random(start.timestamp())
    kinds = [_interval, _interval, _once, _once, _cron, _cron, _running]
    weights = [2, 1, 3, 1, 3, 1, 0.3]
    entries = []
    for number, kind in enumerate(random.choices(kinds, weights, k=count)):
        planned = kind(random, start, end)
        planned.columns |= {"name": f"e{number:04d}", **_what(random, f"e{number:04d}", shell, http_url)}
        planned.columns |= _policies(random, single=len(planned.fires) == 1)
        entries.append(planned)
    return entries


def boundaries(start: datetime, end: datetime) -> list[datetime]:
    """The full minutes of the window."""
    first = start.replace(second=0, microsecond=0)
    return [at for at in _steps(first, MINUTE, end) if at >= start]


# When


def _interval(random: Random, start: datetime, end: datetime) -> Planned:
    length = int((end - start).total_seconds())
    every = timedelta(seconds=1 if random.random() < 0.01 else random.randint(length // 2, length))
    anchor = start + random.randint(0, length // 2) * SECOND
    columns = {"every": _duration(every), "start_at": _text(random, anchor), "end_at": _text(random, end)}
    return Planned(columns, list(_steps(anchor, every, end)))


def _running(random: Random, start: datetime, end: datetime) -> Planned:
    every = timedelta(seconds=random.randint(3, 9))
    anchor = start.replace(hour=0, minute=0, second=0) - random.randint(1, 5_000_000) * SECOND
    columns = {"every": _duration(every), "start_at": _text(random, anchor), "end_at": _text(random, end)}
    return Planned(columns, running=(anchor, every, end))


def _once(random: Random, start: datetime, end: datetime) -> Planned:
    at = start + random.random() * (end - start)
    at = at.replace(microsecond=random.choice([0, 0, 250_000, at.microsecond]))
    if at < start:
        at = start
    zone = _zone(random, at)
    wall = at.astimezone(zone).replace(tzinfo=None).isoformat()
    at_text, timezone = random.choice([(wall, zone.key), (at.isoformat(), None), (_text(random, at), None)])
    return Planned({"at": at_text, "timezone": timezone}, [at])


def _cron(random: Random, start: datetime, end: datetime) -> Planned:
    """Written so that it fires at a full minute of the window; the others of it, only if they match."""
    minutes = boundaries(start, end)
    at = random.choice(minutes)
    zone = _zone(random, at)
    local = at.astimezone(zone)
    minute, hour, day, month = local.minute, local.hour, local.day, local.month
    weekday = local.strftime("%a").lower() if random.random() < 0.5 else (local.isoweekday() % 7)
    expression, matching = random.choice(
        [
            ("* * * * *", range(60)),
            (f"{minute} * * * *", [minute]),
            (f"{minute} {hour} * * *", [minute]),
            (f"{minute} {hour} {day} {month} *", [minute]),
            (f"{minute} {hour} * {month} {weekday}", [minute]),
            (f"*/{2 - minute % 2} * * * *", range(0, 60, 2 - minute % 2)),
            (f"{max(0, minute - 1)}-{minute} {hour} * * *", [max(0, minute - 1), minute]),
            (f"{minute},{(minute + 30) % 60} * * * *", [minute, (minute + 30) % 60]),
        ]
    )
    hours = None if expression.split()[1] == "*" else hour
    fires = [
        other
        for other in minutes
        if (wall := other.astimezone(zone)).minute in matching and hours in (None, wall.hour)
    ]
    columns = {"cron": expression, "timezone": zone.key, "start_at": _utc(start), "end_at": _utc(end)}
    return Planned(columns, fires)


def _steps(first: datetime, step: timedelta, end: datetime) -> Iterator[datetime]:
    for k in range((end - first) // step + 1):
        yield first + k * step


def _zone(random: Random, at: datetime) -> ZoneInfo:
    """A zone that shifts its clocks neither this day nor the next, so that wall times are simple."""
    calm = [ZoneInfo(name) for name in ZONES]
    day = timedelta(days=1)
    calm = [z for z in calm if (at - day).astimezone(z).utcoffset() == (at + day).astimezone(z).utcoffset()]
    return random.choice(calm)


def _text(random: Random, at: datetime) -> str:
    """The instant in one of the ways in which people write it."""
    zone = ZoneInfo(random.choice(ZONES))
    return random.choice([_utc(at), at.astimezone(zone).isoformat()])


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _duration(length: timedelta) -> str:
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    return (f"{minutes}m" if minutes else "") + (f"{seconds}s" if seconds or not minutes else "")


# What, where, how


def _what(random: Random, name: str, shell: Callable[[], dict[str, str]], http_url: str) -> dict[str, Any]:
    what = random.choices(["record", "record_once", "shell", "http"], [84, 8, 6, 2])[0]
    if what == "shell":
        return {**shell(), **_where(random)}
    if what == "http":
        return {"task": HTTP, "kwargs": json.dumps({"url": f"{http_url}/{name}"}), **_where(random)}
    if what == "record_once":
        return {"task": what, **_where(random)}
    return {
        "task": what,
        "args": random.choice([None, "[]", '[1, "zwei", {"drei": [3.5, null]}]']),
        "kwargs": random.choice([None, '{"größe": "€"}']),
        "compression": random.choice([None, None, "gzip"]),
        "ignore_result": random.choice([None, True, False]),
        **_where(random),
    }


def _where(random: Random) -> dict[str, Any]:
    direct = {"exchange": "acceptance.direct", "exchange_type": "direct", "routing_key": "left"}
    topic = {"exchange": "acceptance.topic", "exchange_type": "topic", "routing_key": "site.north.load"}
    return {
        **random.choice([{}, {}, {}, {"queue": "other"}, direct, topic]),
        "priority": random.choice([None, None, 0, 5, 9]),
        "headers": random.choice([None, None, '{"tenant": "north"}']),
    }


def _policies(random: Random, *, single: bool) -> dict[str, Any]:
    # "next" is half a minute where fires are close: a slow machine must not make them expire
    expires = ["never", "10m", "1h", *([None, "next"] if single else [])]
    return {
        "expires": random.choice(expires),
        "misfire": random.choice([None, "latest", "skip", "all"]),
        "overlap": random.choice([None, "skip"]) if single else random.choice([None, "allow"]),
    }
