"""How people write and read a length of time, in entries, in the configuration and on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in _UNITS))


def parse(text: str) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`, `1w`, or several, largest first: `1h30m`; `0s` is nothing.

    Raises ValueError, whose text goes on from the name and value of a field: `has no unit …`.
    """
    text = text.strip()
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(_problem(text))
    try:
        return sum((int(n) * _UNITS[unit] for unit, n in match.groupdict("0").items()), timedelta(0))
    except OverflowError:
        raise ValueError("is longer than can be counted") from None


def format(duration: timedelta) -> str:
    """What `parse` reads, in as few units as possible: `90m` is `1h30m`, `14d` is `2w`.

    Fractions of a second, which it does not read, come as decimals: `1.5s`. Nothing is `0s`.
    """
    if duration < timedelta(0):
        return "-" + format(-duration)
    week = _UNITS["w"]
    if duration and duration % week == timedelta(0):
        return f"{duration // week}w"
    parts = []
    for unit in "dhms":
        count, duration = divmod(duration, _UNITS[unit])
        if unit == "s" and duration:
            parts.append(f"{count + duration.microseconds / 1_000_000:.6f}".rstrip("0") + "s")
        elif count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def span_text(span: timedelta) -> str:
    """A length of time in its two greatest units, or in parts of a second: `1d 2h`, `12s`, `340ms`."""
    seconds = abs(span.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
        if parts and (len(parts) == 2 or unit == "s"):
            break
    return " ".join(parts)


def _problem(text: str) -> str:
    if re.fullmatch(r"[0-9]+", text):
        return f"has no unit; did you mean '{text}s'?"
    if re.fullmatch(r"[0-9]*[.,][0-9]+[a-z]", text):
        return "fractions are not allowed; use a smaller unit"
    return "is not a duration; write whole numbers with s, m, h, d or w, largest unit first"
