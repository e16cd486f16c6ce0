"""Boot entries: one run each, once for each boot of the machine, when the first daemon starts after it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from beatd import clock
from beatd.logs import get_logger
from beatd.planning.look import Suppression
from beatd.planning.plan import expires_at
from beatd.planning.task import run_id
from beatd.planning.timing import Surroundings
from beatd.schedules import BootSchedule
from beatd.store import boots, pauses, runs, timers
from beatd.store.definitions import Definitions, Version
from beatd.store.engine import Database
from beatd.worker import arguments

log = get_logger()

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: As much of a host's name as a run's origin has room for beside the boot's id.
_HOST_LENGTH = 38


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot of this machine's kernel, and how long ago it was."""

    host: str
    id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class Decided:
    """What a boot means for the boot entries: who runs, and who would have, with the reason."""

    run: tuple[Version, ...]
    suppressed: tuple[tuple[Version, str], ...]


def this_boot() -> Boot:
    return Boot(socket.gethostname(), BOOT_ID.read_text().strip(), timedelta(seconds=clock.monotonic()))


def fire(
    database: Database, installation: str, surroundings: Surroundings, boot: Boot, *, shadow: bool = False
) -> int:
    """Records the runs of this boot, unless a daemon has done so; returns how many. `shadow`: as what would
    have been.

    The fire time is now, when the machine can do something for its boot; entries that are younger than the
    boot are none of its business. Raises DatabaseUnavailable, and then nothing has happened.
    """
    with database.write() as connection:
        now = database.now(connection)
        if not boots.first_start(connection, database.dialect, boot.host, boot.id, now):
            return 0
        keys = timers.boot_entries(connection, created_before=now - boot.age)
        found = Definitions(surroundings, arguments.check).get(connection, keys)
        paused = pauses.open_pause(connection, now) is not None
        decided = decide([found[key] for key in sorted(found)], boot.host, now, all_paused=paused)
        rows = [_row(installation, version, boot, now) for version in decided.run]
        if shadow:
            rows = [row | runs.shadowed(now) for row in rows]
        runs.record(connection, database.dialect, rows)
        timers.record_suppressions(
            connection,
            [
                (version.entry_id, Suppression(version.version, reason, 1, True, now, now))
                for version, reason in decided.suppressed
            ],
            now,
        )
        timers.note_fire(connection, [version.entry_id for version in decided.run], now)
    if rows:
        log.info("boot.fired", host=boot.host, boot=boot.id, runs=len(rows))
    return len(rows)


def decide(versions: Iterable[Version], host: str, now: datetime, *, all_paused: bool) -> Decided:
    """For the versions that entries have `now`. Pure."""
    run, suppressed = [], []
    for version in versions:
        definition = version.definition
        if definition is None or not isinstance(definition.schedule, BootSchedule):
            continue
        if definition.schedule.host not in (None, host):
            continue
        paused_until = definition.paused_until
        if not definition.enabled or (paused_until is not None and now < paused_until):
            suppressed.append((version, "paused"))
        elif all_paused:
            suppressed.append((version, "all paused"))
        else:
            run.append(version)
    return Decided(tuple(run), tuple(suppressed))


def _row(installation: str, version: Version, boot: Boot, now: datetime) -> dict[str, Any]:
    definition = version.definition
    assert definition is not None  # noqa: S101 (others are not decided for)
    origin = f"boot:{boot.host[:_HOST_LENGTH]}:{boot.id}"
    return {
        "id": run_id(installation, version.entry_id, now, origin),
        "entry_id": version.entry_id,
        "version": version.version,
        "origin": origin,
        "fire_time": now,
        "due_time": now,
        "expires_at": expires_at(definition, now),
        "state": "pending",
        "recorded_at": now,
        "owner": None,
        "lease_until": now,
        "attempt": 0,
        **runs.of_definition(definition),
    }
