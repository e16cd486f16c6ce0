"""Lists, ranges and numbers in plain English."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
#: Sunday first.
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
NTH = ("", "first", "second", "third", "fourth", "fifth")


def listed(texts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def spans(values: Sequence[int], names: Sequence[str] | None = None) -> str:
    """Values in order, three neighbours or more as `a to b`. `names` are those of the values from 0 on."""
    texts = [names[value] if names else str(value) for value in values]
    return listed([text for first, end in runs(values) for text in _span(texts[first:end])])


def weekdays(values: Sequence[int], last: str) -> str:
    """`Monday to Friday`, `Saturday and Sunday`, `Friday to Monday`: the week has no end."""
    texts = []
    for first in (1, 2, 3, 4, 5, 6, 0):
        if first in values and (first - 1) % 7 not in values:
            end = next(days for days in range(1, 8) if (first + days) % 7 not in values)
            texts += _span([WEEKDAYS[(first + days) % 7] for days in range(end)])
    return listed(texts, last)


def runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Where in the values, which are in order, neighbours follow one another: (first, end) as of a slice."""
    breaks = [index for index in range(1, len(values)) if values[index] != values[index - 1] + 1]
    bounds = [0, *breaks, len(values)]
    return list(pairwise(bounds))


def counted(count: int, unit: str) -> str:
    """`minute`, `5 minutes`."""
    return unit if count == 1 else f"{count} {unit}s"


def numbered(unit: str, values: Sequence[int]) -> str:
    """`minute 5`, `minutes 5 and 35`, `minutes 0 to 10`."""
    return f"{unit}{'s' if len(values) > 1 else ''} {spans(values)}"


def ordinal(number: int) -> str:
    """`2nd`; from 2 to 20."""
    ending = {2: "nd", 3: "rd"}.get(number, "th")
    return f"{number}{ending}"


def _span(texts: list[str]) -> list[str]:
    return [f"{texts[0]} to {texts[-1]}"] if len(texts) > 2 else texts
