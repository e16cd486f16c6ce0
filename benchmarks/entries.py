"""Entries as an operator has them, all of which fire in one given minute and not before."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Tokyo")

#: So long before the storm the entries may be written: no rule fires in the meantime.
LONGEST_LEAD = timedelta(minutes=9)


@dataclass(frozen=True, slots=True)
class Rule:
    cron: str
    timezone: str


def rules(due: datetime) -> list[Rule]:
    """Every distinct rule of this generator that fires at `due` (a whole minute); several hundred.

    None fires within LONGEST_LEAD before it, nor in the ten minutes after it.
    """
    found = []
    for zone in ZONES:
        local = due.astimezone(ZoneInfo(zone))
        for minute, hour, day in product(_minutes(local.minute), _hours(local.hour), _days(local)):
            found.append(Rule(f"{minute} {hour} {day}", zone))
    return list(dict.fromkeys(found))


def entries(count: int, due: datetime) -> list[dict[str, Any]]:
    """Rows of the table `entries`; the same for the same arguments."""
    chosen = random.Random(count)
    pool = rules(due)
    chosen.shuffle(pool)
    return [_entry(number, pool[number % len(pool)], chosen) for number in range(count)]


def _minutes(minute: int) -> Iterator[str]:
    yield str(minute)
    yield ",".join(map(str, sorted({minute, (minute + 20) % 60, (minute + 40) % 60})))
    yield ",".join(map(str, sorted({minute, (minute + 30) % 60})))
    for step in (10, 12, 15, 20, 30):
        if minute % step == 0:
            yield f"*/{step}"


def _hours(hour: int) -> Iterator[str]:
    yield "*"
    yield str(hour)
    yield f"{hour},{(hour + 12) % 24}"
    yield f"{max(0, hour - 4)}-{min(23, hour + 4)}"
    for step in (2, 3, 4, 6):
        if hour % step == 0:
            yield f"*/{step}"


def _days(local: datetime) -> Iterator[str]:
    weekday = local.isoweekday() % 7
    yield "* * *"
    yield f"* * {weekday}"
    yield "* * 1-5" if 1 <= weekday <= 5 else "* * 0,6"
    yield f"{local.day} * *"
    yield f"{local.day} {local.month} *"
    yield f"* {local.month} *"


def _entry(number: int, rule: Rule, chosen: random.Random) -> dict[str, Any]:
    return {
        "name": f"storm-{number:06d}",
        "enabled": True,
        "cron": rule.cron,
        "timezone": rule.timezone,
        "overlap": "skip" if chosen.random() < 0.1 else None,
        "expires": chosen.choices((None, "15m", "1h", "never"), (80, 10, 5, 5))[0],
        **chosen.choices((_own_task, _shell, _http), (60, 30, 10))[0](number, chosen),
    }


def _own_task(number: int, chosen: random.Random) -> dict[str, Any]:
    return {
        "task": f"proj.tasks.{chosen.choice(('sync', 'report', 'cleanup', 'bill'))}",
        "args": json.dumps([number, f"customer-{chosen.randrange(1000)}"]),
        "kwargs": json.dumps({"region": chosen.choice(("eu", "us", "ap")), "dry_run": False}),
        "headers": json.dumps({"team": "billing"}) if chosen.random() < 0.2 else None,
    }


def _shell(number: int, chosen: random.Random) -> dict[str, Any]:
    command = f"/usr/local/bin/backup --target db{chosen.randrange(50)} --number {number}"
    return {"task": "beatd.shell", "kwargs": json.dumps({"command": command, "timeout": 600})}


def _http(number: int, chosen: random.Random) -> dict[str, Any]:
    url = f"https://hooks.example.com/{chosen.randrange(100)}/{number}"
    return {"task": "beatd.http", "kwargs": json.dumps({"url": url, "method": "POST"})}
