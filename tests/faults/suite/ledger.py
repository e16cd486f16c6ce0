"""What independent witnesses wrote: lines of executions and of messages, laid by fire time into files of a
minute each, so that an hour of them is never in memory at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

_MINUTE = timedelta(minutes=1)
_OPEN = 16


@dataclass(frozen=True, slots=True)
class Line:
    """A message that was seen (`kind`: message, or old: the broker dropped it for its age) or an execution
    (plain, once). `who` saw or did it.
    """

    run_id: str
    entry: str
    fire_time: datetime
    at: datetime
    who: str
    kind: str
    redelivered: bool

    @classmethod
    def parse(cls, text: str, who: str = "") -> Line:
        run_id, entry, fire_time, at, pid, kind, redelivered = text.split()
        return cls(run_id, entry, _instant(fire_time), _instant(at), f"{who}{pid}", kind, redelivered == "1")

    def __str__(self) -> str:
        fire_time, at = self.fire_time.isoformat(), self.at.isoformat()
        return f"{self.run_id} {self.entry} {fire_time} {at} {self.who} {self.kind} {int(self.redelivered)}"


class Minutes:
    """A folder of lines by the minute of their fire time. For one thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._open: OrderedDict[Path, TextIO] = OrderedDict()

    def write(self, line: Line) -> None:
        file = self._file(line.fire_time)
        if file not in self._open:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[file] = file.open("a")
        self._open[file].write(f"{line}\n")

    def flush(self) -> None:
        for stream in self._open.values():
            stream.flush()

    def close(self) -> None:
        for stream in self._open.values():
            stream.close()
        self._open.clear()

    def read(self, since: datetime, until: datetime) -> Iterator[Line]:
        """Those with a fire time in (since, until]."""
        self.flush()
        minute = since.replace(second=0, microsecond=0)
        while minute <= until:
            file = self._file(minute)
            if file.exists():
                with file.open() as stream:
                    lines = (Line.parse(text) for text in stream)
                    yield from (line for line in lines if since < line.fire_time <= until)
            minute += _MINUTE

    def _file(self, instant: datetime) -> Path:
        return self._folder / f"{instant:%Y%m%dT%H%M}"


def sorted_out(ledgers: Iterable[Path], into: Minutes) -> int:
    """Lays the workers' ledgers, one file a worker, into minutes; how many lines they had."""
    count = 0
    for ledger in ledgers:
        with ledger.open() as stream:
            for text in stream:
                into.write(Line.parse(text, f"{ledger.stem}:"))
                count += 1
    into.flush()
    return count


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
