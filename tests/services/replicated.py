"""PostgreSQL twice: a primary, and a standby that has every transaction before its COMMIT is answered.

To its users it is one server with two addresses (`url` names both); whichever is the primary takes writes.
The other may take over again and again: `fail_over`, then `rejoin`, which makes the old primary a standby of
the new.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.services.binaries import number, program
from tests.services.keeper import Keeper
from tests.services.postgres import ROLE, Postgres
from tests.services.server import START_SECONDS, as_user

_SETTINGS = {
    "wal_level": "replica",
    "wal_log_hints": "on",  # pg_rewind wants it
    "wal_keep_size": "256MB",
    "max_wal_senders": 5,
    "hot_standby": "on",
    # a standby that is killed is to be missed soon
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "200ms",
}


class _Instance(Postgres):
    settings = _SETTINGS

    def ask_version(self) -> str:
        with self.admin() as connection:  # a standby creates no role
            row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        return number(row[0])


class _Standby(_Instance):
    def prepare(self) -> None:
        self.data = self.folder / "data"
        if as_user(self.user):
            shutil.chown(self.folder, self.user, self.user)


class Replicated:
    """Has what tests use of a `Server`; `pid`, `port`, `kill9` and so on are the primary's."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, keeper: Keeper) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.primary: _Instance = _Instance(folder / "a", keeper)
        self.standby: _Instance = _Standby(folder / "b", keeper)
        self._instances = (self.primary, self.standby)

    @property
    def version(self) -> str:
        return f"{self.primary.version} with a synchronous standby"

    @property
    def ports(self) -> list[int]:
        """Of both, always in the same order."""
        return [instance.port for instance in self._instances]

    @property
    def port(self) -> int:
        return self.primary.port

    @property
    def pid(self) -> int:
        return self.primary.pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.primary.process

    @property
    def running(self) -> bool:
        return self.primary.running

    def start(self) -> None:
        """Start what does not run; returns when the standby has all that the primary has."""
        first = not self.standby.data.exists()
        self.primary.start()
        if first:
            self._execute(self.primary, f"CREATE ROLE {ROLE} LOGIN")
            self._copy()
        self.standby.start()
        self._synchronize()

    def stop(self) -> None:
        self.primary.stop()
        self.standby.stop()

    def kill9(self) -> None:
        """The primary alone."""
        self.primary.kill9()

    def restart(self) -> None:
        self.stop()
        self.start()

    def fail_over(self, *, orderly: bool = False) -> None:
        """The primary ends, by SIGKILL if not `orderly`, and the standby takes its place."""
        if orderly:
            self.primary.stop()
        else:
            self.primary.kill9()
        self.primary, self.standby = self.standby, self.primary
        # else its first COMMIT would wait for a standby that is not there
        self._set_synchronous("")
        self._execute(self.primary, "SELECT pg_promote(true, 30)")

    def rejoin(self) -> None:
        """The one that does not run becomes the other's synchronous standby, whatever it was and knew."""
        if self.standby.running:
            return
        self._execute(self.primary, "CHECKPOINT")  # or pg_rewind would not see that it was promoted
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres dbname=postgres"
        options = ["--target-pgdata", str(self.standby.data), "--source-server", source, "-R", "--no-sync"]
        try:
            self.standby.run([_beside("pg_rewind"), *options], user=self.standby.user)
        except RuntimeError:
            # it had not seen enough, or died in the middle of the last time
            shutil.rmtree(self.standby.data)
            self._copy()
        self.standby.start()
        self._synchronize()

    def admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        return self.primary.admin()

    def url(self, database: str, ports: Sequence[int] = ()) -> str:
        ports = ports or self.ports
        hosts = ",".join("127.0.0.1" for _ in ports)
        numbers = ",".join(map(str, ports))
        query = f"host={hosts}&port={numbers}&target_session_attrs=read-write"
        return f"postgresql+psycopg://{ROLE}@/{database}?{query}"

    def create_database(self, template: str = "template1") -> str:
        return self.primary.create_database(template)

    def drop_database(self, name: str) -> None:
        self.primary.drop_database(name)

    def _copy(self) -> None:
        source = ["-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "postgres"]
        command = [_beside("pg_basebackup"), *source, "-D", str(self.standby.data), "-R", "-X", "stream"]
        self.standby.run([*command, "-c", "fast", "--no-sync"], user=self.standby.user)

    def _synchronize(self) -> None:
        """Returns when every COMMIT waits for the standby, and it has all that came before."""
        self._set_synchronous("*")
        query = """SELECT sync_state = 'sync' AND state = 'streaming'
                          AND flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication"""
        deadline = time.monotonic() + START_SECONDS
        while (True,) not in self._execute(self.primary, query):
            if not self.standby.running or time.monotonic() > deadline:
                tail = self.standby.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the standby does not follow:\n{tail}")
            time.sleep(0.05)

    def _set_synchronous(self, names: str) -> None:
        self._execute(self.primary, f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self._execute(self.primary, "SELECT pg_reload_conf()")

    @staticmethod
    def _execute(instance: _Instance, statement: str) -> list[Any]:
        with instance.admin() as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


def _beside(name: str) -> str:
    """Programs of the same version as the server."""
    return str(Path(program("postgres")).with_name(name))
