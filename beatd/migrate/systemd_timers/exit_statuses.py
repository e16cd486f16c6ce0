"""Exit statuses by the names that `SuccessExitStatus=` knows (systemd.exec(5), PROCESS EXIT CODES)."""

from __future__ import annotations

_LSB = ("SUCCESS", "FAILURE", "INVALIDARGUMENT", "NOTIMPLEMENTED", "NOPERMISSION", "NOTINSTALLED")
_BSD = (
    "USAGE",
    "DATAERR",
    "NOINPUT",
    "NOUSER",
    "NOHOST",
    "UNAVAILABLE",
    "SOFTWARE",
    "OSERR",
    "OSFILE",
    "CANTCREAT",
    "IOERR",
    "TEMPFAIL",
    "PROTOCOL",
    "NOPERM",
    "CONFIG",
)
_STATUSES = {name: number for number, name in enumerate(_LSB)}
_STATUSES |= {"NOTCONFIGURED": 6, "NOTRUNNING": 7}
_STATUSES |= {name: number for number, name in enumerate(_BSD, 64)}


def exit_status(word: str) -> int | None:
    """None for a signal, and for what is none of both."""
    if word.isascii() and word.isdigit():
        return int(word) if int(word) < 256 else None
    return _STATUSES.get(word)
