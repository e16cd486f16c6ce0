"""Celery's crontab as a cron expression that fires at the same times, or the reason why there is none.

Celery expands each field to a set, and a day must be in all of its sets. Cron joins the two day fields by
*either* unless one of them begins with `*`; so an expression has to be found in which one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from beatd.broker.periodic import Crontab
from beatd.errors import FieldError
from beatd.schedules.cron_fields import WEEKDAYS, Field, parse_fields

#: Lowest and highest value of each field.
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = range(5)

#: The days of a month that are the first, second … of their weekday.
_NTH = tuple(frozenset(range(7 * n + 1, min(7 * n + 7, 31) + 1)) for n in range(5))
_MOST_NTH = 6

_SUNDAY = 0


def expression(crontab: Crontab) -> str:
    """The five fields. What was written stays wherever cron reads it as Celery does.

    Raises FieldError where cron has no form for the days.
    """
    texts = [
        _text(index, values, written)
        for index, (values, written) in enumerate(zip(crontab.values, crontab.written, strict=True))
    ]
    if _either_would_do(texts):
        texts[_DAY], texts[_WEEKDAY] = _both_days(crontab, texts[_DAY], texts[_WEEKDAY])
    return " ".join(texts)


def mistake(crontab: Crontab) -> str | None:
    """What it does as it is written, where something else was probably meant: the minute left out."""
    minutes, hours, days, months, weekdays = crontab.values
    if crontab.written[0] != "*":
        return None
    times = len(minutes) * len(hours)
    if len(hours) < 24:
        which = f"every minute of hour {', '.join(map(str, sorted(hours)))}"
        meant = "minute=0"
    elif len(days) < 31 or len(weekdays) < 7 or len(months) < 12:
        which = "every minute of these days"
        meant = "minute=0, hour=0"
    else:
        return None
    return f"no minute is given: it runs in {which}, {times} times a day; was {meant} meant?"


# One field


def _text(index: int, values: frozenset[int], written: Any) -> str:
    low, high = _RANGES[index]
    if len(values) == high - low + 1:
        return "*"
    if isinstance(written, int | str) and _reads_as(index, str(written), values):
        return str(written)
    return _shortest(sorted(values), low, high)


def _reads_as(index: int, text: str, values: Iterable[int]) -> bool:
    """Whether cron reads these values in the text, and nothing but plain values."""
    texts = ["*"] * 5
    texts[index] = text
    if len(" ".join(texts).split()) != 5:
        return False
    try:
        field = parse_fields(" ".join(texts), None)[index + 1]
    except FieldError:
        return False
    return field == Field(tuple(sorted(values)), field.starts_with_star)


def _shortest(values: Sequence[int], low: int, high: int) -> str:
    """`*/5`, `2-30/4`, or a list of values and ranges."""
    if len(values) > 2:
        step = values[1] - values[0]
        if list(values) == list(range(values[0], values[-1] + 1, step)):
            if values[0] == low and values[-1] + step > high:
                return f"*/{step}"
            return f"{values[0]}-{values[-1]}" + (f"/{step}" if step > 1 else "")
    return ",".join(_runs(values))


def _runs(values: Sequence[int]) -> Iterable[str]:
    start = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[index - 1] + 1:
            first, last = values[start], values[index - 1]
            if last - first > 1:
                yield f"{first}-{last}"
            else:
                yield from map(str, range(first, last + 1))
            start = index


# Both days


def _either_would_do(texts: Sequence[str]) -> bool:
    return not (texts[_DAY].startswith("*") or texts[_WEEKDAY].startswith("*"))


def _both_days(crontab: Crontab, day: str, weekday: str) -> tuple[str, str]:
    """Two fields one of which begins with `*`, and that name the same days."""
    days, weekdays = crontab.values[_DAY], crontab.values[_WEEKDAY]
    nth = [number for number, block in enumerate(_NTH, 1) if block <= days]
    if days == frozenset().union(*(_NTH[number - 1] for number in nth)):
        names = [f"{one}#{number}" for one in sorted(weekdays) for number in nth]
        if len(names) <= _MOST_NTH or (1 not in days and _SUNDAY not in weekdays):
            return "*", ",".join(names)
    if 1 in days:  # a step beyond the field's end leaves its first value
        return _joined("*/31", _runs(sorted(days - {1}))), weekday
    if _SUNDAY in weekdays:
        return day, _joined("*/7", _runs(sorted(weekdays - {_SUNDAY})))
    raise _no_form(crontab, day, weekday)


def _joined(star: str, rest: Iterable[str]) -> str:
    return ",".join([star, *rest])


def _no_form(crontab: Crontab, day: str, weekday: str) -> FieldError:
    others = ",".join(WEEKDAYS[number] for number in range(7) if number not in crontab.values[_WEEKDAY])
    minute, hour, month = (
        _text(index, crontab.values[index], crontab.written[index]) for index in (_MINUTE, _HOUR, _MONTH)
    )
    return FieldError(
        "schedule",
        str(crontab),
        f"it runs on days that are both {day!r} of the month and {weekday!r} of the week, for which cron has "
        "no form; an entry of the days with a calendar that drops the other weekdays does the same: "
        f"beatd calendar add other-days --weekdays {others}, and beatd entry add NAME "
        f"--cron '{minute} {hour} {day} {month} *' --calendar other-days",
        example="day_of_month='1-7', day_of_week='mon'",
    )
