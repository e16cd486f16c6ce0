"""Which sources an import of files and folders is about: also the timers that a folder had once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from beatd.migrate.found import Reading
from beatd.migrate.systemd_timers.reader import KIND
from beatd.operations import entries
from beatd.operations.context import Context


def sources_of(context: Context, paths: Sequence[Path], reading: Reading) -> Collection[tuple[str, str]]:
    """Of each a kind and the timer's file."""
    sources = {found.origin.source for found in reading.found}
    folders = {path.resolve() for path in paths if path.is_dir()}
    if folders:
        kept = [entry.origin for entry in entries.find(context) if entry.origin]
        earlier = {origin.source for origin in kept if origin.kind == KIND}
        sources |= {source for source in earlier if Path(source).parent.resolve() in folders}
    return {(KIND, source) for source in sources}
