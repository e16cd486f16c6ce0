"""How the plain text that operators write in columns is read: one value at a time, every finding kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from beatd.errors import FieldError
from beatd.planning.examples import EXAMPLES
from beatd.schedules import parse_duration

Columns = Mapping[str, Any]
_T = TypeVar("_T")


class Reader:
    """Reads one column after the other and keeps what is wrong with each."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.findings: list[FieldError] = []
        #: what could be read, whatever was wrong with other columns
        self.known: dict[str, Any] = {}

    def read(self, column: str, parse: Callable[[Any], _T], default: Any = None) -> _T | None:
        value = self.columns.get(column)
        value = default if value is None else value
        if value is None:
            return None
        parsed = self.group(lambda: parse(value))
        if parsed is not None:
            self.known[column] = parsed
        return parsed

    def group(self, parse: Callable[[], _T]) -> _T | None:
        """None where `parse` raised; what it raised is kept."""
        try:
            return parse()
        except FieldError as finding:
            self.findings.append(finding)
        return None

    def refuse(self, column: str, problem: str, example: str | None = None) -> None:
        self.findings.append(FieldError(column, self.columns.get(column), problem, example=example))

    # The kinds of column

    def text(self, column: str) -> str | None:
        return self.read(column, lambda value: text(column, value))

    def duration(self, column: str) -> timedelta | None:
        return self.read(column, lambda value: parse_duration(text(column, value), column))

    def seconds(self, column: str) -> float | None:
        duration = self.duration(column)
        return None if duration is None else duration.total_seconds()

    def whole(self, column: str, least: int, most: int) -> int | None:
        return self.read(column, lambda value: whole(column, value, least, most))

    def one_of(self, column: str, allowed: tuple[_T, ...]) -> _T | None:
        return self.read(column, lambda value: one_of(column, value, allowed))

    def boolean(self, column: str) -> bool | None:
        return self.read(column, bool)

    def array(self, column: str) -> list[Any] | None:
        return self.read(column, lambda value: array(column, value))

    def table(self, column: str) -> dict[str, Any] | None:
        return self.read(column, lambda value: table(column, value))


def text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldError(field, value, "text is wanted", example=EXAMPLES.get(field))
    return value


def one_of(field: str, value: Any, allowed: tuple[_T, ...]) -> _T:
    for choice in allowed:
        if choice == value:
            return choice
    raise FieldError(field, value, f"one of {', '.join(map(str, allowed))}", example=str(allowed[0]))


def whole(field: str, value: Any, least: int, most: int, example: str | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        problem = f"a whole number from {least} to {most}"
        raise FieldError(field, value, problem, example=example or EXAMPLES.get(field))
    return value


def array(field: str, value: Any) -> list[Any]:
    return _json(field, value, list, EXAMPLES["args"])


def table(field: str, value: Any) -> dict[str, Any]:
    return _json(field, value, dict, EXAMPLES.get(field, EXAMPLES["kwargs"]))


def _json(field: str, value: Any, kind: type[_T], example: str) -> _T:
    wanted = "a JSON array" if kind is list else "a JSON object"
    try:
        parsed = json.loads(text(field, value), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FieldError(field, value, f"not {wanted}: {error}", example=example) from error
    if not isinstance(parsed, kind):
        raise FieldError(field, value, f"not {wanted}", example=example)
    return parsed


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
