"""The syntax of cron expressions: from each field's text to what it means (SEMANTICS: Schedules, cron).

What Debian's cron refuses is refused, but for these extensions:

    second minute hour day-of-month month day-of-week      a sixth field, in front
    5/15             from 5 on, every 15th, up to the field's maximum
    L  LW            day-of-month: the last day, the last Monday to Friday
    5L  FRIL         day-of-week: the month's last Friday
    5#2  FRI#2       day-of-week: the month's second Friday
    H  H(a-b)        one value of the field or range, by the entry's name
    H/n  H(a-b)/n    every n-th value of the field or range; where it begins, by the name
    a~b  a~  ~b  ~   one value of the range or the field, by the name

*By the name* is one rule, which holds for ever. An entry has a number N for each field: `hashed("cron", name,
field)` with the field's name as above. A choice among low to high is low + N % (high - low + 1); every n-th
value begins at low + N % n. So fields are independent of each other, and choices within one field keep their
distance: `H(0-29),H(30-59)` are half an hour apart. A bare `H` stays within 1-28 for days of the month, so
that it comes in every month (Jenkins), and within 0-6 for weekdays. A bare `~` is the whole field (cronie).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from beatd.errors import FieldError, did_you_mean, nearest
from beatd.schedules.hashed import hashed

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_EXAMPLE = "30 6 * * 1-5"
_LONGEST_EXPRESSION = 1000
_AN_INTERVAL = "that looks like an interval, which is given as every, such as '5m'"


@dataclass(frozen=True, slots=True)
class Field:
    """One field as read: plain values in order (weekdays 0-6), the forms that depend on the month, and
    whether the text begins with `*`: cron's two quirks hang on that."""

    values: tuple[int, ...]
    starts_with_star: bool = False
    last_day: bool = False
    last_working_day: bool = False
    last_weekdays: tuple[int, ...] = ()
    nth_weekdays: tuple[tuple[int, int], ...] = ()


def parse_fields(expression: str, name: str | None) -> list[Field]:
    """The six fields, seconds first; of five, the second is 0. `name` is the entry's, which `H` and `~` need.

    Raises FieldError of the field `cron`.
    """
    texts = _split(expression)
    try:
        fields = [kind.parse(text, name) for kind, text in zip(_KINDS[-len(texts) :], texts, strict=True)]
    except _FieldProblemError as error:
        note = " (of six fields the first is the second)" if len(texts) == 6 else ""
        raise FieldError("cron", expression, f"{error}{note}", example=_EXAMPLE) from None
    return fields if len(fields) == 6 else [Field((0,)), *fields]


def _split(expression: str) -> Sequence[str]:
    """The five or six texts. Only blanks and tabs part them, as in cron: not what looks like a blank."""
    if len(expression) > _LONGEST_EXPRESSION:
        excerpt = expression[:40] + "..."
        problem = f"has {len(expression)} characters; at most {_LONGEST_EXPRESSION} are read"
        raise FieldError("cron", excerpt, problem, example=_EXAMPLE)
    stripped = expression.strip(" \t\r\n")
    if stripped.startswith("@"):
        return _nickname(expression, stripped).split()
    texts = [text for text in re.split(r"[ \t]+", stripped) if text]
    if len(texts) == 5:
        return texts
    wrong = _misplaced(texts) or _wrong_count(texts)
    if wrong:
        raise FieldError("cron", expression, wrong, example=_EXAMPLE)
    return texts


def _nickname(expression: str, name: str) -> str:
    if name in NICKNAMES:
        return NICKNAMES[name]
    if name == "@reboot":
        problem = "@reboot is a boot schedule, it has no fire times ahead"
    elif name.lower() in (*NICKNAMES, "@reboot"):
        problem = f"@-names are written in small letters: {name.lower()!r}"
    elif name.split()[0] == "@every":
        problem = _AN_INTERVAL
    else:
        meant = did_you_mean(nearest(name, (*NICKNAMES, "@reboot")))
        problem = f"unknown; the @-names are {', '.join(NICKNAMES)} and @reboot{meant}"
    raise FieldError("cron", expression, problem, example="@daily")


def _misplaced(texts: Sequence[str]) -> str | None:
    """What stands there that is no field."""
    first = texts[0] if texts else ""
    if re.match(r"(CRON_)?TZ=", first):
        return "the zone is a field of its own: timezone"
    if re.match(r"rate\(|every$", first, re.IGNORECASE) or (len(texts) == 2 and texts[1].isalpha()):
        return _AN_INTERVAL
    if any(text.endswith((",", "-")) or text.startswith((",", "-")) for text in texts):
        return "lists and ranges have no blanks in them"
    return None


