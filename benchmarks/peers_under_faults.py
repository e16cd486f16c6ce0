"""Celery beat and django-celery-beat beside beatd, on RabbitMQ, at one minute's fires, under the same faults.

    python -m benchmarks.peers_under_faults --peers VENV/bin/python --entries 200

All scenarios of all programs run side by side over the same minute, each on a virtual host of its own; no
worker runs, and what the queue holds afterwards is counted. `on time`: there five seconds after the minute.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombu import Connection

from beatd.store import schema
from beatd.store.engine import Database
from benchmarks.places import QUEUE, Corner, private_place
from tests.processes import Broker

ROOT = Path(__file__).parent.parent
SCENARIOS = ("nothing", "two instances", "kill -9 in its midst", "down at the time")
PROGRAMS = ("Celery beat", "django-celery-beat", "beatd")
#: Seconds after the minute: what is there by then is on time; what is there at all.
ON_TIME, AT_ALL = 5, 45


@dataclass
class World:
    program: str
    scenario: str
    corner: Corner
    count: int
    peers: str
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    late: int = 0

    def prepare(self) -> None:
        Broker(self.corner.broker_url).declare(QUEUE)
        if self.program == "beatd":
            database = Database.open(self.corner.database_url)
            schema.upgrade(database)
            with database.write() as connection:
                for n in range(self.count):
                    connection.exec_driver_sql(
                        "INSERT INTO entries (name, cron, task, kwargs) "
                        f"VALUES ('e{n}', '* * * * *', 'bench', '{{\"entry\": \"e{n}\"}}')"
                    )
            database.close()
        elif self.program == "django-celery-beat":
            subprocess.run([self.peers, "-m", "benchmarks.peers_beat"], cwd=ROOT, env=self._env(), check=True)

    def start(self) -> None:
        number = len(list(self.corner.folder.glob("log-*")))
        command = {
            "beatd": [sys.executable, "-m", "beatd", "scheduler"],
            "Celery beat": [sys.executable, *_BEAT, "-s", str(self.corner.folder / "schedule")],
            "django-celery-beat": [self.peers, *_BEAT, "-S", "django"],
        }[self.program]
        with (self.corner.folder / f"log-{number}").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.corner.place.keeper.watch(process.pid)
        self.running.append(process)

    def end(self, number: signal.Signals) -> None:
        for process in self.running:
            process.send_signal(number)
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def play(self, minute: float) -> None:
        self.start()
        if self.scenario == "two instances":
            self.start()
        if self.scenario == "down at the time":
            _until(minute - 8)
            self.end(signal.SIGTERM)
            _until(minute + 10)
            self.start()
        _until(minute - 1)
        self._drain()  # of the minute before
        self.seen.clear()
        if self.scenario == "kill -9 in its midst":
            _await(lambda: self._depth() >= self.count // 4, minute + 20)
            self.end(signal.SIGKILL)
            self.start()
        _until(minute + ON_TIME)
        self._drain()
        on_time = self.seen.total()
        _until(minute + AT_ALL)
        self._drain()
        self.late = self.seen.total() - on_time
        self.end(signal.SIGTERM)

    def _depth(self) -> int:
        broker = Broker(self.corner.broker_url)
        try:
            return broker.count(QUEUE)
        finally:
            broker.close()

    def _drain(self) -> None:
        with Connection(self.corner.broker_url) as connection, connection.channel() as channel:
            while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
                body: Any = message.body
                self.seen[json.loads(body)[1]["entry"]] += 1

    def _env(self) -> dict[str, str]:
        folder = str(self.corner.folder)
        django = folder + "/django.sqlite3" if self.program == "django-celery-beat" else ""
        return {
            "PATH": os.defpath,
            "HOME": folder,
            "PYTHONPATH": str(ROOT),
            "PEERS_COUNT": str(self.count),
            "PEERS_BROKER": self.corner.broker_url,
            "PEERS_DJANGO": django,
            "BEATD_STATE_DIR": folder,
            "BEATD_DATABASE_URL": self.corner.database_url,
            "BEATD_BROKER_URL": self.corner.broker_url,
        }


_BEAT = ["-m", "celery", "-A", "benchmarks.peers_beat", "beat", "--pidfile", "", "--loglevel", "WARNING"]


def _until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.time()))


def _await(predicate: Callable[[], bool], deadline: float) -> None:
    while not predicate() and time.time() < deadline:
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", required=True, help="a Python with requirements/peers.txt")
    parser.add_argument("--entries", type=int, default=200)
    given = parser.parse_args()
    with private_place("postgresql-rabbitmq") as place:
        worlds = [
            World(program, scenario, place.corner(), given.entries, given.peers)
            for scenario in SCENARIOS
            for program in PROGRAMS
        ]
        for world in worlds:
            world.prepare()
        minute = (time.time() + 30) // 60 * 60 + 60
        threads = [threading.Thread(target=world.play, args=(minute,)) for world in worlds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("| fault | program | due | lost | doubled | late |\n|---|---|---|---|---|---|")
        for world in worlds:
            there = sum(1 for n in range(world.count) if world.seen[f"e{n}"])
            doubled = world.seen.total() - there
            print(
                f"| {world.scenario} | {world.program} | {world.count} | {world.count - there} | {doubled} | "
                f"{world.late} |"
            )


if __name__ == "__main__":
    main()
