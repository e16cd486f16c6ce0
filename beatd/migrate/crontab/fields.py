"""The five time fields as Debian's cron and cronie themselves read them, mistakes included.

beatd's own reading is in `beatd.schedules`; here is what a line has meant so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from beatd.migrate.crontab.crons import LIMITS, Cron
from beatd.schedules.cron_fields import MONTHS, WEEKDAYS

_BLANKS = " \t"
_DIGITS = frozenset("0123456789")
_ALPHANUMERIC = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

#: The byte 255, which Debian's cron takes for the end of the file where it looks for what is next.
_BYTE_255 = "\udcff"

_LARGEST_INT, _LARGEST_LONG = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the five fields."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


KINDS = (
    Kind("minute", 0, 59),
    Kind("hour", 0, 23),
    Kind("day-of-month", 1, 31),
    Kind("month", 1, 12, MONTHS),
    Kind("day-of-week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as a cron takes it.

    `text` is all that stands there; `meant` what counts of it, in cron's own notation and without the items
    that match nothing, which are `empty`; `ignored` what the cron skips. One of the `values` is chosen if
    `random`.
    """

    kind: Kind
    text: str
    meant: str
    values: frozenset[int]
    empty: tuple[str, ...] = ()
    ignored: str = ""
    random: bool = False

    @property
    def starts_with_star(self) -> bool:
        return self.text.startswith("*")


class RefusedByCronError(Exception):
    """The cron takes no line with such a field. `position` and `text` are those of the field."""

    def __init__(self, kind: Kind, position: int, text: str) -> None:
        super().__init__(f"bad {kind.name}")
        self.kind = kind
        self.position = position
        self.text = text


def take_fields(text: str, position: int, cron: Cron) -> tuple[tuple[Field, ...], int]:
    """The five fields that begin at a position, and where the next thing begins.

    Raises RefusedByCronError.
    """
    fields = []
    for kind in KINDS:
        end = word_end(text, position)
        word = text[position:end]
        try:
            field = _take(word, kind, cron)
            position = after_blanks(text, end)
            if cron == "debian" and text[position : position + 1] == _BYTE_255:
                raise _BadError
        except _BadError:
            raise RefusedByCronError(kind, end - len(word), word) from None
        fields.append(field)
    return tuple(fields), position


def position_of(number: int, text: str, position: int) -> int:
    """Where a word begins, counted from 0 for the one at a position."""
    for _ in range(number):
        position = after_blanks(text, word_end(text, position))
    return position


def word_end(text: str, position: int) -> int:
    while position < len(text) and text[position] not in _BLANKS:
        position += 1
    return position


def after_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANKS:
        position += 1
    return position


class _BadError(Exception):
    pass


@dataclass(slots=True)
class _Item:
    """One item of a list: its values, how it is written, where it ends."""

    values: range
    meant: str
    end: int
    random: bool = False


@lru_cache(maxsize=4096)
def _take(word: str, kind: Kind, cron: Cron) -> Field:
    """Lines are many and fields few."""
    read: Callable[[str, int, Kind], _Item] = _debian_item if cron == "debian" else _cronie_item
    values: set[int] = set()
    meant: list[str] = []
    empty: list[str] = []
    position, is_random = 0, False
    while True:
        item = read(word, position, kind)
        values.update(item.values)
        is_random = is_random or item.random
        (meant if item.values else empty).append(item.meant)
        position = item.end
        if word[position : position + 1] != ",":
            break
        position += 1
    ignored = word[position:]
    return Field(kind, word, ",".join(meant), frozenset(values), tuple(empty), ignored, is_random)


def _debian_item(word: str, position: int, kind: Kind) -> _Item:
    """A star, a value or a range, with a step but for a value. What follows it is none of cron's business."""
    start, step, step_text = position, 1, ""
    if word[position : position + 1] == "*":
        first, last, position = kind.low, kind.high, position + 1
        span = "*"
    else:
        first, position = _debian_number(word, position, kind, kind.names)
        span = _written(first, word[start:position], kind)
        last = first
        if word[position : position + 1] == "/":
            raise _BadError
        if word[position : position + 1] == "-":
            last, end = _debian_number(word, position + 1, kind, kind.names)
            span += "-" + _written(last, word[position + 1 : end], kind)
            position = end
        elif word[position : position + 1] == _BYTE_255:
            raise _BadError
    if word[position : position + 1] == "/":
        step, end = _debian_number(word, position + 1, kind, ())
        if step <= 0:
            raise _BadError
        step_text, position = f"/{step}", end
    if word[position : position + 1] == _BYTE_255:
        raise _BadError
    if not kind.low <= min(first, last) <= max(first, last) <= kind.high:
        raise _BadError
    return _Item(_range(first, last, step, kind), span + step_text, position)


