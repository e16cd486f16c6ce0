"""When a timer fires: its `[Timer]` section as schedules of entries (systemd.timer(5)).

- `OnCalendar=` fires on the wall clock: see `calendar_entries`.
- `OnUnitActiveSec=`, `OnUnitInactiveSec=` repeat: `every`, and `every` with `fixed_delay`.
- `OnBootSec=`, `OnStartupSec=`, `OnActiveSec=` fire once after a boot: `@reboot`, and where there is a time
  to pass the command waits. Beside one that repeats they say when the first of its row is, which `every` does
  not know.

A timer that elapses while its service runs starts it again when it has ended, once: systemd looks for the
next time from the last start on, and finds one that has passed. That is `overlap: queue`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.migrate.systemd_timers.calendar_entries import entries_of
from beatd.migrate.systemd_timers.calendar_events import CalendarEvent, parse_event
from beatd.migrate.systemd_timers.time_spans import SpanError, parse_span
from beatd.migrate.systemd_timers.unit_files import Assignment, UnitFile, placeholder_in, template_refused
from beatd.planning.policies import LONGEST_EXPIRY
from beatd.schedules import format_duration, parse_cron

_TIMER = "Timer"
_AFTER_BOOT = ("OnBootSec", "OnStartupSec", "OnActiveSec")
_REPEATED = ("OnUnitActiveSec", "OnUnitInactiveSec")
_WHEN = ("OnCalendar", *_AFTER_BOOT, *_REPEATED)
_SWITCHES = ("OnClockChange", "OnTimezoneChange")
_KNOWN = (
    *_WHEN,
    *_SWITCHES,
    "AccuracySec",
    "RandomizedDelaySec",
    "FixedRandomDelay",
    "Persistent",
    "WakeSystem",
    "RemainAfterElapse",
    "Unit",
    "DeferReactivation",
    "RandomizedOffsetSec",
)

_ACCURACY = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=12)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
#: How many fires are looked at for the shortest distance between two, and from when on.
_LOOKED_AT = 500
_FROM = datetime(2024, 1, 1, tzinfo=UTC)

Expand = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Timed:
    """One schedule of a timer: `options` of the entry, `suffix` for its name, `lines` as they stand in the
    unit, `wait` that its command does before."""

    suffix: str
    options: Mapping[str, Any]
    lines: tuple[str, ...]
    wait: timedelta = timedelta(0)
    warnings: tuple[str, ...] = ()


def timed_of(
    timer: UnitFile, timezone: str, own_abbreviations: tuple[str, ...], expand: Expand
) -> tuple[tuple[Timed, ...], tuple[FieldError, ...]]:
    """The schedules, or what cannot be carried over. `timezone` is the machine's, `expand` puts in what `%`
    stands for and raises ValueError."""
    return _Reader(timer, timezone, own_abbreviations, expand).read()


class _Reader:
    def __init__(
        self, timer: UnitFile, timezone: str, own_abbreviations: tuple[str, ...], expand: Expand
    ) -> None:
        self._timer = timer
        self._timezone = timezone
        self._own_abbreviations = own_abbreviations
        self._expand = expand
        self._problems: list[FieldError] = []
        self._events: list[tuple[Assignment, CalendarEvent]] = []
        self._spans: dict[str, list[tuple[Assignment, timedelta]]] = {}
        self._warnings: list[str] = []

    def read(self) -> tuple[tuple[Timed, ...], tuple[FieldError, ...]]:
        for one in self._when():
            self._collect(partial(self._read_when, one))
        self._collect(self._refuse_switches)
        found = self._collect(self._schedules) if not self._problems else None
        return (found or (), tuple(self._problems))

    def _collect(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FieldError as problem:
            self._problems.append(problem)
            return None

    def _when(self) -> list[Assignment]:
        """The lines that say when: an empty one takes away those of every kind before it."""
        found: list[Assignment] = []
        for one in self._timer.assignments:
            if one.section == _TIMER and one.key in _WHEN:
                found = [*found, one] if one.value else []
        return found

    def _read_when(self, one: Assignment) -> None:
        value = self._expanded(one)
        if one.key != "OnCalendar":
            span = self._span(one, value)
            if span is not None:
                self._spans.setdefault(one.key, []).append((one, span))
            return
        try:
            self._events.append((one, parse_event(value, self._own_abbreviations)))
        except FieldError as problem:
            raise problem.at(one.where) from None

    def _expanded(self, one: Assignment) -> str:
        if placeholder_in(one.value):
            raise template_refused(one.key, one.value, one.where)
        try:
            return self._expand(one.value)
        except ValueError as problem:
            raise one.refused(str(problem), example="OnCalendar=daily") from None

    def _span(self, one: Assignment, value: str) -> timedelta | None:
        try:
            return parse_span(value)
        except SpanError as problem:
            raise one.refused(str(problem), example="1h 30min") from None

    def _refuse_switches(self) -> None:
        for key in _SWITCHES:
            found = self._timer.last(_TIMER, key)
            if found is not None and found.boolean():
                what = "the clock is set" if key == "OnClockChange" else "the machine's zone changes"
                raise found.refused(
                    f"starts the service when {what}, which beatd does not watch: take the line out"
                )

    # What the lines are together

    def _schedules(self) -> tuple[Timed, ...]:
        repeated = [pair for key in _REPEATED for pair in self._spans.get(key, [])]
        after_boot = [pair for key in _AFTER_BOOT for pair in self._spans.get(key, [])]
        self._refuse_mixtures(repeated)
        self._tell()
        found: list[Timed] = []
        if self._events:
            found += self._calendar()
        if repeated:
            found.append(self._repeated(repeated, after_boot))
        else:
            found += [self._after_boot(*pair, alone=not self._events) for pair in after_boot]
        if not found:
            problem = "never fires: it has no OnCalendar=, OnUnitActiveSec=, OnBootSec= or the like"
            raise FieldError(_TIMER, None, problem, example="OnCalendar=daily", where=self._timer.path)
        return tuple(found)

    def _refuse_mixtures(self, repeated: list[tuple[Assignment, timedelta]]) -> None:
        if not repeated:
            return
        first = repeated[0][0]
        if self._events:
            raise first.refused(
                f"beside OnCalendar={self._events[0][1].text}: counts from the last start, so also from "
                "those of OnCalendar, which no schedule does; make a timer of each",
                example="OnCalendar=*:0/15",
            )
        if len({one.key for one, _ in repeated}) > 1:
            raise first.refused("both OnUnitActiveSec= and OnUnitInactiveSec=: give the one that is meant")

    def _calendar(self) -> list[Timed]:
        try:
            entries = entries_of([event for _, event in self._events], self._timezone)
        except FieldError as problem:
            raise problem.at(self._events[0][0].where) from None
        lines = tuple(one.text for one, _ in self._events)
        misfire = "latest" if self._timer.is_on(_TIMER, "Persistent") else "skip"
        found = []
        for number, options in enumerate(entries, 1):
            whole = {**options, "misfire": misfire, "overlap": "queue"}
            warnings = [*self._warnings, *(said for _, event in self._events for said in event.warnings)]
            whole |= self._jitter(_shortest_distance(options), warnings)
            if len(entries) > 1:
                warnings.append(
                    f"{len(entries)} entries come of the timer: a run of one does not wait for another's"
                )
            found.append(Timed("" if number == 1 else str(number), whole, lines, warnings=tuple(warnings)))
        return found

    def _repeated(
        self,
        repeated: list[tuple[Assignment, timedelta]],
        after_boot: list[tuple[Assignment, timedelta]],
    ) -> Timed:
        # each start begins all of them anew, so that only the shortest comes to its end
        one, span = min(repeated, key=lambda pair: pair[1])
        if span < _SECOND or span % _SECOND:
            raise one.refused("beatd counts whole seconds, at least one", example="1min")
        warnings = [*self._warnings, self._phase(after_boot)]
        options: dict[str, Any] = {"every": format_duration(span), "misfire": "latest"}
        if one.key == "OnUnitInactiveSec":
            options["fixed_delay"] = True
        else:
            options["overlap"] = "queue"
        jitter = self._jitter(span, warnings)
        if jitter:
            delay = str(jitter["jitter"])
            warnings.append(
                f"systemd adds up to {delay} to each distance, so that its fires drift; beatd keeps to "
                f"every {options['every']} and fires up to {delay} later"
            )
        lines = tuple(pair[0].text for pair in (*after_boot, *repeated))
        return Timed("", options | jitter, lines, warnings=tuple(warnings))

    def _phase(self, after_boot: list[tuple[Assignment, timedelta]]) -> str:
        if after_boot:
            one, span = min(after_boot, key=lambda pair: pair[1])
            return (
                f"{one.text}: systemd's row begins {format_duration(span)} after each boot, beatd's with the "
                "import (or start_at), and goes on over boots; a fire missed meanwhile runs when beatd is up"
            )
        return (
            "systemd's row begins once the service was started in another way, beatd's with the import (or "
            "start_at)"
        )

    def _after_boot(self, one: Assignment, span: timedelta, *, alone: bool) -> Timed:
        if span > _LONGEST_WAIT or span % _SECOND:
            problem = f"whole seconds up to {format_duration(_LONGEST_WAIT)} after a boot can be waited for"
            raise one.refused(problem, example="15min")
        warnings = list(self._warnings)
        if span:
            warnings.append(
                f"{one.text}: the command waits {format_duration(span)} in its worker, from when beatd is up "
                "after the boot"
            )
        if one.key == "OnActiveSec":
            warnings.append(
                "OnActiveSec counts from when the timer itself is started; beatd counts from the boot"
            )
        if self._random_delay():
            warnings.append("RandomizedDelaySec has no effect: @reboot has no jitter")
        return Timed("" if alone else "boot", {"cron": "@reboot"}, (one.text,), span, tuple(warnings))

    # What changes when it fires a little

    def _random_delay(self) -> tuple[Assignment, timedelta] | None:
        one = self._timer.last(_TIMER, "RandomizedDelaySec")
        if one is None:
            return None
        span = self._span(one, self._expanded(one))
        if span is None:
            raise one.refused("does not end", example="15min")
        return (one, span) if span else None

    def _jitter(self, distance: timedelta | None, warnings: list[str]) -> dict[str, Any]:
        found = self._random_delay()
        if found is None:
            return {}
        one, span = found
        if distance is not None and span > distance:
            raise one.refused(
                f"is longer than the {format_duration(distance)} between two fires: systemd then leaves some "
                "out; give at most that",
                example=format_duration(distance),
            )
        if span > LONGEST_EXPIRY:
            raise one.refused("is longer than a day, the longest jitter there is", example="1d")
        whole = timedelta(seconds=-(-span // _SECOND))
        if self._timer.is_on(_TIMER, "FixedRandomDelay"):
            warnings.append(
                "FixedRandomDelay: systemd's delay is the same for every fire, that of beatd differs, and is "
                "known beforehand"
            )
        return {"jitter": format_duration(whole)}

    def _tell(self) -> None:
        accuracy = self._timer.last(_TIMER, "AccuracySec")
        if accuracy is not None:
            span = self._span(accuracy, self._expanded(accuracy))
            if span is None or span > _ACCURACY:
                self._warnings.append(f"{accuracy.text}: systemd may fire so much later, beatd fires at once")
        if self._timer.is_on(_TIMER, "WakeSystem"):
            self._warnings.append("WakeSystem: beatd does not wake a machine that sleeps")
        for one in self._timer.assignments:
            if one.section == _TIMER and one.key not in _KNOWN and not one.key.startswith("X-"):
                self._warnings.append(f"{one.where}: {one.text}: systemd's timers have no such setting")
            elif one.section == "Unit" and one.key.startswith(("Condition", "Assert")) and one.value:
                self._warnings.append(f"{one.text} of the timer is not carried over")
        offset = self._timer.last(_TIMER, "RandomizedOffsetSec")
        if offset is not None:
            raise offset.refused(
                "moves every fire by an amount that depends on the machine: write it out instead"
            )


def _shortest_distance(options: Mapping[str, Any]) -> timedelta | None:
    """Between two fires of a cron entry, daylight saving aside; None for one that fires once."""
    if "cron" not in options:
        return None
    schedule = parse_cron(options["cron"], ZoneInfo("UTC"))
    shortest, last = None, schedule.next_fire_time(_FROM)
    for _ in range(_LOOKED_AT):
        following = last and schedule.next_fire_time(last)
        if following is None or last is None:
            break
        shortest = following - last if shortest is None else min(shortest, following - last)
        last = following
    return shortest
