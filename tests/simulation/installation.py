"""The real thing for the scripts of simulations: dispatcher, outbox, sweep and reports on SQLite.

Invented is what is invented in a simulation, too: the broker, which takes everything and drops what has
expired, and the workers. The clock is turned in SQLite itself, so that its triggers see what the node sees.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import event, select

from beatd.broker.publisher import Outcome, Outgoing
from beatd.dispatch import boot
from beatd.dispatch.boot import Boot
from beatd.dispatch.deadlines import sweep
from beatd.dispatch.outbox import Outbox
from beatd.operations import calendars, entries, pausing
from beatd.operations import runs as run_operations
from beatd.operations.context import Context
from beatd.planning.policies import EXPIRY_SLACK
from beatd.planning.timing import Surroundings
from beatd.planning.world.clock import Agenda, SimulatedClock
from beatd.reports import Report
from beatd.schedules import CustomFactory, parse_instant, parse_zone
from beatd.store import reported, schema
from beatd.store.engine import Database
from beatd.store.models import entry_versions, runs, suppressions, timers
from beatd.testing.inventions import Invention, read_duration, read_outcome, settle
from tests.dispatch.turned import NODE, Turned

_TICK = timedelta(microseconds=1)


class Installation:
    """Has those calls of `Simulation` that scripts make. To be closed."""

    def __init__(
        self, url: str, start: str | datetime, custom: Mapping[str, CustomFactory] | None = None
    ) -> None:
        self._zone = parse_zone("UTC")
        self._clock = SimulatedClock(self._instant(start))
        self._agenda = Agenda()
        self._inventions: dict[str, Invention] = {}
        self._database = Database.open(url)
        event.listen(self._database.engine, "connect", self._turn)
        schema.upgrade(self._database)
        turned = Turned(self._database)
        self._database.now = lambda connection: self._clock.now  # type: ignore[method-assign]
        self._context = Context(self._database, "tester", "cli", custom=custom or {})
        self._surroundings = Surroundings(custom=custom or {})
        self._node = turned.dispatcher(surroundings=self._surroundings)
        self._installation = turned.installation
        self._outbox = Outbox(self._database, NODE, lambda: self, self._ask_to_end)
        self._sent: list[Outgoing] = []
        self._messages: list[Outgoing] = []
        self._working: dict[str, tuple[int, Outgoing]] = {}
        self._starts: dict[str, int] = {}
        self._unseen_boots: list[tuple[str, datetime]] = []
        self._absent = self._workers_absent = self._boots = 0
        self._wait: datetime | None = None

    def close(self) -> None:
        self._database.close()

    def _turn(self, connection: sqlite3.Connection, record: object) -> None:
        plain = sqlite3.connect(":memory:", check_same_thread=False)

        def strftime(form: str, *given: Any) -> Any:
            shown = [self._clock.now.strftime("%Y-%m-%d %H:%M:%S.%f") if v == "now" else v for v in given]
            marks = ", ".join("?" * (1 + len(shown)))
            return plain.execute(f"SELECT strftime({marks})", (form, *shown)).fetchone()[0]

        connection.create_function("strftime", -1, strftime)
        connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug here

    # The script

    def add(
        self,
        name: str,
        duration: Any = "0s",
        outcome: Any = "succeeded",
        stops_in: Any = "0s",
        **options: Any,
    ) -> None:
        self._inventions[name] = Invention(duration, outcome, stops_in)
        entries.add(self._context, name, options)

    def calendar(self, name: str, **options: Any) -> None:
        calendars.add(self._context, name, options)

    def edit_calendar(self, at: str, name: str, **options: Any) -> None:
        self._script(at, lambda: calendars.change(self._context, name, options))

    def edit(self, at: str, name: str, **options: Any) -> None:
        self._script(at, lambda: entries.change(self._context, name, options))

    def remove(self, at: str, name: str) -> None:
        self._script(at, lambda: entries.remove(self._context, name))

    def pause(self, at: str, name: str, until: str | None = None) -> None:
        self._script(at, lambda: pausing.pause(self._context, [name], until=until))

    def resume(self, at: str, name: str) -> None:
        self._script(at, lambda: pausing.resume(self._context, [name]))

    def pause_all(self, at: str, until: str | None = None) -> None:
        self._script(at, lambda: pausing.pause_all(self._context, until=until))

    def resume_all(self, at: str) -> None:
        self._script(at, lambda: pausing.resume_all(self._context))

    def trigger(self, at: str, name: str) -> None:
        self._script(at, lambda: run_operations.trigger(self._context, name))

    def boot(self, at: str, host: str) -> None:
        self._script(at, lambda: self._unseen_boots.append((host, self._clock.real)))

    def set_clock(self, at: str, by: str) -> None:
        step = read_duration(by.removeprefix("-"), "by")
        self._script(at, lambda: self._clock.step(-step if by.startswith("-") else step))

    def outage(self, since: str, until: str) -> None:
        self._script(since, partial(self._count, "_absent", 1))
        self._script(until, partial(self._count, "_absent", -1))

    def workers_away(self, since: str, until: str) -> None:
        self._script(since, partial(self._count, "_workers_absent", 1))
        self._script(until, partial(self._count, "_workers_absent", -1))

    def run_until(self, instant: str | datetime) -> None:
        until = self._instant(instant)
        while True:
            self._pass()
            following = self._next_instant()
            if following is None or following > until:
                break
            self._clock.go_to(following)
            while (action := self._agenda.take(following)) is not None:
                action()
        self._clock.go_to(until)
        self._pass()

    def _script(self, at: str, action: Callable[[], Any]) -> None:
        instant = self._instant(at)
        if instant == self._clock.real:
            action()
        else:
            self._agenda.put(instant, action)

    def _count(self, absence: str, by: int) -> None:
        setattr(self, absence, getattr(self, absence) + by)
        if not self._workers_absent:
            messages, self._messages = self._messages, []
            for message in messages:
                self._deliver(message)

    def _instant(self, given: str | datetime) -> datetime:
        return given if isinstance(given, datetime) else parse_instant(given, self._zone, "at")

    # The node

    def _pass(self) -> None:
        if self._absent:
            return
        for host, booted in self._unseen_boots:
            self._boots += 1
            age = self._clock.real - booted
            this = Boot(host, str(self._boots), age)
            boot.fire(self._database, self._installation, self._surroundings, this)
        self._unseen_boots.clear()
        for _ in range(1000):
            if not self._once():
                return
        raise AssertionError("the node does not come to rest")

    def _once(self) -> bool:
        """One round of all its loops; False if there was nothing to do."""
        done = self._node.run_once()
        self._publish(done.batches)
        if done.wait == 0.0:  # a jump of the clock is believed at the second look
            return True
        taken = self._node.take_over()
        self._publish(taken.batches)
        if done.changed or done.ended or done.due or done.released or taken.taken_over:
            return True
        swept = sweep(self._database, reports=True, publish_again_after=None)
        waits = [wait for wait in (done.wait, taken.wait) if wait is not None]
        self._wait = self._clock.now + timedelta(seconds=min(waits)) if waits else None
        return swept.anything

    def _publish(self, batches: Sequence[Any]) -> None:
        for batch in batches:
            assert self._outbox.offer(batch, 0)
            self._outbox.run_once(0)
            sent, self._sent = self._sent, []
            for message in sent:
                self._deliver(message)

    def _next_instant(self) -> datetime | None:
        instants = [self._agenda.next]
        if not self._absent:
            due = [self._wait, *self._deadlines()]
            instants += [instant and self._clock.real_time_of(instant) for instant in due]
        return min((instant for instant in instants if instant is not None), default=None)

    def _deadlines(self) -> list[datetime]:
        """When the sweep has something to do, unless something happens before."""
        with self._database.read() as connection:
            found = connection.execute(select(runs)).all()
        ends = [run.expires_at for run in found if run.state in ("held", "pending") and run.expires_at]
        ends += [
            run.expires_at + EXPIRY_SLACK + _TICK
            for run in found
            if run.state == "published" and run.expires_at
        ]
        ends += [
            run.published_at + timedelta(seconds=run.lost_after) + _TICK
            for run in found
            if run.state == "published" and not run.expires_at
        ]
        ends += [run.lost_at + _TICK for run in found if run.state == "started" and run.lost_at]
        return [instant for instant in ends if instant > self._clock.now]

    # The broker

    blocked = False

    def publish(
        self, batch: Sequence[Outgoing], now: Callable[[], datetime], send_until: float = math.inf
    ) -> list[Outcome]:
        expired = {o.run_id for o in batch if o.expires_at is not None and o.expires_at <= self._clock.now}
        self._sent += [outgoing for outgoing in batch if outgoing.run_id not in expired]
        return [Outcome(o.run_id, "expired" if o.run_id in expired else "confirmed") for o in batch]

    def pump(self) -> None: ...

    # Workers

    def _deliver(self, message: Outgoing) -> None:
        if self._workers_absent:
            self._messages.append(message)
        elif message.expires_at is None or message.expires_at > self._clock.now:
            start = self._starts[message.run_id] = self._starts.get(message.run_id, 0) + 1
            self._working[message.run_id] = (start, message)
            self._report(message, "started")
            duration, outcome, _ = self._invent(message, start)
            self._agenda.put(self._clock.real + duration, partial(self._end, message.run_id, start, outcome))

    def _end(self, run_id: str, start: int, outcome: str) -> None:
        known, message = self._working.get(run_id, (0, None))
        if known == start and message is not None:
            del self._working[run_id]
            if outcome != "lost":
                self._report(message, outcome)

    def _ask_to_end(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            start, message = self._working.get(run_id, (0, None))
            if message is not None:
                stops_in = self._invent(message, start)[2]
                self._agenda.put(self._clock.real + stops_in, partial(self._end, run_id, start, "revoked"))

    def _report(self, message: Outgoing, state: str) -> None:
        report = Report(message.run_id, state, self._clock.now, "w1", reruns_left=message.reruns_left)
        with self._database.write() as connection:
            reported.apply_reports(connection, [report], self._clock.now)

    def _invent(self, message: Outgoing, start: int) -> tuple[timedelta, str, timedelta]:
        invention, at = self._inventions[message.spec.entry], message.fire_time
        return (
            read_duration(settle(invention.duration, at, Random(0)), "duration"),
            read_outcome(settle(invention.outcome, at, Random(0))),
            read_duration(settle(invention.stops_in, at, Random(0)), "stops_in"),
        )

    # What came of it

    def told(self) -> list[str]:
        """Every run and every record, and how each entry stands, as `tests.simulation.test_conformance` tells
        those of a simulation.
        """
        with self._database.read() as connection:
            names = dict(connection.execute(select(entry_versions.c.entry_id, entry_versions.c.name)).all())
            found = [run_line(names[run.entry_id], run) for run in connection.execute(select(runs))]
            found += [
                record_line(names[r.entry_id], r, r.first_fire_at, r.last_fire_at)
                for r in connection.execute(select(suppressions))
            ]
            found += [
                f"{names[timer.entry_id]} {timer.entry_id} is {timer.state}, next {shown(timer.next_fire_at)}"
                for timer in connection.execute(select(timers))
            ]
        return sorted(found)


def run_line(entry: str, run: Any) -> str:
    kind = run.origin.partition(":")[0]
    spans = f"due {shown(run.due_time)} expires {shown(run.expires_at)}"
    went = f"from {shown(run.started_at)} to {shown(run.finished_at)} {run.state} ({run.reason})"
    return f"{entry} {shown(run.fire_time)} {kind} v{run.version} {spans} {went}"


def record_line(entry: str, record: Any, first: datetime, last: datetime) -> str:
    exact = "" if record.exact else " or more"
    return f"{entry} {shown(first)} to {shown(last)} v{record.version} {record.reason} {record.count}{exact}"


def shown(instant: datetime | None) -> str:
    """To the second: the node's sweep comes a moment after the instant that it waits for."""
    return "-" if instant is None else f"{instant.astimezone(UTC):%m-%d %H:%M:%S}"
