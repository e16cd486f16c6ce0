"""The places that messages name: `file:line`, `file:line:column`, or whatever a source has instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

_PLACE = re.compile(r"(.*?)(?::(\d+))?(?::(\d+))?", re.DOTALL)


class _Placed(Protocol):
    @property
    def where(self) -> str | None: ...


_T = TypeVar("_T", bound=_Placed)


def file_of(where: str) -> str:
    return _parts(where)[0]


def line_of(where: str) -> int:
    """0 where it has none."""
    return _parts(where)[1]


def is_file(source: str, file: str) -> bool:
    """Whether a source, of which the whole path is known, is the file that a place names."""
    return source == file or source.endswith(f"/{file.removeprefix('./')}")


def in_order(placed: Iterable[_T]) -> tuple[_T, ...]:
    """By line; files, and what has no lines, as they come first."""
    items = list(placed)
    found = dict.fromkeys(file_of(item.where or "") for item in items)
    files = {file: number for number, file in enumerate(found)}

    def place(item: _T) -> tuple[int, int]:
        file, line = _parts(item.where or "")
        return files[file], line

    return tuple(sorted(items, key=place))


def _parts(where: str) -> tuple[str, int]:
    found = _PLACE.fullmatch(where)
    return (found[1], int(found[2] or 0)) if found else (where, 0)
