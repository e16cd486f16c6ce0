"""Cron's two fields of days for a set of days of the month and a set of weekdays that must both match.

cron wants either where neither field begins with `*`, so that the fields are written in one of the forms
that say the same otherwise: `5#2` (the second Friday, the 8th to 14th), `5L` (the last), or a step that
begins with `*` and yields the one value that is wanted: `*/31` is the 1st.
"""

from __future__ import annotations

from collections.abc import Collection

#: Stand among the days of a month: its last day, and its last seven.
LAST_DAY, LAST_WEEK = -1, -7

_DAYS = frozenset(range(1, 32))
_WEEKDAYS = frozenset(range(7))
_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


class CannotSayError(ValueError):
    """No schedule does that. Its text goes on from the calendar event; `example` is one that can be said."""

    def __init__(self, problem: str, example: str) -> None:
        super().__init__(problem)
        self.example = example


def day_fields(
    days: Collection[int], weekdays: Collection[int], months: Collection[int], *, either: bool
) -> tuple[str, str]:
    """Day of the month and day of the week. Raises CannotSayError."""
    days, weekdays = frozenset(days), frozenset(weekdays)
    if LAST_WEEK in days:
        return "*", ",".join(f"{day}L" for day in sorted(weekdays))
    if either or weekdays == _WEEKDAYS or days == _DAYS:
        return _days(days), field_text(weekdays, _WEEKDAYS)
    longest = 29 if months == {2} else 30 if frozenset(months) <= {2, 4, 6, 9, 11} else 31
    weeks = _weeks(days, longest)
    if weeks is not None:
        return "*", ",".join(f"{day}#{week}" for week in weeks for day in sorted(weekdays))
    if LAST_DAY not in days and 1 in days:
        return _starred(days, _DAYS, "*/31"), field_text(weekdays, _WEEKDAYS)
    if 0 in weekdays:
        return _days(days), _starred(weekdays, _WEEKDAYS, "*/7")
    raise CannotSayError(_both(days, weekdays), "*-*-08..14 00:00:00")


def field_text(values: Collection[int], whole: Collection[int]) -> str:
    """A field's text for these of its values."""
    if frozenset(values) == frozenset(whole):
        return "*"
    ordered, highest, lowest = sorted(values), max(whole), min(whole)
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 0
    if step > 1 and ordered == list(range(ordered[0], ordered[-1] + 1, step)):
        if ordered[0] == lowest and ordered[-1] + step > highest:
            return f"*/{step}"
        return f"{ordered[0]}-{ordered[-1]}/{step}"
    return ",".join(_run(first, last) for first, last in _runs(ordered))


def _days(days: frozenset[int]) -> str:
    plain = days - {LAST_DAY}
    if LAST_DAY not in days:
        return field_text(plain, _DAYS)
    return ",".join([*([field_text(plain, _DAYS)] if plain else []), "L"])


def _weeks(days: frozenset[int], longest: int) -> list[int] | None:
    """The sevens of the month, 1 to 5, that the days are."""
    blocks = {week: frozenset(range(7 * week - 6, min(7 * week, longest) + 1)) for week in range(1, 6)}
    days &= frozenset(range(LAST_DAY, longest + 1))
    found = [week for week, block in blocks.items() if block and block <= days]
    return found if days == frozenset().union(*(blocks[week] for week in found)) else None


def _starred(values: frozenset[int], whole: frozenset[int], lowest_alone: str) -> str:
    """A text that begins with `*`, for values of which the field's lowest is one."""
    text = field_text(values, whole)
    if text.startswith("*"):
        return text
    rest = sorted(values)[1:]
    return ",".join([lowest_alone, *(_run(first, last) for first, last in _runs(rest))])


def _runs(ordered: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for value in ordered:
        if runs and value == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], value
        else:
            runs.append((value, value))
    return runs


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _both(days: frozenset[int], weekdays: frozenset[int]) -> str:
    names = ",".join(_NAMES[day] for day in sorted(weekdays))
    test = " || ".join(f'[ "$(date +%u)" = {day or 7} ]' for day in sorted(weekdays)[:2])
    named = _days(days)
    return (
        f"wants a day to be {names} and one of {named} of the month at once, which cron cannot say of these "
        "days (it takes either; of the sevens 1-7, 8-14 … it can say both): fire on the days "
        f"{named}, with a command that begins with '{test} || exit 0'"
    )
