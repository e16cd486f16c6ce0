"""A world to try entries in: planned by `plan` on a clock that is turned, with tasks that are invented.

What a node makes of timers and runs (SEMANTICS: Policies, Runs) is done here to plain objects. Pure: the
same script and the same tasks make the same history, for ever.

Nothing takes time but tasks, outages and what policies wait for. At one instant tasks end and the script
goes on first; then the node looks at what was changed, has ended and is due; then workers begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from beatd.planning.definition import Definition
from beatd.planning.look import Facts, Pause, Period, Plan, PlannedRun, Suppression
from beatd.planning.plan import expires_at, plan
from beatd.planning.policies import CANCEL_PATIENCE, RERUNS
from beatd.planning.reasons import SUPERSEDED
from beatd.planning.task import run_id
from beatd.planning.world.clock import Agenda, SimulatedClock
from beatd.planning.world.history import Entry, Run, Suppressed, Task, Version
from beatd.planning.world.work import Work
from beatd.schedules import BootSchedule

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Boot:
    """A machine booted at a real instant; the node that came up then fired for it, at `fired_at` by the
    database's time.
    """

    host: str
    real: datetime
    fired_real: datetime
    fired_at: datetime


class World:
    """One node, and whoever edits entries. `invent` says what becomes of a run when a worker starts it.

    What a person does is done at the instant that the clock shows; `at` puts it on the agenda for later.
    """

    def __init__(self, start: datetime, invent: Callable[[Run], Task], installation: str) -> None:
        self.clock = SimulatedClock(start)
        self.entries: list[Entry] = []
        self.pauses: list[Pause] = []
        self.boots: list[Boot] = []
        #: stretches of real time without a node; the last may have no end yet
        self.outages: list[tuple[datetime, datetime | None]] = []
        #: when the node last looked, in real time, and the latest time at which it took what was due
        self.looked_real = self.took_at = start
        self._installation = installation
        self._agenda, self._timers, self._deadlines = Agenda(), Agenda(), Agenda()
        self.work = Work(self.clock, self._agenda, self._deadlines, invent, self._ended_now, self._reopened)
        # ordered sets
        self._changed: dict[Entry, None] = {}
        self._ended: dict[Entry, None] = {}
        self._due: dict[Entry, None] = {}
        self._parked: dict[Entry, None] = {}
        self._unseen_boots: list[tuple[str, datetime]] = []
        self._absent = 0
        self._triggers = 0

    # Time

    def at(self, real: datetime, action: Callable[[], None]) -> None:
        self._agenda.put(real, action)

    def run_until(self, real: datetime) -> None:
        while True:
            self._node()
            following = self._next_instant()
            if following is None or following > real:
                break
            self.clock.go_to(following)
            while (action := self._agenda.take(following)) is not None:
                action()
        self.clock.go_to(real)
        self._node()

    def set_clock(self, by: timedelta) -> None:
        """The database's clock is set."""
        self.clock.step(by)
        self._unpark()
        for entry in self.entries:
            for run in entry.unfinished:
                self.work.expect_to_hear(run)

    def _next_instant(self) -> datetime | None:
        instants = [self._agenda.next]
        if not self._absent:
            due = [agenda.next for agenda in (self._timers, self._deadlines)]
            instants += [instant and self.clock.real_time_of(instant) for instant in due]
        return min((instant for instant in instants if instant is not None), default=None)

    # What people do

    def add(self, name: str, columns: Mapping[str, Any], definition: Definition) -> Entry:
        entry = Entry(len(self.entries) + 1, name, self.clock.now, self.clock.now)
        self.entries.append(entry)
        self.change(entry, columns, definition)
        return entry

    def change(self, entry: Entry, columns: Mapping[str, Any], definition: Definition | None) -> None:
        """A new version of an entry; `definition` None removes it."""
        clock, number = self.clock, len(entry.versions) + 1
        entry.versions.append(Version(number, clock.now, clock.real, clock.latest, definition, columns))
        self._changed[entry] = None

    def trigger(self, entry: Entry) -> Run:
        """A run now, paused or not, and whatever the overlap policy says."""
        self._triggers += 1
        run = self._new_run(entry, f"trigger:{self._triggers}", entry.current)
        self.work.publish(run, self.clock.now)
        return run

    def pause_all(self, until: datetime | None = None) -> None:
        """`until` is the database's time."""
        self.pauses.append(Pause(self._not_looked_at(), until))
        self._unpark()

    def resume_all(self) -> None:
        now, end = self.clock.now, self._not_looked_at()
        self.pauses = [replace(pause, until=end) if pause.covers(now) else pause for pause in self.pauses]
        self._unpark()

    def _not_looked_at(self) -> datetime:
        """Now, or the moment after, where the node has settled the fires of this very instant."""
        return self.clock.now + (_TICK if self.looked_real == self.clock.real else timedelta(0))

    # The node

    def leave(self) -> None:
        """The node goes away."""
        self._absent += 1
        if self._absent == 1:
            self.outages.append((self.clock.real, None))

    def come_back(self) -> None:
        """Of several outages at once the last that ends lets it come back."""
        self._absent -= 1
        if not self._absent:
            self.outages[-1] = (self.outages[-1][0], self.clock.real)

    def boot(self, host: str) -> None:
        """A machine boots; the node that comes up then fires for it."""
        self._unseen_boots.append((host, self.clock.real))

    @property
    def open_pause(self) -> Pause | None:
        """The pause of everything that there is now."""
        now = self.clock.now
        return next((pause for pause in self.pauses if pause.covers(now)), None)

    def _node(self) -> None:
        """Does all that a node has to do at this instant."""
        if self._absent:
            return
        for host, booted in self._unseen_boots:
            self._fire_boot(host, booted)
        self._unseen_boots.clear()
        while self._pass():
            pass
        self.looked_real = self.clock.real
        if self.open_pause is None:
            self.took_at = max(self.took_at, self.clock.now)

    def _pass(self) -> bool:
        """One pass; False if there was nothing to do."""
        now = self.clock.now
        while (timer := self._timers.take(now)) is not None:
            timer()
        if self._due and (pause := self.open_pause) is not None:
            self._park(pause)
        ended = list(self._ended)
        locked = {**self._changed, **self._ended, **self._due}
        for waiting in (self._changed, self._ended, self._due):
            waiting.clear()
        for entry in locked:
            self._look(entry)
        for entry in ended:
            self._follow(entry)
        if locked:
            return True
        deadline = self._deadlines.take(now)
        if deadline is not None:
            deadline()
        return deadline is not None

    def _park(self, pause: Pause) -> None:
        """While everything is paused no due timers are taken."""
        for entry in self._due:
            self._parked[entry] = None
            if pause.until is not None and entry.next_due is not None:
                self._timers.put(pause.until, partial(self._timer, entry, entry.next_due))
        self._due.clear()

    def _unpark(self) -> None:
        for entry in self._parked:
            self._set_timer(entry)
        self._parked.clear()

    def _set_timer(self, entry: Entry) -> None:
        if entry.next_due is not None:
            self._timers.put(entry.next_due, partial(self._timer, entry, entry.next_due))

    def _timer(self, entry: Entry, due: datetime) -> None:
        if entry.next_due == due:
            self._due[entry] = None

    # Planning

    def _look(self, entry: Entry) -> None:
        now, planned_from = self.clock.now, entry.planned_from
        pauses = [pause for pause in self.pauses if pause.until is None or pause.until > planned_from]
        periods = entry.periods()
        facts = self._facts(entry, periods)
        error = None
        try:
            decided = plan(periods, planned_from, now, facts, pauses)
        except Exception as exception:  # as of a node: one bad entry must not stop the others
            error = f"{type(exception).__name__}: {exception}"
            decided = Plan((), (), planned_from, entry.current.version, None, runs_made=entry.runs_made)
        entry.next_fire, entry.next_due = decided.next_fire, decided.next_due
        if entry.next_due is not None and entry.next_due <= now and decided.planned_from <= planned_from:
            raise RuntimeError(f"planning {entry.name!r} does not get on from {planned_from.isoformat()}")
        entry.planned_from, entry.planned_version = decided.planned_from, decided.version
        entry.runs_made, entry.error = decided.runs_made, error
        entry.state = _state(entry.definition, decided, error)
        self._record(entry, decided)
        self._set_timer(entry)

    def _facts(self, entry: Entry, periods: list[Period]) -> Facts:
        definitions = [period.definition for period in periods if period.definition is not None]
        overlapping = any(definition.policies.overlap != "allow" for definition in definitions)
        delayed = any(definition.timing.fixed_delay for definition in definitions)
        under_way = [run for run in entry.unfinished if run.may_run(self.clock.now)]
        return Facts(
            open_run=overlapping and bool(under_way),
            open_scheduled=delayed and any(run.scheduled for run in under_way),
            runs_made=entry.runs_made,
            last_end=entry.last_end() if delayed else None,
        )

    def _record(self, entry: Entry, decided: Plan) -> None:
        now, running = self.clock.now, False
        if any(run.cancels for run in decided.runs):
            ended = [self.work.cancel(run) for run in list(entry.unfinished) if run.may_run(now)]
            running = not all(ended)
        if any(run.held for run in decided.runs):
            for run in [run for run in entry.unfinished if run.state == "held" and run.scheduled]:
                self.work.finish(run, "revoked", SUPERSEDED)
        for planned in decided.runs:
            run = self._new_run(entry, "schedule", entry.versions[planned.version - 1], planned)
            if planned.held:
                self.work.hold(run)
            else:
                patience = CANCEL_PATIENCE if planned.cancels and running else timedelta(0)
                self.work.publish(run, max(now + patience, run.due_time))
        for suppression in decided.suppressions:
            self._suppress(entry, suppression)

    def _new_run(self, entry: Entry, origin: str, version: Version, planned: PlannedRun | None = None) -> Run:
        """A run of a planned fire, or of one that is now."""
        definition, now = version.definition, self.clock.now
        assert definition is not None  # noqa: S101 (what was removed has no fires)
        planned = planned or PlannedRun(version.version, now, now, expires_at(definition, now))
        run = Run(
            id=run_id(self._installation, entry.id, planned.fire_time, origin),
            entry=entry.name,
            entry_id=entry.id,
            version=version.version,
            origin=origin,
            fire_time=planned.fire_time,
            due_time=planned.due_time,
            expires_at=planned.expires_at,
            state="pending",
            recorded_at=now,
            recorded_real=self.clock.real,
            definition=definition,
            reruns_left=RERUNS if definition.policies.on_lost == "rerun" else 0,
        )
        entry.runs.append(run)
        entry.unfinished.append(run)
        return run

    def _suppress(self, entry: Entry, told: Suppression) -> None:
        now, real = self.clock.now, self.clock.real
        entry.suppressed.append(
            Suppressed(
                entry.name,
                told.version,
                told.reason,
                told.count,
                told.exact,
                told.first,
                told.last,
                now,
                real,
            )
        )

    def _fire_boot(self, host: str, booted: datetime) -> None:
        now = self.clock.now
        self.boots.append(Boot(host, booted, self.clock.real, now))
        for entry in self.entries:
            version, definition = entry.current, entry.definition
            if definition is None or not isinstance(definition.schedule, BootSchedule):
                continue
            if entry.versions[0].real >= booted or definition.schedule.host not in (None, host):
                continue
            paused_until = definition.paused_until
            if not definition.enabled or (paused_until is not None and now < paused_until):
                self._suppress(entry, Suppression(version.version, "paused", 1, True, now, now))
            elif self.open_pause is not None:
                self._suppress(entry, Suppression(version.version, "all paused", 1, True, now, now))
            else:
                run = self._new_run(entry, f"boot:{host}:{len(self.boots)}", version)
                self.work.publish(run, now)

    # Ends

    def _ended_now(self, run: Run) -> None:
        entry = self.entries[run.entry_id - 1]
        entry.close(run)
        awaited = entry.definition is not None and entry.definition.awaits_end
        if awaited or any(other.state in ("held", "pending") for other in entry.unfinished):
            self._ended[entry] = None

    def _reopened(self, run: Run) -> None:
        self.entries[run.entry_id - 1].reopen(run)

    def _follow(self, entry: Entry) -> None:
        """What waits for the end of a run: the count of failures, and a run that is kept back."""
        definition, now = entry.definition, self.clock.now
        if definition and definition.enabled and definition.policies.on_failure == "pause" and entry.fails():
            limit = definition.policies.failure_limit
            note = f"paused after {limit} failures in a row" if limit > 1 else "paused after a failure"
            columns = {**entry.current.columns, "enabled": False, "pause_note": note}
            self.change(entry, columns, replace(definition, enabled=False))
        under_way = [run for run in entry.unfinished if run.may_run(now)]
        waiting = [run for run in under_way if run.waits(now)]
        if waiting and len(waiting) == len(under_way):
            first = min(waiting, key=lambda run: (run.state == "held", not run.scheduled, run.fire_time))
            self.work.publish(first, first.due_time)


def _state(definition: Definition | None, decided: Plan, error: str | None) -> str:
    if error is not None:
        return "broken"
    if definition is not None and not definition.enabled and decided.next_fire is None:
        return "paused"
    return "active" if decided.waiting or decided.next_fire is not None else "completed"
