"""A time field of another scheduler, as beatd writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from beatd.errors import FieldError
from beatd.schedules.cron_fields import MONTHS, WEEKDAYS, parse_fields

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october")
_LONG_NAMES = {
    MONTHS: (*_MONTHS, "november", "december"),
    WEEKDAYS: ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a scheduler has beyond values, lists, ranges and steps."""

    #: The number of Sunday, and the largest number of a weekday.
    sunday: int = 0
    last_weekday: int = 7
    #: Whether a range may go across the end of its field: `FRI-MON`.
    wraps: bool = False
    #: `H` and its forms.
    hashed: bool = False
    #: `L`, `LW`, `5L`, `5#2`.
    last: bool = True
    question_mark: bool = True
    long_names: bool = False
    longest_step: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


KINDS = (
    Kind("second", 0, 59),
    Kind("minute", 0, 59),
    Kind("hour", 0, 23),
    Kind("day-of-month", 1, 31),
    Kind("month", 1, 12, MONTHS),
    Kind("day-of-week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class ForeignField:
    """`text` is beatd's; `any` tells that the field leaves everything open."""

    text: str
    any: bool = False

    def without_star(self, kind: Kind) -> str:
        """The same days where a star in front would make both day fields count."""
        if not self.text.startswith("*"):
            return self.text
        return ",".join(map(str, parse_fields(_alone(self.text, kind), "any")[KINDS.index(kind)].values))


class FieldProblemError(Exception):
    """What is wrong with a field, for people."""


def take_field(word: str, kind: Kind, grammar: Grammar) -> ForeignField:
    """What a field means, as beatd writes it. Raises FieldProblemError."""
    if word == "*" or (word == "?" and grammar.question_mark and kind.name.startswith("day")):
        return ForeignField("*", any=True)
    if grammar.hashed and "H" in word:
        return ForeignField(_checked(word, kind))
    values: set[int] = set()
    special = []
    for item in word.split(","):
        if grammar.last and (text := _special(item, kind, grammar)):
            special.append(text)
        else:
            values.update(_values(item, kind, grammar))
    text = ",".join([*([_written(word, values, kind)] if values else []), *special])
    return ForeignField(_checked(text, kind), any=text == "*")


def _special(item: str, kind: Kind, grammar: Grammar) -> str | None:
    """Forms that depend on the month."""
    if kind.name == "day-of-month":
        if re.fullmatch(r"\d+W|W\d+", item):
            raise FieldProblemError("the working day nearest to a date is not to be had in beatd")
        if re.match(r"L-", item):
            raise FieldProblemError("days before the last are not to be had in beatd")
        return {"L": "L", "LW": "LW", "WL": "LW"}.get(item.upper())
    if kind.name != "day-of-week":
        return None
    if last := re.fullmatch(r"([0-9A-Za-z]+)L", item):
        return f"{_weekday(last[1], grammar)}L"
    if numbered := re.fullmatch(r"([0-9A-Za-z]+)#([1-5])", item):
        return f"{_weekday(numbered[1], grammar)}#{numbered[2]}"
    return None


def _weekday(text: str, grammar: Grammar) -> int:
    return (_value(text, KINDS[-1], grammar) - grammar.sunday) % 7


def _values(item: str, kind: Kind, grammar: Grammar) -> Iterable[int]:
    """In beatd's numbers."""
    low, high = kind.low, kind.high
    if kind.names == WEEKDAYS:
        low, high = grammar.sunday, grammar.last_weekday
    span, slash, step_text = item.partition("/")
    step = _step(step_text, high) if slash else 1
    if grammar.longest_step and step > high:
        raise FieldProblemError(f"{item!r}: the step is longer than the field")
    if span in ("*", "?", "") and (slash or span):
        first, last = low, 6 + grammar.sunday if kind.names == WEEKDAYS else high
    else:
        first_text, dash, last_text = span.partition("-")
        first = _value(first_text, kind, grammar)
        last = _value(last_text, kind, grammar) if dash else high if slash else first
    if first <= last:
        numbers: Iterable[int] = range(first, last + 1, step)
    elif grammar.wraps:
        size = high - low + 1
        numbers = [(number - low) % size + low for number in range(first, last + size + 1, step)]
    else:
        raise FieldProblemError(f"{item!r}: the range runs backwards")
    return {(number - grammar.sunday) % 7 for number in numbers} if kind.names == WEEKDAYS else set(numbers)


def _value(text: str, kind: Kind, grammar: Grammar) -> int:
    low, high = (grammar.sunday, grammar.last_weekday) if kind.names == WEEKDAYS else (kind.low, kind.high)
    names = _LONG_NAMES.get(kind.names, ())
    lowered = text.lower()
    if lowered in kind.names:
        return kind.names.index(lowered) + low
    if grammar.long_names and lowered in names:
        return names.index(lowered) + low
    if not re.fullmatch(r"[0-9]{1,4}", text) or not low <= int(text) <= high:
        by_name = f" or {kind.names[0].upper()}-{kind.names[-1].upper()}" if kind.names else ""
        raise FieldProblemError(f"{text!r} is not {low}-{high}{by_name}")
    return int(text)


def _step(text: str, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) == 0:
        raise FieldProblemError("a step is one whole number from 1 on after one '/'")
    return int(text)


def _written(word: str, values: set[int], kind: Kind) -> str:
    """As it was, where that is the same to beatd; else a list."""
    if _of_beatd(word, kind) == values:
        return word
    every = set(range(kind.low, (6 if kind.names == WEEKDAYS else kind.high) + 1))
    return "*" if values == every else ",".join(_runs(sorted(values)))


def _runs(values: Sequence[int]) -> list[str]:
    """`0,1,2,3,5` is 0-3 and 5."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts = []
    for run in runs:
        texts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(value) for value in run]
    return texts


def _of_beatd(word: str, kind: Kind) -> set[int] | None:
    try:
        read = parse_fields(_alone(word, kind), "any")[KINDS.index(kind)]
    except FieldError:
        return None
    special = read.last_day or read.last_working_day or read.last_weekdays or read.nth_weekdays
    return None if special else set(read.values)


def _checked(text: str, kind: Kind) -> str:
    try:
        parse_fields(_alone(text, kind), "any")
    except FieldError as error:
        raise FieldProblemError(error.problem.split("': ", 1)[-1]) from None
    return text


def _alone(text: str, kind: Kind) -> str:
    texts = ["*"] * len(KINDS)
    texts[KINDS.index(kind)] = text
    return " ".join(texts)
