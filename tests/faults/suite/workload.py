"""The entries of the suite by the seed, and the edits that go on while faults come."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from beatd.operations import entries as operations
from beatd.operations import pausing
from beatd.operations.context import Context
from tests.faults.suite.project import EXCHANGE, ONCE, PLAIN
from tests.processes import Installation

SECOND = timedelta(seconds=1)

#: Of the fires, the share of entries that are edited meanwhile.
EDITED = 0.1
#: Seconds between edits, by the seed.
EDITS_APART = (0.3, 1.5)


@dataclass(frozen=True, slots=True)
class Mix:
    """Fires a second: `rate` in all, of these `worked` by real workers; the rest goes to the audit alone."""

    rate: int
    worked: int


def entries(random: Random, mix: Mix, start: datetime) -> list[dict[str, Any]]:
    """Rows of the table `entries`. None fires before `start`, which is at a full ten seconds."""
    rows = []
    for kind, rate in _kinds(mix):
        for number, columns in enumerate(_rules(random, rate, start)):
            edited = "e" if random.random() < EDITED else "s"
            rows.append({"name": f"{edited}-{kind}-{number}", **columns, **what(random, kind)})
    return rows


@dataclass(frozen=True, slots=True)
class Steady:
    """When an entry that nobody edits fires: at `anchor`, and every `step` from then on."""

    anchor: datetime
    step: timedelta


def steady(rows: list[dict[str, Any]]) -> dict[str, Steady]:
    """By the name of the entry, whatever the kind of rule: the workload begins at a full ten seconds."""
    found = {}
    for row in rows:
        if row["name"].startswith("s-"):
            digits = re.search(r"\d+", row.get("every") or row["cron"])
            step = int(digits[0]) if digits else 1
            found[row["name"]] = Steady(datetime.fromisoformat(row["start_at"]), step * SECOND)
    return found


def _kinds(mix: Mix) -> Iterator[tuple[str, float]]:
    worked = min(mix.worked, mix.rate)
    yield "once", worked / 2
    yield "plain", worked / 2
    yield "light", mix.rate - worked


def _rules(random: Random, rate: float, start: datetime) -> Iterator[dict[str, Any]]:
    """Whens, as many as make `rate` fires a second: most every second, half of them in its first
    moment, as people write rules."""
    made = 0.0
    while made < rate:
        every = random.choice((1, 1, 1, 1, 1, 1, 2, 5)) if rate < 500 else 1
        made += 1 / every
        offset = random.choice((0, 0, random.randrange(1000))) / 1000
        if random.random() < 0.1:
            step = "*" if every == 1 else f"*/{every}"
            yield {"cron": f"{step} * * * * *", "start_at": start.isoformat()}
        else:
            yield {"every": f"{every}s", "start_at": (start + offset * SECOND).isoformat()}


def what(random: Random, kind: str) -> dict[str, Any]:
    """Light ones nobody reports: they end at `published`, or expire there."""
    route = {"exchange": EXCHANGE, "exchange_type": "topic"}
    if kind == "light":
        expires = random.choice(("never", "never", "2m"))
        return {"task": PLAIN, "routing_key": "light", "expires": expires, **route}
    expires = random.choice(("2m", "2m", "6s"))
    task = ONCE if kind == "once" else PLAIN
    return {"task": task, "routing_key": f"real.{kind}", "expires": expires, "lost_after": "60s", **route}


class Edits:
    """Edits of the entries that are meant for it, by plain SQL and by operations, until it is stopped.

    One that fails for want of the database is counted, and no more: nothing of it was written, or all was.
    """

    def __init__(self, installation: Installation, random: Random, names: list[str]) -> None:
        self.done: Counter[str] = Counter()
        self.failed = 0
        self.problems: list[str] = []
        self._installation = installation
        self._random = random
        self._names = names
        self._made = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edits", daemon=True)
        self._context = Context(installation.database, "faults", "cli")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(*EDITS_APART)):
            edit = self._random.choice(self._edits())
            try:
                edit()
                self.done[edit.__name__.strip("_")] += 1
            except Exception as error:
                self.failed += 1
                if len(self.problems) < 20:
                    self.problems.append(f"{edit.__name__}: {error}"[:300])

    def _edits(self) -> list[Callable[[], None]]:
        if len(self._names) < 2:
            return [self._insert, self._add]
        return [
            *(self._disable, self._enable, self._respace, self._shift, self._delete),
            *(self._change, self._retask, self._pause, self._remove),
            self._insert,
            self._add,
        ]

    # Plain SQL

    def _disable(self) -> None:
        self._installation.sql(
            "UPDATE entries SET enabled = :no WHERE name = :name", no=False, name=self._any()
        )

    def _enable(self) -> None:
        self._installation.sql("UPDATE entries SET enabled = :yes", yes=True)

    def _respace(self) -> None:
        every = f"{self._random.randint(1, 4)}s"
        statement = "UPDATE entries SET every = :every WHERE name = :name AND every IS NOT NULL"
        self._installation.sql(statement, every=every, name=self._any())

    def _shift(self) -> None:
        at = self._installation.now() + self._random.uniform(-2, 2) * SECOND
        statement = "UPDATE entries SET start_at = :at WHERE name = :name"
        self._installation.sql(statement, at=at.isoformat(), name=self._any())

    def _delete(self) -> None:
        name = self._any()
        self._installation.sql("DELETE FROM entries WHERE name = :name", name=name)
        self._names.remove(name)

    def _insert(self) -> None:
        kind = self._random.choice(("once", "plain", "light"))
        name = self._new(kind)
        self._installation.add(name, every="1s", **what(self._random, kind))
        self._names.append(name)

    # Operations

    def _change(self) -> None:
        every = f"{self._random.randint(1, 4)}s"
        operations.change(self._context, self._any(), {"every": every, "cron": None})

    def _retask(self) -> None:
        name = self._any()
        operations.change(self._context, name, {"description": f"edited {self._made}"})

    def _pause(self) -> None:
        name = self._any()
        pausing.pause(self._context, [name])
        self._stop.wait(self._random.uniform(0, 2))
        pausing.resume(self._context, [name])

    def _add(self) -> None:
        kind = self._random.choice(("once", "plain", "light"))
        name = self._new(kind)
        every = f"{self._random.randint(1, 3)}s"
        operations.add(self._context, name, {"every": every, **what(self._random, kind)})
        self._names.append(name)

    def _remove(self) -> None:
        name = self._any()
        operations.remove(self._context, name)
        self._names.remove(name)

    def _any(self) -> str:
        return self._random.choice(self._names)

    def _new(self, kind: str) -> str:
        self._made += 1
        return f"n-{kind}-{self._made}"
