"""Backups and restores as docs/backup.md has them, by the tools that it names."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from tests.cli.program import PROGRAM
from tests.processes import Installation
from tests.services.binaries import program


@dataclass(frozen=True, slots=True)
class Copies:
    """Of one database; `server` is the one that it lies on, if any."""

    url: str
    server: Any
    file: Path

    def backup(self, installation: Installation) -> None:
        """While everything goes on."""
        if self.server is None:
            command = [PROGRAM, "db", "backup", self.file]
            subprocess.run(command, env=installation.env, check=True, capture_output=True)
        elif self.url.startswith("postgresql"):
            subprocess.run(
                [program("pg_dump"), "--format=custom", f"--file={self.file}", self._plain()], check=True
            )
        else:
            options = ["--single-transaction", "--routines", "--triggers"]
            with self.file.open("wb") as out:
                command = [program("mariadb-dump"), *self._mariadb(), *options, self._name()]
                subprocess.run(command, stdout=out, check=True)

    def restore(self) -> None:
        """Nothing uses the database any more."""
        if self.server is None:
            file = Path(self._name())
            for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
                file.with_name(name).unlink(missing_ok=True)
            shutil.copy(self.file, file)
        elif self.url.startswith("postgresql"):
            name = self._name()
            self.server.drop_database(name)
            with self.server.admin() as connection:
                connection.execute(f"CREATE DATABASE {name} OWNER beatd")
            command = [program("pg_restore"), "--no-owner", f"--dbname={self._plain()}", str(self.file)]
            subprocess.run(command, check=True)
        else:
            name = self._name()
            self.server.drop_database(name)
            with self.server.admin() as connection, connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
            with self.file.open("rb") as dump:
                subprocess.run([program("mariadb"), *self._mariadb(), name], stdin=dump, check=True)

    def _name(self) -> str:
        return str(make_url(self.url).database)

    def _plain(self) -> str:
        return self.url.replace("postgresql+psycopg", "postgresql")

    def _mariadb(self) -> list[str]:
        url = make_url(self.url)
        return [
            "--no-defaults",
            "--protocol=tcp",
            f"--host={url.host}",
            f"--port={url.port}",
            f"--user={url.username}",
        ]
