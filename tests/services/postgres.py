"""A private PostgreSQL. Tests connect as an ordinary role that owns its database and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from tests.services.binaries import number, program
from tests.services.server import Server

ROLE = "beatd"


class Postgres(Server):
    name = "PostgreSQL"
    end_signal = signal.SIGQUIT  # "immediate shutdown": like a crash, but it removes its shared memory
    user = "postgres"  # the server refuses root
    #: more settings, and more variables of the environment, for the next start
    settings: Mapping[str, object] = {}
    environment: Mapping[str, str] = {}

    def prepare(self) -> None:
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self.run([program("initdb"), "-D", str(self.data), *options], user=self.user)

    def launch(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "shared_buffers": "64MB",
            "max_connections": 200,
            **self.settings,
        }
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        command = [program("postgres"), "-D", str(self.data), *flags]
        return self.spawn(command, user=self.user, env=self.environment)

    def ask_version(self) -> str:
        with self.admin() as connection:
            connection.execute(
                f"DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
            )
            row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        return number(row[0])

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # "fast": does not wait for clients to leave

    def admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection, in autocommit mode."""
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"
        return psycopg.connect(where, autocommit=True)

    @property
    def ports(self) -> list[int]:
        """Of all its instances; see `Replicated`."""
        return [self.port]

    def url(self, database: str, ports: Sequence[int] = ()) -> str:
        """`ports`: those of proxies in front of `self.ports`, in their order."""
        [port] = ports or self.ports
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{port}/{database}"

    def create_database(self, template: str = "template1") -> str:
        """Create a database that the role owns, as a copy of the template; its name."""
        name = self.next_name()
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, and whatever connections a test has left open to it."""
        with self.admin() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
