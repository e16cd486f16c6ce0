"""Dead nodes of this host: their leases lapse at once, so that a restarted daemon goes on where it died.

Nodes of other hosts cannot be looked at; what they had recorded is taken over when its lease lapses.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from beatd.dispatch.boot import BOOT_ID
from beatd.logs import get_logger
from beatd.store import nodes, runs
from beatd.store.engine import Database
from beatd.store.nodes import Process

log = get_logger()

#: Position of the start time among the fields of /proc/PID/stat that follow the command's name (proc(5)).
_START_TIME = 19


def this_process() -> Process:
    """The process namespace belongs to the boot id: the same number means another process elsewhere."""
    namespace = Path("/proc/self/ns/pid").readlink().name
    boot_id = f"{BOOT_ID.read_text().strip()}/{namespace}"
    return Process(socket.gethostname(), boot_id, os.getpid(), _started(os.getpid()) or 0)


def is_alive(process: Process) -> bool:
    """Whether it runs, as far as can be told: /proc may hide the processes of other users."""
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    started = _started(process.pid)
    return started is None or started == process.pid_started


def release_dead(database: Database, here: Process) -> int:
    """Hands the outbox of dead nodes of this host back; returns how many runs. Raises DatabaseUnavailable."""
    with database.write() as connection:
        dead = nodes.dead_on(connection, here, is_alive)
        if not dead:
            return 0
        released = runs.release_owned_by(connection, dead, database.now(connection))
        nodes.unregister(connection, dead)
    for node in dead:
        log.warning("node.gone", node=node, host=here.host, runs=released)
    return released


def _started(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; -1 for a zombie, None where it cannot be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[_START_TIME])
