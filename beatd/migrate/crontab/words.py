"""The words of a line that may be time fields, of cron or of another scheduler."""

from __future__ import annotations

import re
from collections.abc import Sequence

from beatd.schedules.cron_fields import MONTHS, WEEKDAYS

_NAME = "|".join((*MONTHS, *WEEKDAYS))
_LONG_NAME = rf"(?:{_NAME})[a-z]{{0,6}}"
_SIGNS = r"[-*/?,#~0-9()]"

#: Any scheduler's time field: numbers and signs, names of days and months, Quartz's and Jenkins's letters.
_FIELD = re.compile(
    rf"(?=.*[-*?#~0-9]|L|H|R|(?i:{_LONG_NAME}))(?:{_SIGNS}|(?i:{_LONG_NAME})|LW|[LWHR]|(?<=[0-9])l)+"
)
#: What no command is called, so that five fields before it cannot be all.
_SURELY_A_FIELD = re.compile(
    rf"[*?]|(?=[*0-9~])[-*/,#~LW0-9]+|[0-9](?i:{_NAME}|L)|(?:{_NAME.upper()})(?:[-,#/](?:{_NAME.upper()}|[0-9L])+)*|LW?"
)


def split(text: str) -> list[str]:
    """At blanks and tabs only, as cron does."""
    return [word for word in re.split(r"[ \t]+", text) if word]


def looks_like_field(word: str) -> bool:
    return len(word) <= 200 and _FIELD.fullmatch(word) is not None


def is_surely_a_field(word: str) -> bool:
    return len(word) <= 200 and _SURELY_A_FIELD.fullmatch(word) is not None


def leading_fields(words: Sequence[str]) -> int:
    """How many words in front may be time fields."""
    number = 0
    while number < len(words) and looks_like_field(words[number]):
        number += 1
    return number