def _wrong_count(texts: Sequence[str]) -> str | None:
    if len(texts) == 6:
        return None
    if len(texts) == 7:
        return (
            f"seven fields look like Quartz's second {texts[0]!r}, then {' '.join(texts[1:6])!r}, "
            f"then year {texts[6]!r}; cron has no field for the year"
        )
    fields = "1 field" if len(texts) == 1 else f"{len(texts)} fields"
    return (
        f"has {fields}; five are needed: minute, hour, day-of-month, month, day-of-week "
        "(or six, with the second first)"
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """What may stand in one field. `highest_hashed` is where a bare `H` ends."""

    name: str
    low: int
    high: int
    highest_hashed: int
    names: tuple[str, ...] = ()
    first_name: int = 0

    def parse(self, text: str, name: str | None) -> Field:
        """Raises _FieldProblemError."""
        return Field(self._values(text.split(","), name), text.startswith("*"))

    def _values(self, items: Iterable[str], name: str | None) -> tuple[int, ...]:
        return tuple(sorted({value for item in items for value in self._item(item, name)}))

    def _item(self, item: str, name: str | None) -> Iterable[int]:
        """The values of one item of a list, in the forms that all fields have."""
        if not item:
            raise _FieldProblemError(f"{self.name}: a list has no empty item")
        if item[0] == "H":
            return self._hashed(item, name)
        if "~" in item:
            return [self._chosen(item, name)]
        self._refuse_foreign_forms(item)
        span, slash, step = item.partition("/")
        if span == "*":
            return range(self.low, self.high + 1, self._step(step, item) if slash else 1)
        first_text, dash, last_text = span.partition("-")
        first = self._value(first_text, item)
        last = self._value(last_text, item) if dash else self.high if slash else first
        self._refuse_backwards(first, last, item)
        return range(first, last + 1, self._step(step, item) if slash else 1)

    def _hashed(self, item: str, name: str | None) -> Iterable[int]:
        form = re.fullmatch(r"H(?:\(([^-]*)-([^-]*)\))?(?:(/)(.*))?", item)
        if form is None:
            raise self._problem(item, "the forms of 'H' are 'H', 'H(1-5)', 'H/2' and 'H(1-5)/2'")
        low_text, high_text, slash, step_text = form.groups()
        low, high = self.low, self.highest_hashed
        if low_text is not None:
            low, high = self._value(low_text, item), self._value(high_text, item)
        self._refuse_backwards(low, high, item)
        number, size = self._number(item, name), high - low + 1
        if not slash:
            return [low + number % size]
        step = self._step(step_text, item)
        if step > size:
            raise self._problem(item, f"the step is longer than {low}-{high}; at most {size}")
        return range(low + number % step, high + 1, step)

    def _chosen(self, item: str, name: str | None) -> int:
        low_text, _, high_text = item.partition("~")
        if "/" in item:
            raise self._problem(item, "'~' chooses one value and takes no step")
        low = self._value(low_text, item) if low_text else self.low
        high = self._value(high_text, item) if high_text else self.high
        self._refuse_backwards(low, high, item)
        return low + self._number(item, name) % (high - low + 1)

    def _number(self, item: str, name: str | None) -> int:
        """What this field's choices are made by."""
        if name is None:
            form = "H" if item[0] == "H" else "~"
            raise self._problem(item, f"{form} is hashed by the entry's name: give name")
        return hashed("cron", name, self.name)

    def _value(self, text: str, item: str) -> int:
        lowered = text.lower()
        if lowered in self.names:
            return self.names.index(lowered) + self.first_name
        if not _is_number(text):
            raise self._problem(item, self._not_a_value(text))
        value = int(text)
        if not self.low <= value <= self.high:
            raise self._problem(item, f"{text} is not in {self.low}-{self.high}")
        return value

    def _step(self, text: str, item: str) -> int:
        if not _is_number(text):
            raise self._problem(item, "a step is one whole number after one '/'")
        if int(text) == 0:
            raise self._problem(item, "a step is at least 1")
        return int(text)

    def _refuse_backwards(self, first: int, last: int, item: str) -> None:
        if first <= last:
            return
        # What was meant is known of a plain range only: a step would go on across the end.
        turned = f"; did you mean {self._turned(first, last)!r}?" if re.fullmatch(r"\w+-\w+", item) else ""
        raise self._problem(item, f"the range runs backwards{turned}")

    def _turned(self, first: int, last: int) -> str:
        """What a backward range probably means, in a form that cron has."""
        if self.high == 7 and last == 0:
            return f"{first}-7"
        if self.high == 7 and first == 7:
            return f"0-{last}"
        end = 6 if self.high == 7 else self.high
        head = f"{first}-{end}" if first < end else f"{first}"
        tail = f"{self.low}-{last}" if last > self.low else f"{last}"
        return f"{head},{tail}"

    def _not_a_value(self, text: str) -> str:
        allowed = f"{self.low}-{self.high}"
        if self.names:
            allowed += f" or {self.names[0].upper()}-{self.names[-1].upper()}"
        if not text:
            return f"a number is missing; allowed are {allowed}"
        if text == "*":
            return "'*' stands alone or before a step"
        if set(text) & set("\u2010\u2011\u2012\u2013\u2014\u2212"):
            return "that dash is not '-'"
        for name in self.names:
            if text.isalpha() and text.lower().startswith(name):
                return f"names have three letters: {name.upper()!r}"
        return f"{text!r} is not {allowed}"

    def _refuse_foreign_forms(self, item: str) -> None:
        """Forms of other schedulers, and ours in the wrong place or spelling."""
        for pattern, problem in _FOREIGN_FORMS:
            if re.fullmatch(pattern, item, re.IGNORECASE):
                raise self._problem(item, problem)

    def _problem(self, item: str, problem: str) -> _FieldProblemError:
        return _FieldProblemError(f"{self.name} {item!r}: {problem}")


class _DayOfMonth(_Kind):
    __slots__ = ()

    def parse(self, text: str, name: str | None) -> Field:
        items = text.split(",")
        return Field(
            self._values((item for item in items if item not in ("L", "LW")), name),
            text.startswith("*"),
            last_day="L" in items,
            last_working_day="LW" in items,
        )


class _DayOfWeek(_Kind):
    __slots__ = ()

    def parse(self, text: str, name: str | None) -> Field:
        plain, last, nth = [], set(), set()
        for item in text.split(","):
            weekday, numbered, n = item.partition("#")
            if numbered:
                nth.add((self._value(weekday, item) % 7, self._nth(n, item)))
            elif item[1:].endswith("L"):
                last.add(self._value(item[:-1], item) % 7)
            else:
                plain.append(item)
        return Field(
            tuple(sorted({value % 7 for value in self._values(plain, name)})),
            text.startswith("*"),
            last_weekdays=tuple(sorted(last)),
            nth_weekdays=tuple(sorted(nth)),
        )

    def _nth(self, text: str, item: str) -> int:
        if text == "L":
            raise self._problem(item, f"the last one is written {item.replace('#', '')!r}")
        if not _is_number(text) or not 1 <= int(text) <= 5:
            raise self._problem(item, "after '#' comes 1-5, the how-manieth in the month")
        return int(text)


class _FieldProblemError(Exception):
    """What is wrong with one field."""


_KINDS = (
    _Kind("second", 0, 59, 59),
    _Kind("minute", 0, 59, 59),
    _Kind("hour", 0, 23, 23),
    _DayOfMonth("day-of-month", 1, 31, 28),
    _Kind("month", 1, 12, 12, MONTHS, first_name=1),
    _DayOfWeek("day-of-week", 0, 7, 6, WEEKDAYS),
)

_A_WEEKDAY = f"[0-7]|{'|'.join(WEEKDAYS)}"
_FOREIGN_FORMS = (
    (r"\?", "Quartz's '?' is not cron; write '*'"),
    (r"R(?:\(.*\))?(?:/\d+)?", "random values are not cron; write 'H'"),
    (r"h(?:\(.*\))?(?:/\d+)?", "a hashed value is written with a capital 'H'"),
    (r"L|LW|WL", "the last day is 'L' and the last Monday to Friday 'LW', in day-of-month"),
    (
        rf"(?:{_A_WEEKDAY})L|L(?:{_A_WEEKDAY})",
        "the month's last such weekday is '5L' or 'FRIL', in day-of-week",
    ),
    (r".*#.*", "the month's second such weekday is '5#2' or 'FRI#2', in day-of-week"),
    (r"/\d+", "a step follows '*', a number or a range, such as '*/2'"),
    (r"W\d+|\d+W|L-\d+", "that form is Quartz's, not cron's"),
)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
