"""Calendar events, `OnCalendar=`, read as systemd reads them (systemd.time(7), its calendarspec.c).

    Mon..Fri *-*-01,15 10,22:00/15:00 Europe/Berlin

What systemd refuses is refused. A wall time matches when weekday, date and time all match it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from beatd.errors import FieldError
from beatd.schedules import parse_zone

MONTHS = frozenset(range(1, 13))
DAYS = frozenset(range(1, 32))
WEEKDAYS = frozenset(range(7))
HOURS = frozenset(range(24))
MINUTES = SECONDS = frozenset(range(60))
FIRST_YEAR, LAST_YEAR = 1970, 2199
YEARS = frozenset(range(FIRST_YEAR, LAST_YEAR + 1))

_EXAMPLE = "Mon..Fri *-*-* 06:30"
_TICKS = 1_000_000

_SHORTHANDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
}
_SHORTHANDS |= {
    **dict.fromkeys(("annually", "anually"), _SHORTHANDS["yearly"]),
    **dict.fromkeys(("semi-annually", "biannually", "bi-annually"), _SHORTHANDS["semiannually"]),
}
_WEEKDAY = re.compile(
    "(?:(sunday|sun)|(monday|mon)|(tuesday|tue)|(wednesday|wed)|(thursday|thu)|(friday|fri)|(saturday|sat))"
    r"(?=[-., ]|$)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+(?:\.(?!\.)[0-9]+)?")


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """Weekdays are cron's, Sunday 0. With `from_end` the days count from the month's end: 1 is its last.

    `timezone`: None for the machine's.
    """

    text: str
    timezone: str | None = None
    weekdays: frozenset[int] = WEEKDAYS
    years: frozenset[int] = YEARS
    months: frozenset[int] = MONTHS
    days: frozenset[int] = DAYS
    from_end: bool = False
    hours: frozenset[int] = HOURS
    minutes: frozenset[int] = MINUTES
    seconds: frozenset[int] = SECONDS
    warnings: tuple[str, ...] = ()


def parse_event(text: str, own_abbreviations: Collection[str] = ()) -> CalendarEvent:
    """`own_abbreviations` are what the machine's zone calls its times (`CET`, `CEST`), for systemd reads them
    otherwise than zones. Raises FieldError of `OnCalendar`."""
    try:
        rule, timezone = _split_zone(text, own_abbreviations)
        if not rule:
            raise _SyntaxProblemError("is empty")
        event = _Reader(_SHORTHANDS.get(rule.lower(), rule)).event()
    except _SyntaxProblemError as problem:
        raise FieldError("OnCalendar", text, str(problem), example=_EXAMPLE) from None
    return replace(event, text=text, timezone=event.timezone or timezone)


def _split_zone(text: str, own_abbreviations: Collection[str]) -> tuple[str, str | None]:
    rule, blank, word = text.rpartition(" ")
    if not blank:
        return text, None
    if word.lower() == "utc":
        return rule, "UTC"
    if word.lower() in {name.lower() for name in own_abbreviations}:
        raise _SyntaxProblemError(
            f"{word} is what the machine's zone calls its time in one half of the year, and systemd passes "
            "over the other half or shifts it: name the zone instead, such as Europe/Berlin"
        )
    if not re.match(r"[A-Za-z]", word) or _WEEKDAY.match(word):
        return text, None
    try:
        return rule, parse_zone(word).key
    except FieldError as error:
        raise _SyntaxProblemError(f"{word!r} {error.problem}") from None


class _SyntaxProblemError(Exception):
    """Goes on from the expression."""


@dataclass(slots=True)
class _Reader:
    """Goes through an expression from its front to its end."""

    text: str
    at: int = 0

    def event(self) -> CalendarEvent:
        weekdays = self._weekdays()
        if self._peek() == "@":
            return self._instant(weekdays)
        date = self._date()
        hours, minutes, seconds, warnings = self._time()
        if self.at != len(self.text):
            raise self._unexpected()
        years, months, days, from_end = date
        return CalendarEvent(
            "",
            None,
            weekdays,
            years,
            months,
            days,
            from_end,
            hours=hours,
            minutes=minutes,
            seconds=seconds,
            warnings=warnings,
        )

    def _weekdays(self) -> frozenset[int]:
        found: set[int] = set()
        start: int | None = None
        while match := _WEEKDAY.match(self.text, self.at):
            # systemd's week begins with Monday
            day = (int(match.lastindex or 1) - 2) % 7
            if start is not None and start > day:
                raise _SyntaxProblemError("the range of weekdays runs backwards: the week begins with Monday")
            found.update(range(day if start is None else start, day + 1))
            self.at = match.end()
            if self._skip(".."):
                pass
            elif self._peek() == "-":
                self.at += 1
            elif self._skip(","):
                start = None
                if self._peek() in ("", " "):
                    break
                continue
            else:
                if start is not None or self._peek() in ("", " "):
                    break
                raise self._unexpected()
            if start is not None:
                raise self._unexpected()
            start = day
            if not _WEEKDAY.match(self.text, self.at):
                raise _SyntaxProblemError("the range of weekdays has no end")
        else:
            if found:
                raise self._unexpected()
        self._blanks()
        return frozenset((day + 1) % 7 for day in found) or WEEKDAYS

    def _instant(self, weekdays: frozenset[int]) -> CalendarEvent:
        match = re.compile(r"@([0-9]+)$").match(self.text, self.at)
        try:
            instant = datetime.fromtimestamp(int(match[1]) if match else -1, UTC)
        except (OverflowError, ValueError, OSError):
            match = None
        if match is None:
            raise _SyntaxProblemError("after '@' comes the number of seconds since 1970, and nothing else")
        date, time = instant.date(), instant.time()
        return CalendarEvent(
            "",
            "UTC",
            weekdays,
            years=frozenset({date.year}),
            months=frozenset({date.month}),
            days=frozenset({date.day}),
            hours=frozenset({time.hour}),
            minutes=frozenset({time.minute}),
            seconds=frozenset({time.second}),
        )

    def _date(self) -> tuple[frozenset[int], frozenset[int], frozenset[int], bool]:
        """Years, months, days, and whether they count from the end; all of them where no date stands here."""
        whole = YEARS, MONTHS, DAYS, False
        began = self.at
        if not self._peek():
            return whole
        first = self._chain()
        if self._peek() in ("", ":"):
            self.at = began
            return whole
        from_end = self._separator()
        second = self._chain()
        if self._peek() in ("", " "):
            parts = [None, first, second]
        elif from_end:
            raise _SyntaxProblemError("'~' stands between month and day: '*-*~01'")
        else:
            from_end = self._separator()
            parts = [first, second, self._chain()]
            if self._peek() not in ("", " "):
                raise self._unexpected()
        self._blanks()
        # without a day there is nothing to count from the end
        from_end = from_end and parts[2] is not None
        return (
            _values("year", parts[0], FIRST_YEAR, LAST_YEAR),
            _values("month", parts[1], 1, 12),
            _values("day", parts[2], 1, 31, from_end=from_end),
            from_end,
        )

    def _separator(self) -> bool:
        """Goes over `-` or `~` and says whether it is the latter."""
        if self._peek() not in ("-", "~"):
            raise self._unexpected()
        self.at += 1
        return self.text[self.at - 1] == "~"

    def _time(self) -> tuple[frozenset[int], frozenset[int], frozenset[int], tuple[str, ...]]:
        midnight = frozenset({0})
        if not self._peek():
            return midnight, midnight, midnight, ()
        hours = self._chain()
        if not self._skip(":"):
            raise _SyntaxProblemError("a time of day has a colon: '06:30'")
        minutes = self._chain()
        seconds = _seconds(self._chain(parts=True)) if self._skip(":") else [_Part(0, None, 0)]
        lost = (_lost("hour", hours, 24), _lost("minute", minutes, 60), _lost("second", seconds, 60))
        return (
            _values("hour", hours, 0, 23),
            _values("minute", minutes, 0, 59),
            _values("second", seconds, 0, 59),
            tuple(filter(None, lost)),
        )

    def _chain(self, *, parts: bool = False) -> list[_Part] | None:
        """A list of values, ranges and steps; None is `*`. With `parts` numbers may have a fraction, and all
        are in millionths."""
        if self._skip("*"):
            return None
        chain = []
        while True:
            start, stop, step = self._number(parts), None, 0
            if self._skip(".."):
                stop, step = self._number(parts), _TICKS if parts else 1
            if parts and start == stop and self._peek() != "/":
                raise _SyntaxProblemError("systemd refuses a range of seconds that has one only")
            if self._skip("/"):
                step = self._number(parts)
                if step == 0:
                    raise _SyntaxProblemError("a step is at least 1")
            if self._peek() not in ("", " ", ",", "-", "~", ":"):
                raise self._unexpected()
            chain.append(_Part(start, stop, step))
            if not self._skip(","):
                return chain

    def _number(self, parts: bool) -> int:
        match = (_DECIMAL if parts else _NUMBER).match(self.text, self.at)
        if match is None:
            raise self._unexpected("a number")
        self.at = match.end()
        whole, _, fraction = match[0].partition(".")
        if not parts:
            return int(whole[:12])
        # rounded to millionths
        return int(whole[:12]) * _TICKS + (int(fraction.ljust(7, "0")[:7]) + 5) // 10

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip(self, text: str) -> bool:
        found = self.text.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def _blanks(self) -> None:
        while self._skip(" "):
            pass

    def _unexpected(self, wanted: str = "") -> _SyntaxProblemError:
        rest = self.text[self.at :]
        hint = f"; wanted is {wanted}" if wanted else ""
        if not rest:
            return _SyntaxProblemError(f"ends too early{hint}")
        if "*/" in self.text:
            hint = "; a step follows a number: '0/15', not '*/15'"
        return _SyntaxProblemError(f"{rest!r} (character {self.at + 1}) is not understood{hint}")


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    stop: int | None
    step: int


def _values(
    name: str, chain: list[_Part] | None, low: int, high: int, *, from_end: bool = False
) -> frozenset[int]:
    if chain is None:
        return frozenset(range(low, high + 1))
    found: set[int] = set()
    for part in chain if name != "year" else map(_with_full_years, chain):
        _check(name, part, low, high - 3 if from_end else high, from_end)
        found |= _expanded(part, low, high, from_end)
    return frozenset(found)


def _expanded(part: _Part, low: int, high: int, from_end: bool) -> set[int]:
    if not part.step:
        return {part.start}
    if not from_end:
        return set(range(part.start, (high if part.stop is None else part.stop) + 1, part.step))
    # steps go forward in the month, so down in what counts from its end
    first = part.start if part.stop is None else part.stop - (part.stop - part.start) % part.step
    return set(range(first, (low if part.stop is None else part.start) - 1, -part.step))


def _check(name: str, part: _Part, low: int, high: int, from_end: bool) -> None:
    """What systemd refuses."""
    for value in (part.start, part.stop):
        if value is not None and not low <= value <= high:
            raise _SyntaxProblemError(f"the {name} {value} is not in {low}-{high}")
    if part.stop is not None:
        if part.stop < part.start:
            raise _SyntaxProblemError(f"the range of {name}s {part.start}..{part.stop} runs backwards")
        return
    second = part.start - part.step if from_end else part.start + part.step
    if part.step > high - low or not low <= second <= high:
        raise _SyntaxProblemError(f"the step {part.step} of {name}s leads out of {low}-{high}")


def _lost(name: str, chain: list[_Part] | None, size: int) -> str | None:
    """systemd looks for the value after the last one of a step that has no end, and finds one beyond the
    field; where the field above is at its end as well, it goes on from there, and passes over what is before.
    """
    steps = [part for part in chain or [] if part.step and part.stop is None]
    beyond = (part.start + part.step * -(-(size - part.start) // part.step) - size for part in steps)
    resumed = min(beyond, default=0)
    first = min((part.start for part in chain or []), default=0)
    if first >= resumed:
        return None
    when = {"hour": "on the first of a month", "minute": "after midnight", "second": "of an hour"}[name]
    return (
        f"systemd 252 leaves out {name} {first} {when}, and may stop in nights of daylight saving, for the "
        "step does not end where the field does; beatd fires"
    )


def _with_full_years(part: _Part) -> _Part:
    return replace(
        part, start=_full_year(part.start), stop=None if part.stop is None else _full_year(part.stop)
    )


def _full_year(year: int) -> int:
    if year < 70:
        return year + 2000
    return year + 1900 if year < 100 else year


def _seconds(chain: list[_Part] | None) -> list[_Part] | None:
    """In whole ones, of millionths."""
    for part in chain or []:
        for value in (part.start, part.stop or 0, part.step):
            if value % _TICKS:
                raise _SyntaxProblemError(
                    "beatd fires at whole seconds: a fraction of one cannot be carried over"
                )
    return chain and [
        _Part(part.start // _TICKS, None if part.stop is None else part.stop // _TICKS, part.step // _TICKS)
        for part in chain
    ]
