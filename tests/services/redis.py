"""A private Redis with many databases, so that each test has an empty one of its own."""

from __future__ import annotations

import subprocess

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services.binaries import program
from tests.services.server import Server

DATABASES = 128


class Redis(Server):
    name = "Redis"

    def launch(self) -> subprocess.Popen[bytes]:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "databases": DATABASES,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
        }
        flags = [flag for name, value in settings.items() for flag in (f"--{name}", str(value))]
        return self.spawn([program("redis-server"), *flags])

    def ask_version(self) -> str:
        with self.client(0) as client:
            return client.info("server")["redis_version"]

    def client(self, database: int) -> redis.Redis:
        """A client that tells at once when the server is away."""
        return redis.Redis(
            host="127.0.0.1", port=self.port, db=database, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def empty_database(self) -> int:
        """The number of a database that is empty and that the last hundred tests have not used."""
        database = next(self._numbers) % DATABASES
        with self.client(database) as client:
            client.flushdb()
        return database
