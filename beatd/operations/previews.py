"""How an edit changes when an entry fires, told before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Literal

from beatd.errors import BeatdError
from beatd.operations import entries
from beatd.operations.context import Context
from beatd.operations.options import Options, changed_columns, new_columns, option_changes
from beatd.operations.views import definition_of
from beatd.planning.definition import Definition
from beatd.planning.preview import sentence
from beatd.planning.remarks import calendar_of
from beatd.planning.timing import Surroundings, next_fire_time
from beatd.store.entries import StoredEntry

#: Fires that are shown of each rule.
SHOWN = 3

#: Where the next fires are the same, how far and how long it is looked for ones that are not.
_HORIZON = timedelta(days=366)
_STEPS = 1000

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
#: How far from a date of a calendar a fire moves, but for very long holidays.
_MOVES = 7 * _DAY

Mark = Literal["same", "gone", "new"]


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire of a rule, and whether the other rule has it. Its run is due at `due_time`."""

    fire_time: datetime
    due_time: datetime
    mark: Mark = "same"


@dataclass(frozen=True, slots=True)
class Outlook:
    """When an entry fires: in plain English, and the next fires as if it were not paused by hand.

    `fires` is empty where nobody knows them: after boots, and from the end of one run to the next.
    """

    sentence: str
    timezone: str
    fires: tuple[Fire, ...]


@dataclass(frozen=True, slots=True)
class FiresChange:
    """How the fires of an entry change. `before` is None where its rule could not be read.

    `later` are the first fires that come or go where the next ones stay the same.
    """

    entry: str
    before: Outlook | None
    after: Outlook
    later: tuple[Fire, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would change: options with their old and new values, and the fires if they change."""

    changes: Mapping[str, tuple[Any, Any]]
    fires: FiresChange | None


def preview(context: Context, name: str, options: Options, *, replace: bool = False) -> Preview:
    """What `entries.change`, or with `replace` `entries.replace`, would do. Raises what they do."""
    with context.database.read() as transaction:
        entry = entries.existing(transaction, name)
        surroundings = context.surroundings(transaction)
        now = context.database.now(transaction)
    if replace:
        written = new_columns(str(options.get("name", name)), options)
    else:
        written = changed_columns(entry.columns, options)
    after = entries.checked_change(context, surroundings, entry, written, now)
    fires = fires_change(entry, definition_or_none(surroundings, entry), after, now)
    return Preview(option_changes(entry.columns, written.columns), fires)


def outlook(context: Context, name: str) -> Outlook:
    """Raises NotFound, InvalidInput if the entry is broken."""
    with context.database.read() as transaction:
        entry = entries.existing(transaction, name)
        now = context.database.now(transaction)
        definition = definition_of(context.surroundings(transaction), entry)
    return _Row(definition, now, _runs_made(entry)).outlook()


def outlook_of(definition: Definition, now: datetime) -> Outlook:
    """Of a definition that no entry has yet."""
    return _Row(definition, now, 0).outlook()


def fires_change(
    entry: StoredEntry,
    before: Definition | None,
    after: Definition,
    now: datetime,
    days: Sequence[date] | None = None,
) -> FiresChange | None:
    """None if the fires stay as they are. `days`: only around these can any differ."""
    new = _Row(after, now, _runs_made(entry))
    if before is None:
        return FiresChange(entry.name, None, new.outlook())
    if (before.timing, before.paused_until) == (after.timing, after.paused_until):
        return None
    old = _Row(before, now, _runs_made(entry))
    told, tells = old.outlook(new, "gone"), new.outlook(old, "new")
    later: tuple[Fire, ...] = ()
    if told.fires and all(fire.mark == "same" for fire in (*told.fires, *tells.fires)):
        later = tuple(islice(_differences(old, new, now, days), SHOWN))
    if (told.sentence, told.fires) == (tells.sentence, tells.fires) and not later:
        return None
    return FiresChange(after.name, told, tells, later)


def definition_or_none(surroundings: Surroundings, entry: StoredEntry) -> Definition | None:
    try:
        return definition_of(surroundings, entry)
    except BeatdError:
        return None


class _Row:
    """The coming fires under one definition."""

    def __init__(self, definition: Definition, now: datetime, runs_made: int) -> None:
        self.definition = definition
        self._timing = definition.timing
        until = definition.paused_until
        self._start = now if until is None else max(now, until - _TICK)
        most = definition.timing.max_runs
        self._left = None if most is None else max(0, most - runs_made)
        self._known = not (definition.timing.at_boot or definition.timing.fixed_delay)

    def outlook(self, other: _Row | None = None, mark: Mark = "same") -> Outlook:
        """With `mark` at the fires that the other does not have."""
        fires = tuple(
            self.fire(fire_time, "same" if other is None or other.has(fire_time) else mark)
            for fire_time in islice(self.fire_times(self._start), SHOWN)
        )
        return Outlook(sentence(self._timing), self._timing.timezone.key, fires)

    def fire(self, fire_time: datetime, mark: Mark) -> Fire:
        return Fire(fire_time, self._timing.due_time(fire_time), mark)

    def fire_times(self, after: datetime) -> Iterator[datetime]:
        """Those after this instant, as many as `max_runs` leaves from the start on."""
        if not self._known:
            return
        after = max(after, self._start)
        left = None if self._left is None else self._left - self._number(after)
        fire_time = next_fire_time(self._timing.schedule, after)
        while fire_time is not None and (left is None or left > 0):
            yield fire_time
            left = None if left is None else left - 1
            fire_time = next_fire_time(self._timing.schedule, fire_time)

    def has(self, instant: datetime) -> bool:
        return next(self.fire_times(instant - _TICK), None) == instant

    def _number(self, until: datetime) -> int:
        return self._timing.schedule.count(self._start, until).number


def _differences(old: _Row, new: _Row, now: datetime, days: Sequence[date] | None) -> Iterator[Fire]:
    """The fires that one has and the other has not, in order."""
    if days is None:
        yield from _differences_in(old, new, now, now + _HORIZON)
        return
    zone = new.definition.timezone
    calendared = calendar_of(new.definition.schedule)
    around = timedelta(0) if calendared is None or calendared.action == "drop" else _MOVES
    done = now
    for day in days:
        start, end = (
            datetime.combine(day + number * _DAY, time(), zone).astimezone(UTC) for number in (0, 1)
        )
        wide = list(_differences_in(old, new, max(done, start - _TICK - around), end - _TICK + around))
        # of what fires very often, only the day itself
        yield from wide or _differences_in(old, new, max(done, start - _TICK), end - _TICK)
        done = max(done, end - _TICK + around)


def _differences_in(old: _Row, new: _Row, after: datetime, until: datetime) -> Iterator[Fire]:
    ours, theirs = old.fire_times(after), new.fire_times(after)
    one, other = next(ours, None), next(theirs, None)
    for _ in range(_STEPS):
        first = min((fire for fire in (one, other) if fire is not None), default=None)
        if first is None or first > until:
            return
        if one != other:
            yield old.fire(first, "gone") if one == first else new.fire(first, "new")
        one = next(ours, None) if one == first else one
        other = next(theirs, None) if other == first else other


def _runs_made(entry: StoredEntry) -> int:
    return entry.timer.runs_made if entry.timer else 0
