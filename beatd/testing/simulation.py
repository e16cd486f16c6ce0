"""Entries on a clock that is turned: what would have run?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

from beatd.errors import Conflict, FieldError, InvalidInput, NotFound, nearest
from beatd.operations import calendars, files, writing
from beatd.operations.options import Written, changed_columns, new_columns
from beatd.planning.definition import Definition, parse_definition
from beatd.planning.timing import Surroundings
from beatd.planning.world import Entry, Run, Suppressed, Task, World
from beatd.schedules import CustomFactory, DateSet, format_instant, parse_instant, parse_zone
from beatd.store.calendars import StoredCalendar
from beatd.testing.inventions import Duration, Invention, Outcome, read_duration, read_outcome, settle
from beatd.worker import arguments

#: An instant: aware, or ISO 8601 text; without an offset, a wall time of the simulation's zone.
Moment = datetime | str

_GLOB = re.compile(r"[*?\[]")
_INSTALLATION = "00000000-0000-4000-8000-000000000000"


class Simulation:
    """One installation: entries, a scheduler, workers whose tasks are invented, and people who edit.

    Everything is scripted: `add` and `load` hold from now on; what is given an instant comes to pass then,
    and `run_until` lets time go on. Instants of the script are on a line of time that always goes forward;
    what is recorded is the database's time, which is the same as long as `set_clock` is not used.

    Deterministic: the same script and seed give the same history. Raises errors of `beatd.errors`: of an edit
    that is scripted for later, when its time comes.
    """

    def __init__(
        self,
        start: Moment,
        *,
        timezone: str = "UTC",
        seed: int = 0,
        custom: Mapping[str, CustomFactory] | None = None,
    ) -> None:
        """`timezone` is that of entries which name none; `custom` are the APScheduler triggers that entries
        may name. Raises FieldError.
        """
        self._zone = parse_zone(timezone)
        self._seed = seed
        self._calendars: dict[str, DateSet] = {}
        self._stored_calendars: dict[str, StoredCalendar] = {}
        self._surroundings = Surroundings(timezone, self._calendars, custom or {})
        #: by name, and by glob, with a number that says which of two came later
        self._inventions: dict[str, tuple[int, Invention]] = {}
        self._globs: list[tuple[str, int, Invention]] = []
        self._there: dict[str, Entry] = {}
        #: what is simulated: entries with all their versions, and what the node made of them
        self.world = World(self._instant("start", start), self._invent, _INSTALLATION)

    @property
    def now(self) -> datetime:
        """The instant up to which the script has come to pass."""
        return self.world.clock.real

    @property
    def database_time(self) -> datetime:
        return self.world.clock.now

    # Before it begins

    def calendar(self, name: str, **options: Any) -> None:
        """Adds a calendar that entries may name, now; options are those of an entries file: dates, weekdays,
        country, region. Raises InvalidInput, Conflict.
        """
        self._set_calendar(self._new_calendar(name, options))

    def work(
        self,
        pattern: str,
        *,
        duration: Duration = "0s",
        outcome: Outcome = "succeeded",
        stops_in: Duration = "0s",
    ) -> None:
        """Invents the tasks of the entries with this name, or whose names fit this glob; of several that fit
        the last holds.

        A task that is started takes `duration` and then ends as `outcome` says; told to end (`overlap =
        "cancel"`), it does so within `stops_in`. Raises FieldError.
        """
        self._invent_for(pattern, Invention(duration, outcome, stops_in))

    # Entries

    def add(
        self,
        name: str,
        *,
        duration: Duration = "0s",
        outcome: Outcome = "succeeded",
        stops_in: Duration = "0s",
        **options: Any,
    ) -> None:
        """Adds an entry, now; options are the keys of an entries file, the others as in `work`.

        Raises InvalidInput with every finding, Conflict if the name is taken.
        """
        invention = Invention(duration, outcome, stops_in)
        columns, definition = self._new(name, new_columns(name, options))
        self._invent_for(name, invention)
        self._there[name] = self.world.add(name, columns, definition)

    def load(self, *paths: str | Path) -> None:
        """Adds the entries and calendars of files, now. Raises InvalidInput with every finding, and then no
        entry is added; Conflict if a name is taken.
        """
        read = files.load([Path(path) for path in paths])
        findings = list(read.findings)
        for calendar in read.calendars:
            try:
                self.calendar(calendar.name, **calendar.options)
            except InvalidInput as error:
                findings += map(calendar.at, error.findings)
        checked = []
        for wanted in read.wanted:
            try:
                checked.append(
                    (wanted.name, self._new(wanted.name, new_columns(wanted.name, wanted.options)))
                )
            except InvalidInput as error:
                findings += map(wanted.at, error.findings)
        if findings:
            raise InvalidInput(findings)
        for name, (columns, definition) in checked:
            self._there[name] = self.world.add(name, columns, definition)

    def edit(self, at: Moment, name: str, **options: Any) -> None:
        """Sets options of an entry; None unsets one. Raises NotFound, InvalidInput."""
        self._script(at, partial(self._edit, name, options))

    def remove(self, at: Moment, name: str) -> None:
        """Removes an entry; its history stays. Raises NotFound."""
        self._script(at, partial(self._remove, name))

    def pause(self, at: Moment, name: str, *, until: Moment | None = None) -> None:
        """Pauses an entry, for the time being or until an instant of the database's time. Raises NotFound."""
        end = None if until is None else self._instant("until", until)
        paused = {"enabled": False} if end is None else {"paused_until": format_instant(end)}
        self._script(at, partial(self._edit, name, paused))

    def resume(self, at: Moment, name: str) -> None:
        """Raises NotFound."""
        self._script(
            at, partial(self._edit, name, {"enabled": True, "paused_until": None, "pause_note": None})
        )

    def trigger(self, at: Moment, name: str) -> None:
        """Asks for a run of an entry. Raises NotFound."""
        self._script(at, lambda: self.world.trigger(self._existing(name)))

    def edit_calendar(self, at: Moment, name: str, **options: Any) -> None:
        """Sets options of a calendar; None unsets one. Raises NotFound, InvalidInput."""
        self._script(at, partial(self._edit_calendar, name, options))

    # Everything around them

    def pause_all(self, at: Moment, *, until: Moment | None = None) -> None:
        """Pauses everything, for the time being or until an instant of the database's time."""
        end = None if until is None else self._instant("until", until)
        self._script(at, lambda: self.world.pause_all(end))

    def resume_all(self, at: Moment) -> None:
        self._script(at, self.world.resume_all)

    def outage(self, since: Moment, until: Moment) -> None:
        """No scheduler runs from `since` until just before `until`; workers go on."""
        self._stretch(since, until, self.world.leave, self.world.come_back)

    def workers_away(self, since: Moment, until: Moment) -> None:
        """No worker starts anything from `since` until just before `until`; what they have begun goes on."""
        self._stretch(since, until, self.world.work.leave, self.world.work.come_back)

    def boot(self, at: Moment, host: str = "localhost") -> None:
        """A machine boots; the scheduler starts then, or when an outage that holds then ends."""
        self._script(at, lambda: self.world.boot(host))

    def set_clock(self, at: Moment, by: timedelta | str) -> None:
        """Sets the database's clock ahead, or back (`-2h`). Raises FieldError."""
        back = isinstance(by, str) and by.startswith("-")
        step = by if isinstance(by, timedelta) else read_duration(by.removeprefix("-"), "by")
        self._script(at, lambda: self.world.set_clock(-step if back else step))

    def run_until(self, instant: Moment) -> None:
        """Lets time go on to an instant; what is scripted for that instant comes to pass, too."""
        until = self._instant("instant", instant)
        self._require_ahead("instant", until)
        self.world.run_until(until)

    # What came of it

    def runs(self, name: str | None = None, *, state: str | None = None) -> tuple[Run, ...]:
        """The runs of an entry or of all, in the order in which they were recorded. Raises NotFound."""
        found = [run for entry in self._named(name) for run in entry.runs if state in (None, run.state)]
        found.sort(key=lambda run: run.recorded_real)
        return tuple(copy(run) for run in found)

    def suppressions(self, name: str | None = None) -> tuple[Suppressed, ...]:
        """The counted records of fires that became no runs, in the order in which they were recorded.

        Raises NotFound.
        """
        found = [record for entry in self._named(name) for record in entry.suppressed]
        return tuple(sorted(found, key=lambda record: record.recorded_real))

    def history(self, name: str | None = None) -> tuple[Run | Suppressed, ...]:
        """Both, in the order of their fire times; of a record that of its first fire. Raises NotFound."""
        both: list[Run | Suppressed] = [*self.runs(name), *self.suppressions(name)]
        return tuple(sorted(both, key=lambda one: one.fire_time if isinstance(one, Run) else one.first))

    def state(self, name: str) -> str:
        """active, paused, completed or broken. Raises NotFound."""
        return self._existing(name).state

    def next_fire(self, name: str) -> datetime | None:
        """The next fire that is planned; None where there is none, or where the end of a run is waited for.

        Raises NotFound.
        """
        return self._existing(name).next_fire

    # The script

    def _script(self, at: Moment, action: Callable[[], Any]) -> None:
        instant = self._instant("at", at)
        self._require_ahead("at", instant)
        if instant == self.now:
            action()
        else:
            self.world.at(instant, action)

    def _stretch(
        self, since: Moment, until: Moment, begin: Callable[[], None], end: Callable[[], None]
    ) -> None:
        first, last = self._instant("since", since), self._instant("until", until)
        self._require_ahead("since", first)
        if last <= first:
            later = format_instant(first + timedelta(hours=1))
            raise FieldError("until", until, f"is not later than since {since!s}", example=later)
        self._script(first, begin)
        self._script(last, end)

    def _require_ahead(self, field: str, instant: datetime) -> None:
        if instant < self.now:
            reached = format_instant(self.now)
            problem = f"is past: the simulation has come to {reached}"
            raise FieldError(field, format_instant(instant), problem, example=reached)

    def _instant(self, field: str, given: Moment) -> datetime:
        text = given.isoformat() if isinstance(given, datetime) else given
        if not isinstance(text, str):
            raise FieldError(field, given, "an instant is wanted", example="2026-03-29T09:30:00Z")
        return parse_instant(text, self._zone, field)

    # Entries

    def _new(self, name: str, written: Written) -> tuple[Mapping[str, Any], Definition]:
        if name in self._there:
            raise Conflict(f"there is an entry {name!r} already: choose another name, or change that one")
        definition = self._checked(written, self.database_time)
        self._refuse_in_vain(definition, written, dict(written.columns), 0)
        return written.columns, definition

    def _edit(self, name: str, options: Mapping[str, Any]) -> None:
        entry = self._existing(name)
        written = changed_columns(entry.current.columns, options)
        definition = self._checked(written, entry.created_at)
        differing = writing.changes(entry.current.columns, written.columns)
        if differing:
            self._refuse_in_vain(definition, written, differing, entry.runs_made)
            self.world.change(entry, written.columns, definition)

    def _remove(self, name: str) -> None:
        self.world.change(self._existing(name), {}, None)
        del self._there[name]

    def _checked(self, written: Written, created_at: datetime) -> Definition:
        findings = list(written.findings)
        try:
            definition = parse_definition(
                written.columns, created_at=created_at, surroundings=self._surroundings
            )
            task = definition.task
            arguments.check(task.task, task.args, task.kwargs)
        except InvalidInput as several:
            said = {finding.field for finding in findings}
            findings += [finding for finding in several.findings if finding.field not in said]
        except FieldError as finding:
            findings.append(finding)
        if findings:
            raise InvalidInput(findings)
        return definition

    def _refuse_in_vain(
        self, definition: Definition, written: Written, changed: Mapping[str, Any], runs_made: int
    ) -> None:
        now = self.database_time
        writing.refuse_in_vain(definition, written.columns, changed.keys(), now, runs_made)

    def _existing(self, name: str) -> Entry:
        found = self._there.get(name)
        if found is None:
            raise NotFound("entry", name, nearest(name, self._there))
        return found

    def _named(self, name: str | None) -> list[Entry]:
        """With those of that name which were removed."""
        found = [entry for entry in self.world.entries if name in (None, entry.name)]
        if name is not None and not found:
            raise NotFound("entry", name, nearest(name, {entry.name for entry in self.world.entries}))
        return found

    # Calendars

    def _new_calendar(self, name: str, options: Mapping[str, Any]) -> StoredCalendar:
        if name in self._stored_calendars:
            raise Conflict(f"there is a calendar {name!r} already")
        return calendars.checked(name, options)

    def _set_calendar(self, calendar: StoredCalendar) -> None:
        self._stored_calendars[calendar.name] = calendar
        self._calendars[calendar.name] = calendar.date_set()

    def _edit_calendar(self, name: str, options: Mapping[str, Any]) -> None:
        """An edit of a calendar is an edit of the entries that name it."""
        before = self._stored_calendars.get(name)
        if before is None:
            raise NotFound("calendar", name, nearest(name, self._stored_calendars))
        after = calendars.checked(name, {**calendars.natural_options(before), **options})
        if not calendars.changes(before, after):
            return
        self._set_calendar(after)
        for entry in self._there.values():
            columns = entry.current.columns
            if columns["calendar"] == name:
                self.world.change(entry, columns, self._checked(Written(columns), entry.created_at))

    # Tasks

    def _invent(self, run: Run) -> Task:
        invention = self._invention(run.entry)
        random = Random(f"{self._seed}/{run.entry}/{run.fire_time.isoformat()}/{run.starts}")  # noqa: S311
        return Task(
            read_duration(settle(invention.duration, run.fire_time, random), "duration"),
            read_outcome(settle(invention.outcome, run.fire_time, random)),
            read_duration(settle(invention.stops_in, run.fire_time, random), "stops_in"),
        )

    def _invent_for(self, pattern: str, invention: Invention) -> None:
        number = len(self._inventions) + len(self._globs)
        if _GLOB.search(pattern):
            self._globs.append((pattern, number, invention))
        self._inventions[pattern] = (number, invention)

    def _invention(self, name: str) -> Invention:
        fitting = [(number, invention) for glob, number, invention in self._globs if fnmatchcase(name, glob)]
        fitting.append(self._inventions.get(name, (-1, Invention())))
        return max(fitting, key=itemgetter(0))[1]
