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

EXAMPLE = "30 6 * * 1-5"
_LONGEST_EXPRESSION = 1000
_EVERY_SO_OFTEN = "*/5 * * * *"
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

    Raises FieldError of the field `cron`. Its example is the expression with what is wrong replaced; whether
    that works is for the caller to see.
    """
    texts = _split(expression)
    fields = []
    for number, (kind, text) in enumerate(zip(_KINDS[-len(texts) :], texts, strict=True)):
        try:
            fields.append(kind.parse(text, name))
        except _FieldProblemError as error:
            note = " (of six fields the first is the second)" if len(texts) == 6 else ""
            items = [error.instead if item == error.item else item for item in text.split(",")]
            mended = ",".join(item for item in items if item)
            example = " ".join([*texts[:number], mended, *texts[number + 1 :]])
            raise FieldError("cron", expression, f"{error}{note}", example=example) from None
    return fields if len(fields) == 6 else [Field((0,)), *fields]


def _split(expression: str) -> Sequence[str]:
    """The five or six texts. Only blanks and tabs part them, as in cron: not what looks like a blank."""
    if len(expression) > _LONGEST_EXPRESSION:
        excerpt = expression[:40] + "..."
        problem = f"has {len(expression)} characters; at most {_LONGEST_EXPRESSION} are read"
        raise FieldError("cron", excerpt, problem, example=EXAMPLE)
    stripped = expression.strip(" \t\r\n")
    if stripped.startswith("@"):
        return _nickname(expression, stripped).split()
    texts = [text for text in re.split(r"[ \t]+", stripped) if text]
    if len(texts) == 5:
        return texts
    wrong, example = _misplaced(texts) or _wrong_count(texts) or (None, None)
    if wrong:
        raise FieldError("cron", expression, wrong, example=example)
    return texts


def _nickname(expression: str, name: str) -> str:
    if name in NICKNAMES:
        return NICKNAMES[name]
    example = "@daily"
    if name == "@reboot":
        problem = "@reboot is a boot schedule, it has no fire times ahead"
    elif name.lower() in (*NICKNAMES, "@reboot"):
        problem = f"@-names are written in small letters: {name.lower()!r}"
        example = name.lower() if name.lower() in NICKNAMES else example
    elif name.split()[0] == "@every":
        problem, example = _AN_INTERVAL, _EVERY_SO_OFTEN
    else:
        near = nearest(name, (*NICKNAMES, "@reboot"))
        problem = f"unknown; the @-names are {', '.join(NICKNAMES)} and @reboot{did_you_mean(near)}"
        example = next((name for name in near if name in NICKNAMES), example)
    raise FieldError("cron", expression, problem, example=example)


def _misplaced(texts: Sequence[str]) -> tuple[str, str] | None:
    """What stands there that is no field, and what works instead."""
    first = texts[0] if texts else ""
    if re.match(r"(CRON_)?TZ=", first):
        return "the zone is a field of its own: timezone", " ".join(texts[1:])
    if re.match(r"rate\(|every$", first, re.IGNORECASE) or (len(texts) == 2 and texts[1].isalpha()):
        return _AN_INTERVAL, _EVERY_SO_OFTEN
    if any(text.endswith((",", "-")) or text.startswith((",", "-")) for text in texts):
        joined = re.sub(r"[ ]?([,-])[ ]?", r"\1", " ".join(texts))
        return "lists and ranges have no blanks in them", joined
    return None


def _wrong_count(texts: Sequence[str]) -> tuple[str, str] | None:
    if len(texts) == 6:
        return None
    if len(texts) == 7:
        read = f"second {texts[0]!r}, then {' '.join(texts[1:6])!r}, then year {texts[6]!r}"
        problem = f"seven fields look like Quartz's {read}; cron has no field for the year"
        return problem, " ".join("*" if text == "?" else text for text in texts[:6])
    fields = "1 field" if len(texts) == 1 else f"{len(texts)} fields"
    needed = "minute, hour, day-of-month, month, day-of-week (or six, with the second first)"
    return f"has {fields}; five are needed: {needed}", EXAMPLE


@dataclass(frozen=True, slots=True)
class _Kind:
    """What may stand in one field. `highest_hashed` is where a bare `H` ends; `value` and `step` are such as
    people use.
    """

    name: str
    low: int
    high: int
    highest_hashed: int
    value: str
    step: int
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
            problem = f"{self.name}: a list has no empty item; allowed are {self._allowed}"
            raise _FieldProblemError(problem, item, "")
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
            problem = f"the step is longer than {low}-{high}; at most {size}"
            raise self._problem(item, problem, item.replace(f"/{step_text}", f"/{size}"), in_range=True)
        return range(low + number % step, high + 1, step)

    def _chosen(self, item: str, name: str | None) -> int:
        low_text, _, high_text = item.partition("~")
        if "/" in item:
            raise self._problem(item, "'~' chooses one value and takes no step", item.partition("/")[0])
        low = self._value(low_text, item) if low_text else self.low
        high = self._value(high_text, item) if high_text else self.high
        self._refuse_backwards(low, high, item)
        return low + self._number(item, name) % (high - low + 1)

    def _number(self, item: str, name: str | None) -> int:
        """What this field's choices are made by."""
        if name is None:
            form = "H" if item[0] == "H" else "~"
            problem = f"{form} is hashed by the entry's name: give name"
            raise self._problem(item, problem, self.value, in_range=True)
        return hashed("cron", name, self.name)

    def _value(self, text: str, item: str) -> int:
        lowered = text.lower()
        if lowered in self.names:
            return self.names.index(lowered) + self.first_name
        if not _is_number(text):
            raise self._not_a_value(text, item)
        value = int(text)
        if not self.low <= value <= self.high:
            raise self._problem(item, f"{text} is not in {self.low}-{self.high}", in_range=True)
        return value

    def _step(self, text: str, item: str) -> int:
        span = item.partition("/")[0]
        instead = f"{span}/{2 if '-' in span else self.step}"
        if not _is_number(text):
            raise self._problem(item, "a step is one whole number after one '/'", instead)
        if int(text) == 0:
            raise self._problem(item, "a step is at least 1", instead)
        return int(text)

    def _refuse_backwards(self, first: int, last: int, item: str) -> None:
        if first <= last:
            return
        problem = f"the range runs backwards; allowed are {self._allowed}"
        if re.fullmatch(r"\w+-\w+", item):
            turned = self._turned(first, last)
            raise self._problem(item, problem + did_you_mean([turned]), turned, in_range=True)
        # What was meant is known of a plain range only: a step would go on across the end.
        form = "H({}-{})" if item[0] == "H" else "{}~{}" if "~" in item else "{}-{}"
        swapped = form.format(last, first) + "".join(item.partition("/")[1:])
        raise self._problem(item, problem, swapped, in_range=True)

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

    def _not_a_value(self, text: str, item: str) -> _FieldProblemError:
        if not text:
            problem = f"a number is missing; allowed are {self._allowed}"
            return self._problem(item, problem, in_range=True)
        if text == "*":
            return self._problem(item, "'*' stands alone or before a step", "*")
        if dash := re.search("[\u2010\u2011\u2012\u2013\u2014\u2212]", text):
            return self._problem(item, "that dash is not '-'", item.replace(dash[0], "-"))
        for name in self.names:
            if text.isalpha() and text.lower().startswith(name):
                meant = item.replace(text, name.upper())
                return self._problem(item, f"names have three letters: {name.upper()!r}", meant)
        return self._problem(item, f"{text!r} is not {self._allowed}", in_range=True)

    @property
    def _allowed(self) -> str:
        names = f" or {self.names[0].upper()}-{self.names[-1].upper()}" if self.names else ""
        return f"{self.low}-{self.high}{names}"

    def _refuse_foreign_forms(self, item: str) -> None:
        """Forms of other schedulers, and ours in the wrong place or spelling."""
        for pattern, problem, instead in _FOREIGN_FORMS:
            if found := re.fullmatch(pattern, item, re.IGNORECASE):
                raise self._problem(item, problem, found.expand(instead))

    def _problem(
        self, item: str, problem: str, instead: str | None = None, *, in_range: bool = False
    ) -> _FieldProblemError:
        """`instead`: what works in place of the item, if not a value or step of this form that is often used.
        `in_range`: the problem names what is allowed.
        """
        allowed = "" if in_range else f"; allowed are {self._allowed}"
        return _FieldProblemError(
            f"{self.name} {item!r}: {problem}{allowed}", item, instead or self._like(item)
        )

    def _like(self, item: str) -> str:
        """An item of this form that works."""
        step = f"/{self.step}" if "/" in item else ""
        middle = (self.low + self.high) // 2
        if item.startswith("H"):
            return f"H({self.low}-{middle}){step}" if "(" in item else f"H{step}"
        if "~" in item:
            return f"{self.low}~{middle}"
        if "-" in item:
            return f"{self.low}-{middle}{'/2' if step else ''}"
        return f"*{step}" if step else self.value


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

    def _like(self, item: str) -> str:
        return "L" if "L" in item.upper() else _Kind._like(self, item)


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

    def _like(self, item: str) -> str:
        if "#" in item:
            return "5#2"
        return "5L" if "L" in item.upper() else _Kind._like(self, item)

    def _nth(self, text: str, item: str) -> int:
        if text == "L":
            last = item.replace("#", "")
            raise self._problem(item, f"the last one is written {last!r}", last)
        if not _is_number(text) or not 1 <= int(text) <= 5:
            problem = "after '#' comes 1-5, the how-manieth in the month"
            raise self._problem(item, problem, f"{item.partition('#')[0]}#2", in_range=True)
        return int(text)


