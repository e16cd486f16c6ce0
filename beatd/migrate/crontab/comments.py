"""What a comment says of the line below."""

from __future__ import annotations

import re

#: Above the fields, as `crontab -e` and /etc/crontab have them; a line of signs.
_HEADINGS = re.compile(
    r"m(in(ute)?s?)?\s+h(ours?)?\s.*|[-*=_~#+.|\s]*|[|.*\s-]+\w.*\(\d+\s?-\s?\d+\).*", re.IGNORECASE
)
_WAS_A_LINE = re.compile(r"-?@\w+\s|([-*/,?\dA-Za-z#]*[\d*][-*/,?\dA-Za-z#]*\s+){3}|\w+\s*=")


def about_the_next(text: str) -> str | None:
    """The words of a comment that speaks of what follows: no heading, no line that was commented out."""
    words = text.strip("# \t\r")
    if _HEADINGS.fullmatch(words) or _WAS_A_LINE.match(words) or "\0" in words:
        return None
    return words or None
