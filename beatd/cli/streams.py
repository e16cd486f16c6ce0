"""How text leaves the process: what a terminal or a file cannot take is shown, never a reason to fail."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

_NAME = "beatd-shown"


def prepare() -> None:
    """Standard output takes any text. Bytes that are not UTF-8, which a command may hold, are shown as
    `\\xff`; so is what the locale has no character for.
    """
    codecs.register_error(_NAME, _shown)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _shown(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escaped, error.object[error.start : error.end])), error.end


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]
