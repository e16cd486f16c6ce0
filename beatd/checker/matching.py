"""Fires against counted records: each fire that is no run belongs to one record."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from beatd.checker.account import Fire


class Record(Protocol):
    """Fires of one version that became no runs, counted; `exact` False: there were at least so many."""

    @property
    def count(self) -> int: ...
    @property
    def exact(self) -> bool: ...
    @property
    def first(self) -> datetime: ...
    @property
    def last(self) -> datetime: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Surplus(Generic[R]):
    """A record that counts `missing` more fires than were left for it, of `there` in its span."""

    record: R
    missing: int
    there: int


@dataclass(frozen=True, slots=True)
class Matched(Generic[R]):
    """`unaccounted` are the fires of no record that have to have one; `taken` is how many have."""

    taken: int
    unaccounted: list[Fire]
    uncertain: int
    surplus: list[Surplus[R]]


def matched(left: Sequence[Fire], some: Sequence[R]) -> Matched[R]:
    """Gives every fire to a record that spans it, of several to the one that ends first. `left` are fires of
    one version and fate, in order, that are no runs; `some` are the records of such.
    """
    records = sorted(some, key=lambda record: record.first)
    wanted = [record.count for record in records]
    spanning: list[int] = []
    ends = {end for record in records for end in (record.first, record.last)}
    begun = taken = uncertain = 0
    unaccounted = []
    for fire in left:
        while begun < len(records) and records[begun].first <= fire.fire_time:
            spanning.append(begun)
            begun += 1
        spanning = [number for number in spanning if records[number].last >= fire.fire_time]
        takers = [number for number in spanning if wanted[number] > 0 or not records[number].exact]
        if takers:
            wanted[min(takers, key=lambda number: records[number].last)] -= 1
            taken += 1
        elif fire.certain or fire.fire_time in ends:
            unaccounted.append(fire)
        else:
            uncertain += 1
    times = [fire.fire_time for fire in left]
    surplus = [
        Surplus(record, missing, bisect_right(times, record.last) - bisect_left(times, record.first))
        for record, missing in zip(records, wanted, strict=True)
        if missing > 0
    ]
    return Matched(taken, unaccounted, uncertain, surplus)
