"""Lines that were written for another scheduler, taken because a person says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.migrate.crontab.fields import after_blanks, word_end
from beatd.migrate.crontab.foreign_fields import (
    KINDS,
    FieldProblemError,
    ForeignField,
    Grammar,
    take_field,
)
from beatd.migrate.crontab.words import is_surely_a_field
from beatd.schedules import format_duration, parse_cron, parse_duration, parse_zone
from beatd.schedules.cron_fields import NICKNAMES

_ALL_YEARS = ("*", "1970-2099", "1970-2199")
_YEAR = re.compile(r"\*(?:/\d+)?|\d{4}(?:[-,/]\d+)*")
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_UTC = ZoneInfo("UTC")

_JENKINS = {
    "@yearly": "H H H H *",
    "@annually": "H H H H *",
    "@monthly": "H H H * *",
    "@weekly": "H H * * H",
    "@daily": "H H * * *",
    "@midnight": "H H(0-2) * * *",
    "@hourly": "H * * * *",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`layouts` are the numbers of fields that it has, in the order in which they are tried: each says
    whether a second stands first and a year last. `days` says when a day matches that both day fields
    restrict: if `either` does, if `both` do, or not at all (`one`: only one of them may).
    """

    name: str
    called: str
    layouts: tuple[tuple[bool, bool], ...]
    grammar: Grammar
    days: str
    nicknames: tuple[str, ...] = ()
    every: bool = False
    zone: bool = False


_FIVE, _SIX, _SIX_WITH_YEAR, _SEVEN = (False, False), (True, False), (False, True), (True, True)
_ALL_NICKNAMES = tuple(NICKNAMES)

_KNOWN = (
    Dialect(
        "quartz",
        "Quartz",
        (_SEVEN, _SIX),
        Grammar(sunday=1, wraps=True, longest_step=True),
        "one",
    ),
    Dialect(
        "spring",
        "Spring",
        (_SIX,),
        Grammar(),
        "both",
        nicknames=_ALL_NICKNAMES,
    ),
    Dialect(
        "jenkins",
        "Jenkins",
        (_FIVE,),
        Grammar(hashed=True, last=False, question_mark=False),
        "both",
        nicknames=tuple(_JENKINS),
        zone=True,
    ),
    Dialect(
        "supercronic",
        "supercronic",
        (_SEVEN, _SIX_WITH_YEAR, _FIVE),
        Grammar(long_names=True),
        "either",
        nicknames=(*_ALL_NICKNAMES, "@reboot"),
        every=True,
    ),
    Dialect(
        "kubernetes",
        "Kubernetes",
        (_FIVE,),
        Grammar(last_weekday=6, last=False),
        "either",
        nicknames=_ALL_NICKNAMES,
        every=True,
        zone=True,
    ),
    Dialect(
        "aws",
        "AWS",
        (_SIX_WITH_YEAR,),
        Grammar(sunday=1, longest_step=True),
        "one",
    ),
)
#: By the names that `--dialect` takes.
DIALECTS = {dialect.name: dialect for dialect in _KNOWN}


@dataclass(frozen=True, slots=True)
class Taken:
    """A schedule of beatd's (or `@every 5m`, `@reboot`), and where the line goes on behind it."""

    schedule: str
    end: int
    timezone: str | None = None
    warnings: tuple[str, ...] = ()


class NotTakenError(Exception):
    """The line is not of the dialect, or beatd cannot do the same."""

    def __init__(self, field: str, value: str, problem: str, position: int) -> None:
        super().__init__(problem)
        self.field = field
        self.value = value
        self.problem = problem
        self.position = position


def take(text: str, dialect: str) -> Taken:
    """The schedule that a line begins with. Raises NotTakenError."""
    known = DIALECTS[dialect]
    if known.name == "aws":
        return _aws(text, known)
    start, zone = _zone(text, known) if known.zone else (0, None)
    read = _nickname if text.startswith("@", start) else _fields
    taken = read(text, start, known)
    return Taken(taken.schedule, taken.end, zone, taken.warnings)


def _zone(text: str, dialect: Dialect) -> tuple[int, str | None]:
    prefix = re.match(r"(?:CRON_)?TZ=([^ \t]*)[ \t]+", text)
    if prefix is None:
        return 0, None
    try:
        return prefix.end(), parse_zone(prefix[1]).key
    except FieldError as error:
        raise NotTakenError("timezone", prefix[1], error.problem, prefix.start(1)) from None


def _nickname(text: str, start: int, dialect: Dialect) -> Taken:
    word = re.match(r"[^ \t]*", text[start:])
    name = word[0] if word else ""
    end = after_blanks(text, start + len(name))
    if name == "@every" and dialect.every:
        return _every(text, start, end, dialect)
    if name not in dialect.nicknames:
        problem = f"not one of {dialect.called}'s @-names"
        raise NotTakenError("schedule", name, problem, start)
    if dialect.name == "jenkins":
        return Taken(_JENKINS[name], end, warnings=(_OF_ITS_OWN,))
    return Taken(name, end)


