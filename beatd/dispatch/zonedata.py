"""What plans depend on besides entries: when one of these changes, entries are planned afresh."""

from __future__ import annotations

from hashlib import blake2b
from importlib.metadata import version

from beatd import clock
from beatd.config import Settings

#: As much as the timers' column holds.
_LENGTH = 80


def zone_data(settings: Settings) -> str:
    """Zone data, the zone of entries that name none, public holidays, triggers of the operator's own."""
    told = f"{clock.zone_data_version()} {settings.timezone} holidays {version('holidays')}"
    if settings.schedules.custom:
        told += f" custom {_digest(repr(sorted(settings.schedules.custom.items())))}"
    return told if len(told) <= _LENGTH else f"{told[: _LENGTH - 17]} {_digest(told)}"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
