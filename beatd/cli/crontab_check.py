"""What `beatd crontab check` prints: of every physical line what it is and what it would become."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from beatd.cli.output import print_hanging
from beatd.cli.times import with_weekday, zone_of
from beatd.errors import FieldError
from beatd.migrate.crontab.crons import CALLED
from beatd.migrate.crontab.entries import readable, where
from beatd.migrate.crontab.model import Crontab, Line
from beatd.migrate.crontab.tabs import Tab, Tabs
from beatd.migrate.crontab.users import queue_of, unit_of, users_of
from beatd.migrate.found import Found
from beatd.migrate.importing import Row
from beatd.migrate.machine import has_user

KINDS = ("entry", "refused", "environment", "comment", "blank")

_COUNTED = {
    "entry": ("entry", "entries"),
    "refused": ("refused line", "refused lines"),
    "environment": ("assignment", "assignments"),
    "comment": ("comment", "comments"),
    "blank": ("blank line", "blank lines"),
}
_INDENT = " " * 8


class Report:
    """What was found out of all files: `rows` are those of a check of their reading."""

    def __init__(self, tabs: Tabs, rows: Sequence[Row]) -> None:
        self._tabs = tabs
        self._places = {where(tab.crontab, line) for tab in tabs.tabs for line in tab.crontab.lines}
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[self._line_of(row.where)].append(row)
        self._found: dict[str, list[Found]] = defaultdict(list)
        for one in tabs.reading.found:
            self._found[one.where].append(one)
        self._findings: dict[str, list[FieldError]] = defaultdict(list)
        for finding in tabs.reading.refused:
            self._findings[self._line_of(finding.where or "")].append(finding)

    @property
    def is_clean(self) -> bool:
        """Whether every line is carried over as it is."""
        if self._tabs.refused:
            return False
        return not any(
            self._changes(tab.crontab, line) for tab in self._tabs.tabs for line in tab.crontab.lines
        )

    def kind(self, crontab: Crontab, line: Line) -> str:
        """A line may be refused for what its entry would be."""
        at = where(crontab, line)
        refused = at in self._findings or any(row.action == "refused" for row in self._rows[at])
        return "refused" if refused else line.kind

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "files": [self._file(tab) for tab in self._tabs.tabs],
            "totals": self._totals(),
            "workers": [
                {"user": user, "queue": queue_of(user), "unit": unit_of(user), "known": has_user(user)}
                for user in users_of(self._tabs.reading.found)
            ],
            "refused": [str(finding) for finding in self._tabs.refused],
            "notes": list(self._tabs.notes),
        }

    def print(self, out: Console) -> None:
        for tab in self._tabs.tabs:
            self._print_file(out, tab)
        for finding in self._tabs.refused:
            print_hanging(out, Text("✗ ", style="red"), Text(str(finding), style="red"))
        for note in self._tabs.notes:
            print_hanging(out, Text("! ", style="yellow"), Text(note, style="yellow"))
        for text in worker_lines(self._tabs.reading.found):
            print_hanging(out, Text("  " if text.startswith(" ") else ""), Text(text.strip()))
        print_hanging(out, Text(), Text(self._sum()))

    def _line_of(self, place: str) -> str:
        """Without the column that it may have."""
        return place if place in self._places else place.rpartition(":")[0]

    # What both say

    def _changes(self, crontab: Crontab, line: Line) -> bool:
        return self.kind(crontab, line) == "refused" or line.never_ran is not None

    def _totals(self) -> dict[str, int]:
        lines = [(tab.crontab, line) for tab in self._tabs.tabs for line in tab.crontab.lines]
        kinds = Counter(self.kind(*pair) for pair in lines)
        warned = sum(bool(self._warnings(*pair)) for pair in lines)
        never = sum(line.never_ran is not None for _, line in lines)
        counts = {"files": len(self._tabs.tabs), "lines": len(lines), **{kind: kinds[kind] for kind in KINDS}}
        return counts | {"warned": warned, "never_ran": never}

    def _warnings(self, crontab: Crontab, line: Line) -> tuple[str, ...]:
        rows = self._rows[where(crontab, line)]
        told = dict.fromkeys((*line.warnings, *(text for row in rows for text in row.warnings)))
        return tuple(told)

    def _reason(self, crontab: Crontab, line: Line) -> str | None:
        at = where(crontab, line)
        if findings := self._findings.get(at):
            return "; ".join(str(finding.at("")) for finding in findings)
        return next((row.problem for row in self._rows[at] if row.action == "refused"), None)

    def _place(self, at: str) -> str:
        """With the column of what is wrong."""
        findings = self._findings.get(at)
        return (findings[0].where if findings else None) or at

    def _queue(self, crontab: Crontab, line: Line) -> str | None:
        found = self._found[where(crontab, line)]
        return found[0].options.get("queue") if found else None

    # JSON

    def _file(self, tab: Tab) -> dict[str, Any]:
        crontab = tab.crontab
        return {
            "path": crontab.path,
            "form": crontab.form,
            "cron": crontab.cron,
            "anacron": tab.is_anacron,
            "lines": [self._line(crontab, line) for line in crontab.lines],
            "notes": list(tab.reading.notes),
        }

    def _line(self, crontab: Crontab, line: Line) -> dict[str, Any]:
        at = where(crontab, line)
        rows = [row for row in self._rows[at] if row.action != "refused"]
        first = rows[0] if rows else None
        found = self._found[at][0].options if rows and self._found[at] else {}
        return {
            "line": line.number,
            "kind": self.kind(crontab, line),
            "source": line.source,
            "schedule": line.schedule,
            "command": line.command,
            "stdin": line.stdin,
            "user": line.user,
            "environment": dict(line.environment),
            "assignment": list(line.assignment) if line.assignment else None,
            "comment": line.comment,
            "name": first.name if first else None,
            "queue": found.get("queue"),
            "timezone": found.get("timezone"),
            "sentence": first.sentence if first else None,
            "next_fires": first.next_fires if first else [],
            "entries": [{"name": row.name, "schedule": row.schedule} for row in rows],
            "warnings": self._warnings(crontab, line),
            "reason": self._reason(crontab, line),
            "where": self._place(at),
            "options": dict(found) if rows else None,
            "never_ran": line.never_ran,
        }

    # Text

    def _print_file(self, out: Console, tab: Tab) -> None:
        crontab = tab.crontab
        what = (
            "anacrontab" if tab.is_anacron else f"{crontab.form} crontab, as {CALLED[crontab.cron]} reads it"
        )
        print_hanging(out, Text(), Text(f"{crontab.path}: {what}", style="bold"))
        for note in tab.reading.notes:
            print_hanging(out, Text("  ! ", style="yellow"), Text(note, style="yellow"))
        for (kind, _), group in groupby(crontab.lines, lambda line: self._grouped(crontab, line)):
            lines = list(group)
            if kind in ("blank", "comment"):
                span = str(lines[0].number) if len(lines) == 1 else f"{lines[0].number}-{lines[-1].number}"
                out.print(Text(f"{span:>7} {kind}", style="dim"), soft_wrap=True)
            else:
                self._print_line(out, crontab, lines[0], kind)
        out.print()

    def _grouped(self, crontab: Crontab, line: Line) -> tuple[str, int]:
        """Lines that say nothing are told together."""
        kind = self.kind(crontab, line)
        quiet = kind in ("blank", "comment") and not line.warnings
        return (kind, 0 if quiet else line.number)

    def _print_line(self, out: Console, crontab: Crontab, line: Line, kind: str) -> None:
        style = {"refused": "red", "environment": "dim"}.get(kind, "")
        shown = line.source.strip(" \t\r")
        print_hanging(
            out, Text(f"{line.number:>7} {kind:<8} ", style=style), Text(readable(shown), style=style)
        )
        if reason := self._reason(crontab, line):
            told = f"{self._place(where(crontab, line))}: {reason}"
            print_hanging(out, Text(f"{_INDENT}✗ ", style="red"), Text(told))
        for row in self._rows[where(crontab, line)]:
            if row.action != "refused":
                self._print_entry(out, row, self._queue(crontab, line))
        if line.never_ran and kind == "refused":  # else a warning tells it
            print_hanging(out, Text(f"{_INDENT}✗ ", style="red"), Text(line.never_ran))
        for warning in self._warnings(crontab, line):
            print_hanging(out, Text(f"{_INDENT}! ", style="yellow"), Text(warning, style="yellow"))

    def _print_entry(self, out: Console, row: Row, queue: str | None) -> None:
        zone = zone_of(row.timezone)
        told = f"{row.name}: {row.sentence or row.schedule}{f'; queue {queue}' if queue else ''}"
        print_hanging(out, Text(f"{_INDENT}→ ", style="green"), Text(told))
        if row.next_fires:
            fires = ", ".join(with_weekday(fire, zone) for fire in row.next_fires)
            print_hanging(out, Text(f"{_INDENT}  next "), Text(fires))

    def _sum(self) -> str:
        totals = self._totals()
        parts = [_number(totals[kind], *_COUNTED[kind]) for kind in KINDS if totals[kind]]
        text = f"{_number(totals['lines'], 'line', 'lines')}: {', '.join(parts)}" if parts else "no line"
        if totals["never_ran"]:
            text += f"; {totals['never_ran']} of them cron itself never ran"
        return text


def worker_lines(found: Iterable[Found]) -> Iterator[str]:
    """Which workers are needed, and what they mean."""
    users = users_of(found)
    if not users:
        return
    yield f"{'workers that are' if len(users) > 1 else 'the worker that is'} needed:"
    for user in users:
        unknown = "" if has_user(user) else "   (there is no such user on this machine)"
        yield f"  systemctl enable --now {unit_of(user)}{unknown}"
    yield "  each runs its own user's commands; nothing runs as root unless a root worker is started"


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