def _debian_number(word: str, position: int, kind: Kind, names: tuple[str, ...]) -> tuple[int, int]:
    end = _alphanumeric_end(word, position)
    text = word[position:end]
    if not text or len(text) > LIMITS["debian"].number:
        raise _BadError
    if text.lower() in names:
        return names.index(text.lower()) + (kind.low if names == MONTHS else 0), end
    if not _DIGITS.issuperset(text):
        raise _BadError
    return _int(text), end


def _cronie_item(word: str, position: int, kind: Kind) -> _Item:
    """As Debian's, but that nothing may follow and that `~` chooses one value when the file is read. A range
    that ends at 0, which is Sunday, ends at 7 (from cronie 1.7.3 on, and in every field).
    """
    start, step, is_random = position, 1, False
    next_ = word[position : position + 1]
    if next_ == "*":
        first, last, position = kind.low, kind.high, position + 1
    elif next_ == "~":
        first, last, position = kind.low, kind.high, position + 1
        is_random = True
        if position < len(word) and word[position] != ",":
            last, position = _cronie_number(word, position, kind)
    else:
        first, position = _cronie_number(word, position, kind)
        last = first
        if word[position : position + 1] == "-":
            last, position = _cronie_number(word, position + 1, kind)
            if last == 0 < first and word[position : position + 1] != "/":
                return _cronie_end(word, position, _Item(_range(first, 7, 1, kind), f"{first}-7", position))
        elif word[position : position + 1] == "~":
            last, position, is_random = kind.high, position + 1, True
            if position < len(word) and word[position] != ",":
                last, position = _cronie_number(word, position, kind)
    span = word[start:position]
    if word[position : position + 1] == "/" and ("-" in span or span == "*"):
        step, position = _cronie_number(word, position + 1, Kind("step", 0, _LARGEST_INT))
        if step <= 0:
            raise _BadError
    if is_random and first > last:
        raise _BadError
    item = _Item(_range(first, last, step, kind), word[start:position], position, is_random)
    return _cronie_end(word, position, item)


def _cronie_end(word: str, position: int, item: _Item) -> _Item:
    if position < len(word) and word[position] != ",":
        raise _BadError
    return item


def _cronie_number(word: str, position: int, kind: Kind) -> tuple[int, int]:
    end = _alphanumeric_end(word, position)
    text = word[position:end]
    if _DIGITS.issuperset(text) and 0 < len(text) <= LIMITS["cronie"].number:
        return _int(text), end
    if text.lower() in kind.names:
        return kind.names.index(text.lower()) + (kind.low if kind.names == MONTHS else 0), end
    raise _BadError


def _alphanumeric_end(word: str, position: int) -> int:
    while position < len(word) and word[position] in _ALPHANUMERIC:
        position += 1
    return position


def _range(first: int, last: int, step: int, kind: Kind) -> range:
    """Empty where it runs backwards: both crons take that, and it matches nothing."""
    values = range(first, last + 1, step)
    outside = values and not kind.low <= values[0] <= values[-1] <= kind.high
    if outside or step > _LARGEST_INT - kind.high:
        raise _BadError
    return values


def _written(value: int, text: str, kind: Kind) -> str:
    """As it is written, unless the number was too large for cron's and came round."""
    return text if not _DIGITS.issuperset(text) or int_is_small(text) else str(value)


def int_is_small(text: str) -> bool:
    return len(text.lstrip("0")) < 10


def _int(text: str) -> int:
    """As C reads digits into an int of 32 bits."""
    digits = text.lstrip("0")[:20]
    number = min(int(digits or "0"), _LARGEST_LONG) & 0xFFFFFFFF
    return number - 2**32 if number > _LARGEST_INT else number