class _FieldProblemError(Exception):
    """What is wrong with one item of a field, and what works instead."""

    def __init__(self, problem: str, item: str, instead: str) -> None:
        super().__init__(problem)
        self.item = item
        self.instead = instead


_KINDS = (
    _Kind("second", 0, 59, 59, "30", 15),
    _Kind("minute", 0, 59, 59, "30", 15),
    _Kind("hour", 0, 23, 23, "6", 6),
    _DayOfMonth("day-of-month", 1, 31, 28, "15", 2),
    _Kind("month", 1, 12, 12, "6", 3, MONTHS, first_name=1),
    _DayOfWeek("day-of-week", 0, 7, 6, "1-5", 2, WEEKDAYS),
)

_A_WEEKDAY = f"[0-7]|{'|'.join(WEEKDAYS)}"
#: What is said of each, and what stands for it; nothing, where that hangs on the field.
_FOREIGN_FORMS = (
    (r"\?", "Quartz's '?' is not cron; write '*'", "*"),
    (r"R(\(.*\))?(/\d+)?", "random values are not cron; write 'H'", r"H\1\2"),
    (r"h(\(.*\))?(/\d+)?", "a hashed value is written with a capital 'H'", r"H\1\2"),
    (r"L|LW|WL", "the last day is 'L' and the last Monday to Friday 'LW', in day-of-month", ""),
    (
        rf"(?:{_A_WEEKDAY})L|L(?:{_A_WEEKDAY})",
        "the month's last such weekday is '5L' or 'FRIL', in day-of-week",
        "",
    ),
    (r".*#.*", "the month's second such weekday is '5#2' or 'FRI#2', in day-of-week", ""),
    (r"/(\d+)", "a step follows '*', a number or a range, such as '*/2'", r"*/\1"),
    (r"W\d+|\d+W|L-\d+", "that form is Quartz's, not cron's", ""),
)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
