"""Unit files for tests, and the one timer that is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beatd.migrate.found import Found, Reading
from beatd.migrate.systemd_timers.reader import Run, read

TIMER = "[Timer]\nOnCalendar=daily\n"


def write(folder: Path, **units: str) -> Path:
    """`backup_timer="…"` becomes backup.timer; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


def reading(folder: Path, run: Run = "auto", timezone: str = "UTC") -> Reading:
    return read([folder], timezone=timezone, run=run)


def only(folder: Path, run: Run = "auto", timezone: str = "UTC") -> Found:
    found = reading(folder, run, timezone)
    assert not found.refused, found.refused
    (one,) = found.found
    return one


def timed(folder: Path, lines: str) -> list[dict[str, Any]]:
    """The schedules of a timer with these lines, without what they run."""
    write(folder, job_timer=f"[Timer]\n{lines}\n", job_service="[Service]\nExecStart=/bin/true\n")
    found = reading(folder)
    assert not found.refused, found.refused
    return [
        {key: value for key, value in one.options.items() if key not in ("cwd", "queue", "timezone")}
        for one in found.found
    ]


def refused(folder: Path, lines: str) -> str:
    write(folder, job_timer=f"[Timer]\n{lines}\n", job_service="[Service]\nExecStart=/bin/true\n")
    found = reading(folder)
    assert not found.found
    (problem,) = found.refused
    return str(problem).removeprefix(f"{folder}/")
