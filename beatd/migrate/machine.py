"""What a source of schedules takes from the machine on which it is read: its zone, its users."""

from __future__ import annotations

import pwd
from zoneinfo import ZoneInfoNotFoundError

import tzlocal

from beatd.errors import FieldError
from beatd.schedules import parse_zone


def local_zone() -> str:
    """The name of the machine's zone, by $TZ, /etc/timezone or /etc/localtime. Raises FieldError."""
    try:
        found = tzlocal.get_localzone_name()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = None
    try:
        return parse_zone(found or "").key
    except FieldError:
        problem = "the machine's zone cannot be found out by name; say which one with --timezone"
        raise FieldError("timezone", found, problem, example="Europe/Berlin") from None


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError, UnicodeError):
        return False
    return True
