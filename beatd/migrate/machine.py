"""What a source of schedules takes from the machine on which it is read: its zone, its users."""

from __future__ import annotations

import os
import pwd
import re
from zoneinfo import ZoneInfoNotFoundError

import tzlocal

from beatd.errors import FieldError
from beatd.schedules import parse_zone

_ZONE_FILES = re.compile(r"(?:/.*)?/zoneinfo/(?:posix/)?")


def local_zone() -> str:
    """The name of the machine's zone, by $TZ or else /etc/timezone and /etc/localtime.

    Raises FieldError where there is none: a rule without a name (`CET-1CEST`) cannot be kept with an entry.
    """
    named = os.environ.get("TZ", "").removeprefix(":")  # noqa: TID251 (as libc, and whatever asks it, has it)
    try:
        found = _ZONE_FILES.sub("", named) or tzlocal.get_localzone_name()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = None
    try:
        return parse_zone(found or "").key
    except FieldError:
        where = "what $TZ says" if named else "the machine's zone"
        problem = f"{where} has no IANA name; say which zone it is with --timezone"
        raise FieldError("timezone", found, problem, example="Europe/Berlin") from None


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError, UnicodeError):
        return False
    return True
