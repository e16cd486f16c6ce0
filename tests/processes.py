"""A whole installation for a test: its own database, broker and folder, and the real program's processes.

    installation.upgrade()
    scheduler = installation.scheduler()
    worker = installation.worker()
    installation.add("hello", every="1s", task=SHELL, kwargs='{"command": "true"}')

Nothing of the user's is read: home, configuration and state are below the test's folder. What the
processes told is shown when the test fails.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from kombu import Connection, Exchange, Queue
from sqlalchemy import select, text

import beatd.broker.embedded  # noqa: F401 makes its scheme known
from beatd.store import schema
from beatd.store.engine import Database
from beatd.store.models import FINAL_STATES, entry_versions, runs
from tests.services.keeper import Keeper, kill_tree
from tests.waiting import eventually

ROOT = Path(__file__).parent.parent
SHELL = "beatd.shell"
HTTP = "beatd.http"

#: What a shell entry appends to the ledger: what really ran, told by nobody but the command itself.
NOTE = 'echo "$BEATD_ENTRY $BEATD_FIRE_TIME $BEATD_RUN_ID" >> {ledger}'

_SHOWN = 6000


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the ledger: a run that really took place."""

    entry: str
    fire_time: datetime
    run_id: str


class Process:
    """One process of the program, its output in a file of its own."""

    def __init__(
        self,
        name: str,
        command: list[str],
        env: dict[str, str],
        folder: Path,
        keeper: Keeper,
        *,
        module: str = "beatd",
        cwd: Path = ROOT,
    ):
        self.name = name
        self.log = folder / f"{name}.log"
        self._keeper = keeper
        self._popen = subprocess.Popen(
            [sys.executable, "-m", module, *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        keeper.watch(self.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tells(self, words: str, timeout: float = 60) -> None:
        """Wait for words in its log; fail at once if it ended without them."""

        def told() -> bool:
            ended = not self.running
            found = words in self.text()
            assert found or not ended, f"{self.name} ended without {words!r}:\n{self.text()[-_SHOWN:]}"
            return found

        eventually(told, timeout, message=f"{words!r} in the log of {self.name}")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = 60) -> int:
        """The exit status, negative for a signal."""
        status = self._popen.wait(timeout)
        self._keeper.forget(self.pid)
        return status

    def stop(self, timeout: float = 60) -> int:
        """As systemd does it: SIGTERM, and wait."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill9(self) -> None:
        """SIGKILL to it and its children at once."""
        if self.running:
            kill_tree(psutil.Process(self.pid))
        self.wait()

    def tail(self) -> str:
        return f"--- {self.log}\n{self.text()[-_SHOWN:]}"


class Installation:
    def __init__(self, database_url: str, broker_url: str, folder: Path, keeper: Keeper, **env: str) -> None:
        """`broker_url` empty: the embedded broker. `env`: variables for all its processes."""
        self.folder = folder
        self.ledger_file = folder / "ledger"
        self.ledger_file.touch()
        config = folder / "beatd.toml"
        config.touch()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TEST_LEDGER": str(self.ledger_file),
            "BEATD_CONFIG": str(config),
            "BEATD_STATE_DIR": str(folder / "state"),
            "BEATD_DATABASE_URL": database_url,
            "BEATD_BROKER_URL": broker_url,
            "BEATD_LOG_FORMAT": "text",
            "BEATD_LOG_LEVEL": "info",
            "BEATD_SCHEDULER_HEARTBEAT": "1s",
            "BEATD_SCHEDULER_NODE_TIMEOUT": "5s",
            **env,
        }
        self.database = Database.open(database_url)
        self.processes: list[Process] = []
        self._keeper = keeper
        self._broker: Broker | None = None

    # Processes

    def upgrade(self) -> None:
        schema.upgrade(self.database)

    def scheduler(self, *, ready: bool = True, **env: str) -> Process:
        """With `ready` it has made its first pass when this returns."""
        process = self._start("scheduler", ["scheduler"], env)
        if ready:
            process.tells("daemon.ready")
        return process

    def worker(self, *queues: str, concurrency: int = 2, ready: bool = True, **env: str) -> Process:
        """A worker for these queues, or for all of the app's."""
        named = [word for queue in queues for word in ("-Q", queue)]
        number = sum(process.name.startswith("worker") for process in self.processes) + 1
        command = ["worker", *named, "--concurrency", str(concurrency), "--name", f"w{number}"]
        process = self._start("worker", command, env)
        if ready:
            process.tells("worker.ready")
        return process

    def start(self, *command: str) -> Process:
        """Any command of the program, without waiting for a word of it."""
        return self._start(command[0], list(command), {})

    def celery(self, kind: str, *command: str, **env: str) -> Process:
        """Celery's own command line, in the installation's folder."""
        return self._start(kind, list(command), env, module="celery", cwd=self.folder)

    def _start(self, kind: str, command: list[str], env: dict[str, str], **how: Any) -> Process:
        number = sum(process.name.startswith(kind) for process in self.processes) + 1
        environment = {**self.env, **env}
        process = Process(f"{kind}-{number}", command, environment, self.folder, self._keeper, **how)
        self.processes.append(process)
        return process

    def broker(self) -> Broker:
        """A connection of the test's own."""
        if self._broker is None:
            url = self.env["BEATD_BROKER_URL"] or f"beatd://{self.folder}/state/broker"
            self._broker = Broker(url)
        return self._broker

    def close(self) -> None:
        """Ends what still runs. What everything told goes to stdout, which pytest shows of a failed test."""
        for process in self.processes:
            process.kill9()
            print(process.tail())
        if self._broker is not None:
            self._broker.close()
        self.database.close()

    # The database, as an operator sees it

    def sql(self, statement: str, **parameters: Any) -> int:
        """Returns how many rows it changed."""
        with self.database.write() as connection:
            return connection.execute(text(statement), parameters).rowcount

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(text(query), parameters).all())

    def now(self) -> datetime:
        """The database's time, by which everything is decided."""
        with self.database.read() as connection:
            return self.database.now(connection)

    def add(self, name: str, **columns: Any) -> None:
        self.add_all([{"name": name, **columns}])

    def add_all(self, rows: list[dict[str, Any]]) -> None:
        """By plain SQL, in one transaction."""
        with self.database.write() as connection:
            for row in rows:
                names = ", ".join(self.quoted(column) for column in row)
                values = ", ".join(f":{column}" for column in row)
                connection.execute(text(f"INSERT INTO entries ({names}) VALUES ({values})"), row)

    def quoted(self, column: str) -> str:
        return f"`{column}`" if self.database.dialect.name == "mariadb" else f'"{column}"'

    def runs(self) -> list[Any]:
        """id, name, state, fire_time, due_time, published_at, started_at, attempt, error, reason of each."""
        names = ("id", "state", "fire_time", "due_time", "expires_at", "published_at", "started_at")
        columns = [runs.c[name] for name in (*names, "attempt", "worker", "result", "error", "reason")]
        same = (entry_versions.c.entry_id == runs.c.entry_id) & (entry_versions.c.version == runs.c.version)
        query = select(*columns, entry_versions.c.name).select_from(runs.join(entry_versions, same))
        with self.database.read() as connection:
            return list(connection.execute(query.order_by(runs.c.fire_time)).all())

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.rows("SELECT state FROM runs"))

    def await_runs(self, count: int, timeout: float = 60) -> None:
        """Until so many runs have come to their end."""

        def ended() -> int:
            return sum(number for state, number in self.states().items() if state in FINAL_STATES)

        try:
            eventually(lambda: ended() >= count, timeout, interval=0.1)
        except AssertionError:
            open_runs = [tuple(run) for run in self.runs() if run.state not in FINAL_STATES]
            pytest.fail(f"{count} runs expected, there are {dict(self.states())}; open: {open_runs[:5]}")

    # What really ran

    def ledger(self) -> list[Note]:
        notes = []
        for line in self.ledger_file.read_text().splitlines():
            entry, fire_time, run_id = line.split()
            notes.append(Note(entry, datetime.fromisoformat(fire_time).astimezone(UTC), run_id))
        return notes

    def shell(self, command: str = NOTE) -> dict[str, str]:
        """The columns of an entry that runs this command; by default it writes itself into the ledger."""
        command = command.replace("{ledger}", str(self.ledger_file))
        return {"task": SHELL, "kwargs": json.dumps({"command": command})}


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it lies in a queue."""

    run_id: str
    entry: str
    fire_time: datetime
    args: list[Any]
    properties: dict[str, Any]


class Broker:
    """The broker as a client that is no part of the program sees it."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, connect_timeout=5)

    def declare(self, queue: str) -> None:
        """A queue that nobody reads, in the way that the program declares it."""
        with self._connection.channel() as channel:
            Queue(queue, Exchange(queue, "direct"), routing_key=queue)(channel).declare()

    def count(self, queue: str) -> int:
        """Messages that wait; 0 where there is no such queue yet."""
        with self._connection.channel() as channel:
            try:
                return channel.queue_declare(queue, passive=True).message_count
            except self._connection.channel_errors:
                return 0

    def take(self, queue: str) -> list[Message]:
        return self._read(queue, keep=False)

    def peek(self, queue: str) -> list[Message]:
        """The messages go back to their queue."""
        return self._read(queue, keep=True)

    def _read(self, queue: str, *, keep: bool) -> list[Message]:
        messages = []
        with self._connection.channel() as channel:
            while (message := channel.basic_get(queue, no_ack=not keep)) is not None:
                messages.append(message)
            read = [_message(channel.message_to_python(m) if _is_raw(m) else m) for m in messages]
            if keep:
                for message in messages:
                    channel.basic_reject(message.delivery_tag, requeue=True)
        return read

    def close(self) -> None:
        self._connection.release()


def _is_raw(message: Any) -> bool:
    return not hasattr(message, "headers") or message.headers is None


def _message(message: Any) -> Message:
    headers, properties = message.headers, message.properties
    fire_time = datetime.fromisoformat(headers["beatd_fire_time"]).astimezone(UTC)
    args = json.loads(message.body)[0] if headers.get("compression") is None else []
    return Message(headers["id"], headers["beatd_entry"], fire_time, args, properties)


@pytest.fixture
def install(tmp_path: Path, keeper: Keeper) -> Iterator[Callable[..., Installation]]:
    """Makes installations (database URL, broker URL, variables) that end with the test.

    Ask for it after the servers, so that the processes end before what they stand on.
    """
    made: list[Installation] = []

    def make(
        database_url: str, broker_url: str, *, kind: type[Installation] = Installation, **env: str
    ) -> Installation:
        own = tmp_path / f"installation-{len(made) + 1}"
        own.mkdir()
        made.append(kind(database_url, broker_url, own, keeper, **env))
        return made[-1]

    yield make
    for installation in made:
        installation.close()


MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a line of figures for the end of the session's output. Nothing is asserted about them."""
    return pytestconfig.stash.setdefault(MEASURED, []).append
