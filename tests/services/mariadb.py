"""A private MariaDB. Tests connect as an ordinary user with all rights on their databases only."""

from __future__ import annotations

import os
import subprocess

import pymysql

from tests.services.binaries import number, program
from tests.services.server import Server

USER = "beatd"


class MariaDB(Server):
    name = "MariaDB"

    def prepare(self) -> None:
        self.data = self.folder / "data"
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", *_user()]
        # two that are set up at once would share names in /tmp
        options.append(f"--tmpdir={self.data.parent}")
        self.run([program("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", *options])

    def launch(self) -> subprocess.Popen[bytes]:
        settings = [
            f"--datadir={self.data}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--socket={self.folder}/sock",
            f"--pid-file={self.folder}/pid",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=48M",
            # What Debian's packages set; the server's own default is latin1.
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
        ]
        return self.spawn([program("mariadbd"), "--no-defaults", *settings, *_user()])

    def ask_version(self) -> str:
        with self.admin() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1'")
            cursor.execute(rf"GRANT ALL ON `t%`.* TO '{USER}'@'127.0.0.1'")
            cursor.execute("SELECT version()")
            return number(cursor.fetchone()[0])

    def admin(self) -> pymysql.Connection:
        """root's connection, in autocommit mode."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True, connect_timeout=5, read_timeout=30
        )

    def url(self, database: str) -> str:
        return f"mariadb+pymysql://{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        name = self.next_name()
        with self.admin() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it; connections that a test has left open are ended first, since their locks would block."""
        with self.admin() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (number_,) in cursor.fetchall():
                cursor.execute("KILL HARD CONNECTION %s", (number_,))
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def _user() -> list[str]:
    # The server runs as root only if it is told to.
    return ["--user=root"] if os.geteuid() == 0 else []
