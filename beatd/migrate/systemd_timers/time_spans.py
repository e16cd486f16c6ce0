"""Lengths of time as systemd writes them: `5min`, `1h 30min`, `90`, `1.5d`, `infinity` (systemd.time(7))."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECOND = Fraction(1, 1_000_000)
_SECONDS: dict[str, Fraction] = {
    name: seconds
    for names, seconds in (
        (("usec", "us", "µs", "μs"), _MICROSECOND),
        (("msec", "ms"), Fraction(1, 1000)),
        (("seconds", "second", "sec", "s"), Fraction(1)),
        (("minutes", "minute", "min", "m"), Fraction(60)),
        (("hours", "hour", "hr", "h"), Fraction(3600)),
        (("days", "day", "d"), Fraction(86_400)),
        (("weeks", "week", "w"), Fraction(604_800)),
        # a twelfth of a year, which has 365.25 days
        (("months", "month", "M"), Fraction(2_629_800)),
        (("years", "year", "y"), Fraction(31_557_600)),
    )
    for name in names
}
_PART = re.compile(
    rf"[ \t\n\r]*(?P<whole>[0-9]+)?(?:\.(?P<parts>[0-9]+))?[ \t\n\r]*"
    rf"(?P<unit>{'|'.join(sorted(_SECONDS, key=len, reverse=True))})?[ \t\n\r]*"
)


class SpanError(ValueError):
    """Its text goes on from the name and value of a setting."""


def parse_span(text: str) -> timedelta | None:
    """None is `infinity`. A number without a unit counts seconds. Raises SpanError."""
    text = text.strip(" \t\n\r")
    if text == "infinity":
        return None
    seconds, at = Fraction(0), 0
    while at < len(text) or not text:
        part = _PART.match(text, at)
        if part is None or (part["whole"] is None and not part["parts"]):
            raise SpanError("is no time span: numbers with us, ms, s, min, h, d, w, month or y")
        number = Fraction(part["whole"] or 0)
        if part["parts"]:
            number += Fraction(int(part["parts"]), 10 ** len(part["parts"]))
        seconds += number * _SECONDS[part["unit"] or "s"]
        at = part.end()
    try:
        return timedelta(microseconds=int(seconds / _MICROSECOND))
    except OverflowError:
        raise SpanError("is longer than can be counted") from None
