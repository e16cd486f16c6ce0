"""What a cron line fires at, as beatd writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from beatd.errors import FieldError
from beatd.migrate.crontab.crons import CALLED, Cron
from beatd.migrate.crontab.fields import KINDS, Field
from beatd.schedules import describe, parse_cron
from beatd.schedules.cron_fields import parse_fields

_UTC = ZoneInfo("UTC")
_ANY_NAME = "any"


@dataclass(frozen=True, slots=True)
class Carried:
    """A schedule of beatd's that fires whenever the cron does; `warnings` say what stands for what."""

    schedule: str
    warnings: tuple[str, ...] = ()


class NeverFiresError(Exception):
    """The cron takes the line and never runs it. `field` is where it lies, `problem` why."""

    def __init__(self, field: Field, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


class NotCarriedError(Exception):
    """beatd has no way to write a field that the cron takes."""

    def __init__(self, field: Field, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


def carry(fields: Sequence[Field], cron: Cron) -> Carried:
    """The same fire times in beatd's notation: the fields as they are, unless one of them means something
    else to beatd, or nothing.

    Raises NeverFiresError, NotCarriedError.
    """
    texts = _texts(fields)
    for position, field in enumerate(fields):
        if texts[position] != "*" and not _means_the_same(texts[position], field):
            texts[position] = ",".join(map(str, sorted(field.values)))
            if field.starts_with_star or not _means_the_same(texts[position], field):
                raise NotCarriedError(field, "beatd has no way to write what the cron makes of it")
    schedule = " ".join(texts)
    try:
        parse_cron(schedule, _UTC, name=_ANY_NAME)
    except FieldError as error:
        day_of_month = fields[2]
        if "never fires" in error.problem:
            raise NeverFiresError(day_of_month, error.problem) from None
        raise NotCarriedError(max(fields, key=lambda field: len(field.text)), error.problem) from None
    return Carried(schedule, tuple(_differences(fields, texts, cron)))


def sentence(schedule: str) -> str | None:
    """What the schedule says in plain English, or None where it is none."""
    try:
        text = describe(parse_cron(schedule, _UTC, name=_ANY_NAME))
    except FieldError:
        return None
    text = text.removesuffix(", UTC")
    return f"{text} (or so: by the entry's name)" if {"H", "~"} & set(schedule) else text


def _texts(fields: Sequence[Field]) -> list[str]:
    """What counts of each field. Of two day fields one that matches nothing leaves the days to the other,
    unless a star makes both of them count.
    """
    texts = [field.meant for field in fields]
    for position, field in enumerate(fields):
        if field.values:
            continue
        other = {2: fields[4], 4: fields[2]}.get(position)
        if other is None or other.starts_with_star or not other.values:
            raise NeverFiresError(field, f"never fires: {_backwards(field)}")
        texts[position] = "*"
    return texts


@lru_cache(maxsize=4096)
def _means_the_same(text: str, field: Field) -> bool:
    """Whether beatd takes the text as the cron took the field. Lines are many and fields few."""
    position = KINDS.index(field.kind)
    alone = ["*"] * len(KINDS)
    alone[position] = text
    try:
        read = parse_fields(" ".join(alone), _ANY_NAME)[position + 1]
    except FieldError:
        return False
    values = {value % 7 for value in field.values} if field.kind.high == 7 else field.values
    same = set(read.values) <= values if field.random else set(read.values) == values
    plain = not (read.last_day or read.last_working_day or read.last_weekdays or read.nth_weekdays)
    return same and plain and read.starts_with_star == field.starts_with_star


def _differences(fields: Sequence[Field], texts: Sequence[str], cron: Cron) -> list[str]:
    called = CALLED[cron]
    warnings = []
    for field, text in zip(fields, texts, strict=True):
        name = field.kind.name
        if field.ignored:
            warnings.append(
                f"{name} {field.text!r}: {called} ignores {field.ignored!r} and reads {text!r}; so it is here"
            )
        elif field.empty:
            rest = f"the field is read as {field.meant!r}" if field.values else "the other day field decides"
            warnings.append(f"{name} {field.text!r}: {_backwards(field)}; {rest}")
        elif field.text != text:
            warnings.append(f"{name} {field.text!r}: {called} reads {text!r}; so it is written here")
        if field.random:
            warnings.append(
                f"{name} {field.text!r}: {called} draws a value whenever it reads the file; here it is "
                "fixed, by the entry's name"
            )
    return warnings


def _backwards(field: Field) -> str:
    return f"{' and '.join(field.empty)} runs backwards, which matches nothing in {field.kind.name}"