def _every(text: str, start: int, position: int, dialect: Dialect) -> Taken:
    match = re.match(r"[^ \t]*", text[position:])
    written = match[0] if match else ""
    problem = None
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(h|ms|us|µs|ns|m|s)", written)
    if not written or "".join(number + unit for number, unit in parts) != written:
        problem = "is no duration such as 90s, 5m or 1h30m"
    seconds = int(sum(float(number) * _GO_UNITS[unit] for number, unit in parts))
    if problem is None and not 1 <= seconds <= 10 * 366 * 86400:
        problem = "must be at least a second and at most ten years"
    if problem:
        raise NotTakenError("schedule", written, problem, position)
    length = timedelta(seconds=seconds)
    try:
        same = parse_duration(written, "every") == length
    except FieldError:
        same = False
    warning = f"{dialect.called} counts from its own start, beatd from the entry's creation"
    duration = written if same else format_duration(length)
    return Taken(f"@every {duration}", after_blanks(text, position + len(written)), warnings=(warning,))


def _fields(text: str, start: int, dialect: Dialect) -> Taken:
    """By the first layout that the words fit; if none does, what is wrong is told of the first that has
    enough of them, with a year where one belongs."""
    words = _words(text, start)
    problem: NotTakenError | None = None
    for layout in dialect.layouts:
        second, year = layout
        count = 5 + second + year
        if len(words) < count or (year and not _YEAR.fullmatch(words[count - 1][0])):
            continue
        try:
            taken = _of_layout([word for word, _ in words[:count]], layout, dialect)
        except _ProblemError as error:
            word, position = words[error.number]
            name = KINDS[error.number + (not second)].name if error.number < 5 + second else "year"
            problem = problem or NotTakenError(name, word, str(error), position)
            continue
        last, position = words[count - 1]
        end = after_blanks(text, position + len(last))
        following = text[end : word_end(text, end)]
        if is_surely_a_field(following):
            said = f"{dialect.called} has {count} time fields; this one stands after them"
            problem = problem or NotTakenError("schedule", following, said, end)
            continue
        return Taken(taken.schedule, end, warnings=taken.warnings)
    if problem is None:
        needed = " or ".join(str(5 + second + year) for second, year in sorted(dialect.layouts))
        problem = NotTakenError("schedule", text[start:], f"{dialect.called} has {needed} time fields", start)
    raise problem


def _words(text: str, start: int) -> list[tuple[str, int]]:
    return [(match[0], match.start()) for match in islice(re.compile(r"[^ \t]+").finditer(text, start), 7)]


class _ProblemError(Exception):
    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


_OF_ITS_OWN = "H is a value of beatd's own choice, by the entry's name; Jenkins's is another"


def _of_layout(words: Sequence[str], layout: tuple[bool, bool], dialect: Dialect) -> Taken:
    second, year = layout
    if year and words[-1] not in _ALL_YEARS:
        problem = "a year cannot be in a schedule; give the entry a start (start_at) and an end (end_at)"
        raise _ProblemError(len(words) - 1, problem)
    fields: list[ForeignField] = [] if second else [ForeignField("0")]
    for number, kind in enumerate(KINDS[len(fields) :]):
        try:
            fields.append(take_field(words[number], kind, dialect.grammar))
        except FieldProblemError as error:
            raise _ProblemError(number, str(error)) from None
    texts = [field.text for field in fields]
    day, weekday = fields[3], fields[5]
    if not day.any and not weekday.any:
        number = 4 + second
        if dialect.days == "one":
            problem = f"{dialect.called} takes a day-of-month or a day-of-week; the other is ?"
            raise _ProblemError(number, problem)
        if dialect.days == "both":
            problem = (
                f"{dialect.called} wants day-of-month and day-of-week both to match; a cron schedule matches "
                "with either"
            )
            raise _ProblemError(number, problem)
        texts[3], texts[5] = day.without_star(KINDS[3]), weekday.without_star(KINDS[5])
    schedule = " ".join(texts[1:] if texts[0] == "0" else texts)
    try:
        parse_cron(schedule, _UTC, name="any")
    except FieldError as error:
        raise _ProblemError(2 + second, error.problem) from None
    return Taken(schedule, 0, warnings=(_OF_ITS_OWN,) if "H" in schedule else ())


def _aws(text: str, dialect: Dialect) -> Taken:
    match = re.match(r"(rate|cron|at)\(([^()]*)\)[ \t]*", text)
    if match is None:
        return _fields(text, 0, dialect)
    kind, inside = match[1], match[2]
    if kind == "cron":
        try:
            taken = _fields(inside, 0, dialect)
        except NotTakenError as error:
            error.position += match.start(2)
            raise
        return Taken(taken.schedule, match.end(), warnings=taken.warnings)
    rate = re.fullmatch(r"\s*([0-9]{1,6})\s+(minute|hour|day)s?\s*", inside)
    if kind == "at" or rate is None or int(rate[1]) == 0:
        problem = (
            "runs once, which an entry does with at"
            if kind == "at"
            else "a rate is a number and minutes, hours or days"
        )
        raise NotTakenError("schedule", match[0].strip(), problem, 0)
    warning = "AWS counts from the rule's creation, beatd from the entry's"
    return Taken(f"@every {rate[1]}{rate[2][0]}", match.end(), warnings=(warning,))
