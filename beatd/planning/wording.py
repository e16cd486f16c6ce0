"""How people are told: instants in the zone that they think in, and what a run had to say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, tzinfo

from beatd.planning.reasons import UNSTARTED

_NIGHT_ENDS = time(6)


def zoned(instant: datetime, zone: tzinfo) -> str:
    """`2026-03-29 03:00 CEST`; with seconds where there are any."""
    local = instant.astimezone(zone)
    seconds = ":%S" if local.second or local.microsecond else ""
    return local.strftime(f"%Y-%m-%d %H:%M{seconds} %Z")


def zoned_and_utc(instant: datetime, zone: tzinfo) -> str:
    """`2026-03-29 03:00 CEST (01:00 UTC)`; UTC alone where that is the zone."""
    local, utc = zoned(instant, zone), zoned(instant, UTC)
    if local == utc:
        return utc
    same_date = local[:10] == utc[:10]
    return f"{local} ({utc[11:] if same_date else utc})"


def clock_time(wall: datetime | time) -> str:
    """`02:30`; with seconds where there are any."""
    return wall.strftime("%H:%M:%S" if wall.second else "%H:%M")


def that_day(wall: datetime) -> str:
    return "that night" if wall.time() < _NIGHT_ENDS else "that day"


def listed(texts: list[str], most: int = 3) -> str:
    """`a, b and c`; of more than `most` the first, how many lie between, and the last."""
    if len(texts) > most:
        return f"{texts[0]} to {texts[-1]} ({len(texts)} times)"
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def first_line(text: str | None) -> str:
    """The first line that says something, without control characters; bytes that are not UTF-8 as `\\xff`."""
    lines = (line.strip() for line in (text or "").splitlines())
    line = next((line for line in lines if line), "")
    return "".join(map(_shown, line))


def _shown(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else "�"


#: Headings that the shipped tasks put above the output of a run that went well: no news.
_NO_NEWS = re.compile(r"(exit status 0|status 2\d\d)$")


def said_by(state: str, result: str | None, error: str | None, reason: str | None) -> str:
    """What a run had to say, in one line: its output, or what went wrong and the first word on it."""
    text = result if state == "succeeded" else error or reason or result
    lines = [shown for line in (text or "").splitlines() if (shown := first_line(line))]
    if not lines and state == "expired":
        return UNSTARTED
    if state == "succeeded":
        return next((line for line in lines if not _NO_NEWS.match(line)), "")
    return ": ".join(lines[:2])
