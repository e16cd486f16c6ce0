"""Jitter by hash: every node, every restart and every preview agree on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from beatd.schedules.hashed import hashed
from beatd.schedules.text import format_instant

_MILLISECOND = timedelta(milliseconds=1)


def jitter_of(name: str, fire_time: datetime, limit: timedelta) -> timedelta:
    """How long after its fire time an entry's run is due: whole milliseconds j, 0 <= j < limit.

    A hash of the entry's name and the fire time (aware): the same for ever, other entries' and other fires'
    fall elsewhere.
    """
    milliseconds = -(-limit // _MILLISECOND)
    if milliseconds <= 0:
        return timedelta(0)
    return hashed("jitter", name, format_instant(fire_time)) % milliseconds * _MILLISECOND
